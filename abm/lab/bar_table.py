"""Bar files of either layout, read into one table, and what every row of it must fulfil.

- Parquet with the columns ``ts`` (datetime; UTC when it carries no zone), ``symbol``, ``open``, ``high``, ``low``,
  ``close``, ``volume``; other columns are ignored.
- Kline CSV as exchanges archive it, plain or zipped, named ``BTCUSDT-1m-2022-11-08.csv``: twelve columns with or
  without a header (open time in ms, or in µs as spot files from 2025 on, then open, high, low, close, volume, close
  time, quote volume, count, taker buy volume, taker buy quote volume, ignore).
  Source: README of ``binance/binance-public-data``.

A bar is stamped at its open. Row numbers count data rows from 1, as they stand in the file.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from abm.lab.errors import InputError, nearest

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
COLUMNS = ("ts", "symbol", *VALUES)
KLINE_COLUMNS = ("open_time", *VALUES, "close_time", "quote_volume", "count",
                 "taker_buy_volume", "taker_buy_quote_volume", "ignore")  # fmt: skip
KLINE_NAME = re.compile(r"(?P<symbol>[A-Z0-9_]+)-(?P<interval>\d+[a-zA-Z]+)-\d{4}-\d{2}(-\d{2})?")

_UTC_TIME = pl.Datetime("us", "UTC")
_FIRST_MICROSECONDS = 10**14  # as µs this is 1973, as ms the year 5138: below it an open time is in ms
_FIRST_MILLISECONDS = 10**11  # likewise 1973 in ms: below it the number is neither
_LAST_MICROSECONDS = 10**17  # the year 5138: above it neither, and beyond what a datetime holds


@dataclass(frozen=True)
class BarTable:
    """Rows of one or several files as they stand there, not yet judged.

    Columns of `rows`: ``ts`` (µs, UTC), ``symbol``, the five `VALUES` as float64 with NaN where the file has nothing,
    ``row`` and ``file`` (position in `files`). `symbols` also names those whose files were left unopened.
    """

    rows: pl.DataFrame
    files: tuple[Path, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Requirement:
    """What every row must fulfil: `broken` marks the rows that do not; `expected` may name columns in braces."""

    defect: str
    column: str
    broken: pl.Expr
    expected: str


_FINITE = pl.all_horizontal(pl.col(VALUES).is_finite())  # NaN compares as the largest number: test it first
REQUIREMENTS = (
    Requirement("off_minute", "ts", pl.col("ts").dt.truncate("1m") != pl.col("ts"), "a whole minute"),
    *(Requirement("not_finite", name, ~pl.col(name).is_finite(), "a finite number") for name in VALUES),
    *(Requirement("not_positive", name, pl.col(name) <= 0.0, "a price above zero") for name in PRICES),
    Requirement("not_positive", "volume", pl.col("volume") < 0.0, "zero or more"),
    Requirement("bad_range", "high", _FINITE & (pl.col("high") < pl.col("low")), "at or above the low, {low}"),
    *(
        Requirement(
            "bad_range",
            name,
            _FINITE & (pl.col("high") >= pl.col("low")) & ~pl.col(name).is_between(pl.col("low"), pl.col("high")),
            "between low {low} and high {high}",
        )
        for name in ("open", "close")
    ),
)


def read_table(source: Path, wanted: Sequence[str] | None = None) -> BarTable:
    """All rows of a file, or of the bar files in a folder and its subfolders in the order of their names.

    Kline files of symbols that are not `wanted` are left unopened. Raises InputError for a path that does not exist, a
    file that is neither layout, a missing column, and a value that is not of its column's type.
    """
    files = _bar_files(source)
    symbols: set[str] = set()
    tables: list[pl.DataFrame] = []
    opened: list[Path] = []
    for file in files:
        if file.suffix == ".parquet":
            table = _read_parquet(file)
            symbols.update(table["symbol"].unique())
        else:
            symbol = _kline_symbol(file)
            symbols.add(symbol)
            if wanted is not None and symbol not in wanted:
                continue
            table = _read_klines(file, symbol)
        tables.append(table.with_columns(file=pl.lit(len(opened), dtype=pl.UInt32)))
        opened.append(file)
    if tables and not any(table.height for table in tables):
        raise InputError(f"{source}: no rows, expected one-minute bars")
    rows = pl.concat(tables) if tables else pl.DataFrame(schema={"ts": _UTC_TIME, "symbol": pl.String})
    return BarTable(rows, tuple(opened), tuple(sorted(symbols)))


def minutes_since_previous(ordered: pl.DataFrame) -> pl.Series:
    """Whole minutes from the row before, of one symbol's rows in the order of time; the first is null."""
    return (ordered["ts"].dt.epoch("us") // 60_000_000).diff()


def unsorted_rows(rows: pl.DataFrame) -> int:
    """Number of one symbol's rows that are earlier than the row before them."""
    return int((rows["ts"].dt.epoch("us").diff() < 0).sum())


def minute_text(moment: object) -> str:
    """A UTC time as ``2022-11-08 14:30``."""
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else str(moment)


def _bar_files(source: Path) -> list[Path]:
    if source.is_dir():
        files = (file for suffix in ("parquet", "csv", "zip") for file in source.rglob(f"*.{suffix}"))
        found = sorted(file for file in files if file.is_file() and not file.name.startswith("."))
        if not found:
            raise InputError(f"{source}: no .parquet, .csv or .zip file in it; `abm data fetch` downloads bars")
        return found
    if not source.is_file():
        beside = [file.name for file in source.parent.iterdir()] if source.parent.is_dir() else []
        guess = nearest(source.name, beside)
        raise InputError(f"{source}: no such file or folder{'; ' * bool(guess)}{guess}")
    if source.suffix not in (".parquet", ".csv", ".zip"):
        raise InputError(f"{source}: file type is {source.suffix!r}, expected .parquet, .csv or .zip")
    return [source]


def _read_parquet(file: Path) -> pl.DataFrame:
    try:
        schema = pl.read_parquet_schema(file)
        _require_columns(file, COLUMNS, list(schema))
        expectations = {"ts": "a datetime", "symbol": "text", **dict.fromkeys(VALUES, "a number")}
        fits = {
            "ts": isinstance(schema["ts"], pl.Datetime),
            "symbol": isinstance(schema["symbol"], pl.String | pl.Categorical | pl.Enum),
            **{name: schema[name].is_numeric() for name in VALUES},
        }
        wrong = [name for name, fit in fits.items() if not fit]
        if wrong:
            raise InputError(*(f"{file}: column {name} is of type {schema[name]}, expected {expectations[name]}" for name in wrong))
        zone = getattr(schema["ts"], "time_zone", None)
        ts = pl.col("ts").dt.replace_time_zone("UTC") if zone is None else pl.col("ts").dt.convert_time_zone("UTC")
        table = pl.read_parquet(file, columns=list(COLUMNS)).with_row_index("row", offset=1)
        table = table.select("row", ts.cast(_UTC_TIME), pl.col("symbol").cast(pl.String), *_values())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{file}: not a readable Parquet file ({error})") from error
    for name in ("ts", "symbol"):
        empty = table.filter(pl.col(name).is_null())
        if empty.height:
            raise InputError(f"{file}: row {empty['row'][0]}: {name} is empty, expected {expectations[name]}")
    strange = table.filter(~pl.col("ts").dt.epoch("us").is_between(0, _LAST_MICROSECONDS))
    if strange.height:
        microseconds = strange["ts"].dt.epoch("us")[0]
        raise InputError(f"{file}: row {strange['row'][0]}: ts is {microseconds} µs since 1970, expected a market's time")
    return table


def _kline_symbol(file: Path) -> str:
    match = KLINE_NAME.fullmatch(file.stem)
    if match is None:
        raise InputError(f"{file}: no symbol in the name, expected a name like BTCUSDT-1m-2022-11-08{file.suffix}")
    if match["interval"] != "1m":
        raise InputError(f"{file}: bars of {match['interval']}, expected one-minute bars (1m)")
    return match["symbol"]


def _read_klines(file: Path, symbol: str) -> pl.DataFrame:
    text = _kline_text(file)
    first_line = text.split(b"\n", 1)[0].decode("utf-8", "replace")
    head = [name.strip(' \r"').lower().replace(" ", "_") for name in first_line.split(",")]
    has_header = not re.fullmatch(r"-?\d+(\.\d*)?", head[0])
    if has_header:
        _require_columns(file, KLINE_COLUMNS[:6], head)
        names = head
    elif len(head) != len(KLINE_COLUMNS):
        raise InputError(f"{file}: {len(head)} columns without a header, expected {len(KLINE_COLUMNS)}")
    else:
        names = list(KLINE_COLUMNS)
    try:
        table = pl.read_csv(text, has_header=False, skip_rows=int(has_header), new_columns=names, infer_schema=False)
    except pl.exceptions.NoDataError:
        table = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{file}: not a readable CSV file ({error})") from error
    table = table.select(pl.col(KLINE_COLUMNS[:6]).str.strip_chars()).with_row_index("row", offset=1)
    numbers = table.with_columns(
        pl.col("open_time").cast(pl.Int64, strict=False),
        pl.col(VALUES).replace("", None).cast(pl.Float64, strict=False),
    )
    no_time = ~pl.col("open_time").is_between(_FIRST_MILLISECONDS, _LAST_MICROSECONDS).fill_null(False)
    for name, wrong, expected in (
        ("open_time", numbers.select(no_time)["open_time"], "ms or µs since 1970"),
        *((name, numbers[name].is_null() & (table[name] != "").fill_null(False), "a number") for name in VALUES),
    ):
        first = wrong.arg_max() if wrong.any() else None
        if first is not None:
            raise InputError(f"{file}: {symbol} row {first + 1}: {name} is {table[name][first]!r}, expected {expected}")
    scale = pl.when(pl.col("open_time") < _FIRST_MICROSECONDS).then(1000).otherwise(1)
    ts = (pl.col("open_time") * scale).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return numbers.select("row", ts.alias("ts"), pl.lit(symbol).alias("symbol"), *_values())


def _kline_text(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        if file.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                inside = [name for name in archive.namelist() if name.endswith(".csv")]
                if len(inside) != 1:
                    raise InputError(f"{file}: {len(inside)} CSV files inside, expected one")
                content = archive.read(inside[0])
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{file}: not readable ({error})") from error
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise InputError(f"{file}: empty, expected one-minute bars")
    return content


def _values() -> list[pl.Expr]:
    return [pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in VALUES]


def _require_columns(file: Path, required: Sequence[str], present: Sequence[str]) -> None:
    unused = [name for name in present if name not in required]
    missing = {name: nearest(name, unused) for name in required if name not in present}
    complaints = [f"{file}: column {name} is missing; {guess}" for name, guess in missing.items() if guess]
    unlike = [name for name, guess in missing.items() if not guess]
    if unlike:
        are = "column {} is" if len(unlike) == 1 else "columns {} are"
        complaints.append(f"{file}: {are.format(', '.join(unlike))} missing; found {', '.join(present)}")
    if complaints:
        raise InputError(*complaints)
