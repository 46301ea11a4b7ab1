"""What a rule or a strategy must look like, whatever it does."""

from __future__ import annotations

import dataclasses
import inspect

from abm.parameters import Parameters


class ConformanceError(AssertionError):
    """A rule or a strategy breaks what all of them promise; the message is one line that says what."""


def broken(guest: Parameters, what: str) -> ConformanceError:
    """The error to raise: the name of the class, and what is wrong with it."""
    return ConformanceError(f"{type(guest).__name__}: {what}")


def check_parameters(guest: Parameters) -> None:
    """A final, documented, frozen, keyword-only dataclass that can be compared, and a unit on every field."""
    cls = type(guest)
    if "__dataclass_fields__" not in vars(cls):
        raise broken(guest, "is not a dataclass; decorate it with @dataclass(frozen=True, kw_only=True)")
    if not (cls.__dataclass_params__.frozen and all(field.kw_only for field in dataclasses.fields(guest))):  # type: ignore[attr-defined]
        raise broken(guest, "is not frozen and keyword-only; decorate it with @dataclass(frozen=True, kw_only=True)")
    documentation = inspect.getdoc(cls) or ""
    if not vars(cls).get("__doc__") or documentation.startswith(f"{cls.__name__}("):
        raise broken(guest, "has no docstring")
    for field in dataclasses.fields(guest):
        if not field.metadata.get("unit"):
            raise broken(guest, f"its field {field.name} has no unit; declare it with parameter(..., unit=...)")
    twin = dataclasses.replace(guest)
    if twin != guest:
        raise broken(guest, "is not equal to its own copy; do its fields hold arrays or other objects?")
    try:
        same = hash(twin) == hash(guest)
    except TypeError as error:
        raise broken(guest, f"cannot be hashed ({error}); use tuples instead of lists and arrays") from error
    if not same:
        raise broken(guest, "has another hash than its own copy")
