"""What an outcome is: one number per run, with unit and definition, computed for many runs by one expression."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from abm.lab.outcomes.many_runs import ManyRuns
from abm.venue_pair import BESIDE

Split = Literal["", "market", "cohort", "leverage"]
Together = Literal["", "all", "sum", "mean", "largest"]
Better = Literal["less", "more", ""]

TOGETHER: dict[Together, str] = {
    "": "",
    "all": "computed from all {}s together",
    "sum": "sum over the {}s",
    "mean": "mean over the {}s where it is defined",
    "largest": "largest of the {}s",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One number per run, or one per run and market, cohort or band of leverage.

    A number that a run cannot give is null: the mean delay of liquidations where nobody was liquidated. A count or a sum of
    what did not happen is zero.
    """

    name: str
    """Without a suffix; names of markets, cohorts and bands follow after a dot."""
    unit: str
    definition: str
    source: str
    """The tables it comes from, and where in the literature it does."""
    exercised_by: str
    """What must happen in a run for the number to be one."""
    better: Better = ""
    """What the venue and its traders would rather have; empty where neither is better."""
    split: Split = ""
    """What the suffix names; without it there is one number per run only."""
    together: Together = ""
    """How the number without suffix comes about, where there is one for each market, cohort or band."""
    rows: Callable[[ManyRuns], pl.DataFrame] = dataclasses.field(repr=False, compare=False)
    """Makes rows with the columns `run`, the one that `split` names, and those of `value`, ordered by time within a run."""
    value: pl.Expr = dataclasses.field(repr=False, compare=False)
    """What the rows of one run, or of one run and market, cohort or band, come down to."""
    absent: float | None = None
    """The number of a run that has no rows: zero for counts and sums, null where there is nothing to measure."""
    detail: bool = False
    """Computed only when asked for by name, or with everything."""
    tables: tuple[str, ...] = ()
    """What must have been kept of a run."""
    beside: bool = False
    """Whether it is that of the second of two venues: `rows` are then made of that venue's tables."""

    @property
    def plain(self) -> bool:
        """Whether there is a number without a suffix."""
        return not self.split or bool(self.together)

    @property
    def meaning(self) -> str:
        """The definition, with how the number without suffix comes about."""
        return f"{self.definition}; without a suffix: {TOGETHER[self.together].format(self.split)}" if self.together else self.definition

    @property
    def on_the_venue_beside(self) -> Outcome:
        """The same of the second of two venues."""
        return dataclasses.replace(
            self, name=f"{BESIDE}{self.name}", definition=f"on the venue beside: {self.definition}",
            tables=tuple(f"{BESIDE}{name}" for name in self.tables), beside=True,
        )  # fmt: skip
