"""Who gains and who pays, population by population."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from abm.lab.figures.style import GREEN, GREY, INK, VERMILLION, new_figure, short_money, styled, title
from abm.lab.statistics.interval import Interval
from abm.lab.sweep_effects import factor_effect, mean_of, variant_effect
from abm.lab.sweep_findings import step_text
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_words import difference, sentence
from abm.lab.wording import names, usd

MOST_PANELS = 3
CENT = 0.01
OTHERS = {"fund_change": "insurance fund", "fees": "venue, fees"}


@dataclass(frozen=True)
class Gains:
    """What something changes for each population: name and mean gain in USD, with its interval."""

    cause: str
    rows: tuple[tuple[str, Interval], ...]

    @property
    def moved(self) -> bool:
        """Whether anybody's gain changes by a cent."""
        return any(max(abs(row.estimate), abs(row.low), abs(row.high)) >= CENT for _, row in self.rows if math.isfinite(row.low))

    @property
    def sure(self) -> list[tuple[str, Interval]]:
        """Those whose interval does not contain zero, the largest first."""
        return sorted((row for row in self.rows if row[1].sign and abs(row[1].estimate) >= CENT), key=lambda row: -abs(row[1].estimate))


def gains_of(results: SweepResults) -> list[Gains]:
    """Of every variant against the baseline; else of the first factor, from its lowest value to its highest; else mean profits."""
    columns = {name: name.partition(".")[2] for name in results.runs.columns if name.startswith("profit.")}
    columns |= {name: words for name, words in OTHERS.items() if name in results.runs.columns}
    columns = {name: words for name, words in columns.items() if results.defined(name)}
    if results.others:
        return [
            Gains(
                f"from {results.baseline} to {variant}",
                tuple((words, variant_effect(results, variant, name).interval) for name, words in columns.items()),
            )
            for variant in results.others
        ]
    if results.dimensions:
        factor = next(iter(results.dimensions))
        rows = tuple((words, factor_effect(results, factor, name).interval) for name, words in columns.items())
        return [Gains(step_text(results.dimensions[factor]), rows)]
    return [Gains("", tuple((words, mean_of(results.runs, name)) for name, words in columns.items() if name.startswith("profit.")))]


@styled
def gains_figure(results: SweepResults) -> Figure:
    """Bars of the mean gain of each population, with 95 % intervals; a panel for each variant."""
    found = gains_of(results)
    shown = [each for each in found if each.moved][:MOST_PANELS] or found[:1]
    number = max(len(each.rows) for each in shown)
    figure = new_figure(len(shown) * (0.36 * number + 0.55) + 1.0)
    panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    for axes, each in zip(panels, shown, strict=True):
        _panel(axes, each)
        if len(shown) > 1:
            axes.set_title(sentence(each.cause))
    ends = [end for each in shown for _, row in each.rows for end in (row.estimate, row.low, row.high) if math.isfinite(end)]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    span = high - low or 1.0
    panels[-1].set_xlim(low - 0.04 * span, high + 0.2 * span)
    panels[-1].xaxis.set_major_locator(MaxNLocator(7))
    panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_money(value)))
    panels[-1].set_xlabel(f"USD {'more (right) or less (left) per run' if shown[0].cause else 'won (right) or lost (left) per run'}")
    title(figure, finding(shown[0]))
    text = "Bars: mean over worlds, lines: 95 % interval. Green: gains, orange: pays, grey: could be chance."
    still = [each.cause for each in found if not each.moved]
    if still and shown[0].cause and len(found) > 1:
        text += f"\nNobody gains or pays a cent {names(still)}."
    figure.supxlabel(text, x=0.008, ha="left", fontsize=8.5, color=INK)
    return figure


def _panel(axes: Axes, gains: Gains) -> None:
    rows = sorted(gains.rows, key=lambda row: row[1].estimate)
    for place, (_, found) in enumerate(rows):
        colour = {1: GREEN, -1: VERMILLION, 0: GREY}[found.sign]
        axes.barh(place, found.estimate, 0.62, color=colour, alpha=0.75 if found.sign else 0.35, linewidth=0)
        edge = max(found.estimate, 0.0)
        if math.isfinite(found.low) and math.isfinite(found.high):
            axes.plot([found.low, found.high], [place, place], color=INK, linewidth=1.3, zorder=4)
            edge = max(edge, found.high)
        axes.annotate(
            difference(round(found.estimate, 2), "USD") if math.isfinite(found.estimate) else "not tested", (edge, place), xytext=(7, 0),
            textcoords="offset points", va="center", fontsize=9, color=INK, fontweight="bold" if found.sign else "normal",
        )  # fmt: skip
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(np.arange(len(rows)), [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def finding(gains: Gains) -> str:
    """Who gains most and who pays most, of those of whom it is sure."""
    winners = [(name, row.estimate) for name, row in gains.sure if row.estimate > 0.0]
    losers = [(name, row.estimate) for name, row in gains.sure if row.estimate < 0.0]
    told = []
    if losers:
        told.append(f"{losers[0][0]} {'lose' if losers[0][0].endswith('s') else 'loses'} {usd(-losers[0][1])}")
    if winners:
        told.append(f"{winners[0][0]} {'gain' if winners[0][0].endswith('s') else 'gains'} {usd(winners[0][1])}")
    if not told:
        return "Nobody gains or pays for sure" + (f" when {gains.cause}" if gains.cause.startswith(("raising", "going")) else "")
    cause = f"{sentence(gains.cause)}: " if gains.cause else ""
    text = f"{cause}{', '.join(told)}"
    return f"{text[:1].upper()}{text[1:]}"
