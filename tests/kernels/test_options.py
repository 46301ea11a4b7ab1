"""Options: values known from textbooks, parity, and the smile."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.options import FARTHEST
from abm.kernels.options import call_price as call
from abm.kernels.options import contract_value as value
from abm.kernels.options import implied_volatility as implied
from abm.kernels.options import put_price as put

POSITIVE = st.floats(0.1, 1e5)


def test_the_values_of_the_textbook():
    """Hull, "Options, futures, and other derivatives": 42 USD, strike 40, 10 % interest, 20 % volatility, half a year: 4.76 and 0.81."""
    terms = (42.0, 40.0, 0.2 * math.sqrt(0.5), math.exp(-0.05))
    assert call(*terms) == pytest.approx(4.76, abs=0.005)
    assert put(*terms) == pytest.approx(0.81, abs=0.005)


def test_at_the_money_a_straddle_costs_four_fifths_of_the_deviation():
    """sqrt(2 / pi) = 0.798 of spot x deviation, to first order (Brenner and Subrahmanyam 1988)."""
    assert call(100.0, 100.0, 0.01, 1.0) + put(100.0, 100.0, 0.01, 1.0) == pytest.approx(math.sqrt(2.0 / math.pi), rel=1e-4)


@given(spot=POSITIVE, moneyness=st.floats(0.3, 3.0), deviation=st.floats(0.0, 3.0), discount=st.floats(0.5, 1.0))
def test_put_call_parity(spot, moneyness, deviation, discount):
    """C - P = S - D K."""
    strike = moneyness * spot
    difference = call(spot, strike, deviation, discount) - put(spot, strike, deviation, discount)
    assert difference == pytest.approx(spot - discount * strike, abs=1e-12 * spot + 1e-12)


@given(spot=POSITIVE, moneyness=st.floats(0.3, 3.0), deviation=st.floats(0.0, 3.0), discount=st.floats(0.5, 1.0))
def test_an_option_is_worth_no_less_than_its_certain_payoff_and_no_more_than_what_it_is_on(spot, moneyness, deviation, discount):
    strike = moneyness * spot
    slack = 1e-9 * spot
    assert max(spot - discount * strike, 0.0) - slack <= call(spot, strike, deviation, discount) <= spot + slack
    assert max(discount * strike - spot, 0.0) - slack <= put(spot, strike, deviation, discount) <= discount * strike + slack


@pytest.mark.parametrize("spot", [60.0, 100.0, 140.0])
def test_at_expiry_it_is_worth_its_payoff(spot):
    assert value(2.0, 3.0, spot, 100.0, 0.5, -0.1, 0.05, 0.0) == 2.0 * max(100.0 - spot, 0.0) + 3.0 * max(spot - 100.0, 0.0)


def test_the_smile_is_straight_in_standardised_log_moneyness_and_ends():
    assert implied(0.5, -0.1, 100.0, 100.0, 0.25) == 0.5
    assert implied(0.5, -0.1, 100.0, 90.0, 0.25) == pytest.approx(0.5 - 0.1 * math.log(0.9) / 0.5)
    assert implied(0.5, -10.0, 100.0, 50.0, 0.01) == 0.5 * FARTHEST
    assert implied(0.5, -10.0, 100.0, 200.0, 0.01) == 0.5 / FARTHEST
