"""An experiment: everything that decides what a run computes, read from a TOML file or made in Python.

title, question, description        text for the report
extends                             another experiment file, of which this one replaces what it names
[run] [record]                      how long, which seed, what is written down how often
[venue]                             a preset and what differs from it, or every rule by itself
[world] [spot] [gas]                what happens outside the venue
[population.NAME]                   one group of traders each
[beside.venue] [beside.population.NAME] [beside.across.NAME]
                                    a second venue on the same outside market, who trades on it, and who on both
[sweep] [factors] [variants]        many runs of it: see abm.lab.sweep; of no concern to a single run
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from abm.agents.base import Group
from abm.lab.bars_read_once import content_of, world_of
from abm.lab.beside import Beside, cohort_names
from abm.lab.errors import InputError
from abm.lab.merging import PRESET, merged, overrides_table, with_preset
from abm.lab.plain import plain_fields
from abm.lab.population import Population, plain_population
from abm.lab.recorded_bars import RecordedBars
from abm.lab.schema import INSTEAD, Table, Variant, field_key, place_of_problem
from abm.lab.shapes import Place, problems_of
from abm.lab.toml_text import key_text, read_toml, value_text
from abm.mechanisms.venue import Venue
from abm.parameters import ParameterError, Parameters, parameter
from abm.recorder import Recording
from abm.venue_pair import VenuePair, mismatches
from abm.worlds.gas import Gas
from abm.worlds.replay import Replay
from abm.worlds.spot import Spot
from abm.worlds.world import Setting, World

if TYPE_CHECKING:
    from abm.model import PerpModel

INSTEAD[World] = {Replay.__name__: RecordedBars}

EXTENDS = "extends"
SWEEP, FACTORS, VARIANTS = SWEEP_TABLES = ("sweep", "factors", "variants")
MOST_SECONDS = 10 * 366 * 86_400.0
VENUES: tuple[tuple[str, ...], ...] = (("venue",), ("beside", "venue"))  # where a file can name a preset
TEXTS = ("name", "title", "question", "description", "finding")


@dataclass(frozen=True, kw_only=True)
class Run(Parameters):
    """How long, and which of the possible worlds."""

    seconds: float = parameter(86_400.0, unit="seconds", least=1e-3, most=MOST_SECONDS, about="simulated time")
    seed: int = parameter(1, unit="", least=0, most=2**63 - 1, about="same seed, same world")
    check: bool = parameter(False, unit="yes or no", about="verify conservation after every block; slower")


def _text(about: str) -> Any:
    return parameter("", unit="text", about=about)


@dataclass(frozen=True, kw_only=True)
class Experiment(Parameters):
    """One run, completely: venue, world and population, how long and with which seed."""

    name: str = _text("name of the experiment; the file's name unless given")
    title: str = _text("headline of the report")
    question: str = _text("what the experiment is to answer")
    description: str = _text("anything a reader should know")
    finding: str = _text("what came out at full size")
    run: Run = dataclasses.field(default_factory=Run)
    record: Recording = dataclasses.field(default_factory=Recording)
    venue: Venue = parameter(unit="venue")
    world: World | RecordedBars = dataclasses.field(metadata={"shape": Variant(World)})
    spot: Spot = dataclasses.field(default_factory=Spot)
    gas: Gas = dataclasses.field(default_factory=Gas)
    groups: tuple[Group, ...] = dataclasses.field(metadata={"key": "population", "shape": Population(), "plain": plain_population})
    beside: Beside | None = parameter(None, unit="", about="a second venue on the same outside market")

    def inconsistencies(self) -> list[str]:
        block = self.venue.seconds_per_block
        problems = []
        if self.run.seconds < block:
            problems.append(f"Experiment.run: {self.run.seconds:g} seconds are less than a block of {block:g} seconds")
        names = [group.name for group in self.groups]
        if not names:
            problems.append("Experiment.groups: nobody trades; expected at least one group")
        problems += [f"Experiment.groups: {name} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
        return problems + (self._wrong_beside(self.beside) if self.beside else [])

    def _wrong_beside(self, beside: Beside) -> list[str]:
        """Names tell the record whose account is whose, so only those who trade on both venues are called the same there."""
        names = [group.name for group in (*self.groups, *beside.groups, *beside.across)]
        problems = [
            f"Experiment.beside: a group is called {name} on both venues; expected other names, or beside.across for who trades on both"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
        if not beside.groups and not beside.across:
            problems.append("Experiment.beside: nobody trades there; expected at least one group in beside.population or beside.across")
        return problems + [f"Experiment.beside: venue.{problem}" for problem in mismatches(self.venue, beside.venue)]

    @property
    def cohorts(self) -> tuple[str, ...]:
        """What the record calls the cohorts of the venue, in its order."""
        return cohort_names(self.venue, (*self.groups, *(self.beside.across if self.beside else ())))

    @property
    def cohorts_beside(self) -> tuple[str, ...]:
        """What the record calls those of the venue beside; none without one."""
        return cohort_names(self.beside.venue, (*self.beside.groups, *self.beside.across)) if self.beside else ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The markets in the order of their columns."""
        return tuple(listing.symbol for listing in self.venue.listings)

    @property
    def blocks(self) -> int:
        """Length of the run; a last block that would not be whole is left out."""
        return math.floor(self.run.seconds / self.venue.seconds_per_block * (1.0 + 1e-12))

    @property
    def setting(self) -> Setting:
        """What the world is told about the run."""
        return Setting(self.symbols, self.venue.seconds_per_block, self.blocks, self.run.seed)

    def outside(self) -> World:
        """The world that gives the prices, real bars read from their file, once for all runs of a process.

        Raises InputError when they cannot be read or are not sound.
        """
        return world_of(self.world, self.symbols) if isinstance(self.world, RecordedBars) else self.world

    def model(self) -> PerpModel | VenuePair:
        """The model before its first block: two venues where there is one beside.

        Raises InputError as `outside` does, and ParameterError where rules, world and population do not fit together.
        """
        from abm.model import PerpModel

        settings: dict[str, Any] = {
            "blocks": self.blocks,
            "seed": self.run.seed,
            "spot": self.spot,
            "gas": self.gas,
            "recording": self.record,
            "check": self.run.check,
        }
        if self.beside is None:
            return PerpModel(self.venue, self.outside(), self.groups, **settings)
        venues, populations = (self.venue, self.beside.venue), (self.groups, self.beside.groups)
        return VenuePair(venues, self.outside(), populations, self.beside.across, **settings)

    def plain(self) -> dict[str, Any]:
        """All of it with all defaults, as TOML can hold it."""
        return {key: value for key, value in plain_fields(self).items() if value != ""}


def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a file describes, with single values replaced by `overrides` such as "run.seed=2".

    The file's folder is put at the end of `sys.path`, where classes named by an import path may lie beside it.

    Raises InputError with a line for each problem: unreadable file, no TOML, unknown, missing or wrong values, bars that
    are missing or not sound.
    """
    file = Path(path)
    table = {key: item for key, item in contents(file).items() if key not in SWEEP_TABLES}
    return read_experiment(table, overrides, source=str(path), folder=file.parent, name=file.stem)


def contents(file: Path) -> dict[str, Any]:
    """The tables of a file, `extends` followed and nothing else checked. Raises InputError when a file cannot be read."""
    return _extended(file, ())


def is_sweep(table: Mapping[str, Any]) -> bool:
    """Whether the contents of a file ask for many runs."""
    return any(key in table for key in SWEEP_TABLES)


def _extended(file: Path, through: tuple[Path, ...]) -> dict[str, Any]:
    """The contents of a file over those of the file that its key `extends` names, beside it; a table of another kind replaces."""
    here = file.resolve()
    if here in through:
        raise InputError(f"{file}: extends: goes in a circle through {', '.join(path.name for path in through)}")
    table = read_toml(file)
    if EXTENDS not in table:
        return table
    base = table.pop(EXTENDS)
    if not isinstance(base, str):
        raise InputError(f"{file}: extends: {value_text(base)} is not the name of an experiment file")
    result: dict[str, Any] = merged(_extended(file.parent / base, (*through, here)), table)
    return result


def read_experiment(
    table: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "experiment",
    folder: Path = Path(),
    name: str = "",
) -> Experiment:
    """As `load`, for the contents of a file. `source` begins each line of an error."""
    changes = overrides_table(overrides)
    _make_importable(folder)
    table = {"name": name, **table}
    problems: list[tuple[Place, str]] = []
    unknown: list[Place] = []  # an unknown preset leaves every rule of its venue missing: not worth a line each
    for place in VENUES:
        try:
            table = _with_preset(table, changes, place)
        except InputError as error:
            problems.append(((*place, PRESET), str(error)))
            unknown.append(place)
    try:
        experiment: Experiment = Table(Experiment).validate(merged(table, changes))
    except ValidationError as error:
        problems += [found for found in problems_of(error) if not any(found[0][: len(place)] == place for place in unknown)]
    else:
        if not problems:
            return _with_sound_world(experiment, source, folder)
    raise InputError(*(f"{source}: {place_text(place)}{message}" for place, message in problems))


def resolved(experiment: Experiment) -> dict[str, Any]:
    """The whole configuration with all defaults, as TOML can hold it; `load` reads it back to an equal experiment."""
    return experiment.plain()


def digest(experiment: Experiment) -> str:
    """32 hexadecimal digits that name what is computed: equal for equal settings, seed and data, wherever the files lie.

    Texts for the reader, and whether the run verifies itself, are no part of it. The order of groups and rules is.
    """
    table = {key: value for key, value in experiment.plain().items() if key not in TEXTS}
    table["run"] = {key: value for key, value in table["run"].items() if key != "check"}
    if isinstance(experiment.world, RecordedBars):
        table["world"] = {**table["world"], "bars": content_of(experiment.world)}
    canonical = json.dumps(table, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def place_text(place: Place) -> str:
    """A place in a file as a dotted key with its colon; nothing for the file as a whole."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{key_text([part])}"
    return f"{text}: " if text else ""


def _with_preset(table: dict[str, Any], changes: dict[str, Any], place: Sequence[str]) -> dict[str, Any]:
    """The file with the preset of the venue at `place` filled in; takes the preset out of `changes`."""
    first, *rest = place
    if rest:
        inner, change = table.get(first), changes.get(first, {})
        if not isinstance(inner, Mapping) or not isinstance(change, Mapping):
            return table
        changes[first] = dict(change)
        filled = {**table, first: _with_preset(dict(inner), changes[first], rest)}
        if not changes[first]:
            del changes[first]
        return filled
    venue, change = table.get(first, {}), changes.get(first, {})
    if not isinstance(venue, Mapping) or not isinstance(change, Mapping) or PRESET not in {**venue, **change}:
        return table
    if PRESET in change:
        venue = {**venue, PRESET: change[PRESET]}
        changes[first] = {key: item for key, item in change.items() if key != PRESET}
    from abm.mechanisms.presets import PRESETS

    return {**table, first: with_preset(venue, PRESETS)}


def _with_sound_world(experiment: Experiment, source: str, folder: Path) -> Experiment:
    """The experiment with its bars found; asks the world whether it can serve the venue's markets for the whole run."""
    keys = {field.name: field_key(field) for field in dataclasses.fields(experiment.world)}
    key = "world.bars"
    try:
        if isinstance(experiment.world, RecordedBars):
            experiment = dataclasses.replace(experiment, world=experiment.world.located(folder))
        key = "world"
        experiment.outside().init(experiment.setting)
    except InputError as error:
        raise InputError(*(f"{source}: {key}: {message}" for message in error.messages)) from error
    except ParameterError as error:
        found = [place_of_problem(problem, keys) for problem in error.problems]
        raise InputError(*(f"{source}: {place_text((key, *place))}{message}" for place, message in found)) from error
    return experiment


def _make_importable(folder: Path) -> None:
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.append(path)
