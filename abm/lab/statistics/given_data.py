"""First-order sensitivity from points that were drawn for another purpose: how far the mean of the outcome follows one factor.

The share of the outcome's variance between bins of the factor, less what chance alone puts there (epsilon squared; Kelley 1935, PNAS
21, 554). Plischke, Borgonovo and Smith (2013), European Journal of Operational Research 226, 536, on estimators from given data.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.resampling import DRAWS, resamples

LEAST_IN_BIN = 5  # points, so that the spread within a bin is known


def first_order(
    factor: ArrayLike,
    outcomes: ArrayLike,
    *,
    bins: int | None = None,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """First-order Sobol index of a factor from its values (numbers, or names) and the outcomes at independently drawn points.

    bins: of numbers, with equally many points each; unless given as `bins_for` says. Numbers of few different values, and
    names, are their own bins. A curve that bends within a bin costs a little of the index. The interval is a bootstrap over points,
    reflected at the estimate, because resamples are as much above it as it is above the truth (Davison and Hinkley 1997, chapter
    2). On Ishigami's function it covers the index in 91 to 99 % of samples of 200 to 2,000
    points, most for an index of zero. Unbounded with fewer than four points or a constant outcome.
    """
    fraction(confidence, "confidence")
    values = finite_values(outcomes, "outcomes")
    levels = np.asarray(factor)
    if len(levels) != len(values):
        raise ValueError(f"factor: expected {len(values)} values, one for each outcome, got {len(levels)}")
    method = "given data, bootstrap"
    if len(values) < 4 or np.ptp(values) == 0.0:
        return unbounded(math.nan, confidence, method)
    labels = _bins(levels, bins_for(len(values)) if bins is None else bins)
    count = int(labels.max()) + 1
    estimate = float(_share(values[None], labels[None], count)[0])
    drawn = np.concatenate([_share(values[chosen], labels[chosen], count) for chosen in resamples(len(values), draws, seed, 2)])
    low, high = np.quantile(drawn[np.isfinite(drawn)], [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence])
    # The bootstrap world has the raw share between bins as its truth.
    raw = float(_share(values[None], labels[None], count, corrected=False)[0])
    return Interval(estimate, estimate - (float(high) - raw), estimate - (float(low) - raw), confidence, method)


def bins_for(points: int) -> int:
    """How many bins: narrow enough to follow a curve with several bends, wide enough for `LEAST_IN_BIN` points."""
    return max(2, min(points // LEAST_IN_BIN, round(1.3 * math.sqrt(points))))


def _bins(levels: NDArray[np.generic], bins: int) -> NDArray[np.intp]:
    different, place = np.unique(levels, return_inverse=True)
    if levels.dtype.kind not in "fiu" or len(different) <= bins:
        return np.asarray(place.ravel())
    edges = np.quantile(levels.astype(np.float64), np.linspace(0.0, 1.0, bins + 1)[1:-1])
    return np.unique(np.searchsorted(edges, levels.astype(np.float64), side="right"), return_inverse=True)[1].ravel()


def _share(samples: Values, labels: NDArray[np.intp], count: int, corrected: bool = True) -> Values:
    """Epsilon squared of each row: (between - (bins - 1) · mean square within) / total."""
    rows = len(samples)
    flat = (labels + count * np.arange(rows)[:, None]).ravel()
    sizes = np.bincount(flat, minlength=rows * count).reshape(rows, count)
    centred = samples - samples.mean(axis=1, keepdims=True)
    sums = np.bincount(flat, weights=centred.ravel(), minlength=rows * count).reshape(rows, count)
    total = (centred**2).sum(axis=1)
    between = (sums**2 / np.maximum(sizes, 1)).sum(axis=1)
    used = np.count_nonzero(sizes, axis=1)
    within = (total - between) / np.maximum(samples.shape[1] - used, 1)
    share = (
        (between - (used - 1) * within) / np.where(total > 0.0, total, 1.0) if corrected else between / np.where(total > 0.0, total, 1.0)
    )
    return np.where(total > 0.0, share, np.nan)
