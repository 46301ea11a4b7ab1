"""Parts carried out by the workers of a Dask cluster, whatever happens to the workers."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from abm.lab.cluster import workers_of
from abm.lab.errors import InputError
from abm.lab.part import PartTask
from abm.lab.worker import PartDone, carry_out_packed, packed, try_run

if TYPE_CHECKING:
    from distributed import Client, Future

LOST = "the process of the worker ended without a Python exception, whenever this run was tried (a crash of machine code, or no memory)"
TRIES = 3  # of a part that ends its workers although each of its runs, tried alone, does not
POLL_SECONDS = 2.0  # how often new workers of a queue are noticed


class Distribution:
    """Workers, started when there is a first task and ended with the `with` block.

    As many parts are in flight as there are workers: a part waits here rather than behind another at a worker that may die.
    """

    def __init__(self, workers: int, address: str = "", arguments: Mapping[str, Any] | None = None) -> None:
        self._wanted = (workers, address, arguments)
        self._stack = ExitStack()
        self._client: Client | None = None
        self._names = itertools.count()

    def __enter__(self) -> Distribution:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def carry_out(self, tasks: Sequence[PartTask], finished: Callable[[bool], None]) -> Iterator[PartDone]:
        """Yields parts as they are done, in no particular order. What an exception of a run comes to is told by the part only."""
        if not tasks:
            return
        if self._client is None:
            self._client = self._stack.enter_context(workers_of(*self._wanted))
        client = self._client
        from distributed import wait

        waiting = iter(tasks)
        flying: dict[Future[Any], PartTask] = {}
        tries: dict[int, int] = {}
        try:
            while True:
                room = max(len(client.nthreads()), 1) - len(flying)
                for task in itertools.islice(waiting, max(room, 0)):
                    flying[self._submit(client, task)] = task
                if not flying:
                    return
                ready, _ = _wait(wait, list(flying))
                for future in ready:
                    task = flying.pop(future)
                    again = self._outcome(client, future, task, tries)
                    if isinstance(again, PartDone):
                        yield again
                    else:
                        flying[self._submit(client, again)] = again
        finally:
            client.cancel(list(flying), force=True)

    def _submit(self, client: Client, task: PartTask) -> Future[Any]:
        name = f"part-{task.part.number}-{next(self._names)}"
        return client.submit(carry_out_packed, *_arguments(task), key=name, pure=False)

    def _outcome(self, client: Client, future: Future[Any], task: PartTask, tries: dict[int, int]) -> PartDone | PartTask:
        """The part, when it is done; else the task to try next. Raises what stops the whole sweep."""
        from distributed import KilledWorker

        error = future.exception()
        if error is None:
            done: PartDone = future.result()
            return done
        if isinstance(error, ModuleNotFoundError):
            raise InputError(f"a worker cannot import {error.name!r}; install the same packages everywhere")
        if not isinstance(error, KilledWorker):
            raise error
        number = task.part.number
        tries[number] = tries.get(number, 0) + 1
        if tries[number] > TRIES:
            raise InputError(
                f"part {number} ended its worker {tries[number]} times although each of its runs passes alone: is there too little memory?"
            )
        return dataclasses.replace(task, lost={**task.lost, **self._fatal_runs(client, task)})

    def _fatal_runs(self, client: Client, task: PartTask) -> dict[int, str]:
        """The runs of a part that end the process they are in, tried one at a time, each in its own task."""
        from distributed import KilledWorker

        found = {}
        for run in task.part.runs:
            if run.number not in task.lost:
                name = f"run-{run.number}-{next(self._names)}"
                future = client.submit(try_run, *_arguments(task), run.number, key=name, pure=False)
                if isinstance(future.exception(), KilledWorker):
                    found[run.number] = LOST
        return found


def _arguments(task: PartTask) -> tuple[str, str, str, bytes]:
    return str(task.beside), task.sources, str(task.folder), packed(task)


def _wait(wait: Any, futures: list[Future[Any]]) -> tuple[list[Future[Any]], list[Future[Any]]]:
    """Those that have ended and those that have not, after the first has ended or a while."""
    try:
        ended = wait(futures, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
    except TimeoutError:
        return [], futures
    return list(ended.done), list(ended.not_done)
