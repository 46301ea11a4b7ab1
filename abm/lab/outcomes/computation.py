"""Outcomes of many runs at once: one pass over each kind of rows, one column per outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abm.lab.errors import InputError, nearest
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome
from abm.lab.outcomes.populations import LEVERAGE_BANDS
from abm.lab.outcomes.registry import OUTCOMES, PAIR_OUTCOMES

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """An outcome with its suffix, if it has one."""

    outcome: Outcome
    category: str = ""

    @property
    def name(self) -> str:
        """As the table of runs calls it."""
        return f"{self.outcome.name}.{self.category}" if self.category else self.outcome.name

    @property
    def is_split(self) -> bool:
        """Whether it comes from numbers of single markets, cohorts or bands, rather than from all rows of a run."""
        return bool(self.category) or self.outcome.together not in ("", "all")


def find(
    name: str,
    markets: Sequence[str] | None = None,
    cohorts: Sequence[str] | None = None,
    cohorts_beside: Sequence[str] | None = None,
) -> Outcome:
    """The outcome that a column is called after, suffix or not: that of `basis_p99.BTC` is `basis_p99`.

    Markets and cohorts (of the venue beside for an outcome of that) are checked where they are given. Raises InputError for an unknown
    name, naming the nearest.
    """
    outcome, category = _parse(name)
    people = cohorts_beside if outcome.beside else cohorts
    known = {"market": markets, "cohort": people, "leverage": LEVERAGE_BANDS}.get(outcome.split)
    if category not in ("", "*") and known is not None and category not in known:
        raise InputError(
            f"outcome {name!r}: no {outcome.split} is called {category!r}; {nearest(category, known) or 'expected ' + ', '.join(known)}"
        )
    return outcome


def columns(
    tables: Mapping[str, pl.LazyFrame | pl.DataFrame], runs: pl.Series | pl.DataFrame, names: Iterable[str] | None = None
) -> list[str]:
    """Names of the columns that `compute` gives."""
    return [column.name for column in _columns(_many_runs(tables, runs), names)]


def compute(
    tables: Mapping[str, pl.LazyFrame | pl.DataFrame], runs: pl.Series | pl.DataFrame, names: Iterable[str] | None = None
) -> pl.DataFrame:
    """Outcomes of `runs`, numbers or a table with a column `run`: one row for each in that order, `run` (Int32) and one Float64
    column for each outcome.

    `tables` are those kept of the runs, each with a leading column `run`. `names` may be outcomes (`bad_debt`), outcomes with a
    suffix (`profit.scalpers`), all suffixes of one (`profit.*`) and `*`: everything that these tables allow. None: that, but details.
    Null: the run has no such number, for nothing exercised it, a table that it needs was not kept, or the run failed.

    Raises InputError for an unknown name.
    """
    many = _many_runs(tables, runs)
    wanted = _columns(many, names)
    values = np.full((len(wanted), many.runs.len()), np.nan)
    passes: dict[object, list[int]] = defaultdict(list)
    for place, column in enumerate(wanted):
        if many.keeps(column.outcome.tables):
            passes[column.outcome.beside, column.outcome.rows, column.is_split and column.outcome.split].append(place)
    for places in passes.values():
        same = [wanted[place] for place in places]
        there = _seen_from(many, same[0].outcome)
        values[places] = _split_values(there, same) if same[0].is_split else _whole_values(there, same)
    found = pl.DataFrame(values.T, schema=[column.name for column in wanted], orient="row").fill_nan(None).insert_column(0, many.runs)
    asked = runs["run"] if isinstance(runs, pl.DataFrame) else runs
    if asked.len() != many.runs.len():
        found = asked.cast(pl.Int32).alias("run").to_frame().join(found, on="run", how="left", maintain_order="left")
    return found


def _many_runs(tables: Mapping[str, pl.LazyFrame | pl.DataFrame], runs: pl.Series | pl.DataFrame) -> ManyRuns:
    return ManyRuns(tables, runs["run"] if isinstance(runs, pl.DataFrame) else runs)


def _seen_from(many: ManyRuns, outcome: Outcome) -> ManyRuns:
    """The runs with the tables of the venue that an outcome is of."""
    return many.beside if outcome.beside else many


def _parse(name: str) -> tuple[Outcome, str]:
    base, _, category = name.partition(".")
    outcome = OUTCOMES.get(base) or PAIR_OUTCOMES.get(base)
    if outcome is None:
        guess = nearest(base, OUTCOMES) or nearest(base, PAIR_OUTCOMES)
        raise InputError(f"outcome {name!r} is unknown; {guess or 'they are listed in docs/outcomes.md'}")
    if category and not outcome.split:
        raise InputError(f"outcome {name!r}: there is one number per run only, expected {base!r}")
    if not category and not outcome.plain:
        raise InputError(f"outcome {name!r}: there is one for each {outcome.split}, expected '{base}.NAME' or '{base}.*'")
    return outcome, category


def _categories(many: ManyRuns, outcome: Outcome) -> Sequence[str]:
    return LEVERAGE_BANDS if outcome.split == "leverage" else many.categories(outcome.split)


def _offered(many: ManyRuns) -> Iterable[Outcome]:
    """Outcomes that runs of this kind have: those of a second venue only where there is one."""
    return [*OUTCOMES.values(), *(PAIR_OUTCOMES.values() if many.keeps(["beside_markets"]) else ())]


def _columns(many: ManyRuns, names: Iterable[str] | None) -> list[Column]:
    found: dict[Column, None] = {}
    for name in ["-"] if names is None else [names] if isinstance(names, str) else names:
        if name in ("-", "*"):
            for outcome in _offered(many):
                if many.keeps(outcome.tables) and not (outcome.detail and name == "-"):
                    found |= dict.fromkeys(_all_columns(many, outcome))
            continue
        outcome, category = _parse(name)
        found |= dict.fromkeys(_suffixed(many, outcome) if category == "*" else [Column(outcome, category)])
    return list(found)


def _all_columns(many: ManyRuns, outcome: Outcome) -> list[Column]:
    return ([Column(outcome)] if outcome.plain else []) + _suffixed(many, outcome)


def _suffixed(many: ManyRuns, outcome: Outcome) -> list[Column]:
    """One column per market, cohort or band; none where the table that lists them was not kept."""
    many = _seen_from(many, outcome)
    listed = not outcome.split or outcome.split == "leverage" or many.keeps([f"{outcome.split}s"])
    return [Column(outcome, category) for category in _categories(many, outcome)] if outcome.split and listed else []


def _whole_values(many: ManyRuns, same: Sequence[Column]) -> Numbers:
    """Outcomes by run, from all rows of each run."""
    outcomes = [column.outcome for column in same]
    return _aggregated(many.make(outcomes[0].rows), many.make(finished), ["run"], outcomes)


def _split_values(many: ManyRuns, same: Sequence[Column]) -> Numbers:
    """Outcomes by run, from the rows of each market, cohort or band of each run."""
    outcomes = list({column.outcome.name: column.outcome for column in same}.values())
    by = outcomes[0].split
    categories = list(_categories(many, outcomes[0]))
    flat = _aggregated(many.make(outcomes[0].rows), many.make(GRIDS[by]), ["run", by], outcomes)
    parts = {outcome.name: row.reshape(-1, len(categories)) for outcome, row in zip(outcomes, flat, strict=True)}
    values = np.full((len(same), many.runs.len()), np.nan)
    for row, column in zip(values, same, strict=True):
        if not column.category:
            row[:] = _together(parts[column.outcome.name], column.outcome.together)
        elif column.category in categories:
            row[:] = parts[column.outcome.name][:, categories.index(column.category)]
    return values


def _aggregated(rows: pl.DataFrame, grid: pl.DataFrame, by: Sequence[str], outcomes: Sequence[Outcome]) -> Numbers:
    """One row per outcome, one number for each row of `grid`; NaN where there is none."""
    values = np.full((len(outcomes), grid.height), np.nan)
    if rows.height:
        found = by_group(rows, by, (outcome.value.cast(pl.Float64).alias(outcome.name) for outcome in outcomes))
        found = found.with_columns(pl.col(column).cast(grid.schema[column]) for column in by)
        aligned = grid.join(found, on=by, how="left", maintain_order="left")
        values = aligned.select(outcome.name for outcome in outcomes).to_numpy().T.copy()
        values[~np.isfinite(values)] = np.nan
    for row, outcome in zip(values, outcomes, strict=True):
        if outcome.absent is not None:
            row[np.isnan(row) & grid["there"].to_numpy()] = outcome.absent
    return values + 0.0  # zero has no sign


def _together(parts: Numbers, how: str) -> Numbers:
    """One number for each row of `parts`: of those that are numbers their sum, mean or largest; NaN where none is."""
    known = ~np.isnan(parts)
    some = known.any(axis=1)
    if how == "largest":
        return np.where(some, np.where(known, parts, -np.inf).max(axis=1, initial=-np.inf), np.nan)
    total = np.where(known, parts, 0.0).sum(axis=1)
    return np.where(some, total / np.maximum(known.sum(axis=1), 1) if how == "mean" else total, np.nan)


def finished(many: ManyRuns) -> pl.DataFrame:
    """Every run that was asked for, and whether it is `there`: a run that failed left no rows in tables that every run fills."""
    kept = next((name for name in ("markets", "venue", "cohorts") if many.keeps([name])), None)
    if kept is None:
        return many.runs.to_frame().with_columns(there=True)
    return many.runs.to_frame().with_columns(pl.Series("there", np.isin(many.runs, many.table(kept)["run"])))


def _grid(many: ManyRuns, split: str, table: str) -> pl.DataFrame:
    """Every run with every category, and whether the run has it."""
    rows = many.table(table).select("run", split)
    names = pl.DataFrame({split: many.categories(split)}, schema={split: rows.schema[split]})
    grid = many.runs.to_frame().join(names, how="cross", maintain_order="left_right")
    grid = grid.join(rows.unique().with_columns(there=True), on=["run", split], how="left", maintain_order="left")
    return grid.with_columns(pl.col("there").fill_null(False))


def markets_of_runs(many: ManyRuns) -> pl.DataFrame:
    """Every run with every market."""
    return _grid(many, "market", "markets")


def cohorts_of_runs(many: ManyRuns) -> pl.DataFrame:
    """Every run with every cohort."""
    return _grid(many, "cohort", "cohorts")


def bands_of_runs(many: ManyRuns) -> pl.DataFrame:
    """Every run with every band of leverage."""
    names = pl.DataFrame({"leverage": LEVERAGE_BANDS}, schema={"leverage": pl.Enum(LEVERAGE_BANDS)})
    return many.make(finished).join(names, how="cross", maintain_order="left_right")


GRIDS = {"market": markets_of_runs, "cohort": cohorts_of_runs, "leverage": bands_of_runs}
