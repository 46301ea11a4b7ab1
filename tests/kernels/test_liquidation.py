"""Liquidations: at what price, how much at once, who pays, and what cannot happen to anybody."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.liquidation import (
    bankruptcy_price,
    bankruptcy_quote_change,
    fillable_price,
    fund_delta,
    liquidation_size,
)
from abm.mechanisms.liquidation import FullLiquidation, PartialLiquidation
from abm.state import HALTED, IMMEDIATE_OR_CANCEL, NOBODY, REASONS, REDUCE_ONLY
from tests.kernels.exchange import Exchange, Fill
from tests.kernels.ledger import Ledger

WHOLE = PartialLiquidation(max_position_portion=1.0, max_fee=0.0)


def weak(price: float = 94.0, **settings: object) -> Exchange:
    """Account 0 bought 100 lots at 100 USD with 1,000 USD: below maintenance margin under 94.74 USD, below zero under 90."""
    capital = settings.pop("capital", [1000.0, 1e6, 1e6, 1e6])
    exchange = Exchange(4, capital=capital, **settings)  # type: ignore[arg-type]
    exchange.trade(0, 1, 100, 100)
    exchange.set_price(price)
    exchange.next_block()
    return exchange


def result(record: object) -> str:
    return REASONS[int(record["result"])]  # type: ignore[index]


# Formulas


@given(
    size=st.floats(0.001, 1e4),
    long=st.booleans(),
    price=st.floats(0.01, 1e5),
    ratio=st.floats(-2.0, 0.999),
    share=st.floats(0.01, 1.0),
)
def test_the_limit_moves_from_the_mark_to_the_widest_spread_as_equity_falls(size, long, price, ratio, share):
    size = size if long else -size
    own = 0.03 * abs(size) * price
    total = own / share
    found = fillable_price(size, price, own, ratio * total, total, 1.0, 1.5)
    widest = price * (1.0 - 0.045 if long else 1.0 + 0.045)
    assert min(price, widest) * (1 - 1e-12) <= found <= max(price, widest) * (1 + 1e-12)
    if ratio <= 0.0:
        assert found == pytest.approx(widest, rel=1e-12)


@given(
    size=st.floats(0.001, 1e4),
    long=st.booleans(),
    price=st.floats(0.01, 1e5),
    equity=st.floats(-1e6, 1e6),
    share=st.floats(0.01, 1.0),
    own=st.floats(0.01, 1e4),
)
def test_at_the_bankruptcy_price_a_close_takes_exactly_its_share_of_equity(size, long, price, equity, share, own):
    size = size if long else -size
    quote = bankruptcy_quote_change(-size, price, own, equity, own / share)
    assert equity + quote + size * price - size * price == pytest.approx(
        equity - equity * share - size * -price, rel=1e-9, abs=1e-6 * (1 + abs(size * price))
    )
    assert bankruptcy_price(-size, price, own, equity, own / share) == pytest.approx(
        price - equity * share / size, rel=1e-9, abs=1e-9 * price
    )


@given(quote=st.floats(-1e6, 1e6), bankrupt=st.floats(-1e6, 1e6), fee=st.floats(0.0, 0.1))
def test_the_fund_gets_at_most_the_fee_and_pays_all_that_is_missing(quote, bankrupt, fee):
    delta = fund_delta(quote, bankrupt, fee)
    assert delta <= fee * abs(quote)
    assert delta <= quote - bankrupt
    if quote < bankrupt:
        assert delta == quote - bankrupt


@given(
    lots=st.integers(1, 10**13),
    lot=st.sampled_from([1e-4, 1e-3, 0.1, 1.0, 0.003]),
    mark=st.floats(0.01, 1e5),
    long=st.booleans(),
)
def test_a_whole_position_is_whole(lots, lot, mark, long):
    """Also where the position has so many lots that a division loses some."""
    size = lots * lot * (1 if long else -1)
    assert liquidation_size(size, mark, 0.0, 1.0, math.inf, lot) == -size
    assert liquidation_size(size, mark, 1e300, 0.1, math.inf, lot) == -size


@given(lots=st.integers(1, 10**6), portion=st.floats(1e-6, 1.0), least=st.floats(0.0, 1e5), left=st.floats(1e-3, 1e6))
def test_a_part_is_whole_steps_within_all_limits(lots, portion, least, left):
    change = -liquidation_size(float(lots), 10.0, least, portion, left, 1.0)
    assert change == round(change)
    assert 1.0 <= change <= lots
    if change > 1.0:
        assert change * 10.0 <= left * (1 + 1e-9)
        assert change * 10.0 <= max(least, portion * lots * 10.0) * (1 + 1e-6)


# What a liquidation does


def test_the_penalty_is_what_is_left_above_bankruptcy_up_to_the_fee():
    exchange = weak(liquidation=PartialLiquidation(max_position_portion=1.0, max_fee=0.015))
    exchange.place(2, 1, 94, 100)
    (record,) = exchange.liquidate(0)
    # equity 400 at mark 94, sold at 94: bankruptcy value 90 a coin, surplus 400, fee at most 1.5 % of 9400
    assert exchange.fills()[-1] == Fill(0, 2, -1, 94, 100)
    assert record["fund_delta"] == pytest.approx(141.0)
    assert record["bankruptcy_price"] == pytest.approx(90.0)
    assert exchange.collateral(0) == pytest.approx(400.0 - 141.0)
    assert exchange.state.funds["balance"][0] == pytest.approx(141.0)
    assert exchange.state.accounts["liquidation"][0] == pytest.approx(-141.0)
    exchange.assess()
    exchange.check()


def test_nothing_is_sold_below_the_fillable_price():
    exchange = weak(liquidation=WHOLE)
    limit = 94.0 * (1.0 - 1.5 * 0.05 * (1.0 - 400.0 / 470.0))  # 92.95
    exchange.place(2, 1, math.floor(limit), 100)
    (record,) = exchange.liquidate(0)
    assert (result(record), record["lots"]) == ("no_liquidity", 0)
    assert record["fillable_price"] == pytest.approx(limit)
    exchange.place(2, 1, math.ceil(limit), 100)
    exchange.next_block()
    (record,) = exchange.liquidate(0)
    assert record["lots"] == 100


def test_the_fund_pays_what_a_fill_below_bankruptcy_costs():
    exchange = weak(88.0, liquidation=FullLiquidation(), fund=1e4)
    exchange.place(2, 1, 80, 100)
    (record,) = exchange.liquidate(0)
    assert record["fund_delta"] == pytest.approx(-1000.0)  # sold at 80, bankrupt at 90
    assert exchange.collateral(0) == 0.0
    assert exchange.state.funds["balance"][0] == pytest.approx(9000.0)
    exchange.next_block()
    exchange.check()
    assert exchange.state.funds["bad_debt"][0] == 0.0


def test_a_match_the_fund_cannot_pay_for_does_not_happen():
    exchange = weak(88.0, liquidation=FullLiquidation(), fund=999.0)
    exchange.place(2, 1, 90, 10)  # costs the fund nothing
    exchange.place(2, 1, 80, 100)  # 90 x 10
    (record,) = exchange.liquidate(0)
    assert (result(record), record["lots"]) == ("filled", 100)
    exchange = weak(88.0, liquidation=FullLiquidation(), fund=899.0)
    exchange.place(2, 1, 90, 10)
    exchange.place(2, 1, 80, 100)
    (record,) = exchange.liquidate(0)
    assert (result(record), record["lots"]) == ("fund_exhausted", 10)
    assert exchange.lots(0) == 90
    exchange.assess()
    exchange.check()


def test_an_account_s_claim_on_the_fund_is_limited_per_block():
    rule = PartialLiquidation(max_position_portion=1.0, spread_to_maintenance_margin=10.0, max_insurance_per_block=50.0)
    exchange = weak(88.0, liquidation=rule, fund=1e6)
    for _ in range(4):
        exchange.place(2, 1, 86, 10)  # each costs 40
    (record,) = exchange.liquidate(0)
    assert (result(record), record["lots"]) == ("fund_exhausted", 10)


def test_portions_and_the_allowance_of_a_block():
    rule = PartialLiquidation(max_position_portion=0.25, min_position_notional=100.0, max_notional_per_block=1e9)
    exchange = weak(liquidation=rule)
    exchange.place(2, 1, 94, 200)
    assert [int(r["lots"]) for r in exchange.liquidate(0)] == [25]
    exchange = weak(liquidation=PartialLiquidation(max_position_portion=1.0, max_notional_per_block=1_000.0))
    exchange.place(2, 1, 94, 200)
    assert [int(r["lots"]) for r in exchange.liquidate(0)] == [10]


# Who, when, and how often


def test_the_healthy_are_left_alone():
    exchange = weak(95.0)
    (record,) = exchange.liquidate(0, keeper=3, fee=1.5)
    assert result(record) == "not_liquidatable"
    assert exchange.state.venue["failed_gas"][0] == 1.5
    assert record["market"] == NOBODY


def test_a_position_is_liquidated_once_a_block():
    exchange = weak(90.5, reward=(0.01, 0.0), fund=1e3)
    exchange.place(2, 1, 90, 200)
    first, second = exchange.liquidate(0, keeper=2), exchange.liquidate(0, keeper=3)
    assert [result(r) for r in first] == ["filled"]
    assert [result(r) for r in second] == ["already_liquidated"]
    assert exchange.state.accounts["rewards"][3] == 0.0
    exchange.next_block()
    assert [result(r) for r in exchange.liquidate(0, keeper=3)] == ["filled"]
    exchange.check()


def test_the_allowance_of_a_block_is_shared_by_all_positions():
    rule = PartialLiquidation(max_position_portion=1.0, max_notional_per_block=4_000.0, max_fee=0.0)
    exchange = Exchange(4, 2, capital=[2000.0, 1e6, 1e6, 1e6], liquidation=rule)
    for market in (0, 1):
        exchange.trade(0, 1, 100, 100, market)
    for market in (0, 1):
        exchange.set_price(91.0, market)
        exchange.place(2, 1, 91, 100, market=market)
    closed = [int(r["lots"]) for _ in range(3) for r in exchange.liquidate(0)]
    assert closed == [43, 1, 0]  # 3,913 USD, then the least step of what is left, then nothing
    exchange.assess()
    exchange.check()


def test_a_full_liquidation_closes_every_market_at_once():
    exchange = Exchange(4, 2, capital=[2000.0, 1e6, 1e6, 1e6], liquidation=FullLiquidation())
    for market in (0, 1):
        exchange.trade(0, 1, 100, 100, market)
    for market in (0, 1):
        exchange.set_price(93.0, market)
        exchange.place(2, 1, 92, 100, market=market)
    records = exchange.liquidate(0)
    assert sorted(int(r["market"]) for r in records) == [0, 1]
    assert exchange.state.positions["lots"][0].tolist() == [0, 0]


def test_a_full_liquidation_stops_when_the_account_is_healthy_again():
    exchange = Exchange(4, 2, capital=[1100.0, 1e6, 1e6, 1e6], liquidation=FullLiquidation(penalty=0.0))
    exchange.trade(0, 1, 50, 100, 0)
    exchange.trade(0, 1, 50, 100, 1)
    for market in (0, 1):
        exchange.set_price(93.9, market)
        exchange.place(2, 1, 94, 50, market=market)
    exchange.state.accounts["collateral"][0] -= 50.0
    exchange.state.accounts["net_deposits"][0] -= 50.0
    exchange.state.venue["net_deposits"] -= 50.0
    assert [int(r["lots"]) for r in exchange.liquidate(0)] == [50]
    assert exchange.lots(0, 0) + exchange.lots(0, 1) == 50
    exchange.assess()
    exchange.check()


def test_nothing_is_liquidated_in_a_halted_market():
    exchange = weak(80.0, liquidation=FullLiquidation(), fund=1e6)
    exchange.place(2, 1, 80, 200)
    exchange.state.markets["status"] = HALTED
    for _ in range(2):  # one record for each try, by the rule's own words
        (record,) = exchange.liquidate(0)
        assert record["lots"] == 0
    assert exchange.state.liquidations["result"][:2].tolist() == [
        REASONS.index("market_halted"),
        REASONS.index("already_liquidated"),
    ]
    assert exchange.lots(0) == 100


def test_own_resting_orders_are_no_counterparty():
    exchange = weak(liquidation=PartialLiquidation(max_position_portion=1.0))
    exchange.place(0, 1, 93, 5, 0)  # refused: below initial margin
    exchange = Exchange(4, capital=[1000.0, 1e6, 1e6, 1e6], liquidation=WHOLE)
    exchange.trade(0, 1, 90, 100)
    exchange.place(0, 1, 94, 5)
    exchange.set_price(93.0)
    exchange.place(2, 1, 93, 200)
    exchange.liquidate(0)
    assert exchange.lots(0) == 0
    assert all(fill.maker == 2 for fill in exchange.fills()[1:])
    assert exchange.state.ended_orders["reason"][0] == REASONS.index("self_trade")


def test_orders_are_cancelled_first_where_the_rule_says_so():
    exchange = Exchange(4, capital=[1000.0, 1e6, 1e6, 1e6], liquidation=FullLiquidation())
    exchange.trade(0, 1, 90, 100)
    exchange.place(0, 1, 80, 5)
    exchange.place(0, -1, 120, 5, REDUCE_ONLY)
    exchange.set_price(93.0)
    exchange.place(2, 1, 93, 30)
    exchange.liquidate(0)
    assert exchange.state.accounts["open_orders"][0] == 0
    assert exchange.lots(0) == 60


def test_an_account_may_liquidate_itself_and_is_paid_like_others():
    exchange = weak(liquidation=WHOLE, reward=(0.01, 1.0), fund=20.0)
    ledger = Ledger(exchange)
    exchange.place(2, 1, 94, 200)
    (record,) = exchange.liquidate(0, keeper=0)
    assert record["reward"] == 20.0  # what the fund has, not 1 % of 9400 and 1
    assert exchange.collateral(0) == pytest.approx(420.0)
    ledger.read_records()
    ledger.compare()
    exchange.assess()
    exchange.check()


def test_a_weak_maker_may_take_the_other_side_of_a_liquidation_only_to_reduce():
    exchange = Exchange(4, capital=[1000.0, 1e6, 1000.0, 1000.0], liquidation=WHOLE)
    exchange.trade(0, 1, 100, 100)
    exchange.trade(1, 2, 100, 100)  # account 2 is short
    exchange.place(2, 1, 94, 60)
    exchange.place(3, 1, 94, 60)
    exchange.set_price(94.0)
    exchange.state.accounts["collateral"][2] -= 1300.0  # and now below maintenance margin as well
    exchange.state.accounts["net_deposits"][2] -= 1300.0
    exchange.state.venue["net_deposits"] -= 1300.0
    exchange.liquidate(0)
    assert exchange.fills()[2:] == [Fill(0, 2, -1, 94, 60), Fill(0, 3, -1, 94, 40)]
    exchange.assess()
    exchange.check()


@given(
    price=st.integers(60, 99),
    bids=st.lists(st.tuples(st.integers(50, 99), st.integers(1, 60)), max_size=6),
    fund=st.sampled_from([0.0, 100.0, 1e6]),
    full=st.booleans(),
    short=st.booleans(),
)
def test_a_liquidation_never_raises_the_shortfall(price, bids, fund, full, short):
    exchange = Exchange(3, capital=[1000.0, 1e6, 1e6], liquidation=FullLiquidation() if full else WHOLE, fund=fund)
    mirror = (lambda x: 200 - x) if short else (lambda x: x)
    side = -1 if short else 1
    exchange.place(1, -side, 100, 100)
    exchange.place(0, side, 100, 100, IMMEDIATE_OR_CANCEL)
    exchange.set_price(float(mirror(price)))
    for tick, lots in bids:
        exchange.place(2, side, mirror(tick), lots)
    before = exchange.risk(0)[0]
    exchange.liquidate(0)
    assert 0 <= side * exchange.lots(0) <= 100
    assert exchange.risk(0)[0] >= min(before, 0.0) - 1e-8
    exchange.assess()
    exchange.check()
