"""Designs: how the values of factors are combined into points."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from abm.lab.errors import InputError
from abm.lab.factors import Factor
from abm.lab.sweep import DRAWN

Point = tuple[Any, ...]
"""One level for each factor, in their order."""

WORDS = {
    "grid": "grid: every value with every other (product)",
    "zip": "zip: first values together, second values together, ... (pairs)",
    "list": "list: the points as the file lists them",
    "random": "random: independent uniform draws",
    "latin_hypercube": "latin_hypercube: each factor's range cut into as many slices as there are points, one point in each",
    "sobol": "sobol: a scrambled Sobol sequence, which fills the space evenly",
}


def expand(design: str, factors: Sequence[Factor], points: int, seed: int) -> list[Point]:
    """The points of a design, in order: for a grid the last factor varies fastest.

    points, seed: how many are drawn and from which stream, for the designs that draw. The same arguments give the same points.

    Raises InputError, without the file, where factors do not suit the design.
    """
    if not factors:
        return [()]
    if design in DRAWN:
        positions = _positions(design, len(factors), points, seed)
        return [tuple(factor.at(position) for factor, position in zip(factors, row, strict=True)) for row in positions]
    vague = [factor for factor in factors if factor.ranged and not factor.steps]
    if vague:
        why = f"a range has no single values for design {design}; add levels, or use {DRAWN[1]}"
        raise InputError(*(f"{factor.place}{why}" for factor in vague))
    levels = [factor.spaced() for factor in factors]
    if design == "grid":
        return list(itertools.product(*levels))
    lengths = {factor.name: len(each) for factor, each in zip(factors, levels, strict=True)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f'sweep.design: "{design}" takes values in pairs, but their numbers differ: {told}')
    return list(zip(*levels, strict=True))


def listed(tables: Sequence[Mapping[str, Any]]) -> tuple[tuple[Factor, ...], list[Point]]:
    """The factors that a list of points varies, and the points.

    Raises InputError, without the file, for points that do not set the same keys.
    """
    names = list(tables[0]) if tables else []
    if not names:
        raise InputError("sweep.points: empty; expected tables that each set the same keys")
    for number, table in enumerate(tables):
        if set(table) != set(names):
            raise InputError(f"sweep.points[{number}]: sets {', '.join(table) or 'nothing'}, expected {', '.join(names)} as point 0 does")
    columns = {name: [table[name] for table in tables] for name in names}
    factors = tuple(Factor(name, (name,), tuple(_distinct(levels))) for name, levels in columns.items())
    return factors, list(zip(*columns.values(), strict=True))


def _distinct(levels: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for level in levels:
        if level not in found:
            found.append(level)
    return found


def _positions(design: str, dimensions: int, points: int, seed: int) -> list[list[float]]:
    """Points in the unit cube."""
    import numpy as np
    from scipy.stats import qmc

    generator = np.random.default_rng(seed)
    if design == "random":
        drawn = generator.random((points, dimensions))
    elif design == "latin_hypercube":
        drawn = qmc.LatinHypercube(dimensions, rng=generator).random(points)
    else:
        drawn = qmc.Sobol(dimensions, rng=generator).random(points)
    positions: list[list[float]] = drawn.tolist()
    return positions
