"""The mean of an outcome along each factor of a sensitivity analysis, averaged over the others, from its stored points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from abm.lab.sensitivity import Sensitivity
from abm.lab.statistics.interval import Interval, Values
from abm.lab.statistics.partial_dependence import partial_dependence
from abm.lab.sweep_results import Dimension, dimension_of
from abm.lab.sweep_words import factor_names


@dataclass(frozen=True)
class Dependence:
    """Along one factor: its values on the axis, and the mean outcome at each."""

    dimension: Dimension
    values: tuple[float, ...]
    means: tuple[Interval, ...]


def dependences(found: Sensitivity) -> tuple[Dependence, ...]:
    """One for each factor, the most important first. Points without the outcome are left out."""
    known = found.table.filter(pl.col(found.outcome).is_not_null())
    words = factor_names(found.records)
    dimensions = [dimension_of(record, words[record["name"]], found.table[record["name"]]) for record in found.records]
    positions = np.column_stack([_positions(each, known[each.name]) for each in dimensions])
    expected = [_expected(record, each) for record, each in zip(found.records, dimensions, strict=True)]
    order = {each.factor: place for place, each in enumerate(found.factors)}
    rows = []
    for number, dimension in enumerate(dimensions):
        means = partial_dependence(
            positions, known[found.outcome].to_numpy(), number, groups=known["group"].to_numpy(), expected=expected,
            confidence=found.confidence,
        )  # fmt: skip
        rows.append(Dependence(dimension, tuple(_value(dimension, each.position) for each in means), tuple(each.mean for each in means)))
    return tuple(sorted(rows, key=lambda each: order[each.dimension.name]))


def _positions(dimension: Dimension, column: pl.Series) -> Values:
    """Values as places from 0 to 1, of logarithms where the axis is logarithmic."""
    return _scaled(dimension, np.array([dimension.position(value) for value in column]))


def _scaled(dimension: Dimension, values: Values) -> Values:
    low, high = _ends(dimension)
    if dimension.log:
        values, low, high = np.log(values), np.log(low), np.log(high)
    return np.asarray((values - low) / ((high - low) or 1.0))


def _value(dimension: Dimension, position: float) -> float:
    """The value at a place: of a bin on a logarithmic axis the geometric mean."""
    low, high = _ends(dimension)
    value = low * (high / low) ** position if dimension.log else low + position * (high - low)
    return float(f"{value:.12g}")


def _ends(dimension: Dimension) -> tuple[float, float]:
    return (dimension.low, dimension.high) if dimension.ordered else (0.0, float(len(dimension.levels) - 1))


def _expected(record: Mapping[str, Any], dimension: Dimension) -> float:
    """The mean place of a factor that is drawn as its range or its levels say."""
    if "low" not in record:
        return float(np.mean(_scaled(dimension, np.array([dimension.position(value) for value in record["values"]]))))
    low, high = float(record["low"]), float(record["high"])
    log = record["scale"] == "log"
    if record["type"] == "int":
        values = np.arange(np.ceil(low), np.floor(high) + 1.0)
        shares = np.log1p(1.0 / values) if log else np.ones(len(values))
        return float(np.average(_scaled(dimension, values), weights=shares))
    middle = np.sqrt(low * high) if log else 0.5 * (low + high)
    return float(_scaled(dimension, np.array([middle]))[0])
