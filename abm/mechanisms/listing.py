"""A market as it is listed: its name and the grid of prices and sizes it trades on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from abm.parameters import Parameters, parameter
from abm.state import MOST_TICKS


@dataclass(frozen=True, kw_only=True)
class Listing(Parameters):
    """One perpetual market, quoted and settled in USD.

    The book has a price level for every tick up to `highest_price`, at most 64^3 = 262,144 of them.
    """

    symbol: str = parameter(unit="name")
    tick: float = parameter(unit="USD per coin", least=1e-12)
    lot: float = parameter(unit="coins", least=1e-12)
    highest_price: float = parameter(unit="USD per coin", least=1e-12)
    isolated_only: bool = parameter(False, unit="yes or no", about="may only be held by accounts that hold nothing else")

    def inconsistencies(self) -> list[str]:
        if not (math.isfinite(self.highest_price) and math.isfinite(self.tick) and math.isfinite(self.lot)):
            return [f"Listing {self.symbol}: tick, lot and highest_price must be finite"]
        if self.ticks > MOST_TICKS:
            finest = self.highest_price / (MOST_TICKS - 2)
            return [f"Listing {self.symbol}: tick {self.tick:g} gives more than {MOST_TICKS} price levels; use {finest:.3g} or more"]
        return []

    @property
    def ticks(self) -> int:
        """Number of price levels, level 0 (never used) included."""
        return math.ceil(self.highest_price / self.tick) + 1
