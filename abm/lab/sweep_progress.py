"""The line that shows how far a sweep is: done, failed, rate, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from abm.lab.runner import Tally


@contextmanager
def progress_line(name: str, console: Console | None = None) -> Iterator[Callable[[Tally], None]]:
    """What is to be called with the tally; the line is on stderr, and gone in the end."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"),
        TextColumn("{task.fields[failed]} failed"), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )  # fmt: skip
    with Progress(*columns, console=console or Console(stderr=True), transient=True, speed_estimate_period=120.0) as bar:
        task = bar.add_task(name, total=None, failed=0, rate="")
        found: int | None = None

        def progress(tally: Tally) -> None:
            nonlocal found
            if found is None:  # what was there already says nothing about the speed
                found = tally.found
                bar.reset(task, total=tally.total, completed=tally.ended, failed=tally.failed, rate="")
                return
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{(tally.ended - tally.found) / elapsed:.3g} a second" if elapsed > 1.0 else ""
            bar.update(task, total=tally.total, completed=tally.ended, failed=tally.failed, rate=rate)

        yield progress
