"""The shipped experiment about portfolio margin: its file plans, and its signs come out at small size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abm.lab.plan import load_plan
from abm.lab.runner import run_sweep
from abm.lab.sweep_store import open_sweep
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.portfolio_margin import PortfolioMargin
from tests.lab.test_experiments_funding_and_margin import EXPERIMENTS, Sign, paired, variant

FILE = EXPERIMENTS / "does_portfolio_margin_hold_when_correlations_go_to_one.toml"
ALONE, TOGETHER = "BTC alone 12 %", "all 8 %"
SMALL = [
    "sweep.replications=2",
    "factors.fall.values=[[0.12, 0.0, 0.0], [0.08, 0.08, 0.08]]",
    f'factors.fall.labels=["{ALONE}", "{TOGETHER}"]',
]


def sign(outcome: str, more: str, less: str, fall: str, expected: int) -> Sign:
    """Of both seeds."""
    return Sign(outcome, variant(more, fall=fall), variant(less, fall=fall), expected, 2)


SIGNS = (
    sign("liquidated_accounts.baskets", "calm_correlation", "flat", TOGETHER, 1),
    sign("liquidated_accounts.baskets", "worst_correlation", "flat", TOGETHER, 0),
    sign("liquidated_accounts.spreads", "calm_correlation", "flat", ALONE, 1),
    sign("liquidated.ETH", "calm_correlation", "flat", ALONE, 1),
    sign("liquidated.ETH", "isolated", "flat", ALONE, 0),
    sign("liquidated.ETH", "calm_correlation", "worst_correlation", ALONE, 1),
)


def test_it_plans() -> None:
    plan = load_plan(FILE)
    assert 40 <= len(plan.cells) * len(plan.seeds) <= 400
    assert plan.sweep.base.finding, "what came out at full size"
    assert {each.outcome for each in plan.sweep.table.expectations} <= set(plan.sweep.table.outcomes)


def test_capital_is_what_the_positions_need_to_be_opened_and_a_margin_above() -> None:
    """1.3 times the initial margin of 10,000 USD in each market, and of 15,000 USD in one against as much in another."""
    plan = load_plan(FILE)
    for cell in plan.cells:
        experiment = cell.experiment
        margin = experiment.venue.margin
        for group in experiment.groups:
            if group.name not in ("baskets", "spreads"):
                continue
            legs = np.array([10_000.0] * 3 if group.name == "baskets" else [15_000.0, -15_000.0, 0.0])
            assert group.capital * group.strategy.exposure == pytest.approx(30_000.0, rel=1e-4)
            if isinstance(margin, FlatMargin):
                needed = 0.1 * np.abs(legs).sum()
                if group.margin == "isolated" and group.name == "spreads":
                    needed *= 1.5  # a third of the money lies in a market that they do not use
            else:
                assert isinstance(margin, PortfolioMargin)
                needed = 0.0
                for rho in (margin.lowest_correlation, margin.highest_correlation):
                    correlations = np.full((3, 3), rho) + (1.0 - rho) * np.eye(3)
                    needed = max(needed, 0.1 * float(np.sqrt(legs @ correlations @ legs)))
            assert group.capital == pytest.approx(1.3 * needed, rel=1e-4), (cell, group.name)


@pytest.mark.slow
def test_signs(tmp_path: Path) -> None:
    result = run_sweep(load_plan(FILE, SMALL), tmp_path / "sweep")
    assert result.tally.failed == 0
    runs = open_sweep(tmp_path / "sweep").runs.collect()
    for each in SIGNS:
        differences = paired(runs, each)
        shown = int((np.sign(differences) == each.sign).sum())
        assert shown >= each.seeds, f"{each}: {differences}"
