"""The probability of an event along a factor, and where it crosses a level."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.analysis_words import event_words, threshold_finding, threshold_range, value_text
from abm.lab.figures.style import BLUE, GREY, INK, VERMILLION, label, new_figure, percent_axis, styled, title
from abm.lab.figures.sweep.scales import factor_axis
from abm.lab.outcome_columns import unit_of
from abm.lab.plan_record import factor_record
from abm.lab.search import FoundThreshold
from abm.lab.statistics.interval import joined
from abm.lab.sweep_results import Dimension, dimension_of
from abm.lab.sweep_words import factor_words
from abm.lab.wording import percent, plural

ENLARGED = 2.0  # of the interval's width, shown on either side of it


@styled
def threshold_figure(found: FoundThreshold) -> Figure:
    """The share of worlds in which the event happened at every value tried, with binomial intervals, and the crossing with its own."""
    dimension = dimension_along(found)
    near = _near(found)
    figure = new_figure(4.1)
    panels = figure.subplots(1, 2 if near else 1, squeeze=False, sharey=True)[0]
    event = event_words(found.event, unit_of(found.event.outcome))
    for number, axes in enumerate(panels):
        factor_axis(axes, dimension)
        if number and near:
            axes.set_xlim(near)
        _shares(axes, found)
        _crossing(axes, found, named=number == len(panels) - 1)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title("Enlarged" if number else "All values tried" if near else f"Share of worlds with {event}")
    percent_axis(panels[0], "share of worlds", ticks=5)
    title(figure, threshold_finding(found, dimension.words, unit_of(found.event.outcome)).rstrip("."))
    figure.supxlabel(_note(found), x=0.008, ha="left", fontsize=8.5, color=INK)
    return figure


def dimension_along(found: FoundThreshold) -> Dimension:
    """The factor as an axis: values are anywhere in its range, however few were tried."""
    record = factor_record(found.factor, found.unit)
    dimension = dimension_of(record, factor_words(record), pl.Series([found.factor.low, found.factor.high]))
    return Dimension(
        dimension.name, dimension.words, found.unit, "", (), found.factor.low, found.factor.high, found.factor.log, True
    )  # fmt: skip


def _shares(axes: Axes, found: FoundThreshold) -> None:
    tried = found.threshold.evaluations
    x = np.array([each.value for each in tried])
    share, low, high = joined(each.probability for each in tried)
    axes.plot(x, share, color=BLUE, linewidth=1.2, alpha=0.5, zorder=3)
    axes.errorbar(x, share, np.vstack([share - low, high - share]), fmt="none", ecolor=BLUE, elinewidth=1.2, alpha=0.45, zorder=2)
    axes.plot(x, share, color=BLUE, marker="o", markersize=5, linewidth=0, zorder=4)
    axes.axhline(found.threshold.target, color=GREY, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)


def _near(found: FoundThreshold) -> tuple[float, float] | None:
    """Surroundings of the crossing that are worth a panel of their own; None where they are much of the range, or unknown."""
    value, factor = found.threshold.value, found.factor
    if not (math.isfinite(value.estimate) and math.isfinite(value.low) and math.isfinite(value.high)):
        return None
    ends = np.array([factor.low, factor.high, value.low, value.high])
    first, last, low, high = np.log(ends) if factor.log else ends
    room = ENLARGED * (high - low)
    if high - low + 2.0 * room > 0.5 * (last - first) or low == high:
        return None
    near = np.array([max(low - room, first), min(high + room, last)])
    left, right = np.exp(near) if factor.log else near
    return float(left), float(right)


def _crossing(axes: Axes, found: FoundThreshold, named: bool) -> None:
    """The place and its interval; named where there is room for words."""
    value = found.threshold.value
    if math.isnan(value.estimate):
        return
    left, right = axes.get_xlim()
    low, high = (value.low if math.isfinite(value.low) else left), (value.high if math.isfinite(value.high) else right)
    axes.axvspan(low, high, color=VERMILLION, alpha=0.15, linewidth=0, zorder=0)
    axes.axvline(value.estimate, color=VERMILLION, linewidth=1.8, zorder=3)
    if not named:
        return
    edges = np.array([left, right, low, value.estimate, high])
    edges = np.log(edges) if found.factor.log else edges
    before, place, past = (float(each) for each in (edges[2:] - edges[0]) / (edges[1] - edges[0]))
    behind = place <= 0.55
    below = behind == found.threshold.rising
    text = f"{percent(found.threshold.target)} at {value_text(value.estimate, found.unit)}\n{threshold_range(found)}"
    x, y = (past + 0.012 if behind else before - 0.012), (0.1 if below else 0.9)
    label(axes, x, y, text, VERMILLION, ha="left" if behind else "right", va="bottom" if below else "top")


def _note(found: FoundThreshold) -> str:
    text = f"The same {plural(found.replications, 'world')} at each of {plural(len(found.threshold.evaluations), 'value')}."
    if not found.threshold.consistent:
        text += " The share goes up and down: there is more than one threshold."
    return f"{text} Bars and band: 95\u00a0% intervals."
