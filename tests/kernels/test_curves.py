"""Formulas of curves and pools: round trips, costs, impermanent loss, loss versus rebalancing, and what impact can never do."""

from __future__ import annotations

import math
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abm.kernels import curves, pools
from abm.kernels.virtual_market import CURVE, curve_value, lots_to_price
from abm.state import empty_table

COMMON = settings(max_examples=200, deadline=None)
RESERVES = st.floats(10.0, 1e9)
SHARES = st.floats(-0.8, 0.8)


@COMMON
@given(quote=RESERVES, base=RESERVES, share=SHARES)
def test_coins_bought_with_dollars_cost_those_dollars(quote, base, share):
    paid = share * quote
    bought = curves.base_for_quote(quote, base, paid)
    assert curves.quote_for_base(quote, base, bought) == pytest.approx(paid, rel=1e-9, abs=1e-9 * quote)
    assert (quote + paid) * (base - bought) == pytest.approx(quote * base, rel=1e-12)


@COMMON
@given(quote=RESERVES, base=RESERVES, shares=st.lists(SHARES, min_size=1, max_size=8))
def test_a_round_trip_restores_the_reserves(quote, base, shares):
    now, coins, spent, held = quote, base, 0.0, 0.0
    for share in shares:
        size = share * coins
        money = curves.quote_for_base(now, coins, size)
        now, coins, spent, held = now + money, coins - size, spent + money, held + size
    money = curves.quote_for_base(now, coins, -held)
    assert coins + held == pytest.approx(base, rel=1e-12)
    assert now + money == pytest.approx(quote, rel=1e-9)
    assert spent + money == pytest.approx(0.0, abs=1e-9 * max(quote, abs(spent)))


@COMMON
@given(base=RESERVES, share=SHARES, peg=st.floats(0.01, 100.0), scale=st.floats(0.5, 2.0))
def test_what_the_curve_owes_is_what_closing_everything_brings(base, share, peg, scale):
    sqrt_k = 3.0 * base
    quote = sqrt_k * sqrt_k / base
    net = share * base
    owed = curves.owed_on_curve(base, sqrt_k, peg, net)
    assert owed == pytest.approx(curves.closing_value(quote, base, peg, net), rel=1e-9, abs=1e-9 * quote * peg)
    assert owed == pytest.approx(peg * (quote - curves.terminal_quote(base, sqrt_k, net)), rel=1e-6, abs=1e-6 * quote * peg)
    assume(scale + share > 0.1)  # a pool scaled to fewer coins than its traders are short cannot be closed against
    after = curves.owed_on_curve(base * scale, sqrt_k * scale, peg, net)
    assert owed + curves.scale_cost(base, sqrt_k, peg, net, scale) == pytest.approx(after, rel=1e-9, abs=1e-9 * quote * peg)


@COMMON
@given(base=RESERVES, share=st.floats(-0.3, 0.3).filter(lambda x: abs(x) > 1e-3), peg=st.floats(0.1, 10.0), part=st.floats(-0.02, 0.02))
def test_a_budgeted_scale_costs_its_budget_or_stops_at_its_limits(base, share, peg, part):
    sqrt_k = 2.0 * base
    quote = sqrt_k * sqrt_k / base
    net = share * base
    budget = part * abs(curves.owed_on_curve(base, sqrt_k, peg, net)) * abs(share)
    scale = curves.budgeted_scale(base, quote, net, peg, budget, 1.05, 0.95)
    if 0.95 < scale < 1.05:
        assert curves.scale_cost(base, sqrt_k, peg, net, scale) == pytest.approx(budget, rel=1e-5, abs=1e-9 * quote * peg)


@COMMON
@given(base=RESERVES, share=SHARES, oracle=st.floats(0.5, 2.0), budget=st.floats(0.0, 1.0))
def test_a_peg_never_costs_more_than_its_budget_nor_goes_past_its_target(base, share, oracle, budget):
    sqrt_k = base
    net = share * base
    terminal = curves.terminal_quote(base, sqrt_k, net)
    target = curves.peg_from_target(sqrt_k * sqrt_k / base, base, oracle)
    peg = curves.affordable_peg(base, terminal, 1.0, target, budget * base)
    assert curves.repeg_cost(base, terminal, 1.0, peg) <= budget * base * (1.0 + 1e-9) + 1e-9 * base
    assert min(1.0, target) - 1e-9 <= peg <= max(1.0, target) + 1e-9


@COMMON
@given(base=RESERVES, side=st.sampled_from([1, -1]), reach=st.floats(1e-4, 0.5), half_spread=st.floats(0.0, 0.01))
def test_the_lots_up_to_a_price_reach_that_price_and_not_beyond(base, side, reach, half_spread):
    curve = empty_table(1, CURVE)
    curve["flat_base"] = curve["sqrt_k"] = base
    curve["peg"] = 100.0
    lot = base * 1e-7
    limit = 100.0 * (1.0 + side * reach)
    lots = lots_to_price(curve[0], base, lot, side, limit, half_spread)

    def marginal(count):
        coins = base - side * count * lot
        return curves.curve_price(base * base / coins, coins, 100.0) * (1.0 + side * half_spread)

    if lots == 0:
        assert (marginal(1) - limit) * side > 0.0
        return
    assert (marginal(lots) - limit) * side <= 1e-6 * limit
    assert (marginal(lots + 2) - limit) * side > 0.0
    average = curve_value(base, base, 100.0, side, lots * lot, half_spread) / (lots * lot)
    assert (average - 100.0) * side >= -1e-9
    assert (limit - average) * side >= -1e-6 * limit


@pytest.mark.parametrize("ratio", [0.01, 0.25, 0.5, 0.9, 1.0, 1.1, 2.0, 4.0, 100.0])
def test_impermanent_loss(ratio):
    """2 sqrt(r) / (1 + r) - 1, by following the reserves."""
    quote = base = 1000.0
    coins = curves.base_at_price(1000.0, 1.0, ratio)
    money = quote + curves.quote_for_base(quote, base, base - coins)
    held = quote + base * ratio
    assert (money + coins * ratio) / held - 1.0 == pytest.approx(2.0 * math.sqrt(ratio) / (1.0 + ratio) - 1.0, abs=1e-9)
    assert curves.constant_product_loss(ratio) == pytest.approx(2.0 * math.sqrt(ratio) / (1.0 + ratio) - 1.0, abs=1e-12)


@numba.njit
def arbitrage_profit(moves, half_spread, curve):
    """Sum of an arbitrageur's profit over the pool's value: in each block it trades until the price, spread included, is the outside's."""
    sqrt_k = curve[0].sqrt_k
    base = sqrt_k
    outside = 0.0
    total = 0.0
    lot = 1e-9 * sqrt_k
    for move in moves:
        outside += move
        price = math.exp(outside)
        quote = sqrt_k * sqrt_k / base
        for side in (1, -1):
            lots = lots_to_price(curve[0], base, lot, side, price, half_spread)
            if lots > 0:
                size = lots * lot
                value = curve_value(quote, base, 1.0, side, size, half_spread)
                total += side * (size * price - value) / (quote + base * price)
                base -= side * size
                quote = sqrt_k * sqrt_k / base
    return total


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(("poisson", "constant"), [(True, math.sqrt(2.0)), (False, 1.7164)])
@pytest.mark.parametrize("width", [0.0, 0.5, 1.0, 2.0])
def test_loss_versus_rebalancing(poisson, constant, width):
    """sigma^2 / 8 of the pool's value per unit of time, times the chance that a block has a trade (Milionis et al.)."""
    sigma, steps = 1e-3, 4_000_000
    chance = np.random.default_rng(7)
    widths = sigma * np.sqrt(chance.exponential(size=steps)) if poisson else np.full(steps, sigma)
    moves = widths * chance.normal(size=steps) - 0.5 * widths**2
    curve = empty_table(1, CURVE)
    curve["flat_base"] = curve["sqrt_k"] = 1e6
    curve["peg"] = 1.0
    loss = arbitrage_profit(moves, width * sigma, curve) / steps
    assert loss == pytest.approx(sigma**2 / 8.0 / (1.0 + constant * width), rel=0.03)


# Oracle-priced pools.


@COMMON
@given(
    nets=st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=8),
    negative=st.floats(1e-12, 1e-9),
    ratio=st.floats(0.0, 1.0),
    exponent=st.sampled_from([1.0, 1.5, 2.0, 3.0]),
)
def test_going_round_never_pays_for_impact(nets, negative, ratio, exponent):
    """Back at the first imbalance, all impact together is not a gain while the positive factor does not exceed the negative one."""
    walk = [0.0, *nets, 0.0]
    total = sum(pools.position_price_impact(before, after, ratio * negative, negative, exponent) for before, after in pairwise(walk))
    scale = sum(pools.impact_of(abs(net), exponent, negative) for net in walk)
    assert total <= 1e-9 * scale + 1e-12


@COMMON
@given(pool=st.floats(0.0, 1e6), impact=st.floats(-1e6, 1e6), pending=st.floats(-1e6, 1e6), share=st.floats(0.0, 1.0))
def test_an_impact_pool_never_pays_more_than_it_has(pool, impact, pending, share):
    after, left = pools.impact_pool_after(pool, impact, pending, share, 1.0, 0.0)
    assert after >= 0.0
    assert left == pytest.approx(pending * (1.0 - share), abs=1e-6)


@COMMON
@given(rate=st.floats(-1e-7, 1e-7), longs=st.floats(1.0, 1e9), shorts=st.floats(1.0, 1e9), seconds=st.floats(1.0, 1e5))
def test_an_adaptive_rate_keeps_its_bounds_and_moves_to_the_larger_side(rate, longs, shorts, seconds):
    paid, kept = pools.adaptive_skew_rate(rate, longs, shorts, seconds, 1e-11, 1e-12, 0.05, 0.01, 1e-10, 3e-8)
    assert 1e-10 <= abs(paid) <= 3e-8
    assert abs(kept) <= 3e-8
    skew = (longs - shorts) / (longs + shorts)
    if abs(skew) > 0.05:
        assert (kept - np.clip(rate, -3e-8, 3e-8)) * skew >= 0.0


@COMMON
@given(sizes=st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=8), scale=st.floats(1e4, 1e6))
def test_a_skewed_price_gives_back_what_it_took(sizes, scale):
    """In and out at one oracle price costs nothing, whatever lies between."""
    skew = money = 0.0
    for size in [*sizes, -sum(sizes)]:
        money -= size * pools.skewed_price(1000.0, skew, size, scale)
        skew += size
    assert money == pytest.approx(0.0, abs=1e-6)
