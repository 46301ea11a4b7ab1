"""Paired differences from the baseline, outcome by outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.comparison import Difference
from abm.lab.figures.style import BLUE, GREEN, GREY, INK, VERMILLION, new_figure, styled, title
from abm.lab.figures.sweep.scales import outcome_axis
from abm.lab.sweep_effects import cautious, effect_of, judgement, variant_effect
from abm.lab.sweep_findings import variant_title
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_words import difference, outcome_words, range_text, sentence
from abm.lab.wording import names, plural

MOST_LINES, FEWEST_OUTCOMES, MOST_VARIANTS = 32, 4, 6  # a line for each variant of each outcome
JUDGED = {"better": GREEN, "worse": VERMILLION, "higher": BLUE, "lower": BLUE}


def differ(results: SweepResults) -> bool:
    """Whether any outcome differs from the baseline in any pair."""
    return results.comparison is not None and any(_moved(each) for each in results.comparison.differences)


@styled
def difference_figure(results: SweepResults) -> Figure:
    """A strip for each outcome with its own axis: the mean difference of every variant from the baseline, with its interval."""
    compared = results.comparison
    if compared is None:
        raise ValueError("there are no variants to compare")
    variants = results.others[:MOST_VARIANTS]
    outcomes = list(dict.fromkeys(each.outcome for each in compared.differences))[: max(FEWEST_OUTCOMES, MOST_LINES // len(variants))]
    rows = {
        outcome: [each for name in variants for each in compared.differences if (each.outcome, each.contrast.variant) == (outcome, name)]
        for outcome in outcomes
    }
    drawn = [outcome for outcome in outcomes if any(_moved(each) for each in rows[outcome])]
    silent = [outcome for outcome in outcomes if outcome not in drawn]
    if not drawn:
        raise ValueError("no outcome differs in any pair")
    strips = len(drawn)
    figure = new_figure(strips * (0.50 + 0.27 * len(variants)) + 1.15 + 0.18 * bool(silent))
    grid = figure.subplots(strips, 1, squeeze=False)[:, 0]
    for axes, outcome in zip(grid, drawn, strict=False):
        _strip(axes, rows[outcome])
    grid[-1].set_xlabel(f"difference from {results.baseline}, each outcome in its own unit")
    title(figure, _finding(results, rows))
    figure.supxlabel(_legend(silent, rows), x=0.008, ha="left", fontsize=8.5, color=INK)
    return figure


def _strip(axes: Axes, rows: Sequence[Difference]) -> None:
    """One outcome: a line for each variant."""
    unit = rows[0].unit
    ends = [0.0]
    for place, each in enumerate(reversed(rows)):
        interval, colour = cautious(each.found), colour_of(each)
        known = math.isfinite(interval.low) and math.isfinite(interval.high)
        if not each.found.pairs:
            text, colour = "not tested in any pair", GREY
        elif not _moved(each):
            text, colour = f"identical in all {plural(each.found.pairs, 'pair')}", GREY
            axes.plot(0.0, place, "s", color=GREY, markersize=5)
        else:
            text = difference(interval.estimate, unit)
            text += f"  ({range_text(interval, unit, signs=True)})" if known else "  (too few worlds)"
            text = text.replace("percentage points", "pp")
            axes.plot(interval.estimate, place, "o", color=colour, markersize=6, zorder=4)
            ends.append(interval.estimate)
            if known:
                axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.6, solid_capstyle="butt", zorder=3)
                ends += [interval.low, interval.high]
        axes.annotate(
            text, (1.0, place), xycoords=axes.get_yaxis_transform(), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5,
            color=colour, fontweight="bold" if colour != GREY else "normal", annotation_clip=False,
        )  # fmt: skip
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.axvline(0.0, color=INK, linewidth=1.0, zorder=1)
    axes.set_yticks(np.arange(len(rows)), [each.contrast.variant for each in reversed(rows)])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    outcome_axis(axes.xaxis, unit, ticks=5, signs=True)
    axes.set_title(sentence(outcome_words(rows[0].outcome)), fontsize=9.5)


def colour_of(each: Difference) -> str:
    """Better green, worse orange, neither blue; grey where the sign is not sure."""
    return JUDGED.get(_judgement(each), GREY)


def _judgement(each: Difference) -> str:
    return judgement(effect_of(each.outcome, each.found, 0), each.better)


def _moved(each: Difference) -> bool:
    return each.found.pairs > 0 and not effect_of(each.outcome, each.found, 0).unchanged


def _finding(results: SweepResults, rows: dict[str, list[Difference]]) -> str:
    every = [each for of in rows.values() for each in of]
    tested = [each for each in every if each.found.pairs]
    if len(results.others) == 1:
        counted = [(word, sum(_judgement(each) == word for each in tested)) for word in ("better", "worse")]
        told = " and ".join(f"{word} in {number}" for word, number in counted if number)
        if told:
            return f"Against {results.baseline}, {results.others[0]} is {told} of {plural(len(tested), 'outcome')}"
        return f"Against {results.baseline}, {results.others[0]} changes no outcome for sure, for better or worse"
    effects = [(name, variant_effect(results, name, results.main)) for name in results.others]
    moved = [(name, effect) for name, effect in effects if effect.sign] or effects
    name, effect = moved[0]
    return variant_title(results, effect, name)


def _legend(silent: Sequence[str], rows: dict[str, list[Difference]]) -> str:
    text = "Dots: mean difference, bars: 95 % interval. Green: better, orange: worse, blue: neither, grey: could be chance."
    if silent:
        words = [outcome_words(name) + ("" if any(each.found.pairs for each in rows[name]) else " (not tested)") for name in silent]
        text += f"\nThe same in all pairs: {names(words)}."
    return text
