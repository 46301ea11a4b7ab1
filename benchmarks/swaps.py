"""Swaps against a virtual market maker's curve, also in auctions beside a book, ranges of liquidity and an oracle-priced pool, in the
functions that clearing uses.

Each swap finds how many lots its limit price allows, prices them, and moves the reserves, or the imbalance and what is set aside for
impact. Margin checks and fees of whole transactions are what checked_clearing.py measures on the book.
"""

from __future__ import annotations

import math

import numpy as np
from measuring import Figure, clock, show

from abm.kernels.auction_prices import match_fees, order_auction_bounds, order_auction_price
from abm.kernels.compiled import kernel
from abm.kernels.curves import is_imbalanced, just_in_time
from abm.kernels.pool_market import POOL_TERMS, fill_value
from abm.kernels.pools import impact_pool_after
from abm.kernels.range_pool import EDGE, RANGE_POOL, lots_up_to, slot_below, swap
from abm.kernels.ranges import TICK_RATIO
from abm.kernels.virtual_market import CURVE, curve_value, lots_to_price
from abm.state import Capacity, State, empty_table

SWAPS = 5_000_000
DEMANDED = 2e6  # swaps a second
PREPOSITIONS = {"curve": "on a", "auctions": "in", "ranges": "in", "pool": "in a"}


@kernel
def swap_on_curve(curve, sides, lots, limits, lot):
    """Executes all swaps; returns the USD that changed hands."""
    base = curve[0].flat_base
    traded = 0.0
    for s in range(sides.shape[0]):
        side = sides[s]
        count = min(lots[s], lots_to_price(curve[0], base, lot, side, limits[s], 0.0005))
        if count > 0:
            size = count * lot
            traded += curve_value(curve[0].sqrt_k / base * curve[0].sqrt_k, base, curve[0].peg, side, size, 0.0005)
            base -= side * size
    return traded


@kernel
def swap_in_auctions(curve, sides, lots, limits, lot):
    """Executes all swaps as the last block of an auction does: bounds, price, the curve's part of a match with a maker at the auction's
    price just in time, its exact price for the rest, and who gets the fee; returns the USD that changed hands."""
    base = curve[0].flat_base
    traded = 0.0
    for s in range(sides.shape[0]):
        side = sides[s]
        first, last = order_auction_bounds(curve[0].peg, side, limits[s])
        price = order_auction_price(first, last, 10.0, 7.5)
        imbalanced = is_imbalanced(base, curve[0].sqrt_k, 1.4142)
        held = (base - curve[0].flat_base) / lot
        part = 0
        if side * held > 1.0:
            part = int(just_in_time(float(lots[s]), 1.0, held, imbalanced, False))
            traded += part * lot * price
            base -= side * part * lot
        count = min(lots[s] - part, lots_to_price(curve[0], base, lot, side, limits[s], 0.0005))
        if count > 0:
            size = count * lot
            value = curve_value(curve[0].sqrt_k / base * curve[0].sqrt_k, base, curve[0].peg, side, size, 0.0005)
            _, _, left, reward, _ = match_fees(value, 0.001, 0.0002, 0.0, 0.0, 0.1, 0.01, 12.5)
            traded += value + left + reward
            base -= side * size
    return traded


@kernel
def swap_in_ranges(pools, edges, sides, lots, roots, lot):
    """Executes all swaps: how many lots the limit allows, where that would leave the price, and the swap; returns the USD traded."""
    traded = 0.0
    for s in range(sides.shape[0]):
        side = sides[s]
        count = lots_up_to(pools, edges, 0, side, lots[s], lot, roots[s])
        if count > 0:
            far = math.inf if side > 0 else 0.0
            _, _, root = swap(pools, edges, 0, side, count * lot, far, 0.0, False)
            if root > 0.0:
                _, money, _ = swap(pools, edges, 0, side, count * lot, far, 0.001, True)
                traded += money
    return traded


def ranged_market(price: float, chance: np.random.Generator, ranges: int = 50, spacing: int = 10):
    """A pool and its edges: `ranges` ranges of up to 5 % around `price`, and one of 22 %, with edges a tenth of a per cent apart."""
    width = spacing * math.log(TICK_RATIO)
    first = math.floor(math.log(price) / width) - 200
    pools, edges = empty_table(1, RANGE_POOL), empty_table((1, 400), EDGE)
    edges["root"][0] = np.exp(0.5 * width * (first + np.arange(400)))
    pools["first"], pools["root"], pools["slot"] = first, math.sqrt(price), slot_below(price, spacing, first)
    for _ in range(ranges):
        lower, upper = 200 - int(chance.integers(1, 50)), 200 + int(chance.integers(1, 50))
        edges["net"][0, [lower, upper]] += (1_000.0, -1_000.0)
        edges["ranges"][0, [lower, upper]] += 1
    edges["net"][0, [0, -1]] += (10_000.0, -10_000.0)
    edges["ranges"][0, [0, -1]] += 1
    pools["liquidity"] = edges["net"][0, : int(pools["slot"][0]) + 1].sum()
    return pools, edges


@kernel
def swap_in_pool(pools, markets, terms, sides, lots):
    """Executes all swaps; returns the USD that changed hands."""
    traded = 0.0
    for s in range(sides.shape[0]):
        value, impact = fill_value(pools, markets, terms, 0, sides[s], lots[s])
        pools[0].impact, _ = impact_pool_after(pools[0].impact, impact, 0.0, 1.0, 1.0, 0.0)
        if sides[s] > 0:
            pools[0].longs += lots[s]
        else:
            pools[0].shorts += lots[s]
        traded += value
    return traded


def measure(n: int = SWAPS, repeats: int = 5) -> list[Figure]:
    chance = np.random.default_rng(1)
    sides = np.where(chance.random(n) < 0.5, 1, -1)
    lots = chance.integers(1, 2_000, n)
    limits = 20_000.0 * (1.0 + sides * chance.exponential(0.01, n))
    curve = empty_table(1, CURVE)
    curve["flat_base"] = curve["sqrt_k"] = 500.0
    curve["peg"] = 20_000.0
    state = State(1, ["BTC"], [1 << 15], 1.0, Capacity(orders=8, conditionals=1, transactions=1, records=1))
    state.markets["oracle"] = 20_000.0
    state.markets["lot"] = 1e-4
    terms = empty_table(1, POOL_TERMS)
    terms["positive_factor"], terms["negative_factor"], terms["exponent"] = 3e-11, 9e-11, 2.0
    terms["max_positive"], terms["max_negative"] = 0.004, 0.005
    roots = np.sqrt(limits)
    best = dict.fromkeys(PREPOSITIONS, float("inf"))
    for _ in range(repeats):
        ranged = ranged_market(20_000.0, np.random.default_rng(2))
        state.pools["longs"] = state.pools["shorts"] = state.pools["impact"] = 0
        for name, trade in (
            ("curve", lambda: swap_on_curve(curve, sides, lots, limits, 1e-4)),
            ("auctions", lambda: swap_in_auctions(curve, sides, lots, limits, 1e-4)),
            ("ranges", lambda ranged=ranged: swap_in_ranges(*ranged, sides, lots, roots, 1e-4)),
            ("pool", lambda: swap_in_pool(state.pools, state.markets, terms, sides, lots)),
        ):
            start = clock()
            traded = trade()
            best[name] = min(best[name], clock() - start)
            if not traded > 0.0:
                raise AssertionError(f"{name}: nothing was traded")
    return [
        Figure(
            f"swaps {PREPOSITIONS[name]} {name}",
            n / seconds,
            "swaps per second",
            DEMANDED,
            True,
            note=f"{n:,} swaps",
        )
        for name, seconds in best.items()
    ]


if __name__ == "__main__":
    show(measure())
