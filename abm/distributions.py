"""Distributions of a parameter across the members of a cohort, drawn by inverting their distribution function.

Each member's draw comes from its own address, so adding a member leaves the others as they were.
Where a strategy expects a distribution, a plain number stands for `Constant`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from abm.parameters import Parameters, parameter

Uniforms = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Distribution(Parameters, ABC):
    """A distribution of one number."""

    @abstractmethod
    def quantile(self, uniforms: Uniforms) -> NDArray[np.float64]:
        """The values at probabilities `uniforms` (n,) in [0, 1)."""


@dataclass(frozen=True, kw_only=True)
class Constant(Distribution):
    """Everybody has the same value."""

    value: float = parameter(unit="as the parameter")

    def quantile(self, uniforms: Uniforms) -> NDArray[np.float64]:
        return np.full(len(uniforms), self.value)


@dataclass(frozen=True, kw_only=True)
class Uniform(Distribution):
    """Equally likely anywhere between `low` and `high`."""

    low: float = parameter(unit="as the parameter")
    high: float = parameter(unit="as the parameter")

    def inconsistencies(self) -> list[str]:
        return [] if self.low <= self.high else [f"Uniform: low {self.low:g} is above high {self.high:g}"]

    def quantile(self, uniforms: Uniforms) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self.low + (self.high - self.low) * uniforms
        return values


@dataclass(frozen=True, kw_only=True)
class LogNormal(Distribution):
    """exp(N(log median, sigma)), cut at `highest`."""

    median: float = parameter(unit="as the parameter", least=1e-300)
    sigma: float = parameter(unit="log units", least=0.0)
    highest: float = parameter(math.inf, unit="as the parameter", least=1e-300)

    def quantile(self, uniforms: Uniforms) -> NDArray[np.float64]:
        inverse = NormalDist().inv_cdf
        draws = [math.exp(self.sigma * inverse(min(max(u, 1e-12), 1 - 1e-12))) for u in uniforms.tolist()]
        values: NDArray[np.float64] = np.minimum(self.median * np.array(draws), self.highest)
        return values


@dataclass(frozen=True, kw_only=True)
class Pareto(Distribution):
    """Power law: P(X > x) = (least / x)^exponent from `lowest` up, cut at `highest`.

    Account sizes on perpetual venues follow one with an exponent of about one.
    """

    lowest: float = parameter(unit="as the parameter", least=1e-300)
    exponent: float = parameter(unit="dimensionless", least=1e-3)
    highest: float = parameter(math.inf, unit="as the parameter", least=1e-300)

    def inconsistencies(self) -> list[str]:
        return [] if self.lowest <= self.highest else [f"Pareto: lowest {self.lowest:g} is above highest {self.highest:g}"]

    def quantile(self, uniforms: Uniforms) -> NDArray[np.float64]:
        draws = [self.lowest * (1.0 - u) ** (-1.0 / self.exponent) for u in uniforms.tolist()]
        values: NDArray[np.float64] = np.minimum(np.array(draws), self.highest)
        return values


def sample(distribution: Distribution | float, uniforms: Uniforms) -> NDArray[np.float64]:
    """Values (n,) of `distribution`, or of the plain number it stands for, at `uniforms` (n,) in [0, 1)."""
    if isinstance(distribution, Distribution):
        return distribution.quantile(uniforms)
    return np.full(len(uniforms), float(distribution))
