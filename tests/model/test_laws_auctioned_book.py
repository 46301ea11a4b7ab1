"""A book with a curve beside it: what an auctioned order pays to whom, what the curve takes, and that nothing is lost between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.agents.base import Group
from abm.kernels.curves import depth_budget, is_imbalanced, just_in_time, quote_for_base
from abm.kernels.virtual_market import reserves
from abm.mechanisms.auctioned_book import AuctionedBook
from abm.mechanisms.events import Delisting
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.guards import Guard
from abm.mechanisms.limits import PriceBand
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.twap_funding import DivergenceFunding
from abm.state import (
    BAR_TRADES,
    BOOK,
    CANCELLED,
    CURVE,
    LIQUIDATED,
    MARKET_HALTED,
    MARKET_SETTLED,
    NO_LIQUIDITY,
    REDUCE_ONLY_DROPPED,
    UNDERCOLLATERALISED,
    WOULD_CROSS,
)
from tests.model.small_worlds import Idle, Path, listing, path, plain_venue, scripted

PRICE = 1000.0
TICK = 0.01
LOT = 1e-6
LEAST = settings(max_examples=40, deadline=None)


def venue(**changes):
    """Auctions of four blocks, a curve of a million without spread that stays where it is, no fees."""
    clearing = {
        "quote_reserve": 1e6, "half_spread": 0.0, "repeg_seconds": 0.0, "scale_seconds": 0.0, "auction_slots": 4.0, "slot_seconds": 1.0,
        "order_limits": (),
    }  # fmt: skip
    rules = {name: changes.pop(name) for name in list(changes) if name not in clearing and name in plain_venue().__dict__}
    return plain_venue(clearing=AuctionedBook(**{**clearing, **changes}), **rules)


def world(traders=3, capital=1e6, prices=(PRICE,), population=(), **changes):
    """The venue and its traders, who are told what to do between steps."""
    return scripted(venue(**changes), path(*prices), [(capital, {})] * traders, blocks=400, population=population)


def fills(model):
    return model.state.fills[: int(model.state.venue["fills"][0])]


def ended(model):
    return list(model.state.ended_orders["reason"][: int(model.state.venue["ended_orders"][0])])


def steps(model, count):
    for _ in range(count):
        model.step()


def ask(trader, size, price):
    """Sells at a limit no nearer to the curve than it may: the maker's side of a match."""
    trader.sell("BTC", size, limit=price, post_only=True)


def test_a_market_order_waits_for_its_auction_and_then_pays_what_the_curve_asks():
    model, (taker, *_) = world()
    taker.buy("BTC", 5.0)
    steps(model, 5)
    assert taker.position("BTC") == 0.0  # nobody crossed the auction's price, and the curve may not yet
    model.step()
    assert taker.position("BTC") == pytest.approx(5.0)
    assert taker.account["collateral"] == pytest.approx(1e6 - quote_for_base(1e6, 1e3, 5.0) * 1.0, rel=1e-12)
    assert fills(model)["maker"][0] == model.state.markets["house"][0]


def test_without_an_auction_it_trades_in_its_block():
    model, (taker, *_) = world(auction_slots=0.0)
    taker.sell("BTC", 5.0)
    model.step()
    assert taker.position("BTC") == pytest.approx(-5.0)


@pytest.mark.parametrize(("distance", "block"), [(0.001, 1), (0.0025, 2), (0.005, 4)])
def test_a_maker_is_met_in_the_block_in_which_the_price_passes_his_and_at_his_price(distance, block):
    model, (taker, maker, _) = world(half_spread=0.01)  # so that the curve's quotes are out of the way
    ask(maker, 2.0, PRICE * (1.0 + distance))
    model.step()
    taker.buy("BTC", 2.0)
    steps(model, block)
    assert taker.position("BTC") == 0.0
    model.step()
    assert taker.position("BTC") == pytest.approx(2.0)
    assert taker.account["collateral"] == pytest.approx(1e6 - 2.0 * PRICE * (1.0 + distance))


def test_makers_are_met_best_price_first_and_before_the_curve_where_they_are_better():
    model, (taker, near, far) = world(auction_slots=0.0, quote_reserve=1e6)
    ask(far, 1.0, 1006.0)
    ask(near, 1.0, 1002.0)
    model.step()
    taker.buy("BTC", 3.5, limit=1010.0, immediate_or_cancel=True)
    model.step()
    done = fills(model)
    house = model.state.markets["house"][0]
    on_curve = done["maker"] == house
    assert near.position("BTC") == pytest.approx(-1.0)
    first = done["lots"][on_curve][0] * LOT
    # The curve's price rises to 1002 before the maker there is better: 1000 (1 - sqrt(1000 / 1002)) coins.
    assert first == pytest.approx(1000.0 * (1.0 - (1000.0 / 1002.0) ** 0.5), abs=2.0 * LOT)
    assert list(done["maker"][:2]) == [house, near.row]
    assert far.position("BTC") == 0.0  # 1.5 more coins raise the curve to 1005 only
    assert taker.position("BTC") == pytest.approx(3.5)


def test_what_is_left_at_its_limit_ends():
    model, (taker, *_) = world()
    taker.buy("BTC", 100.0, limit=1004.0, immediate_or_cancel=True)
    steps(model, 6)
    assert taker.position("BTC") == pytest.approx(1000.0 * (1.0 - (1000.0 / 1004.0) ** 0.5), abs=2.0 * LOT)
    assert ended(model) == [NO_LIQUIDITY]
    assert model.memory["clearing"].waiting[0] == 0


def curve_short_of(model, trader, coins):
    """Lets a trader buy `coins` from the curve by a limit order on its quotes, so that the curve is short."""
    trader.buy("BTC", coins, limit=1999.0)
    model.step()
    trader.cancel("BTC")
    model.step()
    assert model.state.positions["lots"][model.state.markets["house"][0], 0] == -round(coins / LOT)


@pytest.mark.parametrize(("intensity", "share"), [(1.0, 0.25), (0.5, 0.125), (0.0, 0.0)])
def test_the_curve_joins_a_match_just_in_time_to_bring_its_inventory_down(intensity, share):
    model, (taker, maker, other) = world(half_spread=0.01, jit_intensity=intensity)
    curve_short_of(model, other, 2.0)
    before = len(fills(model))
    maker.buy("BTC", 1.0, limit=999.0, post_only=True)
    model.step()
    taker.sell("BTC", 1.0)
    steps(model, 2)
    house = model.state.markets["house"][0]
    mine = fills(model)[before:]
    assert taker.position("BTC") == pytest.approx(-1.0)
    assert (mine["tick"] == round(999.0 / TICK)).all()
    assert mine["lots"][mine["maker"] == house].sum() * LOT == pytest.approx(share)
    assert maker.position("BTC") == pytest.approx(1.0 - share)


def test_the_curve_does_not_join_where_that_would_add_to_its_inventory():
    model, (taker, maker, other) = world(half_spread=0.01)
    curve_short_of(model, other, 2.0)
    ask(maker, 1.0, 1001.0)
    model.step()
    taker.buy("BTC", 1.0)
    steps(model, 3)
    assert maker.position("BTC") == pytest.approx(-1.0)


def test_the_curve_never_turns_its_inventory_round_just_in_time():
    model, (taker, maker, other) = world(half_spread=0.01)
    curve_short_of(model, other, 0.1)
    maker.buy("BTC", 1.0, limit=999.0, post_only=True)
    model.step()
    taker.sell("BTC", 1.0)
    steps(model, 2)
    assert model.state.positions["lots"][model.state.markets["house"][0], 0] == 0
    assert maker.position("BTC") == pytest.approx(0.9)


@LEAST
@given(amount=st.floats(0.0, 1e6), intensity=st.floats(0.0, 1.0), inventory=st.floats(-1e6, 1e6), off=st.booleans(), wash=st.booleans())
def test_what_it_takes_just_in_time_is_at_most_half_the_match_and_its_inventory(amount, intensity, inventory, off, wash):
    part = just_in_time(amount, intensity, inventory, off, wash)
    assert 0.0 <= part <= min(abs(inventory), (0.25 if wash else 0.5) * amount)


def test_a_curve_is_imbalanced_where_one_side_has_half_as_many_coins_again():
    assert not is_imbalanced(1000.0, 1000.0, 1.4142)
    assert is_imbalanced(900.0, 1000.0, 1.4142)
    assert is_imbalanced(1200.0, 1000.0, 1.4142)
    assert is_imbalanced(1500.0, 1000.0, 1.4142)  # beyond its end


def test_the_rest_of_what_funding_brought_is_spent_and_the_rest_of_what_it_cost_taken_back():
    assert depth_budget(-10.0, 0.0) == 5.0
    assert depth_budget(10.0, 4.0) == -3.0
    assert depth_budget(10.0, -4.0) == -5.0
    assert depth_budget(10.0, 12.0) == 0.0


@pytest.mark.parametrize(("size", "reward"), [(0.01, 0.1 * 0.001 * 10.0), (5.0, 0.01 * 5.0**0.25)])
def test_a_filler_gets_a_tenth_of_the_fee_or_a_cent_times_the_fourth_root_of_the_slots(size, reward):
    keepers = Group(name="fillers", strategy=Idle(), members=3, capital=100.0)
    model, (taker, *_) = world(population=[keepers], filler_cohort="fillers", fees=FlatFees(maker=-0.0002, taker=0.001))
    taker.buy("BTC", size)
    steps(model, 6)
    accounts = model.state.accounts
    house = model.state.markets["house"][0]
    assert accounts["rewards"][:3].sum() == pytest.approx(reward, rel=1e-3)
    assert (accounts["rewards"][:3] > 0.0).sum() == 1
    assert accounts["collateral"][:3].sum() == pytest.approx(300.0 + accounts["rewards"][:3].sum())
    assert accounts["fees"][house] == pytest.approx(-taker.account["fees"] - accounts["rewards"][:3].sum())
    assert model.state.venue["fees"][0] == pytest.approx(0.0, abs=1e-12)
    assert model.state.venue["fee_rewards"][0] == accounts["rewards"][:3].sum()


def test_fillers_take_turns_by_chance():
    keepers = Group(name="fillers", strategy=Idle(), members=4, capital=100.0)
    model, (taker, *_) = world(population=[keepers], filler_cohort="fillers", fees=FlatFees(maker=0.0, taker=0.001), auction_slots=0.0)
    for block in range(60):
        taker.buy("BTC", 0.1) if block % 2 else taker.sell("BTC", 0.1)
        model.step()
    assert (model.state.accounts["rewards"][:4] > 0.0).all()


def test_without_fillers_the_curves_pool_gets_its_share_of_the_fee_and_the_venue_the_rest():
    model, (taker, maker, _) = world(half_spread=0.01, fees=FlatFees(maker=-0.0002, taker=0.001), fee_pool_share=0.75)
    ask(maker, 1.0, 1001.0)
    model.step()
    taker.buy("BTC", 1.0)
    steps(model, 3)
    house = model.state.markets["house"][0]
    assert maker.account["fees"] == pytest.approx(0.2002)
    assert model.state.accounts["fees"][house] == pytest.approx(0.75 * 0.8008)
    assert model.state.venue["fees"][0] == pytest.approx(0.25 * 0.8008)


def test_a_limit_order_takes_the_curves_quotes_and_rests():
    model, (first, second, _) = world()
    model.step()
    first.buy("BTC", 500.0, limit=1010.0)
    second.sell("BTC", 1.0, limit=990.0, post_only=True)
    model.step()
    assert first.position("BTC") == pytest.approx(1000.0 * (1.0 - (1000.0 / 1010.0) ** 0.5), rel=2e-3)
    assert first.account["open_orders"] == 1
    assert model.state.markets["best_bid"][0] == round(1010.0 / TICK)
    assert WOULD_CROSS in ended(model)


def test_quotes_that_traded_are_whole_again_in_the_next_block_even_where_the_price_is_back():
    model, (buyer, seller, _) = world(half_spread=0.001)
    model.step()
    before = model.state.levels["lots"][0].copy()
    buyer.buy("BTC", 0.5, limit=1010.0)
    seller.sell("BTC", 0.5, limit=990.0)
    model.step()
    assert buyer.position("BTC") == pytest.approx(0.5)
    assert seller.position("BTC") == pytest.approx(-0.5)
    assert (fills(model)["maker"] == model.state.markets["house"][0]).all()
    assert (model.state.levels["lots"][0] == before).all()


def test_a_curve_that_moves_fills_what_rests_in_its_way_at_the_makers_price():
    model, (maker, *_) = world(half_spread=0.001, repeg_seconds=2.0, repeg_spread=0.0, prices=(PRICE,) * 4 + (950.0,) * 10)
    maker.buy("BTC", 1.0, limit=998.0, post_only=True)
    steps(model, 4)
    assert maker.position("BTC") == 0.0
    steps(model, 4)
    assert maker.position("BTC") == pytest.approx(1.0)
    assert maker.account["collateral"] == pytest.approx(1e6 - 998.0)
    assert maker.account["open_orders"] == 0


def test_orders_that_are_taken_back_or_find_nothing_to_reduce_end():
    model, (first, second, third) = world()
    model.step()
    first.buy("BTC", 1.0)
    second._orders.market(second._mine, 0, -1, 1.0, reduce_only=True)
    third.buy("BTC", 2.0, limit=1999.0)
    model.step()
    third.sell("BTC", 3.0, limit=1.0, reduce_only=True, immediate_or_cancel=True)
    first.cancel("BTC")
    steps(model, 6)
    assert first.position("BTC") == 0.0
    assert third.position("BTC") == 0.0
    assert ended(model) == [REDUCE_ONLY_DROPPED, CANCELLED]


def test_the_orders_of_an_account_that_is_liquidated_meanwhile_end():
    model, (weak, *_) = world(
        capital=1_000.0, prices=(PRICE,) * 3 + (920.0,) * 10, liquidation=FullLiquidation(penalty=0.0, cancels_orders=True),
        margin=FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5), insurance_fund=1e5, auction_slots=10.0,
    )  # fmt: skip
    weak.buy("BTC", 9.0, limit=1999.0)
    steps(model, 2)
    assert weak.position("BTC") == pytest.approx(9.0)
    weak.sell("BTC", 1.0, limit=1.0, immediate_or_cancel=True)
    steps(model, 2)
    assert model.state.venue["liquidations"][0] > 0
    assert LIQUIDATED in ended(model)
    assert model.memory["clearing"].waiting[0] == 0


@dataclass(frozen=True, kw_only=True)
class Bar(Guard):
    """Bars trades from one block to another."""

    first: int
    last: int

    def watch(self, state, memory):
        state.markets["barred"] = BAR_TRADES if self.first <= state.venue["block"][0] <= self.last else 0


def test_an_auction_waits_while_trades_are_barred_and_ends_if_they_still_are_when_it_is_over():
    for last, position in ((4, 1.0), (5, 0.0)):
        model, (taker, *_) = world(guards=(Bar(first=2, last=last),))
        taker.buy("BTC", 1.0)
        steps(model, 7)
        assert taker.position("BTC") == pytest.approx(position)
        assert model.memory["clearing"].waiting[0] == 0
        if not position:
            assert MARKET_HALTED in ended(model)


def test_an_auction_ends_with_its_market():
    model, (taker, *_) = world(events=(Delisting(at_seconds=3.0),))
    taker.buy("BTC", 1.0)
    steps(model, 5)
    assert taker.position("BTC") == 0.0
    assert MARKET_SETTLED in ended(model)
    assert model.state.venue["orders_live"][0] == 0  # the curve's quotes are gone too


def test_neither_makers_nor_the_curve_trade_outside_the_price_band():
    band = PriceBand(band=0.002)
    model, (taker, *_) = world(guards=(band,))
    taker.buy("BTC", 50.0, limit=1100.0, immediate_or_cancel=True)
    steps(model, 6)
    assert taker.position("BTC") == pytest.approx(1000.0 * (1.0 - (1000.0 / 1002.0) ** 0.5), abs=2.0 * LOT)


def test_an_order_that_its_account_cannot_carry_ends_without_a_trade():
    model, (poor, *_) = world(capital=10.0)
    model.step()
    poor.buy("BTC", 5.0)
    steps(model, 6)
    assert poor.position("BTC") == 0.0
    assert ended(model) == [UNDERCOLLATERALISED]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["market", "market", "limit", "quote", "reduce", "cancel", "wait"]),
        st.integers(0, 2),
        st.floats(-8.0, 8.0).filter(lambda size: abs(size) > 1e-4),
        st.floats(-0.01, 0.01),
    ),
    min_size=1, max_size=16,
)  # fmt: skip


def act(trader, what, size, distance, price):
    order = trader.buy if size > 0.0 else trader.sell
    if what == "market":
        order("BTC", abs(size))
    elif what == "limit":
        order("BTC", abs(size), limit=price * (1.0 + distance))
    elif what == "quote":
        order("BTC", abs(size), limit=price * (1.0 - abs(distance) * np.sign(size)), post_only=True)
    elif what == "reduce":
        trader.close("BTC")
    elif what == "cancel":
        trader.cancel("BTC")


@LEAST
@given(actions=ACTIONS, prices=st.lists(st.floats(900.0, 1100.0), min_size=16, max_size=16), repegs=st.booleans(), spread=st.booleans())
def test_nothing_is_lost_between_traders_curve_fees_and_fund(actions, prices, repegs, spread):
    """Money, positions, fees and the book are checked in every block; what the curve holds always pays what it owes on its curve."""
    keepers = Group(name="fillers", strategy=Idle(), members=2, capital=100.0)
    model, traders = world(
        prices=(PRICE, *prices), population=[keepers], filler_cohort="fillers",
        fees=FlatFees(maker=-0.0002, taker=0.001), repeg_seconds=2.0 if repegs else 0.0, scale_seconds=5.0 if repegs else 0.0,
        half_spread=0.001 if spread else 0.0, insurance_fund=1e7,
        funding=DivergenceFunding(settlement_seconds=5.0, average_seconds=10.0, short_average_seconds=5.0),
    )  # fmt: skip
    state = model.state
    curves = model.memory["clearing"].curves
    house = state.markets["house"][0]
    for what, who, size, distance in actions:
        act(traders[who], what, size, distance, float(state.markets["index"][0]) or PRICE)
        model.step()
        quote, base = reserves(state.positions, state.markets, curves, 0)
        assert quote * base == pytest.approx(curves["sqrt_k"][0] ** 2, rel=1e-12)
        assert base == pytest.approx(curves["flat_base"][0] + state.positions["lots"][house, 0] * LOT, rel=1e-12)
    for trader in traders:
        trader.cancel("BTC")
        trader.close("BTC")
    steps(model, 8)
    accounts = state.accounts
    assert accounts["collateral"].sum() + state.funds["balance"].sum() + state.venue["fees"][0] == pytest.approx(
        state.venue["net_deposits"][0], rel=1e-12
    )
    assert accounts["rewards"][:2].sum() == pytest.approx(state.venue["fee_rewards"][0], abs=1e-9)
    if not state.positions["lots"].any():
        assert accounts["collateral"][house] >= -1e-6


@LEAST
@given(sizes=st.lists(st.tuples(st.integers(0, 2), st.floats(-30.0, 30.0).filter(lambda size: abs(size) > 1e-4)), min_size=1, max_size=8))
def test_a_round_trip_on_the_curve_restores_it_and_nobody_has_gained(sizes):
    model, traders = world(auction_slots=0.0, margin=FlatMargin(initial_margin_fraction=1e-3))
    curves = model.memory["clearing"].curves
    before = reserves(model.state.positions, model.state.markets, curves, 0)
    for who, size in sizes:
        (traders[who].buy if size > 0.0 else traders[who].sell)(
            "BTC", abs(size), limit=1999.0 if size > 0.0 else 1.0, immediate_or_cancel=True
        )
        model.step()
    for trader in traders:
        held = trader.position("BTC")
        if held:
            (trader.sell if held > 0.0 else trader.buy)("BTC", abs(held), limit=1.0 if held > 0.0 else 1999.0, immediate_or_cancel=True)
    model.step()
    assert not model.state.positions["lots"].any()
    assert reserves(model.state.positions, model.state.markets, curves, 0) == pytest.approx(before, rel=1e-12)
    profits = model.state.accounts["collateral"] - model.state.accounts["net_deposits"]
    assert profits[:3].sum() == pytest.approx(0.0, abs=1e-12 * 3e6)


def test_the_curve_is_the_counterparty_of_funding_and_pays_at_most_its_share_of_what_it_has_earned():
    funding = DivergenceFunding(
        settlement_seconds=5.0, average_seconds=1.0, short_average_seconds=1.0, offset=0.0, pool_share=1.0 / 3.0, tiers=("C",)
    )
    model, (trader, *_) = world(
        prices=(PRICE,) * 4 + (1040.0,) * 10, funding=funding, fees=FlatFees(maker=0.0, taker=1e-6), auction_slots=0.0
    )
    trader.buy("BTC", 2.0)
    steps(model, 5)
    house = model.state.markets["house"][0]
    earned = model.state.accounts["fees"][house] + model.state.accounts["funding"][house]
    assert earned > 0.0
    model.step()  # the oracle price is above the curve's: longs are owed funding
    paid = -model.state.accounts["funding"][house]
    assert paid == pytest.approx(earned / 3.0)
    assert trader.account["funding"] == pytest.approx(paid)


def test_markets_do_not_pay_funding_from_each_others_pools():
    funding = DivergenceFunding(settlement_seconds=5.0, average_seconds=1.0, short_average_seconds=1.0, offset=0.0, tiers=("C",))
    two = replace(venue(funding=funding, auction_slots=0.0), listings=(listing("BTC"), listing("ETH")))
    prices = ((PRICE, PRICE),) * 4 + ((1040.0, 1040.0),) * 10
    model, (trader, _) = scripted(two, Path(prices=prices), [(1e6, {}), (1e6, {})], blocks=20)
    trader.buy("ETH", 2.0)
    steps(model, 3)
    bitcoin, ether = model.state.markets["house"]
    model.state.accounts["fees"][bitcoin] += 900.0  # what the other market has earned
    model.state.venue["fees"] -= 900.0
    model.state.accounts["collateral"][bitcoin] += 900.0
    steps(model, 3)
    assert model.state.accounts["funding"][ether] == 0.0
    assert trader.account["funding"] == 0.0


def test_it_offers_a_book_and_a_curve_and_shows_both():
    model, (maker, *_) = world()
    assert model.state.offers == {BOOK, CURVE}
    maker.buy("BTC", 1.0, limit=999.9, post_only=True)
    model.step()
    level = model.state.levels["lots"][0, round(999.9 / TICK)]
    assert level >= round(1.0 / LOT)
    assert model.state.markets["best_ask"][0] * TICK == pytest.approx(1000.0, abs=0.05)


def test_what_makes_no_sense_together_is_refused():
    with pytest.raises(ValueError, match="counterparty_cohorts stands for an account that AuctionedBook has"):
        replace(PRESETS["drift_v2"](), funding=DivergenceFunding(counterparty_cohorts=("makers",)))
    with pytest.raises(ValueError, match=r"AuctionedBook\.order_limits: equities must rise"):
        AuctionedBook(order_limits=((10.0, 1.0), (0.0, 2.0)))
