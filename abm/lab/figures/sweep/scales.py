"""Axes of outcomes and of factors, colours of lines, and labels at the ends of lines."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from abm.lab.figures.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION, short_money, short_percent
from abm.lab.sweep_results import Dimension
from abm.lab.sweep_words import is_share, level_text, unit_words
from abm.lab.wording import duration

NAMED = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)  # of variants, the baseline first
LONGEST_UNIT = 12  # characters; longer ones explain more than an axis has room for
NARROW = 10  # characters of a line of a name that has others beside it
CLOSEST = 0.05  # of the axis, between labels of levels


def short_amount(value: float, unit: str, signs: bool = False) -> str:
    """A tick of an axis of outcomes."""
    if is_share(unit):
        return short_percent(value, signs)
    if unit == "seconds":
        text = duration(value, short=True) if value else "0"
    else:
        text = short_money(value)
    return f"+{text}" if signs and value > 0 else text


def outcome_axis(axis: Axis, unit: str, ticks: int = 4, signs: bool = False) -> None:
    """Ticks of an outcome in its unit. signs: of differences."""
    axis.set_major_locator(MaxNLocator(ticks, integer=unit in ("accounts", "cascades", "settlements", "transactions")))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_amount(value, unit, signs)))


def unit_label(unit: str) -> str:
    """What an axis of outcomes says beside its name: nothing where the ticks have percent signs or spans of time."""
    return "" if unit == "seconds" or unit == "fraction" else unit_words(unit)


def factor_axis(axes: Axes, dimension: Dimension, label: bool = True) -> None:
    """A horizontal axis of a factor: its levels, log where its scale is, names at equal distances."""
    if not dimension.ordered:
        axes.xaxis.set_major_locator(FixedLocator(range(len(dimension.levels))))
        names = [fill(level_text(level), NARROW, break_long_words=False) for level in dimension.levels]
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names[round(value)] if 0 <= round(value) < len(names) else ""))
        axes.set_xlim(-0.4, len(names) - 0.6)
    else:
        low, high = dimension.low, dimension.high
        if dimension.log:
            axes.set_xscale("log")
            axes.set_xlim(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            room = 0.05 * max(high - low, abs(high), 1e-12)
            axes.set_xlim(low - room, high + room)
        if dimension.levels:
            axes.xaxis.set_major_locator(FixedLocator(_apart(dimension)))
        elif not dimension.log:
            axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact_level(value)))
    if label:
        axes.set_xlabel(axis_words(dimension))


def axis_words(dimension: Dimension) -> str:
    """A factor with its unit."""
    unit = unit_words(dimension.unit) if dimension.ordered and len(dimension.unit) <= LONGEST_UNIT else ""
    return f"{dimension.words}, {unit}" if unit and unit not in dimension.words else dimension.words


def compact_level(value: float) -> str:
    """A number on the axis of a factor: 10 k rather than 10,000."""
    return short_money(value) if abs(value) >= 10_000 else level_text(value)


def columns_of(panels: int) -> int:
    """How many panels stand side by side: so many that their ticks have room, and no row is nearly empty."""
    return min(panels, 2 if panels == 4 else 3)


def line_colours(names: Sequence[object], ordered: bool) -> list[str]:
    """One colour each: from light to dark for numbers, clearly different ones for names."""
    if not ordered:
        return [NAMED[place % len(NAMED)] for place in range(len(names))]
    return list(sns.color_palette("viridis_r", len(names) + 1).as_hex())[1:]


def end_labels(axes: Axes, x: float, heights: Sequence[float], texts: Sequence[str], colours: Sequence[str]) -> None:
    """Names of lines to the right of where they end, moved apart where they would overlap. The limits must have been set."""
    low, high = axes.get_ylim()
    places = [(height - low) / (high - low) for height in heights]
    order = np.argsort(places, kind="stable")
    inches = round(axes.get_window_extent().height / axes.get_figure(root=True).dpi, 3)  # type: ignore[union-attr]
    gap = 0.15 / max(inches, 0.5)
    spread = _spread([min(max(places[k], 0.0), 1.0) for k in order], gap)
    for k, place in zip(order, spread, strict=True):
        axes.annotate(
            texts[k], (x, place), xycoords=axes.get_xaxis_transform(), xytext=(5, 0), textcoords="offset points", color=colours[k],
            va="center", ha="left", fontsize=8.5, fontweight="bold", annotation_clip=False,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved as little as need be to be `gap` apart: clusters of labels are centred where they belong."""
    clusters: list[tuple[float, int]] = []  # centre, how many
    for place in places:
        centre, size = place, 1
        while clusters and clusters[-1][0] + 0.5 * gap * clusters[-1][1] > centre - 0.5 * gap * size:
            before, more = clusters.pop()
            centre, size = (before * more + centre * size) / (more + size), more + size
        clusters.append((centre, size))
    return [centre + gap * (k - 0.5 * (size - 1)) for centre, size in clusters for k in range(size)]


def _apart(dimension: Dimension) -> list[float]:
    """Levels, those left out whose labels would touch: both ends stay."""
    log = dimension.log
    places = [np.log(level) if log else float(level) for level in dimension.levels]
    span = places[-1] - places[0] or 1.0
    kept = [0]
    for place in range(1, len(places) - 1):
        if (places[place] - places[kept[-1]]) / span >= CLOSEST and (places[-1] - places[place]) / span >= CLOSEST:
            kept.append(place)
    return [float(dimension.levels[place]) for place in (*kept, *([len(places) - 1] if len(places) > 1 else []))]
