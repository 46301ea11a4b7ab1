"""The commands `plan`, `sweep` and `outcomes`: many runs of an experiment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abm.lab.errors import InputError

if TYPE_CHECKING:
    from abm.lab.runner import Shard, SweepResult, Tally

RUNS = Path("runs")
_file = click.argument("file", type=click.Path(path_type=Path))
_overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace one value of the file, such as sweep.replications=5 or run.seconds=600.",
)


@click.command(short_help="Say what a sweep would run, and what it would cost.")
@_file
@_overrides
@click.option("--workers", type=click.IntRange(min=1), help="Processors to reckon with; all of this machine unless given.")
@click.option("--no-pilot", is_flag=True, help="Do not measure a run.")
def plan(file: Path, overrides: tuple[str, ...], workers: int | None, no_pilot: bool) -> None:
    """Say what the sweep FILE would run, and measure on a pilot run what it would cost. Nothing is written."""
    _one_thread()
    from abm.lab.pilot import measure
    from abm.lab.plan import load_plan
    from abm.lab.plan_text import plan_lines
    from abm.lab.runner import default_workers

    planned = load_plan(file, overrides)
    for line in plan_lines(planned, None if no_pilot else measure(planned), workers or default_workers()):
        click.echo(line)


@click.command(short_help="Run a sweep, or go on with it.")
@_file
@_overrides
@click.option("--workers", type=click.IntRange(min=1), help="Processes; one for each processor and part unless given.")
@click.option("--cluster", default="", metavar="ADDRESS", help="A Dask scheduler, or slurm, pbs, slurm:FILE, pbs:FILE.")
@click.option("--shard", default="", metavar="I/N", help="Run the I-th of N shares of the work, for job arrays.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME unless given.")
@click.option("--quiet", is_flag=True, help="Show neither progress nor summary.")
@click.option("--no-report", is_flag=True, help="Write the tables only.")
def sweep(
    file: Path,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    shard: str,
    out: Path | None,
    quiet: bool,
    no_report: bool,
) -> None:
    """Run all configurations of the sweep FILE with all seeds. What is finished already is not run again."""
    _one_thread()
    from abm.lab.plan import load_plan
    from abm.lab.runner import default_workers, run_sweep

    share = _share(shard)
    planned = load_plan(file, overrides)
    folder = out or RUNS / planned.name
    number = workers or min(default_workers(), planned.most_parts)
    try:
        with _shown(planned.name, quiet) as progress:
            result = run_sweep(planned, folder, workers=number, cluster=cluster, shard=share, progress=progress)
    except KeyboardInterrupt:
        click.echo(f"{folder}: what is finished stays; the same command goes on from there", err=True)
        raise
    if not quiet:
        click.echo(_summary(result, share))
        _show_cells(folder, share)
    if not no_report and share.of == 1:
        _write_report(folder, quiet)


def _show_cells(folder: Path, share: Shard) -> None:
    """Mean and interval of the outcomes in question, once all runs are there."""
    from abm.lab.cell_table import cell_lines
    from abm.lab.sweep_findings import headline
    from abm.lab.sweep_results import results_of
    from abm.lab.sweep_store import open_sweep

    stored = open_sweep(folder)
    if share.of == 1 and stored.plan.outcomes:
        click.echo(headline(results_of(stored)))
        for line in cell_lines(stored):
            click.echo(line)


def _write_report(folder: Path, quiet: bool) -> None:
    from abm.lab.sweep_report import write_report

    written = write_report(folder)
    if not quiet:
        click.echo(f"report: {written}")


@click.command(short_help="Compute the outcomes of a sweep again, from its tables.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Say nothing.")
def outcomes(folder: Path, quiet: bool) -> None:
    """Compute all outcomes of the sweep in FOLDER from its kept tables, and write them into its table of runs; nothing is run."""
    _one_thread()
    from abm.lab.recomputation import recompute_outcomes

    runs, names = recompute_outcomes(folder)
    if not quiet:
        click.echo(f"{folder}: {names:,} outcomes of {runs:,} runs")


def _one_thread() -> None:
    """Before anything that computes is imported: the last digit of a sum depends on how many threads share it."""
    from abm.lab.threads import ONE_THREAD

    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


def _share(text: str) -> Shard:
    from abm.lab.runner import Shard

    number, slash, of = text.partition("/")
    if not text:
        return Shard()
    if not (slash and number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise InputError(f"--shard {text}: expected I/N with I from 1 to N, such as 1/4")
    return Shard(int(number), int(of))


def _summary(result: SweepResult, share: Shard) -> str:
    tally = result.tally
    of_shard = f" of shard {share.number}/{share.of}" if share.of > 1 else ""
    parts = [f"{tally.ended:,} runs{of_shard}", f"{tally.failed:,} failed"]
    if tally.found:
        parts.append(f"{tally.found:,} were there")
    if result.precise is not None:
        parts.append(f"{result.rounds} rounds, {'precise enough' if result.precise else 'not as precise as asked for'}")
    return f"{', '.join(parts)}: {result.folder}"


@contextmanager
def _shown(name: str, quiet: bool) -> Iterator[Callable[[Tally], None]]:
    """What is to be called with the number of runs that have ended: a line on stderr if it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from abm.lab.sweep_progress import progress_line

    with progress_line(name) as progress:
        yield progress
