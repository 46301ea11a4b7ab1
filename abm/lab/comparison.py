"""What a rule changes: variants, or points, of a sweep against a baseline in the same worlds.

Runs of equal seeds live in the same world whatever their configuration, so they are compared pair by pair: what makes one world
worse than another cancels out. Where an outcome is null a mechanism was not exercised; such pairs are counted, and say nothing
about sizes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from abm.lab.comparison_sides import By, Contrast, Sides, sides_of
from abm.lab.outcome_columns import asked_outcomes, runs_with, unit_of
from abm.lab.statistics.interval import CONFIDENCE
from abm.lab.statistics.multiple import holm
from abm.lab.statistics.paired import SHARES, PairedDifference, paired_difference
from abm.lab.statistics.resampling import DRAWS
from abm.lab.sweep_store import StoredSweep

POPULATIONS = "profit."  # outcomes of each cohort: who gains and who pays
MOST_DRAWN = 20_000_000  # values resampled for one interval of a mean, at most: of many pairs fewer resamples say the same
MOST_SORTED = 2_000_000  # values resampled for one of a quantile
LEAST_DRAWS = 200  # fewer say too little: then quantiles are not resampled at all, and their errors come from the jackknife


@dataclass(frozen=True)
class PairCount:
    """How many pairs of runs there are, and what became of them.

    exercised: with a number on both sides; these are compared. only_baseline, only_other, neither: with a number on one side or none,
    where a mechanism did not come into play. failed: at least one of the runs failed. missing: one of them has not been run.
    """

    pairs: int
    exercised: int
    only_baseline: int
    only_other: int
    neither: int
    failed: int
    missing: int


@dataclass(frozen=True)
class Difference:
    """How an outcome differs between a contrast and its baseline, in the outcome's unit.

    better: "less" or "more", which the venue would rather have, or neither. found: of the pairs in which the outcome was exercised.
    p: of the exact sign test, p_holm: corrected for all outcomes and contrasts of its table that were
    tested.
    """

    outcome: str
    unit: str
    better: str
    contrast: Contrast
    count: PairCount
    found: PairedDifference
    p: float
    p_holm: float

    @property
    def identical(self) -> bool:
        """Whether there are pairs and none differs: the rule never acted on this outcome."""
        return 0 < self.found.pairs == self.found.identical and self.count.only_baseline == self.count.only_other == 0

    @property
    def tested(self) -> bool:
        """Whether there is a difference whose sign can be tested."""
        return self.found.signs.lower + self.found.signs.higher > 0

    @property
    def verdict(self) -> str:
        """Better or worse, else higher or lower, when both intervals of the mean lie on one side of zero; else empty."""
        sign = self.found.bootstrap.sign if self.found.bootstrap.sign == self.found.t.sign else 0
        if not sign or not self.better:
            return {1: "higher", -1: "lower"}.get(sign, "")
        return "better" if (sign > 0) == (self.better == "more") else "worse"


@dataclass(frozen=True)
class Comparison:
    """Differences from a baseline, contrast by contrast and outcome by outcome.

    by: what is compared, "variant", "cell" (a variant at each point) or "point". units: what counts as an independent observation,
    "seeds", or "points" where there is one seed only, and intervals hold for its world. populations: what each cohort gains or
    loses, in a table of its own, and corrected on its own.
    """

    sweep: str
    baseline: str
    by: str
    units: str
    confidence: float
    differences: tuple[Difference, ...]
    populations: tuple[Difference, ...]

    @property
    def contrasts(self) -> list[Contrast]:
        """In order."""
        found: list[Contrast] = []
        for each in (*self.differences, *self.populations):
            if each.contrast not in found:
                found.append(each.contrast)
        return found

    def of(self, contrast: Contrast, *, populations: bool = False) -> list[Difference]:
        """The differences of one contrast."""
        return [each for each in (self.populations if populations else self.differences) if each.contrast == contrast]


def compare(
    stored: StoredSweep,
    baseline: str | int = "",
    outcomes: Sequence[str] | None = None,
    by: By = "",
    *,
    shares: Sequence[float] = SHARES,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compares configurations of a sweep with a baseline, run by run in the same worlds.

    baseline: a variant; or a point, by its number or as "KEY=VALUE", several with commas. Unless given, the baseline of the file.
    outcomes: names, or patterns such as "basis_*"; unless given, those of the file, else all. What cohorts gain and pay is compared
    besides. by: "variant", points together (the default); "cell", variants at each point; "point", points of each variant with
    the baseline's point. shares: quantiles compared. draws, seed: of the bootstrap.

    Seeds are the independent units: a seed's pairs at several points share its world, and are averaged first. With one seed only, its
    points are.

    Raises InputError for a baseline, an outcome or a comparison that the sweep does not have.
    """
    sides = sides_of(stored, baseline, by)
    names = _outcomes(stored, outcomes)
    populations = [name for name in stored.outcomes if name.startswith(POPULATIONS) and name not in names]
    runs = runs_with(stored, ("variant", "point", "seed", "status"), [*names, *populations])
    units = "seeds" if runs["seed"].n_unique() > 1 else "points"

    def differences(columns: Sequence[str], shown: Sequence[float]) -> tuple[Difference, ...]:
        found = []
        for side in sides.contrasts:
            table = _paired(runs, side, sides)
            for name in columns:
                difference = _difference(table, name, side, unit_of(name), units, shown, confidence, draws, seed)
                found.append(difference)
        return _corrected(found)

    return Comparison(
        sweep=stored.plan.name,
        baseline=sides.label,
        by=sides.by,
        units=units,
        confidence=confidence,
        differences=differences(names, shares),
        populations=differences(populations, ()),
    )


def _outcomes(stored: StoredSweep, wanted: Sequence[str] | None) -> list[str]:
    if wanted is None:
        return list(stored.plan.outcomes) or [name for name in stored.outcomes if not name.startswith(POPULATIONS)]
    return asked_outcomes(stored, wanted)


def _corrected(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """With p values corrected for each other. Where no unit differs nothing could have been found, and so nothing is corrected for
    (Tarone 1990, Biometrics 46, 515)."""
    tested = [each for each in found if each.tested]
    adjusted = iter(holm([each.p for each in tested]))
    return tuple(dataclasses.replace(each, p_holm=float(next(adjusted))) if each.tested else each for each in found)


def _paired(runs: pl.DataFrame, side: Contrast, sides: Sides) -> pl.DataFrame:
    """One row per pair that was begun: seed, point, the baseline's columns with the suffix "_of_baseline", and the contrast's."""
    if sides.by == "point":
        of_variant = runs.filter(pl.col("variant") == side.variant)
        first, second = (of_variant.filter(pl.col("point") == point).drop("point") for point in (sides.point, side.point))
        keys = ["seed"]
    else:
        at = pl.lit(True) if side.point is None else pl.col("point") == side.point
        first, second = (runs.filter(at, pl.col("variant") == name) for name in (sides.variant, side.variant))
        keys = ["point", "seed"]
    first = first.drop("variant").rename(lambda name: name if name in keys else f"{name}_of_baseline")
    return second.drop("variant").join(first, on=keys, how="full", coalesce=True).sort(keys)


def _difference(
    table: pl.DataFrame,
    outcome: str,
    side: Contrast,
    unit: str,
    units: str,
    shares: Sequence[float],
    confidence: float,
    draws: int,
    seed: int,
) -> Difference:
    from abm.lab.outcomes import find

    base, other = pl.col(f"{outcome}_of_baseline"), pl.col(outcome)
    there = table.filter(pl.col("status").is_not_null(), pl.col("status_of_baseline").is_not_null())
    done = there.filter(pl.col("status") == "done", pl.col("status_of_baseline") == "done")
    both = done.filter(base.is_not_null(), other.is_not_null())
    count = PairCount(
        pairs=table.height,
        exercised=both.height,
        only_baseline=done.filter(base.is_not_null(), other.is_null()).height,
        only_other=done.filter(base.is_null(), other.is_not_null()).height,
        neither=done.filter(base.is_null(), other.is_null()).height,
        failed=there.height - done.height,
        missing=table.height - there.height,
    )
    groups = both["seed" if units == "seeds" or "point" not in both.columns else "point"]
    found = paired_difference(
        both[f"{outcome}_of_baseline"].to_numpy(),
        both[outcome].to_numpy(),
        groups=groups.to_numpy(),
        shares=shares,
        confidence=confidence,
        draws=max(LEAST_DRAWS, min(draws, MOST_DRAWN // max(1, both.height))) if draws > LEAST_DRAWS else draws,
        quantile_draws=_quantile_draws(both.height, draws),
        seed=seed,
    )
    return Difference(outcome, unit, find(outcome).better, side, count, found, found.signs.p, found.signs.p)


def _quantile_draws(pairs: int, draws: int) -> int:
    affordable = MOST_SORTED // max(1, pairs)
    return min(draws, affordable) if affordable >= min(draws, LEAST_DRAWS) else 0
