"""The shipped experiments about margin, funding, arbitrage, marks, order of execution and halts: each file plans, and its sign comes out.

Small versions: extreme levels, few seeds, the first ones. Signs are of paired differences, the same world with one thing changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from abm.lab.plan import load_plan
from abm.lab.runner import run_sweep
from abm.lab.sweep_store import open_sweep

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@dataclass(frozen=True)
class Sign:
    """Of `outcome` where `more` holds less `outcome` where `less` holds, seed by seed."""

    outcome: str
    more: dict[str, object]
    less: dict[str, object]
    sign: int
    """0: exactly equal."""
    seeds: int
    """How many of the seeds of the small version must show it."""


@dataclass(frozen=True)
class Small:
    """An experiment in little: what of the file is replaced, and what must come out."""

    name: str
    overrides: Sequence[str]
    signs: Sequence[Sign]


def variant(name: str, **point: object) -> dict[str, object]:
    """Runs of a variant, at a point if it is given."""
    return {"variant": name, **point}


def arbitrageurs(number: int) -> dict[str, object]:
    return {"population.arbitrageurs.members": number}


def clamp(interest: float, band: float) -> dict[str, object]:
    return {"venue.funding.interest": interest, "venue.funding.band": band}


def crowd(rule: str, long_share: float) -> dict[str, object]:
    return variant(rule, **{"population.takers.long_share": long_share})


def interval(seconds: float) -> dict[str, object]:
    return {"venue.funding.settlement_seconds": seconds}


def order(name: str, seconds: float) -> dict[str, object]:
    return {"variant": name, "venue.seconds_per_block": seconds}


# Of the first ten seeds of the full size all show the sign, but the excess fall of the mark and the
# standard deviation of the basis over funding intervals: nine.
SMALL = (
    Small(
        "does_cross_margin_spread_a_crash",
        [
            "sweep.replications=3",
            "factors.fall_of_SOL.values=[[0.0, 0.0, 0.2], [0.0, 0.0, 0.6]]",
            'factors.fall_of_SOL.labels=["20 %", "60 %"]',
        ],
        [
            Sign("liquidated.BTC", variant("cross", fall_of_SOL="60 %"), variant("isolated", fall_of_SOL="60 %"), 1, 3),
            Sign("liquidated.BTC", variant("cross", fall_of_SOL="20 %"), variant("isolated", fall_of_SOL="20 %"), 0, 3),
            Sign("basis_p01.BTC", variant("cross", fall_of_SOL="60 %"), variant("isolated", fall_of_SOL="60 %"), -1, 3),
            Sign("liquidated_accounts.baskets", variant("cross", fall_of_SOL="20 %"), variant("isolated", fall_of_SOL="20 %"), -1, 3),
        ],
    ),
    Small(
        "does_scarce_arbitrage_capital_unpeg_the_perp",
        ["sweep.replications=3", 'factors."population.arbitrageurs.members"=[1, 120]'],
        [
            Sign("basis_sd", arbitrageurs(120), arbitrageurs(1), -1, 3),
            Sign("basis_half_life", arbitrageurs(120), arbitrageurs(1), -1, 3),
            Sign("return.arbitrageurs", arbitrageurs(120), arbitrageurs(1), -1, 3),
        ],
    ),
    Small(
        "what_do_interest_and_clamp_do_to_funding",
        ["sweep.replications=3", 'factors."venue.funding.interest"=[0.0, 0.0003]', 'factors."venue.funding.band"=[0.0, 0.0005]'],
        [
            Sign("funding_flip_share", clamp(0.0, 0.0005), clamp(0.0, 0.0), -1, 3),
            Sign("funding_modal_share", clamp(0.0003, 0.0005), clamp(0.0003, 0.0), 1, 3),
            Sign("funding_positive_share", clamp(0.0003, 0.0005), clamp(0.0, 0.0005), 1, 3),
            Sign("basis_mean", clamp(0.0003, 0.0005), clamp(0.0, 0.0005), -1, 3),
            Sign("basis_mean", clamp(0.0003, 0.0), clamp(0.0, 0.0), 0, 3),  # without a clamp the interest cancels
        ],
    ),
    Small(
        "does_the_funding_interval_matter",
        ["sweep.replications=3", 'factors."venue.funding.settlement_seconds"=[600.0, 28800.0]'],
        [
            Sign("funding_flips_per_day", interval(28800.0), interval(600.0), -1, 3),
            Sign("basis_sd", interval(28800.0), interval(600.0), 1, 3),
        ],
    ),
    Small(
        "what_does_a_position_pay_in_ninety_days",
        ["sweep.replications=3", "run.seconds=864000", 'factors."population.takers.long_share"=[0.4, 0.85]'],
        [
            Sign("long_carry", crowd("premium_alone", 0.85), crowd("premium_alone", 0.4), -1, 3),
            Sign("long_carry", crowd("interest_and_clamp", 0.4), crowd("premium_alone", 0.4), -1, 3),
        ],
    ),
    Small(
        "which_mark_price_makes_cascades",
        ["sweep.replications=3"],
        [
            Sign("excess_fall", variant("last"), variant("oracle"), 1, 3),
            Sign("excess_fall", variant("median"), variant("oracle"), 1, 3),
            Sign("deleveraged", variant("last"), variant("oracle"), 1, 3),
            Sign("overshoot_share", variant("last"), variant("oracle"), -1, 3),
            Sign("excess_fall", variant("mid"), variant("oracle"), 1, 3),
            Sign("overshoot_share", variant("moving_average"), variant("oracle"), 1, 3),
        ],
    ),
    Small(
        "does_a_circuit_breaker_help",
        ["sweep.replications=3", "factors.makers.values=[[1.0, 0.0], [0.01, 2.0]]", 'factors.makers.labels=["stay", "flee"]'],
        [
            Sign("bad_debt_highest", variant("halt", makers="stay"), variant("no_halt", makers="stay"), 1, 3),
            Sign("bad_debt_highest", variant("halt_on_mid", makers="stay"), variant("no_halt", makers="stay"), 1, 3),
            Sign("deleveraged", variant("halt", makers="stay"), variant("no_halt", makers="stay"), 1, 3),
            Sign("deleveraged", variant("no_halt", makers="flee"), variant("no_halt", makers="stay"), 1, 3),
        ],
    ),
    Small(
        "do_block_time_and_order_of_execution_cost_makers",
        ["sweep.replications=3", 'factors."venue.seconds_per_block"=[1.0, 6.0]'],
        [
            Sign("markout_60s.providers", order("cancels_first", 1.0), order("random", 1.0), 1, 3),
            Sign("markout_60s.providers", order("cancels_first", 6.0), order("random", 6.0), 1, 3),
            Sign("markout_60s.providers", order("batch", 6.0), order("random", 6.0), 1, 3),
            Sign("return.arbitrageurs", order("batch", 1.0), order("random", 1.0), -1, 3),
            Sign("volume", order("random_batches", 6.0), order("batch_of_two_blocks", 6.0), -1, 3),
            Sign("markout_60s.providers", order("highest_fee_first", 6.0), order("random", 6.0), 0, 3),  # nobody but keepers bids
        ],
    ),
)


@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_plans(small: Small) -> None:
    plan = load_plan(EXPERIMENTS / f"{small.name}.toml")
    assert 40 <= len(plan.cells) * len(plan.seeds) <= 400
    assert plan.sweep.base.finding, "what came out at full size"
    assert plan.sweep.table.expectations
    assert {each.outcome for each in plan.sweep.table.expectations} <= set(plan.sweep.table.outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_signs(small: Small, tmp_path: Path) -> None:
    plan = load_plan(EXPERIMENTS / f"{small.name}.toml", list(small.overrides))
    result = run_sweep(plan, tmp_path / "sweep")
    assert result.tally.failed == 0
    runs = open_sweep(tmp_path / "sweep").runs.collect()
    for sign in small.signs:
        differences = paired(runs, sign)
        shown = int((np.sign(differences) == sign.sign).sum())
        assert shown >= sign.seeds, f"{sign}: {differences}"


def paired(runs: pl.DataFrame, sign: Sign) -> NDArray[np.float64]:
    """Differences by seed; a run without the number is an error, for then nothing was exercised."""

    def values(where: dict[str, object]) -> pl.DataFrame:
        rows = runs.filter(*(pl.col(name) == value for name, value in where.items()))
        return rows.select("seed", sign.outcome)

    both = values(sign.more).join(values(sign.less), on="seed", how="inner", suffix=" of the other")
    assert both.height >= sign.seeds
    assert both.null_count().sum_horizontal().item() == 0, f"{sign.outcome} was not exercised"
    return (both[sign.outcome] - both[f"{sign.outcome} of the other"]).to_numpy()
