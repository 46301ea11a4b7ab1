"""The commands `abm data ...`: real one-minute bars."""

from __future__ import annotations

from pathlib import Path

import click

from abm.lab.errors import InputError
from abm.lab.suggestions import Suggesting, show_help


def counted(number: int, noun: str) -> str:
    """A number of things, in the singular where there is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@click.group(cls=Suggesting, invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Real one-minute bars: download and check."""
    show_help(context)


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
def fetch(symbols: tuple[str, ...], start: str, end: str, folder: Path, market: str, base_url: str | None, quiet: bool) -> None:
    """Download one-minute klines of SYMBOLs, such as BTCUSDT, day by day; files that are there already are kept."""
    from abm.lab.fetch import PUBLIC_ARCHIVE, Progress, fetch_klines

    def tell(progress: Progress) -> None:
        click.echo(f"{progress.done}/{progress.total} {progress.file}{'' if progress.downloaded else ' (was there)'}", err=True)

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
        f"{counted(len(fetched.files), 'file')} in {folder}, {fetched.downloaded:,} of them downloaded "
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
