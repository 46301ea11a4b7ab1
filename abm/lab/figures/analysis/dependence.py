"""Partial dependence: a panel for each factor, all with the same vertical axis."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.analysis_words import design_of, idle, importance
from abm.lab.dependence import Dependence, dependences
from abm.lab.figures.style import BLUE, GREY, INK, new_figure, styled, title
from abm.lab.figures.sweep.scales import columns_of, factor_axis, outcome_axis, unit_label
from abm.lab.sensitivity import FactorIndex, Sensitivity
from abm.lab.statistics.interval import joined
from abm.lab.sweep_words import amount, level_text, outcome_words, sentence, verb_of, with_unit
from abm.lab.wording import percent

MOST_PANELS = 12
ROOM = 0.08  # of the range of the means, above and below


@styled
def dependence_figure(found: Sensitivity) -> Figure:
    """The mean outcome along each factor, averaged over the others, with its band; the most important factor first."""
    shown = dependences(found)[:MOST_PANELS]
    columns = columns_of(len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(2.55 * rows + 1.0)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    indices = {each.factor: each for each in found.factors}
    for place, (axes, along) in enumerate(zip(grid.flat, shown, strict=False)):
        _panel(axes, along)
        factor_axis(axes, along.dimension)
        axes.set_title(_heading(indices[along.dimension.name], found), fontsize=9.5)
        if place % columns == 0:
            axes.set_ylabel(", ".join(filter(None, (_short(outcome_words(found.outcome)), unit_label(found.unit)))))
    outcome_axis(grid.flat[0].yaxis, found.unit, ticks=5)
    grid.flat[0].set_ylim(*_limits(shown))
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    title(figure, finding_along(found, shown))
    note = f"{sentence(design_of(found))}. Bands: {percent(found.confidence)} intervals of the mean."
    figure.supxlabel(note, x=0.008, ha="left", fontsize=8.5, color=INK)
    return figure


def _panel(axes: Axes, along: Dependence) -> None:
    mean, low, high = joined(along.means)
    known = np.isfinite(low) & np.isfinite(high)
    x = np.array(along.values)
    if along.dimension.ordered:
        axes.fill_between(x, low, high, where=known, color=BLUE, alpha=0.18, linewidth=0, zorder=2)
        axes.plot(x, mean, color=BLUE, marker="o", markersize=4, linewidth=1.8, zorder=4)
        return
    x = np.round(x)
    axes.errorbar(x[known], mean[known], np.vstack([mean - low, high - mean])[:, known], fmt="none", ecolor=BLUE, elinewidth=2.0, capsize=3)
    axes.plot(x, mean, color=BLUE, marker="o", markersize=6, linewidth=0, zorder=4)
    axes.axhline(float(mean.mean()), color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)


def _limits(shown: tuple[Dependence, ...]) -> tuple[float, float]:
    """All means, and their bands as far as they do not flatten the means."""
    mean, low, high = joined(each for along in shown for each in along.means)
    span = float(np.ptp(mean)) or 0.5 * float(np.abs(mean).max()) or 1.0
    bottom = max(float(low[np.isfinite(low)].min(initial=mean.min())), float(mean.min()) - 0.6 * span)
    top = min(float(high[np.isfinite(high)].max(initial=mean.max())), float(mean.max()) + 0.6 * span)
    if mean.min() >= 0.0 and bottom <= 0.25 * top:
        bottom = 0.0
        return bottom, top + ROOM * span
    return bottom - ROOM * span, top + ROOM * span


def _heading(each: FactorIndex, found: Sensitivity) -> str:
    size = importance(each, found)
    kind = {"total": "of the variance", "first": "of the variance", "size": "over its range"}[found.main]
    return "No clear effect" if idle(each, found) else f"{size} {kind}"


def _short(words: str) -> str:
    return f"mean {words}" if len(words) <= 26 else "mean"


def finding_along(found: Sensitivity, shown: tuple[Dependence, ...]) -> str:
    """How the outcome goes along the most important factor, in a sentence."""
    along = shown[0]
    outcome = outcome_words(found.outcome)
    index = next(each for each in found.factors if each.factor == along.dimension.name)
    if idle(index, found) or len(along.means) < 2:
        return f"{sentence(outcome)}: flat along every factor, as far as these points can tell"
    name, ordered = along.dimension.words, along.dimension.ordered
    levels = along.values if ordered else [along.dimension.levels[round(value)] for value in along.values]
    heights = [each.estimate for each in along.means]
    lowest, highest = int(np.argmin(heights)), int(np.argmax(heights))
    near = (len(heights) - 1) // 4  # so close to an end of the range is at the end
    one_way = {min(lowest, highest) <= near, max(lowest, highest) >= len(heights) - 1 - near} == {True}
    unit = along.dimension.unit

    def place(number: int) -> str:
        return with_unit(level_text(float(f"{levels[number]:.3g}")), unit) if ordered else str(levels[number])

    def size(number: int) -> str:
        return amount(heights[number], found.unit)

    if ordered and one_way:
        verb = verb_of(outcome, "rises" if highest > lowest else "falls")
        return f"Mean {outcome} {verb} from {size(0)} at {name} {place(0)} to {size(len(heights) - 1)} at {place(len(heights) - 1)}"
    worst, best = f"{place(highest)} ({size(highest)})", f"{place(lowest)} ({size(lowest)})"
    return f"Mean {outcome} {verb_of(outcome, 'is')} highest at {name} {worst} and lowest at {best}"
