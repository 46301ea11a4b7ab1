"""What of a sweep is compared with what: variants with a variant, or points with a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from abm.lab.errors import InputError, nearest
from abm.lab.sweep_store import StoredSweep
from abm.lab.toml_text import value_text

By = Literal["", "variant", "cell", "point"]


@dataclass(frozen=True)
class Contrast:
    """One side of a comparison: a variant at all points, a variant at one point, or a point of a variant.

    point: None for all. values: factor values in which its point differs from the baseline's, or in which it lies.
    """

    variant: str
    point: int | None
    values: Mapping[str, Any]

    @property
    def label(self) -> str:
        """In words."""
        settings = [f"{name} = {value if isinstance(value, str) else value_text(value)}" for name, value in self.values.items()]
        return ", ".join([self.variant, *settings] if self.variant else settings) or "all points"


class Sides(NamedTuple):
    """What is compared with what."""

    by: str
    label: str
    variant: str
    """Of the baseline, when variants are compared."""
    point: int
    """Of the baseline, when points are."""
    contrasts: list[Contrast]


def sides_of(stored: StoredSweep, baseline: str | int, by: By) -> Sides:
    """What `abm.lab.comparison.compare` compares. Raises InputError for what the sweep does not have."""
    plan = stored.plan
    by_point = by == "point" or isinstance(baseline, int) or (baseline not in plan.variants and ("=" in baseline or baseline.isdigit()))
    if by_point and by in ("variant", "cell"):
        raise InputError(f"{stored.folder}: baseline {baseline!r} is a point, and cannot be compared by {by}; expected a variant")
    values = {cell["point"]: cell["values"] for cell in plan.cells}
    if by_point or (not baseline and not by and plan.variants == [""]):
        return _points(stored, baseline, values)
    variant = str(baseline or plan.baseline or plan.variants[0])
    if plan.variants == [""]:
        raise InputError(f"{stored.folder}: the sweep has no variants; expected a point as the baseline, such as {_example(values)}")
    if variant not in plan.variants:
        guess = nearest(variant, plan.variants) or f"expected one of {', '.join(plan.variants)}"
        raise InputError(f"{stored.folder}: there is no variant {variant!r}; {guess}")
    others = [name for name in plan.variants if name != variant]
    if not others:
        raise InputError(f"{stored.folder}: {variant!r} is the only variant, and there is nothing to compare with it")
    if by == "cell":
        contrasts = [Contrast(name, point, values[point]) for name in others for point in sorted(values)]
    else:
        contrasts = [Contrast(name, None, {}) for name in others]
    return Sides(by or "variant", variant, variant, -1, contrasts)


def _points(stored: StoredSweep, baseline: str | int, values: Mapping[int, Mapping[str, Any]]) -> Sides:
    if len(values) < 2:
        raise InputError(f"{stored.folder}: the sweep has one point only, and there is nothing to compare with it")
    point = _point(stored, baseline, values)
    contrasts = [
        Contrast(variant, other, {name: value for name, value in values[other].items() if value != values[point][name]})
        for variant in stored.plan.variants
        for other in sorted(values)
        if other != point
    ]
    return Sides("point", Contrast("", point, values[point]).label, "", point, contrasts)


def _point(stored: StoredSweep, baseline: str | int, values: Mapping[int, Mapping[str, Any]]) -> int:
    """The number of the point that is meant; the first unless one is named."""
    if baseline == "":
        return min(values)
    if isinstance(baseline, int) or baseline.isdigit():
        if int(baseline) not in values:
            raise InputError(f"{stored.folder}: there is no point {baseline}; expected 0 to {max(values)}")
        return int(baseline)
    wanted = dict(_assignments(baseline, stored))
    matching = [point for point, has in values.items() if all(_means(text, has[name]) for name, text in wanted.items())]
    if len(matching) != 1:
        found = "no point has" if not matching else f"{len(matching)} points have"
        raise InputError(f"{stored.folder}: {found} {baseline}; expected one, such as {_example(values)}")
    return matching[0]


def _assignments(text: str, stored: StoredSweep) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or name not in stored.factors:
            guess = nearest(name, stored.factors) or f"expected one of {', '.join(stored.factors) or 'none'}"
            raise InputError(f"{stored.folder}: baseline {text!r}: {name!r} is no factor of the sweep; {guess}")
        yield name, value


def _means(text: str, value: Any) -> bool:
    """Whether somebody who writes `text` means `value`."""
    if text in (str(value), value_text(value)):
        return True
    try:
        return not isinstance(value, str | bool) and math.isclose(float(text), float(value), rel_tol=1e-9)
    except ValueError:
        return False


def _example(values: Mapping[int, Mapping[str, Any]]) -> str:
    first = values[min(values)]
    return ",".join(f"{name}={value if isinstance(value, str) else value_text(value)}" for name, value in first.items()) or "0"
