"""What an account is worth, what it must hold, and which changes it may make."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.margin import (
    TRANSITION_NEWLY_UNDERCOLLATERALISED,
    TRANSITION_STILL_UNDERCOLLATERALISED,
    TRANSITION_SUCCESS,
    account_risk_after,
    compare_risk,
    is_liquidatable,
    liquidation_price,
    open_interest_change,
    open_interest_scaled_fraction,
    position_margin,
    transition_result,
)
from abm.mechanisms.margin import FlatMargin, OpenInterestMargin, TieredMargin
from abm.mechanisms.presets import PRESETS
from tests.kernels.exchange import Exchange

money = st.floats(-1e6, 1e6, allow_nan=False)
margins = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))  # nothing, or at least a millionth of a dollar
TIERS = TieredMargin(tiers=(((0.0, 40.0), (1_000.0, 20.0), (50_000.0, 5.0)),))


# Risk of an account


def test_equity_and_margins_add_up_over_markets():
    exchange = Exchange(2, 2, lot=0.5, margin=FlatMargin(initial_margin_fraction=(0.1, 0.2), maintenance_fraction_of_initial=0.5))
    exchange.trade(0, 1, 20, 100, market=0)
    exchange.trade(1, 0, 10, 100, market=1)
    exchange.set_price(110.0, 0)
    exchange.set_price(130.0, 1)
    # long 10 coins at 110, short 5 coins at 130
    assert exchange.risk(0) == pytest.approx((1e6 + 100.0 - 150.0, 110.0 + 130.0, 55.0 + 65.0))


def test_a_change_is_valued_as_if_it_had_happened():
    exchange = Exchange(2)
    exchange.trade(0, 1, 20, 100)
    s = exchange.state
    before = account_risk_after(s.accounts, s.positions, s.markets, s.margin_tiers, 0, 0, 15, -1500.0, 35)
    exchange.trade(0, 1, 15, 100)
    assert before == pytest.approx(exchange.risk(0))


def test_assessment_remembers_since_when():
    exchange = Exchange(2, capital=[1000.0, 1e6])
    exchange.trade(0, 1, 100, 100)
    account = exchange.state.accounts[0]
    seen = []
    for price in (100.0, 94.0, 93.0, 89.0, 93.0, 99.0):  # maintenance margin is missed below 94.74, zero equity below 90
        exchange.set_price(price)
        exchange.next_block()
        exchange.check()
        liquidatable, bad_debt = int(exchange.state.venue["liquidatable"][0]), float(exchange.state.funds["bad_debt"][0])
        seen.append((int(account["below_maintenance_since"]), int(account["below_zero_since"]), liquidatable, bad_debt))
    assert seen == [(-1, -1, 0, 0.0), (2, -1, 1, 0.0), (2, -1, 1, 0.0), (2, 4, 1, 100.0), (2, -1, 1, 0.0), (-1, -1, 0, 0.0)]


def test_an_account_without_positions_is_never_liquidatable():
    assert not is_liquidatable(-5.0, 0.0)
    assert is_liquidatable(9.99, 10.0)
    assert not is_liquidatable(10.0, 10.0)


# Margin of a position


@given(notional=st.floats(0.0, 1e6), other=st.floats(0.0, 1e6))
def test_tiered_margins_are_continuous_and_rise_ever_faster(notional, other):
    exchange = Exchange(1, margin=TIERS)

    def margin(value: float) -> np.ndarray:
        return np.array(position_margin(exchange.state.markets, exchange.state.margin_tiers, 0, value, 0.0, 0.0))

    low, high = sorted((notional, other))
    assert (margin(low) <= margin(high) + 1e-9).all()
    assert (margin(0.5 * (low + high)) <= 0.5 * (margin(low) + margin(high)) + 1e-9 * (1.0 + high)).all()
    assert margin(0.0) == pytest.approx([0.0, 0.0])
    for edge in (1_000.0, 50_000.0):
        assert margin(edge) == pytest.approx(margin(np.nextafter(edge, np.inf)), rel=1e-12)
    initial, maintenance = margin(notional)
    assert maintenance <= initial


@pytest.mark.parametrize(("notional", "initial"), [(1_000.0, 25.0), (3_000.0, 125.0), (50_000.0, 2_475.0), (60_000.0, 4_475.0)])
def test_tiers_charge_each_slice_its_own_rate(notional, initial):
    exchange = Exchange(1, margin=TIERS)
    found = position_margin(exchange.state.markets, exchange.state.margin_tiers, 0, notional, 0.0, 0.0)
    assert found == pytest.approx((initial, 0.5 * initial))


def test_margin_scales_with_open_interest_between_its_caps_and_only_initially():
    margin = OpenInterestMargin(initial_margin_fraction=0.2, maintenance_fraction_of_initial=0.5, lower_cap=1e6, upper_cap=3e6)
    exchange = Exchange(1, margin=margin)
    for interest, fraction in ((0.0, 0.2), (1e6, 0.2), (2e6, 0.6), (3e6, 1.0), (9e6, 1.0)):
        found = position_margin(exchange.state.markets, exchange.state.margin_tiers, 0, 100.0, interest, 0.0)
        assert found == pytest.approx((100.0 * fraction, 10.0))
    assert open_interest_scaled_fraction(0.2, 1e12, 1e6, 0.0) == 0.2


@pytest.mark.parametrize("market", [0, 2])
def test_gmx_asks_for_a_fraction_that_is_in_proportion_to_open_interest_where_that_is_more(market):
    margin = PRESETS["gmx_v2"]().margin
    exchange = Exchange(1, 3, margin=margin)
    for interest in (0.0, 1e8, 2.3e8, 3e8, 5e8, 5e9, 2e10):
        found = position_margin(exchange.state.markets, exchange.state.margin_tiers, market, 100.0, interest, 0.0)
        fraction = min(max(margin.initial_margin_fraction[market], 6e-11 * interest), 1.0)
        assert found == pytest.approx((100.0 * fraction, 50.0 * margin.initial_margin_fraction[market]))


# Changes


@given(before=st.tuples(money, margins, margins), after=st.tuples(money, margins, margins))
def test_transitions(before, after):
    result = transition_result(*before, *after)
    if after[0] >= after[1]:
        assert result == TRANSITION_SUCCESS
    elif before[0] >= before[1]:
        assert result == TRANSITION_NEWLY_UNDERCOLLATERALISED
    elif result == TRANSITION_SUCCESS:
        assert after[2] <= before[2] * (1.0 + 1e-9)
        # The ratio of equity to margin may fall by a million millionth: what rounding does to a close at the bankruptcy price.
        least = before[0] / before[2] if before[2] > 0.0 else before[0]
        ratio = after[0] / after[2] if after[2] > 0.0 else after[0]
        assert ratio >= least - 1e-11 * (1.0 + abs(least))
    else:
        assert result == TRANSITION_STILL_UNDERCOLLATERALISED


def test_the_ratio_may_fall_by_rounding_and_by_no_more():
    for fall, result in ((0.5e-12, TRANSITION_SUCCESS), (2e-12, TRANSITION_STILL_UNDERCOLLATERALISED)):
        assert transition_result(0.0, 1.0, 1238.0, -fall, 0.0, 1.0) == result


@given(equity=st.floats(-1e6, 99.0), share=st.floats(0.001, 0.999))
def test_closing_at_the_bankruptcy_price_is_always_allowed(equity, share):
    """It takes the same share of equity and of margin, so the ratio stays, up to rounding."""
    assert transition_result(equity, 200.0, 100.0, equity * (1.0 - share), 200.0 * (1.0 - share), 100.0 * (1.0 - share)) == 0


@given(a=st.tuples(money, margins), b=st.tuples(money, margins), c=st.tuples(money, margins))
def test_risk_is_an_order(a, b, c):
    assert compare_risk(*a, *b) == -compare_risk(*b, *a)
    assert compare_risk(*a, *a) == 0
    positive = [x for x in (a, b, c) if x[1] > 1e-3]
    for x in positive:
        for y in positive:
            if x[0] / x[1] < y[0] / y[1] - 1e-9 * (1.0 + abs(x[0] / x[1]) + abs(y[0] / y[1])):
                assert compare_risk(*x, *y) == 1


@given(sizes=st.lists(st.integers(-50, 50), min_size=3, max_size=6), quantity=st.integers(-80, 80))
def test_open_interest_change_is_that_of_the_sum_of_longs(sizes, quantity):
    sizes.append(-sum(sizes))
    after = [sizes[0] + quantity, sizes[1] - quantity, *sizes[2:]]

    def longs(values):
        return sum(max(value, 0) for value in values)

    assert open_interest_change(sizes[0], quantity, sizes[1], -quantity) == longs(after) - longs(sizes)


@given(
    size=st.floats(0.01, 100.0),
    long=st.booleans(),
    price=st.floats(1.0, 1e5),
    leverage=st.floats(1.5, 15.0),
    other=st.floats(0.0, 100.0),
    fraction=st.floats(0.005, 0.05),
)
def test_at_the_liquidation_price_equity_is_maintenance_margin(size, long, price, leverage, other, fraction):
    size = size if long else -size
    equity = abs(size) * price / leverage + other
    found = liquidation_price(equity, size, price, fraction, other)
    assert equity + size * (found - price) == pytest.approx(abs(size) * found * fraction + other, rel=1e-9, abs=1e-6)
    assert (found < price) == long
    assert liquidation_price(1.0, 1.0, 1.0, 1.0, 0.0) == math.inf
