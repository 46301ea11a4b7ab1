"""Manipulators: what each gains and what it costs him, by the ledgers of the venue and of the outside market."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import abm
from abm.agents.base import Group
from abm.lab.profit import final_wealth_changes
from abm.mechanisms.venue import Venue
from abm.testing.small_venue import small_venue

PRICE = 60_000.0
QUIET = abm.Waypoints(points=((0.0, PRICE),), straight=True)
STEPS = {"seconds_per_block": 1.0, "funding": abm.NoFunding(), "oracle": abm.MedianOracle(lag_blocks=0, min_change=0.0)}


def venue(**changes: Any) -> Venue:
    return dataclasses.replace(small_venue(1), **{**STEPS, **changes})


def pool(fee: float) -> Venue:
    """A pool that trades any size at the oracle price for a fee."""
    clearing = abm.OraclePool(initial_liquidity=1e9, positive_impact=0.0, negative_impact=0.0, max_profit=1e6, base_fee=0.0, above_fee=0.0)
    listing = dataclasses.replace(small_venue(1).listings[0], tick=1.0)
    return venue(
        listings=(listing,),
        clearing=clearing,
        fees=abm.FlatFees(maker=0.0, taker=fee),
        deleveraging=abm.NoDeleveraging(),
        insurance_fund=0.0,
    )


def book(density: float = 1e6, **keys: Any) -> Group:
    return Group(name="depth", strategy=abm.SteadyDepth(density=density, reference="oracle", **keys), members=1, capital=1e9)


def profit(model: abm.PerpModel, cohort: str) -> dict[str, float]:
    rows = final_wealth_changes(model.frames())
    return rows.filter(rows["cohort"] == cohort).row(0, named=True)


@pytest.mark.parametrize("move", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("position", [1e6, 4e6])
def test_pumping_pays_while_the_position_is_large_against_the_spot_depth(move: float, position: float) -> None:
    fee, depth = 0.001, 6e5  # of notional; USD per percent
    whole = 100.0 * depth  # USD that move the price by a fraction of 1
    spent = whole * math.log1p(move)
    plan = abm.OraclePumpers(
        position=position,
        target=move,
        pace=spent,
        enter_seconds=0.0,
        push_seconds=10.0,
        exit_seconds=11.0,
        sell_seconds=1e6,
        trip_seconds=1e6,
    )
    manipulator = Group(name="manipulator", strategy=plan, members=1, capital=5e6)
    spot = abm.Spot(depth=depth, half_life_seconds=200.0, fee=0.0, financing_rate=0.0)
    model = abm.PerpModel(pool(fee), QUIET, [manipulator], blocks=3_000, seed=1, spot=spot, check=True).run()
    found = profit(model, "manipulator")
    gain = found["price"] + found["fees"]
    assert gain == pytest.approx(position * (move - fee * (2.0 + move)), rel=0.02)
    # Coins worth log(1 + x) of the depth were bought at half that push on average, and are worth the old price again.
    assert -found["outside"] == pytest.approx(whole * (math.expm1(0.5 * math.log1p(move)) * math.log1p(move)), rel=0.01)
    assert -found["outside"] == pytest.approx(0.5 * whole * move**2, rel=0.1)
    pays = position * (move - 2.0 * fee) > 0.5 * whole * move**2
    assert (found["total"] > 0.0) == pays


def test_profit_that_does_not_count_cannot_be_withdrawn() -> None:
    plan = abm.OraclePumpers(
        position=3e5, target=0.3, pace=1e6, push_seconds=20.0, exit_seconds=60.0, sell_seconds=100.0, trip_seconds=1e6, leaves="withdraw"
    )
    spot = abm.Spot(depth=2e5, half_life_seconds=600.0)
    taken = {}
    for weight in (1.0, 0.0):
        margin = abm.SizeMargin(profit_weight=weight, profit_cap=0.0)
        groups = [book(), Group(name="manipulator", strategy=plan, members=1, capital=1e5)]
        model = abm.PerpModel(venue(margin=margin), QUIET, groups, blocks=120, seed=1, spot=spot, check=True).run()
        taken[weight] = 1e5 - profit(model, "manipulator")["net_deposits"]
    assert taken[1.0] > 0.9 * (1e5 + 0.3 * 3e5 - 0.1 * 1.3 * 3e5)
    assert taken[0.0] <= 1e5 - 0.1 * 3e5


@pytest.mark.parametrize("leverage", [2.0, 4.0])
def test_a_pyramid_grows_as_the_price_to_the_leverage(leverage: float) -> None:
    world = abm.Waypoints(points=((0.0, PRICE), (4000.0, 1.3 * PRICE)), straight=True)
    groups = [
        book(density=1e9),
        Group(name="pyramid", strategy=abm.Pyramiders(leverage=leverage, every_seconds=1.0), members=1, capital=1e5),
    ]
    free = venue(fees=abm.FlatFees(maker=0.0, taker=0.0), margin=abm.FlatMargin(initial_margin_fraction=0.1))
    model = abm.PerpModel(free, world, groups, blocks=4000, seed=1, check=True).run()
    equity = 1e5 + profit(model, "pyramid")["total"]
    assert equity == pytest.approx(1e5 * 1.3**leverage, rel=0.04)


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_who_runs_into_a_vault_takes_out_what_margin_and_floor_leave(floor: float) -> None:
    guards = (abm.WithdrawalFloor(fraction=floor),)
    plan = abm.VaultRunners(leverage=5.0, withdraw_seconds=100.0, until_seconds=101.0)
    groups = [book(density=1e8), Group(name="runner", strategy=plan, members=1, capital=1e6)]
    free = venue(fees=abm.FlatFees(maker=0.0, taker=0.0), margin=abm.FlatMargin(initial_margin_fraction=0.05), guards=guards)
    model = abm.PerpModel(free, QUIET, groups, blocks=200, seed=1, check=True).run()
    found = profit(model, "runner")
    assert found["equity"] == pytest.approx(max(0.05, floor) * 5e6, rel=0.01)
    assert found["net_deposits"] < found["equity"] + 0.01 * 1e6


def test_a_vault_inherits_the_loss_of_a_runner_and_a_floor_prevents_it() -> None:
    losses = {}
    world = abm.Waypoints(points=((0.0, PRICE), (200.0, PRICE), (600.0, 0.94 * PRICE)), straight=True)
    for floor in (0.0, 0.2):
        rules = venue(
            margin=abm.FlatMargin(initial_margin_fraction=0.02, maintenance_fraction_of_initial=0.5),
            liquidation=abm.ChunkedLiquidation(backstop_cohort="vault", first_portion=0.001),
            guards=(abm.WithdrawalFloor(fraction=floor),),
            insurance_fund=0.0,
        )
        vault = Group(name="vault", strategy=abm.Holders(leverage=0.0), members=1, capital=5e6)
        plan = abm.VaultRunners(leverage=10.0, withdraw_seconds=150.0, until_seconds=151.0)
        groups = [vault, book(density=2e5), Group(name="runner", strategy=plan, members=1, capital=1e6)]
        model = abm.PerpModel(rules, world, groups, blocks=700, seed=1, check=True).run()
        losses[floor] = -profit(model, "vault")["total"]
    assert losses[0.0] > 0.02 * 1e6
    assert losses[0.2] <= 0.2 * losses[0.0]


@pytest.mark.parametrize("target", [0.015, -0.015])
def test_washing_moves_the_last_trade_for_its_fees_and_the_oracle_not_at_all(target: float) -> None:
    marks = {}
    wide = book(density=1e5, reach=0.08, levels=2)  # best prices 2 % from the oracle
    for mark in (abm.LastTradeMark(), abm.OracleMark()):
        washers = Group(name="washers", strategy=abm.Washers(target=target, start_seconds=20.0, stop_seconds=200.0), members=2, capital=1e5)
        model = abm.PerpModel(venue(mark=mark), QUIET, [wide, washers], blocks=300, seed=1, check=True).run()
        frames = model.frames()
        markets = frames["markets"]
        marks[type(mark).__name__] = markets.filter(markets["seconds"] == 150.0)["mark"][0] / PRICE - 1.0
        found = profit(model, "washers")
        washes = int(markets["trades"][-1])
        assert washes > 20
        assert found["fees"] == pytest.approx(-(0.0005 - 0.0001) * 1000.0 * washes, rel=0.02)
        assert abs(found["price"]) < 0.05 * 1000.0
    assert marks["LastTradeMark"] == pytest.approx(target, abs=0.003)
    assert abs(marks["OracleMark"]) < 1e-12


def test_spoofing_moves_the_mid_while_it_lasts_and_costs_nothing_until_somebody_trades() -> None:
    wide = book(density=1e5, reach=0.08, levels=2)
    plan = abm.Spoofers(side=1, share=0.9, size=5e4, position=0.0, start_seconds=50.0, stop_seconds=200.0)
    spoofers = Group(name="spoofers", strategy=plan, members=1, capital=1e6)
    hit = Group(name="sellers", strategy=abm.Holders(leverage=0.2, long_share=0.0, enter_seconds=150.5), members=1, capital=1e5)
    costs = {}
    for name, others in (("alone", []), ("hit", [hit])):
        model = abm.PerpModel(venue(mark=abm.MidMark()), QUIET, [wide, spoofers, *others], blocks=300, seed=1, check=True).run()
        markets = model.frames()["markets"]
        during = markets.filter((markets["seconds"] > 80.0) & (markets["seconds"] < 140.0))
        after = markets.filter(markets["seconds"] > 250.0)
        # Best prices are 2 % from the oracle; nine tenths of the four per cent between them move the mid by half of that.
        assert np.median(during["mark"]) / PRICE - 1.0 == pytest.approx(0.5 * 0.9 * 0.04, rel=0.15)
        assert np.median(after["mark"]) / PRICE - 1.0 == pytest.approx(0.0, abs=0.002)
        costs[name] = -profit(model, "spoofers")["total"]
    assert costs["alone"] == 0.0
    assert costs["hit"] > 0.02 * 0.2 * 1e5 * 0.5


def test_an_order_to_the_outside_market_needs_a_finite_size() -> None:
    model = abm.PerpModel(venue(), QUIET, [book()], blocks=5, seed=1)
    orders = model.cohorts[0].view.orders
    with pytest.raises(ValueError, match="finite"):
        orders.spot(np.array([True]), 0, math.nan)
    orders.spot(np.array([True]), 0, 0.25)
    model.run(1)
    assert model.state.outside["size"][0, 0] == 0.25
