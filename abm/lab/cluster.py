"""Where the workers are: processes of this machine, a scheduler that is running already, or the job queue of a cluster."""

from __future__ import annotations

import inspect
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from abm.lab.errors import InputError, nearest
from abm.lab.threads import ONE_THREAD
from abm.lab.toml_text import read_toml

if TYPE_CHECKING:
    from distributed import Client

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
DEATHS = 1  # of workers that a task is forgiven: the second one is its own fault until each of its runs has been tried
CONNECT_SECONDS = 10.0
SETTINGS = {
    "distributed.scheduler.allowed-failures": DEATHS,
    "distributed.scheduler.worker-saturation": 1.0,  # no task waits behind another at a worker that may die
    "distributed.worker.multiprocessing-method": "spawn",  # Polars hangs in a forked child
    "distributed.worker.daemon": True,
    "distributed.worker.preload": ["abm.lab.worker_start"],
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,
    "distributed.scheduler.http.routes": [],  # nothing is served
    "distributed.worker.http.routes": [],
    "distributed.comm.timeouts.connect": "60s",
    "distributed.deploy.lost-worker-timeout": "1000 days",  # or a worker that dies while it is being counted is not started again
    "distributed.admin.tick.limit": "1h",  # compiling holds the interpreter for long
}


@contextmanager
def workers_of(workers: int, address: str = "", arguments: Mapping[str, Any] | None = None) -> Iterator[Client]:
    """A client of `workers` workers.

    address: empty for processes of this machine; `slurm` or `pbs` for the job queue, with `arguments` for its cluster or, as
    `slurm:FILE`, those of a TOML file; else the address of a scheduler, such as tcp://10.0.0.1:8786, whose workers are all used.

    Raises InputError when the scheduler cannot be reached, the queue's library is missing, or its arguments are wrong.
    """
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what a worker dies of is told as a row of the results
    name, _, file = address.partition(":")
    with dask.config.set({**SETTINGS, "temporary-directory": tempfile.gettempdir()}):
        if not address:
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", memory_limit=0,
                    silence_logs=logging.CRITICAL, scheduler_kwargs={"dashboard": False},
                ) as cluster,
                Client(cluster) as client,
            ):  # fmt: skip
                yield client
        elif name in QUEUES:
            with queue_cluster(name, read_toml(file) if file else arguments or {}) as cluster, Client(cluster) as client:
                cluster.scale(jobs=workers)
                yield client
        else:
            with _connected(address) as client:
                yield client


def _connected(address: str) -> Client:
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        queues = " or ".join(QUEUES)
        raise InputError(
            f"--cluster {address}: no scheduler answers there ({why}); expected an address such as tcp://host:8786, or {queues}"
        ) from None


def queue_cluster(name: str, arguments: Mapping[str, Any]) -> Any:
    """A cluster whose workers are jobs of a queue (dask-jobqueue), one run at a time in each of their processes.

    Raises InputError when the library is missing or an argument is none of its cluster's.
    """
    try:
        import dask_jobqueue
    except ImportError:
        raise InputError(f"--cluster {name}: needs the package dask-jobqueue; install it with `pip install 'perp-abm[cluster]'`") from None
    cls = getattr(dask_jobqueue, QUEUES[name])
    known = _known_arguments(cls)
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise InputError(*(f"sweep.cluster: unknown argument {key!r} of {cls.__name__}; {nearest(key, known) or 'see its documentation'}"
                           for key in unknown))  # fmt: skip
    prologue = [f"export {key}={value}" for key, value in ONE_THREAD.items()]
    given = {
        "cores": 1,
        "processes": int(arguments.get("cores", 1)),
        "memory": "2GB",
        "death_timeout": 120,
        "local_directory": tempfile.gettempdir(),
        "scheduler_options": {"dashboard": False, "dashboard_address": ":0"},
        **arguments,
        "job_script_prologue": [*prologue, *arguments.get("job_script_prologue", [])],
    }
    try:
        return cls(**given)
    except (TypeError, ValueError) as error:
        raise InputError(f"sweep.cluster: {' '.join(str(error).split())}") from error


def _known_arguments(cls: type) -> set[str]:
    """Of a cluster and its jobs, as far up as they are declared."""
    classes = [*cls.__mro__, *getattr(cls, "job_cls", object).__mro__]
    names: set[str] = set()
    for each in classes:
        if "__init__" in vars(each):
            names |= set(inspect.signature(each.__init__).parameters)
    return names - {"self", "args", "kwargs"}
