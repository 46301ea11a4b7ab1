"""Parts carried out by the workers of a Dask cluster, whatever happens to the workers."""

from __future__ import annotations

import dataclasses
import itertools
import time
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
PATIENCE_SECONDS = 600.0  # without any worker on this machine


class Distribution:
    """Workers, started when there is a first task and ended with the `with` block.

    As many parts are in flight as there are workers: a part waits here rather than behind another at a worker that may die.
    """

    def __init__(self, workers: int, address: str = "", arguments: Mapping[str, Any] | None = None) -> None:
        self._wanted = (workers, address, arguments)
        self._stack = ExitStack()
        self._client: Client | None = None
        self._names = itertools.count()
        self._last_seen = time.monotonic()

    def __enter__(self) -> Distribution:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def carry_out(self, tasks: Sequence[PartTask], finished: Callable[[bool], None]) -> Iterator[PartDone]:
        """Yields parts as they are done, in no particular order. What an exception of a run comes to is told by the part only.

        Parts whose workers died are left for the end, and then computed one at a time with nothing else in flight: tasks that wait
        at a worker share its death, and only so is it known who caused it.
        """
        if not tasks:
            return
        if self._client is None:
            self._client = self._stack.enter_context(workers_of(*self._wanted))
        client = self._client
        self._last_seen = time.monotonic()
        suspects: list[PartTask] = []
        yield from self._together(client, tasks, suspects)
        for task in suspects:
            yield self._alone(client, task)

    def _together(self, client: Client, tasks: Sequence[PartTask], suspects: list[PartTask]) -> Iterator[PartDone]:
        """As many at a time as there are workers; those that lose their workers too often become suspects."""
        waiting = iter(tasks)
        flying: dict[Future[Any], PartTask] = {}
        try:
            while True:
                room = max(len(client.nthreads()), 1) - len(flying)
                for task in itertools.islice(waiting, max(room, 0)):
                    flying[self._submit(client, task)] = task
                if not flying:
                    return
                for future in self._ended(client, list(flying)):
                    task = flying.pop(future)
                    done = _result(future)
                    if done is None:
                        suspects.append(task)
                    else:
                        yield done
        finally:
            client.cancel(list(flying), force=True)

    def _alone(self, client: Client, task: PartTask) -> PartDone:
        """A part that has lost its workers; the runs that end every process they are in are not tried again."""
        for _ in range(TRIES):
            future = self._submit(client, task)
            self._wait(client, future)
            done = _result(future)
            if done is not None:
                return done
            task = dataclasses.replace(task, lost={**task.lost, **self._fatal_runs(client, task)})
        raise InputError(
            f"part {task.part.number} ended its worker {TRIES} times although each of its runs passes alone: is there too little memory?"
        )

    def _fatal_runs(self, client: Client, task: PartTask) -> dict[int, str]:
        """The runs of a part that end the process they are in, tried one at a time, each in its own task."""
        from distributed import KilledWorker

        found = {}
        for run in task.part.runs:
            if run.number not in task.lost:
                name = f"run-{run.number}-{next(self._names)}"
                future = client.submit(try_run, *_arguments(task), run.number, key=name, pure=False)
                self._wait(client, future)
                if isinstance(future.exception(), KilledWorker):
                    found[run.number] = LOST
        return found

    def _wait(self, client: Client, future: Future[Any]) -> None:
        while not self._ended(client, [future]):
            pass

    def _ended(self, client: Client, futures: list[Future[Any]]) -> list[Future[Any]]:
        """Those that have ended, after the first has or after a while.

        Raises InputError when processes of this machine are not started again. The jobs of a queue may take as long as they like.
        """
        from distributed import wait

        try:
            return list(wait(futures, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            pass
        now = time.monotonic()
        if self._wanted[1] or client.nthreads():
            self._last_seen = now
        elif now - self._last_seen > PATIENCE_SECONDS:
            raise InputError("the worker processes cannot be started again; what is finished stays, and the sweep can be continued")
        return []

    def _submit(self, client: Client, task: PartTask) -> Future[Any]:
        name = f"part-{task.part.number}-{next(self._names)}"
        return client.submit(carry_out_packed, *_arguments(task), key=name, pure=False)


def _arguments(task: PartTask) -> tuple[str, str, str, bytes]:
    return str(task.beside), task.sources, str(task.folder), packed(task)


def _result(future: Future[Any]) -> PartDone | None:
    """The part; None when its workers died. Raises what stops the whole sweep."""
    from distributed import KilledWorker

    error = future.exception()
    if error is None:
        done: PartDone = future.result()
        return done
    if isinstance(error, ModuleNotFoundError):
        raise InputError(f"a worker cannot import {error.name!r}; install the same packages everywhere")
    if not isinstance(error, KilledWorker):
        raise error
    return None
