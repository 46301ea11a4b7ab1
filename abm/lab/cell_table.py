"""What came out of every configuration of a sweep, in one table."""

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
LEGEND = "mean ± half width of its 95 % interval over seeds; n: runs in which it was exercised, where that is not all"


def cell_rows(stored: StoredSweep) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Columns (name, unit) and a row for each configuration: its factors, and mean and interval of the outcomes in question.

    An outcome that was not exercised in some runs says in how many it was; in none of them, it says so.
    """
    names = asked_outcomes(stored, stored.plan.outcomes)
    runs = runs_with(stored, ["cell", "variant", "status", *stored.factors], names)
    several = runs["variant"].n_unique() > 1
    columns = [("variant", "")] if several else []
    columns += [(factor.rsplit(".", 1)[-1], "") for factor in stored.factors]
    columns += [(name, unit_of(name)) for name in names]
    rows = []
    for cell in runs.partition_by("cell", maintain_order=True):
        done = cell.filter(pl.col("status") == DONE)
        row = [str(cell["variant"][0])] if several else []
        row += [_level(cell[factor][0]) for factor in stored.factors]
        rows.append(row + [_mean(done[name], unit_of(name)) for name in names])
    return columns, rows


def cell_lines(stored: StoredSweep, width: int = WIDTH) -> Iterator[str]:
    """`cell_rows` for a terminal; of very many configurations only the first."""
    columns, rows = cell_rows(stored)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, unit in columns:
        outcome = bool(unit)
        table.add_column(f"{name}\n{unit}" if unit else name, justify="right", overflow="fold", no_wrap=not outcome)
    for row in rows[:MOST_CELLS]:
        table.add_row(*row)
    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    yield from (line.rstrip() for line in captured.get().splitlines() if line.strip())
    if len(rows) > MOST_CELLS:
        yield f"and {plural(len(rows) - MOST_CELLS, 'configuration')} more"
    yield LEGEND


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
