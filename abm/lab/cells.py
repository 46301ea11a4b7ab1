"""The configurations of a sweep: every variant at every point, resolved, checked and identified."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abm.lab.config import TEXTS, Experiment, digest, read_experiment
from abm.lab.design import Point
from abm.lab.errors import InputError, nearest
from abm.lab.factors import Factor
from abm.lab.merging import PRESET, entry_name, key_parts, merged
from abm.lab.plain import plain
from abm.lab.schema import field_key
from abm.lab.sweep import DRAWN, Sweep, SweepTable
from abm.lab.toml_text import value_text
from abm.parameters import Parameters
from abm.recorder import Recording

MOST_LINES = 20  # of complaints about single configurations
NOT_VARIED = {
    "run.seed": "all configurations have the same seeds, see sweep.seeds",
    "run.check": "does not change what is computed",
    "record": "what is kept of a run is said by sweep.tables and sweep.every_seconds",
    f"venue.{PRESET}": "a preset is not a value of the resolved configuration; make variants of it",
}


@dataclass(frozen=True)
class Cell:
    """One variant at one point."""

    number: int
    variant: str
    point: int
    values: Mapping[str, Any]
    """What the column of each factor says."""
    experiment: Experiment
    """Recorded as the sweep keeps it; its seed is replaced for each run."""
    identity: str
    """Hash of the resolved configuration without the seed."""

    def words(self) -> str:
        """Variant and factor values, for a reader."""
        parts = [self.variant] if self.variant else []
        parts += [f"{name} = {value if isinstance(value, str) else value_text(value)}" for name, value in self.values.items()]
        return ", ".join(parts) or "the base configuration"


def resolve_cells(sweep: Sweep, design: str, factors: Sequence[Factor], points: Sequence[Point]) -> tuple[Cell, ...]:
    """All cells in order: variant by variant, points fastest.

    Raises InputError with a line for each problem: variants that are wrong or equal, keys that do not exist, values that do not
    fit, factors that change nothing, points that are equal.
    """
    tables = _resolved_variants(sweep)
    problems = [line for factor in factors for line in _wrong_keys(sweep, factor, tables)]
    problems += [
        f"{sweep.source}: {factor.place}all values are equal, so it changes nothing"
        for number, factor in enumerate(factors)
        if all(point[number] == points[0][number] for point in points)
    ]
    if problems:
        raise InputError(*problems)
    cells: list[Cell] = []
    complaints: dict[str, str] = {}
    for variant, table in tables.items():
        for number, point in enumerate(points):
            values = {factor.name: factor.value(level) for factor, level in zip(factors, point, strict=True)}
            try:
                experiment = _resolved(sweep, table, factors, point)
            except InputError as error:
                where = Cell(len(cells), variant, number, values, sweep.base, "").words()
                complaints |= {message: f"{sweep.source}: {where}: {message}" for message in error.messages if message not in complaints}
                if len(complaints) >= MOST_LINES:
                    raise InputError(*complaints.values()) from error
                continue
            cells.append(Cell(len(cells), variant, number, values, experiment, cell_identity(experiment)))
    if complaints:
        raise InputError(*complaints.values())
    problems = _without_effect(sweep, factors, points, tables)
    if not problems and design not in DRAWN:
        problems = _equal_points(sweep, cells)
    if problems:
        raise InputError(*problems)
    return tuple(cells)


def cell_identity(experiment: Experiment) -> str:
    """Hash of the resolved configuration, the seed left out."""
    return digest(dataclasses.replace(experiment, run=dataclasses.replace(experiment.run, seed=0)))


def kept_record(record: Recording, table: SweepTable, seconds: float) -> Recording:
    """What a run of the sweep records: looks as far apart as the sweep says, and only the tables it keeps."""
    never = max(2.0 * seconds, 1.0)  # pictures at the start only
    return dataclasses.replace(
        record,
        every_seconds=table.every_seconds,
        fills="fills" in table.tables,
        orders="orders" in table.tables,
        book_every_seconds=record.book_every_seconds if "book" in table.tables else never,
        positions_every_seconds=record.positions_every_seconds if "positions" in table.tables else never,
    )


def value_at(table: Any, key: str) -> Any:
    """The value of a dotted key in a resolved configuration, None where there is none."""
    for part in key_parts(key):
        table = _entry(table, part)
    return table


def _entry(table: Any, part: str) -> Any:
    if isinstance(table, Mapping):
        return table.get(part)
    if isinstance(table, list):
        names = [entry_name(item) for item in table]
        if part in names:
            return table[names.index(part)]
        if part.isdigit() and int(part) < len(table):
            return table[int(part)]
    return None


def _resolved_variants(sweep: Sweep) -> dict[str, dict[str, Any]]:
    """Every variant as a table with all defaults. Raises InputError for two that are the same."""
    found: dict[str, str] = {}
    problems = []
    for name, experiment in sweep.variants.items():
        other = found.setdefault(digest(experiment), name)
        if other != name:
            problems.append(f"{sweep.source}: variants.{name}: is the same configuration as variants.{other}")
    if problems:
        raise InputError(*problems)
    return {name: experiment.plain() for name, experiment in sweep.variants.items()}


def _wrong_keys(sweep: Sweep, factor: Factor, tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each key of a factor that cannot be varied, or leads nowhere in some variant."""
    lines: dict[str, str] = {}
    for key in factor.keys:
        parts = key_parts(key)
        forbidden = next((why for path, why in NOT_VARIED.items() if key == path or key.startswith(f"{path}.")), "")
        if not parts:
            lines[key] = "is no dotted key"
        elif forbidden or parts[0] in TEXTS:
            lines[key] = forbidden or "is text for the reader and changes nothing"
        for variant, table in tables.items() if key not in lines else ():
            if missing := _missing(table, parts):
                lines.setdefault(f"{key}{variant}", missing + (f" (in variant {variant})" if variant else ""))
    told = dict.fromkeys(lines.values())
    return [f"{sweep.source}: {factor.place}{line}" for line in told]


def _missing(table: Any, parts: Sequence[str]) -> str:
    """What is wrong with a dotted key, as far as its last part but one: the last may be a field that has no value yet."""
    path = ""
    for part in parts[:-1]:
        inner = _entry(table, part)
        path += f"{'.' if path else ''}{part}"
        if inner is None:
            names = list(table) if isinstance(table, Mapping) else [entry_name(item) for item in table] if isinstance(table, list) else []
            guess = nearest(part, names) or (f"expected {', '.join(filter(None, names))}" if names else "")
            return f"{path}: there is no such key" + (f"; {guess}" if guess else "")
        table = inner
    if not isinstance(table, Mapping | list):
        return f"{path}: is {value_text(table)}, which has no {parts[-1]}"
    if isinstance(table, list) and _entry(table, parts[-1]) is None:
        return f"{path}: has {len(table)} entries and no {parts[-1]}"
    return ""


def _resolved(sweep: Sweep, table: Mapping[str, Any], factors: Sequence[Factor], point: Point) -> Experiment:
    """One variant at one point. Raises InputError, without the file."""
    change: dict[str, Any] = {}
    for factor, level in zip(factors, point, strict=True):
        for key, value in factor.settings(level):
            nested: Any = value
            for part in reversed(key_parts(key)):
                nested = {part: nested}
            change = merged(change, nested)
    try:
        experiment = read_experiment(merged(table, change), source="", folder=sweep.folder)
    except InputError as error:
        raise InputError(*(message.removeprefix(": ") for message in error.messages)) from error
    return dataclasses.replace(experiment, record=kept_record(experiment.record, sweep.table, experiment.run.seconds))


def _without_effect(sweep: Sweep, factors: Sequence[Factor], points: Sequence[Point], tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each factor of which every value gives the same configuration, in every variant."""
    lines = []
    for number, factor in enumerate(factors):
        distinct = list({repr(point[number]): point for point in points}.values())
        if not any(_has_effect(sweep, factor, [point[number] for point in distinct], table) for table in tables.values()):
            lines.append(f"{sweep.source}: {factor.place}changes nothing: every value gives the same configuration")
    return lines


def _has_effect(sweep: Sweep, factor: Factor, levels: Sequence[Any], table: Mapping[str, Any]) -> bool:
    found: set[str] = set()
    for level in levels:
        try:
            found.add(cell_identity(_resolved(sweep, table, [factor], (level,))))
        except InputError:
            return True  # possible only together with other factors, which every cell has shown to be
        if len(found) > 1:
            return True
    return False


def _equal_points(sweep: Sweep, cells: Sequence[Cell]) -> list[str]:
    """A line for the first two cells of a variant that are the same."""
    first: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        other = first.setdefault((cell.variant, cell.identity), cell)
        if other is not cell:
            return [f"{sweep.source}: points {other.point} and {cell.point} are the same configuration: {cell.words()}"]
    return []


def field_at(experiment: Experiment, key: str) -> tuple[str, str]:
    """Unit and meaning of the field that a dotted key names, as far as it has them."""
    parts, found = key_parts(key), ("", "")
    value: Any = experiment
    for part in parts:
        if isinstance(value, tuple | list):
            entries = {entry_name(plain(item)): item for item in value} | {str(number): item for number, item in enumerate(value)}
            value = entries.get(part)
        elif isinstance(value, Parameters):
            fields = {field_key(field): (owner, field) for owner in (value, getattr(value, "strategy", value)) for field in _fields(owner)}
            if part not in fields:
                return "", ""
            owner, field = fields[part]
            value, found = getattr(owner, field.name), (str(field.metadata.get("unit", "")), str(field.metadata.get("about", "")))
        else:
            return found
    return found


def _fields(owner: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(owner) if isinstance(owner, Parameters) else ()
