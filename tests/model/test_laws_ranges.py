"""A venue whose liquidity lies in ranges of prices: what providers hold, earn and lose, and liquidators who take positions over."""

from __future__ import annotations

import json
import math
import pathlib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.agents.arbitrageurs import Arbitrageurs
from abm.agents.base import Group, Trader
from abm.agents.keepers import Keepers
from abm.agents.passive import Holders
from abm.agents.range_providers import RangeProviders
from abm.agents.takers import Takers
from abm.distributions import Uniform
from abm.kernels.liquidator import take_position
from abm.kernels.ranges import impermanent_loss
from abm.mechanisms.concentrated_amm import ConcentratedAmm, provided_ranges
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.guards import IsolatedMarkets
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.mark import MidMark
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.takeover_liquidation import TakeoverLiquidation
from abm.model import PerpModel
from abm.state import (
    FUND_EXHAUSTED,
    ISOLATED_ONLY,
    NO_LIQUIDITY,
    NOBODY,
    NOT_OFFERED,
    OUT_OF_RANGE,
    POOL_FULL,
    TAKEN_OVER,
    UNDERCOLLATERALISED,
    Capacity,
    State,
)
from abm.worlds.crash import Crash
from tests.model.small_worlds import EVERY_BLOCK, Path, listing, plain_diffusion, plain_venue

LEAST = settings(max_examples=30, deadline=None)
ROOMY = {"most_ticks": 0, "oracle_gap": 1e9, "tick_spacing": 10, "fund_share": 0.0}
PERP = FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.625)
ME = np.array([True])


def scripted(traders=3, capital=1e6, prices=(1000.0,), blocks=60, clearing=None, **changes):
    """A frictionless venue of one market with liquidity in ranges, and some accounts."""
    clearing = clearing or ConcentratedAmm(**ROOMY, initial_liquidity=1e5)
    model = PerpModel(
        plain_venue(clearing=clearing, **{"mark": MidMark(), **changes}), Path(prices=tuple((price,) for price in prices)), [],
        blocks=blocks, recording=EVERY_BLOCK, spare_accounts=traders, check=True,
        capacity=Capacity(orders=1 << 10, conditionals=16, transactions=64, records=1 << 10),
    )  # fmt: skip
    capitals = capital if isinstance(capital, tuple) else (capital,) * traders
    return model, [Trader(model, capital=amount) for amount in capitals]


def trade(trader, size, symbol="BTC"):
    if size > 0.0:
        trader.buy(symbol, size, limit=1999.0, immediate_or_cancel=True)
    elif size < 0.0:
        trader.sell(symbol, -size, limit=1.0, immediate_or_cancel=True)


def provide(trader, low, high, amount, market=0):
    trader._orders.add_range(ME, market, low, high, amount)


def withdraw(trader, market=0):
    trader._orders.remove_ranges(ME, market)


def pool(model):
    return model.memory["clearing"].pools[0]


def profit(model, row):
    """USD gained so far, what is held counted at the pool's price."""
    account = model.state.accounts[row]
    held = model.state.positions["lots"][row, 0] * model.state.markets["lot"][0] * float(pool(model)["root"]) ** 2
    return float(account["collateral"] - account["net_deposits"] + held)


@LEAST
@given(size=st.floats(-60.0, 60.0).filter(lambda x: abs(x) > 0.1), reach=st.floats(0.02, 0.5))
def test_a_provider_loses_the_impermanent_loss_of_its_range(size, reach):
    """Without fees, what it gains or loses is what its range is worth less what holding would be."""
    model, (maker, taker, _) = scripted()
    provide(maker, 1000.0 * (1.0 - reach), 1000.0 * (1.0 + reach), 500_000.0)
    model.step()
    record = model.state.ranges[0].copy()
    trade(taker, size)
    model.step()
    now = float(pool(model)["root"])
    loss = impermanent_loss(record["liquidity"], record["entry"], now, math.sqrt(record["lowest"]), math.sqrt(record["highest"]))
    lot_value = now * now * 1e-6
    (listed,) = provided_ranges(model.state)
    assert listed["account"] == maker.row
    assert listed["impermanent_loss"] == pytest.approx(loss, rel=1e-9)
    assert listed["worth"] == pytest.approx(listed["coins"] * now * now + listed["money"], rel=1e-9)
    assert loss > 0.0
    assert profit(model, maker.row) == pytest.approx(-loss, rel=1e-6, abs=2.0 * lot_value)
    assert maker.position("BTC") * size < 0.0
    assert model.state.ranges["lots"][0] == model.state.positions["lots"][maker.row, 0]
    # The mark is the pool's price to half a tick, and the margin of the next block sees all of it.
    model.step()
    assert maker.equity == pytest.approx(1e6 - loss, abs=0.02 * abs(maker.position("BTC")) + 0.01)
    assert float(model.state.accounts["maintenance_margin"][maker.row]) > 0.0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["trade", "provide", "withdraw"]), st.integers(0, 2), st.floats(-1.0, 1.0).filter(lambda x: abs(x) > 1e-3),
        st.floats(0.005, 0.6), st.booleans(),
    ),
    min_size=1, max_size=14,
)  # fmt: skip


@LEAST
@given(steps=STEPS, fund_share=st.sampled_from([0.0, 0.1, 1.0]))
def test_nothing_is_lost_between_takers_providers_pool_and_fund(steps, fund_share):
    """Conservation is checked in every block; in the end everybody has got what others paid, to less than a lot a range."""
    clearing = ConcentratedAmm(**{**ROOMY, "fund_share": fund_share}, initial_liquidity=1e5)
    model, traders = scripted(clearing=clearing, fees=FlatFees(maker=0.0, taker=0.001), insurance_fund=0.0)
    state = model.state
    opened = 0
    for what, who, part, reach, wait in steps:
        if what == "trade":
            trade(traders[who], 30.0 * part)
        elif what == "provide":
            provide(traders[who], 1000.0 * (1.0 + part * reach - reach / 2), 1000.0 * (1.0 + part * reach + reach), 2e5)
            opened += 1
        else:
            withdraw(traders[who])
        if wait:
            model.step()
    for trader in traders:
        withdraw(trader)
    model.step()
    assert (state.ranges["account"] == NOBODY).all()
    assert len(provided_ranges(state)) == 0
    assert not model.memory["clearing"].counts.any()
    house = model.state.markets["house"][0]
    own = state.accounts["fees"][house] + state.accounts["liquidation"][house]
    trading = -state.accounts["fees"][:3][state.accounts["fees"][:3] < 0.0].sum()
    assert state.accounts["fees"].sum() == pytest.approx(0.0, abs=1e-9 * (1.0 + trading))
    assert state.funds["balance"][0] == pytest.approx(-state.accounts["liquidation"][house], abs=1e-9)
    assert own >= -1e-6
    for _ in range(3):
        for trader in traders:
            trade(trader, -trader.position("BTC"))
        model.step()
    # Positions are closed: the pool is back where it was, but for what rounding has left with the venue's own account.
    assert not state.positions["lots"][:3].any()
    assert float(pool(model)["root"]) ** 2 == pytest.approx(1000.0, rel=1e-5 * (1 + opened))
    gains = state.accounts["collateral"] - state.accounts["net_deposits"]
    assert gains.sum() + state.funds["balance"][0] == pytest.approx(0.0, abs=1e-9 * 3e6)


def test_fees_go_to_the_ranges_that_were_traded_with_and_to_the_fund():
    clearing = ConcentratedAmm(**{**ROOMY, "fund_share": 0.2}, initial_liquidity=0.0)
    model, (narrow, wide, taker) = scripted(clearing=clearing, fees=FlatFees(maker=0.0, taker=0.002))
    provide(narrow, 995.0, 1005.0, 100_000.0)
    provide(wide, 500.0, 1500.0, 100_000.0)
    model.step()
    ranges = model.state.ranges
    liquidity = {int(row["account"]): float(row["liquidity"]) for row in ranges[:2]}
    trade(taker, 5.0)
    model.step()
    fees = model.state.accounts["fees"]
    assert float(pool(model)["root"]) ** 2 < 1005.0
    assert fees[taker.row] == pytest.approx(-0.002 * model.state.markets["volume"][0])
    assert model.state.funds["balance"][0] == pytest.approx(-0.2 * fees[taker.row])
    assert fees[narrow.row] / fees[wide.row] == pytest.approx(liquidity[narrow.row] / liquidity[wide.row], rel=1e-9)
    assert fees[narrow.row] + fees[wide.row] == pytest.approx(-0.8 * fees[taker.row])
    assert ranges["fees"][ranges["account"] == narrow.row] == pytest.approx(fees[narrow.row])


def test_a_removed_range_leaves_its_inventory_as_a_position():
    model, (maker, taker, _) = scripted(clearing=ConcentratedAmm(**ROOMY, initial_liquidity=0.0))
    provide(maker, 900.0, 1100.0, 500_000.0)
    model.step()
    trade(taker, 40.0)
    model.step()
    withdraw(maker)
    model.step()
    assert maker.position("BTC") == pytest.approx(-40.0, abs=1e-6)
    assert pool(model)["liquidity"] == 0.0
    trade(taker, -40.0)
    withdraw(maker)
    model.step()
    assert taker.position("BTC") == pytest.approx(40.0)
    assert set(model.state.ended_orders["reason"][:2]) == {NO_LIQUIDITY, OUT_OF_RANGE}


def test_orders_fill_up_to_their_limit_and_never_rest():
    model, (first, second, _) = scripted()
    first.buy("BTC", 500.0, limit=1010.0)
    second.sell("BTC", 1.0, limit=1500.0)
    second.buy("BTC", 1.0, limit=900.0, post_only=True)
    model.step()
    assert float(pool(model)["root"]) ** 2 == pytest.approx(1010.0, rel=1e-6)
    assert second.position("BTC") == 0.0
    assert list(model.state.ended_orders["reason"][:3]) == [NOT_OFFERED] * 3
    assert (model.state.accounts["open_orders"][:3] == 0).all()


def test_quotes_are_the_pool():
    """Buying what rests up to a level moves the price to that level."""
    clearing = ConcentratedAmm(**ROOMY, initial_liquidity=1e5, quote_levels=10, quote_reach=0.02)
    model, (maker, trader, _) = scripted(clearing=clearing)
    provide(maker, 1005.0, 1015.0, 200_000.0)
    model.step()
    state = model.state
    ticks = np.flatnonzero(state.levels["lots"][0])
    asks = ticks[ticks >= state.markets["best_ask"][0]]
    trader.buy("BTC", state.levels["lots"][0][asks].sum() * 1e-6, limit=1999.0, immediate_or_cancel=True)
    model.step()
    assert float(pool(model)["root"]) ** 2 == pytest.approx(asks[-1] * 0.01, abs=0.01)


def test_an_order_that_crosses_too_many_ticks_fails_as_a_whole_until_the_price_is_taken_anew():
    clearing = ConcentratedAmm(**{**ROOMY, "most_ticks": 100}, initial_liquidity=1e6, limit_seconds=5.0)
    model, (trader, *_) = scripted(clearing=clearing)
    trade(trader, 4.5)
    model.step()
    assert trader.position("BTC") == 0.0
    assert model.state.ended_orders["reason"][0] == OUT_OF_RANGE
    trade(trader, 3.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(3.0)
    assert float(pool(model)["root"]) ** 2 < 1000.0 * 1.0001**100
    for _ in range(3):
        trade(trader, 3.0)
        model.step()
    assert trader.position("BTC") == pytest.approx(3.0)
    model.step()
    trade(trader, 3.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(6.0)


def test_far_from_the_oracle_only_trades_that_narrow_the_gap_pass():
    clearing = ConcentratedAmm(**{**ROOMY, "oracle_gap": 0.1}, initial_liquidity=1e6)
    model, (trader, *_) = scripted(clearing=clearing, prices=(1000.0, 800.0))
    trade(trader, 1.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(1.0)
    model.step()
    trade(trader, 1.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(1.0)
    trade(trader, -20.0)
    model.step()
    assert trader.position("BTC") == pytest.approx(-19.0)
    assert float(pool(model)["root"]) ** 2 > 880.0


def test_ranges_need_margin_and_money_behind_them_cannot_be_withdrawn():
    model, (maker, *_) = scripted(capital=10_000.0, margin=PERP)
    provide(maker, 900.0, 1100.0, 100_100.0)
    model.step()
    assert model.state.ended_orders["reason"][0] == UNDERCOLLATERALISED
    assert (model.state.ranges["account"] == NOBODY).all()
    provide(maker, 900.0, 1100.0, 50_000.0)
    model.step()
    maker._orders.withdraw(ME, 5_100.0)
    model.step()
    assert model.state.accounts["collateral"][maker.row] == 10_000.0
    maker._orders.withdraw(ME, 4_900.0)
    model.step()
    assert model.state.accounts["collateral"][maker.row] == pytest.approx(5_100.0)
    trade(maker, 2.0)
    model.step()
    assert maker.position("BTC") == 0.0


def test_bad_ranges_and_a_full_table_are_refused():
    model, (maker, other, _) = scripted(clearing=ConcentratedAmm(**ROOMY, most_ranges=2))
    for low, high, amount in ((1100.0, 900.0, 1e3), (900.0, 900.0, 1e3), (900.0, 1100.0, 0.0), (900.0, 1100.0, -5.0)):
        provide(maker, low, high, amount)
    model.step()
    assert list(model.state.ended_orders["reason"][:4]) == [OUT_OF_RANGE] * 4
    for trader in (maker, other, maker):
        provide(trader, 900.0, 1100.0, 1e3)
    model.step()
    assert sorted(model.state.ranges["account"]) in ([maker.row, maker.row], [maker.row, other.row])
    assert model.state.ended_orders["reason"][0] == POOL_FULL
    withdraw(other)
    model.step()
    with pytest.raises(ValueError, match="finite"):
        provide(maker, math.nan, 1100.0, 1e3)


def test_an_isolated_market_cannot_be_held_beside_a_range_elsewhere():
    venue = plain_venue(
        listing("BTC"), listing("ETH"), clearing=ConcentratedAmm(**ROOMY), mark=MidMark(), guards=(IsolatedMarkets(symbols=("ETH",)),)
    )
    model = PerpModel(venue, Path(prices=((1000.0, 1000.0),)), [], blocks=10, spare_accounts=1, check=True)
    trader = Trader(model, capital=1e6)
    provide(trader, 900.0, 1100.0, 1e4)
    model.step()
    trade(trader, 1.0, "ETH")
    provide(trader, 900.0, 1100.0, 1e4, market=1)
    trade(trader, 1.0, "BTC")
    model.step()
    assert list(model.state.ended_orders["reason"][:2]) == [ISOLATED_ONLY, ISOLATED_ONLY]
    assert trader.position("BTC") == pytest.approx(0.9, abs=0.1)  # it bought a part from itself


@pytest.mark.parametrize("fund", [0.0, 30.0, 1e4])
def test_a_provider_that_owes_money_and_holds_nothing_loses_its_range(fund):
    model, (maker, taker, _) = scripted(capital=(5_000.0, 1e6, 1e6), insurance_fund=fund, enforcement=KeeperEnforcement())
    state = model.state
    provide(maker, 900.0, 1100.0, 5_000.0)
    model.step()
    trade(taker, 20.0)
    model.step()
    assert maker.position("BTC") < 0.0
    debt = 5_100.0
    state.accounts["collateral"][maker.row] -= debt
    state.accounts["net_deposits"][maker.row] -= debt
    state.venue["net_deposits"] -= debt
    trade(taker, -20.0)
    model.step()
    assert maker.position("BTC") == 0.0
    assert state.accounts["collateral"][maker.row] == 0.0
    assert (state.ranges["account"] == NOBODY).all()
    assert state.funds["balance"][0] == pytest.approx(max(fund - 100.0, 0.0), abs=0.1)
    assert state.accounts["socialised"][maker.row] == pytest.approx(max(100.0 - fund, 0.0), abs=0.1)


# Liquidators who take positions over.


def weak(price=945.0, capital=(11_000.0, 50_000.0, 1e6), fund=10_000.0, **options):
    """An account with 100 coins at 1,000 USD and nearly ten times its money, a liquidator, and a third; then the price falls."""
    options = {"prices": (1000.0, 1000.0, price), "margin": PERP, **options}
    clearing = ConcentratedAmm(**ROOMY, initial_liquidity=1e9)
    model, traders = scripted(
        capital=capital, clearing=clearing, liquidation=TakeoverLiquidation(), insurance_fund=fund,
        enforcement=KeeperEnforcement(reward_fraction=0.0), mark=plain_venue().mark, **options,
    )  # fmt: skip
    trade(traders[0], 100.0)
    for _ in range(2):
        model.step()
    return model, traders


ROWS = [
    row
    for row in json.loads((pathlib.Path(__file__).parents[1] / "reference" / "perp_v2.json").read_text(encoding="utf-8"))
    if row["mechanism"] == "perp2.liquidation"
]


@pytest.mark.parametrize("row", ROWS)
def test_published_take_overs_come_out_of_the_running_rule(row):
    """The rows of Perp v2's own tests, as positions of an account that a rich liquidator asks for."""
    inputs, expected, close = row["inputs"], row["expected"], {"abs": 1e-5}
    given, k = inputs["positions"], inputs["liquidate_index"]
    state = State(2, [f"M{j}" for j in range(len(given))], [1 << 10] * len(given), 1.0, Capacity(8, 1, 1, 8))
    state.markets["lot"] = 1e-9
    state.markets["mark"] = [position["mark"] for position in given]
    state.margin_tiers["initial"], state.margin_tiers["maintenance"] = 0.1, inputs["mm_ratio"]
    state.accounts["collateral"] = inputs["collateral"] + sum(position["open_notional"] for position in given), 1e9
    state.funds["balance"] = 1e6
    for j, position in enumerate(given):
        state.positions["lots"][0, j] = round(position["size"] * 1e9)
        state.positions["entry_value"][0, j] = -position["open_notional"]
        state.markets["open_interest"][j] = max(state.positions["lots"][0, j], 0)
    rule = TakeoverLiquidation(penalty=inputs["penalty_ratio"], whole_below=inputs["min_partial_value"])
    before = state.accounts["collateral"].copy()
    arguments = (state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.liquidations)
    assert take_position(*arguments, rule.terms(), 0, 1, k, 0, 0, 0.0, np.uint64(0)) == 0
    moved = state.positions["lots"][1, k] * 1e-9
    after = state.accounts["collateral"]
    assert moved == pytest.approx(expected["liquidated_size"], **close)
    assert after[1] - before[1] == pytest.approx(expected["liquidator_notional"], **close)
    assert state.funds["balance"][0] - 1e6 == pytest.approx(expected["insurance_fund_fee"], **close)
    assert before[0] - after[0] == pytest.approx(expected["penalty"] - expected["notional"], **close)


def take_over(model, keeper, target):
    keeper._orders.liquidate(ME, target.row)
    model.step()
    return model.state.liquidations[int(model.state.venue["liquidations"][0]) - 1].copy()


def test_half_is_taken_at_the_mark_and_the_penalty_is_shared():
    model, (owner, keeper, _) = weak()
    before = model.state.accounts["collateral"].copy()
    fund = float(model.state.funds["balance"][0])
    record = take_over(model, keeper, owner)
    assert record["result"] == TAKEN_OVER
    assert owner.position("BTC") == pytest.approx(50.0)
    assert keeper.position("BTC") == pytest.approx(50.0)
    notional = 50.0 * 945.0
    after = model.state.accounts["collateral"]
    assert after[owner.row] - before[owner.row] == pytest.approx(notional * (1.0 - 0.025))
    assert after[keeper.row] - before[keeper.row] == pytest.approx(-notional * (1.0 - 0.0125))
    assert model.state.funds["balance"][0] - fund == pytest.approx(notional * 0.0125)
    assert record["reward"] == pytest.approx(notional * 0.0125)
    assert record["price"] == 945.0


def test_below_half_of_maintenance_margin_all_of_it_is_taken():
    model, (owner, keeper, _) = weak(price=915.0)
    record = take_over(model, keeper, owner)
    assert record["lots"] == 100_000_000
    assert owner.position("BTC") == 0.0
    assert model.state.accounts["collateral"][owner.row] >= 0.0


def test_below_zero_the_liquidator_gets_the_whole_penalty_and_the_fund_pays_the_debt():
    model, (owner, keeper, _) = weak(price=880.0)
    collateral = float(model.state.accounts["collateral"][owner.row])
    record = take_over(model, keeper, owner)
    debt = -(collateral + 100.0 * 880.0 * (1.0 - 0.025))
    assert debt > 0.0
    assert record["reward"] == pytest.approx(100.0 * 880.0 * 0.025)
    assert record["fund_delta"] == pytest.approx(-debt)
    assert model.state.funds["balance"][0] == pytest.approx(10_000.0 - debt)
    assert model.state.accounts["collateral"][owner.row] == 0.0


def test_a_fund_that_cannot_pay_freezes_the_liquidation():
    model, (owner, keeper, _) = weak(price=880.0, fund=1_000.0)
    record = take_over(model, keeper, owner)
    assert record["result"] == FUND_EXHAUSTED
    assert owner.position("BTC") == pytest.approx(100.0)
    assert keeper.position("BTC") == 0.0


def test_a_liquidator_takes_what_its_margin_carries():
    model, (owner, keeper, _) = weak(capital=(11_000.0, 2_000.0, 1e6))
    record = take_over(model, keeper, owner)
    # Initial margin of a tenth, of which the reward brings an eightieth at once.
    assert keeper.position("BTC") == pytest.approx(2_000.0 / (945.0 * (0.1 - 0.0125)), rel=0.002)
    assert record["lots"] < record["lots_wanted"]


def test_one_without_money_takes_nothing_and_does_not_stand_in_the_way():
    model, (owner, keeper, third) = weak(capital=(11_000.0, 1e-5, 1e6))
    assert take_over(model, keeper, owner)["result"] == UNDERCOLLATERALISED
    assert take_over(model, third, owner)["result"] == TAKEN_OVER
    assert third.position("BTC") == pytest.approx(50.0)


def test_a_providers_ranges_are_removed_before_its_position_is_taken():
    model, (maker, keeper, taker) = scripted(
        capital=(12_000.0, 100_000.0, 1e6), prices=(1000.0,) * 3 + (800.0,), margin=PERP, liquidation=TakeoverLiquidation(),
        enforcement=KeeperEnforcement(reward_fraction=0.0), mark=plain_venue().mark, insurance_fund=1e5,
        clearing=ConcentratedAmm(**ROOMY, initial_liquidity=100.0),
    )  # fmt: skip
    provide(maker, 800.0, 1010.0, 100_000.0)
    model.step()
    trade(taker, -80.0)
    for _ in range(3):
        model.step()
    assert maker.position("BTC") == pytest.approx(80.0, rel=1e-3)
    record = take_over(model, keeper, maker)
    assert record["result"] == TAKEN_OVER
    assert (model.state.ranges["account"] == NOBODY).all()
    assert keeper.position("BTC") > 30.0


def test_liquidators_take_positions_over_on_a_book_too():
    from abm.testing.small_venue import others, small_model, small_venue

    venue = replace(
        small_venue(1), liquidation=TakeoverLiquidation(), enforcement=KeeperEnforcement(reward_fraction=0.0), insurance_fund=100_000.0
    )
    population = [*others(), Group(name="liquidators", strategy=Keepers(scan_seconds=60.0), members=3, capital=100_000.0)]
    model = small_model(venue, population, 100).run()
    taken = model.frames()["liquidations"].filter(pl.col("result") == "taken_over")
    assert taken.height > 3
    assert model.state.accounts["rewards"].sum() > 0.0
    assert model.state.positions["lots"][-3:].any() or (model.frames()["fills"]["taker_cohort"] == "liquidators").any()


def crash(blocks=900, seed=1):
    """Takers, holders, arbitrageurs, liquidators and providers on Perp v2, and a fall by a fifth."""
    venue = replace(PRESETS["perp_v2"](), listings=PRESETS["perp_v2"]().listings[:1])
    population = [
        Group(name="providers", strategy=RangeProviders(review_seconds=60.0), members=12, capital=60_000.0),
        Group(name="takers", strategy=Takers(idle_seconds=200.0), members=80, capital=5_000.0),
        Group(name="longs", strategy=Holders(leverage=Uniform(low=3.0, high=8.0)), members=30, capital=6_000.0),
        Group(name="arbitrageurs", strategy=Arbitrageurs(), members=8, capital=150_000.0),
        Group(name="keepers", strategy=Keepers(scan_seconds=4.0), members=3, capital=30_000.0),
    ]
    world = plain_diffusion(initial_price=20_000.0, volatility=0.6, crashes=(Crash(start=600.0, duration=500.0, depth=0.2),))
    capacity = Capacity(orders=1 << 12, conditionals=1 << 10, transactions=1 << 12, records=1 << 15)
    return PerpModel(venue, world, population, blocks=blocks, seed=seed, check=True, capacity=capacity)


@pytest.mark.slow
def test_everybody_acts_in_a_crash():
    model = crash()
    opened = set()
    for _ in range(900):
        model.step()
        opened |= set(model.state.ranges["opened"][model.state.ranges["account"] != NOBODY].tolist())
    frames = model.frames()
    fills, cohorts, markets = frames["fills"], frames["cohorts"], frames["markets"]
    assert len(opened) > 5  # ranges were moved, not only opened once
    for name in ("takers", "longs", "arbitrageurs", "keepers", "providers"):
        assert (fills["taker_cohort"] == name).any(), name
    taken = frames["liquidations"].filter(pl.col("result") == "taken_over")
    assert taken.height > 10
    last = cohorts.filter(pl.col("block") == cohorts["block"].max())
    row = {name: last.filter(pl.col("cohort") == name) for name in last["cohort"].unique()}
    assert row["providers"]["fees"].item() > 0.0
    assert row["providers"]["equity"].item() < row["providers"]["net_deposits"].item()
    assert row["keepers"]["rewards"].item() > 0.0
    assert (markets["mid"][-20:] / markets["index"][-20:] - 1.0).abs().max() < 0.03


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes():
    first, second = crash(120), crash(120)
    for model in (first, second):
        model.run()
    for name in ("accounts", "positions", "ranges", "markets"):
        left, right = (np.asarray(getattr(model.state, name)) for model in (first, second))
        assert all(left[field].tobytes() == right[field].tobytes() for field in left.dtype.names), name
