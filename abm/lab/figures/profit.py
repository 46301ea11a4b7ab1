"""Who won, who lost, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from abm.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    new_figure,
    short_money,
    styled,
    title,
)
from abm.lab.profit import PARTS, final_wealth_changes
from abm.lab.wording import usd

COLOURS = {
    "price": GREY,
    "fees": ORANGE,
    "funding": BLUE,
    "liquidation": VERMILLION,
    "deleveraging": PURPLE,
    "socialised": INK,
    "outside": SKY,
    "gas": YELLOW,
    "rewards": GREEN,
}
LEAST_SHARE = 0.004  # of the longest bar; a part that is smaller everywhere cannot be seen and is not named


@styled
def profit_figure(frames: Mapping[str, pl.DataFrame], origin: datetime | None = None) -> Figure:
    """Change of wealth of each cohort as stacked parts, gains to the right and losses to the left, with its sum."""
    rows = final_wealth_changes(frames)
    cohorts = rows["cohort"].cast(pl.String).to_list()
    parts = {part: rows[part].to_numpy() for part in PARTS}
    longest = max(
        float(sum(np.clip(values, 0, None) for values in parts.values()).max(initial=0.0)),
        float(sum(np.clip(-values, 0, None) for values in parts.values()).max(initial=0.0)),
        1.0,
    )
    shown = {part: values for part, values in parts.items() if np.abs(values).max(initial=0.0) >= LEAST_SHARE * longest}
    figure = new_figure(1.7 + 0.5 * len(cohorts))
    axes = figure.subplots()
    place = np.arange(len(cohorts))[::-1]
    right, left = np.zeros(len(cohorts)), np.zeros(len(cohorts))
    for part, values in shown.items():
        gains, losses = np.clip(values, 0, None), np.clip(values, None, 0)
        axes.barh(place, gains, 0.62, left=right, color=COLOURS[part], linewidth=0, label=part)
        axes.barh(place, losses, 0.62, left=left, color=COLOURS[part], linewidth=0)
        right += gains
        left += losses
    totals = rows["total"].to_numpy()
    axes.plot(
        totals,
        place,
        "D",
        color="white",
        markeredgecolor=INK,
        markersize=7,
        markeredgewidth=1.5,
        zorder=5,
        linestyle="none",
        label="sum",
    )
    for y, total, edge in zip(place, totals, right, strict=True):
        text = ("+" if total > 0 else "") + usd(float(total))
        axes.annotate(
            text,
            (max(edge, total), y),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            fontweight="bold",
            color=INK,
        )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(place, cohorts)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(left.min(initial=0.0) - 0.04 * longest, right.max(initial=0.0) + 0.32 * longest)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_money(value)))
    axes.set_xlabel("USD won (right) or lost (left) since the start")
    figure.legend(loc="outside lower left", ncols=len(shown) + 1, frameon=False, fontsize=9, handlelength=1.0, columnspacing=1.2)
    title(figure, _finding(frames, rows))
    return figure


def _finding(frames: Mapping[str, pl.DataFrame], rows: pl.DataFrame) -> str:
    ranked = rows.sort("total")
    loser, winner = ranked.row(0, named=True), ranked.row(-1, named=True)
    fund = float(frames["venue"]["insurance_fund"][-1] - frames["venue"]["insurance_fund"][0])
    if loser["total"] >= 0.0:
        return "No cohort lost money"
    text = f"{loser['cohort']} lost {usd(-loser['total'])}"
    if winner["total"] > 0.0:
        text += f", {winner['cohort']} won {usd(winner['total'])}"
    gained = "gained" if fund >= 0 else "paid"
    return f"{text}; the insurance fund {gained} {usd(abs(fund))}, the venue took {usd(float(frames['venue']['fees'][-1]))} of fees"
