"""Conditional orders: when they trigger, what they become, and when they are dropped."""

from __future__ import annotations

import pytest

from abm.state import (
    CANCEL_CONDITIONALS,
    CONDITIONAL,
    HALTED,
    IMMEDIATE_OR_CANCEL,
    NEVER,
    REDUCE_ONLY,
    TRIGGER_ABOVE,
    TRIGGER_ON_MARK,
)
from tests.kernels.exchange import Exchange, Fill


def wait(exchange: Exchange, trigger: float, flags: int = 0, account: int = 0, market: int = 0, **fields: int) -> None:
    """A conditional order to buy one lot at 90 USD."""
    exchange.execute(CONDITIONAL, account, market, side=1, tick=90, lots=1, flags=flags, amount=trigger, **fields)


def triggered(exchange: Exchange) -> list[int]:
    """Accounts whose orders are sent in the next block."""
    exchange.next_block()
    count = int(exchange.state.venue["transactions"][0])
    return exchange.state.transactions["account"][:count].tolist()


@pytest.mark.parametrize(
    ("flags", "oracle", "mark", "fires"),
    [
        (0, 99.0, 99.0, False),
        (0, 95.0, 99.0, True),
        (0, 94.0, 99.0, True),
        (TRIGGER_ABOVE, 94.99, 99.0, False),
        (TRIGGER_ABOVE, 95.0, 90.0, True),
        (TRIGGER_ON_MARK, 90.0, 95.01, False),
        (TRIGGER_ON_MARK, 99.0, 95.0, True),
        (TRIGGER_ON_MARK | TRIGGER_ABOVE, 90.0, 95.0, True),
        (TRIGGER_ON_MARK | TRIGGER_ABOVE, 99.0, 94.0, False),
    ],
)
def test_an_order_waits_for_its_price(flags, oracle, mark, fires):
    exchange = Exchange(price=95.5)
    wait(exchange, 95.0, flags)
    exchange.state.markets["oracle"] = oracle
    exchange.state.markets["mark"] = mark
    assert triggered(exchange) == ([0] if fires else [])
    assert exchange.state.venue["conditionals"][0] == (0 if fires else 1)


@pytest.mark.parametrize(
    ("trigger", "band", "trade", "fires"),
    [
        (96.0, 0.05, 96, True),  # a trade of the last block
        (96.0, 0.0, 96, False),  # only the oracle counts
        (94.0, 0.05, 90, False),  # the trade counts as 95, five percent from the oracle
        (95.0, 0.05, 90, True),
    ],
)
def test_trades_near_the_oracle_trigger_too(trigger, band, trade, fires):
    exchange = Exchange(trigger_band=band)
    wait(exchange, trigger)
    exchange.trade(1, 2, 1, trade)
    assert triggered(exchange) == ([0] if fires else [])


def test_a_trade_triggers_in_the_next_block_only():
    exchange = Exchange(trigger_band=0.05)
    exchange.trade(1, 2, 1, 96)
    exchange.next_block()
    exchange.clear()
    wait(exchange, 96.0)
    assert triggered(exchange) == []


def test_a_triggered_order_is_an_order_like_any_other():
    exchange = Exchange()
    exchange.trade(0, 1, 5, 100)
    exchange.place(2, 1, 93, 3)
    flags = REDUCE_ONLY | IMMEDIATE_OR_CANCEL
    exchange.execute(CONDITIONAL, 0, side=-1, tick=92, lots=50, flags=flags, amount=95.0)
    exchange.set_price(94.0)
    exchange.next_block()
    exchange.clear()
    assert exchange.fills()[-1] == Fill(0, 2, -1, 93, 3)  # the stop slips and fills what is there
    assert exchange.lots(0) == 2
    assert exchange.queue(-1) == []
    exchange.check()


def test_a_triggered_limit_order_rests():
    exchange = Exchange()
    wait(exchange, 99.0)
    exchange.set_price(98.0)
    exchange.next_block()
    exchange.clear()
    (order,) = exchange.queue(1)
    assert (order.tick, exchange.state.orders["flags"][order.row], exchange.state.orders["expires"][order.row]) == (90, 0, NEVER)
    exchange.check()


def test_waiting_ends_with_its_block():
    exchange = Exchange()
    wait(exchange, 95.0, expires=2)
    exchange.next_block()
    assert exchange.state.venue["conditionals"][0] == 1
    exchange.set_price(90.0)
    assert triggered(exchange) == []
    assert exchange.state.venue["conditionals"][0] == 0


def test_only_the_triggered_leave_and_the_rest_keep_their_order():
    exchange = Exchange(markets=2)
    for account, (trigger, market) in enumerate([(95.0, 0), (80.0, 0), (99.0, 1), (96.0, 0), (70.0, 0)]):
        wait(exchange, trigger, account=account, market=market)
    exchange.set_price(94.0, 0)
    assert triggered(exchange) == [0, 3]
    left = exchange.state.conditionals[: int(exchange.state.venue["conditionals"][0])]
    assert left["account"].tolist() == [1, 2, 4]
    assert left["trigger"].tolist() == [80.0, 99.0, 70.0]


def test_cancelling_takes_an_account_s_orders_of_one_market():
    exchange = Exchange(markets=2)
    for account, market in [(0, 0), (1, 0), (0, 1), (0, 0), (2, 0)]:
        wait(exchange, 50.0, account=account, market=market)
    exchange.execute(CANCEL_CONDITIONALS, 0, 0)
    left = exchange.state.conditionals[: int(exchange.state.venue["conditionals"][0])]
    assert list(zip(left["account"].tolist(), left["market"].tolist(), strict=True)) == [(1, 0), (0, 1), (2, 0)]


def test_an_order_that_triggers_while_the_market_is_halted_is_lost():
    exchange = Exchange()
    wait(exchange, 95.0)
    exchange.set_price(94.0)
    exchange.state.markets["status"] = HALTED
    exchange.next_block()
    exchange.clear()
    assert exchange.queue(1) == []
    assert exchange.state.venue["conditionals"][0] == 0
    exchange.check()
