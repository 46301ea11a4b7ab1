"""Two ways of doing the same thing in the same worlds: differences pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.statistics.detectable import minimum_detectable_effect
from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.mean import mean_bootstrap, mean_t, spread, t_multiplier
from abm.lab.statistics.quantile import influences, quantiles
from abm.lab.statistics.resampling import DRAWS, percentile_t_and_error
from abm.lab.statistics.signs import SignTest, sign_test, signed_rank_p

SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class QuantileDifference:
    """How much higher the `share`-quantile of the second values is than that of the first."""

    share: float
    baseline: float
    variant: float
    t: Interval
    bootstrap: Interval


@dataclass(frozen=True)
class PairedDifference:
    """Second less first value of each pair. Means are over independent units: pairs, or groups of pairs that share their world.

    pairs, units: how many. identical: pairs whose difference is exactly zero. baseline, variant: mean values. t, bootstrap:
    intervals of the mean difference. deviation: standard deviation of the units' differences. correlation: between the units'
    values; NaN where one side is constant. variance_ratio: variance of the difference of as many unpaired units over that of the
    paired ones, what pairing gains; infinite where all differences are equal, NaN where nothing varies. detectable: mean
    difference that this many units would find with 80 % power at 5 %. signs and signed_rank_p: tests over units.
    """

    pairs: int
    units: int
    identical: int
    baseline: float
    variant: float
    t: Interval
    bootstrap: Interval
    deviation: float
    correlation: float
    variance_ratio: float
    detectable: float
    signs: SignTest
    signed_rank_p: float
    quantiles: tuple[QuantileDifference, ...]


def paired_difference(
    baseline: ArrayLike,
    variant: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    shares: Sequence[float] = SHARES,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    quantile_draws: int | None = None,
    seed: int = 0,
) -> PairedDifference:
    """`variant` less `baseline`, both of shape (pairs,) and in the same order.

    groups: a label for each pair; pairs of the same label are not independent (one seed at several points shares its world), so they
    are averaged into one unit, and resampled together. shares: quantiles to compare, over all pairs. quantile_draws: resamples for
    them, if not as many; 0 for none, and jackknife errors.
    Raises ValueError when lengths differ or a value is not finite.
    """
    first, second = finite_values(baseline, "baseline"), finite_values(variant, "variant")
    if len(first) != len(second):
        raise ValueError(f"variant: expected {len(first)} values, one for each of the baseline, got {len(second)}")
    for share in shares:
        fraction(share, "share")
    unit = np.arange(len(first)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(unit) != len(first):
        raise ValueError(f"groups: expected {len(first)} labels, one for each pair, got {len(unit)}")
    sizes = np.bincount(unit)
    a, b, differences = (np.bincount(unit, weights=each) / sizes for each in (first, second, second - first))
    enough = len(differences) >= 2
    deviation = spread(differences) if enough else math.nan
    table = _by_unit(first, second, unit, sizes)
    return PairedDifference(
        pairs=len(first),
        units=len(differences),
        identical=int(np.count_nonzero(first == second)),
        baseline=float(a.mean()) if len(a) else math.nan,
        variant=float(b.mean()) if len(b) else math.nan,
        t=mean_t(differences, confidence=confidence),
        bootstrap=mean_bootstrap(differences, confidence=confidence, draws=draws, seed=seed),
        deviation=deviation,
        correlation=correlation(a, b),
        variance_ratio=variance_ratio(a, b),
        detectable=minimum_detectable_effect(deviation, len(differences)) if enough else math.inf,
        signs=sign_test(differences),
        signed_rank_p=signed_rank_p(differences),
        quantiles=tuple(
            _quantile_difference(table, share, confidence, draws if quantile_draws is None else quantile_draws, seed) for share in shares
        )
        if len(first)
        else (),
    )


def correlation(first: Values, second: Values) -> float:
    """Pearson's correlation; NaN for fewer than two values or a constant side."""
    if len(first) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return math.nan
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1.0, 1.0))


def variance_ratio(first: Values, second: Values) -> float:
    """(variance of first + variance of second) / variance of their difference: how many times more unpaired runs are needed."""
    if len(first) < 2:
        return math.nan
    unpaired, paired = spread(first) ** 2 + spread(second) ** 2, spread(second - first) ** 2
    return unpaired / paired if paired > 0.0 else math.inf if unpaired > 0.0 else math.nan


def _by_unit(first: Values, second: Values, unit: NDArray[np.intp], sizes: NDArray[np.intp]) -> Values:
    """Pairs as (units, largest unit, 2), padded with NaN."""
    table = np.full((len(sizes), int(sizes.max(initial=0)), 2), np.nan)
    order = np.argsort(unit, kind="stable")
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(unit)) - starts[unit[order]]
    table[unit[order], place, 0] = first[order]
    table[unit[order], place, 1] = second[order]
    return table


def _quantile_difference(table: Values, share: float, confidence: float, draws: int, seed: int) -> QuantileDifference:
    def estimator(samples: Values) -> tuple[Values, Values]:
        """Differences of quantiles and their standard errors: the pulls of all pairs of a unit count as one."""
        count, units = samples.shape[:2]
        first, second = (samples[..., side].reshape(count, -1) for side in (0, 1))
        estimates = quantiles(second, share) - quantiles(first, share)
        if units < 2:
            return estimates, np.full(count, np.nan)
        pulls = (influences(second, share) - influences(first, share)).reshape(count, units, -1).sum(axis=-1)
        pairs = np.count_nonzero(~np.isnan(first), axis=-1)
        return estimates, np.sqrt((pulls**2).sum(axis=-1) * units / (units - 1)) / pairs

    baseline, variant = (float(quantiles(table[..., side].reshape(1, -1), share)[0]) for side in (0, 1))
    if draws == 0:
        estimates, errors = estimator(table[None])
        t = _t_interval(float(estimates[0]), float(errors[0]), len(table), confidence, "t (jackknife)")
        return QuantileDifference(share, baseline, variant, t, t)
    bootstrap, error = percentile_t_and_error(table, estimator, confidence=confidence, draws=draws, seed=seed)
    t = _t_interval(bootstrap.estimate, error, len(table), confidence, "t (bootstrap error)")
    return QuantileDifference(share, baseline, variant, t, bootstrap)


def _t_interval(estimate: float, error: float, units: int, confidence: float, method: str) -> Interval:
    if units < 2:
        return unbounded(estimate, confidence, method)
    half = t_multiplier(units - 1, confidence) * error
    return Interval(estimate, estimate - half, estimate + half, confidence, method)
