"""The folder of a run: tables as Parquet, the resolved experiment, the summary, and where it all comes from.

experiment.toml       the experiment with all defaults; `abm run` takes it
provenance.json       settings again, versions, code, machine class, time
summary.json          what happened, each number with unit and definition
columns.json          every column of every table with unit and meaning
tables/*.parquet      one per table; of a second venue the same with `beside_` in front of their names
figures/, report.html as `abm.lab.report` writes them

All files but provenance.json and the report are byte-identical for the same run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from abm.lab.columns import columns_of
from abm.lab.errors import InputError
from abm.lab.pair_summary import PairSummary, summarise_pair
from abm.lab.summary import Summary, summarise
from abm.lab.toml_text import dump_toml

EXPERIMENT, PROVENANCE, SUMMARY, COLUMNS, REPORT = (
    "experiment.toml",
    "provenance.json",
    "summary.json",
    "columns.json",
    "report.html",
)
TABLES, FIGURES = "tables", "figures"
ROWS_PER_GROUP = 1 << 18  # fixed, so that the bytes do not depend on how many threads write
_OURS = {EXPERIMENT, PROVENANCE, SUMMARY, COLUMNS, REPORT}
_OUR_SUFFIXES = {TABLES: {".parquet"}, FIGURES: {".svg", ".png"}}


@dataclass(frozen=True)
class StoredRun:
    """A finished run in its folder."""

    folder: Path

    @functools.cached_property
    def tables(self) -> dict[str, pl.LazyFrame]:
        """Every table by its name, not yet read."""
        return {path.stem: pl.scan_parquet(path) for path in sorted((self.folder / TABLES).glob("*.parquet"))}

    @functools.cached_property
    def frames(self) -> dict[str, pl.DataFrame]:
        """Every table by its name, read; the same that `PerpModel.frames` gave."""
        return {name: table.collect() for name, table in self.tables.items()}

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, code, machine class, time, and the experiment in words."""
        provenance: dict[str, Any] = json.loads((self.folder / PROVENANCE).read_text(encoding="utf-8"))
        return provenance

    @property
    def experiment(self) -> dict[str, Any]:
        """The resolved experiment as a plain table; `abm.lab.config.load` makes an `Experiment` of the file."""
        experiment: dict[str, Any] = self.provenance["experiment"]
        return experiment

    @functools.cached_property
    def summary(self) -> Summary:
        """What happened, computed from the tables."""
        return summarise(self.frames)

    @functools.cached_property
    def pair(self) -> PairSummary | None:
        """What happened between two venues, computed from the tables; None where there is one."""
        return summarise_pair(self.frames)

    @property
    def origin(self) -> datetime | None:
        """When the run begins in UTC, if its prices are real ones of a known date."""
        return origin_of(self.experiment)


def origin_of(experiment: Mapping[str, Any]) -> datetime | None:
    """When a run of this resolved experiment begins in UTC; None for synthetic prices, or when the file does not say."""
    world = experiment["world"]
    if "from" not in world:
        return None
    moment = datetime.fromisoformat(world["from"])
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment + timedelta(seconds=world.get("start_offset", 0.0))


def write_run(
    folder: Path, frames: Mapping[str, pl.DataFrame], summary: Summary, experiment: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Writes all files of a run but figures and report into `folder`, which must exist."""
    (folder / TABLES).mkdir()
    for name, frame in frames.items():
        write_table(folder / TABLES / f"{name}.parquet", frame)
    (folder / EXPERIMENT).write_text(dump_toml(experiment), encoding="utf-8")
    pair = summarise_pair(frames)
    (folder / SUMMARY).write_text(summary.json() if pair is None else _pair_json(summary, pair), encoding="utf-8")
    (folder / COLUMNS).write_text(_json({name: columns_of(name, frame.columns) for name, frame in frames.items()}), encoding="utf-8")
    (folder / PROVENANCE).write_text(_json(provenance), encoding="utf-8")


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """One table as Parquet, compressed by zstd; equal frames give equal bytes."""
    frame.rechunk().write_parquet(path, compression="zstd", compression_level=3, statistics=True, row_group_size=ROWS_PER_GROUP)


def open_run(folder: str | Path) -> StoredRun:
    """The run in `folder`. Raises InputError when there is none, or none that this program wrote."""
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder, expected one that a run has written")
    if not _was_made_here(path):
        raise InputError(f"{folder}: holds no run, expected {PROVENANCE} beside {TABLES}")
    missing = [name for name in ("markets", "venue", "cohorts") if not (path / TABLES / f"{name}.parquet").is_file()]
    if missing:
        raise InputError(f"{folder}: the table {missing[0]} is missing, expected {TABLES}/{missing[0]}.parquet")
    return StoredRun(path)


def foreign_files(folder: Path) -> str:
    """What `folder` holds that no run has written, in words; an empty string when it is a run and nothing else."""
    if not _was_made_here(folder):
        return "it was not written by a run"
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        ours = (len(inside.parts) == 1 and (inside.name in _OURS or (inside.name in _OUR_SUFFIXES and path.is_dir()))) or (
            len(inside.parts) == 2 and path.suffix in _OUR_SUFFIXES.get(inside.parts[0], ())
        )
        if not ours or path.is_symlink():
            return f"no run wrote {inside.as_posix()}"
    return ""


def _was_made_here(folder: Path) -> bool:
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(provenance, dict) and provenance.get("made_by") == "abm"


def _pair_json(summary: Summary, pair: PairSummary) -> str:
    return json.dumps({**summary.plain(), **pair.plain()}, indent=1, allow_nan=False) + "\n"


def _json(table: Mapping[str, Any]) -> str:
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"
