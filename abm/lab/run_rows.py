"""The table of runs: what each run was, how it ended, and what it came down to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from abm.lab.traceback_text import traceback_text

RUN, RUNS = "run", "runs"
DONE, FAILED = "done", "failed"
LAST_OWN = "blocks"  # the last column before the outcomes
FACTOR_TYPES = {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String()}
BEFORE: dict[str, pl.DataType] = {
    RUN: pl.Int32(), "cell": pl.Int32(), "variant": pl.String(), "point": pl.Int32(), "seed": pl.Int64(), "replication": pl.Int32(),
}  # fmt: skip
AFTER: dict[str, pl.DataType] = {"identity": pl.String(), "status": pl.String(), "error": pl.String(), LAST_OWN: pl.Int64()}


def run_rows(rows: Sequence[tuple[object, ...]], factors: Mapping[str, type]) -> pl.DataFrame:
    """Rows without outcomes: first columns of every run, its factors, and how it ended."""
    schema = BEFORE | {name: FACTOR_TYPES[kind] for name, kind in factors.items()} | AFTER
    return pl.DataFrame(rows, schema=schema, orient="row")


def own_columns(runs: pl.DataFrame) -> pl.DataFrame:
    """The table without its outcomes."""
    return runs.select(runs.columns[: runs.get_column_index(LAST_OWN) + 1])


def with_outcomes(own: pl.DataFrame, tables: Mapping[str, pl.DataFrame], asked: Sequence[str], beside: Path) -> pl.DataFrame:
    """The rows with the outcomes of the runs that have kept tables, one Float64 column each, never NaN.

    A run whose outcomes cannot be computed counts as failed, with the traceback; its tables are kept, so that it can be tried again.
    asked: names, see `outcomes_of`.
    beside: folder of the experiment file, see `abm.lab.traceback_text`.
    """
    there = set(tables["markets"][RUN].unique())
    kept = pl.Series([run in there for run in own[RUN]], dtype=pl.Boolean)
    own = own.with_columns(status=pl.when(kept).then(pl.lit(DONE)).otherwise("status"), error=pl.when(~kept).then("error"))
    try:
        return own.hstack(outcomes_of(tables, own[RUN], asked).drop(RUN))
    except Exception:
        return pl.concat([_one_run(own[row], tables, asked, beside) for row in range(own.height)])


def _one_run(own: pl.DataFrame, tables: Mapping[str, pl.DataFrame], asked: Sequence[str], beside: Path) -> pl.DataFrame:
    run = own[RUN]
    try:
        found = outcomes_of({name: table.filter(pl.col(RUN) == run[0]) for name, table in tables.items()}, run, asked)
    except Exception as error:
        own = own.with_columns(status=pl.lit(FAILED), error=pl.lit(traceback_text(error, beside)))
        found = outcomes_of({name: table.clear() for name, table in tables.items()}, run, asked)
    return own.hstack(found.drop(RUN))


def outcomes_of(tables: Mapping[str, pl.DataFrame], runs: pl.Series, asked: Sequence[str]) -> pl.DataFrame:
    """Outcomes of `runs`, one row for each in their order: all but details, and of those the ones `asked` for by name.

    Of a run without kept tables there are none.
    """
    from abm.lab.outcomes import columns, compute

    names = ["-", *asked]
    if tables["markets"].is_empty():
        return pl.DataFrame([runs, *(pl.Series(name, [None] * runs.len(), pl.Float64) for name in columns(tables, runs, names))])
    return compute(tables, runs, names).with_columns(pl.exclude(RUN).cast(pl.Float64).fill_nan(None))
