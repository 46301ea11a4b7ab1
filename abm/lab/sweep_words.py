"""Names of outcomes and factors, and their values, as a reader of a report says them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from abm.lab.outcomes import find
from abm.lab.statistics.interval import Interval
from abm.lab.wording import DASH, MINUS, SPACE, compact, duration, percent, signed, usd
from abm.venue_pair import BESIDE

NOUNS = {
    "liquidated": "liquidated notional",
    "liquidated_notional": "positions liquidated",
    "liquidated_share": "liquidated share of open interest",
    "liquidated_long_share": "share of longs in liquidations",
    "deleveraged": "deleveraged notional",
    "deleveraged_share": "share of deleveraging in forced closing",
    "socialised": "socialised losses",
    "insolvent": "probability of insolvency",
    "fund_change": "change of the insurance fund",
    "fund_drawdown": "drawdown of the insurance fund",
    "fund_paid": "payments of the insurance fund",
    "fees": "fees of the venue",
    "volume": "volume traded",
    "mark_fall": "largest fall of the mark price",
    "exogenous_fall": "largest fall outside",
    "liquidation_delay_p95": "95 % quantile of the liquidation delay",
    "below_zero_accounts": "accounts below zero",
    "cascade_notional": "notional of the largest cascade",
    "cascade_seconds": "duration of the largest cascade",
    "cascade_move": "price move of the largest cascade",
    "cascade_count": "number of cascades",
    "gap_mean": "mean gap between the venues",
    "gap_largest": "largest gap between the venues",
    "gap_half_life": "half-life of the gap between the venues",
    "gap_p50": "median gap between the venues",
    "gap_p95": "95 % quantile of the gap between the venues",
    "gap_p99": "99 % quantile of the gap between the venues",
    "across_profit": "profit of those who trade on both venues",
    "across_return": "return of those who trade on both venues",
}
ADJECTIVES = ("highest", "lowest", "largest", "median", "mean", "longest", "worst")  # in names they stand last
GENERIC = ("venue", "population", "world", "run")  # first parts of a key that say nothing
UNIT_ENDINGS = {"blocks": "_blocks", "seconds": "_seconds"}
NEXT = {"cohort": "of", "market": "in", "leverage": "at leverage"}


def outcome_words(name: str) -> str:
    """An outcome as a noun: highest bad debt, profit of takers, funding flips in BTC."""
    if name.startswith(BESIDE):
        return f"{outcome_words(name.removeprefix(BESIDE))} on the venue beside"
    base, _, suffix = name.partition(".")
    head, _, last = base.rpartition("_")
    if base in NOUNS:
        words = NOUNS[base]
    elif last in ADJECTIVES and head:
        words = f"{last} {head.replace('_', ' ')}"
    elif head and last[:1] == "p" and last[1:].isdigit():
        words = f"{int(last[1:])} % quantile of {head.replace('_', ' ')}"
    else:
        words = base.replace("_", " ")
    return f"{words} {NEXT.get(find(name).split, 'of')} {suffix}" if suffix else words


def factor_words(factor: Mapping[str, Any]) -> str:
    """A factor as a noun, from its record in the plan: oracle lag, insurance fund, median leverage of takers."""
    name, unit = str(factor["name"]), str(factor["unit"])
    parts = [part.strip('"') for part in name.split(".") if part.strip('"') and not part.isdigit()]  # which of a list says nothing
    beside = ["beside"] if parts[:1] == ["beside"] and len(parts) > 2 else []
    parts = parts[len(beside) :]
    whose = ["of", parts[1]] if len(parts) > 2 and parts[0] in ("population", "across") else []
    if whose:
        parts, beside = parts[2:], []
    elif len(parts) > 1 and parts[0] in GENERIC:
        parts = parts[1:]
    if len(parts) > 1 and parts[-1] in ADJECTIVES:  # a parameter of a distribution
        parts = [parts[-1], *parts[:-1]]
    ending = UNIT_ENDINGS.get(unit, "")
    parts = [part.removesuffix(ending) if len(part) > len(ending) else part for part in parts]
    return " ".join([*parts, *whose, *beside]).replace("_", " ")


def factor_names(factors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each factor's words by its name; whole names where the words of two are the same."""
    words = {str(factor["name"]): factor_words(factor) for factor in factors}
    said = list(words.values())
    return {name: text if said.count(text) == 1 else name for name, text in words.items()}


def level_text(value: Any) -> str:
    """A value of a factor: 10,000, 0.0025, yes, a name."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        number = float(value)
        if number and not 1e-4 <= abs(number) < 1e15:
            return signed(f"{number:.3g}")
        digits = max(0, 2 - math.floor(math.log10(abs(number)))) if number else 0  # three significant ones
        text = f"{number:,.{digits}f}"
        return signed(text.rstrip("0").rstrip(".") if "." in text else text)
    return str(value)


def with_unit(text: str, unit: str) -> str:
    """A value with a unit that can stand behind a number: 10 blocks, 5,000 USD; other units are left out."""
    if unit in ("USD", "blocks", "seconds", "traders", "lots", "coins", "hours", "days"):
        return f"{text}{SPACE}{unit}"
    return text


def amount(value: float | None, unit: str) -> str:
    """A value of an outcome with its unit: 1.23 M USD, 12 %, 40 minutes, 3 cascades."""
    if value is None or not math.isfinite(value):
        return DASH
    if unit.startswith("USD"):
        return usd(value) + _rest(unit, "USD")
    if is_share(unit):
        return percent(value) + (_rest(unit, "fraction") if unit.startswith("fraction per") else "")
    if unit == "seconds":
        return duration(value)
    number = f"{value:.0f}" if value == round(value) and abs(value) < 1000 else compact(value)
    if not unit or unit in ("correlation", "index", "exponent"):
        return signed(number)
    return f"{signed(number)}{SPACE}{unit.removesuffix('s') if number == '1' else unit}"


def difference(value: float, unit: str) -> str:
    """A difference of two values, with its sign; of shares in percentage points."""
    if not math.isfinite(value):
        return DASH
    if is_share(unit):
        text = f"{compact(100.0 * value)}{SPACE}percentage points" if abs(value) < 10 else percent(value)
    elif unit == "seconds":
        text = signed(duration(value))
    else:
        text = amount(value, unit.partition(" of ")[0])
    return f"+{text}" if value > 0 else text


def interval_text(interval: Interval, unit: str, signs: bool = False) -> str:
    """The interval: 95 % interval 1.2 k to 3.4 k USD. signs: of a difference."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return "too few worlds for an interval"
    return f"{percent(interval.confidence)} interval {range_text(interval, unit, signs)}"


def range_text(interval: Interval, unit: str, signs: bool = False) -> str:
    """The ends of an interval: 1.2 to 3.4 k USD."""
    write = difference if signs else amount
    return span_text(write(interval.low, unit), write(interval.high, unit))


def span_text(low: str, high: str) -> str:
    """From one amount to another, the unit said once where both have the same one, scale included."""
    unit = low.partition(SPACE)[2]
    if unit and low != high and high.partition(SPACE)[2] == unit:
        low = low.partition(SPACE)[0]
    return f"{low} to {high}"


def is_share(unit: str) -> bool:
    """Whether values of a unit are shown as percentages."""
    return unit == "0 or 1" or unit.startswith("fraction")


def unit_words(unit: str) -> str:
    """The unit for an axis: percentages for fractions."""
    if unit == "0 or 1":
        return "share of runs"
    if unit.startswith("fraction"):
        return f"%{unit.removeprefix('fraction')}"
    return unit


def cell_words(variant: str, values: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """A configuration: its variant and its factor values. words: of the factors by name."""
    parts = [variant] if variant else []
    parts += [f"{words[name]} {level_text(value)}" for name, value in values.items()]
    return ", ".join(parts) or "the only configuration"


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def verb_of(noun: str, singular: str) -> str:
    """The verb that goes with a noun such as those of `outcome_words`: rises, or rise where the noun is plural."""
    head = re.split(r" (?:of|in|below|at) ", noun)[0].rpartition(" ")[2]
    if not head.endswith("s") or head in ("basis", "loss", "gas"):
        return singular
    return {"is": "are", "has": "have"}.get(singular, singular.removesuffix("s"))


def minus(text: str) -> str:
    """Without its sign."""
    return text.removeprefix(MINUS).removeprefix("+")


def _rest(unit: str, head: str) -> str:
    rest = unit.removeprefix(head).strip()
    return f" {rest}" if rest else ""
