"""Accounts under auction: what bidders pay and take, what is left of the owner, who pays for insolvent ones, and when nobody withdraws."""

from __future__ import annotations

import json
import pathlib
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.agents.base import Group
from abm.agents.keepers import Keepers
from abm.agents.passive import Holders, SteadyDepth
from abm.kernels.account_auction import gate_withdrawals, sell_share
from abm.kernels.margin import account_risk
from abm.mechanisms.auction_liquidation import AuctionLiquidation, InsolventAuctionGate
from abm.mechanisms.deleveraging import NoDeleveraging, SocialisedLoss
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.parameters import ParameterError
from abm.state import FILLED, NO_LIQUIDITY, NOT_LIQUIDATABLE, UNDERCOLLATERALISED, Capacity, State
from abm.testing.small_venue import others, small_model, small_venue

OWNER, BIDDER, DEPOSITOR = 0, 1, 2
SIZE, MARK, LOT = 40.0, 100.0, 1e-6
PUBLISHED = json.loads((pathlib.Path(__file__).parents[1] / "reference" / "derive_auction.json").read_text(encoding="utf-8"))


def rows_of(mechanism: str) -> list[dict[str, Any]]:
    return [row for row in PUBLISHED if row["mechanism"] == mechanism]


def under_auction(equity: float, maintenance: float, elapsed: float, fund: float = 1e6, bidder: float = 1e6) -> State:
    """An owner of 40 coins at 100 USD, `elapsed` seconds under auction, a bidder with money, and one who only has a deposit."""
    state = State(3, ["COIN"], [1 << 10], 1.0, Capacity(8, 1, 1, 16))
    state.markets["lot"], state.markets["mark"] = LOT, MARK
    state.margin_tiers["maintenance"] = maintenance / (SIZE * MARK)
    state.margin_tiers["initial"] = 2.0 * maintenance / (SIZE * MARK)
    state.accounts["collateral"] = equity - SIZE * MARK, bidder, 5_000.0
    state.positions["lots"][OWNER] = state.markets["open_interest"] = round(SIZE / LOT)
    state.positions["entry_value"][OWNER] = SIZE * MARK
    state.funds["balance"] = fund
    state.venue["block"] = int(elapsed)
    state.accounts["below_maintenance_since"][OWNER] = 0
    if equity < 0.0:
        state.accounts["below_zero_since"][OWNER] = 0
    return state


def worth(state: State, account: int) -> tuple[float, float]:
    """(equity, maintenance margin) in USD."""
    equity, _, maintenance = account_risk(state.accounts, state.positions, state.markets, state.margin_tiers, account)
    return equity, maintenance


def bid(state: State, rule: AuctionLiquidation, share: float = 0.0, bidder: int = BIDDER) -> int:
    """A bid for a share of the owner's account (0: as much as there is), and why it failed; money and positions must add up."""
    money = state.accounts["collateral"].sum() + state.funds["balance"].sum()
    result = sell_share(
        state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.liquidations, rule.terms(),
        OWNER, bidder, -1, share, 0, 0.0, np.uint64(0),
    )  # fmt: skip
    assert state.accounts["collateral"].sum() + state.funds["balance"].sum() == pytest.approx(money, rel=1e-12)
    assert state.positions["lots"].sum() == round(SIZE / LOT)
    return int(result)


def rule_of(inputs: dict[str, Any]) -> AuctionLiquidation:
    return AuctionLiquidation(
        start=inputs["fast_start"], turn=inputs["fast_end"], fast_seconds=inputs["fast_s"], slow_seconds=inputs["slow_s"],
        buffer=inputs["buffer"],
    )  # fmt: skip


@pytest.mark.parametrize("row", rows_of("derive.solvent_bid_cash"))
def test_published_bids_come_out_of_the_running_rule(row):
    inputs, expected = row["inputs"], row["expected"]
    equity = inputs["mark_to_market"]
    state = under_auction(equity, equity - inputs["maintenance_margin"], inputs["elapsed_s"])
    before = worth(state, BIDDER)[0]
    assert bid(state, rule_of(inputs), inputs["requested_share"]) == FILLED
    share = state.positions["lots"][BIDDER, 0] * LOT / SIZE
    assert share == pytest.approx(expected["share"], abs=1e-5)
    assert share * equity - (worth(state, BIDDER)[0] - before) == pytest.approx(expected["cash_from_bidder"], abs=0.01)


@pytest.mark.parametrize("row", rows_of("derive.insolvent_auction_payout"))
def test_published_payouts_come_out_of_the_running_rule(row):
    inputs = row["inputs"]
    equity = inputs["mark_to_market"]
    state = under_auction(equity, equity - inputs["maintenance_margin"], inputs["elapsed_s"])
    rule = AuctionLiquidation(insolvent_seconds=inputs["length_s"])
    assert bid(state, rule, inputs["share"]) == FILLED
    assert 1e6 - state.funds["balance"][0] == pytest.approx(row["expected"]["payout_to_bidder"], abs=1e-6)
    assert state.positions["lots"][BIDDER, 0] * LOT == pytest.approx(inputs["share"] * SIZE)
    assert worth(state, OWNER)[0] == pytest.approx((1.0 - inputs["share"]) * equity, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    part=st.floats(0.02, 0.98),
    elapsed=st.integers(0, 7000),
    first=st.floats(0.0, 0.5),
    buffer=st.floats(0.0, 0.3),
    later=st.integers(0, 600),
)
def test_the_largest_bids_restore_margin_and_buffer_and_no_more(part, elapsed, first, buffer, later):
    """However the auction got there: after a bid for all that is offered, equity = (1 + buffer) x maintenance margin."""
    state = under_auction(400.0 * part, 400.0, elapsed)
    rule = AuctionLiquidation(buffer=buffer)
    if first > 0.001:
        bid(state, rule, first)
        state.venue["block"] += later
    if worth(state, OWNER)[0] < worth(state, OWNER)[1]:
        assert bid(state, rule) == FILLED
        equity, maintenance = worth(state, OWNER)
        assert equity == pytest.approx((1.0 + buffer) * maintenance, abs=1e-3)
    assert bid(state, rule) == NOT_LIQUIDATABLE


def test_a_bidder_takes_what_its_margin_carries():
    state = under_auction(300.0, 400.0, 300.0, bidder=50.0)
    assert bid(state, AuctionLiquidation()) == FILLED
    equity, maintenance = worth(state, BIDDER)
    assert 0.0 < 2.0 * maintenance <= equity + 1e-9
    assert state.positions["lots"][BIDDER, 0] * LOT < 0.341 * SIZE / 2.0
    poor = under_auction(300.0, 400.0, 0.0, bidder=1e-9)
    assert bid(poor, AuctionLiquidation()) == UNDERCOLLATERALISED
    assert bid(poor, AuctionLiquidation(), bidder=-1) == NO_LIQUIDITY


def test_after_the_slow_phase_the_bidder_is_paid_and_the_owner_keeps_nothing():
    state = under_auction(300.0, 400.0, 600.0 + 7200.0 + 300.0)
    assert bid(state, AuctionLiquidation()) == FILLED
    assert 1e6 - state.funds["balance"][0] == pytest.approx(0.5 * 100.0)
    assert worth(state, OWNER)[0] == pytest.approx(0.0, abs=1e-9)
    assert worth(state, BIDDER)[0] == pytest.approx(1e6 + 300.0 + 50.0)


def test_what_the_fund_cannot_pay_everybody_with_money_pays_in_proportion():
    state = under_auction(-100.0, 200.0, 300.0, fund=80.0, bidder=15_000.0)
    assert bid(state, AuctionLiquidation()) == FILLED
    assert state.funds["balance"][0] == pytest.approx(0.0, abs=1e-9)
    assert state.accounts["socialised"][DEPOSITOR] == pytest.approx(-120.0 * 5_000.0 / 20_000.0)
    assert state.accounts["socialised"][BIDDER] == pytest.approx(-120.0 * 15_000.0 / 20_000.0)
    assert worth(state, BIDDER)[0] == pytest.approx(15_000.0 + 100.0 - 90.0)
    assert worth(state, OWNER)[0] == pytest.approx(0.0, abs=1e-9)


def test_withdrawals_stop_while_the_fund_is_short_of_insolvent_margin():
    for row in rows_of("derive.withdraw_blocked"):
        state = under_auction(-100.0, 500.0, 10.0, fund=row["inputs"]["security_module_cash"])
        state.accounts["equity"][OWNER], state.accounts["maintenance_margin"][OWNER] = -100.0, row["inputs"]["total_insolvent_mm"] - 100.0
        gate_withdrawals(state.venue, state.accounts, state.funds)
        assert (state.venue["withdrawals_blocked_until"][0] > state.venue["block"][0]) == row["expected"]["blocked"]


def auctioned(**changes: Any) -> Any:
    """The small venue with auctions, and keepers with money."""
    venue = replace(
        small_venue(2), liquidation=AuctionLiquidation(), enforcement=KeeperEnforcement(reward_fraction=0.0),
        deleveraging=NoDeleveraging(), guards=(InsolventAuctionGate(),), **changes,
    )  # fmt: skip
    depth = Group(name="depth", strategy=SteadyDepth(density=30_011.0, reach=0.02, levels=8), members=1, capital=5e6)
    population = [
        depth,
        *others()[1:],
        Group(name="bidders", strategy=Keepers(scan_seconds=60.0), members=3, capital=100_000.0),
        Group(name="isolated bidders", strategy=Keepers(scan_seconds=60.0), members=2, capital=50_000.0, margin="isolated"),
        Group(name="savers", strategy=Holders(leverage=1e-6), members=2, capital=10_000.0),
    ]
    return small_model(venue, population, 100).run()


def test_auctions_carry_a_crash():
    model = auctioned(insurance_fund=200.0)
    taken = model.frames()["liquidations"].filter(pl.col("result") == "taken_over")
    assert taken.height > 5
    assert set(taken["keeper_cohort"].cast(pl.String)) <= {"keepers", "bidders", "isolated bidders"}
    assert (taken["block"] > taken["trigger_block"]).any()  # they wait until it pays
    assert model.state.accounts["rewards"].sum() > 0.0
    savers = model.state.accounts["cohort"] == 7
    assert (model.state.accounts["socialised"][savers] < 0.0).all()  # the fund was not enough


def test_socialised_over_deposits_those_without_positions_pay_too():
    def losses(over: str) -> np.ndarray:
        venue = replace(small_venue(1), deleveraging=SocialisedLoss(over=over), insurance_fund=0.0)
        idle = Group(name="savers", strategy=Keepers(gas_budget=0.0), members=2, capital=10_000.0)
        state = small_model(venue, [*others(), idle], 100).run().state
        assert state.accounts["socialised"].min() < 0.0
        return np.array(state.accounts["socialised"][-2:])

    assert (losses("positions") == 0.0).all()
    assert (losses("deposits") < 0.0).all()


def test_a_price_that_rises_is_no_auction():
    with pytest.raises(ParameterError, match=r"AuctionLiquidation.turn: 0.9 is more than start 0.8"):
        AuctionLiquidation(start=0.8, turn=0.9)
