"""What sensitivity, thresholds and worst cases say, in sentences and short labels for figures and reports."""

from __future__ import annotations

import math

from abm.lab.search import Event, FoundThreshold
from abm.lab.search_store import StoredWorst
from abm.lab.sensitivity import FactorIndex, Sensitivity
from abm.lab.statistics.interval import Interval
from abm.lab.sweep_words import amount, factor_names, interval_text, level_text, outcome_words, range_text, sentence, verb_of, with_unit
from abm.lab.wording import names, percent, plural, signed

NEGLIGIBLE = 1e-9
SIGNS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
METHODS = {"sobol": "of Sobol's design", "morris": "of Morris's walks", "given data": "that the sweep has drawn"}


def words_of(found: Sensitivity) -> dict[str, str]:
    """Each factor's words by its name."""
    return factor_names(found.records)


def importance(each: FactorIndex, found: Sensitivity) -> str:
    """The index that orders the factors, with its unit."""
    estimate = each.indices[found.main].estimate
    if found.main != "size" and math.isfinite(estimate):  # chance takes an estimate of a share beyond what a share can be
        estimate = min(max(estimate, 0.0), 1.0)
    return index_text(estimate, found, found.main)


def index_text(value: float, found: Sensitivity, index: str) -> str:
    """A value of an index: a percentage of the variance, or a change of the outcome."""
    return amount(value, "fraction" if index in ("first", "total") else found.unit.partition(" of ")[0])


def idle(each: FactorIndex, found: Sensitivity) -> bool:
    """Whether a factor cannot be told from one that does nothing."""
    return not each.indices[found.main].low > NEGLIGIBLE


def sensitivity_finding(found: Sensitivity, interval: bool = True) -> str:
    """What matters most, in a sentence."""
    words = words_of(found)
    what = sentence(outcome_words(found.outcome))
    quiet = [words[each.factor] for each in found.factors if idle(each, found)]
    if len(quiet) == len(found.factors):
        return f"{what}: no factor can be told from one without effect."
    first = found.factors[0]
    size, name = importance(first, found), words[first.factor]
    ends = f" ({_index_interval(first.indices[found.main], found)})" if interval else ""
    subject = outcome_words(found.outcome)
    depends = f"{sentence(subject)} {verb_of(subject, 'depends')} most on {name}"
    reason = {
        "total": f"{size} of the variance{ends} comes from it, alone or with others",
        "first": f"{size} of the variance{ends} comes from it alone",
        "size": f"it moves by {size}{ends} over its range",
    }[found.main]
    rest = f"; {names(quiet)} cannot be told from no effect" if quiet else ""
    return f"{depends}: {reason}{rest}."


def _index_interval(interval: Interval, found: Sensitivity) -> str:
    unit = "fraction" if found.main in ("first", "total") else found.unit.partition(" of ")[0]
    return interval_text(interval, unit)


def event_words(event: Event, unit: str) -> str:
    """An event as a noun: liquidated notional above 0 USD."""
    return f"{outcome_words(event.outcome)} {SIGNS[event.sign]} {amount(event.level, unit)}"


def value_text(value: float, unit: str) -> str:
    """A value of a factor with its unit."""
    return with_unit(level_text(float(f"{value:.3g}")), unit)


def threshold_finding(found: FoundThreshold, words: str, outcome_unit: str, interval: bool = True) -> str:
    """Where the probability crosses, in a sentence. words: of the factor."""
    threshold, event = found.threshold, event_words(found.event, outcome_unit)
    value, level = threshold.value, percent(threshold.target)
    if math.isnan(value.estimate):
        side = "below" if max(each.probability.estimate for each in threshold.evaluations) < threshold.target else "above"
        ends = f"{value_text(found.factor.low, '')} to {value_text(found.factor.high, found.unit)}"
        return f"The probability of {event} stays {side} {level} for every {words} from {ends}."
    way = "rises above" if threshold.rising else "falls below"
    ends = f" ({percent(value.confidence)} interval {threshold_range(found)})" if interval else ""
    return f"The probability of {event} {way} {level} at {words} = {value_text(value.estimate, found.unit)}{ends}."


def threshold_range(found: FoundThreshold) -> str:
    """The ends of the interval; words where the crossing may lie outside of the range that was searched."""
    value = found.threshold.value
    low = value_text(value.low, "") if math.isfinite(value.low) else f"below {value_text(found.factor.low, '')}"
    high = value_text(value.high, "") if math.isfinite(value.high) else f"above {value_text(found.factor.high, '')}"
    return f"{low} to {high}"


def worst_finding(found: StoredWorst, where: bool = True) -> str:
    """How bad it gets, in a sentence. where: at which values."""
    kind = "highest" if found.sign > 0 else "lowest"
    size = f"{amount(found.fresh.estimate, found.unit)} ({interval_text(found.fresh, found.unit)})"
    text = f"The {kind} {_without_superlative(found.outcome)} found is {size} in {plural(len(found.fresh_seeds), 'fresh world')}"
    if math.isfinite(found.baseline):
        text += f", against {amount(found.baseline, found.unit)} as the file is"
    if where:
        words = factor_names(found.records)
        units = {record["name"]: record["unit"] for record in found.records}
        places = [f"{words[name]} {point_text(value, units[name])}" for name, value in found.point.items()]
        text += f": at {names(places)}"
    return f"{text}."


def _without_superlative(outcome: str) -> str:
    """The highest found is that of a mean over worlds: 'the highest highest bad debt' says nothing more."""
    return outcome_words(outcome).removeprefix("highest ").removeprefix("largest ")


def point_text(value: object, unit: str) -> str:
    """A factor's value at a point, numbers with three digits."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value_text(float(value), unit) if number else signed(level_text(value))  # type: ignore[arg-type]


def design_of(found: Sensitivity) -> str:
    """How many points in how many worlds, and where they come from."""
    worlds = f"each in the same {plural(found.replications, 'world')}" if found.replications > 1 else "in one world"
    return f"{plural(found.table.height, 'point')} {METHODS[found.method]}, {worlds}"


def span_of(interval: Interval, unit: str) -> str:
    """Both ends; a dash where there are none."""
    return range_text(interval, unit) if math.isfinite(interval.low) and math.isfinite(interval.high) else "\u2013"
