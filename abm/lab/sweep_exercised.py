"""Which mechanisms the runs of a sweep put to the test: in how many runs each acted. One that never did was not tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from abm.lab.exercised import SMALL_GAP
from abm.lab.sweep_results import SweepResults

ANYTHING = -math.inf  # that the outcome is a number at all


@dataclass(frozen=True)
class Sign:
    """A mechanism acted in a run if this is true of the run's outcomes."""

    mechanism: str
    outcome: str
    above: float = 0.0


SIGNS = (
    Sign("oracle lag", "oracle_gap", SMALL_GAP),
    Sign("liquidation", "liquidated"),
    Sign("cascade", "cascade_count"),
    Sign("liquidation into an empty book", "empty_book_share"),
    Sign("insurance fund pays", "fund_paid"),
    Sign("deleveraging", "deleveraged"),
    Sign("bad debt", "bad_debt_highest"),
    Sign("bad debt at the end", "bad_debt"),
    Sign("socialised loss", "socialised"),
    Sign("withdrawal gate", "withdrawals_blocked_seconds"),
    Sign("trading halt", "halted_seconds"),
    Sign("keepers liquidate", "keeper_delay_median", ANYTHING),
    Sign("funding settled", "funding_mean", ANYTHING),
    Sign("funding flip", "funding_flips"),
)
NEEDED = frozenset(sign.outcome for sign in SIGNS)


@dataclass(frozen=True)
class Exercise:
    """In how many of some runs each mechanism acted, in the order of `SIGNS`; None where no kept table tells."""

    group: str
    runs: int
    acted: tuple[int | None, ...]


def exercise(results: SweepResults, group: str = "all runs", runs: pl.DataFrame | None = None) -> Exercise:
    """Counts over all runs, or over `runs`."""
    rows = results.runs if runs is None else runs
    return Exercise(group, rows.height, tuple(_acted(rows, sign) for sign in SIGNS))


def _acted(runs: pl.DataFrame, sign: Sign) -> int | None:
    if sign.outcome not in runs.columns:
        return None
    return int((runs[sign.outcome] > sign.above).sum())


def exercise_by_cell(results: SweepResults) -> list[Exercise]:
    """One row for each configuration."""
    return [exercise(results, results.cell_text(cell), results.runs.filter(pl.col("cell") == cell["cell"])) for cell in results.plan.cells]


def untested(found: Exercise) -> Sequence[str]:
    """The mechanisms that acted in none of the runs."""
    return [sign.mechanism for sign, number in zip(SIGNS, found.acted, strict=True) if number == 0]
