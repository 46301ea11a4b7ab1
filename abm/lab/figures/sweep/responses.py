"""Dose and response: outcomes along a factor, with bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.aggregates import highest, lowest
from abm.lab.figures.style import BLUE, GREY, INK, new_figure, no_data, styled, title
from abm.lab.figures.sweep.scales import end_labels, factor_axis, line_colours, outcome_axis, unit_label
from abm.lab.statistics.interval import joined
from abm.lab.sweep_effects import Level, curve, factor_effect, is_event
from abm.lab.sweep_findings import no_answer, response_title
from abm.lab.sweep_lines import Lines, lines_of
from abm.lab.sweep_results import Dimension, SweepResults
from abm.lab.sweep_words import difference, level_text, outcome_words, sentence
from abm.lab.wording import plural

APART = 0.12  # between lines at the same name
NEAR_ZERO = 0.5  # of the largest value
MOST_PANELS, MOST_DOTS = 6, 600


@styled
def response_figure(results: SweepResults, factor: str, outcomes: Sequence[str] = ()) -> Figure:
    """A panel for each outcome: its mean along a factor with the 95 % band, a line for each variant or value of another factor.

    With one line also the median, the middle four fifths of the runs, and the runs themselves.
    """
    shown = list(outcomes or results.outcomes)[:MOST_PANELS]
    dimension, lines = results.dimensions[factor], lines_of(results, factor)
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    figure = new_figure(2.55 * rows + 0.95)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, outcome in zip(grid.flat, shown, strict=False):
        _panel(axes, results, dimension, lines, outcome)
        below = list(grid.flat).index(axes) + columns >= len(shown)
        factor_axis(axes, dimension, label=below)
        axes.tick_params(labelbottom=below)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    title(figure, response_title(results, factor, shown[0]))
    if not all(no_answer(results, outcome) for outcome in shown):
        figure.supxlabel(_legend(results, dimension, lines), x=0.008, ha="left", fontsize=8.5, color=INK)
    figure.draw_without_rendering()
    for axes, outcome in zip(grid.flat, shown, strict=False):
        _name_lines(axes, results, dimension, lines, outcome)
    return figure


def _panel(axes: Axes, results: SweepResults, dimension: Dimension, lines: Lines, outcome: str) -> None:
    unit = results.unit(outcome)
    axes.set_title(_panel_title(results, dimension, outcome), fontsize=9.5)
    axes.set_ylabel(unit_label(unit))
    outcome_axis(axes.yaxis, unit)
    if no_answer(results, outcome):
        no_data(axes, "zero in every run: not tested" if results.defined(outcome) else "not tested")
        axes.set_yticks([])
        return
    colours = line_colours(lines.values, lines.ordered) if lines.column else [BLUE]
    for place, (value, colour) in enumerate(zip(lines.values, colours, strict=True)):
        runs = lines.runs(results.runs, value)
        levels = [level for level in curve(runs, dimension, outcome) if level.runs]
        if not levels:
            continue
        if not lines.column:
            _runs(axes, runs, dimension, outcome)
            _quantiles(axes, levels, dimension)
        beside = 0.0 if dimension.ordered else APART * (place - 0.5 * (len(lines.values) - 1))
        _line(axes, levels, dimension, colour, beside)
    _limits(axes, results, outcome)


def _panel_title(results: SweepResults, dimension: Dimension, outcome: str) -> str:
    """The outcome, and what the factor does to it from its lowest value to its highest."""
    words = sentence(outcome_words(outcome))
    if no_answer(results, outcome):
        return words
    effect = factor_effect(results, dimension.name, outcome)
    size = difference(effect.interval.estimate, results.unit(outcome)).replace("percentage points", "points")
    return f"{words}: {size if effect.sign else 'the same' if effect.unchanged else 'no clear effect'}"


def _line(axes: Axes, levels: Sequence[Level], dimension: Dimension, colour: str, beside: float) -> None:
    x = np.array([level.position for level in levels]) + beside
    mean, low, high = joined(level.mean for level in levels)
    known = np.isfinite(low) & np.isfinite(high)
    if dimension.ordered:
        axes.fill_between(x, low, high, where=known, color=colour, alpha=0.11, linewidth=0, zorder=2)
        for edge in (low, high):
            axes.plot(x[known], edge[known], color=colour, alpha=0.45, linewidth=0.6, zorder=2)
        axes.plot(x, mean, color=colour, marker="o", markersize=4, linewidth=1.8, zorder=4)
    else:
        axes.errorbar(
            x[known], mean[known], np.vstack([mean - low, high - mean])[:, known], fmt="none", ecolor=colour, elinewidth=1.4, capsize=3
        )
        axes.plot(x, mean, color=colour, marker="o", markersize=5, linewidth=0, zorder=4)


def _quantiles(axes: Axes, levels: Sequence[Level], dimension: Dimension) -> None:
    if not dimension.ordered:
        return
    x = [level.position for level in levels]
    low, median, high = (np.array([level.quantiles[k] for level in levels]) for k in range(3))
    axes.fill_between(x, low, high, color=GREY, alpha=0.13, linewidth=0, zorder=1)
    axes.plot(x, median, color=GREY, linewidth=1.3, linestyle=(0, (4, 2)), zorder=3)


def _runs(axes: Axes, runs: pl.DataFrame, dimension: Dimension, outcome: str) -> None:
    known = runs.drop_nulls(outcome)
    if 0 < known.height <= MOST_DOTS:
        x = [dimension.position(value) for value in known[dimension.name]]
        axes.plot(x, known[outcome].to_numpy(), ".", color=GREY, alpha=0.45, markersize=4, markeredgewidth=0, zorder=1.5)


def _limits(axes: Axes, results: SweepResults, outcome: str) -> None:
    """Zero is the bottom where values come near it; bands of the mean may not stretch the axis beyond the runs."""
    values = results.runs[outcome].drop_nulls()
    low, high = lowest(values), highest(values)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    bottom, top = (max(axes.get_ylim()[0], low - room), min(axes.get_ylim()[1], high + room))
    if 0.0 <= low <= NEAR_ZERO * high:
        bottom = 0.0
    if is_event(outcome):
        top = min(top, 1.02)
    axes.set_ylim(bottom, max(top, bottom + 1e-9 * room))


def _name_lines(axes: Axes, results: SweepResults, dimension: Dimension, lines: Lines, outcome: str) -> None:
    """Names each line where it ends, or the kinds of lines where there is one."""
    if no_answer(results, outcome) or not lines.column:
        return
    ends, texts, colours = [], [], []
    for value, colour in zip(lines.values, line_colours(lines.values, lines.ordered), strict=True):
        levels = [level for level in curve(lines.runs(results.runs, value), dimension, outcome) if level.runs]
        if levels:
            ends.append((levels[-1].position + (0.0 if dimension.ordered else APART * 0.5 * len(lines.values)), levels[-1].mean.estimate))
            texts.append(level_text(value))
            colours.append(colour)
    if ends:
        end_labels(axes, max(x for x, _ in ends), [height for _, height in ends], texts, colours)


def _legend(results: SweepResults, dimension: Dimension, lines: Lines) -> str:
    over = "points" if not dimension.levels else "worlds"
    if lines.column:
        named = "Numbers at the lines" if lines.ordered else "Names at the lines"
        return f"{named}: {lines.words}. Bands: 95 % intervals of the mean over {plural(results.seeds, 'world')}."
    grouped = "Bins of drawn points" if not dimension.levels else "Blue"
    return f"{grouped}: mean with its 95 % interval over {over}. Grey: single runs, their median (dashed), 10 % to 90 % quantile."
