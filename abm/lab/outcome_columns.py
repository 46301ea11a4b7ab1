"""The outcomes of a stored sweep that somebody asks for: columns of its table of runs, or computed from its tables."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import polars as pl

from abm.lab.errors import InputError, nearest
from abm.lab.outcomes import compute, find
from abm.lab.sweep_store import StoredSweep


def asked_outcomes(stored: StoredSweep, wanted: Sequence[str]) -> list[str]:
    """Names and patterns such as "basis_*" as names. Details that the table of runs leaves out can be named, not matched.

    Raises InputError with a line for each that the sweep does not have.
    """
    found: dict[str, None] = {}
    problems = []
    for pattern in wanted:
        matching = fnmatch.filter(stored.outcomes, pattern)
        if not matching and (problem := _problem(stored, pattern)):
            problems.append(f"{stored.folder}: {problem}")
        found |= dict.fromkeys(matching or [pattern])
    if problems:
        raise InputError(*problems)
    return list(found)


def _problem(stored: StoredSweep, name: str) -> str:
    """Why an outcome that the table of runs does not have cannot be computed; empty when it can."""
    try:
        outcome = find(name, stored.plan.symbols, stored.plan.cohorts, stored.plan.cohorts_beside)
    except InputError as error:
        guess = nearest(name, stored.outcomes)
        return f"there is no outcome {name!r}; {guess}" if guess else error.messages[0]
    missing = [table for table in outcome.tables if table not in stored.plan.tables]
    return f"outcome {name!r} needs the table {missing[0]!r}, which the sweep has not kept" if missing else ""


def runs_with(stored: StoredSweep, columns: Sequence[str], outcomes: Sequence[str]) -> pl.DataFrame:
    """`columns` of the table of runs, and `outcomes`: those that it has, others computed from the kept tables."""
    there = [name for name in outcomes if name in stored.outcomes]
    absent = [name for name in outcomes if name not in there]
    runs = stored.runs.select("run", *(name for name in columns if name != "run"), *there).collect()
    if absent:
        runs = runs.hstack(compute(stored.tables, runs["run"], absent).drop("run"))
    return runs.select(*columns, *outcomes)


def unit_of(name: str) -> str:
    """Of an outcome, suffix or not."""
    return find(name).unit
