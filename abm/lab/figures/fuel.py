"""Where the fuel is: how far prices must move until positions are liquidated, before and after the crash, and at what leverage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import NDArray

from abm.lab.aggregates import total
from abm.lab.episodes import Move, venue_move
from abm.lab.figures.style import (
    BLUE,
    GREY,
    INK,
    LONG,
    SHORT,
    label,
    money_axis,
    new_figure,
    no_data,
    pandas_frame,
    short_percent,
    styled,
    title,
)
from abm.lab.wording import clock, percent, usd

WIDEST = 0.5  # moves beyond this are not shown
STEP = 0.02
HIGHEST_LEVERAGE = 100.0


@styled
def fuel_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """Open notional by the common move of prices that would liquidate it, and by leverage, before and after the largest move."""
    move = venue_move(frames)
    before, after = _snapshots(frames["positions"], move)
    figure = new_figure(6.4)
    above, below = figure.subplots(2, 1, gridspec_kw={"height_ratios": [1.35, 1.0]})
    if before is None:
        for axes in (above, below):
            no_data(axes, "no picture of the positions before the largest move")
            axes.set_axis_off()
        title(figure, "Positions were not recorded before the largest move")
        return figure
    _map(above, before, after, move)
    _leverage(below, before, after)
    when = clock(float(before["seconds"][0]), origin)
    then = f"after, at {clock(float(after['seconds'][0]), origin)}" if after is not None else ""
    label(above, 0.99, 0.96, f"grey: before, at {when}", GREY)
    label(above, 0.99, 0.87, f"colour: {then}" if then else "no picture after", INK)
    label(below, 0.99, 0.96, "grey: before", GREY)
    label(below, 0.99, 0.85, "line: after" if then else "", INK)
    title(figure, _finding(before, move))
    return figure


def liquidation_distances(positions: pl.DataFrame) -> pl.DataFrame:
    """Adds to each position `notional` (USD at mark), `leverage` (of its account), and `distance`: the common relative move d
    of all prices at which its account reaches maintenance margin, all positions held.

    With equity E, maintenance margin M (in proportion to price) and net notional N, E + N d = M (1 + d), so d = (M - E) / (N - M).
    Null where no move, or only one below -1, does it; 0 where the margin is gone already.
    """
    signed = pl.col("size") * pl.col("mark")
    net = signed.sum().over("account", "block")
    equity, margin = pl.col("equity"), pl.col("maintenance_margin")
    move = (margin - equity) / (net - margin)
    # Only a move that makes things worse: prices that fall for net longs, prices that rise for net shorts.
    reachable = ((net > margin) & (move > -1.0)) | (net < margin)
    return positions.with_columns(
        signed.abs().alias("notional"),
        pl.when(equity > 0.0).then(pl.col("account_notional") / equity).otherwise(HIGHEST_LEVERAGE).alias("leverage"),
        pl.when(equity <= margin).then(0.0).when(reachable & (net != 0.0)).then(move).otherwise(None).alias("distance"),
    )


def _snapshots(positions: pl.DataFrame, move: Move | None) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    """The last picture before the move and the first after it."""
    times = positions["seconds"].unique().sort()
    if move is None or not times.len():
        return None, None
    earlier, later = times.filter(times <= move.start), times.filter(times >= move.end)
    return (
        liquidation_distances(positions.filter(pl.col("seconds") == earlier[-1])) if earlier.len() else None,
        liquidation_distances(positions.filter(pl.col("seconds") == later[0])) if later.len() else None,
    )


def _map(axes: Axes, before: pl.DataFrame, after: pl.DataFrame | None, move: Move | None) -> None:
    axes.set_title("Open positions by the move of prices that would liquidate them")
    edges = np.arange(-WIDEST, WIDEST + STEP / 2, STEP)
    if move:
        axes.axvspan(min(move.change, 0.0), max(move.change, 0.0), color="#f3ead7", zorder=0, linewidth=0)
        place = (max(min(move.change, 0.0), -WIDEST) + WIDEST) / (2 * WIDEST) + 0.008
        label(axes, place, 0.96, f"the move that came: {percent(move.change)}", INK, ha="left", fontsize=8.5, fontweight="normal")
    heights, _ = np.histogram(before["distance"].drop_nulls().to_numpy(), edges, weights=_weights(before))
    axes.stairs(heights, edges, color=GREY, fill=True, alpha=0.35, linewidth=0)
    axes.stairs(heights, edges, color=GREY, linewidth=1.0)
    if after is not None:
        heights, _ = np.histogram(after["distance"].drop_nulls().to_numpy(), edges, weights=_weights(after))
        middle = 0.5 * (edges[1:] + edges[:-1])
        axes.bar(middle, heights, 0.5 * STEP, color=[LONG if at < 0 else SHORT for at in middle], linewidth=0)
    axes.axvline(0.0, color=INK, linewidth=0.9)
    axes.set_xlim(-WIDEST, WIDEST)
    axes.xaxis.set_major_locator(FixedLocator(np.arange(-0.5, 0.51, 0.1).tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_percent(value, signs=True)))
    axes.set_xlabel("common move of all prices at which the account falls below maintenance margin")
    money_axis(axes, f"USD per {percent(STEP)}")
    label(axes, 0.01, 0.5, "longs:\nliquidated by a fall", LONG, va="center")
    label(axes, 0.99, 0.5, "shorts:\nliquidated by a rise", BLUE, va="center")


def _weights(positions: pl.DataFrame) -> NDArray[np.float64]:
    return positions.filter(pl.col("distance").is_not_null())["notional"].to_numpy()


def _leverage(axes: Axes, before: pl.DataFrame, after: pl.DataFrame | None) -> None:
    axes.set_title("Open positions by the leverage of their account")
    edges = np.geomspace(0.1, HIGHEST_LEVERAGE, 31)
    for frame, colour, filled in ((before, GREY, True), (after, INK, False)):
        if frame is None or not frame.height:
            continue
        table = pandas_frame(frame.select(pl.col("leverage").clip(0.1, HIGHEST_LEVERAGE), "notional"))
        sns.histplot(
            table,
            x="leverage",
            weights="notional",
            bins=edges.tolist(),
            element="step",
            fill=filled,
            color=colour,
            alpha=0.35 if filled else 1.0,
            linewidth=1.2,
            ax=axes,
        )
    axes.set_xscale("log")
    axes.set_xlim(0.1, HIGHEST_LEVERAGE)
    axes.xaxis.set_major_locator(FixedLocator([0.1, 0.3, 1, 3, 10, 30, 100]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}\u00d7"))
    axes.set_xlabel("leverage: notional of all positions over equity")
    money_axis(axes, "USD")
    weighted = (
        total(before["leverage"].clip(0.0, HIGHEST_LEVERAGE) * before["notional"]) / total(before["notional"]) if before.height else 0.0
    )
    axes.axvline(max(weighted, 0.1), color=GREY, linewidth=1.0, linestyle="--")
    label(axes, 0.01, 0.96, f"dashed: mean before, {weighted:.1f}\u00d7, weighted with size", GREY, fontweight="normal")


def _finding(before: pl.DataFrame, move: Move | None) -> str:
    everything = total(before["notional"])
    if move is None or not everything:
        return "No positions were open before the largest move"
    reach = pl.col("distance").is_between(min(move.change, 0.0), max(move.change, 0.0))
    amount = total(before.filter(reach)["notional"])
    side = "fall" if move.change < 0 else "rise"
    reached = f"{usd(amount)} of open positions, {percent(amount / everything)} of all, were within reach"
    return f"{reached} of a {side} of {percent(abs(move.change))} before it came"
