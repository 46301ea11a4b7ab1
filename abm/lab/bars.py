"""One-minute bars of real markets on a common minute grid, refused when they are not sound.

`abm.lab.bar_table` says which files are read, `abm.lab.bar_check` counts what is wrong with one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abm.lab.bar_check import BarsCheck, check_bars
from abm.lab.bar_table import (
    REQUIREMENTS,
    VALUES,
    BarTable,
    minute_text,
    minutes_since_previous,
    read_table,
    unsorted_rows,
)
from abm.lab.errors import InputError, nearest

__all__ = ["Bars", "BarsCheck", "Moment", "check_bars", "data_folder", "read_bars", "time_range"]

MINUTE = timedelta(minutes=1)
Moment: TypeAlias = str | date | datetime


@dataclass(frozen=True, eq=False)
class Bars:
    """Sound one-minute bars of several markets on one common minute grid.

    Arrays are float64 of shape (minutes, symbols), columns in the order of `symbols`; prices in quote currency, volume
    in coins. Row k opens at ``start + k`` minutes.
    """

    symbols: tuple[str, ...]
    start: datetime
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    interval_seconds: int = 60
    filled_minutes: int = 0
    """Bars, over all symbols, that the data lack and the last close stands in for (``gaps="hold"``)."""
    unsorted_rows: int = 0
    """Rows that stood before an earlier minute of their symbol; they were sorted."""

    @property
    def minutes(self) -> int:
        """Number of bars per symbol."""
        return len(self.close)

    @property
    def end(self) -> datetime:
        """UTC time at which the last bar closes."""
        return self.start + self.minutes * MINUTE


def read_bars(
    path: str | Path,
    symbols: Sequence[str] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    gaps: str = "refuse",
) -> Bars:
    """Bars of `symbols` (default: all, in alphabetical order) from `start` up to `end`, out of a file or folder.

    Only the selected rows are judged. A bare date as `end` includes that day, a time as `end` is itself excluded; times
    without a zone are UTC. Without `start` and `end` all symbols must cover the same minutes; with them, every symbol
    must cover the selection. ``gaps="hold"`` repeats the last close with zero volume for missing minutes and counts
    them; the default refuses them.

    Raises InputError with one line per defect: file, symbol, row, time, value and what was expected.
    """
    if gaps not in ("refuse", "hold"):
        guess = nearest(str(gaps), ("refuse", "hold"))
        raise InputError(f"gaps is {gaps!r}, expected 'refuse' or 'hold'{'; ' * bool(guess)}{guess}")
    since, until = time_range(start, end)
    source = Path(path)
    table = read_table(source, symbols)
    chosen = _chosen_symbols(source, symbols, table.symbols)
    selected = table.rows.filter(
        pl.lit(True) if since is None else pl.col("ts") >= since,
        pl.lit(True) if until is None else pl.col("ts") < until,
    )
    by_symbol = {symbol: selected.filter(pl.col("symbol") == symbol) for symbol in chosen}
    empty = [symbol for symbol in chosen if by_symbol[symbol].is_empty()]
    if empty:
        raise InputError(*(_emptiness(source, table.rows, symbol, start, end) for symbol in empty))
    disorder = sum(unsorted_rows(rows) for rows in by_symbol.values())
    by_symbol = {symbol: rows.sort("ts", maintain_order=True) for symbol, rows in by_symbol.items()}
    complaints = [line for rows in by_symbol.values() for line in _row_complaints(table, rows)]
    complaints += [line for rows in by_symbol.values() for line in _minute_complaints(table, rows, gaps)]
    complaints += _range_complaints(source, by_symbol, since, until)
    if complaints:
        raise InputError(*complaints)
    ts = by_symbol[chosen[0]]["ts"]
    minutes = (ts[-1] - ts[0]) // MINUTE + 1
    grids = [_on_minute_grid(rows, minutes) for rows in by_symbol.values()]
    column = {name: np.column_stack([grid[name] for grid in grids]) for name in VALUES}
    return Bars(
        symbols=tuple(chosen),
        start=ts[0],
        open=column["open"],
        high=column["high"],
        low=column["low"],
        close=column["close"],
        volume=column["volume"],
        filled_minutes=minutes * len(chosen) - sum(rows.height for rows in by_symbol.values()),
        unsorted_rows=disorder,
    )


def data_folder(explicit: str | Path | None = None) -> Path:
    """Folder of real data: `explicit`, else the environment variable ABM_DATA, else ``shared/data`` beside the project.

    Raises InputError when the named folder does not exist, or when none is named and there is none beside the project.
    """
    named = explicit if explicit is not None else os.environ.get("ABM_DATA") or None
    if named is not None:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            origin = "data folder" if explicit is not None else "ABM_DATA"
            raise InputError(f"{origin} is {str(named)!r}, expected an existing folder; fill one with `abm data fetch`")
        return folder
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    if beside.is_dir():
        return beside
    raise InputError("no data folder: name one, or set ABM_DATA; `abm data fetch` downloads bars into one")


def time_range(start: Moment | None, end: Moment | None) -> tuple[datetime | None, datetime | None]:
    """First minute, and the minute after the last, as UTC; a bare date as `end` includes that day.

    Raises InputError for anything but an ISO date or time, for a time off the minute, and for an end not after the
    start.
    """
    since, until = _moment("start", start), _moment("end", end, closing=True)
    if since is not None and until is not None and until <= since:
        raise InputError(f"end is {end}, expected after start, {start}")
    return since, until


def _moment(name: str, value: Moment | None, *, closing: bool = False) -> datetime | None:
    if value is None:
        return None
    given = value
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given) if len(given.strip()) == 10 else datetime.fromisoformat(given)
        except ValueError:
            raise InputError(f"{name} is {value!r}, expected an ISO date or time such as 2022-11-08T14:30") from None
    if not isinstance(given, date):
        raise InputError(f"{name} is {value!r}, expected an ISO date or time such as 2022-11-08T14:30")
    if not isinstance(given, datetime):
        midnight = datetime.combine(given, time(), UTC)
        return midnight + timedelta(days=1) if closing else midnight
    moment = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    if moment.second or moment.microsecond:
        raise InputError(f"{name} is {value}, expected a whole minute")
    return moment


def _chosen_symbols(source: Path, symbols: Sequence[str] | None, available: Sequence[str]) -> list[str]:
    if symbols is None:
        return list(available)
    if isinstance(symbols, str) or not symbols:
        raise InputError(f"symbols is {symbols!r}, expected a list such as {list(available[:2])}")
    complaints = [
        f"{source}: no symbol {symbol!r}; {nearest(str(symbol), available) or 'it has ' + ', '.join(available)}"
        for symbol in symbols
        if symbol not in available
    ]
    complaints += [f"symbols names {symbol!r} twice" for symbol in dict.fromkeys(symbols) if symbols.count(symbol) > 1]
    if complaints:
        raise InputError(*complaints)
    return list(symbols)


def _emptiness(source: Path, rows: pl.DataFrame, symbol: str, start: Moment | None, end: Moment | None) -> str:
    ts = rows.filter(pl.col("symbol") == symbol)["ts"]
    asked = " ".join(f"{word} {moment}" for word, moment in (("from", start), ("to", end)) if moment is not None)
    covered = "it has none at all" if ts.is_empty() else f"it has {minute_text(ts.min())} to {minute_text(ts.max())}"
    return f"{source}: {symbol} has no bars {asked}; {covered}"


def _row_complaints(table: BarTable, rows: pl.DataFrame) -> list[str]:
    """One line per requirement that some row of one symbol breaks, about the first such row."""
    complaints = []
    for requirement in REQUIREMENTS:
        broken = rows.filter(requirement.broken)
        if broken.height:
            row = broken.row(0, named=True)
            more = f" ({broken.height} such rows)" if broken.height > 1 else ""
            is_what = f"{requirement.column} is {row[requirement.column]}"
            complaints.append(f"{_place(table, row)}: {is_what}, expected {requirement.expected.format(**row)}{more}")
    return complaints


def _minute_complaints(table: BarTable, ordered: pl.DataFrame, gaps: str) -> list[str]:
    """Minutes that one symbol has twice, and unless they are to be held, minutes it lacks."""
    steps = minutes_since_previous(ordered)
    complaints = []
    repeats = (steps == 0).arg_true()
    if len(repeats):
        first, second = (ordered.row(int(repeats[0]) + shift, named=True) for shift in (-1, 0))
        more = f" ({len(repeats)} such rows)" if len(repeats) > 1 else ""
        complaints.append(
            f"{_place(table, second)}: duplicate of {table.files[first['file']]} row {first['row']}, expected every minute once{more}"
        )
    holes = (steps > 1).arg_true()
    if len(holes) and gaps == "refuse":
        before = ordered.row(int(holes[0]) - 1, named=True)
        first_gap = _count(int(steps[int(holes[0])]) - 1, "minute")
        missing = f"{_count(int((steps.gather(holes) - 1).sum()), 'minute')} missing in {_count(len(holes), 'gap')}"
        complaints.append(
            f"{_place(table, before)}: the first gap follows, {first_gap}; {missing} in all; expected every minute, or gaps = 'hold'"
        )
    return complaints


def _range_complaints(source: Path, by_symbol: dict[str, pl.DataFrame], since: datetime | None, until: datetime | None) -> list[str]:
    """Symbols that do not cover the asked minutes, or one another's."""
    firsts = {symbol: rows["ts"][0] for symbol, rows in by_symbol.items()}
    lasts = {symbol: rows["ts"][-1] for symbol, rows in by_symbol.items()}
    complaints = [
        f"{source}: {symbol} begins {minute_text(first)}, expected bars from {minute_text(since)}"
        for symbol, first in firsts.items()
        if since is not None and first != since
    ]
    complaints += [
        f"{source}: {symbol} ends {minute_text(last)}, expected bars up to {minute_text(until - MINUTE)}"
        for symbol, last in lasts.items()
        if until is not None and last != until - MINUTE
    ]
    if not complaints and (len(set(firsts.values())) > 1 or len(set(lasts.values())) > 1):
        covers = (f"{symbol} {minute_text(firsts[symbol])} to {minute_text(lasts[symbol])}" for symbol in by_symbol)
        begin, end = max(firsts.values()), min(lasts.values()) + MINUTE
        common = f"select start {begin:%Y-%m-%dT%H:%M} and end {end:%Y-%m-%dT%H:%M}" if begin < end else "none in common"
        complaints.append(f"{source}: symbols cover different times ({'; '.join(covers)}); {common}")
    return complaints


def _on_minute_grid(ordered: pl.DataFrame, minutes: int) -> dict[str, NDArray[np.float64]]:
    """Columns of one symbol's sound rows, one value a minute; where a minute is missing the last close is held."""
    minute = (ordered["ts"].dt.epoch("us") // 60_000_000).to_numpy()
    source_row = np.searchsorted(minute, np.arange(minute[0], minute[0] + minutes), side="right") - 1
    held = np.append(False, source_row[1:] == source_row[:-1])
    columns = {name: ordered[name].to_numpy()[source_row] for name in VALUES}
    for name in ("open", "high", "low"):
        columns[name][held] = columns["close"][held]
    columns["volume"][held] = 0.0
    return columns


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _place(table: BarTable, row: dict[str, Any]) -> str:
    return f"{table.files[row['file']]}: {row['symbol']} row {row['row']} ({minute_text(row['ts'])})"
