"""Samples with known answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from abm.lab.statistics.interval import Interval

Values = NDArray[np.float64]
Sampler = Callable[[np.random.Generator], Values]


def coverage(interval: Callable[[Values], Interval], sample: Sampler, truth: float, draws: int = 2_000, seed: int = 1) -> float:
    """Share of samples whose interval contains the truth."""
    generator = np.random.default_rng(seed)
    return sum(interval(sample(generator)).contains(truth) for _ in range(draws)) / draws


def normal(size: int) -> Sampler:
    return lambda generator: generator.standard_normal(size)


def exponential(size: int) -> Sampler:
    return lambda generator: generator.exponential(size=size)


def uniform(size: int) -> Sampler:
    return lambda generator: generator.random(size)


def lognormal(size: int) -> Sampler:
    return lambda generator: np.exp(generator.standard_normal(size))


def hawkes(generator: np.random.Generator, baseline: float, ratio: float, decay: float, duration: float) -> Values:
    """Event times of a Hawkes process: immigrants, and for each event a Poisson number of followers after exponential delays."""
    generation = generator.random(generator.poisson(baseline * duration)) * duration
    found = [generation]
    while len(generation):
        parents = np.repeat(generation, generator.poisson(ratio, len(generation)))
        generation = parents + generator.exponential(1.0 / decay, len(parents))
        generation = generation[generation < duration]
        found.append(generation)
    return np.sort(np.concatenate(found))
