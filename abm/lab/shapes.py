"""What the values of an experiment file must look like: one shape for each kind of annotation of a parameter.

A shape turns a TOML value into the value of a dataclass field, or says at which place what was expected instead.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from abm.lab.errors import nearest
from abm.lab.kinds import listed
from abm.lab.toml_text import value_text

Place = tuple[int | str, ...]
_LONGEST_QUOTE = 60


def wrong(*problems: tuple[Place, str]) -> ValidationError:
    """The error that a shape raises: places below its own value, and what is wrong there."""
    return ValidationError.from_exception_data(
        "experiment",
        [
            InitErrorDetails(type=PydanticCustomError("problem", "{message}", {"message": message}), loc=place, input=None)
            for place, message in problems
        ],
    )


def problems_of(error: ValidationError) -> list[tuple[Place, str]]:
    """The places and messages of an error made by `wrong`, nested as deep as it was raised."""
    return [(tuple(detail["loc"]), str(detail["msg"])) for detail in error.errors(include_url=False)]


def quote(value: Any) -> str:
    """A wrong value, as it would stand in the file."""
    if isinstance(value, dict):
        return "a table"
    text = value_text(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def number_text(number: float) -> str:
    """A number as short as it can be without loss."""
    short = f"{number:g}"
    return short if float(short) == number or math.isnan(number) else repr(number)


class Shape(ABC):
    """What one annotation admits."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """In words, with unit and range."""

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Whether the value is of this shape at first sight: what chooses between the members of a union."""

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The field's value, when this shape accepts `value`. Raises `wrong(...)`."""

    @abstractmethod
    def schema_type(self) -> Any:
        """A type that pydantic describes in a JSON schema."""

    def validate(self, value: Any) -> Any:
        """The field's value. Raises `wrong(...)`, with every problem inside `value`."""
        if not self.accepts(value):
            raise wrong(((), f"expected {self.expected}, got {quote(value)}"))
        return self.read(value)


@dataclass(frozen=True)
class Bounds:
    """The closed range and the unit that a parameter declares."""

    least: float = -math.inf
    most: float = math.inf
    unit: str = ""

    def __contains__(self, number: float) -> bool:
        return self.least <= number <= self.most

    @property
    def suffix(self) -> str:
        """The unit in parentheses behind a text, if there is one."""
        return f" ({self.unit})" if self.unit else ""

    @property
    def range_text(self) -> str:
        """The closed range."""
        return f"[{number_text(self.least)}, {number_text(self.most)}]"

    @property
    def text(self) -> str:
        """Range and unit, as far as they say something."""
        bounded = self.least > -math.inf or self.most < math.inf
        return (f" in {self.range_text}" if bounded else "") + self.suffix


@dataclass(frozen=True)
class Number(Shape):
    """A number; text and booleans are none, and a whole number serves where any number does."""

    type: type[int] | type[float]
    bounds: Bounds = Bounds()

    @property
    def expected(self) -> str:
        return ("a whole number" if self.type is int else "a number") + self.bounds.text

    def accepts(self, value: Any) -> bool:
        return isinstance(value, int if self.type is int else int | float) and not isinstance(value, bool)

    def read(self, value: Any) -> Any:
        if value not in self.bounds:
            raise wrong(((), f"{number_text(value)} is not in {self.bounds.range_text}{self.bounds.suffix}"))
        return self.type(value)

    def schema_type(self) -> Any:
        edges: dict[str, Any] = {}
        if self.bounds.least > -math.inf:
            edges["ge"] = self.type(self.bounds.least)
        if self.bounds.most < math.inf:
            edges["le"] = self.type(self.bounds.most)
        return Annotated[self.type, Field(**edges)] if edges else self.type


@dataclass(frozen=True)
class YesOrNo(Shape):
    """A boolean."""

    @property
    def expected(self) -> str:
        return "true or false"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def read(self, value: Any) -> Any:
        return value

    def schema_type(self) -> Any:
        return bool


@dataclass(frozen=True)
class Text(Shape):
    """Any text."""

    unit: str = ""

    @property
    def expected(self) -> str:
        return f"text ({self.unit})" if self.unit else "text"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, value: Any) -> Any:
        return value

    def schema_type(self) -> Any:
        return str


@dataclass(frozen=True)
class Choice(Shape):
    """One of a few fixed values."""

    choices: tuple[Any, ...]

    @property
    def expected(self) -> str:
        return listed([value_text(choice) for choice in self.choices])

    def accepts(self, value: Any) -> bool:
        return any(type(value) is type(choice) for choice in self.choices)

    def read(self, value: Any) -> Any:
        if value not in self.choices:
            words = [choice for choice in self.choices if isinstance(choice, str)]
            guess = nearest(value, words) if isinstance(value, str) else ""
            raise wrong(((), f"{quote(value)} is not {self.expected}" + (f"; {guess}" if guess else "")))
        return value

    def schema_type(self) -> Any:
        return Literal[self.choices]


@dataclass(frozen=True)
class ListOf(Shape):
    """Any number of values of one shape."""

    item: Shape

    @property
    def expected(self) -> str:
        return f"a list, each entry {self.item.expected}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list | tuple)

    def read(self, value: Any) -> Any:
        return tuple(each((index, self.item, entry) for index, entry in enumerate(value)))

    def schema_type(self) -> Any:
        return list[self.item.schema_type()]  # type: ignore[misc]


@dataclass(frozen=True)
class Row(Shape):
    """A fixed number of values, each of its own shape."""

    items: tuple[Shape, ...]

    @property
    def expected(self) -> str:
        return f"a list of {len(self.items)}: {', '.join(item.expected for item in self.items)}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list | tuple)

    def read(self, value: Any) -> Any:
        if len(value) != len(self.items):
            raise wrong(((), f"expected {self.expected}, got {len(value)} entries"))
        return tuple(each((index, item, value[index]) for index, item in enumerate(self.items)))

    def schema_type(self) -> Any:
        return tuple[tuple(item.schema_type() for item in self.items)]  # type: ignore[misc]


@dataclass(frozen=True)
class TableOf(Shape):
    """Values of one shape under names that the user chooses."""

    item: Shape

    @property
    def expected(self) -> str:
        return f"a table, each value {self.item.expected}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def read(self, value: Any) -> Any:
        return dict(zip(value, each((key, self.item, entry) for key, entry in value.items()), strict=True))

    def schema_type(self) -> Any:
        return dict[str, self.item.schema_type()]  # type: ignore[misc]


@dataclass(frozen=True)
class OneOf(Shape):
    """A union: the first member that accepts the value reads it."""

    members: tuple[Shape, ...]

    @property
    def expected(self) -> str:
        texts = ["a list of them" if self._lists_another(member) else member.expected for member in self.members]
        return " or ".join(texts)

    def _lists_another(self, member: Shape) -> bool:
        return isinstance(member, ListOf) and member.item in self.members

    def accepts(self, value: Any) -> bool:
        return any(member.accepts(value) for member in self.members)

    def read(self, value: Any) -> Any:
        return next(member for member in self.members if member.accepts(value)).read(value)

    def schema_type(self) -> Any:
        return Union[tuple(member.schema_type() for member in self.members)]


def each(entries: Iterable[tuple[int | str, Shape, Any]]) -> Sequence[Any]:
    """All entries read; the problems of all of them together."""
    values: list[Any] = []
    problems: list[tuple[Place, str]] = []
    for key, shape, entry in entries:
        try:
            values.append(shape.validate(entry))
        except ValidationError as error:
            problems += [((key, *place), message) for place, message in problems_of(error)]
    if problems:
        raise wrong(*problems)
    return values
