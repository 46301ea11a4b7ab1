"""Batches at one price: known answers by hand, the price against brute force, and what must hold after any batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import abm
from abm.kernels.uniform_price import find_uniform_price
from abm.mechanisms.batch_auction import BatchAuction
from abm.mechanisms.liquidation import FullLiquidation
from abm.parameters import ParameterError
from abm.state import CANCEL_ALL, IMMEDIATE_OR_CANCEL, LIQUIDATE, PLACE, POST_ONLY, REASONS, REDUCE_ONLY
from tests.kernels.exchange import Exchange, Fill

Orders = list[tuple[int, int, int]]  # side, tick, lots


def auction(rule: BatchAuction | None = None, **changes: Any) -> Exchange:
    """An exchange that clears by batches."""
    exchange = Exchange(**changes)
    exchange.clearing = rule or BatchAuction(order_limits=(), trigger_band=0.0)  # type: ignore[assignment]
    exchange._clearing_memory = exchange.clearing.init(exchange.state, 1)
    return exchange


def batch(exchange: Exchange, *orders: tuple[int, int, int, int] | tuple[int, int, int, int, int]) -> list[Fill]:
    """One batch of (account, side, tick, lots[, flags]); returns its fills."""
    first = int(exchange.state.venue["fills"][0])
    for account, side, tick, lots, *flags in orders:
        exchange.submit(PLACE, account, side=side, tick=tick, lots=lots, flags=flags[0] if flags else 0)
    exchange.clear()
    exchange.check()
    return exchange.fills(first)


def reasons(exchange: Exchange) -> list[tuple[int, str]]:
    rows = exchange.state.ended_orders[: int(exchange.state.venue["ended_orders"][0])]
    return [(int(row["account"]), REASONS[int(row["reason"])]) for row in rows]


def traded_at(orders: Orders, tick: int) -> tuple[int, int]:
    """(lots that would trade, imbalance) at a price, by definition."""
    demand = sum(lots for side, limit, lots in orders if side > 0 and limit >= tick)
    supply = sum(lots for side, limit, lots in orders if side < 0 and limit <= tick)
    return min(demand, supply), abs(demand - supply)


ORDERS = st.lists(st.tuples(st.sampled_from((1, -1)), st.integers(80, 120), st.integers(1, 9)), min_size=1, max_size=14)


@settings(deadline=None)
@given(orders=ORDERS, reference=st.integers(70, 130))
def test_the_price_is_that_of_brute_force(orders: Orders, reference: int) -> None:
    bids = np.array([(tick, lots) for side, tick, lots in orders if side > 0], np.int64).reshape(-1, 2)
    asks = np.array([(tick, lots) for side, tick, lots in orders if side < 0], np.int64).reshape(-1, 2)
    tick, volume = find_uniform_price(bids[:, 0].copy(), bids[:, 1].copy(), asks[:, 0].copy(), asks[:, 1].copy(), reference, 1, 255)

    def merit(tick: int) -> tuple[int, int, int, int]:
        lots, imbalance = traded_at(orders, tick)
        return -lots, imbalance, abs(tick - reference), tick

    best = min(range(1, 256), key=merit)
    most, _ = traded_at(orders, best)
    assert volume == most
    assert tick == (best if most > 0 else 0)


@settings(deadline=None, max_examples=60)
@given(orders=ORDERS, resting=ORDERS, pro_rata=st.booleans(), seed=st.integers(0, 5))
def test_what_holds_after_any_batch(orders: Orders, resting: Orders, pro_rata: bool, seed: int) -> None:
    """One price, nobody beyond its limit, as much as can trade, and no crossed book; `check` verifies book and money."""
    rule = BatchAuction(order_limits=(), trigger_band=0.0, margin_of_price="pro rata" if pro_rata else "time")
    exchange = auction(rule, accounts=30, seed=seed)
    batch(exchange, *((account, side, tick, lots) for account, (side, tick, lots) in enumerate(resting)))
    everything = [(order.side, order.tick, order.lots) for side in (1, -1) for order in exchange.queue(side)]
    limits = {order.account: (order.side, order.tick) for side in (1, -1) for order in exchange.queue(side)}
    everything += orders
    limits.update({15 + n: (side, tick) for n, (side, tick, _) in enumerate(orders)})
    fills = batch(exchange, *((15 + n, side, tick, lots) for n, (side, tick, lots) in enumerate(orders)))
    assert len({fill.tick for fill in fills}) <= 1
    assert sum(fill.lots for fill in fills) == max(traded_at(everything, tick)[0] for tick in range(60, 140))
    for fill in fills:
        for account in (fill.taker, fill.maker):
            side, limit = limits[account]
            assert (limit - fill.tick) * side >= 0
    assert exchange.state.markets["best_bid"][0] < exchange.state.markets["best_ask"][0]


@pytest.mark.parametrize(("pro_rata", "expected"), [(True, [10, 4, 5, 1]), (False, [10, 6, 4, 0])])
def test_orders_at_the_last_price_share(pro_rata: bool, expected: list[int]) -> None:
    """Of twenty lots ten are left for 6, 12 and 3: 2.9, 5.7 and 1.4 of them; rounding goes to the first."""
    rule = BatchAuction(order_limits=(), trigger_band=0.0, margin_of_price="pro rata" if pro_rata else "time")
    exchange = auction(rule)
    batch(exchange, (0, 1, 101, 10), (1, 1, 100, 6))
    batch(exchange, (2, 1, 100, 12))
    batch(exchange, (3, 1, 100, 3))
    batch(exchange, (4, -1, 100, 20))
    assert [exchange.lots(account) for account in range(4)] == expected


def test_a_batch_by_hand() -> None:
    """Bids for 5 at 103 and 5 at 101, asks for 4 at 99 and 4 at 102."""
    exchange = auction()
    fills = batch(exchange, (0, 1, 103, 5), (1, 1, 101, 5), (2, -1, 99, 4), (3, -1, 102, 4))
    # Demand: 5 from 102 on, 10 up to 101. Supply: 4 up to 101, 8 from 102 on. Five trade at 102 and 103; the mark is 100.
    assert {fill.tick for fill in fills} == {102}
    assert [exchange.lots(account) for account in range(4)] == [5, 0, -4, -1]
    assert [(order.account, order.tick, order.lots) for order in exchange.queue(1)] == [(1, 101, 5)]
    assert [(order.account, order.tick, order.lots) for order in exchange.queue(-1)] == [(3, 102, 3)]


def test_the_book_takes_part() -> None:
    """A maker rests at 101; two takers meet each other at its price and it sells what is left over."""
    exchange = auction()
    batch(exchange, (0, -1, 101, 10))
    fills = batch(exchange, (1, 1, 105, 6, IMMEDIATE_OR_CANCEL), (2, -1, 95, 4, IMMEDIATE_OR_CANCEL))
    assert {fill.tick for fill in fills} == {101}
    assert [exchange.lots(account) for account in range(3)] == [-2, 6, -4]
    assert exchange.queue(-1)[0].lots == 8


def test_flags_in_a_batch() -> None:
    """Immediate-or-cancel ends, post-only is refused if it crosses what rests, reduce-only needs something to reduce."""
    exchange = auction()
    batch(exchange, (0, -1, 101, 10))
    batch(exchange, (1, 1, 100, 5, IMMEDIATE_OR_CANCEL), (2, 1, 101, 5, POST_ONLY), (3, 1, 102, 5, REDUCE_ONLY), (4, 1, 99, 5, POST_ONLY))
    assert sorted(reasons(exchange)) == [(1, "no_liquidity"), (2, "would_cross"), (3, "reduce_only")]
    assert [order.account for order in exchange.queue(1)] == [4]


def test_who_lacks_collateral_is_left_out() -> None:
    """The first in line has 10 USD for ten lots; the price is made without it, so the next one pays 100 and not 102."""
    exchange = auction(capital=[10.0, 1e6, 1e6, 1e6, 1e6, 1e6])
    batch(exchange, (2, -1, 100, 10))
    batch(exchange, (0, 1, 102, 10), (1, 1, 101, 10))
    assert [exchange.lots(account) for account in range(3)] == [0, 10, -10]
    assert exchange.fills()[0].tick == 100
    assert reasons(exchange) == [(0, "undercollateralised")]


def test_two_orders_of_one_account_do_not_trade() -> None:
    exchange = auction()
    batch(exchange, (0, -1, 101, 10))
    assert batch(exchange, (0, 1, 101, 5)) == []
    assert exchange.lots(0) == 0
    assert (0, "self_trade") in reasons(exchange)


def test_liquidations_are_orders_of_the_batch() -> None:
    """A long below maintenance margin is sold in the batch, at its price and not below its limit."""
    exchange = auction(capital=[1100.0, 1e6, 1e6, 1e6, 1e6, 1e6], liquidation=FullLiquidation(penalty=0.015), fund=1e4)
    batch(exchange, (0, 1, 100, 100), (1, -1, 100, 100))
    exchange.set_price(93.0)
    exchange.next_block()
    exchange.submit(LIQUIDATE, -1, -1, target=0)
    first = int(exchange.state.venue["fills"][0])
    exchange.submit(PLACE, 2, side=1, tick=93, lots=60)
    exchange.submit(PLACE, 3, side=1, tick=92, lots=60)
    exchange.clear()
    exchange.assess()
    exchange.check()
    fills = exchange.fills(first)
    assert {fill.tick for fill in fills} == {92}
    assert exchange.lots(0) == 0
    assert (exchange.lots(2), exchange.lots(3)) == (60, 40)
    record = exchange.state.liquidations[0]
    assert (int(record["lots"]), REASONS[int(record["result"])]) == (100, "filled")
    assert float(record["price"]) == 92.0
    assert float(record["fund_delta"]) == pytest.approx(0.015 * 9200.0)


def test_orders_wait_for_the_next_batch_and_can_be_taken_back() -> None:
    rule = BatchAuction(order_limits=(), trigger_band=0.0, interval_blocks=3.0)
    exchange = auction(rule)
    exchange.next_block()  # block 1: the next batch is in block 3
    exchange.submit(PLACE, 0, side=1, tick=101, lots=5)
    exchange.submit(PLACE, 1, side=-1, tick=99, lots=5)
    exchange.submit(PLACE, 2, side=-1, tick=98, lots=5)
    exchange.clear()
    exchange.check()
    assert exchange.fills() == []
    exchange.next_block()
    exchange.submit(CANCEL_ALL, 2, 0)
    exchange.clear()
    assert reasons(exchange) == [(2, "cancelled")]
    exchange.next_block()
    exchange.clear()
    exchange.check()
    assert [exchange.lots(account) for account in range(3)] == [5, -5, 0]


def test_a_quote_is_replaced_in_the_block_of_the_batch() -> None:
    """Cancel and place in one go: the old quote is gone before the batch, the new one takes part."""
    exchange = auction()
    batch(exchange, (0, -1, 100, 5))
    exchange.submit(CANCEL_ALL, 0, 0)
    exchange.submit(PLACE, 0, side=-1, tick=103, lots=5)
    fills = batch(exchange, (1, 1, 102, 5))
    assert fills == []
    assert [(order.account, order.tick) for order in exchange.queue(-1)] == [(0, 103)]


def test_random_batches_come_as_often_as_they_should() -> None:
    rule = BatchAuction(interval_blocks=4.0, interval="poisson")
    exchange = auction(rule)
    blocks = []
    for _ in range(4000):
        exchange.next_block()
        blocks.append(rule.is_batch(exchange.state, exchange._clearing_memory))
    probability = 1.0 - np.exp(-0.25)
    assert sum(blocks) == pytest.approx(4000 * probability, abs=4.0 * np.sqrt(4000 * probability * (1.0 - probability)))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="BatchAuction.interval_blocks: 1.5 must be a whole number"):
        BatchAuction(interval_blocks=1.5)
    with pytest.raises(ParameterError, match="BatchAuction.interval: 'daily' is not one of fixed, poisson"):
        BatchAuction(interval="daily")  # type: ignore[arg-type]


def test_a_venue_of_batches_does_not_hand_positions_over() -> None:
    with pytest.raises(ParameterError, match=r"Venue.liquidation: TakeoverLiquidation hands positions to keepers"):
        replace(abm.PRESETS["dydx_v4"](), clearing=BatchAuction(), liquidation=abm.TakeoverLiquidation())
