"""Indices of factors with their intervals, the most important factor on top."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from abm.lab.analysis_words import design_of, importance, sensitivity_finding, words_of
from abm.lab.figures.style import BLUE, GREY, INK, PALE, VERMILLION, new_figure, styled, title
from abm.lab.figures.sweep.scales import outcome_axis, unit_label
from abm.lab.sensitivity import Sensitivity
from abm.lab.statistics.interval import Interval
from abm.lab.sweep_words import outcome_words, sentence
from abm.lab.wording import percent

MOST_FACTORS = 20
APART = 0.17  # of a row, between the two indices of a factor
STRENGTHS = {"total": "alone or with others", "first": "alone", "size": "in any direction", "mean": "with its direction"}
OPEN = ("first", "mean")  # markers that are not filled, where there is another index beside them


@styled
def indices_figure(found: Sensitivity) -> Figure:
    """A row for each factor: its indices as dots, intervals as bars; of Morris also how much the effect differs from place to place."""
    shown = found.factors[:MOST_FACTORS]
    words = words_of(found)
    figure = new_figure(0.42 * len(shown) + 2.15)
    deviation = found.method == "morris"
    panels = figure.subplots(1, 2 if deviation else 1, squeeze=False, sharey=True, width_ratios=(2.6, 1) if deviation else None)[0]
    names = sorted(found.factors[0].indices, key=lambda name: name != found.main)
    share = found.method != "morris"
    unit = "fraction" if share else found.unit.partition(" of ")[0]
    _intervals(panels[0], [[each.indices[name] for name in names] for each in shown], names)
    panels[0].set_yticks(range(len(shown)), [words[each.factor] for each in shown])
    panels[0].set_ylim(len(shown) - 0.45, -0.55)
    outcome = outcome_words(found.outcome)
    heading = f"Share of the variance of {outcome}" if share else f"{sentence(outcome)}: move over the whole range of a factor"
    panels[0].set_title(", ".join(filter(None, (heading, "" if share else unit_label(unit)))))
    outcome_axis(panels[0].xaxis, unit, ticks=6)
    if share:
        panels[0].set_xlim(*_limits([each.indices[name] for each in shown for name in names]))
        panels[0].xaxis.set_major_locator(FixedLocator([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    else:
        _deviations(panels[1], [each.deviation for each in shown], found, unit)
    _numbers(panels[0], [importance(each, found) for each in shown], room=not share)
    _legend(panels[0], names)
    title(figure, sensitivity_finding(found, interval=False).rstrip("."))
    note = f"{sentence(design_of(found))}. Bars: {percent(found.confidence)} intervals."
    figure.supxlabel(note, x=0.008, ha="left", fontsize=8.5, color=INK)
    return figure


def _intervals(axes: Axes, rows: Sequence[Sequence[Interval]], names: Sequence[str]) -> None:
    axes.axvline(0.0, color=GREY, linewidth=1.0, zorder=1)
    axes.grid(axis="y", visible=False)
    for row, intervals in enumerate(rows):
        for place, (name, interval) in enumerate(zip(names, intervals, strict=True)):
            height = row + (APART * (2 * place - 1) if len(names) > 1 else 0.0)
            colour, hollow = _look(name, names)
            if math.isfinite(interval.low) and math.isfinite(interval.high):
                axes.plot([interval.low, interval.high], [height, height], color=colour, linewidth=2.0, solid_capstyle="butt", zorder=3)
            if math.isfinite(interval.estimate):
                face = "white" if hollow else colour
                axes.plot(
                    interval.estimate, height, marker="D" if hollow else "o", markersize=6.5 if not hollow else 5.5,
                    markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.6, zorder=4,
                )  # fmt: skip


def _look(name: str, names: Sequence[str]) -> tuple[str, bool]:
    hollow = name in OPEN and len(names) > 1
    return (VERMILLION if hollow else BLUE), hollow


def _limits(intervals: Sequence[Interval]) -> tuple[float, float]:
    ends = np.array([end for each in intervals for end in (each.estimate, each.low, each.high) if math.isfinite(end)])
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)
    return min(max(low, -0.25), 0.0) - 0.02, max(min(high, 1.25), 0.25) + 0.14


def _numbers(axes: Axes, texts: Sequence[str], room: bool) -> None:
    """The main index of each factor at the right edge of its row."""
    for row, text in enumerate(texts):
        axes.annotate(
            text, (1.0, row), xycoords=axes.get_yaxis_transform(), xytext=(-2, 0), textcoords="offset points", ha="right", va="center",
            fontsize=8.5, fontweight="bold", color=BLUE, zorder=6,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    if room:
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + 0.16 * (high - low))


def _deviations(axes: Axes, deviations: Sequence[float | None], found: Sensitivity, unit: str) -> None:
    lengths = [0.0 if each is None or not math.isfinite(each) else each for each in deviations]
    axes.barh(range(len(lengths)), lengths, height=0.45, color=PALE, edgecolor=GREY, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_title("Varies from place to place")
    axes.tick_params(labelleft=False, left=False)
    axes.set_xlim(0.0, max(max(lengths), 1e-300) * 1.05)
    outcome_axis(axes.xaxis, unit, ticks=3)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """Names of the two markers, where there are two."""
    if len(names) < 2:
        return
    handles = []
    for name in names:
        colour, hollow = _look(name, names)
        handles += axes.plot(
            [], [], marker="D" if hollow else "o", color=colour, markerfacecolor="white" if hollow else colour, markeredgewidth=1.6,
            linewidth=2.0, label=STRENGTHS[name],
        )  # fmt: skip
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=2.6, ncols=2, frameon=False, fontsize=9)
