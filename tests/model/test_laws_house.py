"""Venues that are their traders' other side: nothing is lost between traders, curve, pool and fund, whatever they do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from abm.agents.arbitrageurs import Arbitrageurs
from abm.agents.base import Group, Trader
from abm.agents.hedgers import Hedgers
from abm.agents.keepers import Keepers
from abm.agents.liquidity_providers import LiquidityProviders
from abm.agents.pool_providers import PoolProviders
from abm.agents.range_providers import RangeProviders
from abm.agents.scalpers import Scalpers
from abm.agents.takers import Takers
from abm.agents.whales import Whales
from abm.distributions import LogNormal
from abm.kernels.virtual_market import reserves
from abm.mechanisms.deleveraging import PoolDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.guards import Guard
from abm.mechanisms.liquidation import PartialLiquidation
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.mark import MidMark
from abm.mechanisms.oracle_pool import OraclePool, SkewedPool
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.twap_funding import TwapPremiumFunding
from abm.mechanisms.virtual_amm import VirtualAmm
from abm.model import PerpModel
from abm.state import BAR_RISK, BAR_TRADES, JOIN_POOL, LEAVE_POOL, NOT_OFFERED, OUT_OF_RANGE, POOLED, Capacity
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from tests.model.small_worlds import EVERY_BLOCK, Path, listing, plain_venue

LEAST = settings(max_examples=30, deadline=None)
SIZES = st.lists(st.tuples(st.integers(0, 2), st.floats(-50.0, 50.0)), min_size=1, max_size=12)


def scripted(clearing, traders=3, capital=1e6, prices=(1000.0,), blocks=40, **changes):
    """A frictionless venue of one market around `clearing`, and some accounts."""
    model = PerpModel(
        plain_venue(clearing=clearing, **changes), Path(prices=tuple((price,) for price in prices)), [], blocks=blocks,
        recording=EVERY_BLOCK, spare_accounts=traders, check=True,
        capacity=Capacity(orders=1 << 9, conditionals=16, transactions=64, records=1 << 10),
    )  # fmt: skip
    return model, [Trader(model, capital=capital) for _ in range(traders)]


def trade(trader, size):
    if size > 0.0:
        trader.buy("BTC", size, limit=1999.0, immediate_or_cancel=True)
    elif size < 0.0:
        trader.sell("BTC", -size, limit=1.0, immediate_or_cancel=True)


def send(trader, kind, amount):
    """A transaction that only the pool knows."""
    mask = np.array([True])
    trader._orders._append(trader._orders._members(mask), kind, 0, 0, 0, 0, 0, 2**62, amount, -1, 0.0)


@LEAST
@given(orders=SIZES)
def test_a_round_trip_on_the_curve_restores_it_and_nobody_has_gained(orders):
    model, traders = scripted(VirtualAmm(quote_reserve=1e6), mark=MidMark(), margin=FlatMargin(initial_margin_fraction=1e-3))
    memory = model.memory["clearing"]
    before = reserves(model.state.positions, model.state.markets, memory.curves, 0)
    for who, size in orders:
        trade(traders[who], size)
        model.step()
    for trader in traders:
        trader.close("BTC")
    model.step()
    for trader in traders:
        trade(trader, -trader.position("BTC"))
    model.step()
    assert not model.state.positions["lots"].any()
    assert reserves(model.state.positions, model.state.markets, memory.curves, 0) == pytest.approx(before, rel=1e-12)
    profits = model.state.accounts["collateral"] - model.state.accounts["net_deposits"]
    assert profits.sum() + model.state.funds["balance"].sum() == pytest.approx(0.0, abs=1e-12 * 3e6)
    assert profits[:3].sum() == pytest.approx(0.0, abs=1e-12 * 3e6)


@LEAST
@given(orders=SIZES, prices=st.lists(st.floats(700.0, 1300.0), min_size=12, max_size=12))
@example(orders=[(0, 0.0), (0, -1.0)], prices=[1057.0, *[700.0] * 11])
def test_fees_and_pegs_leave_the_curve_able_to_pay(orders, prices):
    """What the curve holds is never less than what it owes to its traders on the curve, as pegs move only as far as fees pay.

    The spread beyond which the peg moves whatever it costs is out of reach.
    """
    clearing = VirtualAmm(quote_reserve=1e6, half_spread=0.001, profit="fee pool", repeg_seconds=1.0, repeg_spread=1e3)
    model, traders = scripted(clearing, prices=(1000.0, *prices), mark=MidMark(), fees=FlatFees(maker=-0.001, taker=0.001))
    for who, size in orders:
        trade(traders[who], size)
        model.step()
    fees = model.state.accounts["fees"]
    assert fees[:3].sum() == pytest.approx(-fees[3], abs=1e-9)
    assert model.state.funds["balance"][0] >= -1e-6
    for trader in traders:
        trade(trader, -trader.position("BTC"))
    model.step()
    house = model.state.accounts[3]
    if not model.state.positions["lots"].any():
        assert house["collateral"] >= -1e-6


def test_orders_fill_up_to_their_limit_and_never_rest():
    model, (first, second, _) = scripted(VirtualAmm(quote_reserve=1e6), mark=MidMark())
    first.buy("BTC", 500.0, limit=1010.0)
    second.sell("BTC", 1.0, limit=1500.0)
    second.buy("BTC", 1.0, limit=900.0, post_only=True)
    model.step()
    assert first.position("BTC") == pytest.approx(1000.0 * (1.0 - (1000.0 / 1010.0) ** 0.5), rel=1e-4)
    assert second.position("BTC") == 0.0
    assert list(model.state.ended_orders["reason"][:3]) == [NOT_OFFERED, NOT_OFFERED, NOT_OFFERED]
    assert (model.state.accounts["open_orders"][:3] == 0).all()


def test_quotes_are_the_curve():
    """Buying what rests up to a level moves the price to that level."""
    model, (trader, *_) = scripted(VirtualAmm(quote_reserve=1e6, quote_levels=10, quote_reach=0.02), mark=MidMark())
    state = model.state
    ticks = np.flatnonzero(state.levels["lots"][0])
    asks = ticks[ticks >= state.markets["best_ask"][0]]
    size = state.levels["lots"][0][asks].sum() * 1e-6
    trader.buy("BTC", size, limit=1999.0, immediate_or_cancel=True)
    model.step()
    middle = 0.5 * (state.markets["best_bid"][0] + state.markets["best_ask"][0]) * 0.01
    assert middle == pytest.approx(asks[-1] * 0.01, abs=0.02)


def test_an_order_beyond_the_band_fails_as_a_whole():
    model, (trader, *_) = scripted(VirtualAmm(quote_reserve=1e6, band=0.01), mark=MidMark())
    trade(trader, 20.0)
    model.step()
    assert trader.position("BTC") == 0.0
    assert model.state.ended_orders["reason"][0] == OUT_OF_RANGE
    trade(trader, 4.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(4.0)


def test_a_liquidation_takes_a_quarter_then_everything_and_the_fund_pays_what_is_missing():
    """Perp v1: a part while the margin ratio on the curve is above the fee, else all; keepers get half the fee."""
    terms = PartialLiquidation(max_fee=0.0125, min_position_notional=0.0, max_position_portion=0.25, max_notional_per_block=1e12)
    model, (weak, strong, keeper) = scripted(
        VirtualAmm(quote_reserve=1e6), capital=100_000.0, mark=MidMark(), liquidation=terms, insurance_fund=10_000.0,
        margin=FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.625),
        enforcement=KeeperEnforcement(reward_fraction=0.00625),
    )  # fmt: skip
    state = model.state
    trade(weak, 40.0)
    model.step()
    state.accounts["collateral"][0] -= 98_900.0
    state.accounts["net_deposits"][0] -= 98_900.0
    state.venue["net_deposits"] -= 98_900.0
    trade(strong, -2.0)
    model.step()
    for _ in range(2):
        keeper._orders.liquidate(np.array([True]), 0)
        model.step()
    trade(strong, -20.0)
    model.step()
    keeper._orders.liquidate(np.array([True]), 0)
    model.step()
    done = state.liquidations[: int(state.venue["liquidations"][0])]
    done = done[done["result"] == 0]
    shares = done["lots"] / np.array([40_000_000, 30_000_000, 22_500_000])[: len(done)]
    assert len(done) >= 2
    assert shares[0] == pytest.approx(0.25)
    assert shares[-1] == pytest.approx(1.0)
    assert done["fund_delta"][0] == pytest.approx(0.0125 * done["notional"][0])
    assert done["reward"][0] == pytest.approx(0.00625 * done["notional"][0])
    assert done["fund_delta"][-1] < 0.0
    assert weak.position("BTC") == 0.0
    assert state.accounts["collateral"][0] == 0.0
    assert state.accounts["rewards"][2] == pytest.approx(done["reward"].sum())


def test_the_fund_pays_the_imbalance_of_funding_and_stops_it_when_it_cannot():
    funding = TwapPremiumFunding(window_seconds=5.0, settlement_seconds=5.0)
    runs = []
    for fund in (1_000.0, 1e-3):
        model, (trader, *_) = scripted(
            VirtualAmm(quote_reserve=1e6), mark=MidMark(), funding=funding, insurance_fund=fund, fees=FlatFees(maker=0.0, taker=0.0)
        )
        trade(trader, -20.0)
        for _ in range(12):
            model.step()
        runs.append((model.state.accounts["funding"][0], model.state.funds["balance"][0], int(model.state.venue["funding_payments"][0])))
    # Shorts have pushed the price down, so they pay; the curve's account is the long and gets it for the fund.
    assert runs[0][0] < 0.0
    assert runs[0][1] == pytest.approx(1_000.0 - runs[0][0])
    model, (trader, *_) = scripted(
        VirtualAmm(quote_reserve=1e6), mark=MidMark(), funding=funding, insurance_fund=1e-3, prices=(1000.0, 1500.0)
    )
    trade(trader, 20.0)
    for _ in range(12):
        model.step()
    # Longs below the oracle are owed funding that this fund does not have.
    assert model.state.accounts["funding"][0] == 0.0
    assert model.state.venue["funding_payments"][0] == 0


@dataclass(frozen=True, kw_only=True)
class Bar(Guard):
    """Bars something in every market from a block on."""

    what: int
    start: int = 1

    def watch(self, state, memory):
        if state.venue["block"].item() >= self.start:
            state.markets["barred"] |= self.what


@pytest.mark.parametrize("clearing", [VirtualAmm(quote_reserve=1e6), SkewedPool(initial_liquidity=1e6, delay_seconds=0.0)])
@pytest.mark.parametrize(("what", "left"), [(BAR_TRADES, 2.0), (BAR_RISK, 1.0)])
def test_what_a_guard_bars_holds_on_a_curve_and_in_a_pool(clearing, what, left):
    model, (trader, *_) = scripted(clearing, guards=(Bar(what=what, start=3),))
    trade(trader, 2.0)
    model.step()
    model.step()
    held = trader.position("BTC")
    assert held == pytest.approx(2.0)
    for _ in range(3):
        model.step()
    trade(trader, 2.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(held)
    trade(trader, -1.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(left)


STEPS = st.lists(
    st.tuples(st.sampled_from(["trade", "join", "leave"]), st.integers(0, 2), st.floats(-1.0, 1.0).filter(lambda x: abs(x) > 1e-3)),
    min_size=1, max_size=12,
)  # fmt: skip


@LEAST
@given(steps=STEPS, prices=st.lists(st.floats(800.0, 1250.0), min_size=12, max_size=12), skewed=st.booleans())
def test_shares_reserves_and_money_of_a_pool_add_up(steps, prices, skewed):
    """Conservation is checked in every block; joining and leaving leave what a share is worth to others unchanged."""
    clearing = SkewedPool(initial_liquidity=1e6, skew_scale=1e8) if skewed else OraclePool(initial_liquidity=1e6, borrowing_seconds=2.0)
    model, traders = scripted(clearing, prices=(1000.0, *prices), fees=FlatFees(maker=-0.0005, taker=0.001))
    state = model.state
    for what, who, part in steps:
        model.step()
        worth = state.pools["value"][0] / state.pools["shares"][0]
        if what == "trade":
            trade(traders[who], 100.0 * part)
        elif what == "join":
            send(traders[who], JOIN_POOL, 1e5 * abs(part))
        else:
            send(traders[who], LEAVE_POOL, abs(part) * state.shares["shares"][who, 0] or 1.0)
        if what != "trade":
            # The same block again with nothing but the join: the pool is valued at its start, so compare with the same mark.
            price = state.markets["oracle"][0]
            model.step()
            if state.markets["oracle"][0] == price and not state.positions["lots"].any():
                assert state.pools["value"][0] / state.pools["shares"][0] == pytest.approx(worth, rel=1e-9)
    model.step()
    assert state.shares["shares"][:, 0].sum() == pytest.approx(state.pools["shares"][0], rel=1e-12)
    for trader in traders:
        trade(trader, -trader.position("BTC"))
    model.step()
    model.step()
    if not state.positions["lots"].any():
        house = state.accounts[3]
        assert state.pools["value"][0] + state.pools["impact"][0] == pytest.approx(house["collateral"], rel=1e-9)


def test_traders_gain_what_shares_lose():
    model, (trader, provider, _) = scripted(
        OraclePool(initial_liquidity=1e6, negative_impact=0.0, positive_impact=0.0), prices=(1000.0,) * 3 + (1100.0,)
    )
    send(provider, JOIN_POOL, 500_000.0)
    model.step()
    trade(trader, 100.0)
    for _ in range(4):
        model.step()
    trade(trader, -100.0)
    model.step()
    model.step()
    assert trader.equity == pytest.approx(1e6 + 10_000.0)
    worth = model.state.shares["shares"][1, 0] * model.state.pools["value"][0] / model.state.pools["shares"][0]
    assert worth - 500_000.0 == pytest.approx(-10_000.0 / 3.0)
    send(provider, LEAVE_POOL, 1e9)
    model.step()
    assert provider.equity == pytest.approx(1e6 - 10_000.0 / 3.0, abs=1e-6) or model.state.accounts["collateral"][1] == pytest.approx(
        1e6 - 10_000.0 / 3.0
    )


def test_profits_are_capped_by_the_pool():
    model, (trader, *_) = scripted(
        OraclePool(initial_liquidity=1e5, reserve_factor=50.0, max_profit=0.5, negative_impact=0.0, positive_impact=0.0),
        prices=(1000.0, 1000.0, 1900.0),
    )  # fmt: skip
    trade(trader, 100.0)
    for _ in range(3):
        model.step()
    trade(trader, -100.0)
    model.step()
    assert trader.position("BTC") == 0.0
    gained = model.state.accounts["collateral"][0] - 1e6
    assert gained < 90_000.0
    assert gained == pytest.approx(90_000.0 * 0.5 * 0.5 * model_value_at_close(1e5, 90_000.0, 0.5) / 90_000.0, rel=0.05)


def test_the_most_profitable_positions_are_closed_before_the_pool_cannot_pay():
    model, traders = scripted(
        OraclePool(initial_liquidity=1e5, reserve_factor=50.0, negative_impact=0.0, positive_impact=0.0, borrowing_seconds=1e6),
        prices=(1000.0, 1000.0, 1400.0), deleveraging=PoolDeleveraging(threshold=0.85, target=0.5),
    )  # fmt: skip
    for trader, size in zip(traders, (100.0, 60.0, -5.0), strict=True):
        trade(trader, size)
    for _ in range(3):
        model.step()
    assert traders[0].position("BTC") == 0.0
    assert traders[2].position("BTC") == pytest.approx(-5.0)
    done = model.state.deleveragings[0]
    assert done["counterparty"] == 0
    assert done["price"] == pytest.approx(1400.0)
    assert model.state.accounts["collateral"][0] == pytest.approx(1e6 + 40_000.0)


def model_value_at_close(tokens, profit, cap):
    """USD of shares while the profit is open: the money less what may be paid of the profit."""
    return tokens - min(profit, cap * 0.5 * tokens)


def test_orders_are_executed_at_the_price_of_later():
    model, (trader, *_) = scripted(
        OraclePool(initial_liquidity=1e6, delay_seconds=2.0, negative_impact=0.0, positive_impact=0.0),
        prices=(1000.0, 1010.0, 1020.0, 1030.0),
    )
    trade(trader, 1.0)
    model.step()
    model.step()
    assert trader.position("BTC") == 0.0
    model.step()
    assert trader.position("BTC") == pytest.approx(1.0)
    assert model.state.positions["entry_value"][0, 0] in (pytest.approx(1010.0), pytest.approx(1020.0))


def everybody(name):
    groups = [
        Group(name="takers", strategy=Takers(), members=150, capital=LogNormal(median=3_000.0, sigma=1.2)),
        Group(name="scalpers", strategy=Scalpers(), members=40, capital=5_000.0),
        Group(name="hedgers", strategy=Hedgers(), members=10, capital=50_000.0),
        Group(name="whales", strategy=Whales(), members=3, capital=200_000.0),
        Group(name="providers", strategy=LiquidityProviders(), members=3, capital=100_000.0),
        Group(name="arbitrageurs", strategy=Arbitrageurs(), members=10, capital=200_000.0),
        Group(name="keepers", strategy=Keepers(), members=4, capital=1_000.0 if name != "perp_v2" else 20_000.0),
    ]
    if name == "perp_v1":
        return groups
    if name == "perp_v2":
        return [*groups, Group(name="range providers", strategy=RangeProviders(), members=20, capital=100_000.0)]
    return [*groups, Group(name="pool providers", strategy=PoolProviders(), members=10, capital=50_000.0)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["perp_v1", "perp_v2", "gmx_v2", "synthetix_v3"])
def test_a_preset_lives_through_a_crash(name):
    venue = PRESETS[name]()
    blocks = round(9_000.0 / venue.seconds_per_block)
    world = Diffusion(
        initial_price=(20_000.0, 1_500.0, 25.0), volatility=0.6, crashes=(Crash(start=3_600.0, duration=2_400.0, depth=0.25),)
    )
    model = PerpModel(venue, world, everybody(name), blocks=blocks, seed=3, check=True).run()
    frames = model.frames()
    markets, cohorts = frames["markets"], frames["cohorts"]
    assert (markets.filter(markets["market"] == "BTC")["volume"].max() or 0.0) > 1e5
    assert len(frames["liquidations"].filter(frames["liquidations"]["result"].is_in(["filled", "taken_over"]))) > 10
    gap = markets["mid"] / markets["index"] - 1.0
    assert gap.abs().mean() < 0.02
    last = cohorts.filter(cohorts["block"] == cohorts["block"].max())
    money = model.state.venue["net_deposits"][0] - model.state.venue["fees"][0]
    held = last["collateral"].sum() + model.state.funds["balance"].sum()
    assert held == pytest.approx(money, rel=1e-9)
    house = last.filter(last["cohort"] == model.rules.clearing.house)
    assert house["long_notional"].item() + house["short_notional"].item() > 0.0
    if POOLED in model.state.offers:
        assert model.state.shares["shares"][:-3].sum() > 0.0


def test_a_cohort_may_not_take_the_name_of_the_venues_account():
    with pytest.raises(ValueError, match="amm"):
        PerpModel(
            replace(plain_venue(listing()), clearing=VirtualAmm()),
            Path(prices=((1000.0,),)),
            [Group(name="amm", strategy=Keepers(), members=1)],
            blocks=1,
        )


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match="profit"):
        VirtualAmm(profit="pocket")
    with pytest.raises(ValueError, match="positive_impact"):
        OraclePool(positive_impact=1e-9, negative_impact=1e-10)
