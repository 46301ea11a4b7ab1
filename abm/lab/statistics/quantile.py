"""Intervals of a quantile, estimated as Harrell and Davis do: a mean of all order statistics, most of it of those near the place.

Smoother than the sample's own quantile, which is one of its values or lies between two, and so better served by standard errors and
by the bootstrap. Harrell and Davis (1982), Biometrika 69, 635.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.mean import t_multiplier
from abm.lab.statistics.resampling import DRAWS, percentile_t


def quantile(values: ArrayLike, share: float) -> float:
    """Harrell and Davis's `share`-quantile; NaN of nothing."""
    sample = finite_values(values)
    fraction(share, "share")
    return float(quantiles(sample[None], share)[0]) if len(sample) else math.nan


def quantile_t(values: ArrayLike, share: float, *, confidence: float = CONFIDENCE) -> Interval:
    """The `share`-quantile ± t(n - 1) times the standard deviation of an order statistic there, under the sample's own distribution.

    Honest when a few values lie beyond the quantile on either side: n · min(share, 1 - share) of about 5 or more. Maritz and
    Jarrett (1978), JASA 73, 194.
    """
    sample = np.sort(finite_values(values))
    fraction(share, "share")
    fraction(confidence, "confidence")
    method = "t (Harrell-Davis)"
    if len(sample) < 2:
        return unbounded(float(sample[0]) if len(sample) else math.nan, confidence, method)
    weights = _weights(len(sample), share)
    estimate = float(weights @ sample)
    half = t_multiplier(len(sample) - 1, confidence) * math.sqrt(float(weights @ (sample - estimate) ** 2))
    return Interval(estimate, estimate - half, estimate + half, confidence, method)


def quantile_bootstrap(values: ArrayLike, share: float, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Percentile-t bootstrap interval of the `share`-quantile, with jackknife errors."""
    sample = finite_values(values)
    fraction(share, "share")
    return percentile_t(sample, lambda samples: _estimate_and_error(samples, share), confidence=confidence, draws=draws, seed=seed)


def _estimate_and_error(samples: Values, share: float) -> tuple[Values, Values]:
    size = samples.shape[-1]
    if size < 2:
        return quantiles(samples, share), np.full(len(samples), np.nan)
    return quantiles(samples, share), np.sqrt((influences(samples, share) ** 2).sum(axis=-1) / (size * (size - 1)))


def quantiles(samples: Values, share: float) -> Values:
    """The `share`-quantile of each row of `samples`; NaN are padding and do not count. NaN where nothing else is."""
    ordered = np.sort(samples, axis=-1)  # NaN go to the end
    counts = np.count_nonzero(~np.isnan(ordered), axis=-1)
    result = np.full(counts.shape, np.nan)
    for count in np.unique(counts[counts > 0]):
        rows = counts == count
        result[rows] = ordered[rows][:, :count] @ _weights(int(count), share)
    return result


def influences(samples: Values, share: float) -> Values:
    """How far each value pulls the `share`-quantile of its sample, shape of `samples` (samples, n): jackknife, times n - 1.

    The sum of their squares over n (n - 1) is the squared standard error. NaN are padding and pull nothing.
    """
    order = np.argsort(samples, axis=-1)
    ordered = np.take_along_axis(samples, order, axis=-1)
    counts = np.count_nonzero(~np.isnan(ordered), axis=-1)
    pulls = np.zeros_like(samples)
    for count in np.unique(counts[counts > 1]):
        rows = counts == count
        part, weights = ordered[rows][:, :count], _weights(int(count) - 1, share)
        # Without the k-th smallest, those below keep their weight and those above get that of the place one lower.
        below = np.cumsum(part[:, :-1] * weights, axis=-1)
        above = np.cumsum((part[:, 1:] * weights)[:, ::-1], axis=-1)[:, ::-1]
        left_out = np.zeros_like(part)
        left_out[:, 1:] += below
        left_out[:, :-1] += above
        pulls[np.flatnonzero(rows)[:, None], order[rows][:, :count]] = (count - 1) * (left_out.mean(axis=-1, keepdims=True) - left_out)
    return pulls


@lru_cache(maxsize=4096)
def _weights(size: int, share: float) -> Values:
    """Probability that the order statistic at the place of the quantile is the i-th smallest of the sample, shape (size,)."""
    weights = np.diff(betainc((size + 1) * share, (size + 1) * (1.0 - share), np.arange(size + 1) / size))
    weights.setflags(write=False)
    return np.asarray(weights)
