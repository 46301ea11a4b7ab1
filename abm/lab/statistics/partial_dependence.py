"""Partial dependence: the mean of an outcome along one factor, averaged over all others (Friedman 2001, Annals of Statistics 29, 1189)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction
from abm.lab.statistics.mean import mean_t, t_multiplier

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
    sample of Sobol; they are averaged first. Intervals are Student's over groups, with one spread for all bins where a bin has fewer
    than `LEAST_PER_BIN` of them, and wider by the degrees of freedom of the lines. They end at the least and the largest outcome.
    Bins are the values themselves where there are at most `MOST_LEVELS`, else they hold equally many points.
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
    own = places[:, factor]
    each_bin = [bins == each for each in range(number)]
    means = [_group_means(adjusted[among], labels[among]) for among in each_bin]
    return tuple(
        PartialMean(float(own[among].mean()), _limited(interval, values), int(among.sum()), len(group))
        for among, group, interval in zip(each_bin, means, _intervals(means, widening, confidence), strict=True)
    )


def _group_means(values: Values, labels: NDArray[np.intp]) -> Values:
    place = np.unique(labels, return_inverse=True)[1].ravel()
    return np.asarray(np.bincount(place, weights=values) / np.bincount(place))


def _intervals(bins: Sequence[Values], widening: float, confidence: float) -> list[Interval]:
    """Of the mean of each bin: from its own spread, or from that of all bins together where one has too few values for its own."""
    intervals = [mean_t(values, confidence=confidence) for values in bins]
    halves = [each.half_width for each in intervals]
    if min(map(len, bins)) < LEAST_PER_BIN:
        degrees = sum(len(values) - 1 for values in bins)
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in bins)
        reach = t_multiplier(degrees, confidence) * math.sqrt(squares / degrees) if degrees else math.inf
        halves = [reach / math.sqrt(len(values)) for values in bins]
    found = []
    for each, half in zip(intervals, halves, strict=True):
        wide = widening * half if math.isfinite(widening) and math.isfinite(half) else math.inf
        found.append(Interval(each.estimate, each.estimate - wide, each.estimate + wide, confidence, "t over groups"))
    return found


def _limited(interval: Interval, values: Values) -> Interval:
    """A mean lies between the least and the largest value, and so does what is known of it. Ends that are infinite stay so."""
    least, most = float(values.min()), float(values.max())
    estimate = min(max(interval.estimate, least), most)
    if not math.isfinite(interval.half_width):
        return dataclasses.replace(interval, estimate=estimate)
    low, high = min(max(interval.low, least), estimate), max(min(interval.high, most), estimate)
    return dataclasses.replace(interval, estimate=estimate, low=low, high=high)


def _bins(places: Values, groups: int) -> NDArray[np.intp]:
    different, place = np.unique(np.round(places, 12), return_inverse=True)
    if len(different) <= MOST_LEVELS:
        return np.asarray(place.ravel())
    number = max(2, min(MOST_BINS, groups // LEAST_PER_BIN))
    edges = np.quantile(places, np.linspace(0.0, 1.0, number + 1)[1:-1])
    return np.unique(np.searchsorted(edges, places, side="right"), return_inverse=True)[1].ravel()
