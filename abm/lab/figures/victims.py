"""Who was liquidated, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from matplotlib.figure import Figure

from abm.lab.aggregates import total
from abm.lab.episodes import closing
from abm.lab.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    crash_window,
    label,
    money_axis,
    new_figure,
    no_data,
    styled,
    time_axis,
    title,
)
from abm.lab.wording import count, percent, usd

COLOURS = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY, INK)


@styled
def victims_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """Accounts of each cohort that have been liquidated at least in part, and their positions closed so far, around the crash."""
    start, end = crash_window(frames)
    closed = closing(frames["liquidations"]).sort("seconds", maintain_order=True)
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2)
    left.set_title("Accounts liquidated so far")
    right.set_title("Positions liquidated so far")
    money_axis(left, "accounts")
    money_axis(right, "USD")
    cohorts = closed.group_by("cohort", maintain_order=True).agg(pl.col("notional").sum()).sort("notional", descending=True)
    for place, row in enumerate(cohorts.iter_rows(named=True)):
        mine = closed.filter(pl.col("cohort") == row["cohort"])
        firsts = mine.unique("account", keep="first", maintain_order=True)
        colour = COLOURS[place % len(COLOURS)]
        for axes, times, heights, text in (
            (left, firsts["seconds"], pl.Series(range(1, firsts.height + 1)), f"{row['cohort']} {count(firsts.height)}"),
            (right, mine["seconds"], mine["notional"].cum_sum(), f"{row['cohort']} {usd(row['notional'])}"),
        ):
            x = [start, *times.to_list(), max(end, float(times[-1]))]
            y = [0.0, *heights.to_list(), heights[-1]]
            axes.plot(x, y, color=colour, drawstyle="steps-post")
            label(axes, 0.02, 0.96 - 0.085 * place, text, colour, va="top", fontsize=8.5)
    for axes in (left, right):
        time_axis(axes, start, end, origin, ticks=5)
        axes.set_ylim(bottom=0.0)
        if not closed.height:
            no_data(axes, "no liquidations")
            axes.set_yticks([])
    title(figure, _finding(closed, cohorts))
    return figure


def _finding(closed: pl.DataFrame, cohorts: pl.DataFrame) -> str:
    if not closed.height:
        return "Nobody was liquidated"
    first = cohorts.row(0, named=True)
    share = first["notional"] / total(cohorts["notional"])
    sizes = closed.group_by("account").agg(pl.col("notional").sum())["notional"].sort(descending=True)
    top = max(1, round(0.1 * sizes.len()))
    largest = percent(total(sizes.head(top)) / total(sizes))
    return f"{percent(share)} of what was liquidated belonged to {first['cohort']}; a tenth of the accounts made up {largest}"
