"""The commands `compare`, `sensitivity`, `threshold` and `worst`: what a sweep says, and where its answers change."""

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
FRESH_WORLDS = 10
_file = click.argument("file", type=click.Path(path_type=Path))
_by = click.Choice(["variant", "cell", "point"])
_overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace one value of the file, such as run.seconds=600.",
)
_variant = click.option("--variant", default="", metavar="NAME", help="Of the file; its baseline, or else its first, unless given.")
_replications = click.option("--replications", type=click.IntRange(min=1), help="Worlds of each point; as the file says unless given.")
_workers = click.option("--workers", type=click.IntRange(min=1), help="Processes; one for each processor unless given.")
_cluster = click.option("--cluster", default="", metavar="ADDRESS", help="A Dask scheduler, or slurm, pbs, slurm:FILE, pbs:FILE.")
_quiet = click.option("--quiet", is_flag=True, help="Write the results only.")


@click.command(short_help="Compare variants or points of a sweep with a baseline.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--baseline", default="", metavar="NAME", help="A variant, or a point as KEY=VALUE; that of the file unless given.")
@click.option("--outcomes", default="", metavar="NAMES", help="With commas, patterns such as basis_* too; those of the file unless given.")
@click.option("--by", type=_by, help="Variants with points together, variants at each point (cell), or points.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tables; FOLDER/compare unless given.")
@_quiet
def compare(folder: Path, baseline: str, outcomes: str, by: str | None, out: Path | None, quiet: bool) -> None:
    """Compare configurations of the sweep in FOLDER with a baseline, run by run in the same worlds."""
    _one_thread()
    from abm.lab.comparison import compare as compared
    from abm.lab.comparison_table import FOLDER, write_comparison
    from abm.lab.sweep_store import open_sweep

    found = compared(open_sweep(folder), baseline, _names(outcomes) or None, by or "")  # type: ignore[arg-type]
    written = write_comparison(found, out or folder / FOLDER)
    if not quiet:
        from abm.lab.comparison_text import rendered

        _print(rendered(found))
        click.echo(f"tables: {written[0]}")


@click.command(short_help="Find which factors an outcome depends on.")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE|FOLDER")
@click.option("--method", type=click.Choice(["sobol", "morris"]), default="morris", show_default=True, help="For a FILE.")
@click.option("--outcome", default="", metavar="NAME", help="The main one of the file unless given.")
@click.option("--samples", type=click.IntRange(min=2), help="Sobol: base samples, a power of two (64); Morris: walks (10).")
@click.option("--factors", default="", metavar="NAMES", help="Of the file, with commas; all unless given.")
@click.option("--design-seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the points.")
@_variant
@_replications
@_overrides
@_workers
@_cluster
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME-METHOD unless given.")
@_quiet
def sensitivity(
    source: Path,
    method: str,
    outcome: str,
    samples: int | None,
    factors: str,
    design_seed: int,
    variant: str,
    replications: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Find which factors an outcome depends on: by running a design over the ranges of the sweep FILE, or, for a FOLDER with the
    results of a drawn design, from what is there."""
    _one_thread()
    from abm.lab.sensitivity import given_data_sensitivity, write_sensitivity
    from abm.lab.sensitivity import sensitivity as computed

    if source.is_dir():
        from abm.lab.sweep_store import open_sweep

        found = given_data_sensitivity(open_sweep(source), outcome, variant or None)
        folder = out or source / "sensitivity"
    else:
        from abm.lab.evaluation import declared

        subject, main, seeds = _subject(source, overrides, variant, outcome, replications)
        chosen = declared(subject, _names(factors))
        folder = out or RUNS / f"{subject.sweep.name}-{method}"
        with _evaluator(subject, folder, main, workers, cluster, quiet) as evaluator:
            number = samples or (64 if method == "sobol" else 10)
            found = computed(evaluator, chosen, method, number, seeds, design_seed=design_seed)  # type: ignore[arg-type]
    written = write_sensitivity(found, folder)
    if not quiet:
        from abm.lab.sensitivity_text import sensitivity_text

        _print(sensitivity_text(found))
        click.echo(f"indices: {written}")


@click.command(short_help="Find where along a factor something begins to happen.")
@_file
@click.option("--factor", required=True, metavar="KEY", help="A factor of the file, or with --between any number of the configuration.")
@click.option("--event", required=True, metavar="TEXT", help='Such as "bad_debt > 0".')
@click.option("--between", type=(float, float), metavar="LOW HIGH", help="Range; that of the factor in the file unless given.")
@click.option("--log", is_flag=True, help="Halve ratios rather than differences.")
@click.option("--probability", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.5, show_default=True)
@click.option("--tolerance", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.02, show_default=True,
              help="Where bisection ends, as a fraction of the range.")  # fmt: skip
@_variant
@_replications
@_overrides
@_workers
@_cluster
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME-threshold unless given.")
@_quiet
def threshold(
    file: Path,
    factor: str,
    event: str,
    between: tuple[float, float] | None,
    log: bool,
    probability: float,
    tolerance: float,
    variant: str,
    replications: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Find by bisection where along a factor of the sweep FILE the probability of an event crosses a level. Other factors are left
    as the file's base configuration has them."""
    _one_thread()
    from abm.lab.evaluation import between as factor_between
    from abm.lab.evaluation import unit_of_factor
    from abm.lab.search import read_event, threshold_along

    wanted = read_event(event)
    subject, outcome, seeds = _subject(file, overrides, variant, wanted.outcome, replications)
    along = factor_between(subject, factor, between, log)
    folder = out or RUNS / f"{subject.sweep.name}-threshold"
    with _evaluator(subject, folder, outcome, workers, cluster, quiet) as evaluator:
        unit = unit_of_factor(subject, along)
        found = threshold_along(evaluator, along, wanted, seeds, probability=probability, tolerance=tolerance, unit=unit)
    from abm.lab.search_text import threshold_text, write_threshold

    written = write_threshold(found, folder)
    if not quiet:
        _print(threshold_text(found))
        click.echo(f"threshold: {written}")


@click.command(short_help="Find the configuration in which an outcome is worst.")
@_file
@click.option("--outcome", default="", metavar="NAME", help="To make as high as can be; the main one of the file unless given.")
@click.option("--lowest", is_flag=True, help="Make it as low as can be.")
@click.option("--evaluations", type=click.IntRange(min=1), default=64, show_default=True, help="Points to try, at most.")
@click.option("--optimiser", type=click.Choice(["evolution", "optuna"]), default="evolution", show_default=True)
@click.option("--factors", default="", metavar="NAMES", help="Of the file, with commas; all unless given.")
@click.option("--fresh", type=click.IntRange(min=2), default=FRESH_WORLDS, show_default=True, help="Worlds in which the winner is tried.")
@click.option("--search-seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the search.")
@_variant
@_replications
@_overrides
@_workers
@_cluster
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME-worst unless given.")
@_quiet
def worst(
    file: Path,
    outcome: str,
    lowest: bool,
    evaluations: int,
    optimiser: str,
    factors: str,
    fresh: int,
    search_seed: int,
    variant: str,
    replications: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Search the ranges of the factors of the sweep FILE for the configuration in which an outcome is highest, and try it in worlds
    that the search has not seen."""
    _one_thread()
    from abm.lab.evaluation import declared
    from abm.lab.search import worst_within

    subject, main, seeds = _subject(file, overrides, variant, outcome, replications)
    chosen = declared(subject, _names(factors))
    folder = out or RUNS / f"{subject.sweep.name}-worst"
    others = range(max(seeds) + 1, max(seeds) + 1 + fresh)
    with _evaluator(subject, folder, main, workers, cluster, quiet) as evaluator:
        found = worst_within(
            evaluator,
            chosen,
            seeds,
            others,
            evaluations=evaluations,
            lowest=lowest,
            optimiser=optimiser,  # type: ignore[arg-type]
            seed=search_seed,
        )
    from abm.lab.search_text import worst_text, write_worst

    written = write_worst(found, evaluator, [factor.name for factor in chosen], folder)
    if not quiet:
        _print(worst_text(found))
        click.echo(f"worst case: {written[-1]}; `abm run` runs it")


COMMANDS: tuple[click.Command, ...] = (compare, sensitivity, threshold, worst)


def _subject(
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
    find(main, base.symbols, [group.name for group in base.groups])
    seeds = subject.seeds if replications is None else tuple(range(subject.seeds[0], subject.seeds[0] + replications))
    return subject, main, seeds


@contextmanager
def _evaluator(subject: Any, folder: Path, outcome: str, workers: int | None, cluster: str, quiet: bool) -> Iterator[Any]:
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


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _print(what: RenderableType) -> None:
    """In colour and as wide as the terminal, or as plain lines of one width."""
    from abm.lab.comparison_text import plain_lines, wide_console

    if sys.stdout.isatty():
        wide_console().print(what)
    else:
        for line in plain_lines(what):
            click.echo(line)


def _one_thread() -> None:
    """Before anything that computes is imported: the last digit of a sum depends on how many threads share it."""
    from abm.lab.threads import ONE_THREAD

    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
