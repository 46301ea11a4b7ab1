"""How long a series remembers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.mean import t_multiplier


def autocorrelation(series: ArrayLike, lags: ArrayLike) -> Values:
    """Correlation of a series with itself `lags` steps earlier, shape of `lags`; NaN for a constant series or a lag that is too long.

    Σ (x_t - mean)(x_{t-k} - mean) / Σ (x_t - mean)²: as usual with n, not n - k, below, so that it never leaves -1 to 1.
    """
    values = finite_values(series, "series")
    steps = np.atleast_1d(np.asarray(lags, dtype=np.intp))
    if (steps < 0).any():
        raise ValueError(f"lags: expected 0 or more, got {steps[steps < 0][0]}")
    if len(values) == 0 or np.ptp(values) == 0.0:
        return np.full(steps.shape, np.nan)
    centred = values - values.mean()
    total = float(centred @ centred)
    return np.array([float(centred[k:] @ centred[: len(centred) - k]) / total if k < len(centred) else np.nan for k in steps])


def autoregression(series: ArrayLike, *, confidence: float = CONFIDENCE) -> Interval:
    """Coefficient φ of x_t = c + φ x_{t-1} + noise by least squares, corrected for its bias of -(1 + 3φ)/n (Kendall 1954)."""
    values = finite_values(series, "series")
    fraction(confidence, "confidence")
    before, after = values[:-1], values[1:]
    if len(after) < 4 or np.ptp(before) == 0.0:
        return unbounded(math.nan, confidence, "AR(1)")
    size = len(after)
    distance = before - before.mean()
    squares = float(distance @ distance)
    raw = float(distance @ after) / squares
    residuals = after - after.mean() - raw * distance
    error = math.sqrt(float(residuals @ residuals) / (size - 2) / squares)
    estimate = raw + (1.0 + 3.0 * raw) / size
    half = t_multiplier(size - 2, confidence) * error
    return Interval(estimate, estimate - half, estimate + half, confidence, "AR(1)")


def half_life(series: ArrayLike, spacing: float = 1.0, *, confidence: float = CONFIDENCE) -> Interval:
    """Time in which an AR(1) series loses half its distance from the mean: spacing · ln 2 / -ln φ.

    spacing: time between two values; the answer is in its unit. 0 for φ <= 0 (gone within a step), infinite for φ >= 1 (never).
    """
    coefficient = autoregression(series, confidence=confidence)
    estimate, low, high = (_half_life(each, spacing) for each in (coefficient.estimate, coefficient.low, coefficient.high))
    return Interval(estimate, low, high, confidence, "AR(1)")


def _half_life(coefficient: float, spacing: float) -> float:
    if math.isnan(coefficient):
        return math.nan
    if coefficient <= 0.0:
        return 0.0
    return spacing * math.log(2.0) / -math.log(coefficient) if coefficient < 1.0 else math.inf
