"""The tables of a sweep's report as pieces of HTML. Every text is escaped here, or in `abm.lab.report_tables`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import polars as pl

from abm.lab.report_tables import table
from abm.lab.run_rows import DONE
from abm.lab.sweep_exercised import SIGNS, Exercise, exercise, exercise_by_cell
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_words import amount, level_text, outcome_words
from abm.lab.toml_text import value_text
from abm.lab.wording import count, plural

MOST_GROUPS, MOST_CELLS, MOST_FAILURES = 8, 200, 20


def factors_table(results: SweepResults) -> str:
    """One row per factor: what it is and its values."""
    if not results.plan.factors:
        return ""
    rows = [
        [
            escape(results.dimensions[factor["name"]].words),
            "<br>".join(f"<code>{escape(key)}</code>" for key in factor["keys"]),
            escape(factor["words"]),
            escape(results.dimensions[factor["name"]].unit if factor["unit"] != "as the parameter" else ""),
            escape(results.dimensions[factor["name"]].about),
        ]
        for factor in results.plan.factors
    ]
    return table(("factor", "key", "values", "unit", ""), rows, numbers_from=9)


def variants_table(results: SweepResults) -> str:
    """One row per variant: what it replaces."""
    if len(results.variants) < 2:
        return ""
    tables: Mapping[str, Any] = results.plan.sweep.get("variants", {})
    rows = []
    for name in results.variants:
        changed = "<br>".join(f"<code>{escape(key)} = {escape(text)}</code>" for key, text in _leaves(tables.get(name, {}), ()))
        role = "baseline" if results.others and name == results.baseline else ""
        rows.append([escape(name), role, changed or "the configuration of the file"])
    return table(("variant", "", "replaces"), rows, numbers_from=9)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    else:
        yield ".".join(path), value_text(value)


def failures_table(results: SweepResults) -> str:
    """Failed runs by the last line of their tracebacks, each with one traceback to open."""
    if not results.failures.height:
        return ""
    lines = results.failures.with_columns(pl.col("error").str.split("\n").list.last().alias("last"))
    groups = lines.group_by("last", maintain_order=True).agg(pl.len(), pl.col("error", "cell", "seed").first()).sort("len", descending=True)
    cells = {cell["cell"]: cell for cell in results.plan.cells}
    rows = []
    for row in groups.head(MOST_FAILURES).iter_rows(named=True):
        cell = cells[row["cell"]]
        where = f"{results.cell_text(cell)}, seed {row['seed']}"
        opened = f"<details><summary>traceback</summary><pre>{escape(row['error'])}</pre></details>"
        rows.append([f"<code>{escape(row['last'])}</code>", count(row["len"]), escape(where), opened])
    more = groups.height - MOST_FAILURES
    note = f'<p class="note">And {plural(more, "other error")}.</p>' if more > 0 else ""
    return table(("failed with", "runs", "first at", ""), rows, numbers_from=9) + note


def exercise_table(results: SweepResults) -> str:
    """In how many runs each mechanism acted: all together, and by variant or level of the first factor."""
    columns = [exercise(results)]
    if len(results.variants) > 1:
        columns += [exercise(results, name, results.runs.filter(variant=name)) for name in results.variants[:MOST_GROUPS]]
    else:
        for name, dimension in list(results.dimensions.items())[:1]:
            if 1 < len(dimension.levels) <= MOST_GROUPS:
                columns += [
                    exercise(results, f"{dimension.words} {level_text(level)}", results.runs.filter(pl.col(name) == level))
                    for level in dimension.levels
                ]
    rows = [[escape(sign.mechanism), *(_acted(column, place) for column in columns)] for place, sign in enumerate(SIGNS)]
    return table(("acted in", *(column.group for column in columns)), rows)


def exercise_by_cell_table(results: SweepResults) -> str:
    """The same for each configuration, to be opened."""
    if not 1 < len(results.plan.cells) <= MOST_CELLS:
        return ""
    rows = [
        [escape(found.group), count(found.runs), *(_acted(found, place) for place in range(len(SIGNS)))]
        for found in exercise_by_cell(results)
    ]
    head = ("configuration", "runs", *(sign.mechanism for sign in SIGNS))
    return f"<details><summary>By configuration: {plural(len(rows), 'row')}</summary>{table(head, rows)}</details>"


def _acted(found: Exercise, place: int) -> str:
    number = found.acted[place]
    if number is None:
        return '<span class="open">not kept</span>'
    if number == 0:
        return '<span class="no">not tested</span>'
    return f"{count(number)} of {count(found.runs)}"


def definitions_table(results: SweepResults) -> str:
    """The outcomes that the question is about: unit, meaning, and in how many runs they are numbers."""
    rows = []
    for name in results.outcomes:
        outcome = results.of(name)
        better = {"less": "less is better", "more": "more is better", "": ""}[outcome.better]
        defined = f"{count(results.defined(name))} of {count(results.runs.height)} runs"
        rows.append(
            [
                f"{escape(outcome_words(name))}<br><code>{escape(name)}</code>",
                escape(outcome.unit),
                escape(better),
                defined,
                escape(outcome.meaning),
            ]
        )
    return table(("outcome", "unit", "", "a number in", "definition"), rows, numbers_from=9)


def all_outcomes_table(results: SweepResults) -> str:
    """Every outcome over all runs, to be opened."""
    names = results.stored.outcomes
    every = {"n": pl.all().count(), "mean": pl.all().mean()} | {f"{share:.0%}": pl.all().quantile(share) for share in (0.1, 0.5, 0.9)}
    done = results.stored.runs.filter(pl.col("status") == DONE).select(names)
    found = done.select(each.name.suffix(f" {key}") for key, each in every.items()).collect().row(0, named=True)
    rows = []
    for name in names:
        values = [escape(amount(found[f"{name} {key}"], results.unit(name))) for key in list(every)[1:]]
        rows.append([f"<code>{escape(name)}</code>", count(found[f"{name} n"]), *values])
    head = ("outcome", "runs with it", "mean", "10 % quantile", "median", "90 % quantile")
    return f"<details><summary>All {count(len(names))} outcomes, over all runs</summary>{table(head, rows)}</details>"
