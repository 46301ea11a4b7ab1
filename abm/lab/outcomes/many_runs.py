"""The tables of many runs, and what outcomes share of what is made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import polars as pl

from abm.venue_pair import BESIDE

Made = TypeVar("Made")


class ManyRuns:
    """Tables with a leading column `run`, read once however many outcomes need them.

    `runs` are the numbers of the runs that outcomes are wanted of; a table may hold others.
    """

    def __init__(self, tables: Mapping[str, pl.LazyFrame | pl.DataFrame], runs: pl.Series) -> None:
        self._tables = {name: table.lazy() for name, table in tables.items()}
        self.runs = runs.cast(pl.Int32).alias("run").unique(maintain_order=True)
        self._read: dict[str, pl.DataFrame] = {}
        self._made: dict[Callable[[ManyRuns], object], object] = {}

    @functools.cached_property
    def beside(self) -> ManyRuns:
        """The same runs, seen from the second of two venues: its tables by the names that the first venue's have."""
        return ManyRuns({name.removeprefix(BESIDE): self._tables[name] for name in self._tables if name.startswith(BESIDE)}, self.runs)

    def keeps(self, names: Iterable[str]) -> bool:
        """Whether all these tables were kept."""
        return all(name in self._tables for name in names)

    def table(self, name: str) -> pl.DataFrame:
        """A kept table, only the rows of these runs, by run. Raises KeyError for one that was not kept.

        It is sorted and in one piece whether it needs to be or not: Polars adds up rows that it knows to be in order, or that lie
        in several places of memory, in another way, and the last digits should not depend on where the table comes from.
        """
        if name not in self._read:
            rows = self._tables[name].with_columns(pl.col("run").cast(pl.Int32))
            asked = pl.LazyFrame([self.runs])
            kept = rows.join(asked, on="run", how="semi", maintain_order="left")
            self._read[name] = kept.sort("run", maintain_order=True).collect().rechunk().set_sorted("run")
        return self._read[name]

    def make(self, maker: Callable[[ManyRuns], Made]) -> Made:
        """What `maker` makes of these runs; made once."""
        if maker not in self._made:
            self._made[maker] = maker(self)
        return self._made[maker]  # type: ignore[return-value]

    def categories(self, split: str) -> list[str]:
        """Names of the markets or cohorts, in the order of the venue's listings or of the population."""
        column = self.table("markets" if split == "market" else "cohorts")[split]
        listed = column.dtype.categories if isinstance(column.dtype, pl.Enum) else column.unique(maintain_order=True)
        return [name for name in listed.to_list() if name != "none"]
