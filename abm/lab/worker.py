"""What a worker does: one part computed and written, or one run tried."""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from abm.lab.errors import InputError
from abm.lab.part import PartTask, compute_part
from abm.lab.part_files import write_part
from abm.lab.plan import simulator_digest, with_seed
from abm.lab.plan_record import PLAN
from abm.lab.run_rows import FAILED, RUNS


@dataclass(frozen=True)
class PartDone:
    """A part that has been written."""

    number: int
    done: int
    failed: int
    seconds: float


def packed(task: PartTask) -> bytes:
    """The task for another process: kinds that the user defined are looked up only after their folder is importable there."""
    return pickle.dumps(task)


def carry_out(task: PartTask, finished: Callable[[bool], None] = lambda _: None) -> PartDone:
    """Computes a part and writes its files. finished: told after each run whether it ended well.

    Raises InputError when the files cannot be written.
    """
    clock = time.perf_counter()
    tables = compute_part(task, finished)
    write_part(task.folder, task.part.number, tables)
    failed = int((tables[RUNS]["status"] == FAILED).sum())
    return PartDone(task.part.number, len(task.part.runs) - failed, failed, time.perf_counter() - clock)


def carry_out_packed(beside: str, sources: str, folder: str, payload: bytes) -> PartDone:
    """As `carry_out`, in another process than the one that planned it.

    Raises InputError when this process does not see the folder, or would compute with other code.
    """
    return carry_out(_unpacked(beside, sources, folder, payload))


def try_run(beside: str, sources: str, folder: str, payload: bytes, number: int) -> int:
    """Runs one run of a part and keeps nothing: what is asked is whether the process survives it."""
    task = _unpacked(beside, sources, folder, payload)
    run = next(run for run in task.part.runs if run.number == number)
    with contextlib.suppress(Exception):  # an exception is a row, not a death
        model = with_seed(task.cells[run.cell].experiment, run.seed).model()
        model.run()
        model.release()
    return number


def _unpacked(beside: str, sources: str, folder: str, payload: bytes) -> PartTask:
    if not (Path(folder) / PLAN).is_file():
        raise InputError(f"{folder}: a worker does not see this folder; workers and `abm sweep` must share a file system")
    if simulator_digest() != sources:
        raise InputError(
            f"a worker has other code of the simulator ({simulator_digest()}, expected {sources}); install the same version everywhere"
        )
    if beside not in sys.path:
        sys.path.append(beside)
    task: PartTask = pickle.loads(payload)
    return task
