"""Example runs: those at chosen quantiles of the main outcome, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.aggregates import total
from abm.lab.episodes import MINUTE, closing, liquidations_by_minute, symbols
from abm.lab.figures.style import (
    INDEX,
    INK,
    LONG,
    ORACLE,
    PERP,
    PURPLE,
    SHORT,
    crash_window,
    label,
    money_axis,
    new_figure,
    no_data,
    percent_axis,
    styled,
    time_axis,
    title,
    whole_run,
)
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_words import amount, outcome_words
from abm.lab.wording import percent, usd

SHARES = (0.1, 0.5, 0.9)
WIDEST, MOST_LINES = 42, 2  # characters of a line above a column, and lines


@dataclass(frozen=True)
class Example:
    """A run, where it stands among the others, and its tables."""

    share: float
    run: int
    seed: int
    words: str
    value: float
    frames: Mapping[str, pl.DataFrame]


def can_show(results: SweepResults) -> bool:
    """Whether prices and liquidations were kept, and somebody was liquidated."""
    kept = {"markets", "liquidations"} <= set(results.plan.tables) and "liquidated" in results.runs.columns
    return kept and results.defined(results.main) > 0 and not results.idle("liquidated")


def examples_of(results: SweepResults, shares: Sequence[float] = SHARES) -> list[Example]:
    """The runs at these quantiles of the main outcome over all runs; of equal ones, by what was liquidated."""
    ties = ["liquidated"] if "liquidated" in results.runs.columns and results.main != "liquidated" else []
    ordered = results.runs.drop_nulls(results.main).sort(results.main, *ties, "run", nulls_last=False)
    places = dict.fromkeys(round(share * (ordered.height - 1)) for share in shares)
    cells = {cell["cell"]: cell for cell in results.plan.cells}
    found = []
    for share, place in zip(shares, places, strict=False):
        row = ordered.row(place, named=True)
        cell = cells[row["cell"]]
        frames = {
            name: table.filter(pl.col("run") == row["run"]).drop("run").collect()
            for name, table in results.stored.tables.items()
            if name in ("markets", "liquidations", "deleveragings")
        }
        words = results.cell_text(cell)
        found.append(Example(share, row["run"], row["seed"], words, row[results.main], frames))
    return found


@styled
def example_figure(results: SweepResults) -> Figure:
    """A column for each example: prices of the market that was hit most, liquidations, and deleveragings, on the same axes."""
    shown = examples_of(results)
    market = _hit_most(shown)
    start, end = _window(shown)
    with_adl = any("deleveragings" in each.frames and each.frames["deleveragings"].height for each in shown)
    rows = 3 if with_adl else 2
    figure = new_figure(1.9 * rows + 1.5)
    grid = figure.subplots(rows, len(shown), squeeze=False, sharex=True, sharey="row")
    for column, each in enumerate(shown):
        _prices(grid[0][column], each, market, start, end)
        _bars(grid[1][column], _liquidated(each), (LONG, SHORT), start, end, "no liquidations")
        if with_adl:
            _bars(grid[2][column], _deleveraged(each), (PURPLE,), start, end, "no deleveraging")
        where = f"{percent(each.share)} quantile: {amount(each.value, results.unit(results.main))}"
        lines = textwrap.wrap(f"{each.words}; seed {each.seed}".replace("; ", ";\u00a0"), WIDEST)[:MOST_LINES]
        grid[0][column].set_title(where + "\n" * MOST_LINES, fontsize=10)
        grid[0][column].annotate(
            "\n".join(lines), (0.0, 1.0), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", fontsize=8, color=INK
        )
        time_axis(grid[-1][column], start, end, None, label=column == 0, ticks=4)
    for row in grid[1:]:
        row[0].set_ylim(0.0, 1.15 * max((patch.get_y() + patch.get_height() for axes in row for patch in axes.patches), default=1.0))
    grid[0][0].set_ylabel(f"{market}, from the start")
    grid[1][0].set_ylabel("USD liquidated\nper minute")
    if with_adl:
        grid[2][0].set_ylabel("USD deleveraged\nper minute")
    title(figure, _finding(results, shown))
    text = "Prices: outside (black), perp (blue), oracle (orange, dashed). Liquidations: of longs orange, of shorts blue."
    figure.supxlabel(text, x=0.008, ha="left", fontsize=8.5, color=INK)
    return figure


def _hit_most(shown: Sequence[Example]) -> str:
    closed = pl.concat([closing(each.frames["liquidations"]).select("market", "notional") for each in shown])
    ranked = closed.group_by("market").agg(pl.col("notional").sum()).sort("notional", "market", descending=[True, False])
    return str(ranked["market"][0]) if ranked.height else symbols(shown[0].frames)[0]


def _window(shown: Sequence[Example]) -> tuple[float, float]:
    """Around the crashes of all, or the whole run where nobody is liquidated."""
    hit = [each.frames for each in shown if closing(each.frames["liquidations"]).height]
    windows = [crash_window(frames) for frames in hit] or [whole_run(each.frames) for each in shown]
    return min(low for low, _ in windows), max(high for _, high in windows)


def _prices(axes: Axes, each: Example, market: str, start: float, end: float) -> None:
    looks = each.frames["markets"].filter(pl.col("market") == market).sort("seconds")
    if not looks.height:
        no_data(axes, "no such market")
        return
    first = float(looks["index"][0])
    shown = looks.filter((pl.col("seconds") >= start) & (pl.col("seconds") <= end))
    for name, colour, style, order in (("oracle", ORACLE, (0, (4, 1.5)), 5), ("mid", PERP, "-", 3), ("index", INDEX, "-", 4)):
        axes.plot(
            shown["seconds"].to_numpy(), shown[name].to_numpy() / first - 1.0, color=colour, linestyle=style, linewidth=1.3, zorder=order
        )
    percent_axis(axes, "", signs=True)


def _liquidated(each: Example) -> pl.DataFrame:
    minutes = liquidations_by_minute(each.frames["liquidations"])
    return minutes.group_by("seconds").agg(pl.col("longs", "shorts").sum()).sort("seconds")


def _deleveraged(each: Example) -> pl.DataFrame:
    adl = each.frames.get("deleveragings")
    if adl is None:
        return pl.DataFrame(schema={"seconds": pl.Float64, "notional": pl.Float64})
    minute = (pl.col("seconds") // MINUTE * MINUTE).alias("seconds")
    return adl.group_by(minute).agg((pl.col("size") * pl.col("price")).sum().alias("notional")).sort("seconds")


def _bars(axes: Axes, minutes: pl.DataFrame, colours: Sequence[str], start: float, end: float, nothing: str) -> None:
    shown = minutes.filter((pl.col("seconds") >= start - MINUTE) & (pl.col("seconds") <= end))
    bottom = np.zeros(shown.height)
    for name, colour in zip(minutes.columns[1:], colours, strict=True):
        heights = shown[name].to_numpy()
        axes.bar(shown["seconds"].to_numpy() + 0.5 * MINUTE, heights, 0.92 * MINUTE, bottom=bottom, color=colour, linewidth=0)
        bottom = bottom + heights
    money_axis(axes, "", ticks=3)
    if minutes.height:
        label(axes, 0.98, 0.94, usd(total(minutes.select(pl.sum_horizontal(pl.exclude("seconds"))).to_series())), INK, fontsize=8.5)
    else:
        no_data(axes, nothing)


def _finding(results: SweepResults, shown: Sequence[Example]) -> str:
    words, unit = outcome_words(results.main), results.unit(results.main)
    low, high = shown[0].value, shown[-1].value
    if low == high:
        return f"{words.capitalize()} is {amount(low, unit)} from the mildest runs to the worst"
    return f"From a mild run to a bad one: {words} {amount(low, unit)} to {amount(high, unit)}"
