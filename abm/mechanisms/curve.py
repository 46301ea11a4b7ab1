"""What venues with a constant-product curve of their own have in common: its depth, its spread, how it moves and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from abm.kernels.virtual_market import CURVE, CURVE_TERMS, show_curves
from abm.mechanisms.clearing import Clearing
from abm.parameters import parameter, per_market
from abm.state import State, Table, empty_table

DAY = 86_400.0  # seconds


@dataclass(frozen=True, kw_only=True)
class CurveClearing(Clearing):
    """Clearing with a curve quote x base = k of virtual dollars and coins, held by an account of the venue.

    Price = peg x quote / base; buying d coins costs peg x quote x d / (base - d), plus `half_spread`. The curve is shown to agents and
    recorder as resting quotes of its account, on `quote_levels` prices a side out to `quote_reach`.
    """

    house: ClassVar[str] = "amm"

    quote_reserve: float | tuple[float, ...] = parameter(
        20e6, unit="virtual USD at the start; one number, or one per market", least=1.0, about="a trade of 0.5 % of it moves the price 1 %"
    )
    half_spread: float = parameter(0.0, unit="fraction of the curve's price", least=0.0, most=0.5)
    repeg_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=30 * DAY, about="0: never")
    repeg_spread: float = parameter(0.05, unit="fraction of the oracle price", least=0.0, most=1e3)
    scale_up: float = parameter(1.001, unit="largest factor on the reserves per change of depth", least=1.0, most=2.0)
    scale_down: float = parameter(0.978, unit="smallest factor on the reserves per change of depth", least=0.5, most=1.0)
    quote_levels: int = parameter(40, unit="price levels a side", least=1, most=1000)
    quote_reach: float = parameter(0.05, unit="fraction of the price", least=1e-6, most=0.9)

    def open_curves(self, state: State) -> tuple[Table, Table]:
        """The curves (m,) at the index price, their quotes shown, and the terms (1,) that they follow; bands and limits are open."""
        price = state.markets["index"]
        depth = np.array(per_market(self.quote_reserve, state.n_markets, f"{type(self).__name__}.quote_reserve"))
        curves = empty_table(state.n_markets, CURVE)
        # Reserves of equal numbers, so that the peg is the price; only peg x quote has a meaning.
        curves["flat_base"] = curves["sqrt_k"] = depth / price
        curves["peg"] = curves["reference"] = price
        terms = empty_table(1, CURVE_TERMS)
        for field in ("half_spread", "repeg_spread", "scale_up", "scale_down"):
            terms[field] = getattr(self, field)
        terms["trade_limit"] = 1.0
        terms["repeg_blocks"] = state.blocks(self.repeg_seconds) if self.repeg_seconds > 0.0 else 0
        terms["levels"] = self.quote_levels
        terms["reach"] = self.quote_reach
        show_curves(
            state.venue, state.accounts, state.positions, state.markets, state.levels, state.bitmap, state.orders, state.expiry, curves,
            terms,
        )  # fmt: skip
        return curves, terms
