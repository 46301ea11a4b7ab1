"""Sobol indices: which share of an outcome's variance over the ranges of its factors comes from which factor.

First-order: from a factor alone. Total: with everything it does together with others; a factor of total index 0 may be left alone.
Design and estimators: Saltelli et al. (2010), Computer Physics Communications 181, 259; the total index after Jansen (1999).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import qmc

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, fraction
from abm.lab.statistics.resampling import DRAWS, bca

Ranges = Sequence[tuple[float, float]]
Function = Callable[[Values], ArrayLike]
"""From points, shape (points, factors), to an outcome for each."""


@dataclass(frozen=True)
class SobolIndex:
    """First-order and total index of one factor."""

    first: Interval
    total: Interval


@dataclass(frozen=True)
class SobolIndices:
    """One index for each factor, in order. samples: base samples used, `dropped` those left out for an undefined outcome."""

    factors: tuple[SobolIndex, ...]
    samples: int
    dropped: int


def sobol_design(factors: int, samples: int, seed: int = 0) -> Values:
    """Points in the unit cube, shape (samples · (factors + 2), factors): A, B, and for each factor A with its column from B.

    samples: a power of two. The points are those of a scrambled Sobol sequence.
    """
    if samples < 2 or samples & (samples - 1):
        raise ValueError(f"samples: expected a power of two from 2 on, got {samples}")
    drawn = qmc.Sobol(2 * factors, rng=np.random.default_rng(seed)).random(samples)
    first, second = drawn[:, :factors], drawn[:, factors:]
    mixed = np.repeat(first[None], factors, axis=0)
    for factor in range(factors):
        mixed[factor, :, factor] = second[:, factor]
    return np.concatenate([first, second, mixed.reshape(-1, factors)])


def sobol_indices(outcomes: ArrayLike, factors: int, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0) -> SobolIndices:
    """Indices from the outcomes at the points of `sobol_design`, in their order.

    A base sample with an outcome that is not finite at any of its points is left out. Intervals: bootstrap over base samples, a
    little wide because a Sobol sequence fills space more evenly than chance.
    Raises ValueError when fewer than four samples remain, or the outcome never varies.
    """
    fraction(confidence, "confidence")
    values = np.asarray(outcomes, dtype=np.float64)
    if values.ndim != 1 or len(values) % (factors + 2):
        raise ValueError(f"outcomes: expected a multiple of {factors + 2} numbers, as many as the design has points, got {values.shape}")
    table = values.reshape(factors + 2, -1).T  # a row for each base sample: A, B, AB of each factor
    sound = np.isfinite(table).all(axis=1)
    rows = table[sound]
    if len(rows) < 4:
        raise ValueError(f"outcomes: expected at least 4 base samples without undefined outcomes, got {len(rows)} of {len(table)}")
    if np.ptp(rows) == 0.0:
        raise ValueError("outcomes: all are equal, so nothing they depend on can be found")

    def index(estimator: Callable[[Values, Values, Values], Values], factor: int) -> Interval:
        def statistic(samples: Values) -> Values:
            centred = samples - samples[..., :2].mean(axis=(1, 2), keepdims=True)
            a, b, mixed = centred[..., 0], centred[..., 1], centred[..., 2 + factor]
            variance = centred[..., :2].var(axis=(1, 2))
            return np.where(variance > 0.0, estimator(a, b, mixed) / np.where(variance > 0.0, variance, 1.0), np.nan)

        return bca(rows, statistic, confidence=confidence, draws=draws, seed=seed)

    found = tuple(SobolIndex(index(_first, factor), index(_total, factor)) for factor in range(factors))
    return SobolIndices(found, len(rows), len(table) - len(rows))


def _first(a: Values, b: Values, mixed: Values) -> Values:
    return np.asarray((b * (mixed - a)).mean(axis=-1))


def _total(a: Values, b: Values, mixed: Values) -> Values:
    return np.asarray(0.5 * ((a - mixed) ** 2).mean(axis=-1))


def sobol(
    function: Function, ranges: Ranges, samples: int, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0
) -> SobolIndices:
    """Indices of `function` over factors that are uniform in `ranges` (low, high), from samples · (factors + 2) points at once."""
    points = scaled(sobol_design(len(ranges), samples, seed), ranges)
    return sobol_indices(function(points), len(ranges), confidence=confidence, draws=draws, seed=seed)


def scaled(points: Values, ranges: Ranges) -> Values:
    """Points of the unit cube in `ranges`."""
    low, high = np.asarray(ranges, dtype=np.float64).T
    return np.asarray(low + points * (high - low))
