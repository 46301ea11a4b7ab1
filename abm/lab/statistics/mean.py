"""Intervals of a mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.resampling import DRAWS, percentile_t


def mean_t(values: ArrayLike, *, confidence: float = CONFIDENCE) -> Interval:
    """Student's interval: mean ± t(n - 1) · s / √n. Exact for normal values, near enough for means of many mild ones."""
    sample = finite_values(values)
    fraction(confidence, "confidence")
    if len(sample) < 2:
        return unbounded(float(sample.mean()) if len(sample) else math.nan, confidence, "t")
    mean = float(sample.mean())
    half = t_multiplier(len(sample) - 1, confidence) * spread(sample) / math.sqrt(len(sample))
    return Interval(mean, mean - half, mean + half, confidence, "t")


def t_multiplier(degrees: float, confidence: float = CONFIDENCE) -> float:
    """How many standard errors a two-sided t interval reaches on either side."""
    return float(stdtrit(degrees, 0.5 + 0.5 * confidence))


def spread(sample: Values) -> float:
    """Standard deviation with n - 1; exactly 0 for equal values, whatever rounding says."""
    return 0.0 if np.ptp(sample) == 0.0 else float(sample.std(ddof=1))


def mean_bootstrap(values: ArrayLike, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Percentile-t bootstrap interval of the mean: follows the skewness of the values, as the t interval does not."""
    return percentile_t(finite_values(values), _mean_and_error, confidence=confidence, draws=draws, seed=seed)


def _mean_and_error(samples: Values) -> tuple[Values, Values]:
    size = samples.shape[-1]
    if size < 2:
        return samples.mean(axis=-1), np.full(samples.shape[:-1], np.nan)
    errors = samples.std(axis=-1, ddof=1) / math.sqrt(size)
    return samples.mean(axis=-1), np.where(np.ptp(samples, axis=-1) == 0.0, 0.0, errors)
