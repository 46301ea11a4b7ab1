"""Keepers: they look for accounts to liquidate, weigh the reward against gas and rivals, and stay away when it does not pay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.account_auction import bid_worth
from abm.kernels.behaviour import take
from abm.kernels.compiled import inline, kernel
from abm.kernels.curves import takeover_penalty, takeover_share
from abm.kernels.execution import owed_reward
from abm.kernels.margin import is_liquidatable
from abm.kernels.random import four_uniforms, uniform
from abm.kernels.transactions import submit_bid, submit_takeover
from abm.parameters import parameter
from abm.state import NOBODY, REDUCE_ONLY, Table

KEEPER = [
    ("wait", "f8"),  # mean blocks between scans
    ("most", "i8"),  # transactions per scan
    ("margin", "f8"),  # expected profit per USD of gas that it wants
    ("rewards", "f8"),  # USD it had been paid when it last looked
    ("expected", "f8"),  # USD that all it sent lately would have paid had it all succeeded
    ("won", "f8"),  # USD that it did pay
    ("budget", "f8"),  # USD of gas it may still spend
    ("gas", "f8"),  # gas it had paid when it last looked
    ("offline", "i8"),  # scans at which work was there and did not pay
    ("leverage", "f8"),  # notional of positions taken over per USD of equity, at most
]
FORGETTING = 0.05  # share of past experience that fades with every scan in which something was sent
OPTIMISM = 20.0  # transactions' worth of success it believes in before it has tried
CURIOSITY = 0.02  # probability of trying once more what no longer seems to pay


@inline
def takeover_target(accounts, positions, markets, terms, i, target, room):
    """What keeper i could take over from an account: (market or NOBODY, lots, USD of reward, USD that selling it again costs).

    Its largest position, or the part of it that the rule gives and `room` USD carry; sold at once at the best price, with the fee.
    """
    k = NOBODY
    largest = total = 0.0
    for j in range(markets.shape[0]):
        notional = abs(positions[target, j].lots) * markets[j].lot * markets[j].mark
        total += notional
        if notional > largest:
            largest = notional
            k = j
    if k == NOBODY:
        return NOBODY, 0, 0.0, 0.0
    share = takeover_share(largest, total, accounts[target].equity, accounts[target].maintenance_margin, terms[0].min_notional)
    notional = min(share * largest, room)
    lots = int(notional / (markets[k].lot * markets[k].mark) + 1e-9)
    notional = lots * markets[k].lot * markets[k].mark
    _, reward = takeover_penalty(notional, terms[0].max_fee, accounts[target].equity)
    exit_tick = markets[k].best_bid if positions[target, k].lots > 0 else markets[k].best_ask
    if lots <= 0 or exit_tick <= 0 or exit_tick >= markets[k].ticks:
        return NOBODY, 0, 0.0, 0.0
    worse = (markets[k].mark - exit_tick * markets[k].tick) / markets[k].mark
    return k, lots, reward, notional * ((worse if positions[target, k].lots > 0 else -worse) + accounts[i].taker_fee)


@inline
def carried_notional(positions, markets, i):
    """USD at mark of all positions of account i."""
    total = 0.0
    for k in range(markets.shape[0]):
        total += abs(positions[i, k].lots) * markets[k].lot * markets[k].mark
    return total


@kernel
def sell_taken_positions(venue, positions, markets, transactions, members, reach, key):
    """Members that look in this block close what they have taken over, as far as the book goes within `reach` of its best price."""
    block = venue[0].block
    for j in range(members.shape[0]):
        if members[j].wait > 0.0 and uniform(key, block, j, 2) >= -math.expm1(-1.0 / members[j].wait):
            continue
        for k in range(markets.shape[0]):
            i = members[j].row + k * members[j].stride
            if positions[i, k].lots != 0:
                take(venue, transactions, markets, i, k, -positions[i, k].lots, reach, REDUCE_ONLY, members[j].latency)


@kernel
def decide_keepers(venue, accounts, positions, markets, transactions, members, work, terms, key):
    """Each member scans at random times: walks the accounts to be liquidated, from a random one, and takes those that should pay.

    Expected profit = success share x reward for what one transaction may close - gas. The success share is
    what was won lately over what could have been won, so that crowded keepers stop competing for crumbs. Nobody looks at the book
    first: whether it can take the position is the venue's business. Where the keeper has to take the position over, it does look: expected
    profit is then its part of the penalty less what selling the position again costs, and its own money limits what it takes. In an
    auction the gain grows as it waits, and whoever is content with less goes first.
    """
    if venue[0].liquidatable == 0:
        return
    block = venue[0].block
    count = -1
    gas = venue[0].gas_price
    for j in range(members.shape[0]):
        # Scans are a Poisson process. Waiting has no memory, so blocks without work need not be looked at.
        u0, u1, _, _ = four_uniforms(key, block, j, 0)
        if members[j].wait > 0.0 and u0 >= -math.expm1(-1.0 / members[j].wait):
            continue
        i = members[j].row
        members[j].won += accounts[i].rewards - members[j].rewards
        members[j].rewards = accounts[i].rewards
        members[j].budget -= accounts[i].gas - members[j].gas
        members[j].gas = accounts[i].gas
        success = 1.0
        if members[j].expected > 0.0:
            success = min((members[j].won + OPTIMISM * gas) / (members[j].expected + OPTIMISM * gas), 1.0)
        sent = 0
        hoped = 0.0
        if count < 0:
            # One list for all who scan in this block; only accounts with work to do are on it, so bystanders change nothing.
            count = 0
            for target in range(accounts.shape[0]):
                if is_liquidatable(accounts[target].equity, accounts[target].maintenance_margin):
                    work[count] = target
                    count += 1
        start = int(u1 * count)
        tempted = False
        room = members[j].leverage * max(accounts[i].equity, 0.0) - carried_notional(positions, markets, i)
        for step in range(count):
            if sent >= members[j].most or members[j].budget < (sent + 1) * gas:
                break
            target = work[(start + step) % count]
            if target == i:
                continue
            # What one transaction closes: one position, drawn by the venue, or all of them.
            closable = 0.0
            open_positions = 0
            for k in range(markets.shape[0]):
                if positions[target, k].lots != 0:
                    notional = abs(positions[target, k].lots) * markets[k].lot * markets[k].mark
                    portion = max(min(terms[0].min_notional, notional), terms[0].max_portion * notional)
                    closable += min(portion, terms[0].max_notional_per_block)
                    open_positions += 1
            if open_positions == 0:
                continue
            if terms[0].all_markets == 0:
                closable /= open_positions
            market = NOBODY
            lots = 0
            share = part = cost = 0.0
            if terms[0].auctioned != 0:
                market, share, closable, part, cost = bid_worth(venue, accounts, positions, markets, terms, i, target, room)
                if market == NOBODY or (members[j].stride != 0 and open_positions > 1):
                    continue
            elif terms[0].taken_by_keeper != 0:
                market, lots, part, cost = takeover_target(accounts, positions, markets, terms, i, target, room)
                if market == NOBODY:
                    continue
                closable = lots * markets[market].lot * markets[market].mark
            reward = owed_reward(venue, terms, closable, gas) + part
            tempted = True
            worth_trying = reward >= cost + gas * (1.0 + members[j].margin)
            pays = success * (reward - cost) >= gas * (1.0 + members[j].margin)
            if not pays and not (worth_trying and uniform(key, block, j, 1) < CURIOSITY):
                continue
            account = i if market == NOBODY else i + market * members[j].stride
            if terms[0].auctioned != 0:
                submit_bid(venue, transactions, account, target, share, gas, members[j].latency)
            else:
                submit_takeover(venue, transactions, account, target, market, lots, gas, members[j].latency)
            room -= closable
            sent += 1
            hoped += reward
        if sent > 0:
            members[j].expected = members[j].expected * (1.0 - FORGETTING) + hoped
            members[j].won *= 1.0 - FORGETTING
        elif tempted:
            members[j].offline += 1


class KeeperMemory(NamedTuple):
    """Members, scratch space for the accounts to be liquidated, whether positions are taken over, and their stream."""

    members: Table
    work: NDArray[np.int64]
    takes_over: bool
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class Keepers(Strategy):
    """Liquidation bots, paid by the venue's enforcement rule; where the protocol liquidates by itself they earn nothing.

    Where the liquidator has to take the position over, they do so with their own money, up to `leverage` times their equity, for their part
    of the penalty or, in an auction, once the account is cheap enough to sell it again at a profit; and they sell it on the venue when
    they next look, no further than `reach` beyond its best price.
    """

    scan_seconds: Distribution | float = parameter(LogNormal(median=2.0, sigma=0.5), unit="seconds between scans, mean", least=0.0)
    most_per_scan: Distribution | float = parameter(20.0, unit="transactions", least=1.0)
    profit_margin: Distribution | float = parameter(Uniform(low=0.0, high=1.0), unit="expected profit per USD of gas", least=0.0)
    gas_budget: Distribution | float = parameter(1e9, unit="USD", least=0.0)
    leverage: Distribution | float = parameter(4.0, unit="notional of positions taken over, times equity, at most", least=0.0)
    reach: float = parameter(0.01, unit="fraction beyond the best price", least=0.0, most=1.0, about="of orders that sell them")

    def init(self, recruits: Recruits) -> KeeperMemory:
        state = recruits.state
        wait = recruits.draw("scan", self.scan_seconds) / state.seconds_per_block
        table = recruits.table(KEEPER)
        table["wait"] = wait
        table["most"] = np.rint(recruits.draw("most", self.most_per_scan))
        table["margin"] = recruits.draw("margin", self.profit_margin)
        table["budget"] = recruits.draw("budget", self.gas_budget)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        takes_over = bool(state.liquidation_terms["taken_by_keeper"][0])
        return KeeperMemory(table, np.zeros(state.n_accounts, np.int64), takes_over, recruits.key("keepers"))

    def decide(self, view: View, memory: KeeperMemory) -> None:
        state = view.state
        if memory.takes_over:
            sell_taken_positions(state.venue, state.positions, state.markets, state.transactions, memory.members, self.reach, memory.key)
        if not state.somebody_to_liquidate:
            return
        decide_keepers(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, memory.members, memory.work,
            state.liquidation_terms, memory.key,
        )  # fmt: skip
