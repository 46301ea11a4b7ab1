"""The cascade: what was liquidated, what was left to absorb it, and who paid."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.aggregates import highest, lowest, total
from abm.lab.episodes import MINUTE, closing, liquidations_by_minute
from abm.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LONG,
    PURPLE,
    SHORT,
    crash,
    crash_window,
    label,
    money_axis,
    new_figure,
    no_data,
    percent_axis,
    styled,
    time_axis,
    title,
    worst_depth,
)
from abm.lab.market_summary import relative_depth
from abm.lab.wording import clock, percent, usd


@styled
def cascade_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """USD liquidated per minute, depth within 10 and 50 bp, insurance fund and deleveraging, on one axis around the crash."""
    start, end = crash_window(frames)
    adl = frames["deleveragings"]
    figure = new_figure(7.2 if adl.height else 6.2)
    panels = figure.subplots(
        4 if adl.height else 3, 1, sharex=True, gridspec_kw={"height_ratios": [1.5, 1.1, 0.9, 0.7][: 4 if adl.height else 3]}
    )
    _liquidations(panels[0], frames, start, end)
    _depth(panels[1], frames, start, end)
    _fund(panels[2], frames, start, end)
    if adl.height:
        _deleveraging(panels[3], adl.filter((pl.col("seconds") >= start - MINUTE) & (pl.col("seconds") <= end)))
    else:
        label(panels[2], 0.99, 0.06, "no deleveraging", PURPLE)
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    time_axis(panels[-1], start, end, origin, ticks=8)
    title(figure, _finding(frames, origin, start, end))
    return figure


def _finding(frames: Mapping[str, pl.DataFrame], origin: datetime | None, start: float, end: float) -> str:
    closed = closing(frames["liquidations"])
    if not closed.height:
        return "Nobody was liquidated"
    minutes = _all_markets(liquidations_by_minute(frames["liquidations"])).sort("notional", "seconds", descending=[True, False])
    shown = minutes.filter((pl.col("seconds") >= start - MINUTE) & (pl.col("seconds") <= end))
    minutes = shown if shown.height else minutes
    worst_minute = minutes.row(0, named=True)
    text = f"{usd(worst_minute['notional'])} were liquidated in the worst minute, from {clock(worst_minute['seconds'], origin)}"
    worst = worst_depth(frames, "10bp")
    if worst is None or worst > 0.9:
        return text
    return f"{text}; liquidity near the price shrank to {f'{percent(worst)} of its size' if worst >= 0.005 else 'almost nothing'}"


def _all_markets(minutes: pl.DataFrame) -> pl.DataFrame:
    return minutes.group_by("seconds").agg(pl.col("longs", "shorts", "notional").sum()).sort("seconds")


def _liquidations(axes: Axes, frames: Mapping[str, pl.DataFrame], start: float, end: float) -> None:
    axes.set_title("Liquidated in each minute, all markets")
    minutes = _all_markets(liquidations_by_minute(frames["liquidations"]))
    minutes = minutes.filter((pl.col("seconds") >= start - MINUTE) & (pl.col("seconds") <= end))
    money_axis(axes, "USD per minute")
    if not minutes.height:
        no_data(axes, "no liquidations")
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        return
    left, width = minutes["seconds"].to_numpy() + 0.5 * MINUTE, 0.92 * MINUTE
    axes.bar(left, minutes["longs"], width, color=LONG, linewidth=0)
    axes.bar(left, minutes["shorts"], width, bottom=minutes["longs"], color=SHORT, linewidth=0)
    longs, shorts = total(minutes["longs"]), total(minutes["shorts"])
    label(axes, 0.99, 0.95, f"longs {usd(longs)}", LONG)
    label(axes, 0.99, 0.82, f"shorts {usd(shorts)}" if shorts else "no shorts", BLUE)
    axes.set_ylim(0.0, 1.08 * highest(minutes["notional"]))


def _depth(axes: Axes, frames: Mapping[str, pl.DataFrame], start: float, end: float) -> None:
    axes.set_title("Liquidity near the price, compared with the time before")
    percent_axis(axes, "of usual depth")
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    drawn = False
    for name, colour, text in (("50bp", GREEN, "within 0.5 %"), ("10bp", INK, "within 0.1 %")):
        depth = relative_depth(frames, name, crash(frames)[0])
        if depth is None:
            continue
        shown = depth.filter((pl.col("seconds") >= start - MINUTE) & (pl.col("seconds") <= end))
        axes.plot(shown["seconds"].to_numpy() + 0.5 * MINUTE, shown["relative"], color=colour, linewidth=1.6)
        label(axes, 0.86 if name == "50bp" else 1.0, 1.03, text, colour, ha="right", va="bottom")
        drawn = True
    if not drawn:
        no_data(axes, "no depth before the crash to compare with")
    axes.set_ylim(bottom=0.0)


def _fund(axes: Axes, frames: Mapping[str, pl.DataFrame], start: float, end: float) -> None:
    venue = frames["venue"].filter((pl.col("seconds") >= start) & (pl.col("seconds") <= end))
    axes.set_title("Insurance fund")
    axes.plot(venue["seconds"], venue["insurance_fund"], color=BLUE)
    axes.fill_between(venue["seconds"].to_numpy(), 0.0, venue["insurance_fund"].to_numpy(), color=BLUE, alpha=0.12, linewidth=0)
    low, high = lowest(venue["insurance_fund"]), highest(venue["insurance_fund"])
    axes.set_ylim(min(0.0, low), max(high * 1.15, 1.0))
    money_axis(axes, "USD", ticks=3)


def _deleveraging(axes: Axes, adl: pl.DataFrame) -> None:
    axes.set_title("Closed against traders on the other side (deleveraging), in each minute")
    minutes = (
        adl.group_by((pl.col("seconds") // MINUTE * MINUTE).alias("seconds"))
        .agg((pl.col("size") * pl.col("price")).sum().alias("notional"))
        .sort("seconds")
    )
    axes.bar(minutes["seconds"].to_numpy() + 0.5 * MINUTE, minutes["notional"], 0.92 * MINUTE, color=PURPLE, linewidth=0)
    money_axis(axes, "USD per minute", ticks=3)
    label(axes, 0.99, 0.95, usd(total(minutes["notional"])), PURPLE)
