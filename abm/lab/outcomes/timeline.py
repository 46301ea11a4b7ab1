"""Times of many runs on one axis, so that one search serves all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """Moments of many runs, or of the markets of many runs: numbers of their tracks, and seconds within each, both ascending."""

    track: NDArray[np.int64]
    seconds: Times

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Timeline:
        """One track per run, from rows ordered by run and time."""
        return cls(rows["run"].to_numpy().astype(np.int64), rows["seconds"].to_numpy())

    @classmethod
    def of_markets(cls, rows: pl.DataFrame, markets: Sequence[str]) -> Timeline:
        """One track per run and market, from rows ordered by run, market and time, markets in the order given."""
        market = rows["market"].cast(pl.Enum(["none", *markets])).to_physical().to_numpy().astype(np.int64)
        return cls(rows["run"].to_numpy() * (len(markets) + 1) + market, rows["seconds"].to_numpy())

    def following(self, track: NDArray[np.int64], seconds: Times) -> NDArray[np.int64]:
        """Row of the first moment of the same track at or after each of the times; -1 where there is none."""
        span = self._span(seconds)
        row = np.searchsorted(self.track * span + self.seconds, track * span + seconds, side="left")
        return np.where(np.append(self.track, -1)[row] == track, row, -1)

    def bounds(self, track: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the first and of the last moment of each of these tracks, which must have some."""
        return np.searchsorted(self.track, track, side="left"), np.searchsorted(self.track, track, side="right") - 1

    def interpolated(self, values: Times, track: NDArray[np.int64], seconds: Times) -> Times:
        """`values` of the moments at other times of the same tracks, in a straight line between the two moments around each."""
        if not len(self.seconds):
            return np.full(len(seconds), np.nan)
        span = self._span(seconds)
        return np.interp(track * span + seconds, self.track * span + self.seconds, values)

    def _span(self, seconds: Times) -> float:
        """Longer than any track, so that tracks laid end to end do not overlap."""
        return 1.0 + float(max(self.seconds.max(initial=0.0), seconds.max(initial=0.0)))
