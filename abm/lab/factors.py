"""Factors of a sweep: what is varied, over which values, read from the table `[factors]`.

"venue.oracle.lag_blocks" = [0, 2, 10]                                  levels
"venue.insurance_fund" = { low = 1e4, high = 1e6, scale = "log" }       a range; whole numbers where the field holds them
"max_leverage" = { sets = ["a.b", "c.d"], values = [[1, 2], [3, 4]] }   several keys at once
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from abm.lab.config import FACTORS, place_text
from abm.lab.errors import InputError
from abm.lab.schema import Table
from abm.lab.shapes import ListOf, Place, Shape, problems_of, quote, wrong
from abm.lab.toml_text import key_text, value_text
from abm.parameters import Parameters, parameter


@dataclass(frozen=True)
class Anything(Shape):
    """Any value that TOML has: what a factor may set is for the field to say."""

    @property
    def expected(self) -> str:
        return "any value"

    def accepts(self, value: Any) -> bool:
        return True

    def read(self, value: Any) -> Any:
        return value

    def schema_type(self) -> Any:
        return Any


def _anything(about: str) -> Any:
    return dataclasses.field(default=(), metadata={"unit": "values", "about": about, "shape": ListOf(Anything())})


@dataclass(frozen=True, kw_only=True)
class FactorTable(Parameters):
    """A factor in its long form: a range of numbers, or levels that set several keys at once."""

    low: float | None = parameter(None, unit="of the field", about="lower end of a range")
    high: float | None = parameter(None, unit="of the field", about="upper end of a range")
    scale: Literal["linear", "log"] = parameter("linear", unit="name", about="log: equal ratios are equally likely")
    integer: bool = parameter(False, unit="yes or no", about="whole numbers only; so it is anyway where the field holds them")
    levels: int = parameter(0, unit="values", about="in a grid or in pairs: how many values, evenly spaced from low to high")
    values: tuple[Any, ...] = _anything("instead of a range: the levels; with `sets` one list per level")
    sets: tuple[str, ...] = parameter((), unit="dotted keys", about="what the factor sets, instead of the key it is called")
    labels: tuple[str, ...] = parameter((), unit="names", about="of the levels")

    def inconsistencies(self) -> list[str]:
        ranged = self.low is not None or self.high is not None
        if ranged and self.values:
            return ["FactorTable: has both a range and values; expected one of them"]
        return self._of_range() if ranged else self._of_levels()

    def _of_range(self) -> list[str]:
        if self.low is None or self.high is None:
            return [f"FactorTable.{'low' if self.low is None else 'high'}: missing; a range has low and high"]
        found = []
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            found.append(f"FactorTable.high: {self.high:g} is not above low, which is {self.low:g}")
        if self.scale == "log" and self.low <= 0.0:
            found.append(f"FactorTable.low: {self.low:g} is not positive, as a log scale needs")
        if self.levels < 0 or self.levels == 1:
            found.append(f"FactorTable.levels: {self.levels} is not at least 2")
        if self.labels:
            found.append("FactorTable.labels: a range has no levels to name")
        return found

    def _of_levels(self) -> list[str]:
        found = []
        if not self.values:
            found.append("FactorTable: has neither low and high nor values")
        for name in ("integer", "levels", "scale"):
            if getattr(self, name) not in (False, 0, "linear"):
                found.append(f"FactorTable.{name}: belongs to a range, and there is none")
        if self.labels and len(self.labels) != len(self.values):
            found.append(f"FactorTable.labels: {len(self.labels)} labels for {len(self.values)} values")
        if len(self.sets) > 1:
            for number, level in enumerate(self.values):
                if not isinstance(level, list | tuple) or len(level) != len(self.sets):
                    found.append(f"FactorTable.values: value {number} is not a list of {len(self.sets)}, one for each key of sets")
        return found


@dataclass(frozen=True)
class Factor:
    """Something that is varied: a column of the results, and one or more keys of the configuration that it sets."""

    name: str
    keys: tuple[str, ...]
    levels: tuple[Any, ...] = ()
    """Values, empty for a range; with several keys one tuple of values for each level."""
    labels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    steps: int = 0
    """Evenly spaced values of a range in a grid or in pairs; 0 if it has none."""

    @property
    def ranged(self) -> bool:
        """Whether any number of a range can be drawn, rather than one of a few levels."""
        return not self.levels

    @property
    def place(self) -> str:
        """Where it stands in a file, with a colon: what begins a complaint about it."""
        return place_text((FACTORS, self.name))

    def whole(self) -> Factor:
        """The same, with whole numbers only."""
        return dataclasses.replace(self, integer=True)

    def at(self, position: float) -> Any:
        """The value at a position in [0, 1): what a design that fills space draws from.

        Each whole number of an integer range, and each level, has the same share of [0, 1); with a log scale of whole numbers
        its share is ln((n + 1) / n). Rounded to 12 digits, so that a library's last bit decides nothing.
        """
        if self.levels:
            return self.levels[min(int(position * len(self.levels)), len(self.levels) - 1)]
        low, high = (math.ceil(self.low), math.floor(self.high) + 1) if self.integer else (self.low, self.high)
        number = low * (high / low) ** position if self.log else low + position * (high - low)
        number = float(f"{number:.12g}")
        if self.integer:
            return min(max(math.floor(number), low), high - 1)
        return min(max(number, self.low), self.high)

    def spaced(self) -> tuple[Any, ...]:
        """All levels: those given, or evenly spaced from low to high, both included."""
        if self.levels:
            return self.levels
        shares = [k / (self.steps - 1) for k in range(self.steps)]
        numbers = [
            self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low) for share in shares
        ]
        numbers = [min(max(float(f"{number:.12g}"), self.low), self.high) for number in numbers]
        return tuple(dict.fromkeys(round(number) for number in numbers)) if self.integer else tuple(numbers)

    def settings(self, level: Any) -> Iterator[tuple[str, Any]]:
        """Each key with the value that `level` gives it."""
        if len(self.keys) == 1:
            yield self.keys[0], level
        else:
            yield from zip(self.keys, level, strict=True)

    def label(self, level: Any) -> Any:
        """What the column of the results says for a level: the number or text itself, else its label, kind or TOML text."""
        if self.ranged:
            return level
        if self.labels:
            return self.labels[self.levels.index(level)]
        first = [_first(each) if len(self.keys) > 1 else each for each in self.levels]
        if all(isinstance(each, bool | int | float | str) for each in first) and len(set(map(repr, first))) == len(first):
            return first[self.levels.index(level)]
        names = [each.get("kind", "") if isinstance(each, Mapping) else value_text(each) for each in first]
        texts = names if len(set(names)) == len(names) and all(names) else [value_text(each) for each in self.levels]
        return texts[self.levels.index(level)]

    @property
    def type(self) -> type:
        """Of the column of the results: bool, int, float or str."""
        if self.ranged:
            return int if self.integer else float
        kinds = {type(self.label(level)) for level in self.levels}
        if kinds in ({bool}, {int}, {str}):
            return kinds.pop()
        return float if kinds <= {int, float} else str

    def value(self, level: Any) -> Any:
        """The label of a level, of the column's type."""
        return self.type(self.label(level))

    def words(self) -> str:
        """The values, for a reader."""
        if self.ranged:
            kind = ", whole numbers" if self.integer else ""
            steps = f", {self.steps} values" if self.steps else ""
            return f"{self.low:g} to {self.high:g}{', log scale' if self.log else ''}{kind}{steps}"
        labels = [text if isinstance(text := self.label(level), str) else value_text(text) for level in self.levels]
        return ", ".join(labels)

    def plain(self) -> Any:
        """As a file writes it."""
        if self.levels and self.keys == (self.name,) and not self.labels:
            return list(self.levels)
        table: dict[str, Any] = {"sets": list(self.keys)} if self.keys != (self.name,) else {}
        if self.levels:
            return table | {"values": [list(v) if isinstance(v, tuple) else v for v in self.levels]} | _given(labels=list(self.labels))
        ends = {"low": self.low, "high": self.high}
        return table | ends | _given(scale="log" if self.log else "", integer=self.integer, levels=self.steps)


def read_factors(table: Any, source: str) -> tuple[Factor, ...]:
    """The factors of the table `[factors]`, in the order of the file.

    Raises InputError with a line for each problem; `source` begins each.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{source}: {FACTORS}: expected a table, each key a dotted key of the configuration, got {quote(table)}")
    factors: list[Factor] = []
    problems: list[str] = []
    for key, value in _flattened(table, ()):
        try:
            factors.append(read_factor(key, value))
        except ValidationError as error:
            places = [((FACTORS, key, *place), message) for place, message in problems_of(error)]
            problems += [f"{source}: {place_text(place)}{message}" for place, message in places]
    names = [factor.name for factor in factors]
    problems += [f"{source}: {FACTORS}: {name} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise InputError(*problems)
    return tuple(factors)


def read_factor(name: str, value: Any) -> Factor:
    """One factor. Raises pydantic's ValidationError, with places below the factor."""
    if not isinstance(value, Mapping):
        levels = ListOf(Anything()).validate(value)
        if not levels:
            raise _empty(())
        return Factor(name, (name,), tuple(levels))
    if "values" in value and isinstance(value["values"], list | tuple) and not value["values"]:
        raise _empty(("values",))
    given: FactorTable = Table(FactorTable).validate(dict(value))
    keys = given.sets or (name,)
    if given.low is None or given.high is None:
        levels = tuple(tuple(level) if len(keys) > 1 else level for level in given.values)
        return Factor(name, keys, levels, given.labels)
    return Factor(name, keys, low=given.low, high=given.high, log=given.scale == "log", integer=given.integer, steps=given.levels)


def _flattened(table: Mapping[str, Any], above: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Factors by dotted key; a key that was written without quotes has become tables in tables."""
    for key, value in table.items():
        path = (*above, key)
        if isinstance(value, Mapping) and not _is_factor(value):
            yield from _flattened(value, path)
        else:
            yield key_text_of(path), value


def key_text_of(path: Sequence[str]) -> str:
    """A dotted key from parts of which each may be dotted itself."""
    return ".".join(part if "." in part or "[" in part or '"' in part else key_text([part]) for part in path)


def _is_factor(table: Mapping[str, Any]) -> bool:
    """Whether a table describes a factor, rather than being the first part of a dotted key."""
    fields = {field.name for field in dataclasses.fields(FactorTable)}
    return not table or any(
        key in fields and not isinstance(item, Mapping) and isinstance(item, list | tuple) == (key in ("values", "sets", "labels"))
        for key, item in table.items()
    )


def _empty(place: Place) -> ValidationError:
    return wrong((place, "has no values; expected at least two, or a table with low and high"))


def _first(level: Any) -> Any:
    return level[0]


def _given(**items: Any) -> dict[str, Any]:
    return {key: item for key, item in items.items() if item}
