"""Swaps against a virtual market maker's curve and against an oracle-priced pool, in the functions that clearing uses.

Each swap finds how many lots its limit price allows, prices them, and moves the reserves, or the imbalance and what is set aside for
impact. Margin checks and fees of whole transactions are what checked_clearing.py measures on the book.
"""

from __future__ import annotations

import numpy as np
from measuring import Figure, clock, show

from abm.kernels.compiled import kernel
from abm.kernels.pool_market import POOL_TERMS, fill_value
from abm.kernels.pools import impact_pool_after
from abm.kernels.virtual_market import CURVE, curve_value, lots_to_price
from abm.state import Capacity, State, empty_table

SWAPS = 5_000_000
DEMANDED = 2e6  # swaps a second


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
    best = {"curve": float("inf"), "pool": float("inf")}
    for _ in range(repeats):
        state.pools["longs"] = state.pools["shorts"] = state.pools["impact"] = 0
        for name, swap in (
            ("curve", lambda: swap_on_curve(curve, sides, lots, limits, 1e-4)),
            ("pool", lambda: swap_in_pool(state.pools, state.markets, terms, sides, lots)),
        ):
            start = clock()
            traded = swap()
            best[name] = min(best[name], clock() - start)
            if not traded > 0.0:
                raise AssertionError(f"{name}: nothing was traded")
    return [
        Figure(
            f"swaps on a {name}" if name == "curve" else f"swaps in a {name}",
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
