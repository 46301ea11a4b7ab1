"""Sensitivity for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from abm.lab.comparison_text import amount, range_text
from abm.lab.sensitivity import FactorIndex, Sensitivity
from abm.lab.statistics.interval import Interval
from abm.lab.wording import DASH, plural, signed

COLUMNS = {"first": "alone", "total": "with others", "mean": "effect", "size": "size of effect"}
LEGENDS = {
    "sobol": "Shares of the outcome's variance over the ranges: of a factor alone, and with all it does together with others.",
    "morris": "Change of the outcome per whole range of a factor: mean, mean of absolute changes, standard deviation over places.",
    "given data": "Share of the outcome's variance over the points that comes from a factor alone.",
}


def sensitivity_text(found: Sensitivity) -> RenderableType:
    """The indices as something that rich can print, the most important factor first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("factor", overflow="fold")
    table.add_column("range", overflow="fold", style="dim")
    names = list(found.factors[0].indices)
    for name in names:
        table.add_column(COLUMNS[name], justify="right")
        table.add_column(f"{found.confidence:.0%} interval", justify="right", style="dim")
    if found.method == "morris":
        table.add_column("deviation", justify="right")
    for each in found.factors:
        cells = [cell for name in names for cell in _cells(each.indices[name], found, name)]
        deviation = [amount(each.deviation, found.unit)] if found.method == "morris" else []
        table.add_row(each.factor, each.range, *cells, *deviation)
    parts: list[RenderableType] = [Text(headline(found), style="bold"), Text(), table, Text()]
    if found.dropped or found.failed:
        left_out = f"Left out: {plural(found.dropped, _rows(found))} without the outcome; {plural(found.failed, 'failed run')}."
        parts.append(Text(left_out, style="yellow"))
    worlds = f"each in the same {plural(found.replications, 'world')}" if found.replications > 1 else "in one world"
    parts.append(Text(f"{LEGENDS[found.method]} {plural(found.points, 'point')}, {worlds}.", style="dim"))
    return Group(*parts)


def headline(found: Sensitivity) -> str:
    """What matters most, in a sentence."""
    first = found.factors[0]
    size = _cell(first.indices[found.main], found, found.main)
    what = {
        "total": f"accounts for {size} of its variance, alone or with others",
        "first": f"alone accounts for {size} of its variance",
        "size": f"moves it by {size} over its range",
    }[found.main]
    idle = [each.factor for each in found.factors if _idle(each, found.main)]
    if len(idle) == len(found.factors):
        return f"{found.outcome}: no factor can be told from one without effect."
    rest = f"; {', '.join(idle)} cannot be told from no effect" if idle else ""
    return f"{found.outcome}: {first.factor} {what} (interval {_range(first.indices[found.main], found, found.main)}){rest}."


def _idle(each: FactorIndex, name: str) -> bool:
    interval = each.indices[name]
    return not interval.low > 1e-9


def _cells(interval: Interval, found: Sensitivity, name: str) -> tuple[str, str]:
    return _cell(interval, found, name), _range(interval, found, name)


def _cell(interval: Interval, found: Sensitivity, name: str) -> str:
    if name in ("first", "total"):
        return DASH if interval.estimate != interval.estimate else signed(f"{interval.estimate:.2f}")
    return amount(interval.estimate, found.unit, named=True)


def _range(interval: Interval, found: Sensitivity, name: str) -> str:
    if name in ("first", "total"):
        return signed(f"{interval.low:.2f} to {interval.high:.2f}")
    return range_text(interval, found.unit)


def _rows(found: Sensitivity) -> str:
    return {"sobol": "base sample", "morris": "walk"}.get(found.method, "point")
