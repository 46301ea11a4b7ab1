"""What a search for the worst case has tried and found."""

from __future__ import annotations

import math

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from abm.lab.analysis_words import point_text, worst_finding
from abm.lab.figures.style import BLUE, GREY, INK, VERMILLION, new_figure, styled, title
from abm.lab.figures.sweep.scales import columns_of, factor_axis, outcome_axis, unit_label
from abm.lab.search_store import StoredWorst
from abm.lab.statistics.interval import Interval
from abm.lab.sweep_results import Dimension, dimension_of
from abm.lab.sweep_words import factor_names, outcome_words, sentence
from abm.lab.wording import plural

MOST_FACTORS = 11  # with the panel of the search a full page
SPREAD = 0.16  # of the distance between names, over which dots of one name are spread


@styled
def worst_figure(found: StoredWorst) -> Figure:
    """What the search found against the number of points tried, and the outcome of every point over each factor."""
    words = factor_names(found.records)
    dimensions = [dimension_of(record, words[record["name"]], found.tried[record["name"]]) for record in found.records][:MOST_FACTORS]
    panels = len(dimensions) + 1
    columns = columns_of(panels)
    rows = -(-panels // columns)
    figure = new_figure(2.7 * rows + 1.1)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    _search(grid.flat[0], found)
    for place, (axes, dimension) in enumerate(zip(list(grid.flat)[1:], dimensions, strict=False), start=1):
        _along(axes, found, dimension, place)
        factor_axis(axes, dimension)
        axes.set_title(f"Worst: {point_text(found.point[dimension.name], dimension.unit)}", fontsize=9.5)
    outcome_axis(grid.flat[0].yaxis, found.unit, ticks=5)
    for row in grid:
        row[0].set_ylabel(", ".join(filter(None, (sentence(outcome_words(found.outcome)), unit_label(found.unit)))))
    for axes in list(grid.flat)[panels:]:
        axes.set_visible(False)
    title(figure, worst_finding(found, where=False).rstrip("."))
    _legend(figure, found)
    return figure


def _search(axes: Axes, found: StoredWorst) -> None:
    numbers = np.arange(1, found.tried.height + 1)
    values = found.tried[found.outcome].to_numpy()
    axes.scatter(numbers, values, c=numbers, cmap=_colours(), s=13, linewidths=0, zorder=3)
    axes.step(numbers, found.best_so_far, where="post", color=INK, linewidth=1.8, zorder=4)
    axes.set_xlabel("points tried")
    axes.set_title("The search, worst so far", fontsize=9.5)


def _along(axes: Axes, found: StoredWorst, dimension: Dimension, place: int) -> None:
    x = np.array([dimension.position(value) for value in found.tried[dimension.name]])
    if not dimension.ordered:  # dots of one name beside each other, in the order of the search
        x += SPREAD * np.linspace(-1.0, 1.0, len(x))
    axes.scatter(x, found.tried[found.outcome].to_numpy(), c=np.arange(len(x)), cmap=_colours(), s=13, linewidths=0, zorder=3)
    own = found.own.get(dimension.name)
    if own is not None and (not dimension.ordered or dimension.low <= float(own) <= dimension.high):
        axes.axvline(dimension.position(own), color=GREY, linewidth=1.2, linestyle=(0, (1, 1.5)), zorder=1)
    _winner(axes, dimension.position(found.point[dimension.name]), found.fresh)


def _winner(axes: Axes, x: float, fresh: Interval) -> None:
    if not math.isfinite(fresh.estimate):
        return
    if math.isfinite(fresh.low) and math.isfinite(fresh.high):
        ends = [[fresh.estimate - fresh.low], [fresh.high - fresh.estimate]]
        axes.errorbar([x], [fresh.estimate], ends, fmt="none", ecolor=VERMILLION, elinewidth=2.0, capsize=5, capthick=1.6, zorder=5)
    axes.plot(x, fresh.estimate, marker="D", color=VERMILLION, markersize=6, markeredgecolor="white", zorder=6, clip_on=False)


def _colours() -> ListedColormap:
    """From light to dark blue."""
    return ListedColormap(list(sns.light_palette(BLUE, 12)[3:]))


def _legend(figure: Figure, found: StoredWorst) -> None:
    worlds = plural(len(found.fresh_seeds), "fresh world")
    entries = [
        Line2D(
            [], [], marker="o", linewidth=0, color=BLUE, markersize=4.5, label=f"a point, mean of {plural(found.replications, 'world')}"
        ),
        Line2D([], [], color=INK, linewidth=1.8, label="worst so far"),
        Line2D([], [], marker="D", color=VERMILLION, linewidth=2.2, markeredgecolor="white", label=f"the winner in {worlds}, interval"),
        Line2D([], [], color=GREY, linewidth=1.2, linestyle=(0, (1, 1.5)), label="as the file has it"),
    ]
    figure.legend(handles=entries, loc="outside lower left", ncols=4, frameon=False, fontsize=8.5, handlelength=1.6, columnspacing=1.6)
