"""The bare order book: time of one operation, without accounts, margin or fees.

Five million limit orders, market orders and cancellations around a moving mid. They are planned beforehand on a scratch book, so that
every cancellation names an order that is still there, and lie in one table; one compiled loop executes them with the functions that
the venue's clearing uses.
"""

from __future__ import annotations

import numpy as np
from measuring import Figure, clock, show

from abm.kernels.book import is_live, order_handle, remove_order, rest_order
from abm.kernels.compiled import inline, kernel
from abm.state import NEVER, NOBODY, Capacity, State

OPERATIONS = 5_000_000
LIVE = 10_000  # resting orders around which the mix settles
TICKS = 1 << 17
ACCOUNTS = 1_000
LIMIT, MARKET, CANCEL_ONE = 0, 1, 2
OPERATION = np.dtype(
    [
        ("kind", "i4"),
        ("side", "i4"),
        ("tick", "i8"),
        ("lots", "i8"),
        ("account", "i4"),
        ("target", "i4"),  # CANCEL_ONE: number of the operation that placed the order
    ],
    align=True,
)


@inline
def execute(venue, accounts, markets, levels, bitmap, orders, expiry, operations, handles, o):
    """Executes operation `o`; a limit order that rests leaves its handle in `handles[o]`. Returns the lots that traded."""
    kind = operations[o].kind
    if kind == CANCEL_ONE:
        handle = handles[operations[o].target]
        if is_live(orders, handle):
            remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, handle & 0xFFFFFFFF)
        return 0
    side = np.int64(operations[o].side)
    limit = operations[o].tick
    wanted = operations[o].lots
    lots = wanted
    while lots > 0:
        if side > 0:
            tick = markets[0].best_ask
            if tick > limit or tick >= markets[0].ticks:
                break
        else:
            tick = markets[0].best_bid
            if tick < limit or tick <= 0:
                break
        row = levels[0, tick].first - 1
        if orders[row].lots <= lots:
            lots -= orders[row].lots
            remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row)
        else:
            orders[row].lots -= lots
            levels[0, tick].lots -= lots
            lots = 0
    if lots > 0 and kind == LIMIT:
        row = rest_order(venue, accounts, markets, levels, bitmap, orders, expiry, operations[o].account, 0, side, limit, lots, 0, NEVER)
        handles[o] = order_handle(orders, row)
    return wanted - lots


@kernel
def execute_operations(venue, accounts, markets, levels, bitmap, orders, expiry, operations, handles):
    """Executes all operations in their order; returns the lots that traded."""
    traded = 0
    for o in range(operations.shape[0]):
        traded += execute(venue, accounts, markets, levels, bitmap, orders, expiry, operations, handles, o)
    return traded


@kernel
def plan_operations(venue, accounts, markets, levels, bitmap, orders, expiry, operations, handles, placed_by, chances, live):
    """Chooses the kind of every operation and the targets of cancellations, executing them one by one; returns the lots that traded.

    chances (n, 3): uniforms. placed_by (orders,): scratch space. The more orders rest, the more likely a cancellation.
    """
    traded = 0
    for o in range(operations.shape[0]):
        resting = venue[0].orders_live
        kind = LIMIT
        if chances[o, 0] < 0.1:
            kind = MARKET
        elif chances[o, 0] < 0.1 + 0.4 * resting / live:
            row = int(chances[o, 1] * 1.5 * live)
            for _ in range(100):
                if orders[row].lots > 0:
                    operations[o].target = placed_by[row]
                    kind = CANCEL_ONE
                    break
                row = (row * 48271 + 11) % int(1.5 * live)
        operations[o].kind = kind
        if kind == MARKET:
            operations[o].tick += operations[o].side * 100
        traded += execute(venue, accounts, markets, levels, bitmap, orders, expiry, operations, handles, o)
        if handles[o] > 0:
            placed_by[handles[o] & 0xFFFFFFFF] = o
    return traded


def empty_book():
    state = State(ACCOUNTS, ["BTC"], [TICKS], 1.0, Capacity(orders=1 << 16, conditionals=1, transactions=1, records=1))
    return state.venue, state.accounts, state.markets, state.levels, state.bitmap, state.orders, state.expiry


def planned_operations(n: int):
    """(operations, handles, lots that trade): prices lie around a mid that walks, half of the volume within eight ticks of it."""
    chance = np.random.default_rng(1)
    operations = np.zeros(n, OPERATION)
    operations["side"] = np.where(chance.random(n) < 0.5, 1, -1)
    mid = TICKS // 2 + np.cumsum((chance.random(n) < 0.02) * np.where(chance.random(n) < 0.5, 1, -1))
    operations["tick"] = mid - operations["side"] * (chance.exponential(12.0, n).astype(np.int64) - 1)
    operations["lots"] = chance.integers(1, 100, n)
    operations["account"] = chance.integers(0, ACCOUNTS, n)
    handles = np.zeros(n, np.int64)
    traded = plan_operations(*empty_book(), operations, handles, np.zeros(1 << 16, np.int64), chance.random((n, 3)), LIVE)
    return operations, handles, traded


def measure(n: int = OPERATIONS, repeats: int = 5) -> list[Figure]:
    operations, handles, planned = planned_operations(n)
    best = float("inf")
    for _ in range(repeats):
        book = empty_book()
        handles[:] = NOBODY
        start = clock()
        traded = execute_operations(*book, operations, handles)
        best = min(best, clock() - start)
        if traded != planned:
            raise AssertionError(f"{traded} lots traded, {planned} were planned")
    shares = [np.count_nonzero(operations["kind"] == kind) / n for kind in (LIMIT, MARKET, CANCEL_ONE)]
    note = f"{n:,} operations: {shares[0]:.0%} limit, {shares[1]:.0%} market, {shares[2]:.0%} cancel; {book[0]['orders_live'][0]:,} rest"
    return [Figure("bare book", best / n * 1e9, "ns per operation", 33.0, note=note)]


if __name__ == "__main__":
    show(measure())
