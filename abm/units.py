"""The only conversions between real units and the venue's integers: prices in ticks, sizes in lots.

A tick is the smallest price step in USD, a lot the smallest size step in coins. Rounding is always said by the caller's
choice of function; nothing rounds silently.
"""

from __future__ import annotations

import math


def ticks_below(price: float, tick: float) -> int:
    """Largest whole number of ticks at or below `price` (USD): how a bid is rounded. A price on the grid stays there."""
    nearest = round(price / tick)
    return nearest if math.isclose(nearest * tick, price, rel_tol=1e-12) else math.floor(price / tick)


def ticks_above(price: float, tick: float) -> int:
    """Smallest whole number of ticks at or above `price` (USD): how an ask is rounded. A price on the grid stays there."""
    nearest = round(price / tick)
    return nearest if math.isclose(nearest * tick, price, rel_tol=1e-12) else math.ceil(price / tick)


def lots_within(size: float, lot: float) -> int:
    """Largest whole number of lots that fits into `size` coins (toward zero, sign kept)."""
    nearest = round(size / lot)
    return nearest if math.isclose(nearest * lot, size, rel_tol=1e-12) else math.trunc(size / lot)
