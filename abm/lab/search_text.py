"""Thresholds and worst cases for a terminal."""

from __future__ import annotations

import math

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from abm.lab.comparison_text import amount, gain, range_text
from abm.lab.search import FoundThreshold, FoundWorst
from abm.lab.statistics.interval import Interval
from abm.lab.toml_text import value_text
from abm.lab.wording import percent, plural


def threshold_text(found: FoundThreshold) -> RenderableType:
    """The threshold, and every value that was tried."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for column in (found.factor.name, "happened in", "probability", f"{found.threshold.value.confidence:.0%} interval"):
        table.add_column(column, justify="right")
    for each in found.threshold.evaluations:
        interval = each.probability
        table.add_row(
            f"{each.value:.6g}",
            f"{each.successes} of {each.trials}",
            percent(interval.estimate),
            f"{percent(interval.low)} to {percent(interval.high)}",
        )
    parts: list[RenderableType] = [Text(threshold_sentence(found), style="bold"), Text(), table, Text()]
    if not found.threshold.consistent:
        parts.append(Text("The probability goes up and down along the range, so there is more than one threshold.", style="yellow"))
    if found.undefined or found.failed:
        told = f"{plural(found.undefined, 'run')} without the outcome and {plural(found.failed, 'failed run')}"
        parts.append(Text(f"{told} count as runs in which it did not happen.", style="yellow"))
    parts.append(Text(f"{plural(found.runs, 'run')}, in the same {plural(found.replications, 'world')} at every value.", style="dim"))
    return Group(*parts)


def threshold_sentence(found: FoundThreshold) -> str:
    """Where the probability crosses, in a sentence."""
    threshold, unit = found.threshold, f"\u00a0{found.unit}" if found.unit else ""
    value, level = threshold.value, percent(threshold.target)
    subject = f"P({found.event})"
    if math.isnan(value.estimate):
        side = "below" if _highest(found) < threshold.target else "above"
        ends = f"{found.factor.low:g} to {found.factor.high:g}{unit}"
        return f"{subject} stays {side} {level} for {found.factor.name} from {ends}: no threshold there."
    way = "rises above" if threshold.rising else "falls below"
    sure = f"{value.confidence:.0%}".replace("%", "\u00a0%")
    return f"{subject} {way} {level} at {found.factor.name} = {value.estimate:.4g}{unit} ({sure} interval {_ends(value, found)})."


def _highest(found: FoundThreshold) -> float:
    return max(each.probability.estimate for each in found.threshold.evaluations)


def _ends(value: Interval, found: FoundThreshold) -> str:
    low = f"{value.low:.4g}" if math.isfinite(value.low) else f"below {found.factor.low:g}"
    high = f"{value.high:.4g}" if math.isfinite(value.high) else f"above {found.factor.high:g}"
    return f"{low} to {high}"


def worst_text(found: FoundWorst) -> RenderableType:
    """The worst case, and how bad it is in worlds that the search has not seen."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in found.settings.items():
        table.add_row(name, value if isinstance(value, str) else value_text(value))
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    searched = f"in the {plural(found.replications, 'world')} of the search"
    facts.add_row(searched, amount(found.searched, found.unit, named=True))
    facts.add_row(f"in {plural(len(found.fresh_seeds), 'fresh world')}", _with_range(found.fresh, found.unit))
    if found.harm is not None:
        facts.add_row("the file's own configuration", amount(found.harm.baseline, found.unit, named=True))
        facts.add_row("difference", _with_range(found.harm.bootstrap, found.unit, sign=True))
    parts: list[RenderableType] = [Text(worst_sentence(found), style="bold"), Text(), table, Text(), facts, Text()]
    if found.failed:
        parts.append(Text(f"{plural(found.failed, 'run')} failed and count as undefined.", style="yellow"))
    parts.append(Text(f"{plural(len(found.worst.values), 'point')} tried, {plural(found.runs, 'run')}.", style="dim"))
    return Group(*parts)


def worst_sentence(found: FoundWorst) -> str:
    """How bad it gets, in a sentence."""
    kind = "highest" if found.sign > 0 else "lowest"
    where = ", ".join(f"{name} = {value if isinstance(value, str) else value_text(value)}" for name, value in found.settings.items())
    return f"{found.outcome}: the {kind} found is {_with_range(found.fresh, found.unit)} in fresh worlds, at {where}."


def _with_range(interval: Interval, unit: str, sign: bool = False) -> str:
    size = gain(interval.estimate, unit) if sign else amount(interval.estimate, unit, named=True)
    return f"{size} (interval {range_text(interval, unit)})"
