"""Measured quantities: dataclass fields that know their unit and their definition, and how they become JSON and columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any


def quantity(unit: str, about: str) -> Any:
    """A dataclass field without a default: a number in `unit`, defined by `about`."""
    return dataclasses.field(metadata={"unit": unit, "about": about})


def flat(measured: Any, prefix: str = "") -> Iterator[tuple[str, Any, str, str]]:
    """(dotted name, value, unit, definition) of every quantity in a dataclass, its nested dataclasses and its tables of them."""
    for field in dataclasses.fields(measured):
        value = getattr(measured, field.name)
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from flat(value, f"{name}.")
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if dataclasses.is_dataclass(item):
                    yield from flat(item, f"{name}.{key}.")
                else:
                    yield f"{name}.{key}", item, field.metadata["unit"], field.metadata["about"]
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                yield from flat(item, f"{name}.{number}.")
        else:
            yield name, value, field.metadata.get("unit", ""), field.metadata.get("about", "")
