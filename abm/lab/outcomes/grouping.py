"""Groups of rows, each added up in the order of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

_WHOLE = "whole"


def by_group(rows: pl.DataFrame, by: Sequence[str | pl.Expr], values: Iterable[pl.Expr] = (), **named: pl.Expr) -> pl.DataFrame:
    """`values` of each group of rows that agree in `by`, groups in the order of their first rows.

    Where all values are sums, means and extremes, Polars would give each thread a part of the rows and add up what the threads
    found, so that the last digits depend on how many there are. A count of different values rules that out.
    """
    grouped = rows.group_by(by, maintain_order=True)
    return grouped.agg(*values, pl.first().n_unique().alias(_WHOLE), **named).drop(_WHOLE)
