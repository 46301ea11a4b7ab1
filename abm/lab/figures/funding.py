"""Funding and premium, with the flips of sign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.aggregates import lowest
from abm.lab.episodes import MINUTE, funding_flips, symbols, venue_move
from abm.lab.figures.style import (
    BLUE,
    GREY,
    INK,
    LONG,
    VERMILLION,
    label,
    new_figure,
    percent_axis,
    styled,
    time_axis,
    title,
    whole_run,
)
from abm.lab.market_summary import look_spacing
from abm.lab.wording import duration, names, plural

SMOOTH = 5 * MINUTE  # over which the premium is averaged, less in a short run
FEWEST_POINTS = 60


@styled
def funding_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """Premium of the perp over the index (averages of up to five minutes) and settled funding rate per day, a row per market."""
    listed = symbols(frames)
    looks = frames["markets"]
    start, end = whole_run(frames)
    flips = funding_flips(frames["funding"])
    figure = new_figure(max(3.4, 1.75 * len(listed) + 1.0))
    grid = figure.subplots(len(listed), 2, squeeze=False, sharex=True)
    move = venue_move(frames)
    for row, symbol in enumerate(listed):
        mine = pl.col("market") == symbol
        left, right = grid[row]
        _premium(left, looks.filter(mine))
        _rate(right, frames["funding"].filter(mine), flips.filter(mine), start, end)
        left.set_title(f"{symbol}: perp over outside price")
        right.set_title(f"{symbol}: funding rate")
        for axes in (left, right):
            axes.axhline(0.0, color=GREY, linewidth=0.8)
            if move:
                axes.axvspan(move.start, move.end, color="#f3f3f3", zorder=0, linewidth=0)
            time_axis(axes, start, end, origin, label=row == len(listed) - 1, ticks=5)
            axes.margins(y=0.15)
    label(grid[0][1], 1.0, 1.03, "shorts pay", VERMILLION, va="bottom")
    label(grid[0][1], 0.75, 1.03, "longs pay", BLUE, va="bottom")
    title(figure, _finding(frames, flips))
    return figure


def _premium(axes: Axes, looks: pl.DataFrame) -> None:
    width = min(SMOOTH, max(float(looks["seconds"][-1]) / FEWEST_POINTS, look_spacing(looks), 1.0))
    smooth = (
        looks.group_by((pl.col("seconds") // width * width).alias("seconds"))
        .agg((pl.col("mid") / pl.col("index") - 1.0).mean().alias("premium"))
        .sort("seconds")
    )
    seconds, premium = smooth["seconds"].to_numpy() + 0.5 * width, smooth["premium"].to_numpy()
    axes.plot(seconds, premium, color=INK, linewidth=1.2)
    axes.fill_between(seconds, 0.0, premium, where=premium < 0, color=VERMILLION, alpha=0.25, linewidth=0, interpolate=True)
    axes.fill_between(seconds, 0.0, premium, where=premium > 0, color=BLUE, alpha=0.25, linewidth=0, interpolate=True)
    percent_axis(axes, "premium", signs=True)


def _rate(axes: Axes, funding: pl.DataFrame, flips: pl.DataFrame, start: float, end: float) -> None:
    """A rate holds for the interval that it settles: the one before the settlement."""
    settled = funding.sort("seconds")
    edges = [start, *settled["seconds"].to_list()]
    if settled.height:
        axes.stairs(settled["rate_per_day"].to_numpy(), edges, color=INK, linewidth=1.3, baseline=None)
        for colour, sign in ((BLUE, 1), (VERMILLION, -1)):
            rates = settled["rate_per_day"].to_numpy() * (settled["rate_per_day"].to_numpy() * sign > 0)
            axes.stairs(rates, edges, fill=True, color=colour, alpha=0.25, linewidth=0, baseline=0.0)
        axes.plot(flips["seconds"], flips["after"], "D", color=LONG, markersize=5, markeredgecolor="white", zorder=5)
    else:
        axes.text(0.5, 0.6, "no settlement", transform=axes.transAxes, ha="center", color=GREY)
    percent_axis(axes, "per day", signs=True)


def _finding(frames: Mapping[str, pl.DataFrame], flips: pl.DataFrame) -> str:
    settled = frames["funding"].height
    if not settled:
        return "No funding was settled"
    if not flips.height:
        return f"Funding never changed sign in {plural(settled, 'settlement')}"
    move = venue_move(frames)
    after = flips.filter((pl.col("after") < 0) & (pl.col("seconds") >= move.start)) if move else flips.clear()
    if move and move.change < 0 and after.height:
        where = [name for name in symbols(frames) if name in after["market"].cast(pl.String).to_list()]
        wait = lowest(after["seconds"]) - move.start
        return f"Funding turned negative in {names(where)}, first {duration(wait)} after the fall began: shorts now pay longs"
    return f"Funding changed sign {plural(flips.height, 'time')} in {plural(settled, 'settlement')}"
