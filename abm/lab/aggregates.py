"""A column to a number: Polars gives None for an empty column and a wide type for the rest."""

from __future__ import annotations

from typing import Any

import polars as pl


def number(value: Any) -> float | None:
    """The value as a float; None stays None."""
    return None if value is None else float(value)


def total(column: pl.Series) -> float:
    """Sum; 0 when there is nothing."""
    return float(column.sum())


def lowest(column: pl.Series) -> float:
    """Smallest value of a column that is not empty."""
    return float(column.min())  # type: ignore[arg-type]


def highest(column: pl.Series) -> float:
    """Largest value of a column that is not empty."""
    return float(column.max())  # type: ignore[arg-type]


def lowest_at(column: pl.Series) -> int:
    """Row of the smallest value of a column that is not empty, the first of equals."""
    return int(column.arg_min())  # type: ignore[arg-type]


def highest_at(column: pl.Series) -> int:
    """Row of the largest value of a column that is not empty, the first of equals."""
    return int(column.arg_max())  # type: ignore[arg-type]
