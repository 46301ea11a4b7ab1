"""The tables of a sweep's report that say what changes what, as pieces of HTML."""

from __future__ import annotations

from html import escape

import polars as pl

from abm.lab.comparison import Difference
from abm.lab.comparison_text import amount as bare
from abm.lab.comparison_text import gain, probability
from abm.lab.comparison_text import range_text as bare_range
from abm.lab.expectations import Judged
from abm.lab.profit import MEANING, PARTS
from abm.lab.report_tables import table
from abm.lab.summary_table import LEAST_SHARE, gain_text
from abm.lab.sweep_effects import cautious, effect_of, factor_effect, judgement, mean_of
from abm.lab.sweep_findings import step_text
from abm.lab.sweep_lines import lines_of
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_tables import MOST_CELLS
from abm.lab.sweep_words import amount, difference, outcome_words, range_text, sentence, unit_words, verb_of
from abm.lab.wording import DASH, compact, count, plural

KINDS = {"better": "gain", "worse": "loss"}
VERDICTS = {"held": "held", "contradicted": "missed", "undecided": "open", "not tested": "open"}


def expectations_table(results: SweepResults, judged: list[Judged]) -> str:
    """What the file expects, and whether it came out."""
    rows = []
    for each in judged:
        of, unit = each.effect, results.unit(each.outcome)
        found = f"{difference(of.interval.estimate, unit)} ({range_text(of.interval, unit, signs=True)})" if of.pairs else DASH
        rows.append(
            [
                escape(_expected(results, each)),
                f'<span class="{VERDICTS[each.verdict]}">{each.verdict}</span>',
                escape(found),
                escape(each.about),
            ]
        )
    return table(("expected", "", "difference (95 % interval)", "why"), rows, numbers_from=9, sentences=True)


def _expected(results: SweepResults, each: Judged) -> str:
    """An expectation in words."""
    noun = outcome_words(each.outcome)
    if each.factor:
        way = {
            "+": f"{verb_of(noun, 'rises')} with",
            "-": f"{verb_of(noun, 'falls')} with",
            "0": f"{verb_of(noun, 'keeps')} its value along",
        }
        return f"{sentence(noun)} {way[each.sign]} {results.dimensions[each.factor].words}"
    way = {"+": "higher", "-": "lower", "0": "the same"}
    than = "as" if each.sign == "0" else "than"
    return f"{sentence(noun)} {verb_of(noun, 'is')} {way[each.sign]} under {each.variant} {than} under {results.baseline}"


def effects_table(results: SweepResults) -> str:
    """What each factor does to each outcome from its lowest value to its highest: on average, and at each value of another factor."""
    rows = []
    for name, dimension in results.dimensions.items():
        rows.append([escape(sentence(step_text(dimension))), *_effect_cells(results, name, results.runs)])
        lines = lines_of(results, name)
        for value in lines.values if lines.column and name == next(iter(results.dimensions)) else ():
            rows.append([f"&emsp;at {escape(lines.text(value))}", *_effect_cells(results, name, lines.runs(results.runs, value))])
    return table(("effect", *(outcome_words(name) for name in results.outcomes)), rows) if rows else ""


def _effect_cells(results: SweepResults, factor: str, runs: pl.DataFrame) -> list[str]:
    """The effect on each outcome with its interval; green where it is surely better, orange where worse."""
    cells = []
    for name in results.outcomes:
        found, unit, better = factor_effect(results, factor, name, runs), results.unit(name), results.of(name).better
        if not found.pairs or bool((runs[name].fill_null(0.0) == 0.0).all()):
            cells.append('<span class="no">not tested</span>')
            continue
        if found.unchanged:
            cells.append("the same")
            continue
        kind = KINDS.get(judgement(found, better), "")
        bold = "b" if found.sign else "span"
        texts = [difference(found.interval.estimate, unit), range_text(found.interval, unit, signs=True)]
        size, ends = (escape(text.replace("percentage points", "points")) for text in texts)
        cells.append(f'<{bold} class="{kind}">{size}</{bold}><br><small>{ends}</small>')
    return cells


def differences_table(results: SweepResults) -> str:
    """Every variant against the baseline, outcome by outcome."""
    if results.comparison is None:
        return ""
    parts = []
    for name in results.others:
        rows = [_difference_row(each) for each in results.comparison.differences if each.contrast.variant == name]
        head = ("outcome", results.baseline, name, "difference", "95 % interval", "lower : higher", "p", "pairing", "detectable", "pairs")
        same = all(_same(each) for each in results.comparison.differences if each.contrast.variant == name)
        note = "<p>Every outcome is identical in all pairs of runs: what it replaces made no difference to them in these worlds.</p>"
        parts.append(f"<h3>{escape(name)}</h3>{note if same else table(head, rows)}")
    return "".join(parts)


def _same(each: Difference) -> bool:
    return effect_of(each.outcome, each.found, 0).unchanged


def _named(outcome: str, unit: str) -> str:
    """An outcome with its unit below."""
    return f"{escape(outcome_words(outcome))}<br><small>{escape(unit_words(unit))}</small>"


def _difference_row(each: Difference) -> list[str]:
    found, unit = each.found, each.unit
    pairs = count(each.count.exercised) + (f" of {count(each.count.pairs)}" if each.count.exercised < each.count.pairs else "")
    name = _named(each.outcome, unit)
    if not found.pairs:
        return [name, *[DASH] * 2, '<span class="no">not tested</span>', *[""] * 5, pairs]
    ends = [bare(found.baseline, unit), bare(found.variant, unit)]
    if _same(each):
        return [name, *map(escape, ends), "identical", *[""] * 5, pairs]
    kind = KINDS.get(judgement(effect_of(each.outcome, found, 0), each.better), "")
    return [
        name,
        *map(escape, ends),
        f'<span class="{kind}">{escape(gain(found.t.estimate, unit))}</span>',
        escape(bare_range(cautious(found), unit)),
        f"{found.signs.lower} : {found.signs.higher}",
        escape(probability(each.p_holm)),
        f"× {compact(found.variance_ratio, 2)}" if 0.0 < found.variance_ratio < float("inf") else DASH,
        escape(bare(found.detectable, unit)),
        pairs,
    ]


def gains_table(results: SweepResults) -> str:
    """Mean profit of each population by source; with variants, how much more or less than under the baseline."""
    cohorts = [name.partition(".")[2] for name in results.runs.columns if name.startswith("profit.")]
    groups = [(f"{name} less {results.baseline}", name) for name in results.others] or [("all runs", "")]
    parts = []
    for heading, variant in groups:
        means = {
            cohort: [_mean(results, f"profit{'_' + part if part else ''}.{cohort}", variant) for part in ("", *PARTS)] for cohort in cohorts
        }
        largest = [max((abs(row[place] or 0.0) for row in means.values()), default=0.0) for place in range(len(PARTS) + 1)]
        shown = [place for place, size in enumerate(largest) if place == 0 or size > LEAST_SHARE * max(largest[1:])]
        rows = [[escape(cohort), *(_gain(row[place]) for place in shown)] for cohort, row in means.items()]
        head = (f"{heading}, USD per run", *(("total", *PARTS)[place] for place in shown))
        parts.append(table(head, rows))
    legend = "; ".join(f"<b>{part}</b>: {escape(text)}" for part, text in MEANING.items())
    return f'{"".join(parts)}<p class="note">Means. {legend}.</p>'


def _mean(results: SweepResults, column: str, variant: str) -> float | None:
    """Mean over runs; with a variant, of its differences from its twins."""
    if column not in results.runs.columns:
        return None
    if not variant:
        return mean_of(results.runs, column).estimate
    keys = ["point", "seed"]
    first = results.runs.filter(variant=results.baseline).select(*keys, first=column)
    second = results.runs.filter(variant=variant).select(*keys, second=column)
    found: float | None = second.join(first, on=keys).select((pl.col("second") - pl.col("first")).mean()).item()
    return found


def _gain(value: float | None) -> str:
    if value is None or value != value:
        return DASH
    kind = "gain" if value > 0.005 else "loss" if value < -0.005 else ""
    return f'<span class="{kind}">{gain_text(value)}</span>' if kind else "0"


def cells_table(results: SweepResults) -> str:
    """Means of the outcomes in each configuration, to be opened."""
    if not 1 < len(results.plan.cells) <= MOST_CELLS:
        return ""
    rows = []
    for cell in results.plan.cells:
        runs = results.runs.filter(pl.col("cell") == cell["cell"])
        means = [mean_of(runs, name) for name in results.outcomes]
        texts = [
            f"{amount(mean.estimate, results.unit(name))}<br><small>{range_text(mean, results.unit(name))}</small>"
            if mean.high < float("inf")
            else amount(mean.estimate, results.unit(name))
            for name, mean in zip(results.outcomes, means, strict=True)
        ]
        rows.append([escape(results.cell_text(cell)), count(runs.height), *texts])
    head = ("configuration", "runs", *(outcome_words(name) for name in results.outcomes))
    title = f"Means of every configuration, with 95 % intervals: {plural(len(rows), 'row')}"
    return f"<details><summary>{title}</summary>{table(head, rows)}</details>"
