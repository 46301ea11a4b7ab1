"""The tables of many runs made at once: what a table costs is mostly the making of it, not its rows."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abm.model import PerpModel
from abm.recorder import EVENTS, Recorder, Recording
from abm.state import Capacity, State, Table
from abm.venue_pair import BESIDE, VenuePair

RUN = "run"
NO_ROOM = Capacity(orders=1, conditionals=1, transactions=1, records=1)
FACTS = {label: name for name, label in EVENTS.items()}  # table -> what the recorder calls its rows


class Reading(NamedTuple):
    """What it takes to read the rows of a record; runs in which it is equal are read together."""

    symbols: tuple[str, ...]
    ticks: tuple[float, ...]
    lots: tuple[float, ...]
    seconds_per_block: float
    cohorts: tuple[str, ...]
    cohort_of_account: bytes
    recording: Recording


@dataclass(frozen=True)
class Facts:
    """What one run has recorded, not yet a table: rows in ticks, lots and numbers."""

    run: int
    rows: dict[str, list[Table]]
    reading: Reading
    venue: str = ""
    """What the names of its tables begin with: nothing, or BESIDE for the second of two venues."""


def facts_of(run: int, model: PerpModel | VenuePair, tables: Sequence[str]) -> list[Facts]:
    """The record of a finished run, as far as `tables` are kept, one for each of its venues. Nothing of the model itself is held on to."""
    if isinstance(model, PerpModel):
        return [_facts_of_venue(run, model, *of_venue(tables, ""))]
    return [_facts_of_venue(run, each, *of_venue(tables, venue)) for each, venue in zip(model.models, ("", BESIDE), strict=True)]


def of_venue(tables: Sequence[str], venue: str) -> tuple[tuple[str, ...], str]:
    """Those of the tables that are of the venue whose tables' names begin with `venue`, as the venue itself calls them."""
    mine = [name for name in tables if name.startswith(BESIDE) == bool(venue)]
    return tuple(name.removeprefix(venue) for name in mine), venue


def _facts_of_venue(run: int, model: PerpModel, tables: Sequence[str], venue: str) -> Facts:
    recorder, state = model.recorder, model.state
    markets = state.markets
    reading = Reading(
        state.symbols, tuple(markets["tick"].tolist()), tuple(markets["lot"].tolist()), state.seconds_per_block, recorder.cohorts,
        state.accounts["cohort"].tobytes(), recorder.recording,
    )  # fmt: skip
    rows = recorder.rows()
    return Facts(run, {name: rows[FACTS.get(name, name)] for name in tables}, reading, venue)


def tables_of(
    facts: Sequence[Facts], tables: Sequence[str], symbols: Sequence[str], cohorts: Sequence[str], cohorts_beside: Sequence[str] = ()
) -> dict[str, pl.DataFrame]:
    """Every table of `tables` with a leading column `run`, rows in the order of `facts`.

    symbols, cohorts, cohorts_beside: of the whole sweep, so that its files have one set of names.
    """
    blank = empty_tables(tuple(tables), tuple(symbols), tuple(cohorts), tuple(cohorts_beside))
    pieces: dict[str, list[pl.DataFrame]] = {name: [frame] for name, frame in blank.items()}
    for venue in ("", BESIDE):
        mine, _ = of_venue(tables, venue)
        for _, alike in itertools.groupby((each for each in facts if each.venue == venue), key=lambda each: each.reading):
            for own, frame in _read_together(list(alike), mine).items():
                name = f"{venue}{own}"
                pieces[name].append(frame.select(blank[name].columns).cast(blank[name].schema))
    return {name: pl.concat(frames) for name, frames in pieces.items()}


def empty_tables(
    tables: tuple[str, ...], symbols: tuple[str, ...], cohorts: tuple[str, ...], cohorts_beside: tuple[str, ...] = ()
) -> dict[str, pl.DataFrame]:
    """The tables without rows. Not to be changed."""
    first = _empty_tables(of_venue(tables, "")[0], symbols, cohorts)
    second = _empty_tables(of_venue(tables, BESIDE)[0], symbols, cohorts_beside)
    return {name: second[name.removeprefix(BESIDE)] if name.startswith(BESIDE) else first[name] for name in tables}


@functools.lru_cache(maxsize=8)
def _empty_tables(tables: tuple[str, ...], symbols: tuple[str, ...], cohorts: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    ones = tuple(1.0 for _ in symbols)
    everything = Recording(fills=True, orders=True)
    frames = _recorder(Reading(symbols, ones, ones, 1.0, cohorts, np.zeros(1, np.int32).tobytes(), everything)).frames()
    return {name: frames[name].select(pl.lit(0, pl.Int32).alias(RUN), pl.all()).clear() for name in tables}


def _recorder(reading: Reading) -> Recorder:
    """One that has seen nothing, at a venue with the markets and accounts of the runs to be read."""
    cohort_of_account = np.frombuffer(reading.cohort_of_account, np.int32)
    state = State(len(cohort_of_account), reading.symbols, [8] * len(reading.symbols), reading.seconds_per_block, NO_ROOM)
    state.markets["tick"], state.markets["lot"] = reading.ticks, reading.lots
    state.accounts["cohort"] = cohort_of_account
    return Recorder(state, reading.recording, reading.cohorts, 1)


def _read_together(facts: Sequence[Facts], tables: Sequence[str]) -> dict[str, pl.DataFrame]:
    recorder = _recorder(facts[0].reading)
    together = {FACTS.get(name, name): [rows for each in facts for rows in each.rows[name]] for name in tables}
    frames = recorder.frames(together)
    numbers = np.array([each.run for each in facts], np.int32)
    found = {}
    for name in tables:
        lengths = [sum(_length(name, rows) for rows in each.rows[name]) for each in facts]
        run: NDArray[np.int32] = np.repeat(numbers, lengths)
        found[name] = frames[name].insert_column(0, pl.Series(RUN, run))
    return found


def _length(name: str, rows: Table) -> int:
    """How many rows of a table come of recorded ones: of a picture of the book, one for each slice that holds orders."""
    return int(np.count_nonzero(rows["resting"])) if name == "book" else len(rows)
