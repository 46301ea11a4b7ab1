"""Configurations evaluated one batch after another, as a search asks for them: each batch is a small sweep in a folder of its own.

A search that is started again asks for the same batches and finds them finished; the same batch of other code is another one.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abm.lab.cells import field_at, value_at
from abm.lab.config import FACTORS, SWEEP, contents, read_experiment
from abm.lab.errors import InputError, nearest
from abm.lab.factors import Factor, read_factors
from abm.lab.merging import key_parts, merged, overrides_table
from abm.lab.outcome_columns import runs_with
from abm.lab.outcomes import find
from abm.lab.part import FAILED, PartTask, task_of
from abm.lab.part_files import is_finished
from abm.lab.plan import ACCOUNT_BLOCKS_PER_PART, MOST_RUNS_PER_PART, Plan, account_blocks, plan_of
from abm.lab.plan_record import factor_record
from abm.lab.sweep import Sweep, SweepTable, Until, read_sweep
from abm.lab.sweep_store import StoredSweep, open_sweep, prepare_folder
from abm.lab.toml_text import key_text
from abm.lab.worker import PartDone, carry_out

Settings = Mapping[str, Any]
"""Values by dotted key."""

EVALUATIONS = "evaluations"
PARTS = 4  # of a batch, for as many workers


class Subject(NamedTuple):
    """What is searched: one variant of a sweep file, without its factors and its design."""

    sweep: Sweep
    """The file as it is, with overrides."""
    variant: str
    """That is searched; empty where the file has none."""
    contents: dict[str, Any]
    """Of the variant, all defaults filled in, with what the sweep keeps of a run."""
    factors: tuple[Factor, ...]
    """That the file declares; whole numbers where the fields hold them."""
    seeds: tuple[int, ...]
    """That the file asks for."""


def subject_of(path: Path, overrides: Sequence[str] = (), variant: str = "") -> Subject:
    """Reads what is to be searched. variant: unless given the file's baseline, else its first.

    Raises InputError for a file that is wrong, and a variant that it does not have.
    """
    table = {"name": path.stem, **merged(contents(path), overrides_table(overrides))}
    asked = {key: value for key, value in table.get(SWEEP, {}).items() if key not in ("design", "points", "design_seed")}
    # The design of the file is not what is run: any that its factors allow will do to read it.
    drawn = {**asked, "design": "random", "points": 2} if table.get(FACTORS) else asked
    sweep = read_sweep({**table, SWEEP: drawn}, source=str(path), folder=path.parent, name=path.stem)
    name = variant or sweep.table.baseline or next(iter(sweep.variants))
    if name not in sweep.variants:
        guess = nearest(name, sweep.variants) or f"expected one of {', '.join(filter(None, sweep.variants)) or 'none'}"
        raise InputError(f"{path}: there is no variant {name!r}; {guess}")
    plain = sweep.variants[name].plain()
    factors = tuple(_whole(factor, plain) for factor in sweep.factors)
    kept = {key: value for key, value in asked.items() if key in ("tables", "every_seconds", "cluster")}
    return Subject(sweep, name, {**plain, SWEEP: kept}, factors, _seeds(sweep.table, sweep.base.run.seed))


def _whole(factor: Factor, plain: Settings) -> Factor:
    """A range over a field that holds whole numbers has whole numbers only."""
    return factor.whole() if factor.ranged and type(value_at(plain, factor.keys[0])) is int else factor


def _seeds(table: SweepTable, first: int) -> tuple[int, ...]:
    if table.seeds:
        return table.seeds
    wanted = table.replications
    number = wanted.least if isinstance(wanted, Until) else wanted or 1
    first = first if table.first_seed is None else table.first_seed
    return tuple(range(first, first + number))


def declared(subject: Subject, names: Sequence[str] = ()) -> tuple[Factor, ...]:
    """The factors of the file that are called `names`; all unless any is named. Raises InputError where there is none of a name."""
    known = [factor.name for factor in subject.factors]
    if not known:
        raise InputError(f"{subject.sweep.source}: factors: missing; a range of what is varied, such as {{ low = 1.0, high = 2.0 }}")
    unknown = [name for name in names if name not in known]
    if unknown:
        guess = nearest(unknown[0], known) or f"expected one of {', '.join(known)}"
        raise InputError(f"{subject.sweep.source}: there is no factor {unknown[0]!r}; {guess}")
    return tuple(factor for factor in subject.factors if not names or factor.name in names)


def between(subject: Subject, name: str, ends: tuple[float, float] | None = None, log: bool = False) -> Factor:
    """Any number of the configuration between two `ends`, or a factor of the file from its lowest to its highest value.

    Raises InputError for a range that is none, and a factor that has none.
    """
    known = next((factor for factor in subject.factors if factor.name == name), None)
    if ends is not None:
        low, high = ends
        factor = read_factors({name: {"low": low, "high": high, "scale": "log" if log else "linear"}}, subject.sweep.source)[0]
        return _whole(dataclasses.replace(factor, keys=known.keys if known else factor.keys), subject.contents)
    if known is None:
        guess = nearest(name, [factor.name for factor in subject.factors])
        raise InputError(f"{subject.sweep.source}: {name!r} is no factor of the file; {guess or 'expected the ends of a range besides'}")
    if known.ranged:
        return known
    if len(known.keys) > 1 or not all(type(level) in (int, float) for level in known.levels) or len(set(known.levels)) < 2:
        raise InputError(f"{subject.sweep.source}: factors.{name}: its values are no numbers of one key, and so no range")
    return _whole(Factor(name, known.keys, low=min(known.levels), high=max(known.levels), log=log), subject.contents)


def unit_of_factor(subject: Subject, factor: Factor) -> str:
    """Of the field that the factor sets; empty where it has none."""
    experiment = read_experiment({key: value for key, value in subject.contents.items() if key != SWEEP}, folder=subject.sweep.folder)
    return field_at(experiment, factor.keys[0])[0]


def described(subject: Subject, factors: Sequence[Factor]) -> list[dict[str, Any]]:
    """The factors as `abm.lab.plan_record` writes them down, with unit and meaning of the first field that each sets."""
    experiment = read_experiment({key: value for key, value in subject.contents.items() if key != SWEEP}, folder=subject.sweep.folder)
    return [factor_record(factor, *field_at(experiment, factor.keys[0])) for factor in factors]


def own_values(subject: Subject, factors: Sequence[Factor]) -> dict[str, Any]:
    """What the file itself has where the factors vary it, as the results write it; None where that is none of a factor's levels."""
    found: dict[str, Any] = {}
    for factor in factors:
        own = [value_at(subject.contents, key) for key in factor.keys]
        if factor.ranged:
            found[factor.name] = own[0] if type(own[0]) in (int, float) else None
        else:
            same = (level for level in factor.levels if [value for _, value in factor.settings(level)] == own)
            found[factor.name] = next(map(factor.value, same), None)
    return found


def settings_at(factors: Sequence[Factor], position: Iterable[float]) -> dict[str, Any]:
    """What the factors set at a point of the unit cube."""
    return dict(pair for factor, place in zip(factors, position, strict=True) for pair in factor.settings(factor.at(float(place))))


class Evaluator:
    """Runs batches of configurations with the same seeds in each, each batch in a folder of its own below `folder`/evaluations.

    workers, cluster: as of `abm.lab.runner.run_sweep`; processes are started once. progress: told the number of runs ended so far.
    A context manager: workers end with the block.
    """

    def __init__(
        self,
        subject: Subject,
        folder: Path,
        outcome: str,
        *,
        workers: int = 1,
        cluster: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.subject, self.folder, self.outcome = subject, folder, outcome
        self.progress = progress
        self.runs = self.failed = 0
        self._wanted = (workers, cluster)
        self._stack = ExitStack()
        self._engine: Callable[..., Any] | None = None
        find(outcome)

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def values(self, points: Sequence[Settings], seeds: Sequence[int]) -> NDArray[np.float64]:
        """The outcome of every point (rows) with every seed (columns); NaN where it is undefined or the run failed.

        Raises InputError when all runs of the batch failed, or the configuration does not have the outcome.
        """
        distinct, place = _distinct(points)
        stored = self._stored(distinct, seeds)
        runs = runs_with(stored, ("point", "seed", "status", "error"), [self.outcome])
        failed = runs.filter(pl.col("status") == FAILED)
        self.runs += runs.height
        self.failed += failed.height
        if failed.height == runs.height:
            raise InputError(f"{stored.folder}: all {runs.height} runs failed; the first: {failed['error'][0].splitlines()[-1]}")
        table = np.full((len(distinct), len(seeds)), np.nan)
        column = {seed: number for number, seed in enumerate(seeds)}
        for point, seed, value in runs.select("point", "seed", self.outcome).iter_rows():
            table[point, column[seed]] = np.nan if value is None else value
        return table[place]

    def means(self, points: Sequence[Settings], seeds: Sequence[int]) -> NDArray[np.float64]:
        """The mean of the outcome over the seeds in which it is defined; NaN where it is in none."""
        return mean_outcomes(self.values(points, seeds))

    def _stored(self, points: Sequence[Settings], seeds: Sequence[int]) -> StoredSweep:
        plan = batch_plan(self.subject, points, seeds, self.outcome)
        folder = self.folder / EVALUATIONS / f"{plan.identity[:12]}-{plan.code[:8]}"
        prepare_folder(plan, folder)
        missing = [part for each in plan.rounds for part in plan.parts(each) if not is_finished(folder, part, plan.tables)]
        done = self.runs

        def finished(_: bool) -> None:
            nonlocal done
            done += 1
            self.progress(done)

        for _ in self._carry_out([task_of(plan, part, folder) for part in missing], finished):
            pass
        self.progress(self.runs + plan.most_runs)
        return open_sweep(folder)

    def _carry_out(self, tasks: Sequence[PartTask], finished: Callable[[bool], None]) -> Any:
        workers, cluster = self._wanted
        if workers == 1 and not cluster:
            return _here(tasks, finished)
        if self._engine is None:
            from abm.lab.distribution import Distribution

            arguments = self.subject.sweep.table.cluster
            self._engine = self._stack.enter_context(Distribution(workers, cluster, arguments)).carry_out
        return self._engine(tasks, finished)


def mean_outcomes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each row over the columns in which it is a number; NaN where it is in none."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def _here(tasks: Sequence[PartTask], finished: Callable[[bool], None]) -> list[PartDone]:
    return [carry_out(task, finished) for task in tasks]


def batch_plan(subject: Subject, points: Sequence[Settings], seeds: Sequence[int], outcome: str) -> Plan:
    """The sweep that evaluates `points`, all different, with `seeds`, and keeps what `outcome` needs.

    Raises InputError for a point that is no configuration.
    """
    table = dict(subject.contents)
    kept: dict[str, Any] = dict(table[SWEEP])
    tables = list(kept.get("tables", SweepTable().tables))
    kept["tables"] = [*tables, *(name for name in find(outcome).tables if name not in tables)]
    kept |= {"seeds": list(seeds), "outcomes": [outcome]}
    if len(points) > 1:
        kept |= {"design": "list", "points": [dict(point) for point in points]}
    else:  # a list of one point varies nothing, which a sweep does not take
        for key, value in points[0].items():
            table = merged(table, _nested(key, value))
    table = {**table, SWEEP: kept}
    plan = plan_of(read_sweep(table, source=subject.sweep.source, folder=subject.sweep.folder, name=subject.sweep.name))
    # A batch is small and asked for again and again: what a part costs besides its runs counts more than an even load.
    largest = max(account_blocks(cell.experiment) for cell in plan.cells)
    fitting = min(MOST_RUNS_PER_PART, int(ACCOUNT_BLOCKS_PER_PART / largest))
    return dataclasses.replace(plan, runs_per_part=max(1, min(fitting, math.ceil(plan.most_runs / PARTS))))


def _nested(key: str, value: Any) -> dict[str, Any]:
    nested: Any = value
    for part in reversed(key_parts(key)):
        nested = {part: nested}
    return dict(nested)


def _distinct(points: Sequence[Settings]) -> tuple[list[Settings], NDArray[np.intp]]:
    """The different points, and which of them each is: factors that are whole numbers or levels meet again."""
    numbers: dict[str, int] = {}
    found: list[Settings] = []
    place = np.empty(len(points), dtype=np.intp)
    for row, point in enumerate(points):
        key = json.dumps({key_text([name]): value for name, value in point.items()}, sort_keys=True, default=str)
        if key not in numbers:
            numbers[key] = len(found)
            found.append(point)
        place[row] = numbers[key]
    return found, place
