"""Phase diagrams: an outcome over two factors at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from abm.lab.aggregates import highest
from abm.lab.figures.style import INK, new_figure, styled, title
from abm.lab.figures.sweep.scales import axis_words, compact_level, factor_axis, short_amount
from abm.lab.sweep_effects import factor_effect, is_event
from abm.lab.sweep_findings import response_title
from abm.lab.sweep_results import Dimension, SweepResults
from abm.lab.sweep_words import ADJECTIVES, amount, level_text, outcome_words, sentence
from abm.lab.wording import percent

MOST_VARIANTS, MOST_WRITTEN = 3, 64  # rows of panels; cells with numbers in them
RARE = 0.02  # share of runs below which, or above one less which, an event shows no border
PALETTE, LIGHTEST, DARKEST = "rocket_r", 0.02, 0.82  # darkness grows evenly, so that grey print says the same


@dataclass(frozen=True)
class Event:
    """Something that happens in a run or not."""

    words: str
    happens: pl.Expr


def phase_factors(results: SweepResults) -> tuple[str, str] | None:
    """The first two factors, if every combination was run or points were drawn; None otherwise."""
    names = list(results.dimensions)
    if len(names) < 2 or not (results.crossed or results.drawn):
        return None
    return (names[0], names[1]) if all(results.dimensions[name].ordered for name in names[:2]) or results.crossed else None


@styled
def phase_figure(results: SweepResults, outcome: str = "") -> Figure:
    """The mean of an outcome and the probability of an event over the first two factors; a row of panels for each variant.

    The line parts squares where the probability is one half or more from those where it is less.
    """
    outcome = outcome or results.main
    names = phase_factors(results)
    if names is None:
        raise ValueError("a phase diagram needs two factors that are combined with each other")
    across, up = (results.dimensions[name] for name in names)
    event = event_of(results, outcome)
    variants = results.variants[:MOST_VARIANTS]
    on_grid = bool(across.levels and up.levels)
    figure = new_figure(3.3 * len(variants) + 0.7)
    kinds = ("share",) if is_event(outcome) else ("mean", "share")
    grid = figure.subplots(len(variants), len(kinds), squeeze=False, sharex=not on_grid, sharey=not on_grid)
    most_of_all = _highest(results, names, outcome)
    for row, variant in enumerate(variants):
        runs = results.runs.filter(variant=variant)
        for column, kind in enumerate(kinds):
            axes = grid[row][column]
            value = pl.col(outcome).mean() if kind == "mean" else event.happens.mean()
            unit, most = (results.unit(outcome), most_of_all) if kind == "mean" else ("0 or 1", 1.0)
            if on_grid:
                _squares(axes, _table(runs, names, across, up, value), across, up, unit, most, border=kind == "share")
            else:
                _points(figure, axes, runs, names, across, up, value, unit, most)
            text = outcome_words(outcome) if kind == "mean" else event.words
            heading = f"Mean of {text}" if kind == "mean" else f"Share of runs with {text}"
            axes.set_title(f"{variant}\n{heading}" if variant else heading, fontsize=9.5)
    title(figure, _finding(results, names, event, outcome))
    return figure


def event_of(results: SweepResults, outcome: str) -> Event:
    """That an outcome is not zero; where it nearly always is or never is, that it is above its median."""
    values = results.runs[outcome].drop_nulls()
    words = outcome_words(outcome)
    if is_event(outcome):
        return Event(words.removeprefix("probability of "), pl.col(outcome))
    share = (values != 0.0).sum() / max(values.len(), 1)
    if RARE <= share <= 1.0 - RARE:
        return Event(words if words.split()[0] not in ADJECTIVES else words.partition(" ")[2], (pl.col(outcome) != 0.0).cast(pl.Float64))
    middle = float(f"{float(values.median() or 0.0):.2g}")  # type: ignore[arg-type]
    return Event(f"more than {amount(middle, results.unit(outcome))}", (pl.col(outcome) > middle).cast(pl.Float64))


def colours() -> ListedColormap:
    """From light for little to dark for much, never quite white or black."""
    return ListedColormap(sns.color_palette(PALETTE, as_cmap=True)(np.linspace(LIGHTEST, DARKEST, 256)))


def _table(runs: pl.DataFrame, names: tuple[str, str], across: Dimension, up: Dimension, value: pl.Expr) -> NDArray[np.float64]:
    """Shape (levels up, levels across); NaN where no run has a number."""
    table = np.full((len(up.levels), len(across.levels)), np.nan)
    for x, y, found in runs.group_by(names).agg(value.alias("value")).iter_rows():
        table[up.levels.index(y), across.levels.index(x)] = np.nan if found is None else found
    return table


def _highest(results: SweepResults, names: tuple[str, str], outcome: str) -> float:
    means = results.runs.group_by("variant", *names).agg(pl.col(outcome).mean())[outcome]
    return highest(means.drop_nulls()) if means.drop_nulls().len() else 0.0


def _squares(axes: Axes, table: NDArray[np.float64], across: Dimension, up: Dimension, unit: str, most: float, border: bool) -> None:
    """A square for each combination, its number in it; the border of one half."""
    low = min(0.0, float(np.nanmin(table))) if np.isfinite(table).any() else 0.0
    written = np.array([[short_amount(_rounded(value), unit) if np.isfinite(value) else "–" for value in row] for row in table])
    sns.heatmap(
        table, ax=axes, vmin=low, vmax=max(most, low + 1e-12), cmap=colours(), cbar=False, linewidths=0.8, linecolor="white",
        annot=written if table.size <= MOST_WRITTEN else False, fmt="", annot_kws={"fontsize": 8.5},
    )  # fmt: skip
    axes.invert_yaxis()
    axes.set_facecolor("#eeeeee")
    axes.set_xticks(np.arange(len(across.levels)) + 0.5, [_tick(level) for level in across.levels], rotation=0)
    axes.set_yticks(np.arange(len(up.levels)) + 0.5, [_tick(level) for level in up.levels], rotation=0)
    axes.tick_params(length=0)
    axes.set_xlabel(axis_words(across))
    axes.set_ylabel(axis_words(up))
    for text in axes.texts:
        text.set_zorder(6)
    if border and across.ordered and up.ordered and np.isfinite(table).all():
        for colour, width in (("white", 4.8), (INK, 2.4)):
            axes.add_collection(LineCollection(_half_border(table), colors=colour, linewidths=width, capstyle="projecting", zorder=5))


def _half_border(table: NDArray[np.float64]) -> list[list[tuple[int, int]]]:
    """The edges between squares above one half and squares below; along edges, so that it crosses no number."""
    above = table >= 0.5
    upright = [[(x + 1, y), (x + 1, y + 1)] for y, x in np.argwhere(above[:, 1:] != above[:, :-1]).tolist()]
    level = [[(x, y + 1), (x + 1, y + 1)] for y, x in np.argwhere(above[1:] != above[:-1]).tolist()]
    return upright + level


def _points(
    figure: Figure, axes: Axes, runs: pl.DataFrame, names: tuple[str, str], across: Dimension, up: Dimension, value: pl.Expr, unit: str,
    most: float,
) -> None:  # fmt: skip
    """A disc for each drawn point."""
    found = runs.group_by("point", *names).agg(value.alias("value")).drop_nulls("value").sort("value", "point")
    size = float(np.clip(6000.0 / max(found.height, 1), 12.0, 90.0))
    discs = axes.scatter(
        found[names[0]].to_numpy(), found[names[1]].to_numpy(), c=found["value"].to_numpy(), s=size, cmap=colours(), vmin=0.0,
        vmax=max(most, 1e-12), edgecolor="white", linewidth=0.5,
    )  # fmt: skip
    factor_axis(axes, across)
    axes.set_yscale("log" if up.log else "linear")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact_level(value)))
    axes.set_ylabel(axis_words(up))
    bar = figure.colorbar(discs, ax=axes, fraction=0.05, pad=0.02, format=FuncFormatter(lambda value, _: short_amount(value, unit)))
    bar.outline.set_visible(False)


def _finding(results: SweepResults, names: tuple[str, str], event: Event, outcome: str) -> str:
    """Where the event is likeliest and where it is least likely; of drawn points, which of the two factors matters more."""
    dimensions = [results.dimensions[name] for name in names]
    if not all(dimension.levels for dimension in dimensions):
        effects = {name: factor_effect(results, name, outcome) for name in names}
        ranked = sorted(names, key=lambda name: (effects[name].sign == 0, -abs(effects[name].interval.estimate)))
        return response_title(results, ranked[0], outcome)
    rows = results.runs.group_by(names).agg(share=event.happens.mean(), mean=pl.col(outcome).mean()).drop_nulls()
    if not rows.height:
        return f"{sentence(outcome_words(outcome))} was not tested"
    rows = rows.sort("share", "mean", *names)
    most, least = rows.row(-1, named=True), rows.row(0, named=True)
    text = event.words if not event.words.startswith("more") else f"{outcome_words(outcome)} of {event.words}"
    if most["share"] == least["share"]:
        return f"{sentence(text)} in {percent(most['share'])} of the runs, whatever {dimensions[0].words} and {dimensions[1].words}"
    high, low = (_where(dimensions, row) for row in (most, least))
    return f"{sentence(text)} in {percent(most['share'])} of the runs at {high}, in {percent(least['share'])} at {low}"


def _where(dimensions: Sequence[Dimension], row: dict[str, object]) -> str:
    return " and ".join(f"{dimension.words} {level_text(row[dimension.name])}" for dimension in dimensions)


def _tick(level: object) -> str:
    return compact_level(level) if isinstance(level, int | float) and not isinstance(level, bool) else level_text(level)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}") if value else 0.0
