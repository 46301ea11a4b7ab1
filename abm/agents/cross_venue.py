"""Arbitrage between two venues: buy the perpetual where it is cheap, sell it where it is dear, and move the money after the profit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import stress, waiting_time
from abm.kernels.compiled import inline, kernel
from abm.kernels.crossing import closing_gap, gap_after_crossing, limit_tick, lots_within, opening_gap
from abm.kernels.random import uniform
from abm.kernels.transactions import submit, submit_taker
from abm.parameters import parameter
from abm.state import ACTIVE, DEPOSIT, NEVER, NOBODY, REDUCE_ONLY, WITHDRAW, Table, empty_table

CROSSER = [
    ("edge", "f8"),  # fraction of the index beyond fees, in calm markets
    ("leverage", "f8"),  # largest notional per USD of equity, on each venue
    ("order_notional", "f8"),  # USD of one pair of orders
    ("funding_days", "f8"),  # days of funding at today's rates that it counts on
    ("wait", "f8"),  # mean blocks between looks
    ("transfer", "i8"),  # blocks that money is on its way from one venue to the other
]
LEGS = np.dtype(
    [
        ("sent", "i8"),  # 1: both legs of a pair are on their way, or have been filled and not yet looked at
        ("held", "f8"),  # coins on the first venue when they were sent
        ("repairs", "i8"),  # orders in a row that were to trade away what one leg has more than the other
        ("failures", "i8"),  # pairs in a row of which one leg did not come
        ("away", "i8"),  # block from which pairs are opened again
    ],
    align=True,
)
MOST_DOUBLINGS = 8
PURSE = np.dtype(
    [
        ("brought", "f8"),  # USD paid in on both venues together at the start
        ("busy", "i8"),  # block until which a withdrawal or deposit is on its way
    ],
    align=True,
)


@inline
def move_margin(
    venue, accounts, transactions, beside, accounts_beside, transactions_beside, purses, j, part, i, p, least_share, cushion, transfer,
    latency,
):  # fmt: skip
    """Brings money from the venue where the member (accounts i and p) is rich to the one where it is poor: a withdrawal first, and when
    that has been paid out a deposit on the other venue, which arrives `transfer` blocks later.

    What is neither here nor there is `brought` less what is paid in on both venues: nothing else is remembered, so no dollar can get
    lost or be sent twice.
    """
    block = venue[0].block
    if purses[j, part].brought == 0.0:
        purses[j, part].brought = accounts[i].net_deposits + accounts_beside[p].net_deposits
    if purses[j, part].busy > block:
        return
    under_way = purses[j, part].brought - accounts[i].net_deposits - accounts_beside[p].net_deposits
    here = accounts[i].equity
    there = accounts_beside[p].equity
    if under_way > 1e-9 * purses[j, part].brought:
        purses[j, part].busy = block + transfer + 1
        if here <= there:
            submit(venue, transactions, DEPOSIT, i, NOBODY, 0, 0, NOBODY, 0, 0, NEVER, 0, under_way, 0.0, transfer)
        else:
            submit(beside, transactions_beside, DEPOSIT, p, NOBODY, 0, 0, NOBODY, 0, 0, NEVER, 0, under_way, 0.0, transfer)
        return
    if here + there <= 0.0 or min(here, there) >= least_share * (here + there):
        return
    if here > there:
        amount = min(0.5 * (here - there), here - cushion * accounts[i].initial_margin)
        if amount > 0.0:
            purses[j, part].busy = block + latency + 1
            submit(venue, transactions, WITHDRAW, i, NOBODY, 0, 0, NOBODY, 0, 0, NEVER, 0, amount, 0.0, latency)
    else:
        amount = min(0.5 * (there - here), there - cushion * accounts_beside[p].initial_margin)
        if amount > 0.0:
            purses[j, part].busy = block + latency + 1
            submit(beside, transactions_beside, WITHDRAW, p, NOBODY, 0, 0, NOBODY, 0, 0, NEVER, 0, amount, 0.0, latency)


@inline
def room_left(accounts, positions, markets, i, leverage):
    """USD of notional that account i may still take on at this leverage."""
    used = 0.0
    for k in range(markets.shape[0]):
        used += abs(positions[i, k].lots) * markets[k].lot * markets[k].mark
    return max(max(accounts[i].equity, 0.0) * leverage - used, 0.0)


@inline
def may_trade(markets, k):
    """Whether market k is open and has both a bid and an ask."""
    return markets[k].status == ACTIVE and markets[k].best_bid > 0 and markets[k].best_ask < markets[k].ticks


@kernel
def decide_crossers(
    venue, accounts, positions, markets, levels, transactions,
    beside, accounts_beside, positions_beside, markets_beside, levels_beside, transactions_beside,
    members, rows_beside, purses, pairs, wakes, reach, repair_reach, exit_share, legs, rest, least_share,
    cushion, key,
):  # fmt: skip
    """Each member that wakes moves margin if it must, repairs pairs of positions that do not offset each other, and then trades gaps.

    A pair is short on the venue where the perpetual is dear and long, with as many coins, where it is cheap. It is opened where the gap
    between the bid of one venue and the ask of the other exceeds `opening_gap`, and closed where the gap the other way exceeds
    `closing_gap`. Both legs are sent at once and take what is there within half of what the gap pays beyond that, `reach` (fraction)
    from the best price at most, so that no fill loses. A leg that did not come, or that was liquidated, leaves coins over: they are
    traded away where that is best, up to `repair_reach` from the best price, and on the other venue when that fails. After orders a
    member waits `legs` blocks beyond its latency before it looks at what came of them; after a pair of which one leg did not come it
    opens none for `rest` blocks, twice as long after each further one in a row.

    pairs (members, m): records of LEGS. purses (members, 1 or m): records of PURSE, one for each pair of accounts. least_share: share of
    the money on the poorer venue below which margin is moved, cushion: initial margins that stay on the richer one.
    """
    block = venue[0].block
    n_markets = markets.shape[0]
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        wakes[j] = block + waiting_time(uniform(key, block, j, 0), members[j].wait)
        latency = members[j].latency
        for part in range(purses.shape[1]):
            move_margin(
                venue, accounts, transactions, beside, accounts_beside, transactions_beside, purses, j, part,
                members[j].row + part, rows_beside[j] + part, least_share, cushion, members[j].transfer, latency,
            )  # fmt: skip
        for k in range(n_markets):
            i = members[j].row + k * members[j].stride
            p = rows_beside[j] + k * members[j].stride
            index = markets[k].index
            lot = max(markets[k].lot, markets_beside[k].lot)
            held = positions[i, k].lots * markets[k].lot
            held_beside = positions_beside[p, k].lots * markets_beside[k].lot
            bid = markets[k].best_bid * markets[k].tick
            ask = markets[k].best_ask * markets[k].tick
            bid_beside = markets_beside[k].best_bid * markets_beside[k].tick
            ask_beside = markets_beside[k].best_ask * markets_beside[k].tick
            fee = accounts[i].taker_fee
            fee_beside = accounts_beside[p].taker_fee
            room = room_left(accounts, positions, markets, i, members[j].leverage)
            room_beside = room_left(accounts_beside, positions_beside, markets_beside, p, members[j].leverage)
            over = held + held_beside
            trades = may_trade(markets, k)
            trades_beside = may_trade(markets_beside, k)
            if abs(over) >= lot * (1.0 - 1e-9):
                side = -1 if over > 0.0 else 1
                better = bid * (1.0 - fee) >= bid_beside * (1.0 - fee_beside)
                if side > 0:
                    better = ask * (1.0 + fee) <= ask_beside * (1.0 + fee_beside)
                if pairs[j, k].repairs % 2 == 1:
                    better = not better  # the better one has refused
                # Adding needs money; where there is none, the leg that is too long is cut.
                enough = trades and (held * over > 0.0 or room >= abs(over) * index)
                enough_beside = trades_beside and (held_beside * over > 0.0 or room_beside >= abs(over) * index)
                if pairs[j, k].repairs == 0:
                    pairs[j, k].away = block + latency + (rest << min(pairs[j, k].failures, MOST_DOUBLINGS))
                    pairs[j, k].failures += 1
                pairs[j, k].repairs += 1
                wakes[j] = block + latency + legs
                if enough and (better or not enough_beside):
                    lots = int(abs(over) / markets[k].lot + 1e-6)
                    price = (ask if side > 0 else bid) * (1.0 + side * repair_reach)
                    submit_taker(venue, transactions, i, k, side, limit_tick(markets, k, side, price), lots, 0, latency)
                elif enough_beside:
                    lots = int(abs(over) / markets_beside[k].lot + 1e-6)
                    price = (ask_beside if side > 0 else bid_beside) * (1.0 + side * repair_reach)
                    limit = limit_tick(markets_beside, k, side, price)
                    submit_taker(beside, transactions_beside, p, k, side, limit, lots, 0, latency)
                continue
            pairs[j, k].repairs = 0
            if pairs[j, k].sent == 1:
                pairs[j, k].sent = 0
                if abs(held - pairs[j, k].held) >= 0.5 * lot:  # what was sent, or its missing leg, has come after all
                    pairs[j, k].failures = 0
                    pairs[j, k].away = block
            if not trades or not trades_beside:
                continue
            fees = fee + fee_beside
            edge = members[j].edge * max(stress(markets, k), 1.0)
            # Of a pair that is short here: shorts receive the rate here, longs pay it there.
            hope = (markets[k].funding_per_day - markets_beside[k].funding_per_day) * members[j].funding_days
            dear = gap_after_crossing(bid, ask_beside, index)
            cheap = gap_after_crossing(bid_beside, ask, index)
            side = 0
            flags = 0
            slack = 0.0
            coins = min(members[j].order_notional, room, room_beside) / index
            if held < 0.0 and cheap > closing_gap(fees, exit_share, hope):
                side, flags, slack = 1, REDUCE_ONLY, cheap - closing_gap(fees, exit_share, hope)
            elif held > 0.0 and dear > closing_gap(fees, exit_share, -hope):
                side, flags, slack = -1, REDUCE_ONLY, dear - closing_gap(fees, exit_share, -hope)
            elif block < pairs[j, k].away:
                continue
            elif held <= 0.0 and dear > opening_gap(fees, exit_share, edge, hope):
                side, slack = -1, dear - opening_gap(fees, exit_share, edge, hope)
            elif held >= 0.0 and cheap > opening_gap(fees, exit_share, edge, -hope):
                side, slack = 1, cheap - opening_gap(fees, exit_share, edge, -hope)
            if side == 0:
                continue
            if flags == REDUCE_ONLY:
                coins = min(members[j].order_notional / index, abs(held), abs(held_beside))
            span = min(reach, 0.5 * slack)
            limit = limit_tick(markets, k, side, (ask if side > 0 else bid) + side * span * index)
            limit_beside = limit_tick(markets_beside, k, -side, (bid_beside if side > 0 else ask_beside) - side * span * index)
            coins = min(coins, lots_within(markets, levels, k, side, limit) * markets[k].lot)
            coins = min(coins, lots_within(markets_beside, levels_beside, k, -side, limit_beside) * markets_beside[k].lot)
            whole = int(coins / lot + 1e-6) * lot
            lots = int(whole / markets[k].lot + 1e-6)
            lots_beside = int(whole / markets_beside[k].lot + 1e-6)
            if lots <= 0 or lots_beside <= 0:
                continue
            pairs[j, k].sent = 1
            pairs[j, k].held = held
            submit_taker(venue, transactions, i, k, side, limit, lots, flags, latency)
            submit_taker(beside, transactions_beside, p, k, -side, limit_beside, lots_beside, flags, latency)
            wakes[j] = block + latency + legs


class CrosserMemory(NamedTuple):
    """Members, their purses (members, 1 or m) and pairs (members, m), when they look next, their random stream, and times in blocks."""

    members: Table
    purses: Table
    pairs: Table
    wakes: NDArray[np.int64]
    key: np.uint64
    legs: int
    rest: int


@dataclass(frozen=True, kw_only=True)
class CrossVenueArbitrageurs(Strategy):
    """Arbitrage between two venues by members with an account on each: long where the perpetual is cheap, short where it is dear.

    They take on both venues at once, carry no outside leg, and close when the gap has gone. Their money is finite: the group's capital
    is what each member pays in on each venue, profits pile up on one of them and losses on the other, and what is withdrawn there is
    `transfer_seconds` on its way. On a venue without another beside it (`abm.VenuePair`) they do nothing.
    """

    edge: Distribution | float = parameter(
        LogNormal(median=0.0001, sigma=0.8), unit="fraction of the index, beyond fees, when calm", least=0.0
    )
    exit_share: float = parameter(
        1.0, unit="share of the fees on the way out that the way in must pay", least=0.0, most=1.0,
        about="0 is for those who expect the gap to turn round",
    )  # fmt: skip
    leverage: Distribution | float = parameter(Uniform(low=2.0, high=5.0), unit="notional over equity on each venue, at most", least=0.0)
    order_notional: Distribution | float = parameter(
        LogNormal(median=5_000.0, sigma=0.8, highest=100_000.0), unit="USD per pair of orders", least=0.0
    )
    reach: float = parameter(0.0005, unit="fraction beyond the best price", least=0.0, most=0.5)
    repair_reach: float = parameter(
        0.002, unit="fraction beyond the best price", least=0.0, most=0.5, about="for coins that the other leg does not offset"
    )
    funding_hours: Distribution | float = parameter(4.0, unit="hours of the present difference of funding it counts on", least=0.0)
    look_seconds: Distribution | float = parameter(LogNormal(median=2.0, sigma=0.6), unit="seconds between looks, mean", least=0.0)
    legs_seconds: float = parameter(
        3.0, unit="seconds", least=0.0, about="that both legs are given, beyond its latency, before it looks at them again"
    )
    rest_seconds: float = parameter(
        30.0, unit="seconds", least=0.0, about="without new pairs after one of which a leg did not come; doubles when that happens again"
    )
    least_share: float = parameter(0.35, unit="share of its equity on the poorer venue below which it moves margin", least=0.0, most=0.5)
    margin_cushion: float = parameter(2.0, unit="initial margins that stay on the richer venue", least=1.0)
    transfer_seconds: Distribution | float = parameter(
        LogNormal(median=1_200.0, sigma=0.7), unit="seconds that money is on its way", least=0.0, most=1e7
    )

    def init(self, recruits: Recruits) -> CrosserMemory:
        state = recruits.state
        wait = recruits.draw("look", self.look_seconds) / state.seconds_per_block
        table = recruits.table(CROSSER)
        table["edge"] = recruits.draw("edge", self.edge)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["order_notional"] = recruits.draw("order notional", self.order_notional)
        table["funding_days"] = recruits.draw("funding", self.funding_hours) / 24.0
        table["wait"] = wait
        table["transfer"] = np.rint(recruits.draw("transfer", self.transfer_seconds) / state.seconds_per_block)
        accounts = state.n_markets if recruits.stride else 1
        return CrosserMemory(
            table,
            empty_table((recruits.members, accounts), PURSE),
            empty_table((recruits.members, state.n_markets), LEGS),
            recruits.wakes(wait),
            recruits.key("crossers"),
            max(1, state.blocks(self.legs_seconds)),
            state.blocks(self.rest_seconds),
        )

    def decide(self, view: View, memory: CrosserMemory) -> None:
        if view.beside is None:
            return
        here, there = view.state, view.beside.state
        decide_crossers(
            here.venue, here.accounts, here.positions, here.markets, here.levels, here.transactions,
            there.venue, there.accounts, there.positions, there.markets, there.levels, there.transactions,
            memory.members, view.beside.rows, memory.purses, memory.pairs, memory.wakes, self.reach, self.repair_reach, self.exit_share,
            memory.legs, memory.rest, self.least_share, self.margin_cushion, memory.key,
        )  # fmt: skip
