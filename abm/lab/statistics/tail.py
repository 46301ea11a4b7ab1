"""How heavy a tail is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri

from abm.lab.statistics.interval import CONFIDENCE, Interval, finite_values, fraction


@dataclass(frozen=True)
class TailIndex:
    """P(X > x) falls as x^-index beyond `threshold`, as `count` largest values say; standard_error is index / √count."""

    index: float
    standard_error: float
    threshold: float
    count: int
    interval: Interval


def hill(values: ArrayLike, *, share: float = 0.05, count: int | None = None, confidence: float = CONFIDENCE) -> TailIndex:
    """Hill's estimator from the `count` largest values: 1 / mean of ln(value / next largest value after them).

    count: unless given, the `share` of the values, at least 2. The interval is exact for a Pareto tail, where 2 · count · true index
    / estimate has a chi-squared distribution. Only positive values have a place in a tail; others count as bulk.
    Raises ValueError when fewer than count + 1 values are positive. Hill (1975), Annals of Statistics 3, 1163.
    """
    sample = np.sort(finite_values(values))[::-1]
    fraction(confidence, "confidence")
    used = max(2, math.floor(fraction(share, "share") * len(sample))) if count is None else count
    if used < 2 or used >= len(sample) or sample[used] <= 0.0:
        positive = int(np.count_nonzero(sample > 0.0))
        raise ValueError(f"count: expected at least 2 and fewer than the {positive} positive values, got {used}")
    excess = float(np.log(sample[:used] / sample[used]).mean())
    if excess == 0.0:
        raise ValueError(f"values: the {used + 1} largest are equal, so they have no tail")
    index = 1.0 / excess
    low, high = (index * float(chdtri(2 * used, upper)) / (2.0 * used) for upper in (0.5 + 0.5 * confidence, 0.5 - 0.5 * confidence))
    return TailIndex(index, index / math.sqrt(used), float(sample[used]), used, Interval(index, low, high, confidence, "Hill, chi-squared"))
