"""What every adapter takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Inputs = Mapping[str, Any]
Answer = dict[str, Any]
Adapter = Callable[[Inputs], Answer]


def number(value: float | None, missing: float) -> float:
    """A number as float64, so that every call meets the same compiled function; null and absent mean `missing`."""
    return missing if value is None else float(value)
