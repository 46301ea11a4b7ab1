"""Manipulators of a backstop vault: they make a position larger than its margin and let the vault have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.agents.paper_profit import free_money
from abm.parameters import parameter

RETRY = 10  # blocks between two orders: longer than an order takes to arrive


@dataclass(frozen=True, kw_only=True)
class VaultRunners(Strategy):
    """Run into a vault: open a large position, withdraw its margin, and be liquidated into whoever backs the venue.

    From `enter_seconds` to `withdraw_seconds` a member builds a position of `leverage` times the capital that it started with. At
    `withdraw_seconds`, and until `until_seconds` whenever there is something, it withdraws `share` of its free money: equity above
    initial margin, or above the venue's withdrawal floor. Then it does nothing. What it took out is safe from the loss that the vault
    inherits with the position (Hyperliquid, 12 March 2025). Gain and cost are the cohort's profit, the vault's loss that of its cohort.
    """

    symbol: str = parameter("", unit="market name; empty = the first")
    side: int = parameter(1, unit="+1 long, -1 short", least=-1, most=1)
    leverage: float = parameter(10.0, unit="times starting capital", least=0.0)
    reach: float = parameter(0.02, unit="fraction beyond the mark price", least=0.0, most=0.99)
    enter_seconds: float = parameter(0.0, unit="seconds since the start", least=0.0)
    withdraw_seconds: float = parameter(1_800.0, unit="seconds since the start", least=0.0)
    until_seconds: float = parameter(3_600.0, unit="seconds since the start", least=0.0)
    share: float = parameter(1.0, unit="fraction of free money withdrawn", least=0.0, most=1.0)

    def inconsistencies(self) -> list[str]:
        problems = [f"{type(self).__name__}.side: must be +1 or -1"] if self.side == 0 else []
        if not self.enter_seconds <= self.withdraw_seconds <= self.until_seconds:
            problems.append(f"{type(self).__name__}.withdraw_seconds: must lie between enter_seconds and until_seconds")
        return problems

    def init(self, recruits: Recruits) -> NDArray[np.float64]:
        """Coins that each member wants (n,), 0 before it has decided."""
        return np.zeros(recruits.members)

    def decide(self, view: View, wanted: NDArray[np.float64]) -> None:
        if not self.enter_seconds <= view.seconds < self.until_seconds:
            return
        market = view.market(self.symbol) if self.symbol else 0
        if view.seconds >= self.withdraw_seconds:
            money = free_money(view, self.share)
            view.orders.withdraw(money > 0.01, money)
            return
        if not wanted.any():
            wanted[:] = self.side * self.leverage * view.equity() / view.price(market)
        if view.block % RETRY != 0:
            return
        gap = wanted - view.size(market)
        view.orders.limit(
            gap * wanted > 0.0,
            market,
            self.side,
            np.abs(gap),
            view.price(market) * (1.0 + self.side * self.reach),
            immediate_or_cancel=True,
        )
