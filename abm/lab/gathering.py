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


def facts_of(run: int, model: PerpModel, tables: Sequence[str]) -> Facts:
    """The record of a finished run, as far as `tables` are kept. Nothing of the model itself is held on to."""
    recorder, state = model.recorder, model.state
    markets = state.markets
    reading = Reading(
        state.symbols, tuple(markets["tick"].tolist()), tuple(markets["lot"].tolist()), state.seconds_per_block, recorder.cohorts,
        state.accounts["cohort"].tobytes(), recorder.recording,
    )  # fmt: skip
    rows = recorder.rows()
    return Facts(run, {name: rows[FACTS.get(name, name)] for name in tables}, reading)


def tables_of(facts: Sequence[Facts], tables: Sequence[str], symbols: Sequence[str], cohorts: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Every table of `tables` with a leading column `run`, rows in the order of `facts`.

    symbols, cohorts: of the whole sweep, so that its files have one set of names.
    """
    blank = empty_tables(tuple(tables), tuple(symbols), tuple(cohorts))
    pieces: dict[str, list[pl.DataFrame]] = {name: [frame] for name, frame in blank.items()}
    for _, alike in itertools.groupby(facts, key=lambda each: each.reading):
        for name, frame in _read_together(list(alike), tables).items():
            pieces[name].append(frame.select(blank[name].columns).cast(blank[name].schema))
    return {name: pl.concat(frames) for name, frames in pieces.items()}


@functools.lru_cache(maxsize=8)
def empty_tables(tables: tuple[str, ...], symbols: tuple[str, ...], cohorts: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    """The tables without rows. Not to be changed."""
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
