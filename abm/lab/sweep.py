"""A sweep: an experiment file that asks for many runs, read and checked.

title, question, ... [venue] [population.NAME]   the base configuration, as in any experiment file
[sweep]                                          design, replications, outcomes, what is kept of each run
[factors]                                        what is varied, see `abm.lab.factors`
[variants.NAME]                                  rules or fields replaced under a name
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from abm.lab.config import (
    FACTORS,
    SWEEP,
    SWEEP_TABLES,
    VARIANTS,
    Experiment,
    contents,
    place_text,
    read_experiment,
)
from abm.lab.errors import InputError, nearest
from abm.lab.factors import Anything, Factor, read_factors
from abm.lab.merging import key_parts, merged, overrides_table
from abm.lab.schema import Table, shapes_of
from abm.lab.shapes import Bounds, ListOf, Number, OneOf, TableOf, problems_of, quote
from abm.parameters import Parameters, parameter

DESIGNS = Literal["grid", "zip", "list", "random", "latin_hypercube", "sobol"]
DRAWN = ("random", "latin_hypercube", "sobol")
TABLES = Literal["markets", "venue", "cohorts", "liquidations", "deleveragings", "funding", "fills", "positions", "book", "orders"]
KEPT = ("markets", "venue", "cohorts", "liquidations", "deleveragings", "funding")
MOST_POINTS = 1_000_000
_CONDITION = re.compile(r"\s*ci\(\s*(?P<outcome>[^()\s]+)(?P<paired>\s+-\s+baseline)?\s*\)\s*<\s*(?P<width>\S+)\s*")


@dataclass(frozen=True, kw_only=True)
class Until(Parameters):
    """Replications until the answer is precise enough, in rounds of `least`; every configuration has the same ones."""

    until: str = parameter(unit="condition", about='"ci(OUTCOME) < X": half width of the 95 % interval of every configuration\'s mean; '
                           '"ci(OUTCOME - baseline) < X": of every mean difference from the baseline')  # fmt: skip
    least: int = parameter(10, unit="replications", least=2, about="of a round")
    most: int = parameter(200, unit="replications", least=2)

    def inconsistencies(self) -> list[str]:
        found = []
        if self.most < self.least:
            found.append(f"Until.most: {self.most} is less than least, which is {self.least}")
        match = _CONDITION.fullmatch(self.until)
        if match is None or not _positive(match["width"]):
            found.append(f'Until.until: {self.until!r} is no condition; expected such as "ci(bad_debt) < 1000"')
        return found

    @property
    def outcome(self) -> str:
        """That must be known precisely."""
        return self._part("outcome")

    @property
    def paired(self) -> bool:
        """Whether differences from the baseline on the same worlds are meant."""
        return bool(self._part("paired"))

    @property
    def width(self) -> float:
        """Half width of the interval to come below, in the outcome's unit."""
        return float(self._part("width"))

    def _part(self, name: str) -> str:
        match = _CONDITION.fullmatch(self.until)
        return (match[name] or "") if match else ""


@dataclass(frozen=True, kw_only=True)
class Expectation(Parameters):
    """The sign that theory expects: of an outcome's dependence on a factor, or of a variant's difference from the baseline."""

    outcome: str = parameter(unit="name")
    factor: str = parameter("", unit="dotted key", about="rising along this factor, or")
    variant: str = parameter("", unit="name", about="of this variant, against the baseline")
    sign: Literal["+", "-", "0"] = parameter(unit="sign", about="0: no difference")
    about: str = parameter("", unit="text", about="why")

    def inconsistencies(self) -> list[str]:
        return [] if bool(self.factor) != bool(self.variant) else ["Expectation: expected either a factor or a variant"]


@dataclass(frozen=True, kw_only=True)
class Budget(Parameters):
    """What the sweep may cost; `abm plan` says whether it does."""

    runs: int | None = parameter(None, unit="runs", least=1)
    minutes: float | None = parameter(None, unit="minutes", least=0.0)


@dataclass(frozen=True, kw_only=True)
class SweepTable(Parameters):
    """Design, replications, outcomes, and what is kept of each run."""

    design: DESIGNS | None = parameter(None, unit="name", about="how values of the factors are combined into points")
    points: int | tuple[dict[str, Any], ...] | None = dataclasses.field(
        default=None,
        metadata={
            "unit": "points",
            "about": "how many are drawn; for a list, the points themselves",
            "shape": OneOf((Number(int, Bounds(1, MOST_POINTS, "points")), ListOf(TableOf(Anything())))),
        },
    )
    design_seed: int = parameter(1, unit="", least=0, most=2**63 - 1, about="of drawn points; worlds do not depend on it")
    replications: int | Until | None = parameter(None, unit="seeds", least=1, most=MOST_POINTS)
    first_seed: int | None = parameter(None, unit="", least=0, most=2**62, about="run.seed unless given")
    seeds: tuple[int, ...] = parameter((), unit="", least=0, most=2**63 - 1, about="instead of replications and first_seed")
    outcomes: tuple[str, ...] = parameter((), unit="names", about="those that the question is about, the main one first")
    baseline: str = parameter("", unit="name of a variant", about="that the others are compared with")
    tables: tuple[TABLES, ...] = parameter(KEPT, unit="names", about="what is kept of each run")
    every_seconds: float = parameter(60.0, unit="seconds", least=1e-3, about="between kept looks at markets, venue and cohorts")
    expectations: tuple[Expectation, ...] = ()
    budget: Budget = dataclasses.field(default_factory=Budget)
    cluster: dict[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"about": "arguments of a job queue's cluster", "shape": TableOf(Anything())}
    )

    def inconsistencies(self) -> list[str]:
        found = [f"SweepTable.seeds: {seed} is there twice" for seed in dict.fromkeys(self.seeds) if self.seeds.count(seed) > 1]
        if self.seeds and (self.replications not in (None, len(self.seeds)) or self.first_seed is not None):
            found.append("SweepTable.seeds: with seeds there is no replications and no first_seed")
        if len(set(self.tables)) < len(self.tables):
            found.append("SweepTable.tables: a table is there twice")
        missing = [name for name in ("markets", "venue", "cohorts") if name not in self.tables]
        if missing:
            found.append(f"SweepTable.tables: {missing[0]} is missing; markets, venue and cohorts are always kept")
        if self.design in DRAWN and not isinstance(self.points, int):
            found.append(f"SweepTable.points: missing; design {self.design} draws that many points")
        if self.design == "list" and not isinstance(self.points, tuple):
            found.append('SweepTable.points: missing; a list of tables, such as [{ "venue.oracle.lag_blocks" = 2 }]')
        if self.design in ("grid", "zip", None) and self.points is not None:
            found.append(f"SweepTable.points: belongs to the designs list, {', '.join(DRAWN)}, not to {self.design or 'none'}")
        if self.design == "sobol" and isinstance(self.points, int) and self.points & (self.points - 1):
            below = 1 << (self.points.bit_length() - 1)
            found.append(f"SweepTable.points: {self.points} is no power of two, as a Sobol design needs; nearest: {below} and {2 * below}")
        return found


@dataclass(frozen=True)
class Sweep:
    """A sweep as its file describes it; `abm.lab.plan` says what is run."""

    base: Experiment
    table: SweepTable
    factors: tuple[Factor, ...]
    changes: Mapping[str, Mapping[str, Any]]
    """What each variant replaces, as the file says it."""
    variants: Mapping[str, Experiment]
    """By name; the base without a name where the file has none."""
    source: str
    folder: Path

    @property
    def name(self) -> str:
        """Of the file, unless it says otherwise."""
        return self.base.name


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> Sweep:
    """The sweep that a file describes, with single values replaced by `overrides` such as "sweep.replications=3".

    An experiment file without the tables of a sweep is one of a single run.

    Raises InputError with a line for each problem, as `abm.lab.config.load` does.
    """
    file = Path(path)
    return read_sweep(contents(file), overrides, source=str(path), folder=file.parent, name=file.stem)


def read_sweep(
    table: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "sweep",
    folder: Path = Path(),
    name: str = "",
) -> Sweep:
    """As `load_sweep`, for the contents of a file."""
    problems: list[str] = []
    table = {"name": name, **merged(table, overrides_table(overrides))}
    own = {key: item for key, item in table.items() if key not in SWEEP_TABLES}
    misspelt = _misspelt(own, source)
    own = {key: item for key, item in own.items() if key not in misspelt}
    problems += misspelt.values()
    settings = SweepTable()
    factors: tuple[Factor, ...] = ()
    try:
        settings = Table(SweepTable).validate(table.get(SWEEP, {}))
    except ValidationError as error:
        problems += [f"{source}: {place_text((SWEEP, *place))}{message}" for place, message in problems_of(error)]
    try:
        factors = read_factors(table.get(FACTORS, {}), source)
    except InputError as error:
        problems += error.messages
    variants = table.get(VARIANTS, {})
    problems += _wrong_variants(variants, settings, source)
    problems += _wrong_design(settings, factors, source)
    problems += [
        f"--set {override}: is a factor, and its values would replace this one"
        for override in overrides
        if any(key_parts(override.partition("=")[0].strip()) == key_parts(key) for factor in factors for key in factor.keys)
    ]
    try:
        base = read_experiment(own, source=source, folder=folder)
    except InputError as error:
        raise InputError(*problems, *error.messages) from error
    resolved: dict[str, Experiment] = {}
    for variant, change in variants.items() if isinstance(variants, Mapping) else ():
        try:
            if isinstance(change, Mapping):
                place = f"{source}: {place_text((VARIANTS, variant))}".removesuffix(": ")
                resolved[variant] = read_experiment(merged(own, change), source=place, folder=folder) if change else base
        except InputError as error:
            problems += error.messages
    if problems:
        raise InputError(*problems)
    return Sweep(base, settings, factors, variants, resolved or {"": base}, source, folder)


def mentioned(outcomes: Sequence[str], expected: Sequence[str], until: Until | None) -> tuple[str, ...]:
    """Names of outcomes of all places where a file can have them, each once."""
    return tuple(dict.fromkeys([*outcomes, *expected, *([until.outcome] if until else [])]))


def _misspelt(own: Mapping[str, Any], source: str) -> dict[str, str]:
    """A line for each table that is called nearly like one of a sweep: the experiment's own keys would be a wrong guess."""
    known = [*shapes_of(Experiment), "name"]
    found = [(key, nearest(key, [*known, *SWEEP_TABLES])) for key in own if key not in known]
    return {
        key: f"{source}: {place_text((key,))}unknown key; {guess}"
        for key, guess in found
        if any(f"'{name}'" in guess for name in SWEEP_TABLES)
    }


def _wrong_design(settings: SweepTable, factors: Sequence[Factor], source: str) -> list[str]:
    if settings.design == "list":
        return [f"{source}: {FACTORS}: with design list the points say what is varied; expected no factors"] if factors else []
    if settings.design is None and len(factors) > 1:
        return [f"{source}: {SWEEP}.design: missing; {len(factors)} factors can be combined by grid (every value with every other), "
                f"zip (pairs), or drawn: {', '.join(DRAWN)}"]  # fmt: skip
    if settings.design is not None and not factors:
        return [f"{source}: {FACTORS}: empty, and so is the design {settings.design}; expected at least one factor, or no design"]
    return []


def _wrong_variants(variants: Any, settings: SweepTable, source: str) -> list[str]:
    if not isinstance(variants, Mapping):
        return [f"{source}: {VARIANTS}: expected a table of named tables, got {quote(variants)}"]
    problems = []
    for name, change in variants.items():
        place = f"{source}: {place_text((VARIANTS, name))}"
        if not isinstance(change, Mapping):
            problems.append(f"{place}expected a table, each key a key of the configuration, got {quote(change)}")
            continue
        sweeping = [key for key in SWEEP_TABLES if key in change]
        problems += [f"{place}{key} is not a part of a configuration" for key in sweeping]
        if "seed" in (change.get("run") or {}):
            problems.append(f"{place}run.seed: all variants have the same seeds, see sweep.seeds")
        if "record" in change:
            problems.append(f"{place}record: what is kept of a run is said by sweep.tables and sweep.every_seconds")
    if settings.baseline and settings.baseline not in variants:
        guess = nearest(settings.baseline, variants) or (f"expected one of {', '.join(variants)}" if variants else "there are no variants")
        problems.append(f"{source}: {SWEEP}.baseline: there is no variant {settings.baseline!r}; {guess}")
    return problems


def _positive(text: str) -> bool:
    try:
        return 0.0 < float(text) < math.inf
    except ValueError:
        return False
