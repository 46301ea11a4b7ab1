"""A comparison for a terminal, and its finding in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from abm.lab.comparison import Comparison, Difference
from abm.lab.comparison_table import finite
from abm.lab.statistics.interval import Interval
from abm.lab.statistics.paired import QuantileDifference
from abm.lab.wording import DASH, compact, count, duration, percent, plural, signed

WIDTH, NARROWEST = 140, 110
LEAST_BEYOND = 3  # units beyond a quantile, so that its interval is not mere words
LONGEST_NAME = 14
WIDEST = 34  # first column of a table
COLOURS = {"better": "green", "worse": "red"}


def comparison_lines(comparison: Comparison, width: int = WIDTH) -> list[str]:
    """The comparison as plain lines of at most `width` characters."""
    return plain_lines(rendered(comparison), width)


def plain_lines(what: RenderableType, width: int = WIDTH) -> list[str]:
    """Anything that rich can print, without colours."""
    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(what)
    return [line.rstrip() for line in captured.get().splitlines()]


def wide_console() -> Console:
    """The terminal, but never narrower than a table can be read."""
    console = Console()
    console.width = max(console.width, NARROWEST)
    return console


def rendered(comparison: Comparison) -> RenderableType:
    """The comparison as something that rich can print: variant by variant, or where each has several points, outcome by outcome."""
    parts: list[RenderableType] = [Text(design(comparison)), Text()]
    if comparison.by == "variant":
        for contrast in comparison.contrasts:
            parts += _contrast(comparison.of(contrast), comparison.of(contrast, populations=True), comparison)
    else:
        for outcome in dict.fromkeys(each.outcome for each in comparison.differences):
            rows = [each for each in comparison.differences if each.outcome == outcome]
            title = Text(f"{outcome}\n").append(_unit(rows[0].unit), style="dim")
            parts += [_differences(rows, comparison, title, [Text(each.contrast.label) for each in rows]), Text()]
            parts += [Text(f"{each.contrast.label}: {line}", style="yellow") for each in rows for line in remarks([each])]
        parts.append(Text("Quantiles and populations are in the tables.", style="dim"))
    parts.append(Text(legend(comparison), style="dim"))
    return Group(*parts)


def _contrast(rows: Sequence[Difference], people: Sequence[Difference], comparison: Comparison) -> list[RenderableType]:
    parts: list[RenderableType] = []
    differing = [each for each in rows if not each.identical and each.found.pairs]
    moved = [each for each in people if not each.identical and each.found.pairs]
    if rows:
        parts += [Text(finding(rows[0], comparison), style="bold"), Text()]
    if differing:
        labels = [Text(f"{each.outcome}\n").append(_unit(each.unit), style="dim") for each in rows]
        parts += [_differences(rows, comparison, Text("outcome"), labels), Text()]
    if differing and differing[0] is rows[0] and (quantiles := _told_quantiles(rows[0])):
        parts += [_quantiles(rows[0], quantiles), Text()]
    if moved:
        parts += [_populations(moved, comparison), Text()]
    return [*parts, *(Text(line, style="yellow") for line in remarks([*rows, *people])), Text()]


def design(comparison: Comparison) -> str:
    """What is compared, on what."""
    pairs = max((each.count.pairs for each in (*comparison.differences, *comparison.populations)), default=0)
    units = max((each.found.units for each in (*comparison.differences, *comparison.populations)), default=0)
    if comparison.units == "seeds":
        worlds = f"{plural(units, 'world')}" + (f", {plural(pairs, 'pair')} of runs" if pairs != units else "")
    else:
        worlds = f"one world, {plural(pairs, 'point')}"
    return f"{comparison.sweep}: compared with {comparison.baseline}, run by run in the same worlds ({worlds})"


def finding(each: Difference, comparison: Comparison) -> str:
    """The difference of one outcome in a sentence: by how much, how surely, in how many worlds."""
    found, who = each.found, each.contrast.label
    subject = f"{who}: {each.outcome}"
    if not found.pairs:
        return f"{subject} was not exercised in any of {plural(each.count.pairs, 'pair')} of runs."
    if each.identical:
        return f"{subject} is identical in all {plural(found.pairs, 'pair')} of runs: the rule never acted."
    interval = found.bootstrap
    sure = f"{comparison.confidence:.0%} interval {range_text(interval, each.unit)}".replace("%", "\u00a0%")
    size = amount(abs(interval.estimate), each.unit, named=True)
    change = f"{size} {'higher' if interval.estimate > 0 else 'lower'}" if interval.estimate else "the same"
    often = max(found.signs.lower, found.signs.higher)
    way = "higher" if found.signs.higher >= found.signs.lower else "lower"
    worlds = f"{way} in {count(often)} of {plural(found.units, 'world' if comparison.units == 'seeds' else 'point')}"
    verdict = "" if each.verdict else "; no difference can be told from chance"
    return f"{subject} is {change} on average ({sure}), {worlds}{verdict}."


def _differences(rows: Sequence[Difference], comparison: Comparison, first: Text, labels: Sequence[Text]) -> Table:
    widest = max(len(line) for label in labels for line in label.plain.splitlines())
    interval = f"{comparison.confidence:.0%} interval"
    columns = (*_headers(rows, comparison), "difference", interval, "lower : higher", "p", "pairing", "detectable", "pairs")
    table = _table(first, *columns, width=min(widest, WIDEST))
    for each, label in zip(rows, labels, strict=True):
        found = each.found
        table.add_row(
            label,
            amount(found.baseline, each.unit),
            amount(found.variant, each.unit),
            Text(gain(found.t.estimate, each.unit), style=COLOURS.get(each.verdict, "")),
            Text(f"{range_text(found.bootstrap, each.unit)}\n").append(range_text(found.t, each.unit), style="dim"),
            f"{count(found.signs.lower)} : {count(found.signs.higher)}",
            probability(each.p_holm),
            f"\u00d7 {compact(ratio, 2)}" if (ratio := finite(found.variance_ratio)) is not None else DASH,
            amount(finite(found.detectable), each.unit),
            _pairs(each),
        )
    return table


def _headers(rows: Sequence[Difference], comparison: Comparison) -> tuple[str, str]:
    """What the two sides are called, if that is short."""
    names = comparison.baseline, rows[0].contrast.variant
    return names if comparison.by == "variant" and max(map(len, names)) <= LONGEST_NAME else ("baseline", "compared")


def _told_quantiles(main: Difference) -> list[QuantileDifference]:
    """Those with enough units beyond them to be told in the terminal; all are in the tables."""
    return [each for each in main.found.quantiles if main.found.units * min(each.share, 1.0 - each.share) >= LEAST_BEYOND]


def _quantiles(main: Difference, quantiles: Sequence[QuantileDifference]) -> Table:
    table = _table(Text(f"{main.outcome}, quantile"), "baseline", "compared", "difference", "bootstrap", "t")
    for each in quantiles:
        table.add_row(
            percent(each.share),
            amount(each.baseline, main.unit),
            amount(each.variant, main.unit),
            gain(each.t.estimate, main.unit),
            range_text(each.bootstrap, main.unit),
            range_text(each.t, main.unit),
        )
    return table


def _populations(rows: Sequence[Difference], comparison: Comparison) -> Table:
    table = _table(Text("who gains and who pays, USD"), *_headers(rows, comparison), "difference",
                   f"{comparison.confidence:.0%} interval", "lower : higher", "p")  # fmt: skip
    for each in sorted(rows, key=lambda row: -row.found.t.estimate):
        found = each.found
        table.add_row(
            each.outcome.partition(".")[2],
            amount(found.baseline, each.unit),
            amount(found.variant, each.unit),
            Text(gain(found.t.estimate, each.unit), style=COLOURS.get(each.verdict, "")),
            range_text(found.bootstrap, each.unit),
            f"{count(found.signs.lower)} : {count(found.signs.higher)}",
            probability(each.p_holm),
        )
    return table


def _table(first: Text, *columns: str, width: int = 0) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold", min_width=width)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def remarks(rows: Sequence[Difference]) -> list[str]:
    """What a reader must know before believing the table: what was never exercised, failed, missing or identical."""
    lines = []
    if rows:  # the same for all outcomes: of whole runs
        failed, missing = rows[0].count.failed, rows[0].count.missing
        if failed:
            lines.append(f"{plural(failed, 'pair')} left out: a run failed.")
        if missing:
            lines.append(f"{plural(missing, 'pair')} left out: a run has not been made; `abm sweep` makes it.")
    silent = [each.outcome for each in rows if not each.found.pairs]
    same = [each.outcome for each in rows if each.identical]
    if same and len(same) > 1 and len(same) == len([each for each in rows if each.found.pairs]):
        lines.append("Every outcome is identical in all pairs: the rule never acted in these worlds.")
    elif same:
        lines.append(f"Identical in all pairs, so the rule never acted on: {', '.join(same)}.")
    if silent:
        lines.append(f"Not exercised, so not compared: {', '.join(silent)}.")
    for each in rows:
        if each.found.pairs and (each.count.only_baseline or each.count.only_other or each.count.neither):
            lines.append(f"{each.outcome}: {exercised_text(each)}.")
    return lines


def exercised_text(each: Difference) -> str:
    """In how many pairs an outcome exists, and on which side only."""
    counted = each.count
    sides = [
        (counted.only_baseline, "in the baseline only"),
        (counted.only_other, f"with {each.contrast.label} only"),
        (counted.neither, "on neither side"),
    ]
    rest = ", ".join(f"{count(number)} {where}" for number, where in sides if number)
    return f"exercised in {count(counted.exercised)} of {plural(counted.pairs, 'pair')}" + (f"; {rest}" if rest else "")


def legend(comparison: Comparison) -> str:
    """What the columns are."""
    pooled = comparison.units == "seeds" and comparison.by == "variant"
    tested = sum(each.tested for each in comparison.differences)
    parts = [
        "Intervals of the mean difference: bootstrap above, t below.",
        "Pairs of one seed are averaged: they share their world." if pooled else "",
        f"lower : higher counts {comparison.units}.",
        f"p: sign test, corrected after Holm for {plural(tested, 'comparison')} (populations on their own).",
        "pairing: how many times more unpaired runs the same precision would take.",
        "detectable: the mean difference that would be found in 80 % of such sweeps.",
    ]
    return " ".join(part for part in parts if part)


def _pairs(each: Difference) -> str:
    exercised, pairs = each.count.exercised, each.count.pairs
    return count(pairs) if exercised == pairs else f"{count(exercised)} of {count(pairs)}"


def _unit(unit: str) -> str:
    return unit if not unit.startswith("fraction of") else unit.replace("fraction of", "of", 1)


def amount(number: float | None, unit: str, *, named: bool = False) -> str:
    """A number as its unit is usually written: percentages for fractions, spans of time for seconds. named: with the unit."""
    if number is None or finite(float(number)) is None:
        return DASH
    if unit == "seconds":
        return signed(duration(number, short=True))
    if unit.startswith("fraction"):
        rest = unit.removeprefix("fraction").strip()
        return percent(number) + (f" {rest}" if named and rest else "")
    return compact(number) + (f"\u00a0{unit}" if named and unit and len(unit) < 20 else "")


def gain(number: float, unit: str) -> str:
    """A difference with its sign."""
    text = amount(number, unit)
    return f"+{text}" if finite(number) is not None and number > 0.0 else text


def range_text(interval: Interval, unit: str) -> str:
    """Both ends of an interval; a dash where there is none."""
    if finite(interval.low) is None or finite(interval.high) is None:
        return DASH
    return f"{gain(interval.low, unit)} to {gain(interval.high, unit)}"


def probability(p: float) -> str:
    """A p value in two digits, or that it is very small."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}" if p < 0.995 else "1"
