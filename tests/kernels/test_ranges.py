"""Pools of liquidity ranges: round trips, fees, liquidity that adds up, and impermanent loss against its closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abm.kernels import ranges as formulas
from abm.kernels.range_pool import (
    EDGE,
    RANGE_POOL,
    close_range,
    content,
    fees_inside,
    inventory,
    lots_up_to,
    open_range,
    slot_below,
    swap,
)
from abm.state import NOBODY, RANGE, VENUE, empty_table

COMMON = settings(max_examples=150, deadline=None)
SPACING = 60
SLOTS = 200
PRICE = 1000.0
SPANS = st.lists(st.tuples(st.integers(0, SLOTS - 2), st.integers(1, SLOTS), st.floats(0.1, 1e5)), min_size=1, max_size=8)
TRADES = st.lists(st.tuples(st.sampled_from([1, -1]), st.floats(1e-3, 50.0)), min_size=1, max_size=10)
FEE = 0.001


class Market:
    """One pool around PRICE, and ranges of as many accounts."""

    def __init__(self, spans=()):
        self.pools = empty_table(1, RANGE_POOL)
        self.edges = empty_table((1, SLOTS), EDGE)
        self.ranges = empty_table(16, RANGE)
        self.ranges["account"] = NOBODY
        self.venue = empty_table(1, VENUE)
        width = SPACING * math.log(formulas.TICK_RATIO)
        first = math.floor(math.log(PRICE) / width) - SLOTS // 2
        self.pools["first"] = first
        self.pools["root"] = math.sqrt(PRICE)
        self.edges["root"][0] = np.exp(0.5 * width * (first + np.arange(SLOTS)))
        self.pools["slot"] = slot_below(PRICE, SPACING, first)
        self.rows = [self.add(i, *span) for i, span in enumerate(spans)]

    def add(self, account, lower, length, liquidity):
        liquidity = math.floor(liquidity / formulas.GRAIN) * formulas.GRAIN
        return open_range(self.venue, self.pools, self.edges, self.ranges, account, 0, lower, min(lower + length, SLOTS - 1), liquidity)

    def swap(self, side, coins, fee=0.0, limit=None):
        """Trades up to `coins`, as clearing does; returns (coins, USD)."""
        edge = math.inf if side > 0 else 0.0
        done, _, _ = swap(self.pools, self.edges, 0, side, coins, edge if limit is None else limit, 0.0, False)
        done *= 1.0 - 1e-12 if done < coins else 1.0
        if done <= 0.0:
            return 0.0, 0.0
        traded, money, _ = swap(self.pools, self.edges, 0, side, done, edge, fee, True)
        assert traded == pytest.approx(done, rel=1e-12)
        return done, money

    @property
    def root(self):
        return float(self.pools["root"][0])

    def content(self, row):
        return content(self.pools, self.edges, self.ranges, row)

    def covering(self):
        """Liquidity of the ranges around the price, added up one by one."""
        slot = int(self.pools["slot"][0])
        live = self.ranges[self.ranges["account"] != NOBODY]
        return float(live["liquidity"][(live["lower"] <= slot) & (slot < live["upper"])].sum())


@COMMON
@given(spans=SPANS, trades=TRADES)
def test_a_trade_moves_what_the_ranges_hold_and_their_liquidity_adds_up(spans, trades):
    market = Market(spans)
    for side, coins in trades:
        before = np.array([market.content(row) for row in market.rows]).sum(axis=0)
        done, money = market.swap(side, coins)
        after = np.array([market.content(row) for row in market.rows]).sum(axis=0)
        assert before[0] - after[0] == pytest.approx(side * done, rel=1e-9, abs=1e-9 * max(before[0], 1.0))
        assert after[1] - before[1] == pytest.approx(side * money, rel=1e-9, abs=1e-9 * max(before[1], 1.0))
        assert float(market.pools["liquidity"][0]) == market.covering()
        assert sum(inventory(market.pools, market.edges, market.ranges, row) for row in market.rows) == pytest.approx(
            sum(market.content(row)[0] for row in market.rows) - sum(initial_coins(market, row) for row in market.rows), abs=1e-7
        )


def initial_coins(market, row):
    record = market.ranges[row]
    return formulas.amounts(record["liquidity"], record["entry"], math.sqrt(record["lowest"]), math.sqrt(record["highest"]))[0]


@COMMON
@given(spans=SPANS, side=st.sampled_from([1, -1]), coins=st.floats(1e-3, 1e3))
def test_a_round_trip_restores_price_liquidity_and_money(spans, side, coins):
    market = Market(spans)
    start = market.root
    done, money = market.swap(side, coins)
    assume(done > 0.0)
    back, returned = market.swap(-side, done)
    assert back == pytest.approx(done, rel=1e-9)
    assert returned == pytest.approx(money, rel=1e-9)
    if market.covering() > 0.0 and float(market.pools["liquidity"][0]) > 0.0:
        # Across a stretch without liquidity the way back may end at its other side, which is worth the same.
        coins_now = sum(market.content(row)[0] for row in market.rows)
        again = Market(spans)
        assert coins_now == pytest.approx(sum(again.content(row)[0] for row in again.rows), rel=1e-9, abs=1e-9)
    if all(lower <= SLOTS // 2 - 60 and lower + length >= SLOTS // 2 + 60 for lower, length, _ in spans):
        assert market.root == pytest.approx(start, rel=1e-9)


@COMMON
@given(spans=SPANS, trades=TRADES, late=st.tuples(st.integers(60, 120), st.integers(1, 30), st.floats(0.1, 1e4)))
def test_fees_owed_sum_to_fees_paid(spans, trades, late):
    """Also where a range comes when others have earned already; nobody earns for the time before it came."""
    market = Market(spans)
    paid = owed_late = 0.0
    for number, (side, coins) in enumerate(trades):
        if number == len(trades) // 2:
            market.rows.append(market.add(99, *late))
            owed_late = owed(market, market.rows[-1])
        _, money = market.swap(side, coins, fee=FEE)
        paid += FEE * money
    assert owed_late == 0.0
    assert sum(owed(market, row) for row in market.rows) == pytest.approx(paid, rel=1e-9, abs=1e-9)
    assert all(owed(market, row) >= -1e-9 * (1.0 + paid) for row in market.rows)


def owed(market, row):
    record = market.ranges[row]
    return float(record["liquidity"]) * (fees_inside(market.pools, market.edges, market.ranges, row) - float(record["fee_growth"]))


def test_a_range_earns_only_while_the_price_is_inside():
    market = Market([(0, SLOTS, 1000.0), (110, 10, 1000.0)])
    market.swap(-1, 5.0, fee=FEE)
    assert owed(market, market.rows[1]) == 0.0
    assert owed(market, market.rows[0]) > 0.0
    market.swap(1, 20.0, fee=FEE)
    assert market.root > market.edges["root"][0, 120]
    assert owed(market, market.rows[1]) == pytest.approx(FEE * 1000.0 * (market.edges["root"][0, 120] - market.edges["root"][0, 110]))


@COMMON
@given(spans=SPANS, added=SPANS, trades=TRADES)
def test_adding_and_removing_without_trades_leaves_nothing_behind(spans, added, trades):
    market = Market(spans)
    for side, coins in trades:
        market.swap(side, coins, fee=FEE)
    before = (market.pools.copy(), market.edges["net"].copy(), market.edges["ranges"].copy())
    rows = [market.add(50 + i, *span) for i, span in enumerate(added) if i + len(spans) < len(market.ranges)]
    for row in rows:
        assert inventory(market.pools, market.edges, market.ranges, row) == 0.0
        assert owed(market, row) == 0.0
        close_range(market.pools, market.edges, market.ranges, row)
    for name in ("root", "liquidity", "slot", "fee_growth"):
        assert market.pools[name][0] == before[0][name][0]
    np.testing.assert_array_equal(market.edges["net"], before[1])
    np.testing.assert_array_equal(market.edges["ranges"], before[2])
    for row in market.rows:
        close_range(market.pools, market.edges, market.ranges, row)
    assert not market.edges["net"].any()
    assert not market.edges["ranges"].any()
    assert market.pools["liquidity"][0] == 0.0


@COMMON
@given(reach=st.integers(2, 90), ratio=st.floats(0.5, 2.0))
def test_impermanent_loss_of_a_range_is_that_of_the_whole_curve_times_its_concentration(reach, ratio):
    """Inside its edges a range from a to b loses (1 + r - 2 sqrt r) / (1 + r - sqrt(a / P) - r sqrt(P / b)) of what holding is worth;
    outside it is all coins or all dollars."""
    lower, upper = PRICE * 1.006**-reach, PRICE * 1.006**reach
    now = ratio * PRICE
    entry, root, a, b = (math.sqrt(price) for price in (PRICE, now, lower, upper))
    loss = formulas.impermanent_loss(7.0, entry, root, a, b)
    coins, money = formulas.amounts(7.0, entry, a, b)
    holding = coins * now + money
    if lower <= now <= upper:
        share = (1.0 + ratio - 2.0 * math.sqrt(ratio)) / (1.0 + ratio - a / entry - ratio * entry / b)
        assert loss == pytest.approx(share * holding, rel=1e-9, abs=1e-9 * holding)
    elif now < lower:
        assert loss == pytest.approx(holding - now * (coins + money / (entry * a)), rel=1e-9)
    else:
        assert loss == pytest.approx(holding - (money + coins * entry * b), rel=1e-9)
    assert loss >= -1e-12 * holding


def test_over_all_prices_it_is_the_loss_of_a_constant_product():
    for ratio in (0.25, 0.9, 1.1, 4.0):
        loss = formulas.impermanent_loss(1.0, 1.0, math.sqrt(ratio), 1e-9, 1e9)
        assert 1.0 - loss / (1.0 + ratio) == pytest.approx(2.0 * math.sqrt(ratio) / (1.0 + ratio), rel=1e-6)


@COMMON
@given(spans=SPANS, side=st.sampled_from([1, -1]), reach=st.floats(1e-4, 0.4))
def test_the_lots_up_to_a_price_reach_it_and_no_farther(spans, side, reach):
    market = Market([(0, SLOTS, 50.0), *spans])
    lot = 1e-6
    limit = math.sqrt(PRICE * (1.0 + side * reach))
    lots = lots_up_to(market.pools, market.edges, 0, side, 10**15, lot, limit)
    assume(lots > 0)
    _, _, root = swap(market.pools, market.edges, 0, side, lots * lot, math.inf if side > 0 else 0.0, 0.0, False)
    assert side * (root - limit) <= 1e-9 * limit
    _, _, root = swap(market.pools, market.edges, 0, side, (lots + 2) * lot, math.inf if side > 0 else 0.0, 0.0, False)
    assert side * (root - limit) > 0.0
    assert lots_up_to(market.pools, market.edges, 0, side, 1, lot, limit) == 1


def test_where_no_liquidity_is_the_price_jumps_and_without_any_nothing_happens():
    market = Market([(120, 10, 2000.0)])
    assert market.swap(-1, 1.0) == (0.0, 0.0)
    assert market.root == math.sqrt(PRICE)
    done, money = market.swap(1, 1.0)
    assert done == pytest.approx(1.0)
    assert money / done > market.edges["root"][0, 120] ** 2
    assert Market().swap(1, 1.0) == (0.0, 0.0)


@COMMON
@given(slot=st.integers(0, SLOTS - 1), inside=st.floats(0.01, 0.99))
def test_slots_are_found_by_price(slot, inside):
    market = Market()
    first = int(market.pools["first"][0])
    price = float(market.edges["root"][0, slot]) ** 2
    assert slot_below(price, SPACING, first) == slot
    assert slot_below(price * 1.0001 ** (SPACING * inside), SPACING, first) == slot
    assert -slot_below(1.0 / price, SPACING, -first) == slot


@COMMON
@given(value=st.floats(1.0, 1e8), reach=st.integers(1, 90))
def test_liquidity_for_a_value_is_worth_it(value, reach):
    entry, a, b = math.sqrt(PRICE), math.sqrt(PRICE * 1.006**-reach), math.sqrt(PRICE * 1.006**reach)
    liquidity = formulas.liquidity_worth(value, entry, a, b)
    worth = formulas.range_value(liquidity, entry, a, b)
    assert worth <= value * (1.0 + 1e-12)
    assert value - worth <= formulas.range_value(formulas.GRAIN, entry, a, b) * (1.0 + 1e-9) + 1e-12 * value


@COMMON
@given(spans=SPANS, most=st.integers(0, 15))
def test_a_full_table_takes_no_more(spans, most):
    market = Market()
    for i in range(len(market.ranges)):
        assert market.add(i, *spans[i % len(spans)]) == i
    assert market.add(99, *spans[0]) == NOBODY
    close_range(market.pools, market.edges, market.ranges, most)
    assert market.add(99, *spans[0]) == most
