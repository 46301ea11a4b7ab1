"""The bootstrap: what other samples might have said, imitated by drawing from the sample with replacement.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 12 and 14. The draws depend on the seed and the size of the
sample alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, fraction, unbounded

DRAWS = 2_000
_BATCH = 4_000_000  # numbers held at once
_LEFT_OUT = 200  # groups of the jackknife, at most: more do not change the acceleration that matters

_CONSTANT = 1e-9  # of the sample's standard error: a resample with less is constant but for rounding

Statistic = Callable[[Values], Values]
"""From an array of samples, shape (samples, n, ...), to one number each, shape (samples,)."""

Estimator = Callable[[Values], tuple[Values, Values]]
"""From an array of samples to an estimate and its standard error of each."""


def resamples(size: int, draws: int, seed: int, width: int = 1) -> Iterator[NDArray[np.intp]]:
    """Which of `size` observations each of `draws` samples consists of, in batches of shape (some draws, size).

    width: how many numbers one observation holds; it bounds the memory of a batch.
    """
    generator = np.random.default_rng([seed, size])
    step = max(1, _BATCH // max(1, size * width))
    for first in range(0, draws, step):
        yield generator.integers(0, size, (min(step, draws - first), size))


def replicates(values: Values, statistic: Statistic, draws: int = DRAWS, seed: int = 0) -> Values:
    """`statistic` of `draws` samples drawn from `values`, whose first axis counts independent observations; shape (draws,)."""
    width = max(1, values[:1].size)
    return np.concatenate([statistic(values[chosen]) for chosen in resamples(len(values), draws, seed, width)])


def percentile_t(values: Values, estimator: Estimator, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Student's interval with the quantiles of t taken from resamples, each divided by its own standard error.

    Skewed values move it where a t interval does not follow. Of a few values most of which are equal, some resamples have no error
    and the quantiles are infinite; then it is the `bca` interval, and `method` says so. Hall (1988), Annals of Statistics 16, 927.
    """
    return percentile_t_and_error(values, estimator, confidence=confidence, draws=draws, seed=seed)[0]


def percentile_t_and_error(
    values: Values, estimator: Estimator, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0
) -> tuple[Interval, float]:
    """The interval of `percentile_t` and the bootstrap standard error: the standard deviation of the resamples' estimates."""
    fraction(confidence, "confidence")
    method = "bootstrap (percentile-t)"
    if len(values) == 0:
        return unbounded(np.nan, confidence, method), np.nan
    estimates, errors = estimator(values[None])
    estimate, error = float(estimates[0]), float(errors[0])
    if len(values) < 2 or not np.isfinite(error):
        return unbounded(estimate, confidence, method), np.nan
    width = max(1, values[:1].size)
    drawn = [estimator(values[chosen]) for chosen in resamples(len(values), draws, seed, width)]
    estimates, errors = np.concatenate([each[0] for each in drawn]), np.concatenate([each[1] for each in drawn])
    deviation = 0.0 if np.ptp(estimates) == 0.0 else float(estimates.std(ddof=1))
    if error == 0.0 and deviation == 0.0:
        return Interval(estimate, estimate, estimate, confidence, method), 0.0
    known = errors > _CONSTANT * error
    distances = estimates - estimate
    ratios = np.where(known, distances / np.where(known, errors, 1.0), np.copysign(np.inf, distances))
    # Nearest rather than interpolated: between two infinities there is nothing to interpolate.
    ends = np.quantile(ratios, [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence], method="nearest")
    if error == 0.0 or not np.isfinite(ends).all():
        return bca(values, lambda samples: estimator(samples)[0], confidence=confidence, draws=draws, seed=seed), deviation
    return Interval(estimate, estimate - float(ends[1]) * error, estimate - float(ends[0]) * error, confidence, method), deviation


def bca(values: Values, statistic: Statistic, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Bias-corrected and accelerated interval of a statistic of independent observations (first axis of `values`).

    Bias: the share of bootstrap values below the estimate. Acceleration: skewness of the jackknife values over six; of large
    samples, groups of observations are left out at once. Efron (1987), JASA 82, 171.
    """
    fraction(confidence, "confidence")
    method = "bootstrap (BCa)"
    if len(values) == 0:
        return unbounded(np.nan, confidence, method)
    estimate = float(statistic(values[None])[0])
    if len(values) < 2:
        return unbounded(estimate, confidence, method)
    drawn = replicates(values, statistic, draws, seed)
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) == 0:
        return unbounded(estimate, confidence, method)
    below = (np.count_nonzero(drawn < estimate) + 0.5 * np.count_nonzero(drawn == estimate)) / len(drawn)
    bias = float(ndtri(np.clip(below, 0.5 / len(drawn), 1.0 - 0.5 / len(drawn))))
    acceleration = _acceleration(values, statistic)
    ends = ndtri(np.array([0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence]))
    shares = ndtr(bias + (bias + ends) / (1.0 - acceleration * (bias + ends)))
    low, high = np.quantile(drawn, np.clip(shares, 0.0, 1.0))
    return Interval(estimate, float(low), float(high), confidence, method)


def _acceleration(values: Values, statistic: Statistic) -> float:
    groups = np.array_split(np.arange(len(values)), min(len(values), _LEFT_OUT))
    left_out = np.array([statistic(np.delete(values, group, axis=0)[None])[0] for group in groups])
    pull = left_out.mean() - left_out
    spread = float(np.sum(pull**2)) ** 1.5
    skewness = float(np.sum(pull**3)) / (6.0 * spread) if spread > 0.0 else 0.0
    return skewness if np.isfinite(skewness) else 0.0
