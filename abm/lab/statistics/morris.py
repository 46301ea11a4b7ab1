"""Morris screening: how far the outcome moves when one factor moves, here and there in the ranges of the others.

Cheap: a handful of evaluations per factor tells which factors matter at all. Morris (1991), Technometrics 33, 161; mean of absolute
effects after Campolongo, Cariboni and Saltelli (2007), Environmental Modelling & Software 22, 1509.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, fraction
from abm.lab.statistics.mean import mean_bootstrap, mean_t, spread
from abm.lab.statistics.resampling import DRAWS
from abm.lab.statistics.sobol import Function, Ranges, scaled

LEVELS = 4


@dataclass(frozen=True)
class MorrisEffect:
    """Effects of one factor: change of the outcome per whole range of the factor.

    mean: signed, with its t interval; size: of absolute values, with a bootstrap interval; deviation: over places, large where the
    effect depends on the other factors or is not linear.
    """

    mean: Interval
    size: Interval
    deviation: float


@dataclass(frozen=True)
class MorrisEffects:
    """One effect for each factor, in order. trajectories: used, `dropped` those left out for an undefined outcome."""

    factors: tuple[MorrisEffect, ...]
    trajectories: int
    dropped: int


def morris_design(factors: int, trajectories: int, seed: int = 0, levels: int = LEVELS) -> Values:
    """Points in the unit cube, shape (trajectories · (factors + 1), factors): walks that move each factor once, in random order.

    Factors have `levels` evenly spaced values, an even number, and move by levels / 2 of the steps between them.
    """
    if trajectories < 2:
        raise ValueError(f"trajectories: expected at least 2, got {trajectories}")
    if levels < 2 or levels % 2:
        raise ValueError(f"levels: expected an even number from 2 on, got {levels}")
    generator = np.random.default_rng(seed)
    step = levels // 2
    points = np.empty((trajectories, factors + 1, factors))
    for walk in points:
        place = generator.integers(0, levels - step, factors)
        upward = generator.integers(0, 2, factors).astype(bool)
        place = np.where(upward, place, place + step)
        walk[0] = place
        for number, factor in enumerate(generator.permutation(factors), 1):
            place = place.copy()
            place[factor] += step if upward[factor] else -step
            walk[number] = place
    return points.reshape(-1, factors) / (levels - 1)


def morris_effects(
    points: Values, outcomes: ArrayLike, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0
) -> MorrisEffects:
    """Effects from the outcomes at the points of `morris_design`.

    A walk with an outcome that is not finite is left out. Raises ValueError when fewer than two remain.
    """
    fraction(confidence, "confidence")
    factors = points.shape[1]
    walks, values = points.reshape(-1, factors + 1, factors), np.asarray(outcomes, dtype=np.float64).reshape(-1, factors + 1)
    sound = np.isfinite(values).all(axis=1)
    if np.count_nonzero(sound) < 2:
        raise ValueError(f"outcomes: expected at least 2 walks without undefined outcomes, got {np.count_nonzero(sound)} of {len(walks)}")
    moves, changes = np.diff(walks[sound], axis=1), np.diff(values[sound], axis=1)
    moved: NDArray[np.intp] = np.abs(moves).argmax(axis=2)
    effects = np.empty((len(moves), factors))
    rows = np.arange(len(moves))[:, None]
    effects[rows, moved] = changes / np.take_along_axis(moves, moved[..., None], axis=2)[..., 0]
    found = tuple(
        MorrisEffect(
            mean_t(effects[:, factor], confidence=confidence),
            mean_bootstrap(np.abs(effects[:, factor]), confidence=confidence, draws=draws, seed=seed),
            spread(effects[:, factor]),
        )
        for factor in range(factors)
    )
    return MorrisEffects(found, len(moves), len(walks) - len(moves))


def morris(
    function: Function, ranges: Ranges, trajectories: int, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0
) -> MorrisEffects:
    """Effects in `function` of factors in `ranges` (low, high), from trajectories · (factors + 1) points at once."""
    points = morris_design(len(ranges), trajectories, seed)
    outcomes = function(scaled(points, ranges))
    return morris_effects(points, outcomes, confidence=confidence, draws=draws, seed=seed)
