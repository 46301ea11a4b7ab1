"""Runs a sweep: whatever is not finished yet, here or on many workers, until all of it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from abm.lab.errors import InputError
from abm.lab.folder_lock import locked
from abm.lab.part import PartTask, task_of
from abm.lab.part_files import is_finished, part_path, remove_partial
from abm.lab.plan import Part, Plan, Round
from abm.lab.precision import precise_enough
from abm.lab.recomputation import recompute_locked
from abm.lab.run_rows import FAILED, RUNS
from abm.lab.store import TABLES
from abm.lab.sweep_store import StoredSweep, divided_as_stored, note_timing, open_sweep, prepare_folder
from abm.lab.worker import PartDone, carry_out


@dataclass(frozen=True)
class Tally:
    """How far a sweep is, in runs."""

    total: int
    """Of the rounds begun so far."""
    found: int
    """Were finished when it was started."""
    done: int
    """Ended well, those found included."""
    failed: int

    @property
    def ended(self) -> int:
        """Done or failed."""
        return self.done + self.failed

    def plus(self, *, total: int = 0, found: int = 0, done: int = 0, failed: int = 0) -> Tally:
        """With more of each."""
        return Tally(self.total + total, self.found + found, self.done + done, self.failed + failed)


@dataclass(frozen=True)
class Shard:
    """One of several processes that share the parts of a sweep: every `of`-th, beginning with the `number`-th, from 1."""

    number: int = 1
    of: int = 1

    def has(self, part: int) -> bool:
        """Whether the part of this number is this shard's to compute."""
        return part % self.of == self.number - 1


@dataclass(frozen=True)
class SweepResult:
    """What a call of `run_sweep` has come to."""

    folder: Path
    tally: Tally
    rounds: int
    """That were needed."""
    precise: bool | None
    """Whether the condition that ends replication was met; None without one."""

    def stored(self) -> StoredSweep:
        """The results."""
        return open_sweep(self.folder)


def run_sweep(
    plan: Plan,
    folder: str | Path,
    *,
    workers: int = 1,
    cluster: str = "",
    shard: Shard = Shard(),
    progress: Callable[[Tally], None] = lambda _: None,
) -> SweepResult:
    """Runs all of a plan that `folder` does not hold yet.

    workers: processes; with one, the runs are computed in this one. cluster: see `abm.lab.cluster.workers_of`. shard: compute only
    this share of the parts. progress: told now and then how far it is.

    Parts are written as they are finished, so that whatever ends this call costs the parts in flight, and calling it again goes on.
    A run that raises an exception, or that ends every worker process it is tried in, becomes a row with status "failed".

    Raises InputError when `folder` holds anything but results of the same plan and code, when another process is writing to it,
    or when it cannot be written.
    """
    path = Path(folder)
    if plan.until and shard.of > 1:
        raise InputError("--shard: replications until a condition holds need all results; give their number instead")
    plan = divided_as_stored(plan, path)
    same_columns = prepare_folder(plan, path)
    with locked(path, "" if shard.of == 1 else f"{shard.number}-of-{shard.of}"):
        note_timing(path, workers=workers, cluster=cluster.partition(":")[0], shard=f"{shard.number}/{shard.of}")
        remove_partial(path, shard.has)
        if not same_columns and any((path / TABLES / RUNS).glob("part-*.parquet")):
            if shard.of > 1:
                raise InputError(f"{path}: other outcomes are asked for than those of the finished runs; `abm outcomes` computes them")
            recompute_locked(path, leave_out_damaged=True)
        try:
            return _run_rounds(plan, path, shard, (workers, cluster), progress)
        finally:
            remove_partial(path, shard.has)


def _run_rounds(plan: Plan, folder: Path, shard: Shard, where: tuple[int, str], progress: Callable[[Tally], None]) -> SweepResult:
    tally = Tally(0, 0, 0, 0)
    precise: bool | None = None
    rounds = 0
    with _engine(plan, *where) as engine:
        for each in plan.rounds:
            tally = _run_round(plan, folder, [part for part in plan.parts(each) if shard.has(part.number)], engine, tally, progress)
            rounds += 1
            if plan.until:
                precise = precise_enough(_runs_up_to(folder, each), plan.until, plan.sweep.table.baseline)
                if precise:
                    break
    return SweepResult(folder, tally, rounds, precise)


Engine = Callable[[Sequence[PartTask], Callable[[bool], None]], Iterator[PartDone]]
"""Carries out tasks and yields each when it is done; tells after each run, if it can, whether it ended well."""


def _run_round(plan: Plan, folder: Path, parts: Sequence[Part], engine: Engine, tally: Tally, progress: Callable[[Tally], None]) -> Tally:
    found = [part for part in parts if is_finished(folder, part, plan.tables)]
    numbers = {part.number for part in found}
    missing = [part for part in parts if part.number not in numbers]
    failed = _failures(folder, found)
    runs = sum(len(part.runs) for part in found)
    tally = tally.plus(total=sum(len(part.runs) for part in parts), found=runs, done=runs - failed, failed=failed)
    progress(tally)
    shown = tally

    def finished(well: bool) -> None:
        nonlocal shown
        shown = shown.plus(done=well, failed=not well)
        progress(shown)

    for done in engine([task_of(plan, part, folder) for part in missing], finished):
        tally = tally.plus(done=done.done, failed=done.failed)
        shown = tally
        progress(tally)
        note_timing(folder, part=done.number, runs=done.done + done.failed, failed=done.failed, seconds=round(done.seconds, 3))
    return tally


def _failures(folder: Path, parts: Sequence[Part]) -> int:
    if not parts:
        return 0
    runs = pl.scan_parquet([part_path(folder, RUNS, part.number) for part in parts])
    return int(runs.select((pl.col("status") == FAILED).sum()).collect().item())


def _runs_up_to(folder: Path, last: Round) -> pl.DataFrame:
    """The table of runs up to this round: later ones may be there in part, and must not decide whether they are needed."""
    return open_sweep(folder).runs.filter(pl.col("replication") < last.first_replication + last.replications).collect()


@contextmanager
def _engine(plan: Plan, workers: int, cluster: str) -> Iterator[Engine]:
    """What carries out tasks; processes of other workers are started when there is a first task, and last to the end."""
    if workers == 1 and not cluster:
        yield _in_process
        return
    from abm.lab.distribution import Distribution

    with Distribution(workers, cluster, plan.sweep.table.cluster) as distribution:
        yield distribution.carry_out


def _in_process(tasks: Sequence[PartTask], finished: Callable[[bool], None]) -> Iterator[PartDone]:
    for task in tasks:
        yield carry_out(task, finished)


def default_workers() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
