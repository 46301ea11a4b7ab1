"""Pydantic models made from the dataclasses that are configured: their fields, units, ranges and variants, declared once.

A table of an experiment file is checked against the model of its dataclass. All problems of a file are found together,
each with its place, what was expected and the nearest valid name.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, create_model

from abm.distributions import Distribution
from abm.lab.errors import InputError, nearest
from abm.lab.kinds import PATH_HINT, find_kind, kinds, listed
from abm.lab.plain import plain
from abm.lab.shapes import (
    Bounds,
    Choice,
    ListOf,
    Number,
    OneOf,
    Place,
    Row,
    Shape,
    TableOf,
    Text,
    YesOrNo,
    number_text,
    quote,
    wrong,
)
from abm.parameters import ParameterError, Parameters

KIND = "kind"
NAMES = ("symbol", "name")  # what the key of a table fills in when the entries of a list are given as named tables
ONE_IN_A_MILLION = 1e-6

INSTEAD: dict[type[Parameters], dict[str, type[Parameters]]] = {}
"""Variants that stand in a file for one of the same name that cannot be written there, by the abstract class."""


@dataclass(frozen=True)
class Table(Shape):
    """The fields of one dataclass."""

    cls: type[Parameters]

    @property
    def expected(self) -> str:
        return f"a table of {self.cls.__name__}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def read(self, value: Any) -> Any:
        return made(self.cls, read_fields(self.cls, value))

    def schema_type(self) -> Any:
        return documented_model(self.cls)


@dataclass(frozen=True)
class Variant(Shape):
    """A table whose `kind` says which subclass of `family` it describes."""

    family: type[Parameters]
    bounds: Bounds = Bounds()

    @property
    def variants(self) -> dict[str, type[Parameters]]:
        """Concrete subclasses by name."""
        return {**kinds(self.family), **INSTEAD.get(self.family, {})}

    @property
    def expected(self) -> str:
        names = ", ".join(self.variants) or "none yet"
        return f"a table with a kind of {self.family.__name__} ({names})"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def read(self, value: Any) -> Any:
        cls, own = self.choose(value)
        chosen = made(cls, read_fields(cls, own))
        if isinstance(chosen, Distribution):
            self._require_in_bounds(chosen)
        return chosen

    def choose(self, value: Mapping[str, Any]) -> tuple[type[Parameters], dict[str, Any]]:
        """The subclass that `kind` names, and the other keys."""
        own = {key: item for key, item in value.items() if key != KIND}
        if KIND not in value:
            raise wrong(((KIND,), f"missing; expected {listed(self.variants) if self.variants else PATH_HINT}"))
        if not isinstance(value[KIND], str):
            raise wrong(((KIND,), f"expected text (name of a {self.family.__name__}), got {quote(value[KIND])}"))
        try:
            return find_kind(self.family, value[KIND], INSTEAD.get(self.family, {})), own
        except InputError as error:
            raise wrong(((KIND,), str(error))) from error

    def schema_type(self) -> Any:
        models = [documented_model(cls, name) for name, cls in self.variants.items()]
        return Union[tuple(models)] if models else dict[str, Any]

    def _require_in_bounds(self, distribution: Distribution) -> None:
        edges = distribution.quantile(np.array([ONE_IN_A_MILLION, 1.0 - ONE_IN_A_MILLION])).tolist()
        outside = [edge for edge in edges if edge not in self.bounds]
        if outside:
            tail = "less" if outside[0] < self.bounds.least else "more"
            draw = number_text(float(f"{outside[0]:.3g}"))
            problem = f"one draw in a million is {draw} or {tail}, which is not in {self.bounds.range_text}"
            raise wrong(((), problem + self.bounds.suffix))


@dataclass(frozen=True)
class Entries(Shape):
    """A list of tables, or tables under free names in the order in which they appear."""

    item: Table | Variant

    @property
    def expected(self) -> str:
        return f"a list of tables, or named tables, each {self.item.expected}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list | tuple | dict)

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return ListOf(self.item).read(value)
        named = {key: self._named(key, entry) for key, entry in value.items()}
        return tuple(TableOf(self.item).read(named).values())

    def schema_type(self) -> Any:
        item = self.item.schema_type()
        return Union[list[item], dict[str, item]]  # type: ignore[valid-type]

    def _named(self, name: str, entry: Any) -> Any:
        if isinstance(entry, dict) and isinstance(self.item, Table):
            required = {field.name for field in dataclasses.fields(self.item.cls) if is_required(field)}
            for key in NAMES:
                if key in required and key not in entry:
                    return {key: name, **entry}
        return entry


def shape_of(annotation: Any, bounds: Bounds = Bounds()) -> Shape:  # noqa: B008
    """The shape of an annotation. Raises TypeError for one that an experiment file cannot hold."""
    simple = {
        float: Number(float, bounds),
        int: Number(int, bounds),
        bool: YesOrNo(),
        str: Text(bounds.unit),
    }
    if annotation in simple:
        return simple[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Parameters):
        return Variant(annotation, bounds) if inspect.isabstract(annotation) else Table(annotation)
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return Choice(inner)
    if origin in (Union, types.UnionType):
        members = [shape_of(member, bounds) for member in inner if member is not type(None)]
        return members[0] if len(members) == 1 else OneOf(tuple(members))
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        item = shape_of(inner[0], bounds)
        return Entries(item) if isinstance(item, Table | Variant) else ListOf(item)
    if origin is tuple:
        return Row(tuple(shape_of(item, bounds) for item in inner))
    if origin is dict and inner[0] is str:
        return TableOf(shape_of(inner[1], bounds))
    raise TypeError(f"an experiment file cannot hold {annotation}")


def shapes_of(cls: type[Parameters]) -> dict[str, tuple[dataclasses.Field[Any], Shape]]:
    """Field and shape of every parameter of `cls`, by the key it has in a file. Not to be changed: they are found once."""
    shapes: dict[str, tuple[dataclasses.Field[Any], Shape]] = _shapes_of(cls)  # type: ignore[arg-type]
    return shapes


@functools.cache
def _shapes_of(cls: type[Parameters]) -> dict[str, tuple[dataclasses.Field[Any], Shape]]:
    hints = typing.get_type_hints(cls)
    found: dict[str, tuple[dataclasses.Field[Any], Shape]] = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        bounds = Bounds(field.metadata.get("least", -math.inf), field.metadata.get("most", math.inf), field.metadata.get("unit", ""))
        shape = field.metadata.get("shape")
        try:
            found[field_key(field)] = field, shape or shape_of(hints[field.name], bounds)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.{field.name}: {error}") from error
    return found


def field_key(field: dataclasses.Field[Any]) -> str:
    """The key of a field in a file: its name, unless its metadata say otherwise (`from` cannot name a field)."""
    return str(field.metadata.get("key", field.name))


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def read_fields(cls: type[Parameters], table: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields that `table` gives, by field name. Raises `wrong(...)` with all problems of the table."""
    return read_keys(cls.__name__, shapes_of(cls), table)


def read_keys(title: str, shapes: Mapping[str, tuple[dataclasses.Field[Any], Shape]], table: Mapping[str, Any]) -> dict[str, Any]:
    """As `read_fields`, for keys that may come from several dataclasses."""
    model, names = _checking_model(title, tuple(shapes.items()))
    try:
        given = model.model_validate(table)
    except ValidationError as error:
        raise wrong(*(_located(detail, shapes) for detail in error.errors(include_url=False))) from None
    return {names[inner]: getattr(given, inner) for inner in sorted(given.model_fields_set, key=list(names).index)}


def made(cls: type[Parameters], values: dict[str, Any]) -> Any:
    """`cls(**values)`; what it objects to is told at the place of the table or of the field it names."""
    try:
        return cls(**values)
    except ParameterError as error:
        keys = {field.name: field_key(field) for field in dataclasses.fields(cls)}
        raise wrong(*(place_of_problem(problem, keys) for problem in error.problems)) from error


def place_of_problem(problem: str, keys: Mapping[str, str]) -> tuple[Place, str]:
    """Splits a line of a ParameterError, "Class.field: what" or "Class: what", into place and message."""
    subject, colon, message = problem.partition(": ")
    _, dot, name = subject.partition(".")
    if colon and dot and name in keys:
        return (keys[name],), message
    return (), message if colon and subject.isidentifier() else problem


def documented_model(cls: type[Parameters], kind: str | None = None) -> type[BaseModel]:
    """The model of `cls` with nested models in place: what a JSON schema is made of."""
    model: type[BaseModel] = _documented(cls, kind)  # type: ignore[arg-type]
    return model


def documented_keys(
    title: str,
    about: str,
    shapes: Mapping[str, tuple[dataclasses.Field[Any], Shape]],
    kind: str | None,
) -> type[BaseModel]:
    """As `documented_model`, for keys that may come from several dataclasses."""
    fields: dict[str, Any] = {}
    if kind is not None:
        fields["kind_"] = (Literal[kind], Field(alias=KIND))
    for number, (key, (field, shape)) in enumerate(shapes.items()):
        fields[f"field_{number}"] = (shape.schema_type(), Field(**_documentation(key, field)))
    model: type[BaseModel] = create_model(title, __config__=ConfigDict(extra="forbid", frozen=True, title=title), __doc__=about, **fields)
    return model


@functools.cache
def _documented(cls: type[Parameters], kind: str | None) -> type[BaseModel]:
    return documented_keys(cls.__name__, inspect.cleandoc(cls.__doc__ or ""), shapes_of(cls), kind)


def _documentation(key: str, field: dataclasses.Field[Any]) -> dict[str, Any]:
    about, unit = field.metadata.get("about", ""), field.metadata.get("unit", "")
    documentation: dict[str, Any] = {"alias": key, "title": key}
    if about or unit:
        documentation["description"] = f"{about} [{unit}]".strip() if unit else about
    if field.default is None:
        documentation["default"] = None  # what a file says by leaving the key out
    elif field.default is not dataclasses.MISSING:
        documentation["default"] = plain(field.default)
    elif field.default_factory is not dataclasses.MISSING:
        documentation["default"] = plain(field.default_factory())
    return documentation


@functools.lru_cache(maxsize=1024)
def _checking_model(
    title: str, shapes: tuple[tuple[str, tuple[dataclasses.Field[Any], Shape]], ...]
) -> tuple[type[BaseModel], dict[str, str]]:
    """A model with the keys as aliases, so that no key can collide with an attribute of pydantic's, and the field names."""
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for number, (key, (field, shape)) in enumerate(shapes):
        inner = f"field_{number}"
        names[inner] = field.name
        default = ... if is_required(field) else None
        fields[inner] = (Annotated[Any, PlainValidator(_as_validator(shape))], Field(default, alias=key))
    model = create_model(title, __config__=ConfigDict(extra="forbid", frozen=True), **fields)
    return model, names


def _as_validator(shape: Shape) -> Callable[[Any], Any]:
    def validate(value: Any) -> Any:
        return shape.validate(value)

    return validate


def _located(detail: Any, shapes: Mapping[str, tuple[dataclasses.Field[Any], Shape]]) -> tuple[Place, str]:
    """Place and message of one of pydantic's errors; its own ones, a missing and an unknown key, are put into our words."""
    place: Place = tuple(detail["loc"])
    if len(place) == 1 and detail["type"] == "missing":
        return place, f"missing; expected {shapes[str(place[0])][1].expected}"
    if len(place) == 1 and detail["type"] == "extra_forbidden":
        guess = nearest(str(place[0]), shapes) or (f"expected {listed(shapes)}" if shapes else "there are no keys here")
        return place, f"unknown key; {guess}"
    return place, str(detail["msg"])
