"""The population of an experiment file: one table per group of traders, with the keys of the group and of its strategy."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from abm.agents.base import Group, Strategy
from abm.lab.plain import plain_fields
from abm.lab.schema import KIND, Variant, documented_keys, made, read_keys, shapes_of
from abm.lab.shapes import Shape, TableOf, each
from abm.parameters import Parameters

NAME, STRATEGY = "name", "strategy"


@dataclass(frozen=True)
class Member(Shape):
    """The group called `name`: a strategy named by `kind`, its parameters, and beside them how many trade it, with what."""

    name: str = ""
    strategies: Variant = Variant(Strategy)

    @property
    def expected(self) -> str:
        return self.strategies.expected

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def read(self, value: Any) -> Any:
        cls, own = self.strategies.choose(value)
        values = read_keys(cls.__name__, keys_of(cls), own)
        names = {field.name for field in dataclasses.fields(cls)}
        strategy = made(cls, {name: item for name, item in values.items() if name in names})
        of_group = {name: item for name, item in values.items() if name not in names}
        return made(Group, {NAME: self.name, STRATEGY: strategy, **of_group})

    def schema_type(self) -> Any:
        models = [
            documented_keys(f"Group of {name}", inspect.cleandoc(cls.__doc__ or ""), keys_of(cls), name)
            for name, cls in self.strategies.variants.items()
        ]
        return Union[tuple(models)] if models else dict[str, Any]


@dataclass(frozen=True)
class Population(Shape):
    """Tables of groups; the key is the group's name."""

    @property
    def expected(self) -> str:
        return f"a table of groups, each {Member().expected}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def read(self, value: Any) -> Any:
        return tuple(each((name, Member(name), entry) for name, entry in value.items()))

    def schema_type(self) -> Any:
        return TableOf(Member()).schema_type()


def plain_population(groups: Sequence[Group]) -> dict[str, Any]:
    """The tables that `Population` reads back to the same groups."""
    tables: dict[str, Any] = {}
    for group in groups:
        own = plain_fields(group)
        name, strategy = own.pop(NAME), own.pop(STRATEGY)
        tables[name] = {KIND: strategy.pop(KIND), **own, **strategy}
    return tables


def keys_of(cls: type[Parameters]) -> dict[str, Any]:
    """Keys that the table of a group trading `cls` can have: the group's, then the strategy's.

    Raises TypeError when a parameter of the strategy is named like one of every group.
    """
    own, of_group = shapes_of(cls), shapes_of(Group)
    clashes = sorted(set(own) & {*of_group, KIND})
    if clashes:
        raise TypeError(f"{cls.__name__}: {', '.join(clashes)} is a key of every group; rename the strategy's parameter")
    return {key: entry for key, entry in of_group.items() if key not in (NAME, STRATEGY)} | own
