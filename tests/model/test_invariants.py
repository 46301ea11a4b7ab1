"""Every law that is checked after a block: a healthy venue passes, and each kind of damage is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.agents.base import Group
from abm.agents.takers import Takers
from abm.invariants import LAWS, InvariantError, check_invariants
from abm.kernels import inspection as laws
from abm.mechanisms.presets import PRESETS
from abm.model import PerpModel
from abm.state import BITMAP_WORDS, CONDITIONAL, NEVER, NOBODY, NOT_YET, PLACE, State
from abm.worlds.diffusion import Diffusion
from tests.kernels.exchange import Exchange

BID, ASK = 97, 103  # best levels of market 0, two orders each
LOW_BID = 90  # a level with one order
BIG = 10**6


def healthy() -> State:
    """A venue with positions, fees, a fund, funding, orders that expire and orders that wait; account 5 never traded."""
    exchange = Exchange(6, 2, maker_fee=-0.0001, taker_fee=0.0005, fund=100.0)
    exchange.trade(0, 1, 10, 100, market=0)
    exchange.trade(0, 2, 5, 100, market=1)
    for account, tick, expires in ((0, BID, NEVER), (1, BID, 9), (2, LOW_BID, 9), (0, 80, NEVER)):
        exchange.place(account, 1, tick, 7, expires=expires)
    for account, tick in ((3, ASK), (4, ASK), (4, 110)):
        exchange.place(account, -1, tick, 7)
    exchange.execute(CONDITIONAL, 1, side=1, tick=90, lots=1, amount=50.0)
    exchange.next_block()
    exchange.clear()
    exchange.submit(PLACE, 2, side=1, tick=91, lots=1, latency=3)
    return exchange.state


def row_at(state: State, tick: int, place: int = 0) -> int:
    """Row of the order at a place in the queue of a level of market 0."""
    row = int(state.levels["first"][0, tick]) - 1
    for _ in range(place):
        row = int(state.orders["next"][row])
    return row


def move(state: State, table: str, field: str, row: Any, amount: float) -> None:
    getattr(state, table)[field][row] += amount


def write(state: State, table: str, field: str, row: Any, value: float) -> None:
    getattr(state, table)[field][row] = value


def empty_the_fund(state: State) -> None:
    state.accounts["collateral"][0] += state.funds["balance"][0] + 1.0
    state.accounts["rewards"][0] += state.funds["balance"][0] + 1.0
    state.funds["balance"] = -1.0


def indebt(state: State) -> None:
    state.accounts["collateral"][0] += state.accounts["collateral"][5] + 1e-12
    state.accounts["collateral"][5] = -1e-12


def mark_empty_level(state: State) -> None:
    state.bitmap[0, BID >> 6] |= np.uint64(1) << np.uint64((BID + 1) & 63)


def lose_a_free_row(state: State) -> None:
    state.venue["orders_free"] = state.orders["next"][int(state.venue["orders_free"][0])]


def pool_of(state: State, counted: float = 5.0, missing: float = 0.0, impact: float = 0.0) -> None:
    """A pool in the first market whose own account is the fifth, with one owner of five shares."""
    state.markets["house"][0] = 4
    state.shares["shares"][0, 0] = 5.0
    state.shares["paid"][0, 0] = state.accounts["net_deposits"][4] - missing
    state.pools["shares"][0] = counted
    state.pools["impact"][0] = impact


DAMAGE: list[tuple[int, Callable[[State], Any]]] = [
    (laws.FINITE_ACCOUNT, lambda s: write(s, "accounts", "collateral", 2, np.nan)),
    (laws.FINITE_ACCOUNT, lambda s: write(s, "accounts", "taker_volume", 2, np.inf)),
    (laws.FINITE_MARKET, lambda s: write(s, "markets", "mark", 1, np.inf)),
    (laws.FINITE_VENUE, lambda s: write(s, "venue", "fees", 0, np.nan)),
    (laws.MONEY_CONSERVED, lambda s: move(s, "accounts", "collateral", 0, 0.1)),
    (laws.MONEY_CONSERVED, lambda s: move(s, "venue", "net_deposits", 0, -0.1)),
    (laws.FEES_SUM_TO_ZERO, lambda s: move(s, "accounts", "fees", 0, 1e-4)),
    (laws.FUNDING_SUMS_TO_ZERO, lambda s: move(s, "accounts", "funding", 0, 1e-4)),
    (laws.FUND_BALANCE_EXPLAINED, lambda s: move(s, "accounts", "liquidation", 1, -1e-4)),
    (laws.FUND_BALANCE_EXPLAINED, lambda s: move(s, "accounts", "rewards", 1, 1e-4)),
    (laws.DELEVERAGING_SUMS_TO_ZERO, lambda s: move(s, "accounts", "deleveraging", 1, 1e-4)),
    (laws.SOCIALISED_SUMS_TO_ZERO, lambda s: move(s, "accounts", "socialised", 1, 1e-4)),
    (laws.FUND_NOT_NEGATIVE, empty_the_fund),
    (laws.POSITIONS_SUM_TO_ZERO, lambda s: move(s, "positions", "lots", (0, 0), 1)),
    (laws.OPEN_INTEREST_IS_SUM_OF_LONGS, lambda s: move(s, "markets", "open_interest", 1, 1)),
    (laws.NO_COST_WITHOUT_POSITION, lambda s: write(s, "positions", "entry_value", (5, 0), 1e-9)),
    (laws.ENTRY_PRICE_ON_THE_GRID, lambda s: move(s, "positions", "entry_value", (0, 0), 5_000.0)),
    (laws.ENTRY_PRICE_ON_THE_GRID, lambda s: write(s, "positions", "entry_value", (1, 0), 1_000.0)),
    (laws.ISOLATED_ACCOUNT_HOLDS_ITS_MARKET, lambda s: write(s, "accounts", "isolated_market", 1, 1)),
    (laws.ISOLATED_MARKET_HELD_ALONE, lambda s: write(s, "markets", "isolated_only", 1, 1)),
    (laws.NO_DEBT_WITHOUT_POSITION, indebt),
    (laws.MAINTENANCE_CLOCK, lambda s: write(s, "accounts", "below_maintenance_since", 0, 0)),
    (laws.MAINTENANCE_CLOCK, lambda s: write(s, "accounts", "maintenance_margin", 0, 1e9)),
    (laws.ZERO_CLOCK, lambda s: write(s, "accounts", "below_zero_since", 0, 1)),
    (laws.LIQUIDATABLE_COUNTED, lambda s: write(s, "venue", "liquidatable", 0, 1)),
    (laws.BITMAP_OF_LEVELS, mark_empty_level),
    (laws.BITMAP_OF_LEVELS, lambda s: write(s, "levels", "first", (0, 150), 3)),
    (laws.BITMAP_OF_WORDS, lambda s: s.bitmap[0].__setitem__(BITMAP_WORDS[0], 0)),
    (laws.BITMAP_OF_WORDS, lambda s: s.bitmap[1].__setitem__(BITMAP_WORDS[0] + BITMAP_WORDS[1], 2)),
    (laws.EMPTY_LEVEL_HAS_NO_LOTS, lambda s: write(s, "levels", "lots", (0, 150), 1)),
    (laws.EMPTY_LEVEL_HAS_NO_LOTS, lambda s: write(s, "levels", "last", (1, 150), 1)),
    (laws.LINK_IN_RANGE, lambda s: write(s, "orders", "next", row_at(s, BID), BIG)),
    (laws.LINK_IN_RANGE, lambda s: write(s, "accounts", "first_order", 5, -2)),
    (laws.QUEUE_LINKS, lambda s: write(s, "orders", "previous", row_at(s, BID, 1), NOBODY)),
    (laws.QUEUE_LINKS, lambda s: write(s, "levels", "last", (0, BID), row_at(s, BID) + 1)),
    (laws.ORDER_IN_ITS_LEVEL, lambda s: move(s, "orders", "tick", row_at(s, BID), 1)),
    (laws.ORDER_IN_ITS_LEVEL, lambda s: write(s, "orders", "market", row_at(s, BID), 1)),
    (laws.ORDER_HAS_LOTS, lambda s: write(s, "orders", "lots", row_at(s, BID), 0)),
    (laws.ORDER_NOT_EXPIRED, lambda s: write(s, "orders", "expires", row_at(s, BID, 1), 1)),
    (laws.ORDER_HAS_GENERATION, lambda s: write(s, "orders", "generation", row_at(s, BID), 0)),
    (laws.ONE_SIDE_PER_LEVEL, lambda s: write(s, "orders", "side", row_at(s, ASK, 1), 1)),
    (laws.LEVEL_LOTS, lambda s: move(s, "levels", "lots", (0, ASK), -1)),
    (laws.NOT_CROSSED, lambda s: write(s, "orders", "side", row_at(s, LOW_BID), -1)),
    (laws.BEST_BID, lambda s: move(s, "markets", "best_bid", 0, -7)),
    (laws.BEST_ASK, lambda s: move(s, "markets", "best_ask", 1, -1)),
    (laws.LIVE_ORDERS_COUNTED, lambda s: move(s, "venue", "orders_live", 0, 1)),
    (laws.ACCOUNT_CHAIN, lambda s: write(s, "orders", "account_previous", row_at(s, 80), row_at(s, ASK))),
    (laws.ACCOUNT_CHAIN, lambda s: write(s, "accounts", "first_order", 5, row_at(s, BID))),
    (laws.OPEN_ORDERS_COUNTED, lambda s: move(s, "accounts", "open_orders", 3, 1)),
    (laws.EXPIRY_CHAIN, lambda s: write(s, "orders", "expiry_previous", row_at(s, LOW_BID), row_at(s, BID))),
    (laws.EXPIRY_CHAIN, lambda s: s.expiry.__setitem__(9, NOBODY)),
    (laws.FREE_ROW_IS_EMPTY, lambda s: write(s, "orders", "lots", int(s.venue["orders_free"][0]), 1)),
    (laws.FREE_ROWS_COUNTED, lose_a_free_row),
    (laws.WAITING_IN_RANGE, lambda s: write(s, "conditionals", "market", 0, 2)),
    (laws.WAITING_IN_RANGE, lambda s: write(s, "venue", "transactions", 0, 129)),
    (laws.PENDING_ARRIVES_LATER, lambda s: write(s, "transactions", "arrives", 0, 1)),
    (laws.SHARES_ADD_UP, lambda s: pool_of(s, counted=6.0)),
    (laws.PAYMENTS_ADD_UP, lambda s: pool_of(s, missing=1.0)),
    (laws.IMPACT_NOT_NEGATIVE, lambda s: pool_of(s, impact=-1e-9)),
]


def test_a_healthy_venue_passes():
    check_invariants(healthy())


@pytest.mark.parametrize(("law", "damage"), DAMAGE, ids=[f"{LAWS[law][:40]}-{n}" for n, (law, _) in enumerate(DAMAGE)])
def test_each_damage_is_named(law, damage):
    state = healthy()
    damage(state)
    with pytest.raises(InvariantError, match=re.escape(LAWS[law])):
        check_invariants(state)


def test_no_law_is_without_a_damage_that_breaks_it():
    assert {law for law, _ in DAMAGE} == set(LAWS)
    numbers = {value for name, value in vars(laws).items() if name.isupper() and isinstance(value, int)} - {
        laws.HOLDS,
        NOBODY,
        NOT_YET,
    }
    assert numbers == set(LAWS)


def test_the_message_says_where_and_by_how_much():
    state = healthy()
    state.positions["lots"][0, 1] += 4
    with pytest.raises(InvariantError) as error:
        check_invariants(state)
    assert "block 1, market COIN1" in str(error.value)
    assert "found 4, expected 0, off by 4" in str(error.value)
    state = healthy()
    state.accounts["funding"][4] = np.nan
    with pytest.raises(InvariantError, match=r"account 4: funding = nan$"):
        check_invariants(state)
    assert issubclass(InvariantError, AssertionError)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
def test_the_tolerance_is_of_the_money_there_is(scale):
    """A billionth of all that lies on the venue may be rounding; ten billionths are missing money."""
    for share, holds in ((1e-11, True), (1e-8, False)):
        state = Exchange(6, capital=1e6 * scale).state
        state.accounts["collateral"][0] += 6e6 * scale * share
        if holds:
            check_invariants(state)
        else:
            with pytest.raises(InvariantError, match="net deposits"):
                check_invariants(state)


links = st.sampled_from(
    [
        ("orders", ("lots", "expires", "tick", "account", "previous", "next", "account_previous", "account_next", "expiry_previous",
                    "expiry_next", "market", "side")),
        ("levels", ("lots", "first", "last")),
        ("accounts", ("first_order", "open_orders")),
        ("markets", ("best_bid", "best_ask")),
        ("venue", ("orders_free", "orders_live")),
    ]
).flatmap(lambda table: st.tuples(st.just(table[0]), st.sampled_from(table[1])))  # fmt: skip


@given(
    damage=st.lists(st.tuples(links, st.integers(0, BIG), st.sampled_from([-2, -1, 0, 1, 2, 3, 255, 256, 30_000])), min_size=1, max_size=4)
)
def test_a_broken_book_is_named_and_never_walked_out_of(damage):
    """Whatever links and counts are broken: the check ends, with or without an error, and changes nothing."""
    state = healthy()
    for (table, field), place, value in damage:
        column = getattr(state, table)[field]
        column[np.unravel_index(place % column.size, column.shape)] = value
    before = {name: getattr(state, name).tobytes() for name in ("orders", "levels", "accounts", "markets", "venue", "bitmap")}
    with suppress(InvariantError):
        check_invariants(state)
    assert before == {name: getattr(state, name).tobytes() for name in before}


def test_a_model_that_checks_stops_at_the_first_broken_block():
    population = [Group(name="takers", members=20, strategy=Takers(), capital=1e4)]
    world = Diffusion(initial_price=(20_000.0, 1_500.0, 25.0))
    model = PerpModel(PRESETS["dydx_v4"](), world, population, blocks=20, seed=3, check=True)
    model.run(10)
    model.state.accounts["collateral"][3] += 1.0
    with pytest.raises(InvariantError, match=re.escape(LAWS[laws.MONEY_CONSERVED])):
        model.run(1)
    unchecked = PerpModel(PRESETS["dydx_v4"](), world, population, blocks=20, seed=3)
    unchecked.state.accounts["collateral"][3] += 1.0
    unchecked.run(1)
