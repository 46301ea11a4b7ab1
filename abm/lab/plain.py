"""Configured objects as plain tables, numbers and text: what TOML and JSON can hold, and nothing left out."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from abm.lab.kinds import has_kind, kind_name
from abm.parameters import Parameters


def plain(value: Any) -> Any:
    """`value` as dictionaries, lists, text, numbers and booleans, defaults included.

    An object under an abstract class says its `kind` first; a row of them becomes named tables, because a name is what a
    variant of an experiment refers to. A field that is None is left out, which TOML can only say that way.

    Raises TypeError for what is none of these.
    """
    if isinstance(value, Parameters):
        written = getattr(value, "plain", None)
        return written() if written is not None else plain_fields(value)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, Parameters) and has_kind(type(item)) for item in value):
            return dict(zip(_names(value), map(plain, value), strict=True))
        return [plain(item) for item in value]
    raise TypeError(f"an experiment file cannot hold {value!r}")


def plain_fields(value: Parameters) -> dict[str, Any]:
    """The table of one object."""
    table: dict[str, Any] = {"kind": kind_name(type(value))} if has_kind(type(value)) else {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.init and item is not None:
            write = field.metadata.get("plain", plain)
            table[str(field.metadata.get("key", field.name))] = write(item)
    return table


def name_of_kind(kind: str) -> str:
    """CircuitBreaker, or my_rules:CircuitBreaker, as circuit_breaker."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.rpartition(":")[2]).lower()


def _names(values: Iterable[Parameters]) -> list[str]:
    names: list[str] = []
    for value in values:
        name = name_of_kind(type(value).__name__)
        candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return names
