"""Parameters with a unit and a range, checked where an object is made and nowhere else.

Rules, strategies, worlds and distributions are frozen dataclasses below `Parameters`; each field is declared with
`parameter(...)`. Whoever makes one, a TOML file or a line of Python, meets the same check and the same message.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any


class ParameterError(ValueError):
    """One or more parameters are wrong; `.problems` has one line for each, naming class, field, value and expectation."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parameter(
    default: Any = dataclasses.MISSING,
    *,
    unit: str,
    least: float = -math.inf,
    most: float = math.inf,
    about: str = "",
) -> Any:
    """A dataclass field with its unit and the closed range [least, most] of every number in it (a number or a tuple of them).

    `math.inf` as a value is accepted only where `most` is infinite, and NaN never.
    """
    metadata = {"unit": unit, "least": least, "most": most, "about": about}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, tuple | list):
        return [number for item in value for number in _numbers(item)]
    return []


def _as_declared(value: Any, declared: str) -> Any:
    """A whole number becomes a float where one is declared, and a float without fraction a whole number, so that equal values are one
    value to compiled code and to the identity of a run."""
    if type(value) is int and "float" in declared and "int" not in declared:
        return float(value)
    if type(value) is float and declared == "int" and value.is_integer():
        return int(value)
    if type(value) is tuple and "tuple[float, ...]" in declared:
        return tuple(float(item) if type(item) is int else item for item in value)
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameters:
    """Base of everything that is configured. Subclasses are frozen, keyword-only dataclasses of `parameter(...)` fields."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _as_declared(getattr(self, field.name), str(field.type)))
        problems = [problem for field in dataclasses.fields(self) for problem in self._problems(field)]
        problems += self.inconsistencies()
        if problems:
            raise ParameterError(problems)

    def inconsistencies(self) -> list[str]:
        """One line for each pair of parameters that contradict each other; none by default."""
        return []

    def _problems(self, field: dataclasses.Field[Any]) -> list[str]:
        value = getattr(self, field.name)
        least, most = field.metadata.get("least", -math.inf), field.metadata.get("most", math.inf)
        unit = field.metadata.get("unit", "")
        if type(value) is float and field.type == "int":
            return [f"{type(self).__name__}.{field.name}: {value:g} is not a whole number of {unit}".rstrip()]
        return [
            f"{type(self).__name__}.{field.name}: {number:g} is not in [{least:g}, {most:g}] {unit}".rstrip()
            for number in _numbers(value)
            if math.isnan(number) or not least <= number <= most
        ]


def per_market(value: float | tuple[float, ...], n_markets: int, name: str) -> list[float]:
    """One number per market: a single number stands for all of them; a tuple must have exactly `n_markets` entries."""
    if isinstance(value, tuple | list):
        if len(value) != n_markets:
            raise ParameterError([f"{name}: {len(value)} values for {n_markets} markets"])
        return [float(number) for number in value]
    return [float(value)] * n_markets


def market_weights(shares: tuple[float, ...], n_markets: int, name: str) -> list[float]:
    """One number per market, whose proportions count; empty = equal.

    Raises ParameterError, its message beginning with `name`, for another number of shares than of markets, and where all are zero.
    """
    weights = per_market(shares or 1.0, n_markets, name)
    if not any(weights):
        raise ParameterError([f"{name}: at least one market needs a share"])
    return weights
