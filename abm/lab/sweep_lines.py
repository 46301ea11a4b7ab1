"""What the dependence on one factor is split by: variants, or the values of another factor."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_words import level_text

MOST_LINES = 6  # more cannot be told apart


@dataclass(frozen=True)
class Lines:
    """What the lines of a figure are: one for each value of a column; one for all runs where the column has no name."""

    column: str
    values: tuple[object, ...]
    words: str
    ordered: bool

    def runs(self, runs: pl.DataFrame, value: object) -> pl.DataFrame:
        """Those of one line."""
        return runs.filter(pl.col(self.column) == value) if self.column else runs

    def text(self, value: object) -> str:
        """One line for a reader: median leverage 10, or a variant's name."""
        return str(value) if self.column == "variant" else f"{self.words} {level_text(value)}"


def lines_of(results: SweepResults, factor: str) -> Lines:
    """Variants, or the values of the first other factor of a grid; at most `MOST_LINES`, else one line."""
    if 1 < len(results.variants) <= MOST_LINES:
        return Lines("variant", results.variants, "variant", False)
    for name, other in results.dimensions.items() if results.crossed else ():
        if name != factor and 1 < len(other.levels) <= MOST_LINES:
            return Lines(name, other.levels, other.words, other.ordered)
    return Lines("", ("",), "", False)
