"""Whether and how a response follows a dose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression
from scipy.stats import kendalltau, spearmanr

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.mean import mean_t, t_multiplier


@dataclass(frozen=True)
class Trend:
    """Rank correlations of response and dose, from -1 (always falls) to 1 (always rises), with two-sided p; NaN when one is constant."""

    spearman: float
    spearman_p: float
    kendall: float
    kendall_p: float


@dataclass(frozen=True)
class MonotoneFit:
    """The best monotone curve: `responses` at the different `doses`, ascending; `rising` or falling; `share` of variance explained."""

    doses: Values
    responses: Values
    rising: bool
    share: float


def trend(doses: ArrayLike, responses: ArrayLike) -> Trend:
    """Whether responses rise or fall with the dose, by ranks alone: no scale, no straight line. Kendall's tau is tau-b (ties)."""
    x, y = _both(doses, responses)
    if len(x) < 3 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return Trend(math.nan, 1.0, math.nan, 1.0)
    rank, tau = spearmanr(x, y), kendalltau(x, y)
    return Trend(float(rank.statistic), float(rank.pvalue), float(tau.statistic), float(tau.pvalue))


def slope(doses: ArrayLike, responses: ArrayLike, *, groups: ArrayLike | None = None, confidence: float = CONFIDENCE) -> Interval:
    """Slope of the straight line through responses, per unit of dose.

    groups: a label for each response; those of one label share their world. Then a line is drawn through every group, and the
    interval is the t interval of the groups' slopes: a world that is worse at all doses cancels out. Without groups: least squares,
    with an error that holds also where the spread changes with the dose (HC3; MacKinnon and White 1985, Journal of Econometrics 29,
    305).
    """
    x, y = _both(doses, responses)
    fraction(confidence, "confidence")
    if groups is None:
        return _robust_slope(x, y, confidence)
    labels = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(labels) != len(x):
        raise ValueError(f"groups: expected {len(x)} labels, one for each response, got {len(labels)}")
    slopes = [_slope(x[labels == label], y[labels == label]) for label in range(int(labels.max(initial=-1)) + 1)]
    found = mean_t([each for each in slopes if math.isfinite(each)], confidence=confidence)
    return Interval(found.estimate, found.low, found.high, confidence, "slopes of groups, t")


def _slope(x: Values, y: Values) -> float:
    distance = x - x.mean()
    squares = float(distance @ distance)
    return float(distance @ y) / squares if len(x) > 1 and squares > 0.0 else math.nan


def _robust_slope(x: Values, y: Values, confidence: float) -> Interval:
    method = "least squares, HC3"
    estimate = _slope(x, y) if len(x) else math.nan
    if len(x) < 3 or not math.isfinite(estimate):
        return unbounded(estimate, confidence, method)
    distance = x - x.mean()
    squares = float(distance @ distance)
    leverage = 1.0 / len(x) + distance**2 / squares
    residuals = y - y.mean() - estimate * distance
    shrunk = np.maximum(1.0 - leverage, 1e-12)  # an observation that alone decides the slope
    error = math.sqrt(float(np.sum((distance * residuals / shrunk) ** 2))) / squares
    half = t_multiplier(len(x) - 2, confidence) * error
    return Interval(estimate, estimate - half, estimate + half, confidence, method)


def monotone_fit(doses: ArrayLike, responses: ArrayLike, *, rising: bool | None = None) -> MonotoneFit:
    """Isotonic regression: the monotone steps nearest to the responses in squares. rising: unless given, whichever fits better."""
    x, y = _both(doses, responses)
    if len(x) == 0:
        raise ValueError("doses: expected at least one")
    levels, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    weights = counts.astype(np.float64)
    means = np.bincount(place.ravel(), weights=y) / weights
    fits = [_isotonic(levels, means, weights, direction) for direction in ((True, False) if rising is None else (rising,))]
    errors = [float(weights @ (means - fit) ** 2) for fit in fits]
    chosen = int(np.argmin(errors))
    fitted = fits[chosen]
    total = float(np.sum((y - y.mean()) ** 2))
    residual = float(np.sum((y - fitted[place.ravel()]) ** 2))
    upward = rising if rising is not None else chosen == 0
    return MonotoneFit(levels, fitted, upward, 1.0 - residual / total if total > 0.0 else math.nan)


def _isotonic(levels: Values, means: Values, weights: Values, rising: bool) -> Values:
    return np.asarray(isotonic_regression(means, weights=weights, increasing=rising).x)


def _both(doses: ArrayLike, responses: ArrayLike) -> tuple[Values, Values]:
    x, y = finite_values(doses, "doses"), finite_values(responses, "responses")
    if len(x) != len(y):
        raise ValueError(f"responses: expected {len(x)}, one for each dose, got {len(y)}")
    return x, y
