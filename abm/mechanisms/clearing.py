"""How orders meet."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from abm.kernels.clearing import clear_transactions
from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import State
from abm.streams import stream_key

DYDX_ORDER_LIMITS = ((20.0, 1.0), (100.0, 5.0), (1_000.0, 10.0), (10_000.0, 100.0), (100_000.0, 1_000.0))


@dataclass(frozen=True, kw_only=True)
class Clearing(Rule):
    """How orders meet: each other, or the venue's own account, which is the other side of everybody's trades (`house`)."""

    house: ClassVar[str] = ""  # what the venue's own accounts are called in the record; empty where there are none

    def houses(self, n_markets: int) -> int:
        """How many accounts of its own the venue needs: one per market, or none."""
        return n_markets if self.house else 0

    @abstractmethod
    def clear(self, state: State, memory: Any, count: int) -> None:
        """Called once a block: executes the `count` transactions of `state.sequence[0]` one after another."""


@dataclass(frozen=True, kw_only=True)
class ContinuousBook(Clearing):
    """Price-time priority in a central limit order book, with the collateral of both sides checked at each match (dYdX v4).

    `order_limits` are rows of (equity in USD, resting orders allowed from there on), in rising order; below the first row none are.
    """

    order_limits: tuple[tuple[float, float], ...] = parameter(DYDX_ORDER_LIMITS, unit="(USD of equity, orders)", about="dYdX equity tiers")
    trigger_band: float = parameter(
        0.005, unit="fraction of the oracle price", least=0.0, most=1.0,
        about="conditional orders also trigger on trades, clamped to this distance from the oracle; 0: on the oracle alone",
    )  # fmt: skip

    def inconsistencies(self) -> list[str]:
        equities = [row[0] for row in self.order_limits]
        return [] if equities == sorted(equities) else ["ContinuousBook.order_limits: equities must rise from row to row"]

    def init(self, state: State, seed: int) -> np.uint64:
        state.order_limits = np.array(self.order_limits or [(-np.inf, np.inf)], dtype=np.float64)
        state.markets["trigger_band"] = self.trigger_band
        return stream_key(seed, "liquidated position")

    def clear(self, state: State, memory: np.uint64, count: int) -> None:
        if count == 0:
            return
        clear_transactions(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidated_lots, state.order_limits, state.liquidation_terms, memory, count,
        )  # fmt: skip
