"""Arbitrageurs: they buy where it is cheap and sell where it is dear, hedge outside at once, and have only so much money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import stress, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.kernels.transactions import submit, submit_cancel_all, submit_order, submit_spot_order, submit_taker
from abm.parameters import parameter
from abm.state import BOOK, DEPOSIT, NEVER, NOBODY, POST_ONLY, REDUCE_ONLY, Table

ARBITRAGEUR = [
    ("edge", "f8"),  # fraction of the index it wants beyond all costs before it opens, in calm markets
    ("leverage", "f8"),  # largest notional of all markets per USD of equity
    ("order_notional", "f8"),  # USD of one order
    ("financing", "f8"),  # cost of the outside leg over the time it expects to hold, fraction
    ("funding_days", "f8"),  # days of funding at today's rate that it counts on
    ("wait", "f8"),  # mean blocks between looks
    ("reserve", "f8"),  # USD outside that it can still bring
    ("transfer", "i8"),  # blocks that bringing it takes
    ("expects", "i8"),  # block at which the money on its way arrives
    ("patient", "i8"),  # 1: rests orders inside the spread, 0: only takes
]


@kernel
def decide_arbitrageurs(
    venue, accounts, positions, outside, markets, transactions, spot_orders, members, wakes, quoted, spot_fee, lifetime, recall, worth,
    rests, key,
):  # fmt: skip
    """Each member first brings its outside leg in line with its fills, then looks at every market when it wakes.

    It opens a short (perpetual over index) or a long (under index) where the gap exceeds fees on both legs both ways, financing
    and its edge, less the funding it expects to receive; it closes when the gap is gone. Where the gap pays for taking it takes;
    where it pays only a maker's fee, a patient member rests an order at the price it wants, as near to the other side as that
    allows, for `lifetime` blocks or until the index has moved by the fraction `recall` from `quoted` (members, m), where it was.
    Where nothing can rest (`rests`), the maker's fee is not to be had: it takes on the way in and out, and reckons with that.
    Where a gap pays more than `worth` beyond all costs and the money is used up, it sends for more, which takes its time (Duffie,
    "Asset price dynamics with slow-moving capital", Journal of Finance 65, 2010). A stale quote is the same thing seen faster: a
    gap that the index has just opened. Above usual volatility the edge grows with it.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        row = members[j].row
        for k in range(markets.shape[0]):
            i = row + k * members[j].stride
            open_hedge = -positions[i, k].lots * markets[k].lot - outside[row, k].size
            if abs(open_hedge) >= markets[k].lot:
                submit_spot_order(venue, spot_orders, row, k, open_hedge)
            if accounts[i].open_orders > 0 and abs(markets[k].index - quoted[j, k]) > recall * quoted[j, k] and quoted[j, k] > 0.0:
                wakes[j] = block
        if wakes[j] > block:
            continue
        u0, _, _, _ = four_uniforms(key, block, j, 0)
        wakes[j] = block + waiting_time(u0, members[j].wait)
        gross = 0.0
        for k in range(markets.shape[0]):
            i = row + k * members[j].stride
            quoted[j, k] = 0.0
            gross += abs(positions[i, k].lots) * markets[k].lot * markets[k].mark
            if accounts[i].open_orders > 0 and (k == 0 or members[j].stride > 0):
                submit_cancel_all(venue, transactions, i, NOBODY, members[j].latency)
        for k in range(markets.shape[0]):
            i = row + k * members[j].stride
            index = markets[k].index
            tick = markets[k].tick
            held = positions[i, k].lots
            best_bid = markets[k].best_bid
            best_ask = markets[k].best_ask
            if best_bid == 0 or best_ask == markets[k].ticks:
                continue
            # Under isolated margin each market has a share of the money of its own.
            used = gross if members[j].stride == 0 else abs(held) * markets[k].lot * markets[k].mark
            room = whole_lots(markets, k, max(max(accounts[i].equity, 0.0) * members[j].leverage - used, 0.0))
            most = max(whole_lots(markets, k, members[j].order_notional), 1)
            hope = markets[k].funding_per_day * members[j].funding_days
            edge = members[j].edge * max(stress(markets, k), 1.0)
            patience = accounts[i].maker_fee if rests else accounts[i].taker_fee
            haste = accounts[i].taker_fee - patience
            # Opening pays fees now and expects to pay them again on the way out, with patience.
            toll = 2.0 * (patience + spot_fee[k]) + members[j].financing + edge
            bid = best_bid * tick / index - 1.0
            ask = best_ask * tick / index - 1.0
            side = 0
            lots = min(room, most)
            flags = 0
            wanted = 0.0
            if held < 0 and ask < -hope:
                side, wanted, lots, flags = 1, -hope, min(-held, most), REDUCE_ONLY
            elif held > 0 and bid > -hope:
                side, wanted, lots, flags = -1, -hope, min(held, most), REDUCE_ONLY
            elif held <= 0 and ask > toll - hope:
                side, wanted = -1, toll - hope
            elif held >= 0 and bid < -toll - hope:
                side, wanted = 1, -toll - hope
            gap = -side * (ask if side > 0 else bid) - toll
            if flags == 0 and gap > worth and room < most and members[j].reserve > 0.0 and members[j].expects <= block:
                # A gap that pays and no money left to use it: capital moves, but slowly.
                amount = min(members[j].reserve, max(0.5 * accounts[i].equity, 0.1 * members[j].capital))
                members[j].reserve -= amount
                members[j].expects = block + members[j].transfer
                submit(venue, transactions, DEPOSIT, i, NOBODY, 0, 0, NOBODY, 0, 0, NEVER, 0, amount, 0.0, members[j].transfer)
            if side == 0 or lots <= 0:
                continue
            if side * (ask if side > 0 else bid) < side * (wanted - side * haste):
                limit = int(index * (1.0 + wanted - side * haste) / tick) + (1 if side < 0 else 0)
                limit = min(max(limit, 1), markets[k].ticks - 1)
                submit_taker(venue, transactions, i, k, side, limit, lots, flags, members[j].latency)
            elif members[j].patient != 0 and rests:
                limit = int(index * (1.0 + wanted) / tick) + (1 if side < 0 else 0)
                limit = min(limit, best_ask - 1) if side > 0 else max(limit, best_bid + 1)
                expires = block + members[j].latency + lifetime
                quoted[j, k] = index
                submit_order(venue, transactions, i, k, side, limit, lots, flags | POST_ONLY, expires, members[j].latency)


@dataclass(frozen=True, kw_only=True)
class Arbitrageurs(Strategy):
    """Cash-and-carry and stale quotes: the perp against the outside spot market, with financing cost and finite capital.

    The outside leg follows the fills one block later; what it pays in fees, impact and interest is on the outside ledger.
    """

    edge: Distribution | float = parameter(
        LogNormal(median=0.0002, sigma=1.0), unit="fraction of the index, beyond costs, when calm", least=0.0
    )
    leverage: Distribution | float = parameter(Uniform(low=1.5, high=3.0), unit="notional of all markets over equity, at most", least=0.0)
    order_notional: Distribution | float = parameter(
        LogNormal(median=5_000.0, sigma=0.8, highest=100_000.0), unit="USD per order", least=0.0
    )
    financing_rate: float = parameter(0.06, unit="fraction per year", least=0.0, most=10.0, about="what it reckons with")
    holding_days: Distribution | float = parameter(Uniform(low=0.2, high=2.0), unit="days it expects to pay interest for", least=0.0)
    funding_hours: Distribution | float = parameter(
        Uniform(low=1.0, high=7.0), unit="hours of the present funding rate it counts on", least=0.0,
        about="a rate whose hourly autocorrelation is 0.85 is worth 1 / 0.15 = 7 of its hours",
    )  # fmt: skip
    look_seconds: Distribution | float = parameter(LogNormal(median=6.0, sigma=0.6), unit="seconds between looks, mean", least=0.0)
    reserve: Distribution | float = parameter(0.5, unit="USD outside per USD of capital", least=0.0, about="brought when money runs out")
    transfer_gap: float = parameter(0.002, unit="fraction of the index, beyond costs", least=0.0, about="that makes it send for money")
    transfer_seconds: Distribution | float = parameter(
        LogNormal(median=1_200.0, sigma=0.7), unit="seconds until money sent arrives", least=0.0, most=1e7
    )
    patient_share: float = parameter(0.7, unit="share of members that also rest orders; the others only take", least=0.0, most=1.0)
    lifetime_seconds: float = parameter(10.0, unit="seconds", least=1e-3, about="of a resting order")
    recall_move: float = parameter(0.0001, unit="fraction of the index", least=0.0, most=1.0, about="at which a resting order is recalled")
    spot_fee: float = parameter(0.0001, unit="fraction of notional it reckons with outside", least=0.0, most=0.1)

    def init(self, recruits: Recruits) -> tuple[Table, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], int, np.uint64]:
        state = recruits.state
        wait = recruits.draw("look", self.look_seconds) / state.seconds_per_block
        table = recruits.table(ARBITRAGEUR)
        table["edge"] = recruits.draw("edge", self.edge)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["order_notional"] = recruits.draw("order notional", self.order_notional)
        table["funding_days"] = recruits.draw("funding", self.funding_hours) / 24.0
        table["financing"] = recruits.draw("holding", self.holding_days) * self.financing_rate / 365.0
        table["wait"] = wait
        table["reserve"] = recruits.capital * recruits.draw("reserve", self.reserve)
        table["transfer"] = np.rint(recruits.draw("transfer", self.transfer_seconds) / state.seconds_per_block)
        table["patient"] = recruits.uniforms("patient") < self.patient_share
        quoted = np.zeros((recruits.members, state.n_markets))
        return (
            table,
            recruits.wakes(wait),
            quoted,
            np.full(state.n_markets, self.spot_fee),
            state.blocks(self.lifetime_seconds),
            recruits.key("arbitrageurs"),
        )

    def decide(self, view: View, memory: tuple[Table, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], int, np.uint64]) -> None:
        state = view.state
        members, wakes, quoted, spot_fee, lifetime, key = memory
        decide_arbitrageurs(
            state.venue, state.accounts, state.positions, state.outside, state.markets, state.transactions, state.spot_orders,
            members, wakes, quoted, spot_fee, lifetime, self.recall_move, self.transfer_gap,
            view.offers(BOOK), key,
        )  # fmt: skip
