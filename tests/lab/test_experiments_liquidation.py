"""The shipped experiments on liquidation and who pays for it: every sign that a file expects comes out in a small version of it.

Small versions have the first seeds of the full one and the extreme levels. At full size every expected sign comes out in all worlds, or in
all in which anything of the kind happens (deleveraging: 5 of 8 worlds along the fund, 6 along the fall; bad debt with nobody to take over:
22 of 25), but for one: the perpetual's distance from its index along the chunk, in 7 of 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from abm.lab.config import contents
from abm.lab.merging import merged
from abm.lab.outcomes import compute
from abm.lab.plan import Plan, load_plan, plan_of
from abm.lab.runner import run_sweep
from abm.lab.sweep import Expectation, load_sweep, read_sweep
from abm.lab.sweep_store import StoredSweep

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SWEEPS = sorted(file.stem for file in EXPERIMENTS.glob("*.toml") if "sweep" in contents(file))


@dataclass(frozen=True)
class Small:
    """A version of an experiment that takes seconds: fewer levels of its factors, fewer variants, fewer seeds."""

    levels: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Numbers of the levels that are kept of a factor; the first and the last unless given."""
    variants: tuple[str, ...] = ()
    """Those that are kept; all unless given."""
    seeds: int = 4


SMALL = {
    "does_a_slow_liquidation_cause_bad_debt": Small(),
    "does_high_leverage_make_fat_tails": Small(variants=("fall_of_45_minutes", "fall_of_15_minutes")),
    "does_a_liquidation_penalty_pay_for_bad_debt": Small(),
    "how_fast_must_a_contested_price_be_settled": Small(),
    "how_large_must_the_insurance_fund_be": Small(),
    "how_many_keepers_does_a_venue_need": Small(seeds=2),
    "how_much_should_be_liquidated_at_once": Small(),
    "what_does_a_late_oracle_cost": Small(variants=("fall_of_45_minutes",)),
    # Leverage 12 is beyond the border at every depth, where a thinner book amplifies no more.
    "when_do_liquidations_cascade": Small(levels={"population.takers.leverage.median": (0, 2)}),
    "who_pays_for_a_late_oracle_beside_a_live_book": Small(variants=("pool",), seeds=3),
    "who_pays_when_the_fund_is_empty": Small(variants=("random", "queue", "pro_rata_to_profit", "socialised", "nobody")),
}


def small_plan(name: str, small: Small) -> Plan:
    """The plan of the small version."""
    table: dict[str, Any] = dict(contents(EXPERIMENTS / f"{name}.toml"))
    full = load_sweep(EXPERIMENTS / f"{name}.toml")
    factors = {}
    for factor in full.factors:
        kept = small.levels.get(factor.name, (0, -1))
        plain = factor.plain()
        factors[factor.name] = (
            [plain[k] for k in kept]
            if isinstance(plain, list)
            else {**plain, **{key: [plain[key][k] for k in kept] for key in ("values", "labels") if key in plain}}
        )
    if factors:
        table["factors"] = factors
    if small.variants:
        table["variants"] = {variant: table["variants"][variant] for variant in small.variants}
        if table["sweep"].get("baseline") not in small.variants:
            sweep = {key: item for key, item in table["sweep"].items() if key != "baseline"}
            table["sweep"] = {**sweep, "expectations": [each for each in sweep["expectations"] if "factor" in each]}
    table = merged(table, {"sweep": {"replications": small.seeds}})
    return plan_of(read_sweep(table, source=name, folder=EXPERIMENTS, name=name))


def with_outcomes(runs: pl.DataFrame, stored: StoredSweep, names: list[str]) -> pl.DataFrame:
    """The runs with those outcomes too that are computed only when they are asked for."""
    missing = [name for name in dict.fromkeys(names) if name not in runs.columns]
    return runs.join(compute(stored.tables, runs["run"], missing), on="run") if missing else runs


def differences(runs: pl.DataFrame, expected: Expectation, plan: Plan) -> pl.Series:
    """One for each seed, mean over everything else that varies: highest less lowest level, or variant less baseline."""
    if expected.factor:
        factor = next(factor for factor in plan.factors if factor.name == expected.factor)
        levels = [factor.value(level) for level in factor.spaced()]
        column, low, high = expected.factor, levels[0], levels[-1]
    else:
        column, low, high = "variant", plan.sweep.table.baseline, expected.variant
    others = [name for name in ("variant", *(factor.name for factor in plan.factors)) if name != column]
    sides = [runs.filter(pl.col(column) == value).select("seed", *others, expected.outcome) for value in (low, high)]
    pairs = sides[0].join(sides[1], on=["seed", *others], suffix="_high").drop_nulls()
    by_seed = pairs.group_by("seed").agg(difference=(pl.col(f"{expected.outcome}_high") - pl.col(expected.outcome)).mean())
    return by_seed.sort("seed")["difference"]


@pytest.mark.parametrize("name", SWEEPS)
def test_every_shipped_sweep_says_what_it_asks_and_plans(name: str) -> None:
    plan = load_plan(EXPERIMENTS / f"{name}.toml")
    base, table = plan.sweep.base, plan.sweep.table
    assert base.title
    assert base.question.endswith("?")
    assert table.outcomes
    assert table.budget.runs is None or plan.most_runs <= table.budget.runs


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_finding_names_its_runs(name: str) -> None:
    plan = load_plan(EXPERIMENTS / f"{name}.toml")
    base = plan.sweep.base
    assert base.description
    assert plan.sweep.table.expectations
    words = " ".join(base.finding.split())
    assert f"{plan.most_runs} runs" in words
    assert f"`abm sweep experiments/{name}.toml`" in words


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", sorted(SMALL))
def test_expected_signs_come_out_on_common_worlds(name: str, tmp_path: Path) -> None:
    plan = small_plan(name, SMALL[name])
    result = run_sweep(plan, tmp_path / name)
    stored = result.stored()
    runs = with_outcomes(stored.runs.collect(), stored, [expected.outcome for expected in plan.sweep.table.expectations])
    assert result.tally.failed == 0
    assert runs.height == plan.most_runs
    wrong = []
    for expected in plan.sweep.table.expectations:
        found = differences(runs, expected, plan)
        directed = {"+": found, "-": -found}[expected.sign]
        # Where a world has nothing of the kind, such as no deleveraging whatever the fund, there is no difference to have a sign.
        if directed.is_empty() or directed.min() < 0.0 or (directed > 0.0).mean() < 0.5:
            wrong.append(f"{expected.outcome} along {expected.factor or expected.variant}: {found.to_list()}, expected {expected.sign}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.compiled
def test_without_a_limit_price_the_best_chunk_is_neither_the_smallest_nor_the_largest(tmp_path: Path) -> None:
    chunk = "venue.liquidation.max_position_portion"
    plan = small_plan("how_much_should_be_liquidated_at_once", Small(levels={chunk: (0, 2, -1)}, variants=("no_limit_price",)))
    runs = run_sweep(plan, tmp_path / "chunk").stored().runs.collect()
    paid = [runs.filter(pl.col(chunk) == portion).sort("seed")["fund_paid"] for portion in (0.002, 0.05, 1.0)]
    assert (paid[0] > paid[1]).all()
    assert (paid[2] > paid[1]).all()
