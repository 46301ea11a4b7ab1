"""Two venues: their prices side by side, and the gap between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from abm.lab.episodes import symbols
from abm.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INDEX,
    crash_window,
    label,
    new_figure,
    percent_axis,
    styled,
    time_axis,
    title,
    whole_run,
)
from abm.lab.wording import percent, price

MOST_POINTS = 1500  # of a line; more cannot be seen and make the file large


@styled
def gap_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """A row per market: both mids and the price outside around the largest move, and the gap between the mids over the run."""
    listed = symbols(frames)
    keys = ["seconds", "market"]
    looks = frames["markets"].join(frames["beside_markets"].select(*keys, mid_beside="mid"), on=keys, maintain_order="left")
    looks = looks.with_columns(gap=pl.col("mid") / pl.col("mid_beside") - 1.0)
    start, end = whole_run(frames)
    window = crash_window(frames)
    figure = new_figure(max(3.2, 1.9 * len(listed) + 0.9))
    grid = figure.subplots(len(listed), 2, squeeze=False, gridspec_kw={"width_ratios": [1.5, 1.0]})
    for row, symbol in enumerate(listed):
        near, whole = grid[row]
        mine = looks.filter(pl.col("market") == symbol).sort("seconds")
        shown = mine.filter((pl.col("seconds") >= window[0]) & (pl.col("seconds") <= window[1]))
        shown = shown.gather_every(max(1, shown.height // MOST_POINTS))
        for column, colour in (("mid", BLUE), ("mid_beside", GREEN), ("index", INDEX)):
            near.plot(shown["seconds"].to_numpy(), shown[column].to_numpy(), color=colour, linewidth=1.2)
        near.yaxis.set_major_locator(MaxNLocator(4))
        near.yaxis.set_major_formatter(FuncFormatter(lambda value, _: price(value)))
        near.set_title(symbol)
        near.set_ylabel("USD")
        thinned = mine.gather_every(max(1, mine.height // MOST_POINTS))
        whole.plot(thinned["seconds"].to_numpy(), thinned["gap"].to_numpy(), color=BLUE, linewidth=0.9)
        whole.axhline(0.0, color=GREY, linewidth=0.8)
        whole.axvspan(*window, color="#f3f3f3", zorder=0, linewidth=0)
        percent_axis(whole, "venue over venue beside", signs=True)
        last = row == len(listed) - 1
        time_axis(near, *window, origin, label=last)
        time_axis(whole, start, end, origin, label=last, ticks=4)
    for x, text, colour in ((0.58, "venue", BLUE), (0.82, "venue beside", GREEN), (1.0, "outside", INDEX)):
        label(grid[0][0], x, 1.03, text, colour, ha="right", va="bottom")
    typical = looks["gap"].abs().median()
    title(figure, f"Half of the time the venues were more than {percent(float(typical or 0.0))} apart")  # type: ignore[arg-type]
    return figure
