"""Takers: retail traders who hold leveraged positions for hours, build them in small orders, and hope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal
from abm.kernels.behaviour import take, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.parameters import parameter
from abm.state import REDUCE_ONLY, Table

TAKER = [
    ("market", "i8"),  # the one this member trades now
    ("target", "i8"),  # lots it wants to hold
    ("closes", "i8"),  # block at which it has had enough
    ("leverage", "f8"),
    ("order_notional", "f8"),  # USD of one order
    ("holding", "f8"),  # mean blocks a position is held
    ("idle", "f8"),  # mean blocks between two positions
    ("long_share", "f8"),  # probability that a new position is long
]


@kernel
def decide_takers(venue, accounts, positions, markets, transactions, members, weights, key, between_orders, reach):
    """Each member that wakes trades one order towards its target, or chooses a new target when it is done.

    weights (m,): cumulative shares of the markets. between_orders: mean blocks between two orders of the same trade.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        if members[j].wakes > block:
            continue
        u0, u1, u2, u3 = four_uniforms(key, block, j, 0)
        k = members[j].market
        i = members[j].row + k * members[j].stride
        held = positions[i, k].lots
        if members[j].closes <= block:
            if members[j].target != 0:
                members[j].target = 0
            elif held == 0:
                k = 0
                while k + 1 < markets.shape[0] and u1 >= weights[k]:
                    k += 1
                members[j].market = k
                i = members[j].row + k * members[j].stride
                held = positions[i, k].lots
                side = 1 if u2 < members[j].long_share else -1
                lots = whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage)
                members[j].target = side * lots
                members[j].closes = block + waiting_time(u3, members[j].holding)
        gap = members[j].target - held
        if gap == 0:
            members[j].wakes = min(block + waiting_time(u0, members[j].idle), max(members[j].closes, block + 1))
            if members[j].target == 0:
                members[j].wakes = block + waiting_time(u0, members[j].idle)
                members[j].closes = members[j].wakes
            continue
        most = max(whole_lots(markets, k, members[j].order_notional), 1)
        lots = min(max(gap, -most), most)
        reduces = held * lots < 0
        if reduces:
            lots = min(max(lots, -abs(held)), abs(held))
        elif abs(members[j].target) > 0 and held * members[j].target >= 0:
            # No more than the account can carry now: a target set before a loss may be out of reach.
            room = whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage) - abs(held)
            if room <= 0:
                members[j].target = held
                members[j].wakes = max(members[j].closes, block + 1)
                continue
            lots = min(max(lots, -room), room)
        take(venue, transactions, markets, i, k, lots, reach, REDUCE_ONLY if reduces else 0, members[j].latency)
        members[j].wakes = block + waiting_time(u0, between_orders)


@dataclass(frozen=True, kw_only=True)
class Takers(Strategy):
    """Retail position takers: heavy-tailed leverage, a bias to the long side, no stops.

    They are the fuel of cascades: positions built near each other's prices with little margin, closed by others.
    """

    leverage: Distribution | float = parameter(LogNormal(median=5.0, sigma=0.7, highest=18.0), unit="times equity", least=0.0)
    long_share: Distribution | float = parameter(0.62, unit="probability", least=0.0, most=1.0)
    holding_seconds: Distribution | float = parameter(
        LogNormal(median=86_400.0, sigma=1.0, highest=864_000.0), unit="seconds", least=1.0
    )
    idle_seconds: Distribution | float = parameter(7_200.0, unit="seconds", least=1.0)
    order_notional: Distribution | float = parameter(
        LogNormal(median=1_000.0, sigma=1.2, highest=50_000.0), unit="USD per order", least=0.0
    )
    between_orders_seconds: float = parameter(40.0, unit="seconds", least=0.0, about="mean, while a position is built or closed")
    market_shares: tuple[float, ...] = parameter((), unit="shares, one per market; empty = equal", least=0.0)
    reach: float = parameter(0.01, unit="fraction beyond the mark price", least=0.0, most=0.5)

    def init(self, recruits: Recruits) -> tuple[Table, Any, np.uint64, float]:
        state = recruits.state
        idle = recruits.draw("idle", self.idle_seconds) / state.seconds_per_block
        table = recruits.table(TAKER, idle)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["long_share"] = recruits.draw("long share", self.long_share)
        table["holding"] = recruits.draw("holding", self.holding_seconds) / state.seconds_per_block
        table["order_notional"] = recruits.draw("order notional", self.order_notional)
        table["idle"] = idle
        shares = np.array(self.market_shares or [1.0] * state.n_markets)
        return table, np.cumsum(shares / shares.sum()), recruits.key("takers"), self.between_orders_seconds / state.seconds_per_block

    def decide(self, view: View, memory: tuple[Table, Any, np.uint64, float]) -> None:
        state = view.state
        members, weights, key, between_orders = memory
        decide_takers(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, members, weights, key, between_orders,
            self.reach,
        )  # fmt: skip
