"""How an answer is compared with what a reference row expects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np

DEFAULT = {"abs": 1e-9, "rel": 1e-9}


def differences(expected: Mapping[str, Any], got: Mapping[str, Any], tolerance: Mapping[str, Any] | None) -> list[str]:
    """One line for each expected value that the answer misses; what the answer says beyond it does not matter.

    Numbers agree within max(abs, rel x |expected|) of the row's tolerance, or of its tolerance for that field. Null
    stands for nothing or for no limit.
    """
    row = tolerance or {}
    return list(_differences(expected, got, "", _bounds(DEFAULT, row), row.get("fields") or {}))


def _bounds(outer: Mapping[str, float], inner: Mapping[str, Any]) -> dict[str, float]:
    return {name: outer[name] if inner.get(name) is None else float(inner[name]) for name in ("abs", "rel")}


def _differences(want: Any, got: Any, where: str, bounds: Mapping[str, float], fields: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(want, Mapping):
        if not isinstance(got, Mapping):
            yield f"{where or 'answer'}: {got!r} where fields were expected"
            return
        for name, value in want.items():
            inside = f"{where}.{name}" if where else name
            if name not in got:
                yield f"{inside}: not in the answer, which has {', '.join(got)}"
            else:
                yield from _differences(value, got[name], inside, _bounds(bounds, fields.get(name) or {}), fields)
    elif isinstance(want, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(want):
            yield f"{where}: {got!r}, expected {want!r}"
            return
        for i, (value, item) in enumerate(zip(want, got, strict=True)):
            yield from _differences(value, item, f"{where}[{i}]", bounds, fields)
    elif not _agree(want, got, bounds):
        yield f"{where}: {got!r}, expected {want!r} within {max(bounds['abs'], _scaled(want, bounds)):g}"


def _scaled(want: Any, bounds: Mapping[str, float]) -> float:
    return bounds["rel"] * abs(want) if isinstance(want, Real) else 0.0


def _agree(want: Any, got: Any, bounds: Mapping[str, float]) -> bool:
    if want is None:
        return got is None or (isinstance(got, Real) and math.isinf(got))
    if isinstance(want, bool | str):
        return isinstance(got, bool | np.bool_ | str) and bool(got == want)
    if not isinstance(got, Real) or isinstance(got, bool | np.bool_):
        return False
    return abs(float(got) - float(want)) <= max(bounds["abs"], _scaled(want, bounds))
