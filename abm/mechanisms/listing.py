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
    insurance_fund: float = parameter(0.0, unit="USD", least=0.0, about="of an isolated-only market, which has a fund of its own")

    def inconsistencies(self) -> list[str]:
        if not (math.isfinite(self.highest_price) and math.isfinite(self.tick) and math.isfinite(self.lot)):
            return [f"Listing {self.symbol}: tick, lot and highest_price must be finite"]
        if self.insurance_fund > 0.0 and not self.isolated_only:
            return [f"Listing {self.symbol}: only an isolated-only market has an insurance fund of its own"]
        if self.ticks > MOST_TICKS:
            finest = self.highest_price / (MOST_TICKS - 2)
            return [f"Listing {self.symbol}: tick {self.tick:g} gives more than {MOST_TICKS} price levels; use {finest:.3g} or more"]
        return []

    @property
    def ticks(self) -> int:
        """Number of price levels, level 0 (never used) included."""
        return math.ceil(self.highest_price / self.tick) + 1
