"""What an estimate is worth: the number with the two ends of its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95  # unless asked otherwise
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An `estimate` and the interval from `low` to `high` that covers the truth with probability `confidence`, found by `method`.

    Infinite ends: the values say nothing about that side, as one value says nothing about a spread. NaN: there is no estimate.
    """

    estimate: float
    low: float
    high: float
    confidence: float = CONFIDENCE
    method: str = ""

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return 0.5 * (self.high - self.low)

    def contains(self, number: float) -> bool:
        """Whether `number` lies in the interval, its ends included."""
        return self.low <= number <= self.high

    @property
    def sign(self) -> int:
        """1 or -1 when the whole interval lies above or below zero, otherwise 0."""
        return int(self.low > 0.0) - int(self.high < 0.0)


def unbounded(estimate: float, confidence: float, method: str) -> Interval:
    """The interval of those who know nothing but an estimate, or not even that (NaN)."""
    return Interval(estimate, -math.inf, math.inf, confidence, method)


def finite_values(values: ArrayLike, what: str = "values") -> Values:
    """`values` as an array of shape (n,). Raises ValueError when one is not finite: null and NaN must be left out, and counted, before."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{what}: expected one row of numbers, got an array of {array.ndim} dimensions")
    if not np.isfinite(array).all():
        raise ValueError(f"{what}: expected finite numbers, got {array[~np.isfinite(array)][0]}")
    return array


def fraction(number: float, what: str) -> float:
    """`number` if it lies strictly between 0 and 1. Raises ValueError when not."""
    if not 0.0 < number < 1.0:
        raise ValueError(f"{what}: expected a fraction between 0 and 1, got {number}")
    return float(number)


def joined(intervals: Iterable[Interval]) -> tuple[Values, Values, Values]:
    """Estimates, low and high ends of several intervals as arrays, for bands in figures."""
    rows = [(each.estimate, each.low, each.high) for each in intervals]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
