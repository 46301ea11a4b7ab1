"""Traders who pyramid: every unrealised profit becomes margin for more of the same position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.agents.base import Recruits, Strategy, View
from abm.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Pyramiders(Strategy):
    """Pyramid on unrealised profit: keep the position at `leverage` times equity while the price goes their way, and never sell.

    Between `enter_seconds` and `stop_seconds` a member looks every `every_seconds` and buys (sells short, with `side` -1) up to
    `leverage` times its equity, at most `most_notional` USD. With L times leverage a price that rises by x multiplies coins by about
    (1 + x)^(L - 1): a small stake becomes most of a market's open interest. Afterwards it does nothing (dYdX v3, YFI, November
    2023). Gain and cost are the cohort's profit; what the fund pays for its positions is `fund_paid`.
    """

    symbol: str = parameter("", unit="market name; empty = the first")
    side: int = parameter(1, unit="+1 long, -1 short", least=-1, most=1)
    leverage: float = parameter(5.0, unit="times equity", least=0.0)
    most_notional: float = parameter(1e12, unit="USD per member", least=0.0)
    reach: float = parameter(0.02, unit="fraction beyond the mark price", least=0.0, most=0.99)
    enter_seconds: float = parameter(0.0, unit="seconds since the start", least=0.0)
    stop_seconds: float = parameter(86_400.0, unit="seconds since the start", least=0.0)
    every_seconds: float = parameter(60.0, unit="seconds between looks", least=0.0)

    def inconsistencies(self) -> list[str]:
        return [f"{type(self).__name__}.side: must be +1 or -1"] if self.side == 0 else []

    def init(self, recruits: Recruits) -> int:
        """Blocks between looks."""
        return recruits.state.blocks(self.every_seconds)

    def decide(self, view: View, every: int) -> None:
        if not self.enter_seconds <= view.seconds < self.stop_seconds or view.block % every != 0:
            return
        market = view.market(self.symbol) if self.symbol else 0
        price = view.price(market)
        full = np.minimum(self.leverage * np.maximum(view.equity(), 0.0), self.most_notional) / price
        gap = full - self.side * view.size(market)
        worth = gap > 1e-3 * full
        view.orders.limit(worth, market, self.side, np.abs(gap), price * (1.0 + self.side * self.reach), immediate_or_cancel=True)
