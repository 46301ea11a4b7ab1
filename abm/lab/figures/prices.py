"""Prices inside and outside, with the liquidations on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from abm.lab.aggregates import highest
from abm.lab.episodes import closing, liquidations_by_minute, symbols, venue_move
from abm.lab.figures.style import (
    GREY,
    INDEX,
    LONG,
    ORACLE,
    PERP,
    SHORT,
    crash_window,
    label,
    new_figure,
    styled,
    time_axis,
    title,
    whole_run,
)
from abm.lab.wording import change, duration, percent, plural, price, usd

LARGEST_BUBBLE = 400.0  # points squared
MOST_POINTS = 1500  # of a line; more cannot be seen and make the file large
HIGHEST, FEWEST = 2.1, 3.2  # inches of a row, and of a figure


@styled
def price_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """Index, oracle and mid of each market over the run and around the crash; liquidations as bubbles, of one scale in all rows."""
    names = symbols(frames)
    looks = frames["markets"]
    start, end = whole_run(frames)
    window = crash_window(frames)
    figure = new_figure(max(FEWEST, HIGHEST * len(names) + 0.9))
    grid = figure.subplots(len(names), 2, squeeze=False, gridspec_kw={"width_ratios": [1.0, 1.5]})
    minutes = liquidations_by_minute(frames["liquidations"])
    most = highest(minutes["notional"]) if minutes.height else 1.0
    for row, symbol in enumerate(names):
        mine = looks.filter(pl.col("market") == symbol).sort("seconds")
        bubbles = minutes.filter(pl.col("market") == symbol)
        whole, near = grid[row]
        _draw_prices(whole, mine, bubbles, most, start, end, labels=False)
        _draw_prices(near, mine, bubbles, most, *window, labels=True)
        _label_gap(near, mine, *window)
        whole.axvspan(*window, color="#f3f3f3", zorder=0, linewidth=0)
        whole.set_title(symbol)
        whole.set_ylabel("USD")
        last = row == len(names) - 1
        time_axis(whole, start, end, origin, label=last, ticks=5)
        time_axis(near, *window, origin, label=last)
        if row == 0:
            _name_lines(near)
            near.set_title("shaded part enlarged", color=GREY, fontweight="normal")
    _explain_bubbles(figure, minutes)
    title(figure, _finding(frames))
    return figure


def _finding(frames: Mapping[str, pl.DataFrame]) -> str:
    first, move, closed = symbols(frames)[0], venue_move(frames), closing(frames["liquidations"])
    accounts = closed["account"].n_unique()
    opening = (
        f"{first} {'fell' if move.change < 0 else 'rose'} {percent(abs(move.change))} in {duration(move.seconds)}"
        if move
        else f"{first} did not move"
    )
    return f"{opening}; {plural(accounts, 'account was', 'accounts were')} liquidated" if accounts else f"{opening}; nobody was liquidated"


def _draw_prices(axes: Axes, looks: pl.DataFrame, bubbles: pl.DataFrame, most: float, start: float, end: float, labels: bool) -> None:
    shown = looks.filter((pl.col("seconds") >= start) & (pl.col("seconds") <= end))
    shown = shown.gather_every(max(1, shown.height // MOST_POINTS))
    seconds = shown["seconds"].to_numpy()
    if labels:
        axes.plot(seconds, shown["oracle"], color=ORACLE, linewidth=1.2, linestyle=(0, (4, 1.5)), drawstyle="steps-post", zorder=2)
    axes.plot(seconds, shown["mid"], color=PERP, linewidth=1.4, zorder=3)
    axes.plot(seconds, shown["index"], color=INDEX, linewidth=1.1, zorder=4)
    inside = bubbles.filter((pl.col("seconds") >= start) & (pl.col("seconds") < end))
    if inside.height:
        middle = inside["seconds"].to_numpy() + 30.0
        height = np.interp(middle, seconds, shown["mid"].to_numpy())
        mostly_long = inside["longs"].to_numpy() >= inside["shorts"].to_numpy()
        for which, colour in ((mostly_long, LONG), (~mostly_long, SHORT)):
            area = LARGEST_BUBBLE * inside["notional"].to_numpy()[which] / most
            axes.scatter(middle[which], height[which], s=area, color=colour, alpha=0.4, linewidth=0, zorder=1.5)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: price(value)))


def _name_lines(axes: Axes) -> None:
    """Names the lines once, above the first panel."""
    for x, text, colour in ((0.76, "outside", INDEX), (0.86, "perp", PERP), (1.0, "oracle", ORACLE)):
        label(axes, x, 1.03, text, colour, ha="right", va="bottom")


def _explain_bubbles(figure: Figure, minutes: pl.DataFrame) -> None:
    if minutes.height:
        most = usd(highest(minutes["notional"]))
        text = f"Bubbles: liquidations of a minute, of longs in orange, of shorts in blue; the largest is {most}."
        figure.supxlabel(text, x=0.008, ha="left", fontsize=8.5, color=INDEX)


def _label_gap(axes: Axes, looks: pl.DataFrame, start: float, end: float) -> None:
    """Says how far the perp was from the price outside where it was farthest."""
    shown = looks.filter((pl.col("seconds") >= start) & (pl.col("seconds") <= end))
    gap = shown.select((pl.col("mid") / pl.col("index") - 1.0).alias("gap"), "seconds", "mid").sort(pl.col("gap").abs()).tail(1)
    if not gap.height:
        return
    axes.annotate(
        f"perp {change(float(gap['gap'][0]))}\nto outside",
        (float(gap["seconds"][0]), float(gap["mid"][0])),
        xytext=(0.03, 0.06),
        textcoords="axes fraction",
        fontsize=8.5,
        color=PERP,
        arrowprops={"arrowstyle": "-", "color": PERP, "linewidth": 0.7, "shrinkB": 2},
    )
