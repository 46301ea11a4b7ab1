"""From an experiment file to a folder with tables, figures and a report. Knows everything below it; nothing below knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from abm.lab.sweep_store import StoredSweep

__all__ = ["open"]


def open(folder: str | Path) -> StoredSweep:  # noqa: A001 - abm.lab.open(folder), as a reader would say it
    """The results of a sweep in `folder`: `.runs`, one row per run, and `.tables`, as lazy Polars frames.

    Raises InputError when there are none.
    """
    from abm.lab.sweep_store import open_sweep

    return open_sweep(folder)
