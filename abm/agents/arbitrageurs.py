"""Arbitrageurs: they buy where it is cheap and sell where it is dear, hedge outside at once, and have only so much money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.kernels.transactions import submit_spot_order, submit_taker
from abm.parameters import parameter
from abm.state import REDUCE_ONLY, Table

ARBITRAGEUR = [
    ("edge", "f8"),  # fraction of the index it wants beyond all costs before it opens
    ("leverage", "f8"),  # largest notional per USD of equity
    ("order_notional", "f8"),  # USD of one order
    ("financing", "f8"),  # cost of the outside leg over the time it expects to hold, fraction
    ("funding_days", "f8"),  # days of funding at today's rate that it counts on
    ("wait", "f8"),  # mean blocks between looks
]


@kernel
def decide_arbitrageurs(venue, accounts, positions, outside, markets, transactions, spot_orders, members, spot_fee, key):
    """Each member first brings its outside leg in line with its fills, then looks at every market when it wakes.

    It opens a short (bid over index) or a long (ask under index) where the gap exceeds fees on both legs both ways, financing, and its
    edge, less the funding it expects to receive; it closes when the gap has shrunk so far that waiting is worth less than closing.
    A stale quote is the same thing seen faster: a gap that the index has just opened.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        row = members[j].row
        for k in range(markets.shape[0]):
            i = row + k * members[j].stride
            open_hedge = -positions[i, k].lots * markets[k].lot - outside[row, k].size
            if abs(open_hedge) >= markets[k].lot:
                submit_spot_order(venue, spot_orders, row, k, open_hedge)
        if members[j].wakes > block:
            continue
        u0, _, _, _ = four_uniforms(key, block, j, 0)
        members[j].wakes = block + waiting_time(u0, members[j].wait)
        for k in range(markets.shape[0]):
            i = row + k * members[j].stride
            index = markets[k].index
            held = positions[i, k].lots
            fees = accounts[i].taker_fee + spot_fee[k]
            hope = markets[k].funding_per_day * members[j].funding_days
            room = whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage) - abs(held)
            most = max(whole_lots(markets, k, members[j].order_notional), 1)
            bid = markets[k].best_bid * markets[k].tick / index - 1.0
            ask = markets[k].best_ask * markets[k].tick / index - 1.0
            has_bid = markets[k].best_bid > 0
            has_ask = markets[k].best_ask < markets[k].ticks
            # Opening pays fees now and expects to pay them again on the way out.
            short_at = 2.0 * fees + members[j].financing + members[j].edge - hope
            long_at = -(2.0 * fees + members[j].financing + members[j].edge + hope)
            close_short_at = -hope - members[j].edge * 0.5
            close_long_at = -hope + members[j].edge * 0.5
            if held < 0 and has_ask and ask < close_short_at:
                lots = min(-held, most)
                limit = max(int(index * (1.0 + close_short_at) / markets[k].tick), 1)
                submit_taker(venue, transactions, i, k, 1, limit, lots, REDUCE_ONLY, members[j].latency)
            elif held > 0 and has_bid and bid > close_long_at:
                lots = min(held, most)
                limit = min(int(index * (1.0 + close_long_at) / markets[k].tick) + 1, markets[k].ticks - 1)
                submit_taker(venue, transactions, i, k, -1, limit, lots, REDUCE_ONLY, members[j].latency)
            elif held <= 0 and has_bid and bid > short_at and room > 0:
                limit = min(int(index * (1.0 + short_at) / markets[k].tick) + 1, markets[k].ticks - 1)
                submit_taker(venue, transactions, i, k, -1, limit, min(room, most), 0, members[j].latency)
            elif held >= 0 and has_ask and ask < long_at and room > 0:
                limit = max(int(index * (1.0 + long_at) / markets[k].tick), 1)
                submit_taker(venue, transactions, i, k, 1, limit, min(room, most), 0, members[j].latency)


@dataclass(frozen=True, kw_only=True)
class Arbitrageurs(Strategy):
    """Cash-and-carry and stale quotes: the perp against the outside spot market, with financing cost and finite capital.

    The outside leg follows the fills one block later; what it pays in fees, impact and interest is on the outside ledger.
    """

    edge: Distribution | float = parameter(LogNormal(median=0.0004, sigma=0.6), unit="fraction of the index, beyond costs", least=0.0)
    leverage: Distribution | float = parameter(Uniform(low=1.0, high=3.0), unit="notional over equity, at most", least=0.0)
    order_notional: Distribution | float = parameter(LogNormal(median=5_000.0, sigma=0.8, highest=100_000.0), unit="USD per order", least=0.0)
    financing_rate: float = parameter(0.06, unit="fraction per year", least=0.0, most=10.0, about="what it reckons with")
    holding_days: Distribution | float = parameter(Uniform(low=0.2, high=2.0), unit="days it expects to pay interest for", least=0.0)
    funding_hours: Distribution | float = parameter(
        Uniform(low=1.0, high=7.0), unit="hours of the present funding rate it counts on", least=0.0,
        about="a rate whose hourly autocorrelation is 0.85 is worth 1 / 0.15 = 7 of its hours",
    )  # fmt: skip
    look_seconds: Distribution | float = parameter(LogNormal(median=4.0, sigma=0.8), unit="seconds between looks, mean", least=0.0)
    spot_fee: float = parameter(0.0002, unit="fraction of notional it reckons with outside", least=0.0, most=0.1)

    def init(self, recruits: Recruits) -> tuple[Table, np.ndarray, np.uint64]:
        state = recruits.state
        wait = recruits.draw("look", self.look_seconds) / state.seconds_per_block
        table = recruits.table(ARBITRAGEUR, wait)
        table["edge"] = recruits.draw("edge", self.edge)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["order_notional"] = recruits.draw("order notional", self.order_notional)
        table["funding_days"] = recruits.draw("funding", self.funding_hours) / 24.0
        table["financing"] = recruits.draw("holding", self.holding_days) * self.financing_rate / 365.0
        table["wait"] = wait
        return table, np.full(state.n_markets, self.spot_fee), recruits.key("arbitrageurs")

    def decide(self, view: View, memory: tuple[Table, np.ndarray, np.uint64]) -> None:
        state = view.state
        members, spot_fee, key = memory
        decide_arbitrageurs(
            state.venue, state.accounts, state.positions, state.outside, state.markets, state.transactions, state.spot_orders, members,
            spot_fee, key,
        )  # fmt: skip
