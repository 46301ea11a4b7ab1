"""The shipped experiments about those who provide liquidity and what puts them at risk: each file plans, signs come out in little.

The page about liquidity has the numbers that the files tell.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from abm.lab.plan import load_plan
from abm.lab.runner import run_sweep
from abm.lab.sweep_store import open_sweep
from docs.liquidity_table import DESIGNS, FIGURE, HEDGES, PAGE, design_figure, design_rows, hedge_rows, returns, with_rows
from tests.lab.test_experiments_funding_and_margin import EXPERIMENTS, Sign, Small, paired, variant


def hedged(design: str, world: str, hedge: str) -> dict[str, object]:
    return variant(design, world=world, hedge=hedge)


DEAR, CHEAP = "straddle at 4", "straddle at 1.1"
CRASH, CALM = {"world": "crashing"}, {"world": "reverting"}
SMALL = (
    Small(
        DESIGNS,
        ["sweep.replications=3"],
        [
            Sign("return_versus_rebalancing.providers", variant("ranges", **CALM), variant("book", **CALM), -1, 3),
            Sign("return_versus_rebalancing.providers", variant("pool", **CRASH), variant("book", **CRASH), -1, 3),
            Sign("return.providers", variant("ranges", **CALM), variant("book", **CALM), 1, 3),
            Sign("return.providers", variant("ranges", **CRASH), variant("book", **CRASH), -1, 3),
            Sign("return.providers", variant("vault", **CRASH), variant("book", **CRASH), -1, 3),
            Sign("return.providers", variant("pool", **CRASH), variant("book", **CRASH), 1, 3),
            Sign("return_impermanent.providers", variant("ranges", **CRASH), variant("ranges", **CALM), -1, 3),
            Sign("profit_price.amm", variant("curve", **CRASH), variant("curve", **CALM), -1, 3),
        ],
    ),
    Small(
        HEDGES,
        ["sweep.replications=3", "sweep.budget={runs=200}"],
        [
            Sign("return.providers", hedged("ranges", "crashing", "spot"), hedged("ranges", "crashing", "none"), 1, 3),
            Sign("return.providers", hedged("book", "crashing", "spot"), hedged("book", "crashing", "none"), 1, 3),
            Sign("drawdown.providers", hedged("ranges", "trending", "spot"), hedged("ranges", "trending", "none"), -1, 3),
            Sign("return_outside.providers", hedged("book", "reverting", DEAR), hedged("book", "reverting", "none"), -1, 3),
            Sign("return_outside.providers", hedged("book", "crashing", DEAR), hedged("book", "crashing", "none"), 1, 3),
            Sign("return_outside.providers", hedged("pool", "trending", DEAR), hedged("pool", "trending", CHEAP), -1, 3),
            Sign("return_fees.providers", hedged("pool", "crashing", DEAR), hedged("pool", "crashing", "none"), 0, 3),
        ],
    ),
)  # fmt: skip
CAP, WEIGHT = "how_large_may_open_interest_be_beside_a_thin_market", "should_unrealised_profit_count_as_margin"
SIZE = "does_margin_by_size_protect_the_fund"
LARGE = {"population.whales.leverage": 12.0}


def weight(number: float, fall: str) -> dict[str, object]:
    return {"venue.margin.profit_weight": number, "fall": fall}


RISKS = (
    Small(
        CAP,
        ["sweep.replications=3"],
        [
            Sign("profit.manipulator", {"depth": "0.2 M per %", "cap": "1 M"}, {"depth": "0.2 M per %", "cap": "0.5 M"}, 1, 3),
            Sign("profit.manipulator", {"depth": "0.4 M per %", "cap": "1 M"}, {"depth": "0.1 M per %", "cap": "1 M"}, -1, 3),
            Sign("profit.owners", {"depth": "0.2 M per %", "cap": "2 M"}, {"depth": "0.2 M per %", "cap": "0.125 M"}, -1, 3),
        ],
    ),
    Small(
        WEIGHT,
        ["sweep.replications=3", 'factors."venue.margin.profit_weight"=[0.0, 0.75, 1.0]'],
        [
            Sign("fund_paid", weight(1.0, "40 %"), weight(0.0, "40 %"), 1, 3),
            Sign("fund_paid", weight(0.75, "40 %"), weight(0.0, "40 %"), 0, 3),
            Sign("liquidated", weight(0.75, "40 %"), weight(0.0, "40 %"), 1, 3),
            Sign("open_interest", weight(1.0, "20 %"), weight(0.75, "20 %"), 1, 3),
            Sign("profit.pyramid", weight(1.0, "20 %"), weight(0.0, "20 %"), -1, 3),
        ],
    ),
    Small(
        SIZE,
        ["sweep.replications=3", 'factors."population.whales.leverage"=[3.0, 12.0]'],
        [
            Sign("deleveraged", variant("by_size", **LARGE), variant("flat", **LARGE), -1, 3),
            Sign("deleveraged", variant("flat_and_strict", **LARGE), variant("flat", **LARGE), -1, 3),
            Sign("open_interest", variant("by_size", **LARGE), variant("flat", **LARGE), -1, 3),
        ],
    ),
)


@pytest.mark.parametrize("small", [*SMALL, *RISKS], ids=lambda small: small.name)
def test_plans(small: Small) -> None:
    plan = load_plan(EXPERIMENTS / f"{small.name}.toml")
    assert plan.sweep.table.expectations
    assert {each.outcome for each in plan.sweep.table.expectations} <= set(plan.sweep.table.outcomes)
    finding = " ".join(plan.sweep.base.finding.split())
    assert f"{plan.most_runs} runs" in finding
    assert f"`abm sweep experiments/{small.name}.toml" in finding


def page_rows(name: str) -> dict[tuple[str, ...], list[str]]:
    """The numbers of a table of the page, by its words."""
    table = PAGE.read_text(encoding="utf-8").split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0]
    words = 2 if name == "designs" else 3
    lines = [line.strip("| ").split("|") for line in table.strip().splitlines()[2:]]
    return {tuple(cell.strip() for cell in line[:words]): [cell.strip() for cell in line[words:]] for line in lines}


def test_the_page_has_a_row_for_each_cell() -> None:
    for name, file, factors in (("designs", DESIGNS, ("world",)), ("hedges", HEDGES, ("world", "hedge"))):
        plan = load_plan(EXPERIMENTS / f"{file}.toml")
        levels = {factor.name: [str(factor.value(level)) for level in factor.spaced()] for factor in plan.factors}
        assert set(page_rows(name)) == set(itertools.product(plan.variants, *(levels[factor] for factor in factors)))


@pytest.mark.parametrize(("name", "file"), [("designs", DESIGNS), ("hedges", HEDGES)])
def test_the_findings_numbers_are_the_pages(name: str, file: str) -> None:
    """Every number with an interval that a finding tells stands in the table."""
    finding = " ".join(load_plan(EXPERIMENTS / f"{file}.toml").sweep.base.finding.split())
    there = {number.lstrip("+-") for row in page_rows(name).values() for number in row}
    told = re.findall(r"[\d,.]+ ± [\d.]+\d", finding)
    assert len(told) >= 8
    assert {number.replace(",", "") for number in told} <= there


def run_small(small: Small, folder: Path) -> pl.DataFrame:
    """The runs of the small version."""
    result = run_sweep(load_plan(EXPERIMENTS / f"{small.name}.toml", list(small.overrides)), folder / "sweep")
    assert result.tally.failed == 0
    return open_sweep(folder / "sweep").runs.collect()


def assert_signs(small: Small, runs: pl.DataFrame) -> None:
    for sign in small.signs:
        differences = paired(runs, sign)
        shown = int((np.sign(differences) == sign.sign).sum())
        assert shown >= sign.seeds, f"{sign}: {differences}"


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_signs_of_returns(small: Small, tmp_path: Path) -> None:
    runs = run_small(small, tmp_path)
    assert_signs(small, runs)
    stored = open_sweep(tmp_path / "sweep")
    # What writes the page reads such a store, and its numbers are the outcomes.
    rows = returns(stored)
    own = rows.filter(rows["variant"] != "curve")["total"]
    assert own.to_numpy() == pytest.approx(1e4 * runs.filter(runs["variant"] != "curve")["return.providers"].to_numpy(), abs=1e-9)
    lines = design_rows(rows) if small.name == DESIGNS else hedge_rows(rows)
    name = "designs" if small.name == DESIGNS else "hedges"
    page = with_rows(PAGE.read_text(encoding="utf-8"), name, ["x"], 1, lines)
    assert set(lines) <= set(page.splitlines())
    if small.name == DESIGNS:
        assert len(design_figure(rows).axes) == 3
        assert FIGURE.exists()


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("small", RISKS[1:], ids=lambda small: small.name)
def test_signs_of_risks(small: Small, tmp_path: Path) -> None:
    assert_signs(small, run_small(small, tmp_path))


@pytest.mark.slow
@pytest.mark.compiled
def test_an_attack_pays_from_the_cap_that_depth_allows(tmp_path: Path) -> None:
    """The border is where Q (x - f (2 + x)) = D x^2 / 2: position Q, push x, fee f, D the USD that move the price by 1."""
    runs = run_small(RISKS[0], tmp_path)
    assert_signs(RISKS[0], runs)
    push, fee, share = 0.05, 0.001, 0.99
    borders = []
    for depth in (1e5, 2e5, 4e5):
        at = runs.filter(pl.col("depth") == f"{depth / 1e6:g} M per %").group_by("cap").agg(pl.col("profit.manipulator").mean())
        caps = np.array([1e6 * float(label.removesuffix(" M")) for label in at["cap"]])
        order = np.argsort(caps)
        borders.append(float(np.interp(0.0, at["profit.manipulator"].to_numpy()[order], caps[order])))
        law = 0.5 * 100.0 * depth * push**2 / (push - fee * (2.0 + push)) / share
        assert borders[-1] == pytest.approx(law, rel=0.05)
    assert borders[2] / borders[0] == pytest.approx(4.0, rel=0.05)
