"""The tables of the report of an analysis as pieces of HTML. Every text is escaped here, or in `abm.lab.report_tables`."""

from __future__ import annotations

import math
from html import escape

from abm.lab.analysis_words import index_text, point_text, span_of, value_text, words_of
from abm.lab.report_pages import paragraph
from abm.lab.report_tables import table
from abm.lab.search import FoundThreshold
from abm.lab.search_store import StoredWorst
from abm.lab.sensitivity import Sensitivity
from abm.lab.statistics.interval import Interval
from abm.lab.sweep_words import amount, factor_names, interval_text
from abm.lab.wording import DASH, count, percent, plural

COLUMNS = {"total": "alone or with others", "first": "alone", "size": "move, any direction", "mean": "move, with its direction"}
MOST_POINTS = 10  # of a search, that are shown


def indices_section(found: Sensitivity) -> str:
    """Every index of every factor, and what was left out."""
    return indices_table(found) + paragraph(left_out(found), "note")


def indices_table(found: Sensitivity) -> str:
    """One row for each factor, the most important first: its range and its indices with their intervals."""
    words, keys = words_of(found), {record["name"]: record["keys"] for record in found.records}
    names = sorted(found.factors[0].indices, key=lambda name: name != found.main)
    rows = []
    for each in found.factors:
        code = "<br>".join(f"<code>{escape(key)}</code>" for key in keys[each.factor])
        cells = [_with_range(index_text(each.indices[name].estimate, found, name), each.indices[name], found, name) for name in names]
        deviation = [escape(index_text(each.deviation, found, "size"))] if each.deviation is not None else []
        rows.append([f"{escape(words[each.factor])}<br>{code}", escape(each.range), *cells, *deviation])
    head = ("factor", "range", *(COLUMNS[name] for name in names), *(["varies between places by"] if found.method == "morris" else []))
    return table(head, rows, numbers_from=2)


def _with_range(text: str, interval: Interval, found: Sensitivity, name: str) -> str:
    unit = "fraction" if name in ("first", "total") else found.unit.partition(" of ")[0]
    return f"{escape(text)}<br><small>{escape(span_of(interval, unit))}</small>"


def left_out(found: Sensitivity) -> str:
    """What failed or was undefined, in a sentence."""
    kind = {"sobol": "base sample", "morris": "walk"}.get(found.method, "point")
    undefined = found.table.height - found.points
    if not (found.failed or undefined):
        return "No run failed, and the outcome was defined at every point."
    text = f"{plural(found.failed, 'run')} failed, and at {plural(undefined, 'point')} the outcome was undefined in every world"
    return f"{text}: {plural(found.dropped, kind)} left out of the indices."


def tried_table(found: FoundThreshold, words: str) -> str:
    """One row for each value that was tried."""
    rows = [
        [
            escape(value_text(each.value, found.unit)),
            f"{count(each.successes)} of {count(each.trials)}",
            escape(percent(each.probability.estimate)),
            escape(f"{percent(each.probability.low)} to {percent(each.probability.high)}"),
        ]
        for each in found.threshold.evaluations
    ]
    return table((words, "happened in worlds", "share", f"{percent(found.threshold.value.confidence)} interval"), rows)


def winner_table(found: StoredWorst) -> str:
    """Where the worst case lies, factor by factor, beside what the file has."""
    words = factor_names(found.records)
    rows = []
    for record in found.records:
        name, unit = record["name"], record["unit"]
        own = found.own.get(name)
        code = "<br>".join(f"<code>{escape(key)}</code>" for key in record["keys"])
        worst = escape(point_text(found.point[name], unit))
        rows.append(
            [f"{escape(words[name])}<br>{code}", escape(record["words"]), worst, escape(point_text(own, unit)) if own is not None else DASH]
        )
    return table(("factor", "range", "worst case", "the file itself"), rows, numbers_from=2)


def worlds_table(found: StoredWorst) -> str:
    """The outcome of the worst case in the worlds of the search and in fresh ones, and that of the file."""
    fresh = plural(len(found.fresh_seeds), "fresh world")
    rows = [
        [escape(f"worst case, in the {plural(found.replications, 'world')} of the search"), escape(amount(found.searched, found.unit)), ""],
        [
            escape(f"worst case, in {fresh}"),
            escape(amount(found.fresh.estimate, found.unit)),
            escape(interval_text(found.fresh, found.unit)),
        ],
    ]
    if math.isfinite(found.baseline):
        rows.append([escape(f"the file itself, in the same {fresh}"), escape(amount(found.baseline, found.unit)), ""])
    if found.difference is not None:
        size = amount(found.difference.estimate, found.unit)
        rows.append(["difference, world by world", escape(size), escape(interval_text(found.difference, found.unit, signs=True))])
    return table((), rows)


def worst_points_table(found: StoredWorst) -> str:
    """The worst points that were tried, to see how alike they are."""
    words = factor_names(found.records)
    units = {record["name"]: record["unit"] for record in found.records}
    worst = found.tried.drop_nulls(found.outcome).sort(found.outcome, descending=found.sign > 0, maintain_order=True).head(MOST_POINTS)
    rows = [
        [escape(amount(row[found.outcome], found.unit)), *(escape(point_text(row[name], units[name])) for name in words)]
        for row in worst.iter_rows(named=True)
    ]
    return table((found.outcome, *words.values()), rows)
