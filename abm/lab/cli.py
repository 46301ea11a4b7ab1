"""The command line. Exit codes: 0 done, 2 bad input (one line per problem on stderr), 130 interrupted, 1 anything else.

Nothing but click is imported before a command needs it: `abm --help` must not wait for compilers and plots.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abm.lab.analysis_cli import COMMANDS
from abm.lab.data_cli import counted, data
from abm.lab.errors import InputError, nearest
from abm.lab.suggestions import Suggesting, show_help, usage_text
from abm.lab.sweep_cli import outcomes, plan, sweep
from abm.parameters import ParameterError

if TYPE_CHECKING:
    from abm.lab.config import Experiment

RUNS = Path("runs")
DISTRIBUTION = "perp-abm"  # what this package is called in a package index
INTERRUPTED, BAD_INPUT, UNEXPECTED = 130, 2, 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits the process with its exit code."""
    sys.exit(exit_code(arguments))


def exit_code(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, with what went wrong told on stderr; returns its exit code."""
    try:
        abm.main(args=None if arguments is None else list(arguments), prog_name="abm", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return _complain(INTERRUPTED, "interrupted")
    except click.ClickException as error:
        return _complain(BAD_INPUT, usage_text(error))
    except InputError as error:
        return _complain(BAD_INPUT, *error.messages)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNEXPECTED
    except OSError as error:
        if error.filename is None:
            return _bug()
        return _complain(BAD_INPUT, f"{error.filename}: {error.strerror}")
    except ParameterError as error:
        return _complain(BAD_INPUT, *error.problems)
    except Exception:
        return _bug()
    return 0


def _bug() -> int:
    traceback.print_exc()
    return _complain(UNEXPECTED, "this should not have happened: please report it with the lines above")


def _complain(code: int, *lines: str) -> int:
    for line in lines:
        click.echo(line, err=True)
    return code


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"abm {version(DISTRIBUTION)}")
        except PackageNotFoundError:  # run from a source tree
            click.echo("abm, not installed")
        context.exit()


@click.group(
    cls=Suggesting,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def abm(context: click.Context) -> None:
    """A perpetual-futures exchange, block by block, traded by a population of agents.

    An experiment file in, a folder out that holds tables, figures and a report.
    """
    show_help(context)


_overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace one value of the file, such as venue.oracle.lag_blocks=5.",
)


@abm.command(short_help="Run an experiment: tables, figures, report.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), help="Replace run.seed.")
@click.option("--cell", type=click.IntRange(min=0), help="Of a sweep: this configuration, instead of the base.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; runs/NAME unless given.")
@click.option("--overwrite", is_flag=True, help="Replace the folder if an earlier run wrote it.")
@_overrides
@click.option("--check", is_flag=True, help="Verify after every block that no money appears or disappears.")
@click.option("--quiet", is_flag=True, help="Show neither progress nor summary.")
@click.option("--no-report", is_flag=True, help="Write the tables only.")
def run(
    file: Path,
    seed: int | None,
    cell: int | None,
    out: Path | None,
    overwrite: bool,
    overrides: tuple[str, ...],
    check: bool,
    quiet: bool,
    no_report: bool,
) -> None:
    """Run the experiment FILE and write tables, figures and a report."""
    from abm.lab.config import load

    changes = [*overrides, *([f"run.seed={seed}"] if seed is not None else []), *(["run.check=true"] if check else [])]
    experiment = load(file, changes) if cell is None else _cell(file, changes, cell)
    folder = out or RUNS / experiment.name
    from abm.lab.run import run_experiment

    with _progress_bar(experiment.name, quiet) as progress:
        finished = run_experiment(
            experiment, folder, overwrite=overwrite, check=experiment.run.check, report=not no_report, progress=progress
        )
    if not quiet:
        for line in finished.render():
            click.echo(line)


def _cell(file: Path, changes: Sequence[str], cell: int) -> Experiment:
    """One configuration of a sweep, recorded as the file says for a single run."""
    from dataclasses import replace

    from abm.lab.plan import load_plan

    plan = load_plan(file, changes)
    base = plan.sweep.base
    return replace(plan.experiment(cell, base.run.seed), name=f"{base.name}-cell-{cell}", record=base.record)


@contextmanager
def _progress_bar(name: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """What is to be called with the number of blocks done and the number of all blocks; a bar on stderr if it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("blocks"), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)

        def progress(done: int, blocks: int) -> None:
            bar.update(task, completed=done, total=blocks)

        yield progress


@abm.command(short_help="Check experiment files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@_overrides
def validate(files: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Check experiment FILEs and say what they would run; every problem of every file is told."""
    from abm.lab.config import contents, digest, is_sweep, load

    complaints: list[str] = []
    for file in files:
        try:
            if is_sweep(contents(file)):
                click.echo(_valid_sweep(file, overrides))
                continue
            experiment = load(file, overrides)
            experiment.model()
        except InputError as error:
            complaints += error.messages
            continue
        except ParameterError as error:
            complaints += [f"{file}: {problem}" for problem in error.problems]
            continue
        beside = experiment.beside
        groups = [*experiment.groups, *(beside.groups + beside.across if beside else ())]
        click.echo(
            f"{file}: valid: {'two venues, ' if beside else ''}{counted(len(experiment.symbols), 'market')}, "
            f"{counted(sum(group.members for group in groups), 'trader')} in {counted(len(groups), 'group')}, "
            f"{counted(experiment.blocks, 'block')}, seed {experiment.run.seed}, identity {digest(experiment)}"
        )
    if complaints:
        raise InputError(*dict.fromkeys(complaints))


def _valid_sweep(file: Path, overrides: Sequence[str]) -> str:
    from abm.lab.plan import load_plan

    plan = load_plan(file, overrides)
    for cell in range(0, len(plan.cells), plan.points):  # of each variant the first
        plan.experiment(cell).model()
    runs = f"{'at most ' if plan.until else ''}{counted(plan.most_runs, 'run')}"
    return f"{file}: valid: sweep of {counted(len(plan.cells), 'configuration')}, {runs}, identity {plan.identity}"


@abm.command(short_help="Write a commented experiment file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--world",
    type=click.Choice(["diffusion", "replay"]),
    default="diffusion",
    show_default=True,
    help="Where prices come from.",
)
def new(file: Path, world: str) -> None:
    """Write a commented experiment FILE to start from; a file that exists is left alone."""
    from abm.lab.starter import starter_text

    text = starter_text(world)
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise InputError(f"{file}: exists already, expected the name of a new file") from None
    click.echo(f"{file}: written; `abm run {file}` runs it")


@abm.command(short_help="List venues, or print one as TOML.")
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """List the venues that `preset` can name, or print the whole configuration of one, NAME."""
    from abm.lab.plain import plain
    from abm.lab.toml_text import dump_toml
    from abm.mechanisms.presets import PRESETS

    if name is None:
        width = max(map(len, PRESETS))
        for preset, make in PRESETS.items():
            about = " ".join((make.__doc__ or "").split("\n\n")[0].split())
            click.echo(f"{preset.ljust(width)}  {about}".rstrip())
    elif name in PRESETS:
        click.echo(dump_toml({"venue": plain(PRESETS[name]())}), nl=False)
    else:
        raise InputError(f"unknown preset {name!r}; {nearest(name, PRESETS) or 'expected ' + ', '.join(PRESETS)}")


@abm.command(short_help="Write figures and report of a folder of results again.")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write figures and report of the run, sweep, sensitivity analysis, threshold or worst case in FOLDER once more, from its tables."""
    from abm.lab.report import write_report

    click.echo(f"report: {write_report(folder)}")


@abm.command(short_help="Print the JSON schema of experiment files.")
def schema() -> None:
    """Print the JSON schema of experiment files, for editors that complete and explain keys."""
    import json

    from abm.lab.json_schema import experiment_schema

    click.echo(json.dumps(experiment_schema(), indent=2, allow_nan=False))


for command in (data, plan, sweep, outcomes, *COMMANDS):
    abm.add_command(command)

if __name__ == "__main__":
    main()
