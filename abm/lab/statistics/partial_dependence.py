"""Partial dependence: the mean of an outcome along one factor, averaged over all others (Friedman 2001, Annals of Statistics 29, 1189)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.mean import mean_t

MOST_LEVELS = 16  # different values of a factor; more are put together in bins
MOST_BINS, LEAST_PER_BIN = 12, 6  # bins of a factor, and independent groups of points in each


@dataclass(frozen=True)
class PartialMean:
    """position: of the factor, the mean of those of a bin; mean: of the outcome there; points, groups: that it is made of."""

    position: float
    mean: Interval
    points: int
    groups: int


def partial_dependence(
    positions: ArrayLike,
    outcomes: ArrayLike,
    factor: int,
    *,
    groups: ArrayLike | None = None,
    expected: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[PartialMean, ...]:
    """The mean outcome along column `factor` of `positions`, shape (points, factors), at points drawn independently in each factor.

    The part of the other factors that lies on straight lines is taken out by least squares beside a level for each bin, so that the
    curve does not move because a bin happened to hold larger values of another factor: a control variate, whose mean `expected` (of
    each factor's position, 1/2 unless given) is known. groups: points that share coordinates, such as a walk of Morris or a base
    sample of Sobol; they are averaged first. Intervals are Student's over groups, wider by the degrees of freedom of the lines. Means
    and intervals end at the least and the largest outcome. Bins are the values themselves where there are at most `MOST_LEVELS`, else
    they hold equally many points.
    Raises ValueError for shapes that do not fit, and outcomes that are not finite.
    """
    fraction(confidence, "confidence")
    values = finite_values(outcomes, "outcomes")
    places = np.asarray(positions, dtype=np.float64)
    if places.ndim != 2 or len(places) != len(values) or not 0 <= factor < places.shape[1]:
        raise ValueError(f"positions: expected a row for each of {len(values)} outcomes, with column {factor}, got shape {places.shape}")
    if not len(values):
        return ()
    labels = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    centred = places - (0.5 if expected is None else np.asarray(expected, dtype=np.float64))
    bins = _bins(places[:, factor], len(np.unique(labels)))
    number = int(bins.max()) + 1
    others = np.delete(centred, factor, axis=1)
    slopes = np.linalg.lstsq(np.column_stack([np.eye(number)[bins], others]), values, rcond=None)[0][number:]
    adjusted = values - others @ slopes
    free = len(values) - number - others.shape[1]
    widening = math.sqrt((len(values) - number) / free) if free > 0 else math.inf
    limits = float(values.min()), float(values.max())
    own = places[:, factor]
    chosen = (bins == each for each in range(number))
    return tuple(_mean(own[among], adjusted[among], labels[among], widening, limits, confidence) for among in chosen)


def _mean(
    places: Values, values: Values, labels: NDArray[np.intp], widening: float, limits: tuple[float, float], confidence: float
) -> PartialMean:
    names, place = np.unique(labels, return_inverse=True)
    means = np.bincount(place.ravel(), weights=values) / np.bincount(place.ravel())
    interval = mean_t(means, confidence=confidence)
    estimate = min(max(interval.estimate, limits[0]), limits[1])
    half = widening * interval.half_width
    if math.isfinite(half):
        low, high = max(interval.estimate - half, limits[0]), min(interval.estimate + half, limits[1])
        interval = Interval(estimate, min(low, estimate), max(high, estimate), confidence, "t over groups")
    else:
        interval = unbounded(estimate, confidence, "t over groups")
    return PartialMean(float(places.mean()), interval, len(values), len(names))


def _bins(places: Values, groups: int) -> NDArray[np.intp]:
    different, place = np.unique(np.round(places, 12), return_inverse=True)
    if len(different) <= MOST_LEVELS:
        return np.asarray(place.ravel())
    number = max(2, min(MOST_BINS, groups // LEAST_PER_BIN))
    edges = np.quantile(places, np.linspace(0.0, 1.0, number + 1)[1:-1])
    return np.unique(np.searchsorted(edges, places, side="right"), return_inverse=True)[1].ravel()
