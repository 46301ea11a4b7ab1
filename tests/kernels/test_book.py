"""The book against a naive one in plain Python, its bitmap against brute force, and the edges of both."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.kernels.book import depth_within, impact_price, is_live, level_above, level_below, occupy_level, vacate_level
from abm.mechanisms.margin import FlatMargin
from abm.state import BITMAP_WORDS, EXPIRY_SLOTS, IMMEDIATE_OR_CANCEL, MOST_TICKS, NEVER, POST_ONLY, Capacity
from tests.kernels.exchange import Exchange, Fill

HARMLESS = FlatMargin(initial_margin_fraction=1e-6, maintenance_fraction_of_initial=0.5)
ACCOUNTS = 4
TICKS = 24


# Bitmap


def edges() -> st.SearchStrategy[int]:
    """Levels, many of them beside the borders of words and of words of words."""
    borders = st.sampled_from([1, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 64 * 4096 - 65, MOST_TICKS - 2, MOST_TICKS - 1])
    return st.one_of(borders, st.integers(1, MOST_TICKS - 1))


@given(occupied=st.sets(edges(), max_size=30), gone=st.sets(edges(), max_size=10), looks=st.lists(edges(), max_size=30))
def test_the_next_level_is_the_one_that_brute_force_finds(occupied, gone, looks):
    bitmap = np.zeros((2, sum(BITMAP_WORDS)), np.uint64)
    for tick in occupied:
        occupy_level(bitmap, 1, tick)
    for tick in gone & occupied:
        vacate_level(bitmap, 1, tick)
    left = occupied - gone
    for tick in [*looks, *occupied, 0, MOST_TICKS]:
        assert level_above(bitmap, 1, tick, -7) == min((t for t in left if t > tick), default=-7)
        if tick < MOST_TICKS:
            assert level_below(bitmap, 1, tick, -7) == max((t for t in left if t < tick), default=-7)
    assert not bitmap[0].any()
    for tick in left:
        vacate_level(bitmap, 1, tick)
    assert not bitmap.any()


# The naive book


class Waiting(NamedTuple):
    number: int
    account: int
    side: int
    tick: int
    lots: int


class NaiveBook:
    """Price-time priority as a list that is searched from end to end."""

    def __init__(self) -> None:
        self.orders: list[Waiting] = []
        self.sent = 0

    def place(self, account: int, side: int, tick: int, lots: int, flags: int) -> list[Fill]:
        opposite = sorted((o for o in self.orders if o.side == -side), key=lambda o: (side * o.tick, o.number))
        crossing = [o for o in opposite if side * o.tick <= side * tick]
        if flags & POST_ONLY and crossing:
            return []
        fills = []
        for order in crossing:
            if lots == 0:
                break
            self.orders.remove(order)
            if order.account == account:
                continue
            quantity = min(lots, order.lots)
            lots -= quantity
            fills.append(Fill(account, order.account, side, order.tick, quantity))
            if order.lots > quantity:
                self.orders.append(order._replace(lots=order.lots - quantity))
        self.sent += 1
        if lots and not flags & IMMEDIATE_OR_CANCEL:
            self.orders.append(Waiting(self.sent, account, side, tick, lots))
        return fills

    def queue(self, side: int) -> list[tuple[int, int, int]]:
        mine = sorted((o for o in self.orders if o.side == side), key=lambda o: (-side * o.tick, o.number))
        return [(o.account, o.tick, o.lots) for o in mine]


operations = st.one_of(
    st.tuples(
        st.just("place"),
        st.integers(0, ACCOUNTS - 1),
        st.sampled_from([1, -1]),
        st.integers(1, TICKS - 1),
        st.integers(1, 9),
        st.sampled_from([0, 0, 0, POST_ONLY, IMMEDIATE_OR_CANCEL]),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
    st.tuples(st.just("cancel all"), st.integers(0, ACCOUNTS - 1)),
)


@settings(max_examples=150)
@given(st.lists(operations, max_size=60))
def test_fills_and_queues_are_those_of_a_naive_book(script):
    exchange = Exchange(ACCOUNTS, ticks=TICKS, price=12.0, capital=1e9, margin=HARMLESS)
    naive = NaiveBook()
    for operation, *rest in script:
        if operation == "place":
            assert exchange.place(*rest).fills == naive.place(*rest)
        elif operation == "cancel":
            resting = exchange.queue(1) + exchange.queue(-1)
            if resting:
                order = resting[rest[0] % len(resting)]
                exchange.cancel(order.account, order.handle)
                mine = [o for o in naive.orders if (o.account, o.side, o.tick, o.lots) == (order.account, *order[2:5])]
                place = [o for o in resting if o[1:5] == order[1:5]].index(order)
                naive.orders.remove(sorted(mine)[place])
        else:
            exchange.cancel_all(rest[0])
            naive.orders = [o for o in naive.orders if o.account != rest[0]]
        for side in (1, -1):
            assert [(o.account, o.tick, o.lots) for o in exchange.queue(side)] == naive.queue(side)
    exchange.assess()
    exchange.check()


# Handles, expiry, the pool


def test_a_handle_never_cancels_the_order_that_took_its_row():
    exchange = Exchange()
    exchange.place(0, 1, 90, 5)
    (first,) = exchange.queue(1)
    assert exchange.cancel(0, first.handle).reason == "filled"
    exchange.place(0, 1, 91, 5)
    (second,) = exchange.queue(1)
    assert second.row == first.row
    assert not is_live(exchange.state.orders, first.handle)
    assert is_live(exchange.state.orders, second.handle)
    assert exchange.cancel(0, first.handle).reason == "out_of_range"
    assert exchange.queue(1) == [second]


@pytest.mark.parametrize("handle", [0, -1, 1 << 32, (1 << 32) | 250, (1 << 32) | 0xFFFFFFFF, 1 << 62])
def test_a_handle_that_names_nothing_cancels_nothing(handle):
    exchange = Exchange()
    exchange.place(1, 1, 90, 5)
    assert exchange.cancel(0, handle).reason == "out_of_range"
    assert len(exchange.queue(1)) == 1


def test_nobody_cancels_the_order_of_another():
    exchange = Exchange()
    exchange.place(1, 1, 90, 5)
    assert exchange.cancel(0, exchange.queue(1)[0].handle).reason == "out_of_range"


@pytest.mark.parametrize("life", [1, 2, 7])
def test_an_order_is_valid_up_to_the_block_before_it_expires(life):
    exchange = Exchange()
    exchange.place(0, 1, 90, 5, expires=life)
    exchange.place(1, 1, 90, 3, expires=NEVER)
    for block in range(1, life + 2):
        assert len(exchange.queue(1)) == 2 if block <= life else 1
        exchange.next_block()
        exchange.check()
    assert [order.account for order in exchange.queue(1)] == [1]
    assert exchange.state.ended_orders["age"][0] == life


def test_orders_that_share_a_slot_expire_each_in_its_block():
    exchange = Exchange()
    lives = [3, 3 + EXPIRY_SLOTS, 3 + 2 * EXPIRY_SLOTS]
    for life in lives:
        exchange.place(0, 1, 90, 5, expires=life)
    left = []
    for block in (2, 3, 2 + EXPIRY_SLOTS, 3 + EXPIRY_SLOTS, 3 + 2 * EXPIRY_SLOTS):
        exchange.state.venue["block"] = block - 1
        exchange.next_block()
        left.append(len(exchange.queue(1)))
        exchange.check()
    assert left == [3, 2, 2, 1, 0]


def test_an_order_that_arrives_too_late_neither_trades_nor_rests():
    exchange = Exchange()
    exchange.place(1, -1, 100, 5)
    exchange.submit(0, 0, side=1, tick=100, lots=5, expires=2, latency=2)
    for _ in range(2):
        exchange.next_block()
        exchange.clear()
    assert exchange.fills() == []
    assert exchange.queue(1) == []
    exchange.check()


def test_a_full_pool_refuses_what_would_rest_and_still_trades():
    exchange = Exchange(capacity=Capacity(orders=4, conditionals=1, transactions=8, records=64))
    for tick in (95, 96, 97, 98):
        assert exchange.place(0, 1, tick, 5).reason == "filled"
    assert exchange.place(1, 1, 94, 5).reason == "pool_full"
    outcome = exchange.place(1, -1, 98, 7)
    assert outcome.fills == [Fill(1, 0, -1, 98, 5)]
    assert outcome.reason == "filled"  # the row that was taken is free again
    assert exchange.place(2, 1, 98, 4).fills == [Fill(2, 1, 1, 98, 2)]
    exchange.check()


# Looking at the book


def rest_random_orders(exchange: Exchange, seed: int) -> None:
    draw = np.random.default_rng(seed)
    for _ in range(60):
        side = int(draw.choice([-1, 1]))
        exchange.place(int(draw.integers(1, 6)), side, int(100 - side * draw.integers(1, 40)), int(draw.integers(1, 50)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", [1, -1])
def test_depth_is_the_money_up_to_the_limit(seed, side):
    exchange = Exchange(lot=0.25, capital=1e9)
    rest_random_orders(exchange, seed)
    state = exchange.state
    for limit in (1, 60, 80, 99, 100, 101, 120, 255):
        inside = [o for o in exchange.queue(side) if side * o.tick >= side * limit]
        money = sum(o.tick * o.lots * 0.25 for o in inside)
        assert depth_within(state.markets, state.levels, state.bitmap, 0, side, limit) == pytest.approx(money, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("notional", [0.0, 1.0, 500.0, 20_000.0, 1e9])
def test_impact_price_is_the_average_of_what_is_there(seed, side, notional):
    """Buying (+1) walks the asks. A notional of 0 asks for the best price; without the depth there is none."""
    exchange = Exchange(lot=0.25, capital=1e9)
    rest_random_orders(exchange, seed)
    s = exchange.state
    left, coins = notional, 0.0
    expected = 0.0
    for order in exchange.queue(-side):
        size, price = order.lots * 0.25, float(order.tick)
        if notional == 0.0:
            expected = price
            break
        if size * price >= left:
            expected = notional / (coins + left / price)
            break
        left, coins = left - size * price, coins + size
    found = impact_price(s.accounts, s.positions, s.markets, s.margin_tiers, s.levels, s.bitmap, s.orders, 0, side, notional)
    assert found == pytest.approx(expected, rel=1e-12)


def test_impact_price_passes_over_makers_who_could_not_pay():
    exchange = Exchange(capital=[1e6, 1.0, 1e6, 1e6, 1e6, 1e6])
    exchange.place(1, -1, 101, 1)
    exchange.state.accounts["collateral"][1] = 0.0
    exchange.place(2, -1, 103, 1)
    s = exchange.state
    assert impact_price(s.accounts, s.positions, s.markets, s.margin_tiers, s.levels, s.bitmap, s.orders, 0, 1, 0.0) == 103.0


# Edges of the grid


def test_the_first_and_the_last_level_trade_and_nothing_beyond():
    exchange = Exchange(ticks=64, price=30.0, margin=HARMLESS)
    for tick in (-1, 0, 64, 65, 1 << 40):
        assert exchange.place(0, 1, tick, 1).reason == "out_of_range"
    exchange.place(0, 1, 1, 4)
    exchange.place(1, -1, 63, 4)
    assert (exchange.state.markets["best_bid"][0], exchange.state.markets["best_ask"][0]) == (1, 63)
    assert exchange.place(2, 1, 63, 6).fills == [Fill(2, 1, 1, 63, 4)]
    assert exchange.state.markets["best_ask"][0] == 64
    assert exchange.state.markets["best_bid"][0] == 63
    assert exchange.place(3, -1, 1, 7).fills == [Fill(3, 2, -1, 63, 2), Fill(3, 0, -1, 1, 4)]
    assert exchange.state.markets["best_bid"][0] == 0
    assert exchange.state.markets["best_ask"][0] == 1
    exchange.assess()
    exchange.check()


@pytest.mark.parametrize("lots", [0, -1, (1 << 44) + 1, 1 << 62])
def test_sizes_that_cannot_be_counted_are_refused(lots):
    """Lots x tick must stay a whole number of 63 bits, or a giant order would look cheap."""
    exchange = Exchange(capital=1e9)
    assert exchange.place(0, 1, 200, lots).reason == "out_of_range"
    assert exchange.queue(1) == []


def test_the_largest_order_is_charged_in_full():
    exchange = Exchange(2, ticks=MOST_TICKS, lot=1e-9, price=2e5, capital=[3e9, 4e9])
    exchange.place(0, -1, MOST_TICKS - 1, 1 << 44)
    assert exchange.place(1, 1, MOST_TICKS - 1, 1 << 44).fills == [Fill(1, 0, 1, MOST_TICKS - 1, 1 << 44)]
    paid = (1 << 44) * (MOST_TICKS - 1) * 1e-9
    assert exchange.collateral(1) == pytest.approx(4e9 - paid, rel=1e-12)
    exchange.assess()
    exchange.check()
