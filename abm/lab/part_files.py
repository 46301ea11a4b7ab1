"""The files of a part: written under temporary names and renamed, `runs` last, so that a part is there or is not."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from abm.lab.errors import InputError
from abm.lab.plan import Part
from abm.lab.run_rows import RUNS
from abm.lab.store import ROWS_PER_GROUP, TABLES

PARTIAL = ".partial"
NEW_RUNS, OLD_RUNS = f".{RUNS}.new", f".{RUNS}.old"  # while the whole table is replaced
MAGIC = b"PAR1"  # a Parquet file begins and ends with it


def part_path(folder: Path, table: str, number: int) -> Path:
    """Where a table of a part lies."""
    return folder / TABLES / table / f"part-{number:05d}.parquet"


def write_part(folder: Path, number: int, tables: Mapping[str, pl.DataFrame]) -> None:
    """Writes all tables of a part, in their order; `runs` must be the last.

    Raises InputError when they cannot be written, to a full disk for example; nothing half-written stays.
    """
    if list(tables)[-1] != RUNS:
        raise ValueError(f"the last table is {list(tables)[-1]!r}, expected {RUNS!r}: it says that the part is complete")
    for name, table in tables.items():
        write_whole(part_path(folder, name, number), parquet(table, statistics=name != RUNS))


def parquet(frame: pl.DataFrame, statistics: bool = True) -> bytes:
    """A table as Parquet, compressed by zstd; equal frames give equal bytes.

    statistics: of each column, with which a reader leaves out parts that it does not want. Of a table with few rows and hundreds of
    columns, as that of runs is, they would be most of what there is to read.
    """
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=3, statistics=statistics, row_group_size=ROWS_PER_GROUP)
    return buffer.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """A file with this content, or the one that was there before. Raises InputError when it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(
                f"{path}: cannot be written ({error.strerror}); what is finished stays, and the sweep can be continued"
            ) from error
        raise


def is_finished(folder: Path, part: Part, tables: Sequence[str]) -> bool:
    """Whether a part is there completely: `runs` holds its runs, computed as they would be now, and the other files are whole."""
    if not all(_is_whole(part_path(folder, name, part.number)) for name in (*tables, RUNS)):
        return False
    try:
        found = pl.read_parquet(part_path(folder, RUNS, part.number), columns=["run", "identity"])
    except (OSError, pl.exceptions.PolarsError):
        return False
    return found.rows() == [(run.number, run.identity) for run in part.runs]


def _is_whole(path: Path) -> bool:
    """Whether a Parquet file has its end: one that was cut off has not."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < 3 * len(MAGIC):
                return False
            file.seek(-len(MAGIC), os.SEEK_END)
            return file.read() == MAGIC
    except OSError:
        return False


def restore_runs(folder: Path) -> None:
    """Puts the table of runs back in its place, if a process was ended just while it was being replaced."""
    runs, old = folder / TABLES / RUNS, folder / TABLES / OLD_RUNS
    if old.is_dir():
        if runs.is_dir():
            shutil.rmtree(old)
        else:
            os.replace(old, runs)


def remove_partial(folder: Path, ours: Callable[[int], bool]) -> None:
    """Removes what processes that were ended have left half-written, of the parts whose numbers are `ours`."""
    for path in (folder / TABLES).glob(f"*/.part-*.parquet.*{PARTIAL}"):
        if ours(int(path.name.removeprefix(".part-").partition(".")[0])):
            path.unlink(missing_ok=True)
