"""What changing one thing does to one outcome: paired differences, and means along a factor, with their intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from abm.lab.comparison import LEAST_DRAWS, MOST_DRAWN
from abm.lab.outcomes import find
from abm.lab.statistics.dose_response import slope
from abm.lab.statistics.interval import CONFIDENCE, Interval, unbounded
from abm.lab.statistics.mean import mean_t
from abm.lab.statistics.paired import PairedDifference, paired_difference
from abm.lab.statistics.proportion import wilson
from abm.lab.statistics.quantile import quantile
from abm.lab.statistics.resampling import DRAWS
from abm.lab.sweep_results import Dimension, SweepResults

LEAST_GROUPS = 3  # worlds, below which drawn points rather than worlds are the independent units
MOST_BINS, LEAST_PER_BIN = 8, 6
LEAST_RESAMPLED = 6  # units; of fewer there are so few different resamples that their t ratios say nothing
ROUNDING = 1e-9  # of the values
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A mean difference: second less first."""

    outcome: str
    interval: Interval
    """Of the two that were computed, bootstrap and t: see `cautious`."""
    first: float
    """Mean before, NaN of a line through drawn points."""
    second: float
    pairs: int
    """Pairs of runs that differ in one thing only; runs, for drawn points."""
    units: int
    """Independent ones: worlds."""
    identical: int
    """Pairs whose difference is exactly zero."""
    left_out: int
    """Pairs of which at least one run has no number."""
    detectable: float
    """The difference that would have been found with 80 % power; infinite when it is not known."""

    @property
    def unchanged(self) -> bool:
        """Whether every pair is identical, but for rounding."""
        return self.pairs > 0 and (self.identical == self.pairs or negligible(self.interval, self.first, self.second))

    @property
    def sign(self) -> int:
        """Of the whole interval; 0 when it contains zero, or less than rounding moves it."""
        return 0 if self.unchanged else self.interval.sign


def variant_effect(results: SweepResults, variant: str, outcome: str) -> Effect:
    """A variant against the baseline, pairs at the same point in the same world."""
    compared = results.comparison
    for each in (*compared.differences, *compared.populations) if compared else ():
        if (each.contrast.variant, each.outcome) == (variant, outcome):
            return effect_of(outcome, each.found, each.count.pairs - each.count.exercised)
    first = results.runs.filter(pl.col("variant") == results.baseline)
    second = results.runs.filter(pl.col("variant") == variant)
    return _paired(first, second, outcome, ["point", "seed"])


def factor_effect(results: SweepResults, factor: str, outcome: str, runs: pl.DataFrame | None = None) -> Effect:
    """From the lowest value of a factor to the highest, all else equal where the design crosses it with the others.

    Of drawn points: the straight line through them, times the distance from the lowest value to the highest (of logarithms, where
    the factor has a log scale).
    """
    dimension = results.dimensions[factor]
    rows = results.runs if runs is None else runs
    if results.drawn:
        return _line(rows, dimension, outcome)
    return level_effect(results, factor, outcome, dimension.levels[0], dimension.levels[-1], rows)


def level_effect(results: SweepResults, factor: str, outcome: str, first: Any, second: Any, runs: pl.DataFrame | None = None) -> Effect:
    """From one level of a factor to another."""
    rows = results.runs if runs is None else runs
    others = [name for name in results.dimensions if name != factor] if results.crossed else []
    if not results.crossed:
        rows = rows.group_by("variant", factor, "seed", maintain_order=True).agg(pl.col(outcome).mean())
    on = ["variant", *others, "seed"]
    return _paired(rows.filter(pl.col(factor) == first), rows.filter(pl.col(factor) == second), outcome, on)


def _paired(first: pl.DataFrame, second: pl.DataFrame, outcome: str, on: Sequence[str]) -> Effect:
    """Pairs of equal `on`. Worlds are the independent units; pairs, where there is one world only."""
    columns = [*on, outcome]
    joined = first.select(columns).join(second.select(columns), on=list(on), how="full", coalesce=True, suffix=" after").sort(on)
    pairs = joined.drop_nulls([outcome, f"{outcome} after"])
    groups = pairs["seed"].to_numpy() if joined["seed"].n_unique() > 1 else np.arange(pairs.height)
    draws = max(LEAST_DRAWS, min(DRAWS, MOST_DRAWN // max(1, pairs.height)))
    found = paired_difference(pairs[outcome].to_numpy(), pairs[f"{outcome} after"].to_numpy(), groups=groups, shares=(), draws=draws)
    return effect_of(outcome, found, joined.height - pairs.height)


def effect_of(outcome: str, found: PairedDifference, left_out: int) -> Effect:
    """A paired difference for a reader."""
    return Effect(
        outcome=outcome, interval=cautious(found), first=found.baseline, second=found.variant, pairs=found.pairs, units=found.units,
        identical=found.identical, left_out=left_out, detectable=found.detectable,
    )  # fmt: skip


def negligible(interval: Interval, first: float, second: float) -> bool:
    """Whether a difference is no larger than what the order of a sum changes."""
    return max(abs(interval.low), abs(interval.high)) <= ROUNDING * max(abs(first), abs(second))


def cautious(found: PairedDifference) -> Interval:
    """The bootstrap interval of a mean difference; the t interval where that alone contains zero, or the units are too few to resample."""
    return found.t if found.units < LEAST_RESAMPLED or (found.bootstrap.sign and not found.t.sign) else found.bootstrap


def _nothing(outcome: str, left_out: int) -> Effect:
    return Effect(
        outcome=outcome, interval=unbounded(math.nan, CONFIDENCE, "t"), first=math.nan, second=math.nan, pairs=0, units=0, identical=0,
        left_out=left_out, detectable=math.inf,
    )  # fmt: skip


def _line(runs: pl.DataFrame, dimension: Dimension, outcome: str) -> Effect:
    """The straight line through drawn points; worlds are the units where there are a few, else the points."""
    rows = runs.drop_nulls(outcome)
    left_out, number = runs.height - rows.height, rows.height
    worlds = rows["seed"].n_unique()
    by_world = worlds >= LEAST_GROUPS
    if not by_world:
        rows = rows.group_by("variant", "point", maintain_order=True).agg(pl.col(outcome).mean(), pl.col(dimension.name).first())
    doses = np.array([dimension.position(value) for value in rows[dimension.name]])
    doses = np.log10(doses) if dimension.log else doses
    if len(doses) < 3 or np.ptp(doses) == 0.0:
        return _nothing(outcome, left_out)
    responses = rows[outcome].to_numpy()
    found = slope(doses, responses, groups=rows["seed"].to_numpy() if by_world else None)
    distance = float(np.ptp(doses))
    scaled = Interval(distance * found.estimate, distance * found.low, distance * found.high, found.confidence, found.method)
    same = number if np.ptp(responses) == 0.0 else 0
    return Effect(
        outcome=outcome, interval=scaled, first=math.nan, second=math.nan, pairs=number, units=worlds if by_world else len(responses),
        identical=same, left_out=left_out, detectable=math.inf,
    )  # fmt: skip


def judgement(effect: Effect, better: str) -> str:
    """Better or worse, where one of them is; else higher or lower; empty where chance may have made the difference."""
    if not effect.sign or not better:
        return {1: "higher", -1: "lower"}.get(effect.sign, "")
    return "better" if (effect.sign > 0) == (better == "more") else "worse"


@dataclass(frozen=True, kw_only=True)
class Level:
    """An outcome at one value of a factor, or over a bin of values."""

    value: Any
    """The level; the mean of a bin's values."""
    position: float
    mean: Interval
    quantiles: tuple[float, ...]
    """At `QUANTILES`, over single runs."""
    runs: int
    """With a number."""
    of_runs: int


def curve(runs: pl.DataFrame, dimension: Dimension, outcome: str) -> list[Level]:
    """Means of an outcome along a factor, with intervals over worlds: runs of the same world are averaged first.

    Of drawn points: over bins that hold about the same number of points each, with intervals over points.
    """
    if dimension.levels:
        return [
            _level(group, outcome, value, dimension.position(value), "seed")
            for value in dimension.levels
            if (group := runs.filter(pl.col(dimension.name) == value)).height
        ]
    points = runs.select("point", dimension.name).unique("point").sort(dimension.name, "point")
    bins = max(1, min(MOST_BINS, points.height // LEAST_PER_BIN))
    edges = np.linspace(0, points.height, bins + 1).round().astype(int)
    found = []
    for low, high in itertools.pairwise(edges.tolist()):
        inside = points[low:high]
        values = inside[dimension.name].to_numpy().astype(float)
        middle = float(np.exp(np.log(values).mean())) if dimension.log else float(values.mean())
        group = runs.join(inside.select("point"), on="point", how="semi")
        found.append(_level(group, outcome, middle, middle, "point"))
    return found


def _level(runs: pl.DataFrame, outcome: str, value: Any, position: float, unit: str) -> Level:
    known = runs.drop_nulls(outcome)
    values = known[outcome].to_numpy()
    return Level(
        value=value, position=position, mean=mean_of(known, outcome, unit), quantiles=tuple(quantile(values, share) for share in QUANTILES),
        runs=known.height, of_runs=runs.height,
    )  # fmt: skip


def mean_of(runs: pl.DataFrame, outcome: str, unit: str = "seed") -> Interval:
    """Mean of an outcome with its interval over worlds (or points): runs of the same one are averaged first. NaN of nothing."""
    known = runs.drop_nulls(outcome)
    averages = known.group_by(unit, maintain_order=True).agg(pl.col(outcome).mean())[outcome].to_numpy()
    if len(averages) and np.isin(averages, (0.0, 1.0)).all() and is_event(outcome):
        return wilson(int(averages.sum()), len(averages))
    return mean_t(averages)


def is_event(outcome: str) -> bool:
    """Whether an outcome is 1 or 0: it happened or it did not."""
    return find(outcome).unit == "0 or 1"
