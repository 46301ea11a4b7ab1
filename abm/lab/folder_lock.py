"""Only one process writes the results of a sweep, or one for each shard of it; and what a killed process was writing can be told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abm.lab.errors import InputError

LOCK = ".lock"


@contextmanager
def locked(folder: Path, shard: str = "") -> Iterator[None]:
    """Holds the folder alone, or together with other shards and this shard alone. A process that is killed leaves no lock behind.

    Raises InputError when another process is in the way. Where the system has no such locks, two processes do the same work twice,
    with the same results.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    whole = folder / LOCK
    with whole.open("w") as file:
        _hold(folder, file.fileno(), fcntl.LOCK_SH if shard else fcntl.LOCK_EX)
        own = folder / f"{LOCK}-{shard}" if shard else whole
        with own.open("w") as own_file:
            if shard:
                _hold(folder, own_file.fileno(), fcntl.LOCK_EX)
            try:
                yield
            finally:
                own.unlink(missing_ok=True)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    whole.unlink(missing_ok=True)
                except OSError:
                    pass  # another shard still holds it


def _hold(folder: Path, file: int, kind: int) -> None:
    import fcntl

    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{folder}: another process is computing this sweep; wait for it, or end it") from None


@contextmanager
def marked_in_use(folder: Path) -> Iterator[None]:
    """Marks a folder as being written by this process; the system takes the mark away when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def abandoned(folder: Path) -> bool:
    """Whether nobody is writing `folder` any more. Where the system has no such locks this is not known, and the answer is no."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        file = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(file)
