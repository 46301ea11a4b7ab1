"""Sweeps whose runs are made up, so that what a report must say of them is known; nothing is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from abm.lab.gathering import empty_tables
from abm.lab.part_files import part_path
from abm.lab.plan import load_plan
from abm.lab.run_rows import FAILED, run_rows
from abm.lab.sweep_results import SweepResults, results_of
from abm.lab.sweep_store import open_sweep, prepare_folder
from tests.lab.sweep_files import BASE, written

Outcomes = Mapping[str, float | None]
Make = Callable[[str, Mapping[str, Any], int], Outcomes | str | None]
"""From variant, factor values and seed to outcomes; a text is the traceback of a run that failed, None a run not made yet."""


def made_folder(folder: Path, sweep: str, make: Make) -> Path:
    """A folder as `abm sweep` leaves it: `sweep` are the tables of the file, every run as `make` says, other outcomes null."""
    plan = load_plan(written(folder / "file", BASE + sweep, "made.toml"))
    out = folder / "made"
    prepare_folder(plan, out)
    rows, values = [], []
    for run in (run for each in plan.rounds for part in plan.parts(each) for run in part.runs):
        cell = plan.cells[run.cell]
        found = make(cell.variant, cell.values, run.seed)
        if found is None:
            continue
        failed = isinstance(found, str)
        status = (FAILED, found, 0) if failed else ("done", None, 60)
        own = (run.number, run.cell, cell.variant, cell.point, run.seed, run.replication)
        rows.append((*own, *cell.values.values(), run.identity, *status))
        values.append({} if failed else found)
    table = run_rows(rows, {factor.name: factor.type for factor in plan.factors})
    names = list(open_sweep(out).columns["runs"])[table.width :]
    assert not {name for each in values for name in each} - set(names), "no such outcome"
    outcomes = [pl.Series(name, [each.get(name) for each in values], pl.Float64) for name in names]
    table.hstack(outcomes).write_parquet(part_path(out, "runs", 0))
    for name, empty in empty_tables(plan.sweep.table.tables, plan.symbols, plan.cohorts).items():
        empty.write_parquet(part_path(out, name, 0))
    return out


def made_results(folder: Path, sweep: str, make: Make) -> SweepResults:
    """The results of `made_folder`."""
    return results_of(open_sweep(made_folder(folder, sweep, make)))
