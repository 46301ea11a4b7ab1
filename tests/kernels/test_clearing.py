"""One transaction after another: who trades with whom, what it costs, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.takeover import change_position
from abm.mechanisms.margin import OpenInterestMargin
from abm.state import (
    CONDITIONAL,
    DEPOSIT,
    HALTED,
    IMMEDIATE_OR_CANCEL,
    LIQUIDATE,
    NOBODY,
    PLACE,
    POST_ONLY,
    REDUCE_ONLY,
    WITHDRAW,
    Capacity,
)
from tests.kernels.exchange import Exchange, Fill
from tests.kernels.ledger import Ledger

# Positions and their cost


def test_one_fill_can_turn_a_long_into_a_short():
    exchange = Exchange(lot=0.1)
    exchange.trade(0, 1, 10, 100)
    exchange.trade(1, 0, 25, 104)
    position = exchange.state.positions[0, 0]
    assert position["lots"] == -15
    assert position["entry_value"] == pytest.approx(-15 * 0.1 * 104.0, rel=1e-15)  # the cost is that of the new side alone
    assert exchange.collateral(0) == pytest.approx(1e6 - 100.0 + 260.0, rel=1e-15)
    assert exchange.lots(1) == 15
    assert exchange.state.markets["open_interest"][0] == 15
    exchange.check()


def test_a_position_that_is_closed_costs_nothing():
    exchange = Exchange(tick=0.1, lot=0.3)
    exchange.trade(0, 1, 7, 101)
    exchange.trade(0, 1, 3, 103)
    exchange.trade(1, 0, 10, 99)
    assert exchange.state.positions["entry_value"].tolist() == [[0.0]] * 6
    assert exchange.state.markets["open_interest"][0] == 0


@given(trades=st.lists(st.tuples(st.integers(-20, 20).filter(bool), st.integers(1, 200)), max_size=30))
def test_cost_basis_is_the_average_entry_price(trades):
    exchange = Exchange(1)
    positions = exchange.state.positions
    held, cost = 0, 0.0
    for lots, price in trades:
        change_position(positions, 0, 0, lots, float(lots * price))
        if held * lots >= 0:
            cost += lots * price
        elif abs(lots) <= abs(held):
            cost -= cost * -lots / held
        else:
            cost = (held + lots) * price
        held += lots
        assert positions["lots"][0, 0] == held
        assert positions["entry_value"][0, 0] == pytest.approx(cost, rel=1e-9, abs=1e-9)
    if held:
        prices = [price for _, price in trades]
        assert min(prices) - 1e-6 <= positions["entry_value"][0, 0] / held <= max(prices) + 1e-6


# Fees


@pytest.mark.parametrize("maker_fee", [0.0002, 0.0, -0.0001])
def test_fees_are_of_notional_and_the_venue_gets_both(maker_fee):
    exchange = Exchange(maker_fee=maker_fee, taker_fee=0.0005)
    exchange.trade(0, 1, 30, 100)
    accounts = exchange.state.accounts
    assert accounts["fees"][0] == pytest.approx(-1.5)
    assert accounts["fees"][1] == pytest.approx(-3000.0 * maker_fee)
    assert exchange.state.venue["fees"][0] == pytest.approx(1.5 + 3000.0 * maker_fee)
    assert (accounts["taker_volume"][0], accounts["maker_volume"][1]) == (3000.0, 3000.0)
    exchange.check()


# Self trades, post-only, immediate-or-cancel, reduce-only


def test_an_own_order_is_removed_and_the_taker_goes_on():
    exchange = Exchange()
    exchange.place(0, -1, 100, 5)
    exchange.place(1, -1, 100, 5)
    outcome = exchange.place(0, 1, 100, 8)
    assert outcome.fills == [Fill(0, 1, 1, 100, 5)]
    assert outcome.ended == [(0, "self_trade")]
    assert [(o.account, o.tick, o.lots) for o in exchange.queue(1)] == [(0, 100, 3)]
    exchange.check()


def test_a_post_only_order_rests_or_is_refused():
    exchange = Exchange()
    exchange.place(1, -1, 100, 5)
    assert exchange.place(0, 1, 100, 5, POST_ONLY).reason == "would_cross"
    assert exchange.place(0, 1, 99, 5, POST_ONLY).reason == "filled"
    assert exchange.place(0, -1, 99, 5, POST_ONLY).reason == "would_cross"  # also against an own order
    assert exchange.fills() == []


def test_what_is_left_of_an_immediate_order_is_dropped():
    exchange = Exchange()
    exchange.place(1, -1, 100, 5)
    outcome = exchange.place(0, 1, 100, 8, IMMEDIATE_OR_CANCEL)
    assert (outcome.fills, outcome.reason) == ([Fill(0, 1, 1, 100, 5)], "no_liquidity")
    assert exchange.state.ended_orders["lots"][0] == 3
    assert exchange.queue(1) == []


def test_reduce_only_closes_at_most_the_position():
    exchange = Exchange()
    assert exchange.place(0, -1, 100, 5, REDUCE_ONLY).reason == "reduce_only"
    exchange.trade(0, 1, 4, 100)
    assert exchange.place(0, 1, 100, 1, REDUCE_ONLY).reason == "reduce_only"
    exchange.place(2, 1, 100, 50)
    assert exchange.place(0, -1, 100, 30, REDUCE_ONLY).fills == [Fill(0, 2, -1, 100, 4)]
    assert exchange.lots(0) == 0


def test_a_resting_reduce_only_order_shrinks_with_its_position():
    exchange = Exchange()
    exchange.trade(0, 1, 10, 100)
    exchange.place(0, -1, 105, 10, REDUCE_ONLY)
    exchange.place(0, -1, 106, 10, REDUCE_ONLY)
    exchange.place(2, 1, 100, 7)
    exchange.place(0, -1, 100, 7)  # 3 left, 20 of it offered
    outcome = exchange.place(3, 1, 106, 20, IMMEDIATE_OR_CANCEL)
    assert outcome.fills == [Fill(3, 0, 1, 105, 3)]
    assert outcome.ended == [(0, "reduce_only")] * 2
    assert exchange.lots(0) == 0
    exchange.check()


# Collateral


def test_an_account_may_go_down_to_its_initial_margin_and_not_a_lot_further():
    for lots, expected in ((100, "filled"), (101, "undercollateralised")):
        exchange = Exchange(2, capital=[1000.0, 1e6])
        exchange.place(1, -1, 100, 200)
        assert exchange.place(0, 1, 100, lots, IMMEDIATE_OR_CANCEL).reason == expected
        assert exchange.lots(0) == (lots if expected == "filled" else 0)


def test_the_fee_counts_in_the_test_of_a_taker():
    exchange = Exchange(2, capital=[1000.0, 1e6], taker_fee=1e-6)
    exchange.place(1, -1, 100, 100)
    assert exchange.place(0, 1, 100, 100).reason == "undercollateralised"


def test_an_account_with_exactly_nothing_can_do_nothing():
    exchange = Exchange(2, capital=[0.0, 1e6])
    assert exchange.place(0, 1, 100, 1).reason == "undercollateralised"
    exchange.place(1, -1, 100, 1)
    assert exchange.place(0, 1, 100, 1).reason == "undercollateralised"
    assert exchange.execute(WITHDRAW, 0, NOBODY, amount=1e-9).reason == "undercollateralised"
    assert exchange.execute(WITHDRAW, 0, NOBODY, amount=0.0).reason == "filled"
    exchange.assess()
    exchange.check()
    assert exchange.state.accounts["below_zero_since"][0] == -1


def test_a_maker_who_cannot_pay_loses_the_order_and_the_taker_goes_on():
    exchange = Exchange(3, capital=[1e6, 1000.0, 1e6])
    exchange.place(1, -1, 100, 100)
    exchange.place(1, -1, 101, 100)  # each alone is fine
    exchange.place(2, -1, 102, 100)
    outcome = exchange.place(0, 1, 102, 150)
    assert outcome.fills == [Fill(0, 1, 1, 100, 100), Fill(0, 2, 1, 102, 50)]
    assert outcome.ended == [(1, "undercollateralised")]
    exchange.check()


def test_the_same_trade_at_a_bad_price_is_refused():
    """Buying above the mark price loses the difference at once."""
    exchange = Exchange(2, capital=[1000.0, 1e6])
    exchange.place(1, -1, 110, 60)
    assert exchange.place(0, 1, 110, 60, IMMEDIATE_OR_CANCEL).reason == "undercollateralised"  # 6600 - 6000 lost, 600 needed
    assert exchange.place(0, 1, 110, 50, IMMEDIATE_OR_CANCEL).reason == "filled"  # 500 lost, 500 needed


def test_an_account_in_trouble_may_reduce_and_not_add():
    exchange = Exchange(3, capital=[1000.0, 1e6, 1e6])
    exchange.trade(0, 1, 100, 100)
    exchange.set_price(96.0)  # equity 600, initial margin 960, maintenance margin 480
    exchange.place(1, -1, 97, 10)
    exchange.place(2, 1, 95, 10)
    assert exchange.place(0, 1, 97, 1, IMMEDIATE_OR_CANCEL).reason == "undercollateralised"
    assert exchange.place(0, -1, 95, 10, IMMEDIATE_OR_CANCEL).fills == [Fill(0, 2, -1, 95, 10)]


def test_initial_margin_counts_the_open_interest_after_the_trade():
    margin = OpenInterestMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5, lower_cap=1e4, upper_cap=3e4)
    for capital, expected in ((11_001.0, "filled"), (10_999.0, "undercollateralised")):
        exchange = Exchange(2, capital=[capital, 1e6], margin=margin)
        exchange.place(1, -1, 100, 200)  # at 20,000 USD the fraction is 0.1 + 0.5 x 0.9
        assert exchange.place(0, 1, 100, 200, IMMEDIATE_OR_CANCEL).reason == expected


def test_own_leverage_limits_an_account_below_the_venue_s():
    exchange = Exchange(2, capital=[1000.0, 1e6])
    exchange.state.positions["least_margin_fraction"][0] = 0.5
    exchange.place(1, -1, 100, 100)
    assert exchange.place(0, 1, 100, 21, IMMEDIATE_OR_CANCEL).reason == "undercollateralised"
    assert exchange.place(0, 1, 100, 20, IMMEDIATE_OR_CANCEL).reason == "filled"


# Limits of the venue


@pytest.mark.parametrize("cap", [1_000.0, 500.0])  # what there is, and less than there is
def test_at_the_open_interest_cap_only_trades_that_do_not_raise_it(cap):
    exchange = Exchange()
    exchange.trade(0, 1, 10, 100)
    exchange.state.markets["open_interest_cap"] = cap
    exchange.place(3, -1, 101, 1)
    assert exchange.place(2, 1, 101, 1).reason == "open_interest_capped"
    exchange.place(0, -1, 100, 4)
    assert exchange.place(2, 1, 100, 4).fills == [Fill(2, 0, 1, 100, 4)]  # a long changes hands
    exchange.place(1, 1, 100, 4)
    assert exchange.place(2, -1, 100, 4).fills == [Fill(2, 1, -1, 100, 4)]
    assert exchange.state.markets["open_interest"][0] == 6
    exchange.check()


def test_an_isolated_account_holds_only_its_market():
    exchange = Exchange(markets=2)
    exchange.state.accounts["isolated_market"][0] = 1
    assert exchange.place(0, 1, 100, 1, market=0).reason == "isolated_only"
    assert exchange.place(0, 1, 100, 1, market=1).reason == "filled"


def test_an_isolated_market_is_held_alone_also_through_resting_orders():
    exchange = Exchange(markets=2)
    exchange.state.markets["isolated_only"][1] = 1
    exchange.state.venue["isolated_markets"] = 1
    exchange.place(0, 1, 99, 5, market=1)
    exchange.trade(0, 1, 5, 100, market=0)
    outcome = exchange.place(2, -1, 99, 5, market=1)
    assert outcome.fills == []
    assert outcome.ended == [(0, "isolated_only")]
    assert exchange.place(0, 1, 100, 1, market=1).reason == "isolated_only"
    exchange.check()


def test_resting_orders_are_limited_by_equity():
    exchange = Exchange(capital=[50.0, 5.0, 1e6, 1e6, 1e6, 1e6], order_limits=((20.0, 1.0), (100.0, 2.0)))
    assert exchange.place(0, 1, 90, 1).reason == "filled"
    assert exchange.place(0, 1, 89, 1).reason == "order_limit"
    assert exchange.place(1, 1, 90, 1).reason == "order_limit"
    exchange.place(2, -1, 100, 1)
    assert exchange.place(0, 1, 100, 1).reason == "filled"  # taking needs no room


def test_a_halted_market_takes_no_orders_and_lets_them_be_cancelled():
    exchange = Exchange()
    exchange.place(0, 1, 90, 1)
    exchange.state.markets["status"] = HALTED
    assert exchange.place(1, -1, 90, 1).reason == "market_halted"
    assert exchange.cancel_all(0).ended == [(0, "cancelled")]


# Money in and out


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [DEPOSIT, WITHDRAW])
def test_only_a_finite_amount_moves(kind, amount):
    exchange = Exchange()
    assert exchange.execute(kind, 0, NOBODY, amount=amount).reason == "out_of_range"
    exchange.check()


def test_withdrawals_stop_at_initial_margin_at_the_gate_and_at_its_capacity():
    exchange = Exchange(2, capital=[1000.0, 1e6])
    exchange.trade(0, 1, 50, 100)  # initial margin 500
    venue = exchange.state.venue
    assert exchange.execute(WITHDRAW, 0, NOBODY, amount=500.01).reason == "undercollateralised"
    venue["withdrawal_capacity"] = 400.0
    assert exchange.execute(WITHDRAW, 0, NOBODY, amount=400.01).reason == "gated"
    assert exchange.execute(WITHDRAW, 0, NOBODY, amount=300.0).reason == "filled"
    assert venue["withdrawal_capacity"][0] == 100.0
    venue["withdrawals_blocked_until"] = 1
    assert exchange.execute(WITHDRAW, 0, NOBODY, amount=1.0).reason == "gated"
    assert exchange.execute(DEPOSIT, 0, NOBODY, amount=10.0).reason == "filled"
    assert exchange.state.accounts["net_deposits"][0] == 710.0
    exchange.check()


def test_gas_is_paid_from_outside_whether_it_helps_or_not():
    exchange = Exchange()
    before = exchange.collateral(0)
    exchange.execute(PLACE, 0, side=1, tick=90, lots=1, fee=0.5)
    exchange.execute(PLACE, 0, side=1, tick=0, lots=1, fee=0.25)
    exchange.execute(LIQUIDATE, 0, NOBODY, target=1, fee=2.0)
    assert exchange.collateral(0) == before
    assert exchange.state.accounts["gas"][0] == 2.75
    assert exchange.state.venue["failed_gas"][0] == 2.0
    exchange.check()


# What is under way


def test_transactions_wait_for_their_block():
    exchange = Exchange()
    for latency in (0, 2, 1, 2):
        exchange.submit(PLACE, latency, side=1, tick=90 + latency, lots=1, latency=latency)
    counts = [exchange.clear()]
    for _ in range(3):
        exchange.next_block()
        counts.append(exchange.clear())
        exchange.check()
    assert counts == [1, 1, 2, 0]
    assert sorted(o.account for o in exchange.queue(1)) == [0, 1, 2, 2]


def test_full_records_are_counted_and_never_overrun():
    exchange = Exchange(capacity=Capacity(orders=64, conditionals=4, transactions=64, records=3))
    for _ in range(6):
        exchange.place(0, -1, 100, 1)
        exchange.place(1, 1, 100, 1)
        exchange.submit(PLACE, 2, side=1, tick=0, lots=1)
        exchange.clear()
    venue = exchange.state.venue
    assert (venue["fills"][0], venue["ended_orders"][0]) == (6, 6)
    assert len(exchange.state.fills) == 3
    assert exchange.lots(1) == 6
    exchange.check()


def test_a_full_table_of_conditional_orders_refuses_more():
    exchange = Exchange(capacity=Capacity(orders=64, conditionals=2, transactions=64, records=16))
    reasons = [exchange.execute(CONDITIONAL, 0, side=1, tick=90, lots=1, amount=50.0).reason for _ in range(3)]
    assert reasons == ["filled", "filled", "pool_full"]
    exchange.check()


def test_positions_of_any_size_keep_their_money():
    """Cancellation: a huge position opened and closed lot by lot leaves what the fees and prices say."""
    exchange = Exchange(2, ticks=4096, lot=1e-4, price=2000.0, capital=1e12, taker_fee=0.0005, maker_fee=-0.0001)
    ledger = Ledger(exchange)
    for n in range(50):
        exchange.trade(n % 2, 1 - n % 2, 10**12 // (n + 1), 2000 + n)
    for n in range(50):
        exchange.trade(1 - n % 2, n % 2, 10**12 // (n + 1), 2050 - n)
    assert exchange.lots(0) == 0
    assert exchange.state.positions["entry_value"][0, 0] == 0.0
    ledger.read_records()
    ledger.compare()
    exchange.check()


@pytest.mark.parametrize("market", [-2, NOBODY, 2, 1 << 20])
def test_a_market_that_is_not_there_takes_no_orders(market):
    """A negative number must not mean the last market, whose risk would then be left out of the collateral test."""
    exchange = Exchange(2, 2, capital=0.0)
    assert exchange.execute(PLACE, 0, market, side=1, tick=100, lots=5).reason == "out_of_range"
    assert exchange.execute(CONDITIONAL, 0, market, side=1, tick=100, lots=5, amount=100.0).reason == "out_of_range"
    assert exchange.state.venue["orders_live"][0] == 0
    exchange.check()


@pytest.mark.parametrize("target", [NOBODY, 4, 1 << 20])
def test_an_account_that_is_not_there_cannot_be_liquidated(target):
    exchange = Exchange(4, capital=[1e6, 1e6, 1e6, 1000.0])
    exchange.trade(3, 0, 100, 100)
    exchange.set_price(80.0)
    assert len(exchange.liquidate(target, keeper=1, fee=1.0)) == 0
    assert exchange.state.venue["failed_gas"][0] == 1.0
    assert exchange.lots(3) == 100
