"""What the commands that search a sweep file have in common: options, what is searched, workers, and how results are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

RUNS = Path("runs")
file_argument = click.argument("file", type=click.Path(path_type=Path))
overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace one value of the file, such as run.seconds=600.",
)
variant_option = click.option("--variant", default="", metavar="NAME", help="Of the file; its baseline, or else its first, unless given.")
replications_option = click.option(
    "--replications", type=click.IntRange(min=1), help="Worlds of each point; as the file says unless given."
)
workers_option = click.option("--workers", type=click.IntRange(min=1), help="Processes; one for each processor unless given.")
cluster_option = click.option("--cluster", default="", metavar="ADDRESS", help="A Dask scheduler, or slurm, pbs, slurm:FILE, pbs:FILE.")
quiet_option = click.option("--quiet", is_flag=True, help="Write the results only.")


def searched(
    file: Path, overrides: tuple[str, ...], variant: str, outcome: str, replications: int | None
) -> tuple[Any, str, tuple[int, ...]]:
    """What is searched, the outcome, and the seeds."""
    from abm.lab.errors import InputError
    from abm.lab.evaluation import subject_of
    from abm.lab.outcomes import find

    subject = subject_of(file, overrides, variant)
    asked = subject.sweep.table.outcomes
    if not outcome and not asked:
        raise InputError(f"{file}: sweep.outcomes: missing; name an outcome with --outcome")
    main = outcome or asked[0]
    base = subject.sweep.base
    find(main, base.symbols, base.cohorts, base.cohorts_beside)
    seeds = subject.seeds if replications is None else tuple(range(subject.seeds[0], subject.seeds[0] + replications))
    return subject, main, seeds


@contextmanager
def evaluating(subject: Any, folder: Path, outcome: str, workers: int | None, cluster: str, quiet: bool) -> Iterator[Any]:
    """What runs configurations of the subject, with a count on a terminal."""
    from abm.lab.evaluation import Evaluator
    from abm.lab.runner import default_workers

    number = workers or default_workers()
    with _counted(quiet) as progress, Evaluator(subject, folder, outcome, workers=number, cluster=cluster, progress=progress) as evaluator:
        yield evaluator


@contextmanager
def _counted(quiet: bool) -> Iterator[Callable[[int], None]]:
    """What is to be called with the number of runs that have ended: a line on stderr if it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} runs"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=None)
        yield lambda done: bar.update(task, completed=done)


def listed(text: str) -> list[str]:
    """Names that stand between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def show(what: RenderableType) -> None:
    """In colour and as wide as the terminal, or as plain lines of one width."""
    from abm.lab.comparison_text import plain_lines, wide_console

    if sys.stdout.isatty():
        wide_console().print(what)
    else:
        for line in plain_lines(what):
            click.echo(line)


def one_thread() -> None:
    """Before anything that computes is imported: the last digit of a sum depends on how many threads share it."""
    from abm.lab.threads import ONE_THREAD

    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


def report_on(folder: Path, quiet: bool) -> None:
    """Writes figures and report of what lies in a folder, and says where."""
    from abm.lab.analysis_report import write_report

    written = write_report(folder)
    if not quiet:
        click.echo(f"report: {written}")
