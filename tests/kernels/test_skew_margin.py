"""Margin that rises with a position's share of the skew scale, against published numbers and on an exchange."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.size_margin import skew_margins
from abm.mechanisms.skew_margin import SkewMargin
from tests.kernels.exchange import Exchange

PUBLISHED = json.loads((Path(__file__).parents[1] / "reference" / "synthetix.json").read_text(encoding="utf-8"))
ROWS = [row for row in PUBLISHED if row["mechanism"] == "snx.required_margins"]


@pytest.mark.parametrize("row", ROWS)
def test_the_rule_requires_the_published_margins(row: dict) -> None:  # type: ignore[type-arg]
    """An account that holds the published positions at the published prices, under the rule with the published parameters."""
    held = row["inputs"]["positions"]
    exchange = Exchange(2, len(held), price=1.0, ticks=1 << 15)
    for k, position in enumerate(held):
        exchange.set_price(position["price"], k)
        exchange.state.positions["lots"][0, k] = position["size"]
    SkewMargin(
        skew_scale=tuple(p["skew_scale"] * p["price"] for p in held),
        size_fraction=tuple(p["im_fraction"] for p in held),
        least_fraction=tuple(p["min_im_ratio"] for p in held),
        maintenance_fraction_of_initial=tuple(p["mm_scalar"] for p in held),
        liquidation_reward=tuple(p["liq_reward_ratio"] for p in held),
        least_margin=tuple(p["min_position_margin"] for p in held),
    ).init(exchange.state, 0)
    wanted = row["expected"]
    reward = wanted["liquidation_reward_margin"]
    assert exchange.risk(0)[1:] == pytest.approx((wanted["initial_margin"] + reward, wanted["maintenance_margin"] + reward))


def test_an_account_is_liquidatable_before_it_cannot_pay_for_its_liquidation() -> None:
    """1,000 USD at 4 %, half to keep, 1 % reward and 2 USD a position: below 20 + 10 + 2 USD it is liquidated."""
    margin = SkewMargin(skew_scale=1e12, least_fraction=0.04, liquidation_reward=0.01, least_margin=2.0)
    exchange = Exchange(2, capital=[52.1, 1e6], margin=margin)
    exchange.trade(0, 1, 10, 100)
    assert exchange.risk(0)[1] == pytest.approx(52.0, rel=1e-6)
    for price, liquidatable in ((98.2, 0), (97.6, 1)):
        exchange.set_price(price)
        exchange.next_block()
        assert int(exchange.state.venue["liquidatable"][0]) == liquidatable


def test_users_leverage_counts_where_it_needs_more() -> None:
    exchange = Exchange(2, margin=SkewMargin(least_fraction=0.04))
    exchange.trade(0, 1, 10, 100)
    exchange.state.positions["least_margin_fraction"][0] = 0.25
    assert exchange.risk(0)[1:] == pytest.approx((250.0, 20.0), rel=1e-4)


@given(
    size=st.floats(-1e4, 1e4), more=st.floats(0.0, 1e4), price=st.floats(0.01, 1e5), fraction=st.floats(0.0, 10.0),
    least=st.floats(1e-4, 1.0), scalar=st.floats(0.0, 1.0), reward=st.floats(0.0, 0.1), least_margin=st.floats(0.0, 1e3),
)  # fmt: skip
def test_margins_rise_faster_than_size(
    size: float, more: float, price: float, fraction: float, least: float, scalar: float, reward: float, least_margin: float
) -> None:
    terms = (1e5, fraction, least, scalar, reward, least_margin)
    initial, maintenance, paid = skew_margins(size, abs(size) * price, *terms)
    assert initial >= maintenance >= least_margin
    larger, _, _ = skew_margins(abs(size) + more, (abs(size) + more) * price, *terms)
    assert (larger - least_margin) * abs(size) >= (initial - least_margin) * (abs(size) + more) - 1e-9 * (
        larger * abs(size) + initial * more
    )
    assert paid == pytest.approx(abs(size) * price * reward)
