"""What two runs left behind, in a form that can be compared byte by byte."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from abm.parameters import Parameters
from abm.state import State, Table
from abm.testing.form import broken


def tables_of(state: State) -> dict[str, Table]:
    """Copies of all arrays of a state by name; of those that are filled from the top only the rows in use."""
    tables = {}
    for name in (name for name in State.__slots__ if not name.startswith("_")):
        table = getattr(state, name)
        if isinstance(table, np.ndarray):
            filled = min(int(state.venue[name][0]), len(table)) if name in (state.venue.dtype.names or ()) else len(table)
            tables[name] = table[:filled].copy()
    return tables


def changed_fields(old: Table, new: Table) -> list[str]:
    """Names of the fields in which two tables differ by a bit; for a plain array one empty name. Padding is not looked at."""
    names: tuple[str, ...] = new.dtype.names or ()
    if old.shape != new.shape:
        return list(names) or [""]
    if not names:
        return [] if old.tobytes() == new.tobytes() else [""]
    return [name for name in names if old[name].tobytes() != new[name].tobytes()]


def content_of(guest: Parameters, value: Any) -> Any:
    """What a memory holds, in a form that can be compared."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise broken(guest, "remembers an array of Python objects; keep numbers")
        table = np.asarray(value)
        names = table.dtype.names
        parts = [table[name].tobytes() for name in names] if names else [table.tobytes()]
        return (str(table.dtype), table.shape, *parts)
    if isinstance(value, tuple | list):
        return tuple(content_of(guest, item) for item in value)
    if isinstance(value, dict):
        return tuple((content_of(guest, key), content_of(guest, item)) for key, item in value.items())
    if dataclasses.is_dataclass(value):
        return tuple((field.name, content_of(guest, getattr(value, field.name))) for field in dataclasses.fields(value))
    raise broken(
        guest,
        f"remembers a {type(value).__name__}, which two runs cannot be compared by; keep arrays, numbers, tuples, lists, dicts",
    )
