"""Whales: one big directional position each, built over a while and held."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, Uniform
from abm.kernels.behaviour import costs_more_than, open_at_index, take, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.parameters import market_weights, parameter
from abm.state import REDUCE_ONLY, Table

WHALE = [
    ("market", "i8"),
    ("side", "i8"),
    ("leverage", "f8"),
    ("enters", "i8"),  # block
    ("leaves", "i8"),  # block
    ("order_share", "f8"),  # of the whole position in one order
    ("wait", "f8"),  # mean blocks between orders
    ("target", "i8"),  # lots, 0 before it has decided
    ("opening", "i8"),  # 2: is to hold its position from the start, 1: has asked for it, 0: lives on
]


@kernel
def decide_whales(venue, accounts, positions, markets, transactions, members, wakes, key, reach, most_premium):
    """Each member that wakes sends one order towards its position, or out of it once its time is over.

    most_premium: fraction of the oracle price beyond which nobody adds to a position but waits.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        if wakes[j] > block or block < members[j].enters:
            continue
        u0, _, _, _ = four_uniforms(key, block, j, 0)
        wakes[j] = block + waiting_time(u0, members[j].wait)
        k = members[j].market
        i = members[j].row + k * members[j].stride
        held = positions[i, k].lots
        if members[j].opening == 1:
            # What the opening did not give is not chased.
            members[j].opening = 0
            members[j].target = held
        if members[j].target == 0 and block < members[j].leaves:
            members[j].target = members[j].side * whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage)
        if members[j].opening == 2 and members[j].target != 0:
            open_at_index(venue, transactions, markets, i, k, members[j].target)
            members[j].opening = 1
            wakes[j] = block + 1
            continue
        goal = members[j].target if block < members[j].leaves else 0
        most = max(int(abs(members[j].target) * members[j].order_share), 1)
        lots = min(max(goal - held, -most), most)
        if lots == 0:
            continue
        if goal != 0 and held * lots >= 0:
            room = whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage) - abs(held)
            if room <= 0:
                members[j].target = held
                continue
            if costs_more_than(markets, k, lots, most_premium):
                continue
        take(venue, transactions, markets, i, k, lots, reach, REDUCE_ONLY if goal == 0 else 0, members[j].latency)


@dataclass(frozen=True, kw_only=True)
class Whales(Strategy):
    """Large leveraged traders. One of them below maintenance margin is more than the near book can take."""

    leverage: Distribution | float = parameter(Uniform(low=2.5, high=6.0), unit="times equity", least=0.0)
    long_share: float = parameter(0.65, unit="probability", least=0.0, most=1.0)
    enter_seconds: Distribution | float = parameter(Uniform(low=600.0, high=14_400.0), unit="seconds from the start", least=0.0)
    opening_share: float = parameter(
        0.6, unit="share of members that hold their position from the first block; the others build it", least=0.0, most=1.0
    )
    leave_seconds: Distribution | float = parameter(math.inf, unit="seconds from the start", least=0.0)
    orders: Distribution | float = parameter(400.0, unit="orders for the whole position", least=1.0)
    between_orders_seconds: Distribution | float = parameter(20.0, unit="seconds, mean", least=0.0)
    market_shares: tuple[float, ...] = parameter((), unit="shares, one per market; empty = equal", least=0.0)
    most_premium: float = parameter(0.001, unit="fraction of the oracle price", least=0.0, about="beyond which it waits to enter")
    reach: float = parameter(0.0003, unit="fraction beyond the best price of the other side", least=0.0, most=0.5)

    def init(self, recruits: Recruits) -> tuple[Table, NDArray[np.int64], np.uint64]:
        state = recruits.state
        seconds = state.seconds_per_block
        table = recruits.table(WHALE)
        shares = np.array(market_weights(self.market_shares, state.n_markets, "Whales.market_shares"))
        table["market"] = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], recruits.uniforms("market"), side="right")
        table["side"] = np.where(recruits.uniforms("side") < self.long_share, 1, -1)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["enters"] = recruits.draw("enter", self.enter_seconds) / seconds
        table["opening"] = np.where(recruits.uniforms("opening") < self.opening_share, 2, 0)
        table["enters"] = np.where(table["opening"] > 0, 0, table["enters"])
        table["leaves"] = np.minimum(recruits.draw("leave", self.leave_seconds) / seconds, 2.0**62)
        table["order_share"] = 1.0 / recruits.draw("orders", self.orders)
        table["wait"] = recruits.draw("between orders", self.between_orders_seconds) / seconds
        return table, recruits.wakes(), recruits.key("whales")

    def decide(self, view: View, memory: tuple[Table, NDArray[np.int64], np.uint64]) -> None:
        state = view.state
        members, wakes, key = memory
        decide_whales(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, members, wakes, key, self.reach,
            self.most_premium,
        )  # fmt: skip
