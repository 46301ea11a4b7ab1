"""One part of a sweep: its runs, one after another in one process, and what they leave behind as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from abm.lab.cells import Cell
from abm.lab.gathering import Facts, facts_of, tables_of
from abm.lab.plan import Part, Plan, Run, simulator_digest, with_seed
from abm.lab.run_rows import DONE, FAILED, RUNS, run_rows, with_outcomes
from abm.lab.traceback_text import traceback_text

__all__ = ["DONE", "FAILED", "Ended", "PartTask", "compute_part", "task_of"]


@dataclass(frozen=True)
class PartTask:
    """All that a worker must know to compute a part."""

    part: Part
    cells: Mapping[int, Cell]
    """Those of its runs."""
    factors: Mapping[str, type]
    """Columns, and what they hold."""
    tables: tuple[str, ...]
    symbols: tuple[str, ...]
    cohorts: tuple[str, ...]
    cohorts_beside: tuple[str, ...]
    outcomes: tuple[str, ...]
    """That the sweep asks for by name."""
    sources: str
    """Hash of the simulator that is to compute the runs."""
    beside: Path
    """Folder of the experiment file, where a user's own classes may lie."""
    folder: Path
    """Of the sweep's results."""
    lost: Mapping[int, str]
    """Runs that are not to be tried, and why: each has ended its process whenever it was."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    run: Run
    status: str
    error: str | None
    blocks: int


def task_of(plan: Plan, part: Part, folder: Path) -> PartTask:
    """The task of computing `part` of the sweep in `folder`."""
    return PartTask(
        part=part,
        cells={run.cell: plan.cells[run.cell] for run in part.runs},
        factors={factor.name: factor.type for factor in plan.factors},
        tables=plan.tables,
        symbols=plan.symbols,
        cohorts=plan.cohorts,
        cohorts_beside=plan.cohorts_beside,
        outcomes=plan.asked,
        sources=simulator_digest(),
        beside=plan.sweep.folder.resolve(),
        folder=folder.resolve(),
        lost={},
    )


def compute_part(task: PartTask, finished: Callable[[bool], None] = lambda _: None) -> dict[str, pl.DataFrame]:
    """The tables of a part, `runs` the last of them. finished: told after each run whether it ended well.

    An exception in a run makes it a row with its traceback; the other runs do not notice.
    """
    ended: list[Ended] = []
    facts: list[Facts] = []
    for run in task.part.runs:
        if run.number in task.lost:
            ended.append(Ended(run, FAILED, task.lost[run.number], 0))
        else:
            ended.append(_run(task, run, facts))
        finished(ended[-1].status == DONE)
    tables = tables_of(facts, task.tables, task.symbols, task.cohorts, task.cohorts_beside)
    facts.clear()
    own = run_rows([_row(task, each) for each in ended], task.factors)
    return {**tables, RUNS: with_outcomes(own, tables, task.outcomes, task.beside)}


def _run(task: PartTask, run: Run, facts: list[Facts]) -> Ended:
    """One run; its facts are added when it ends well."""
    model = None
    try:
        model = with_seed(task.cells[run.cell].experiment, run.seed).model()
        model.run()
        facts += facts_of(run.number, model, task.tables)
        return Ended(run, DONE, None, model.block + 1)
    except Exception as error:
        return Ended(run, FAILED, traceback_text(error, task.beside), model.block if model is not None and model.block > 0 else 0)
    finally:
        if model is not None:
            model.release()


def _row(task: PartTask, ended: Ended) -> tuple[Any, ...]:
    run = ended.run
    cell = task.cells[run.cell]
    return (
        run.number, run.cell, cell.variant, cell.point, run.seed, run.replication, *(cell.values[name] for name in task.factors),
        run.identity, ended.status, ended.error, ended.blocks,
    )  # fmt: skip
