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

import click

from abm.lab.errors import InputError, nearest
from abm.parameters import ParameterError

RUNS = Path("runs")
DISTRIBUTION = "perp-abm"  # what this package is called in a package index
INTERRUPTED, BAD_INPUT, UNEXPECTED = 130, 2, 1


class Suggesting(click.Group):
    """Names the nearest command when one is misspelt."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            ctx.fail(f"unknown command {name!r}; {nearest(name, names) or 'expected ' + ', '.join(names)}")
        return super().resolve_command(ctx, args)


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
        return _complain(BAD_INPUT, _usage_text(error))
    except InputError as error:
        return _complain(BAD_INPUT, *error.messages)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNEXPECTED
    except OSError as error:
        if error.filename is None:
            return _bug()
        return _complain(BAD_INPUT, f"{error.filename}: {error.strerror}")
    except Exception as error:
        problems = getattr(
            error, "problems", None
        )  # a ParameterError, which only exists once the simulator is imported
        return _complain(BAD_INPUT, *problems) if isinstance(error, ValueError) and problems else _bug()
    return 0


def _bug() -> int:
    traceback.print_exc()
    return _complain(UNEXPECTED, "this should not have happened: please report it with the lines above")


def _complain(code: int, *lines: str) -> int:
    for line in lines:
        click.echo(line, err=True)
    return code


def _usage_text(error: click.ClickException) -> str:
    """The complaint on one line, beginning with the command it is about."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and context is not None:
        options = [
            option for parameter in context.command.params for option in (*parameter.opts, *parameter.secondary_opts)
        ]
        guess = nearest(error.option_name, [option for option in options if option.startswith("-")])
        message = f"unknown option {error.option_name}" + (
            f"; {guess}" if guess else f" (see {context.command_path} --help)"
        )
    return f"{context.command_path if context is not None else 'abm'}: {' '.join(message.split())}"


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"abm {version(DISTRIBUTION)}")
        except PackageNotFoundError:  # run from a source tree
            click.echo("abm, not installed")
        context.exit()


def _show_help(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


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
    _show_help(context)


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
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; runs/NAME unless given.")
@click.option("--overwrite", is_flag=True, help="Replace the folder if an earlier run wrote it.")
@_overrides
@click.option("--check", is_flag=True, help="Verify after every block that no money appears or disappears.")
@click.option("--quiet", is_flag=True, help="Show neither progress nor summary.")
@click.option("--no-report", is_flag=True, help="Write the tables only.")
def run(
    file: Path,
    seed: int | None,
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
    experiment = load(file, changes)
    folder = out or RUNS / experiment.name
    from abm.lab.run import run_experiment

    with _progress_bar(experiment.name, quiet) as progress:
        finished = run_experiment(
            experiment, folder, overwrite=overwrite, check=experiment.run.check, report=not no_report, progress=progress
        )
    if not quiet:
        for line in finished.render():
            click.echo(line)


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
    from abm.lab.config import digest, load

    complaints: list[str] = []
    for file in files:
        try:
            experiment = load(file, overrides)
            experiment.model()
        except InputError as error:
            complaints += error.messages
            continue
        except ParameterError as error:
            complaints += [f"{file}: {problem}" for problem in error.problems]
            continue
        traders = sum(group.members for group in experiment.groups)
        click.echo(
            f"{file}: valid: {_counted(len(experiment.symbols), 'market')}, {_counted(traders, 'trader')} in "
            f"{_counted(len(experiment.groups), 'group')}, {_counted(experiment.blocks, 'block')}, seed "
            f"{experiment.run.seed}, identity {digest(experiment)}"
        )
    if complaints:
        raise InputError(*dict.fromkeys(complaints))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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


@abm.command(short_help="Write a run's figures and report again.")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write figures and report of the run in FOLDER once more, from its tables."""
    from abm.lab.report import write_report

    click.echo(f"report: {write_report(folder)}")


@abm.command(short_help="Print the JSON schema of experiment files.")
def schema() -> None:
    """Print the JSON schema of experiment files, for editors that complete and explain keys."""
    import json

    from abm.lab.json_schema import experiment_schema

    click.echo(json.dumps(experiment_schema(), indent=2, allow_nan=False))


@abm.group(cls=Suggesting, invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Real one-minute bars: download and check."""
    _show_help(context)


@data.command(short_help="Download one-minute bars.")
@click.argument("symbols", nargs=-1, required=True, metavar="SYMBOL...")
@click.option("--from", "start", required=True, metavar="DAY", help="First day, such as 2022-11-08.")
@click.option("--to", "end", required=True, metavar="DAY", help="Last day, included.")
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="Folder for the downloaded files.")
@click.option(
    "--market",
    type=click.Choice(["spot", "um"]),
    default="spot",
    show_default=True,
    help="Spot, or USD-margined futures.",
)
@click.option("--base-url", metavar="URL", help="Another archive of the same layout.")
@click.option("--quiet", is_flag=True, help="Do not name the files.")
def fetch(
    symbols: tuple[str, ...], start: str, end: str, folder: Path, market: str, base_url: str | None, quiet: bool
) -> None:
    """Download one-minute klines of SYMBOLs, such as BTCUSDT, day by day; files that are there already are kept."""
    from abm.lab.fetch import PUBLIC_ARCHIVE, Progress, fetch_klines

    def tell(progress: Progress) -> None:
        click.echo(
            f"{progress.done}/{progress.total} {progress.file}{'' if progress.downloaded else ' (was there)'}", err=True
        )

    fetched = fetch_klines(
        symbols,
        start,
        end,
        folder,
        base_url=base_url or PUBLIC_ARCHIVE,
        market=market,
        progress=None if quiet else tell,
    )
    click.echo(
        f"{_counted(len(fetched.files), 'file')} in {folder}, {fetched.downloaded:,} of them downloaded "
        f"({fetched.downloaded_bytes / 1e6:.1f} MB)"
    )


@data.command(short_help="Count what is wrong with bars.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
def check(files: tuple[Path, ...]) -> None:
    """Count what is wrong with the bars in FILEs or folders, symbol by symbol."""
    from abm.lab.bars import check_bars

    complaints: list[str] = []
    for file in files:
        try:
            checked = check_bars(file)
        except InputError as error:
            complaints += error.messages
            continue
        *table, verdict = checked.render()
        for line in table:
            click.echo(line)
        if checked.sound:
            click.echo(verdict)
        else:
            complaints.append(verdict)
    if complaints:
        raise InputError(*complaints)


if __name__ == "__main__":
    main()
