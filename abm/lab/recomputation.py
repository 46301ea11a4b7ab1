"""Outcomes computed again from the tables that a sweep has kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import polars as pl

from abm.lab.errors import InputError
from abm.lab.folder_lock import locked
from abm.lab.part_files import NEW_RUNS, OLD_RUNS, parquet, part_path, restore_runs
from abm.lab.plan_record import PlanRecord
from abm.lab.run_rows import RUNS, own_columns, with_outcomes
from abm.lab.store import TABLES
from abm.lab.sweep_store import open_sweep, write_columns


def recompute_outcomes(folder: Path) -> tuple[int, int]:
    """Writes all outcomes into the table of runs once more; returns the numbers of runs and of outcomes.

    All parts are replaced at once: interrupted, the folder is as it was.

    Raises InputError when it holds no sweep, a table of a part is missing, or it cannot be written.
    """
    open_sweep(folder)
    with locked(folder):
        return recompute_locked(folder)


def recompute_locked(folder: Path, leave_out_damaged: bool = False) -> tuple[int, int]:
    """As `recompute_outcomes`, for the process that holds the folder's lock. leave_out_damaged: parts that are to be run again."""
    stored = open_sweep(folder)
    restore_runs(folder)
    if not any((folder / TABLES / RUNS).glob("part-*.parquet")):
        raise InputError(f"{folder}: no run has been finished yet; `abm sweep` runs them")
    new = folder / TABLES / NEW_RUNS
    runs = names = 0
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for path in sorted((folder / TABLES / RUNS).glob("part-*.parquet")):
            try:
                table, outcomes = _recomputed(folder, path, stored.plan)
            except InputError:
                if leave_out_damaged:
                    continue
                raise
            runs, names = runs + table.height, outcomes
            (new / path.name).write_bytes(parquet(table, statistics=False))
        old = folder / TABLES / OLD_RUNS
        os.replace(folder / TABLES / RUNS, old)
        os.replace(new, folder / TABLES / RUNS)
        shutil.rmtree(old)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); its outcomes are as they were") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        restore_runs(folder)
    write_columns(folder, stored.plan)
    return runs, names


def _recomputed(folder: Path, path: Path, plan: PlanRecord) -> tuple[pl.DataFrame, int]:
    """One part of the table of runs, and how many outcomes it has."""
    number = int(path.stem.rpartition("-")[2])
    try:
        runs = pl.read_parquet(path)
        kept = {name: pl.read_parquet(part_path(folder, name, number)) for name in plan.tables}
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: part {number} cannot be read ({type(error).__name__}); `abm sweep` runs it again") from error
    own = own_columns(runs)
    table = with_outcomes(own, kept, plan.asked, folder)
    return table, table.width - own.width
