"""The files of a threshold and of a worst case: everything that their figures and reports show."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from abm.lab.analysis_files import (
    EVALUATIONS,
    THRESHOLD,
    WORST,
    WORST_FILE,
    interval_of,
    interval_table,
    malformed,
    read_json,
    read_table,
    write_json,
)
from abm.lab.comparison_table import finite
from abm.lab.evaluation import Evaluator, batch_plan, described, own_values
from abm.lab.factors import Factor
from abm.lab.part_files import parquet, write_whole
from abm.lab.plan_record import factor_record
from abm.lab.search import Event, FoundThreshold, FoundWorst
from abm.lab.search_text import worst_sentence
from abm.lab.statistics.bisection import Evaluation, Threshold
from abm.lab.statistics.interval import Interval
from abm.lab.toml_text import dump_toml


def write_threshold(found: FoundThreshold, folder: Path) -> Path:
    """Writes threshold.json. Raises InputError when it cannot be written."""
    threshold, factor = found.threshold, found.factor
    tried = [
        {"value": each.value, "happened": each.successes, "runs": each.trials, "probability": interval_table(each.probability)}
        for each in threshold.evaluations
    ]
    contents = {
        "sweep": found.sweep, "variant": found.variant, "factor": factor.name, "unit": found.unit,
        "event": str(found.event), "event_parts": dataclasses.asdict(found.event),
        "probability": threshold.target, "threshold": interval_table(threshold.value),
        "rising": threshold.rising, "consistent": threshold.consistent, "replications": found.replications, "runs": found.runs,
        "failed": found.failed, "undefined": found.undefined, "record": factor_record(factor, found.unit), "evaluations": tried,
    }  # fmt: skip
    return write_json(folder / THRESHOLD, contents)


def read_threshold(folder: Path) -> FoundThreshold:
    """What `write_threshold` has written. Raises InputError where there is none."""
    path = folder / THRESHOLD
    table = read_json(path)
    try:
        record = table["record"]
        tried = (
            Evaluation(each["value"], each["happened"], each["runs"], interval_of(each["probability"])) for each in table["evaluations"]
        )
        return FoundThreshold(
            sweep=table["sweep"],
            variant=table["variant"],
            factor=Factor(
                record["name"], tuple(record["keys"]), low=record["low"], high=record["high"], log=record["scale"] == "log",
                integer=record["type"] == "int",
            ),
            unit=table["unit"],
            event=Event(**table["event_parts"]),
            threshold=Threshold(
                interval_of(table["threshold"]), table["probability"], table["rising"], tuple(tried), table["consistent"]
            ),
            replications=table["replications"],
            runs=table["runs"],
            failed=table["failed"],
            undefined=table["undefined"],
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise malformed(path, error) from error


@dataclass(frozen=True)
class StoredWorst:
    """A worst case as its files have it.

    searched, fresh: of the winner, in the worlds of the search and in others; baseline: of the file's own configuration in those
    others, difference: between both, pair by pair. point: of the winner, in `tried`, which has `evaluation`, a column for each
    factor, and the outcome, null where it was undefined. own: what the file has for each factor.
    """

    sweep: str
    variant: str
    outcome: str
    unit: str
    sign: int
    searched: float
    fresh: Interval
    baseline: float
    difference: Interval | None
    point: Mapping[str, Any]
    own: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]
    replications: int
    fresh_seeds: tuple[int, ...]
    runs: int
    failed: int
    tried: pl.DataFrame = dataclasses.field(compare=False)

    @property
    def best_so_far(self) -> list[float]:
        """The worst value after each evaluation; NaN before the first that was defined."""
        signed = self.sign * self.tried[self.outcome].fill_null(-self.sign * math.inf).to_numpy()
        path = np.maximum.accumulate(signed)
        return [float(each) for each in np.where(np.isfinite(path), self.sign * path, np.nan)]


def write_worst(found: FoundWorst, evaluator: Evaluator, factors: Sequence[Factor], folder: Path) -> list[Path]:
    """Writes worst.json, evaluations.parquet, and worst.toml, an experiment file of the worst case for `abm run`.

    Raises InputError when they cannot be written.
    """
    harm = None
    if found.harm is not None:
        t, bootstrap = interval_table(found.harm.t), interval_table(found.harm.bootstrap)
        harm = {"baseline": finite(found.harm.baseline), "t": t, "bootstrap": bootstrap}
    table = tried_points(found, factors)
    best = int(np.nanargmax(np.where(np.isfinite(found.worst.values), found.worst.values, np.nan)))
    point = {factor.name: table[factor.name][best] for factor in factors}
    contents = {
        "sweep": found.sweep, "variant": found.variant, "outcome": found.outcome, "unit": found.unit,
        "searched_for": "highest" if found.sign > 0 else "lowest", "settings": dict(found.settings), "in_search": finite(found.searched),
        "in_fresh_worlds": interval_table(found.fresh), "difference_from_file": harm, "replications": found.replications,
        "fresh_seeds": list(found.fresh_seeds), "runs": found.runs, "failed": found.failed,
        "point": point, "own": own_values(evaluator.subject, factors), "records": described(evaluator.subject, factors),
    }  # fmt: skip
    experiment = batch_plan(evaluator.subject, [found.settings], found.fresh_seeds[:1], found.outcome).experiment(0)
    text = f"# The worst case of {found.sweep} that was found: {worst_sentence(found)}\n\n{dump_toml(experiment.plain())}"
    write_whole(folder / EVALUATIONS, parquet(table))
    write_whole(folder / WORST_FILE, text.encode())
    return [write_json(folder / WORST, contents), folder / EVALUATIONS, folder / WORST_FILE]


def tried_points(found: FoundWorst, factors: Sequence[Factor]) -> pl.DataFrame:
    """Every point of a search in its order: `evaluation`, the value of each factor, and the outcome, null where it was undefined."""
    values = np.where(np.isfinite(found.worst.values), found.sign * found.worst.values, np.nan)
    columns = {
        factor.name: [factor.value(factor.at(float(place))) for place in found.worst.points[:, number]]
        for number, factor in enumerate(factors)
    }
    table = pl.DataFrame({"evaluation": np.arange(len(values)), **columns, found.outcome: values})
    return table.with_columns(pl.col(found.outcome).fill_nan(None))


def read_worst(folder: Path) -> StoredWorst:
    """What `write_worst` has written. Raises InputError where there is none."""
    path = folder / WORST
    table = read_json(path)
    try:
        harm = table["difference_from_file"]
        same = ("sweep", "variant", "outcome", "unit", "point", "own", "replications", "runs", "failed")
        return StoredWorst(
            **{name: table[name] for name in same},
            sign=1 if table["searched_for"] == "highest" else -1,
            searched=table["in_search"],
            fresh=interval_of(table["in_fresh_worlds"]),
            baseline=math.nan if harm is None or harm["baseline"] is None else harm["baseline"],
            difference=interval_of(harm["bootstrap"]) if harm is not None else None,
            records=tuple(table["records"]),
            fresh_seeds=tuple(table["fresh_seeds"]),
            tried=read_table(folder / EVALUATIONS),
        )
    except (KeyError, TypeError) as error:
        raise malformed(path, error) from error
