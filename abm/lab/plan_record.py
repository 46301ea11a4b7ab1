"""A plan as it lies in a folder of results: what was asked, of which parts it consists, and what identifies it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abm.lab.cells import field_at
from abm.lab.errors import InputError
from abm.lab.factors import Factor
from abm.lab.plain import plain
from abm.lab.plan import Plan
from abm.lab.provenance import MADE_BY
from abm.lab.sweep import Until, mentioned
from abm.lab.sweep_text import resolved_sweep

PLAN = "plan.json"
KIND = "sweep"


@dataclass(frozen=True, kw_only=True)
class PlanRecord(Mapping[str, Any]):
    """A plan in plain numbers, text, lists and tables; also a mapping of its fields."""

    made_by: str
    kind: str
    name: str
    title: str
    question: str
    description: str
    finding: str
    identity: str
    """Of everything that is run, in this order."""
    code: str
    """Hash of the sources that run it."""
    design: str
    """Empty when nothing is varied."""
    factors: list[dict[str, Any]]
    """name, keys, unit, about, type ("bool", "int", "float", "str"), words; and values, or low, high and scale."""
    variants: list[str]
    """One empty name when the file has none."""
    baseline: str
    points: int
    cells: list[dict[str, Any]]
    """cell, variant, point, values (by factor), identity."""
    seeds: list[int]
    """Of all replications that there can be."""
    until: dict[str, Any] | None
    rounds: list[dict[str, int]]
    """number, first_replication, replications, first_run, first_part."""
    runs: int
    """If every round is needed."""
    parts: int
    runs_per_part: int
    tables: list[str]
    symbols: list[str]
    cohorts: list[str]
    cohorts_beside: list[str]
    """Of the venue beside, empty without one."""
    outcomes: list[str]
    """Those that the question is about, the main one first."""
    expectations: list[dict[str, Any]]
    budget: dict[str, Any]
    sweep: dict[str, Any]
    """The file with all defaults."""

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in dataclasses.fields(self))

    def __len__(self) -> int:
        return len(dataclasses.fields(self))

    def __contains__(self, key: object) -> bool:
        return any(field.name == key for field in dataclasses.fields(self))

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of all outcomes that the file mentions: computed whether or not they always are."""
        until = Until(**self.until) if self.until else None
        return mentioned(self.outcomes, [expected["outcome"] for expected in self.expectations], until)

    def json(self) -> str:
        """As `plan.json` holds it."""
        return json.dumps(dict(self), indent=1, ensure_ascii=False) + "\n"


def record_of(plan: Plan) -> PlanRecord:
    """The record of a plan. Raises InputError as `abm.lab.sweep_text.resolved_sweep` does."""
    base, table = plan.sweep.base, plan.sweep.table
    return PlanRecord(
        made_by=MADE_BY,
        kind=KIND,
        name=plan.name,
        title=base.title,
        question=base.question,
        description=base.description,
        finding=base.finding,
        identity=plan.identity,
        code=plan.code,
        design=plan.design if plan.factors else "",
        factors=_factors(plan),
        variants=list(plan.variants),
        baseline=table.baseline,
        points=plan.points,
        cells=[
            {"cell": cell.number, "variant": cell.variant, "point": cell.point, "values": dict(cell.values), "identity": cell.identity}
            for cell in plan.cells
        ],
        seeds=list(plan.seeds),
        until=plain(plan.until) if plan.until else None,
        rounds=[dataclasses.asdict(each) for each in plan.rounds],
        runs=plan.most_runs,
        parts=plan.most_parts,
        runs_per_part=plan.runs_per_part,
        tables=list(plan.tables),
        symbols=list(plan.symbols),
        cohorts=list(plan.cohorts),
        cohorts_beside=list(plan.cohorts_beside),
        outcomes=list(table.outcomes),
        expectations=[plain(each) for each in table.expectations],
        budget=plain(table.budget),
        sweep=resolved_sweep(plan),
    )


def _factors(plan: Plan) -> list[dict[str, Any]]:
    return [factor_record(factor, *field_at(plan.cells[0].experiment, factor.keys[0])) for factor in plan.factors]


def factor_record(factor: Factor, unit: str = "", about: str = "") -> dict[str, Any]:
    """A factor as `PlanRecord.factors` describes it. unit, about: of the field that it sets."""
    values: dict[str, Any] = {"values": [factor.value(level) for level in factor.levels]}
    if factor.ranged:
        values = {"low": factor.low, "high": factor.high, "scale": "log" if factor.log else "linear"}
    return {
        "name": factor.name, "keys": list(factor.keys), "unit": unit, "about": about, "type": factor.type.__name__,
        "words": factor.words(), **values,
    }  # fmt: skip


def read_record(folder: Path) -> PlanRecord:
    """The plan of the results in `folder`. Raises InputError when there are none, or none that this program wrote."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected one that `abm sweep` has written")
    path = folder / PLAN
    if not path.is_file():
        holds = "the run of an experiment" if (folder / "experiment.toml").is_file() else "no sweep"
        raise InputError(f"{folder}: holds {holds}, expected {PLAN} as `abm sweep` writes it")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        sound = isinstance(table, dict) and table.get("made_by") == MADE_BY and table.get("kind") == KIND
        if sound:
            return PlanRecord(**table)
    except (ValueError, TypeError):
        pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    raise InputError(f"{path}: is not the plan of a sweep of this version")
