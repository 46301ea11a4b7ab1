"""Who goes first in a block."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.kernels.ordering import DIGITS, FEE_RANKS, FEW, KEY_BITS, MANY, NARROW_BITS, WIDE_BITS, fee_rank, sort_few, sort_many
from abm.mechanisms.ordering import Ordering, PriorityFeeOrdering, RandomOrdering
from abm.state import CANCEL, CANCEL_ALL, CANCEL_CONDITIONALS, DEPOSIT, LIQUIDATE, NOBODY, PLACE, Capacity
from tests.kernels.exchange import Exchange

ACCOUNTS = 60
ROOMY = Capacity(orders=8, conditionals=1, transactions=MANY, records=8)


def venue(ordering: Ordering, seed: int = 1) -> Exchange:
    return Exchange(ACCOUNTS, ordering=ordering, capacity=ROOMY, seed=seed)


def arranged(exchange: Exchange) -> list[int]:
    """Rows of the transactions in the order of their execution; nothing is executed."""
    count = exchange.ordering.arrange(exchange.state, exchange._ordering_memory)
    return exchange.state.sequence[0, :count].tolist()


# Sorting


def sorting_space(keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros((2, max(len(keys), 1)), np.uint64)
    table[0, : len(keys)] = np.array(keys, np.uint64)
    rows = np.zeros(table.shape, np.int32)
    rows[0] = np.arange(table.shape[1])
    return table, rows


some_keys = st.one_of(
    st.integers(0, (1 << KEY_BITS) - 1),
    st.integers(0, 3),
    st.integers(0, 3).map(lambda n: n << 32),
    st.integers(0, (1 << 11) - 1).map(lambda n: n << 44),
)


@settings(max_examples=60)
@given(keys=st.lists(some_keys, min_size=1, max_size=120))
def test_both_sorts_are_stable_sorts(keys):
    expected = np.argsort(np.array(keys, np.uint64), kind="stable").tolist()
    differing = np.bitwise_or.reduce(np.array(keys, np.uint64) ^ np.uint64(keys[0]))
    for bits in (NARROW_BITS, WIDE_BITS):
        table, rows = sorting_space(keys)
        sort_many(table, rows, len(keys), np.full(DIGITS, 7, np.int64), bits, differing)
        assert rows[0, : len(keys)].tolist() == expected
    table, rows = sorting_space(keys)
    sort_few(table, rows, len(keys))
    assert rows[0, : len(keys)].tolist() == expected


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 600, MANY])
def test_many_are_in_the_same_order_as_few(count):
    """The order of an account relative to another does not depend on how many transactions there are."""
    exchange = venue(RandomOrdering())
    for n in range(count):
        exchange.submit(PLACE, n % ACCOUNTS)
    rows = arranged(exchange)
    assert sorted(rows) == list(range(count))
    priority = {account: place for place, account in reversed(list(enumerate(row % ACCOUNTS for row in rows)))}
    order = sorted(priority, key=priority.__getitem__)
    everybody = venue(RandomOrdering())
    for n in range(ACCOUNTS):
        everybody.submit(PLACE, n)
    assert order == [row for row in arranged(everybody) if row < count]


# Priorities


def test_an_account_s_transactions_keep_their_order():
    exchange = venue(RandomOrdering())
    for n in range(300):
        exchange.submit(PLACE, n % 7)
    rows = arranged(exchange)
    for account in range(7):
        mine = [row for row in rows if row % 7 == account]
        assert mine == sorted(mine)
    owners = [row % 7 for row in rows]
    assert sum(a != b for a, b in pairwise(owners)) == 6  # one after the other


def test_a_dropped_order_does_not_reshuffle_the_rest():
    full, partial = venue(RandomOrdering()), venue(RandomOrdering())
    for account in range(ACCOUNTS):
        full.submit(PLACE, account)
        if account not in (3, 17):
            partial.submit(PLACE, account)
    names = partial.state.transactions["account"]
    assert [names[row] for row in arranged(partial)] == [row for row in arranged(full) if row not in (3, 17)]


def test_priorities_are_drawn_anew_in_each_block_and_for_each_seed():
    orders = []
    for seed, block in ((1, 0), (1, 1), (2, 0)):
        exchange = venue(RandomOrdering(), seed)
        exchange.state.venue["block"] = block
        for account in range(ACCOUNTS):
            exchange.submit(PLACE, account)
        orders.append(tuple(arranged(exchange)))
    assert len(set(orders)) == 3


def test_everybody_is_first_equally_often():
    exchange = Exchange(4, capacity=ROOMY)
    first = [0] * 4
    for block in range(2000):
        exchange.state.venue["block"] = block
        exchange.state.venue["transactions"] = 0
        for account in range(4):
            exchange.submit(PLACE, account)
        first[arranged(exchange)[0]] += 1
    assert min(first) > 420  # 500 with a standard deviation of 19
    assert max(first) < 580


def test_the_protocol_s_own_transactions_have_a_place_too():
    exchange = venue(RandomOrdering())
    exchange.submit(LIQUIDATE, NOBODY, NOBODY, target=3)
    exchange.submit(LIQUIDATE, NOBODY, NOBODY, target=1)
    exchange.submit(PLACE, 0)
    rows = arranged(exchange)
    assert [row for row in rows if row < 2] == [0, 1]


# Fees and cancellations


def test_higher_fees_go_first_and_equal_fees_by_chance():
    exchange = venue(PriorityFeeOrdering())
    fees = [0.0, 1e-7, 1e-6, 0.01, 0.0101, 5.0, 1e3, 1e9]
    for account, fee in enumerate(fees):
        exchange.submit(PLACE, account, fee=fee)
    assert arranged(exchange) == [7, 6, 5, 4, 3, 2, 1, 0]
    exchange = venue(PriorityFeeOrdering())
    blind = venue(RandomOrdering())
    for account in range(20):
        exchange.submit(PLACE, account, fee=0.25)
        blind.submit(PLACE, account, fee=0.25)
    assert arranged(exchange) == arranged(blind)


@given(low=st.floats(0.0, 1e9), more=st.floats(1.0001, 10.0))
def test_a_fee_that_is_a_ten_thousandth_higher_ranks_before(low, more):
    low = max(low, 1e-3)
    assert fee_rank(low * more) < fee_rank(low)
    assert 0 <= fee_rank(low * more) < FEE_RANKS
    assert fee_rank(low) < fee_rank(0.0) == FEE_RANKS - 1


@pytest.mark.parametrize("ordering", [RandomOrdering(cancels_first=True), PriorityFeeOrdering(cancels_first=True)])
def test_cancellations_go_before_all_else(ordering):
    exchange = venue(ordering)
    kinds = [PLACE, CANCEL, LIQUIDATE, CANCEL_ALL, DEPOSIT, CANCEL_CONDITIONALS] * 20
    for n, kind in enumerate(kinds):
        exchange.submit(kind, n % 13, fee=0.0 if kind in (CANCEL, CANCEL_ALL, CANCEL_CONDITIONALS) else 100.0, target=1)
    found = [kinds[row] in (CANCEL, CANCEL_ALL, CANCEL_CONDITIONALS) for row in arranged(exchange)]
    assert found == [True] * 60 + [False] * 60


# Latency and room


def test_only_what_has_arrived_is_executed():
    exchange = venue(RandomOrdering())
    for n in range(90):
        exchange.submit(PLACE, n % ACCOUNTS, latency=n % 3)
    for block, arrived in ((0, 30), (1, 60), (2, 90)):
        exchange.state.venue["block"] = block
        assert len(arranged(exchange)) == arrived


def test_more_transactions_than_there_is_room_for_are_an_error():
    exchange = venue(RandomOrdering())
    exchange.state.venue["transactions"] = MANY + 1
    with pytest.raises(RuntimeError, match="raise Capacity.transactions"):
        arranged(exchange)
