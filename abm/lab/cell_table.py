"""What came out of every configuration of a sweep, in one table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from abm.lab.comparison_text import amount
from abm.lab.outcome_columns import asked_outcomes, runs_with, unit_of
from abm.lab.part import DONE
from abm.lab.statistics.mean import mean_t
from abm.lab.sweep_store import StoredSweep
from abm.lab.wording import DASH, plural

WIDTH = 110
MOST_CELLS = 27


def cell_lines(stored: StoredSweep, width: int = WIDTH) -> Iterator[str]:
    """A row for each configuration: its factors, and mean and half width of the 95 % interval of the outcomes in question.

    An outcome that was not exercised in some runs says in how many it was; in none of them, it says so.
    """
    names = asked_outcomes(stored, stored.plan.outcomes)
    runs = runs_with(stored, ["cell", "variant", "status", *stored.factors], names)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    several = runs["variant"].n_unique() > 1
    if several:
        table.add_column("variant")
    for factor in stored.factors:
        table.add_column(factor.rsplit(".", 1)[-1], justify="right", no_wrap=True)
    for name in names:
        table.add_column(f"{name}\n{unit_of(name)}", justify="right", overflow="fold")
    cells = runs.partition_by("cell", maintain_order=True)
    for cell in cells[:MOST_CELLS]:
        own = [str(cell["variant"][0])] if several else []
        done = cell.filter(pl.col("status") == DONE)
        levels = [_level(cell[factor][0]) for factor in stored.factors]
        table.add_row(*own, *levels, *(_mean(done[name], unit_of(name)) for name in names))
    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    yield from (line.rstrip() for line in captured.get().splitlines() if line.strip())
    if len(cells) > MOST_CELLS:
        yield f"and {plural(len(cells) - MOST_CELLS, 'configuration')} more"
    yield "mean ± half width of its 95 % interval over seeds; n: runs in which it was exercised, where that is not all"


def _mean(values: pl.Series, unit: str) -> str:
    known = values.drop_nulls()
    if not known.len():
        return "not exercised"
    interval = mean_t(known.to_numpy())
    text = amount(interval.estimate, unit)
    text += f" ± {amount(interval.half_width, unit)}" if known.len() > 1 else ""
    return text if known.len() == values.len() else f"{text} (n = {known.len()})"


def _level(value: object) -> str:
    if value is None:
        return DASH
    return f"{value:g}" if isinstance(value, float) else str(value)


