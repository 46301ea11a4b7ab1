"""The runs of a sweep as its report needs them: those that ended well, with the outcomes that the question is about."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from abm.lab.comparison import Comparison, compare
from abm.lab.outcome_columns import runs_with
from abm.lab.outcomes import Outcome, find
from abm.lab.plan_record import PlanRecord
from abm.lab.profit import PARTS
from abm.lab.run_rows import DONE
from abm.lab.sweep import DRAWN
from abm.lab.sweep_store import StoredSweep
from abm.lab.sweep_words import cell_words, factor_names

USUAL = ("bad_debt_highest", "liquidated", "deleveraged", "mark_fall")
"""Shown where the file names no outcomes."""
MONEY = ("fund_change", "fees", "liquidated")
OWN = ("run", "cell", "variant", "point", "seed", "replication", "blocks")
FEWEST_RATIO = 50.0  # of the largest value of a factor to its smallest, from which on its axis is logarithmic
MOST_LEVELS = 16  # of a factor; more are put together in bins


@dataclass(frozen=True)
class Dimension:
    """A factor for a reader: its words, unit and levels."""

    name: str
    words: str
    unit: str
    about: str
    levels: tuple[Any, ...]
    """As the column has them, numbers ascending. Empty for numbers that were drawn from a range."""
    low: float
    """Smallest value, NaN of names."""
    high: float
    log: bool
    ordered: bool
    """Whether the values are numbers, or labels that read as numbers."""

    def position(self, value: Any) -> float:
        """Where a value stands: the number itself, or the place of a name among the levels."""
        return float(value) if self.ordered else float(self.levels.index(value))


@dataclass(frozen=True)
class SweepResults:
    """Runs of a sweep, and what was asked of them."""

    stored: StoredSweep
    runs: pl.DataFrame
    """Of the runs that ended well, in order: OWN, factors, and outcomes. An outcome that a run does not have is null."""
    ended: int
    failures: pl.DataFrame
    """Of the runs that failed: run, cell, variant, point, seed, error."""
    outcomes: tuple[str, ...]
    """That the question is about, the main one first."""

    @property
    def plan(self) -> PlanRecord:
        """What was asked."""
        return self.stored.plan

    @property
    def main(self) -> str:
        """The main outcome."""
        return self.outcomes[0]

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with: that of the file, else its first; empty where there are no variants."""
        return self.plan.baseline or self.plan.variants[0]

    @property
    def variants(self) -> tuple[str, ...]:
        """Names in the order of the file, the baseline first; one empty name where there are none."""
        return tuple(sorted(self.plan.variants, key=lambda name: name != self.baseline))

    @property
    def others(self) -> tuple[str, ...]:
        """The variants that are compared with the baseline: none where the file has factors and does not say with which."""
        return self.variants[1:] if self.plan.baseline or not self.plan.factors else ()

    @functools.cached_property
    def comparison(self) -> Comparison | None:
        """Every variant against the baseline; None where there is nothing to compare."""
        return compare(self.stored, self.baseline, self.outcomes, shares=()) if self.others and self.runs.height else None

    @property
    def crossed(self) -> bool:
        """Whether every value of a factor was combined with the same values of the others."""
        return self.plan.design == "grid" or len(self.plan.factors) == 1

    @property
    def drawn(self) -> bool:
        """Whether points were drawn, so that hardly any two have the same value of a factor."""
        return self.plan.design in DRAWN

    @functools.cached_property
    def dimensions(self) -> dict[str, Dimension]:
        """The factors by name."""
        words = factor_names(self.plan.factors)
        return {factor["name"]: dimension_of(factor, words[factor["name"]], self.runs[factor["name"]]) for factor in self.plan.factors}

    def cell_text(self, cell: Mapping[str, Any]) -> str:
        """A configuration of the plan in words."""
        return cell_words(cell["variant"], cell["values"], {name: dimension.words for name, dimension in self.dimensions.items()})

    @functools.cached_property
    def seeds(self) -> int:
        """Worlds in which some run ended well."""
        return self.runs["seed"].n_unique()

    def of(self, outcome: str) -> Outcome:
        """The registered outcome that a column is called after."""
        return find(outcome)

    def unit(self, outcome: str) -> str:
        """Of an outcome."""
        return find(outcome).unit

    def defined(self, outcome: str) -> int:
        """In how many runs the outcome is a number."""
        return self.runs.height - self.runs[outcome].null_count()

    def idle(self, outcome: str) -> bool:
        """Whether the outcome is zero or no number in every run: what it measures never happened."""
        return bool((self.runs[outcome].fill_null(0.0) == 0.0).all())


def results_of(stored: StoredSweep) -> SweepResults:
    """Reads the runs of a sweep. Raises InputError when none has ended yet, or a named outcome does not exist."""
    plan, there = stored.plan, stored.outcomes
    asked = tuple(dict.fromkeys(plan.outcomes)) or tuple(name for name in USUAL if name in there)
    wanted = dict.fromkeys([*asked, *(expected["outcome"] for expected in plan.expectations), *_always(there)])
    rows = runs_with(stored, [*OWN, *stored.factors, "status"], list(wanted))
    done = rows.filter(pl.col("status") == DONE).drop("status").sort("run")
    return SweepResults(stored, done, rows.height, stored.failures.sort("run"), asked)


def _always(there: Sequence[str]) -> list[str]:
    """Outcomes that the report needs whatever was asked: who gains, and which mechanisms acted."""
    from abm.lab.sweep_exercised import NEEDED

    bases = {"profit", *(f"profit_{part}" for part in PARTS)}
    return [name for name in there if name in NEEDED or name in MONEY or (name.partition(".")[0] in bases and "." in name)]


def dimension_of(factor: Mapping[str, Any], words: str, column: pl.Series) -> Dimension:
    """A factor from its record in the plan, and the values of it that there are."""
    ranged = "low" in factor
    found = column.drop_nulls().unique()
    levels: tuple[Any, ...] = tuple(found.sort()) if ranged else tuple(dict.fromkeys(factor["values"]))
    ordered = ranged or factor["type"] in ("int", "float") or all(_is_number(level) for level in levels)
    if ordered:
        levels = tuple(sorted(levels, key=float))
    numbers = [float(level) for level in levels] if ordered else []
    if ranged and len(levels) > MOST_LEVELS:
        levels = ()
    low, high = (numbers[0], numbers[-1]) if numbers else (math.nan, math.nan)
    log = factor.get("scale") == "log" or (ordered and not ranged and low > 0.0 and high >= FEWEST_RATIO * low)
    own = len(factor["keys"]) == 1 and factor["type"] != "str"  # else the values are labels, and the field's unit is not theirs
    unit, about = (str(factor["unit"]), str(factor["about"])) if own else ("", "")
    return Dimension(str(factor["name"]), words, unit, about, levels, low, high, log, ordered)


def _is_number(level: Any) -> bool:
    """Whether a level is a number, or a label that reads as one."""
    if isinstance(level, bool):
        return False
    try:
        return math.isfinite(float(level))
    except (TypeError, ValueError):
        return False
