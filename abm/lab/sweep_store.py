"""The folder of a sweep: a tidy Parquet table per kind of fact, in parts, and everything needed to know what they are.

sweep.toml            the sweep with all defaults; `abm sweep` takes it
plan.json             what is run in which parts, and what identifies it
columns.json          every column of every table with unit and meaning
provenance.json       versions, code, machine class, time of the first start
timings.jsonl         one line for each start and each part: seconds, runs
rerun.sh              runs it again, into another folder
tables/NAME/part-00000.parquet   each kept table with a leading column `run`; `runs` has one row per run
compare/ figures/ report.html    as other commands write them

Results do not depend on who computed them: all files but provenance.json, timings.jsonl and the report are byte-identical.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from abm.lab.columns import columns_of, columns_of_runs
from abm.lab.errors import InputError
from abm.lab.gathering import empty_tables
from abm.lab.output_folder import new_folder
from abm.lab.part_files import restore_runs, write_whole
from abm.lab.plan import Plan
from abm.lab.plan_record import PLAN, PlanRecord, read_record, record_of
from abm.lab.provenance import MADE_BY, environment
from abm.lab.run_rows import FAILED, LAST_OWN, RUNS, outcomes_of
from abm.lab.store import COLUMNS, PROVENANCE, TABLES
from abm.lab.sweep_text import changes
from abm.lab.toml_text import dump_toml

SWEEP, RERUN, TIMINGS = "sweep.toml", "rerun.sh", "timings.jsonl"
PACKAGES = ("numpy", "numba", "mesa", "polars", "networkx", "scipy", "distributed")


@dataclass(frozen=True)
class StoredSweep:
    """The results of a sweep in their folder, finished or not."""

    folder: Path

    @functools.cached_property
    def plan(self) -> PlanRecord:
        """What was asked."""
        return read_record(self.folder)

    @property
    def runs(self) -> pl.LazyFrame:
        """One row per run that has ended, in order: configuration, factors, seed, status, outcomes. Raises InputError without one."""
        return self._table(RUNS)

    @functools.cached_property
    def tables(self) -> dict[str, pl.LazyFrame]:
        """Every kept table by its name, not yet read; `run` is the first column."""
        return {name: self._table(name) for name in self.plan.tables}

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, code, machine class, time."""
        provenance: dict[str, Any] = json.loads((self.folder / PROVENANCE).read_text(encoding="utf-8"))
        return provenance

    @functools.cached_property
    def columns(self) -> dict[str, dict[str, dict[str, str]]]:
        """Unit and meaning of every column of every table."""
        columns: dict[str, dict[str, dict[str, str]]] = json.loads((self.folder / COLUMNS).read_text(encoding="utf-8"))
        return columns

    @property
    def outcomes(self) -> list[str]:
        """The columns of `runs` that are outcomes."""
        names = self.runs.collect_schema().names()
        return names[names.index(LAST_OWN) + 1 :]

    @property
    def factors(self) -> list[str]:
        """The columns of `runs` that are factors."""
        return [factor["name"] for factor in self.plan.factors]

    @property
    def failures(self) -> pl.DataFrame:
        """The runs that failed, with their tracebacks."""
        return self.runs.filter(pl.col("status") == FAILED).select("run", "cell", "variant", "point", "seed", "error").collect()

    def _table(self, name: str) -> pl.LazyFrame:
        parts = sorted((self.folder / TABLES / name).glob("part-*.parquet"))
        if not parts:
            raise InputError(f"{self.folder}: no run has been finished yet; `abm sweep` runs them")
        return pl.scan_parquet(parts)


def open_sweep(folder: str | Path) -> StoredSweep:
    """The results in `folder`. Raises InputError when there are none that this program wrote."""
    stored = StoredSweep(Path(folder))
    stored.plan  # noqa: B018 - reads it, and complains here rather than later
    return stored


def prepare_folder(plan: Plan, folder: Path) -> bool:
    """Makes the folder of a sweep, or finds that `folder` holds the same one; returns whether that has the same columns.

    Raises InputError when it holds anything else: another sweep, naming what differs; results of other code; a run; foreign files.
    """
    record = record_of(plan)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        _require_same(read_record(folder), record, folder)
        restore_runs(folder)
        before = (folder / COLUMNS).read_bytes() if (folder / COLUMNS).is_file() else b""
        _write_texts(folder, record)
        return before == (folder / COLUMNS).read_bytes()
    try:
        with new_folder(folder, overwrite=False, foreign=lambda _: "") as partial:
            _write_beginning(partial, plan, record)
    except InputError:
        if not (folder / PLAN).is_file():
            raise
        _require_same(read_record(folder), record, folder)  # another shard was faster
    return True


def divided_as_stored(plan: Plan, folder: Path) -> Plan:
    """The plan, in the parts that `folder` has of it: how large they are is nothing that results depend on."""
    try:
        stored = read_record(folder)
    except InputError:
        return plan
    other = dataclasses.replace(plan, runs_per_part=stored.runs_per_part)
    return other if other.identity == stored.identity else plan


def _require_same(old: PlanRecord, new: PlanRecord, folder: Path) -> None:
    if old.identity != new.identity:
        lines = changes(old.sweep, new.sweep) or ["the same settings are divided into other runs or parts"]
        raise InputError(
            f"{folder}: holds another sweep, and results of two are never mixed; choose another folder with --out. Changed:",
            *(f"{folder}: {line}" for line in lines),
        )
    if old.code != new.code:
        raise InputError(
            f"{folder}: was computed by other code ({old.code}, now {new.code}), and results of two are never mixed; "
            "choose another folder with --out"
        )


def _write_beginning(folder: Path, plan: Plan, record: PlanRecord) -> None:
    for name in (*record.tables, RUNS):
        (folder / TABLES / name).mkdir(parents=True)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    described = {"made_by": MADE_BY, "sweep": record.identity, **environment(PACKAGES), "started": started}
    (folder / PROVENANCE).write_text(_json(described), encoding="utf-8")
    _write_texts(folder, record)
    copy_own_modules(plan, folder)


def _write_texts(folder: Path, record: PlanRecord) -> None:
    """What may change between two starts of the same sweep: title, question, finding, names of outcomes, ..."""
    write_whole(folder / SWEEP, dump_toml(record.sweep).encode())
    write_columns(folder, record)
    write_whole(folder / RERUN, _rerun(record).encode())
    (folder / RERUN).chmod(0o755)
    write_whole(folder / PLAN, record.json().encode())


def write_columns(folder: Path, record: PlanRecord) -> None:
    """Writes what the columns mean: of all outcomes that there are now."""
    write_whole(folder / COLUMNS, _json(described_columns(record)).encode())


def described_columns(record: PlanRecord) -> dict[str, dict[str, dict[str, str]]]:
    """Unit and meaning of every column of every table of a sweep."""
    empty = empty_tables(tuple(record.tables), tuple(record.symbols), tuple(record.cohorts), tuple(record.cohorts_beside))
    outcomes = outcomes_of(empty, pl.Series("run", [], pl.Int32), record.asked).columns[1:]
    described = {RUNS: columns_of_runs(record.factors, outcomes)}
    for name, frame in empty.items():
        described[name] = {"run": {"unit": "number", "about": "of the run in `runs`"}, **columns_of(name, frame.columns[1:])}
    return described


def copy_own_modules(plan: Plan, folder: Path) -> None:
    """A user's own classes lie beside the experiment file, and so beside the sweep that names them."""
    for file in plan.modules:
        if file.parent == plan.sweep.folder.resolve():
            shutil.copyfile(file, folder / file.name)


def _rerun(record: PlanRecord) -> str:
    name = f"{record.name or 'sweep'}-again"
    return (
        "#!/bin/sh\n"
        f"# Runs this sweep once more, with the code {record.code}: sh rerun.sh [FOLDER] [options of abm sweep]\n"
        "set -e\n"
        f"out=${{1:-{shlex.quote(name)}}}\n"
        "[ $# -eq 0 ] || shift\n"
        'exec abm sweep "$(dirname "$0")/sweep.toml" --out "$out" "$@"\n'
    )


def note_timing(folder: Path, **facts: Any) -> None:
    """Adds a line to the file of timings; one that cannot be written is done without."""
    try:
        with (folder / TIMINGS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
    except OSError:
        return


def _json(table: Mapping[str, Any]) -> str:
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"
