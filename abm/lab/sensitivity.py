"""Which factors an outcome depends on: Sobol and Morris indices of a sweep's ranges, and first-order indices of results that are there.

The runs behind every point have the same seeds, so that what is divided among the factors is the variance of the mean over these
worlds, not chance between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from abm.lab.errors import InputError, nearest
from abm.lab.evaluation import Evaluator, mean_outcomes, settings_at
from abm.lab.factors import Factor
from abm.lab.outcome_columns import asked_outcomes, runs_with, unit_of
from abm.lab.plan_record import factor_record
from abm.lab.statistics.given_data import first_order
from abm.lab.statistics.interval import CONFIDENCE, Interval, Values
from abm.lab.statistics.morris import morris_design, morris_effects
from abm.lab.statistics.resampling import DRAWS
from abm.lab.statistics.sobol import sobol_design, sobol_indices
from abm.lab.sweep import DRAWN
from abm.lab.sweep_store import StoredSweep

Method = Literal["sobol", "morris"]


@dataclass(frozen=True)
class FactorIndex:
    """What a method says of one factor: intervals by name, those of `abm.lab.sensitivity_store.MEANINGS`; deviation only for Morris."""

    factor: str
    range: str
    indices: dict[str, Interval]
    deviation: float | None = None


@dataclass(frozen=True)
class Sensitivity:
    """The answer of one method for one outcome, factors by falling importance.

    points: at which the outcome is known. dropped: design rows left out, because the outcome was undefined or a run had failed
    there: base samples, walks or points, as the method counts. replications: seeds of each point. table: every point with its number,
    the `group` whose points share coordinates (base sample, walk, or the point itself), factor values, mean outcome, and the number of
    `worlds` in which it was defined. records: of the factors, as in `abm.lab.plan_record`, in the order of the table.
    """

    sweep: str
    variant: str
    method: str
    outcome: str
    unit: str
    points: int
    replications: int
    failed: int
    dropped: int
    confidence: float
    factors: tuple[FactorIndex, ...]
    records: tuple[Mapping[str, Any], ...] = ()
    table: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False)

    @property
    def main(self) -> str:
        """The index that orders the factors."""
        return next(name for name in ("total", "size", "first") if name in self.factors[0].indices)


def sensitivity(
    evaluator: Evaluator,
    factors: Sequence[Factor],
    method: Method,
    samples: int,
    seeds: Sequence[int],
    *,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    design_seed: int = 1,
    records: Sequence[Mapping[str, Any]] = (),
) -> Sensitivity:
    """Evaluates the points of the method's design and computes its indices.

    samples: base samples of Sobol, a power of two, each of number of factors + 2 points; or walks of Morris, of number of factors + 1
    points. records: of the factors, with the units of their fields; without units unless given.
    Raises InputError when the number of samples does not suit the method, or too few points have an outcome.
    """
    count = len(factors)
    with complaint("--"):
        design = sobol_design(count, samples, design_seed) if method == "sobol" else morris_design(count, samples, design_seed)
    values = evaluator.values([settings_at(factors, row) for row in design], seeds)
    outcomes = mean_outcomes(values)
    with complaint(f"{evaluator.folder}: {evaluator.outcome}: "):
        found, dropped = (_sobol if method == "sobol" else _morris)(design, outcomes, factors, confidence, draws)
    return Sensitivity(
        sweep=evaluator.subject.sweep.name,
        variant=evaluator.subject.variant,
        method=method,
        outcome=evaluator.outcome,
        unit=unit_of(evaluator.outcome),
        points=int(np.isfinite(outcomes).sum()),
        replications=len(seeds),
        failed=evaluator.failed,
        dropped=dropped,
        confidence=confidence,
        factors=_ordered(found),
        records=tuple(records or map(factor_record, factors)),
        table=_points(method, factors, design, outcomes, np.isfinite(values).sum(axis=1), evaluator.outcome),
    )


def _points(method: Method, factors: Sequence[Factor], design: Values, outcomes: Values, worlds: Any, outcome: str) -> pl.DataFrame:
    rows = np.arange(len(design))
    columns = {factor.name: [factor.value(factor.at(float(place))) for place in design[:, number]] for number, factor in enumerate(factors)}
    groups = rows % (len(design) // (len(factors) + 2)) if method == "sobol" else rows // (len(factors) + 1)
    table = pl.DataFrame({"point": rows, "group": groups, **columns, outcome: outcomes, "worlds": worlds})
    return table.with_columns(pl.col(outcome).fill_nan(None))


def _sobol(_: Values, outcomes: Values, factors: Sequence[Factor], confidence: float, draws: int) -> tuple[list[FactorIndex], int]:
    found = sobol_indices(outcomes, len(factors), confidence=confidence, draws=draws)
    rows = [
        FactorIndex(factor.name, factor.words(), {"first": each.first, "total": each.total})
        for factor, each in zip(factors, found.factors, strict=True)
    ]
    return rows, found.dropped


def _morris(design: Values, outcomes: Values, factors: Sequence[Factor], confidence: float, draws: int) -> tuple[list[FactorIndex], int]:
    found = morris_effects(design, outcomes, confidence=confidence, draws=draws)
    rows = [
        FactorIndex(factor.name, factor.words(), {"mean": each.mean, "size": each.size}, each.deviation)
        for factor, each in zip(factors, found.factors, strict=True)
    ]
    return rows, found.dropped


def _ordered(found: Sequence[FactorIndex]) -> tuple[FactorIndex, ...]:
    name = next(name for name in ("total", "size", "first") if name in found[0].indices)
    return tuple(sorted(found, key=lambda each: -np.nan_to_num(each.indices[name].estimate, nan=-np.inf)))


def given_data_sensitivity(
    stored: StoredSweep, outcome: str = "", variant: str | None = None, *, confidence: float = CONFIDENCE, draws: int = DRAWS
) -> Sensitivity:
    """First-order indices from the points of a random, Latin hypercube or Sobol design that has been run.

    outcome: the main one of the sweep unless given. variant: its baseline or first one unless given. A point without the outcome in
    any of its runs is left out, and counted.
    Raises InputError for another design, and for an outcome or variant that the sweep does not have.
    """
    plan = stored.plan
    if plan.design not in DRAWN:
        expected = ", ".join(DRAWN)
        raise InputError(f"{stored.folder}: design {plan.design or 'none'} was not drawn; expected {expected}, or a file of ranges")
    if variant is not None and variant not in plan.variants:
        guess = nearest(variant, plan.variants) or f"expected one of {', '.join(filter(None, plan.variants)) or 'none'}"
        raise InputError(f"{stored.folder}: there is no variant {variant!r}; {guess}")
    if not outcome and not plan.outcomes:
        raise InputError(f"{stored.folder}: names no outcome; expected one, such as {', '.join(stored.outcomes[:3])}")
    name = asked_outcomes(stored, [outcome or plan.outcomes[0]])[0]
    chosen = variant if variant is not None else plan.baseline or plan.variants[0]
    runs = runs_with(stored, ("variant", "point", "seed", "status", *stored.factors), [name]).filter(pl.col("variant") == chosen)
    points = runs.group_by("point", maintain_order=True).agg(
        *(pl.col(factor).first() for factor in stored.factors), pl.col(name).mean(), pl.col(name).count().alias("worlds")
    )
    known = points.filter(pl.col(name).is_not_null())
    words = {factor["name"]: factor["words"] for factor in plan.factors}
    values = known[name].to_numpy()
    rows = [
        FactorIndex(factor, words[factor], {"first": first_order(known[factor].to_numpy(), values, confidence=confidence, draws=draws)})
        for factor in stored.factors
    ]
    return Sensitivity(
        sweep=plan.name,
        variant=chosen,
        method="given data",
        outcome=name,
        unit=unit_of(name),
        points=known.height,
        replications=runs["seed"].n_unique(),
        failed=runs.filter(pl.col("status") == "failed").height,
        dropped=points.height - known.height,
        confidence=confidence,
        factors=_ordered(rows),
        records=tuple(plan.factors),
        table=points.with_columns(pl.col("point").alias("group")).select("point", "group", *stored.factors, name, "worlds"),
    )


@contextmanager
def complaint(prefix: str) -> Iterator[None]:
    """Turns the complaint of a statistic about its numbers into one about the user's input."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{prefix}{error}") from error
