"""A pool of liquidity ranges: swaps that step from edge to edge, fees by liquidity, and ranges that come and go.

After Uniswap v3 (`UniswapV3Pool.sol`, `Tick.sol`), as Perp v2 uses it with virtual coins and dollars. Edges lie on a grid of slots, each a
number of ticks of 1.0001 wide. A pool's price lies in one slot; between two slots its liquidity is constant.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline
from abm.kernels.ranges import TICK_RATIO, amounts, average_price, coins_between, growth_inside, held_within, root_after
from abm.state import NOBODY

RANGE_POOL = np.dtype(
    [
        ("root", "f8"),  # square root of the price in USD
        ("liquidity", "f8"),  # of the ranges around it
        ("fee_growth", "f8"),  # USD that one unit of liquidity has earned which was always at the price
        ("slot", "i8"),  # where the price is: between the edges `slot` and `slot` + 1
        ("first", "i8"),  # number of the tick of slot 0, in spacings
        ("reference", "f8"),  # square root of the price from which the ticks that may be crossed are counted
        ("reference_block", "i8"),  # block in which that was taken
        ("settled", "f8"),  # square root of the price up to which all ranges have been settled
        ("shown", "f8"),  # square root of the price for which its quotes were made; 0: they must be made anew
    ],
    align=True,
)

EDGE = np.dtype(
    [
        ("root", "f8"),  # square root of the price in USD
        ("net", "f8"),  # liquidity that is added when the price passes upward
        ("outside", "f8"),  # fee growth on the side on which the price is not
        ("ranges", "i8"),  # that begin or end here
    ],
    align=True,
)


@inline
def slot_below(price, spacing, first):
    """Slot whose lower edge is at or next below a price in USD; a price on an edge, but for rounding, is at that edge."""
    return int(math.floor(math.log(price) / (spacing * math.log(TICK_RATIO)) + 1e-9)) - first


@inline
def swap(pools, edges, k, side, coins, limit, growth_per_root, commit):
    """Buys (side +1) or sells up to `coins` from pool k until the square root of its price reaches `limit`.

    Returns (coins, USD, square root of the price afterwards). Where no liquidity is the price jumps. `growth_per_root`: fee as a fraction
    of the money traded, for the ranges. Without `commit` nothing is changed; with it the caller has seen that the coins are there.
    """
    root = pools[k].root
    liquidity = pools[k].liquidity
    slot = pools[k].slot
    growth = pools[k].fee_growth
    left = coins
    done = 0.0
    money = 0.0
    while True:
        if side > 0 and slot + 1 >= edges.shape[1]:
            break
        if side < 0 and slot < 0:
            break
        edge = slot + 1 if side > 0 else slot
        bound = edges[k, edge].root
        target = min(bound, limit) if side > 0 else max(bound, limit)
        if side * (target - root) < 0.0:
            break
        if liquidity > 0.0:
            room = coins_between(liquidity, root, target)
            end = target
            if room >= left:
                end = root_after(root, liquidity, side, left)
                end = min(end, target) if side > 0 else max(end, target)
                room = left
            money += room * average_price(root, end)  # L |s - s'| without the cancellation
            growth += growth_per_root * abs(end - root)
            done += room
            left -= room
            root = end
            if left <= 0.0:
                break
        else:
            root = target
        if target != bound:
            break
        if commit and edges[k, edge].ranges > 0:
            edges[k, edge].outside = growth - edges[k, edge].outside
        liquidity += side * edges[k, edge].net
        slot += side
    if commit:
        pools[k].root = root
        pools[k].liquidity = liquidity
        pools[k].slot = slot
        pools[k].fee_growth = growth
    return coins if left <= 0.0 else done, money, root


@inline
def lots_up_to(pools, edges, k, side, lots, lot, limit):
    """How many of `lots` can be bought (side +1) or sold before the square root of the price passes `limit`."""
    coins = lots * lot
    done, _, _ = swap(pools, edges, k, side, coins, limit, 0.0, False)
    return lots if done >= coins else int(done / lot * (1.0 - 1e-12))


@inline
def fees_inside(pools, edges, ranges, row):
    """Fee growth within a range, up to a constant."""
    k = int(ranges[row].market)
    lower = ranges[row].lower
    upper = ranges[row].upper
    return growth_inside(pools[k].fee_growth, pools[k].slot, lower, upper, edges[k, lower].outside, edges[k, upper].outside)


@inline
def pass_edge(pools, edges, k, slot, net, count):
    """Notes that a range begins or ends at an edge (count +1), or does so no longer (-1)."""
    if edges[k, slot].ranges == 0:
        edges[k, slot].outside = pools[k].fee_growth if pools[k].slot >= slot else 0.0
    edges[k, slot].net += net
    edges[k, slot].ranges += count


@inline
def open_range(venue, pools, edges, ranges, i, k, lower, upper, liquidity):
    """Adds liquidity of account i between the edges `lower` < `upper`; returns its row, or NOBODY when the table is full."""
    for row in range(ranges.shape[0]):
        if ranges[row].account == NOBODY:
            pass_edge(pools, edges, k, lower, liquidity, 1)
            pass_edge(pools, edges, k, upper, -liquidity, 1)
            if lower <= pools[k].slot < upper:
                pools[k].liquidity += liquidity
            pools[k].shown = 0.0
            ranges[row].account = i
            ranges[row].market = k
            ranges[row].lower = lower
            ranges[row].upper = upper
            ranges[row].liquidity = liquidity
            ranges[row].lowest = edges[k, lower].root ** 2
            ranges[row].highest = edges[k, upper].root ** 2
            ranges[row].entry = pools[k].root
            ranges[row].settled = pools[k].root
            ranges[row].lots = 0
            ranges[row].fees = 0.0
            ranges[row].opened = venue[0].block
            ranges[row].fee_growth = fees_inside(pools, edges, ranges, row)
            return row
    return NOBODY


@inline
def close_range(pools, edges, ranges, row):
    """Takes a range out of its pool and frees its row."""
    k = int(ranges[row].market)
    lower = ranges[row].lower
    upper = ranges[row].upper
    liquidity = ranges[row].liquidity
    pass_edge(pools, edges, k, lower, -liquidity, -1)
    pass_edge(pools, edges, k, upper, liquidity, -1)
    if lower <= pools[k].slot < upper:
        pools[k].liquidity -= liquidity
    pools[k].shown = 0.0
    ranges[row].account = NOBODY
    ranges[row].liquidity = 0.0
    ranges[row].lots = 0


@inline
def inventory(pools, edges, ranges, row):
    """Coins that a range has bought (> 0) or sold since it was opened."""
    k = int(ranges[row].market)
    lower = edges[k, ranges[row].lower].root
    upper = edges[k, ranges[row].upper].root
    now = held_within(pools[k].root, lower, upper)
    entry = held_within(ranges[row].entry, lower, upper)
    return ranges[row].liquidity * (1.0 / now - 1.0 / entry)


@inline
def content(pools, edges, ranges, row):
    """(coins, USD) that a range holds now."""
    k = int(ranges[row].market)
    return amounts(ranges[row].liquidity, pools[k].root, edges[k, ranges[row].lower].root, edges[k, ranges[row].upper].root)
