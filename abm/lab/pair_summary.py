"""What happened between two venues in a run, and on the second of them, from the run's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl

from abm.lab.outcomes import PAIR_FAMILIES, Outcome, compute
from abm.lab.summary import Summary, summarise
from abm.lab.sweep_words import amount, outcome_words
from abm.venue_pair import BESIDE

OF_THE_PAIR: tuple[Outcome, ...] = tuple(outcome for family in PAIR_FAMILIES.values() for outcome in family)


@dataclass(frozen=True)
class PairSummary:
    """A second venue's summary, and the outcomes of the pair by their names."""

    beside: Summary
    numbers: Mapping[str, float | None]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "beside": self.beside.plain(),
            "pair": dict(self.numbers),
            "pair_definitions": {each.name: {"unit": each.unit, "about": each.meaning} for each in OF_THE_PAIR},
        }

    def words(self) -> list[tuple[str, str]]:
        """(what, how much) of each number that the run has."""
        found = [(outcome_words(each.name), self.numbers[each.name], each.unit) for each in OF_THE_PAIR]
        return [(words, amount(value, unit)) for words, value, unit in found if value is not None]


def summarise_pair(frames: Mapping[str, pl.DataFrame]) -> PairSummary | None:
    """The summary of a record of two venues, as `VenuePair.frames` gives it; None for the record of one."""
    if f"{BESIDE}markets" not in frames:
        return None
    tables = {name: frame.with_columns(run=pl.lit(0, pl.Int32)) for name, frame in frames.items()}
    numbers = compute(tables, pl.Series("run", [0]), [outcome.name for outcome in OF_THE_PAIR]).drop("run")
    return PairSummary(summarise(frames_beside(frames)), numbers.row(0, named=True))


def frames_beside(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables of the second venue by the names that the first venue's have."""
    return {name.removeprefix(BESIDE): frame for name, frame in frames.items() if name.startswith(BESIDE)}


def definitions(summary: PairSummary) -> str:
    """Every number of the pair with its definition, as a piece of HTML."""
    named = {each.name: each for each in OF_THE_PAIR}
    parts = (f"<b>{escape(outcome_words(name))}</b>: {escape(named[name].meaning)}" for name in summary.numbers)
    return f'<p class="note">{"; ".join(parts)}.</p>'
