"""The order book as a map of time and price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from abm.lab.aggregates import highest, lowest
from abm.lab.episodes import symbols
from abm.lab.figures.style import (
    INK,
    crash_window,
    label,
    new_figure,
    no_data,
    percent_axis,
    short_money,
    styled,
    time_axis,
    title,
    worst_depth,
)
from abm.lab.wording import percent, price

PRICES = 400  # rows of a map
COARSE = 0.002  # of the index: slices are put together to at least this
DECADES = 3.0  # of resting money from the palest shade to the darkest


@styled
def book_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """Resting USD around the crash, one row per market: by time and price, and by time and distance from the outside price."""
    listed = symbols(frames)
    start, end = crash_window(frames)
    figure = new_figure(max(3.6, 2.0 * len(listed) + 1.5))
    grid = figure.subplots(len(listed), 2, squeeze=False, sharex=True)
    meshes: tuple[QuadMesh, QuadMesh] | None = None
    for row, symbol in enumerate(listed):
        mine = pl.col("market") == symbol
        looks = frames["markets"].filter(mine & (pl.col("seconds") >= start) & (pl.col("seconds") <= end)).sort("seconds")
        book = coarser(frames["book"].filter(mine & (pl.col("seconds") >= start - 600.0) & (pl.col("seconds") <= end)))
        left, right = grid[row]
        for axes in (left, right):
            axes.grid(visible=False)
            if book["seconds"].n_unique() < 2:
                no_data(axes, "there was none, or it was not recorded")
            time_axis(axes, start, end, origin, label=row == len(listed) - 1, ticks=5)
        left.set_title(f"{symbol}: liquidity by price")
        left.set_ylabel("USD")
        right.set_title("and by distance from the price outside")
        if book["seconds"].n_unique() >= 2:
            norm = _shades(frames["book"])
            _by_price(left, book, looks, norm)
            meshes = _by_distance(right, book, looks, norm)
        left.yaxis.set_major_locator(MaxNLocator(5))
        left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: price(value)))
        percent_axis(right, "", signs=True, ticks=5)
    if meshes is not None:
        _explain_shades(figure, grid, meshes)
        label(grid[0][0], 0.985, 0.95, "line: price outside", INK, fontsize=8.5)
        label(grid[0][1], 0.985, 0.95, "line: perp", INK, fontsize=8.5)
    title(figure, _finding(frames))
    return figure


def coarser(book: pl.DataFrame, width: float = COARSE) -> pl.DataFrame:
    """The book in slices of `width` or of the next multiple of its own; columns seconds, index, slice (number from the index, 0 the
    first above), width, bids and asks (USD, both positive)."""
    distances = book["distance"].unique().sort()
    own = lowest(distances.diff().drop_nulls()) if distances.len() > 1 else width
    wide = own * max(1, round(width / own))
    return (
        book.with_columns((pl.col("distance") / wide).floor().cast(pl.Int64).alias("slice"))
        .group_by("seconds", "slice")
        .agg(
            pl.col("index").first(),
            pl.col("resting").filter(pl.col("resting") > 0.0).sum().alias("bids"),
            (0.0 - pl.col("resting").filter(pl.col("resting") < 0.0).sum()).alias("asks"),
        )
        .with_columns(pl.lit(wide).alias("width"))
        .sort("seconds", "slice")
    )


def _shades(book: pl.DataFrame) -> LogNorm:
    """One scale for all markets."""
    amounts = pl.concat([coarser(part).select(pl.max_horizontal("bids", "asks")) for part in book.partition_by("market")]).to_series()
    strongest = float(amounts.quantile(0.98) or 1.0)
    return LogNorm(strongest / 10.0**DECADES, strongest)


def _by_price(axes: Axes, book: pl.DataFrame, looks: pl.DataFrame, norm: LogNorm) -> None:
    bottom, top = lowest(looks["index"]), highest(looks["index"])
    room = 0.06 * (top - bottom) + 0.004 * top
    edges = np.linspace(bottom - room, top + room, PRICES + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    width = float(book["width"][0])
    _draw(axes, book, edges, norm, lambda index: np.floor((middle / index - 1.0) / width).astype(int))
    axes.plot(looks["seconds"], looks["index"], color="white", linewidth=2.2)
    axes.plot(looks["seconds"], looks["index"], color=INK, linewidth=1.0)
    axes.set_ylim(edges[0], edges[-1])


def _by_distance(axes: Axes, book: pl.DataFrame, looks: pl.DataFrame, norm: LogNorm) -> tuple[QuadMesh, QuadMesh]:
    width = float(book["width"][0])
    first, last = int(lowest(book["slice"])), int(highest(book["slice"]))
    numbers = np.arange(first, last + 1)
    meshes = _draw(axes, book, np.arange(first, last + 2) * width, norm, lambda index: numbers)
    gap = looks["mid"] / looks["index"] - 1.0
    axes.plot(looks["seconds"], gap, color="white", linewidth=2.2)
    axes.plot(looks["seconds"], gap, color=INK, linewidth=1.0)
    reach = max(0.02, 1.1 * highest(gap.abs()))
    axes.set_ylim(-reach, reach)
    return meshes


def _draw(
    axes: Axes, book: pl.DataFrame, edges: NDArray[Any], norm: LogNorm, wanted: Callable[[float], NDArray[np.int64]]
) -> tuple[QuadMesh, QuadMesh]:
    """Colours each cell between `edges` with the slice it lies in; `wanted` gives the slices of the cells for an index."""
    pieces = book.partition_by("seconds", maintain_order=True)
    times = np.array([piece["seconds"][0] for piece in pieces])
    times = np.append(times, 2.0 * times[-1] - times[-2])
    sides = np.zeros((2, len(edges) - 1, len(pieces)))
    for column, piece in enumerate(pieces):
        known, cells = piece["slice"].to_numpy(), wanted(float(piece["index"][0]))
        where = np.searchsorted(known, cells).clip(0, len(known) - 1)
        hit = known[where] == cells
        for side, name in enumerate(("bids", "asks")):
            sides[side, hit, column] = piece[name].to_numpy()[where[hit]]
    bids, asks = (
        axes.pcolormesh(times, edges, np.ma.masked_less_equal(sides[side], 0.0), cmap=colours, norm=norm, rasterized=True, linewidth=0)
        for side, colours in enumerate(("Blues", "Oranges"))
    )
    return bids, asks


def _explain_shades(figure: Figure, grid: NDArray[np.object_], meshes: tuple[QuadMesh, QuadMesh]) -> None:
    for column, (mesh, name) in enumerate(zip(meshes, ("bids", "asks"), strict=True)):
        bar = figure.colorbar(mesh, ax=list(grid[:, column]), orientation="horizontal", fraction=0.03, pad=0.02, aspect=35)
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_money(value)))
        bar.ax.minorticks_off()
        bar.set_label(f"{name}: USD in a slice of {percent(COARSE)} of the price", fontsize=8.5)


def _finding(frames: Mapping[str, pl.DataFrame]) -> str:
    worst = worst_depth(frames, "50bp")
    if worst is None:
        return "Liquidity by price"
    lost = 1.0 - worst
    if lost < 0.1:
        return "Liquidity near the price stayed as deep as before"
    return f"At the worst moment {percent(lost)} of the liquidity within 0.5\u00a0% of the price was gone"
