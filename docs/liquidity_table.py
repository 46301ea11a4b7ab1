"""Writes tables and figure of docs/liquidity.md from two stored sweeps: `python docs/liquidity_table.py FOLDER`.

FOLDER holds each sweep under the name of its file: `abm sweep experiments/NAME.toml --out FOLDER/NAME`.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from scipy.stats import t as student

from abm.lab.figures.style import BLUE, GREY, INK, ORANGE, VERMILLION, new_figure, save, styled, title
from abm.lab.profit import wealth_changes
from abm.lab.sweep_store import StoredSweep, open_sweep

PAGE = Path(__file__).with_name("liquidity.md")
FIGURE = Path(__file__).with_name("figures") / "liquidity.png"
DESIGNS, HEDGES = "who_earns_by_providing_liquidity", "does_an_outside_hedge_pay_liquidity_providers"
CAPITAL = 1e6  # USD in every design; of the curve the worth of its virtual reserves at the start
BASIS_POINT = 1e-4
OWNERS = {"curve": "amm"}  # cohort that has what the liquidity gains; elsewhere the providers
NUMBERS = ("total", "fees", "rebalancing", "versus", "impermanent", "outside", "drawdown")
SHOWN = {"fees": (ORANGE, "fees"), "rebalancing": (BLUE, "inventory, at the index"), "versus": (VERMILLION, "versus rebalancing")}


def returns(stored: StoredSweep) -> pl.DataFrame:
    """One row per run: its place in the design, and NUMBERS of those who provide its liquidity, in basis points of CAPITAL.

    versus is the loss versus rebalancing with the sign of a gain, so that fees, rebalancing, versus, outside and what else there is
    (funding, liquidations) add up to the total.
    """
    where = stored.runs.select("run", "seed", "variant", *stored.factors).collect()
    owner = pl.col("variant").replace_strict(OWNERS, default="providers")
    owners = where.select("run", owner=owner)
    looks = stored.tables["cohorts"].with_columns(pl.col("cohort").cast(pl.String)).join(owners.lazy(), on="run")
    looks = looks.filter(pl.col("cohort") == pl.col("owner")).sort("run", "seconds").collect()
    rows = wealth_changes(looks).insert_column(0, looks["run"]).with_columns(versus=pl.col("price") - pl.col("rebalancing"))
    rows = rows.with_columns(drawdown=pl.col("total").cum_max().over("run") - pl.col("total"))
    last = [pl.col(name).last() / (CAPITAL * BASIS_POINT) for name in NUMBERS if name != "drawdown"]
    final = rows.group_by("run", maintain_order=True).agg(*last, pl.col("drawdown").max() / (CAPITAL * BASIS_POINT))
    return where.join(final, on="run", maintain_order="left")


def interval(values: pl.Series) -> str:
    """Mean and half-width of its 95 % interval, Student's t over the worlds."""
    sample = values.to_numpy()
    half = student.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))
    return f"{sample.mean():+.1f} ± {half:.1f}"


def cells(runs: pl.DataFrame, *by: str) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """The runs that differ in their seed alone, with what they have in common."""
    for names, cell in runs.group_by(by, maintain_order=True):
        yield tuple(map(str, names)), cell.sort("seed")


def design_rows(runs: pl.DataFrame) -> list[str]:
    """One line for each design and world."""
    lines = []
    for (design, world), cell in cells(runs, "variant", "world"):
        means = [f"{cell[name].mean():+.1f}" for name in ("fees", "rebalancing", "versus", "impermanent")]
        tail = [f"{cell['drawdown'].mean():.1f}", f"{cell['total'].min():+.1f}"]
        lines.append(f"| {' | '.join([design, world, interval(cell['total']), *means, *tail])} |")
    return lines


def hedge_rows(runs: pl.DataFrame) -> list[str]:
    """One line for each design, world and hedge; differences are to the same world without a hedge."""
    lines = []
    orders = [runs[name].unique(maintain_order=True).to_list() for name in ("variant", "world", "hedge")]
    found = dict(cells(runs, "variant", "world", "hedge"))
    for design, world, hedge in itertools.product(*orders):
        cell = found[design, world, hedge]
        bare = runs.filter(variant=design, world=world, hedge="none").sort("seed")
        hedged = hedge != "none"
        numbers = [
            interval(cell["total"]),
            interval(cell["outside"]) if hedged else "",
            f"{cell['drawdown'].mean():.1f}",
            interval(cell["drawdown"] - bare["drawdown"]) if hedged else "",
        ]
        lines.append(f"| {' | '.join([design, world, hedge, *numbers])} |")
    return lines


def with_rows(page: str, name: str, head: Sequence[str], words: int, lines: list[str]) -> str:
    """`page` with a table between the marks of `name`, its first `words` columns set as words and the others as numbers."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, rest = page.split(begin)
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join([before + begin, "", f"| {' | '.join(head)} |", f"| {' | '.join(rule)} |", *lines, "", end + rest.split(end)[1]])


@styled
def design_figure(runs: pl.DataFrame) -> Figure:
    """What the return of each design is made of, a panel per world."""
    worlds, designs = (runs[name].unique(maintain_order=True).to_list() for name in ("world", "variant"))
    figure = new_figure(3.4)
    for panel, world in enumerate(worlds):
        axes = figure.add_subplot(1, len(worlds), panel + 1)
        place = np.arange(len(designs))[::-1]
        above, below = np.zeros(len(designs)), np.zeros(len(designs))
        means = [runs.filter(world=world, variant=design).select(pl.col(NUMBERS).mean()).row(0, named=True) for design in designs]
        for part, (colour, words) in SHOWN.items():
            values = np.array([mean[part] for mean in means])
            axes.barh(place, values, left=np.where(values > 0.0, above, below), color=colour, height=0.62, label=words)
            above, below = above + np.clip(values, 0.0, None), below + np.clip(values, None, 0.0)
        axes.plot([mean["total"] for mean in means], place, "D", color="white", markeredgecolor=INK, markersize=5.5, label="return")
        for y, design in zip(place, designs, strict=True):
            worst = runs.filter(world=world, variant=design)["total"].min()
            axes.plot(worst, y, "|", color=INK, markersize=11, label="worst world" if y == place[0] else None)
        axes.axvline(0.0, color=GREY, linewidth=0.8)
        axes.set_title(str(world))
        axes.set_yticks(place, designs if panel == 0 else [""] * len(designs))
        axes.grid(visible=False, axis="y")
        if panel == len(worlds) // 2:
            axes.set_xlabel("hundredths of a per cent of capital in two hours, mean over the worlds; each panel has its own scale")
        if panel == 0:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    title(figure, "Where prices return, fees pay for everything; where they trend or crash, the inventory decides")
    return figure


def main(folder: Path) -> None:
    """Writes tables and figure from the sweeps in `folder`."""
    designs, hedges = (returns(open_sweep(folder / name)) for name in (DESIGNS, HEDGES))
    parts = ("design", "world", "return", "fees", "rebalancing", "versus rebalancing", "impermanent", "drawdown", "worst world")
    hedged = ("design", "world", "hedge", "return", "of it the hedge", "drawdown", "less that without")
    page = with_rows(PAGE.read_text(encoding="utf-8"), "designs", parts, 2, design_rows(designs))
    PAGE.write_text(with_rows(page, "hedges", hedged, 3, hedge_rows(hedges)), encoding="utf-8")
    save(design_figure(designs), FIGURE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
