"""Averages of prices over time: weighted by elapsed time, over an exact window, and with samples that are held near the average.

Drift v2 (`programs/drift/src/math/stats.rs`, `math/amm.rs`) and Perp v2 (`@perp/perp-oracle-contract`, cached TWAP).
"""

from __future__ import annotations

import numpy as np

from abm.kernels.compiled import inline

PULL = 1.0 / 4000.0  # distance from the venue's own price, as a fraction of it, at which an outside price is pulled no farther

AVERAGE = np.dtype([("price", "f8"), ("block", "i8")], align=True)  # USD, and the block of the last sample


@inline
def blended_average(average, price, elapsed, period):
    """Average after a price that held for `elapsed`: (P min(dt, T) + average x max(T - dt, 0)) / their sum; times in one unit.

    As an average over the last T it gives old prices an exponentially falling weight (Drift v2, calculate_new_twap).
    """
    kept = max(period - elapsed, 0.0)
    return (price * elapsed + average * kept) / (elapsed + kept)


@inline
def sanitised_price(price, average, largest_move):
    """A price held within `largest_move` (fraction) of the average that it enters, so that one sample cannot move it far; without an
    average (0) or a bound (0) as it is (Drift v2, sanitize_new_price)."""
    if average == 0.0 or largest_move == 0.0:
        return price
    reach = abs(average) * largest_move
    return min(max(price, average - reach), average + reach)


@inline
def pulled_price(price, confidence, own_price):
    """An outside price, pulled toward the venue's own price inside its confidence interval, but not nearer than 2.5 basis points.

    All in USD (Drift v2, normalise_oracle_price).
    """
    near = own_price * PULL
    if own_price > price:
        return min(max(own_price - near, price), price + confidence)
    return max(min(own_price + near, price), price - confidence)


@inline
def sanitised_averages(long_average, short_average, price, confidence, own_price, largest_move, elapsed, period, short_period):
    """(long, short) average after one more sample: pulled by its confidence, held near the long average, then blended into both."""
    sample = sanitised_price(pulled_price(price, confidence, own_price), long_average, largest_move)
    long_after = blended_average(long_average, sample, elapsed, period)
    return long_after, blended_average(short_average, sample, elapsed, short_period)


@inline
def add_to_window(sums, k, block, value):
    """Appends this block's value to the ring of running sums `sums` (blocks + 1, m); block -1 is the empty sum."""
    length = sums.shape[0]
    before = sums[(block - 1) % length, k] if block > 0 else 0.0
    sums[block % length, k] = before + value


@inline
def window_average(sums, k, block, window):
    """Mean of the values of the last `window` blocks, or of as many as there have been; `window` is less than the ring's length."""
    count = min(window, block + 1)
    length = sums.shape[0]
    before = sums[(block - count) % length, k] if block - count >= 0 else 0.0
    return (sums[block % length, k] - before) / count


@inline
def book_mid(markets, k, otherwise):
    """Mid of the best quotes in USD; `otherwise` while a side is empty."""
    if markets[k].best_bid == 0 or markets[k].best_ask >= markets[k].ticks:
        return otherwise
    return 0.5 * (markets[k].best_bid + markets[k].best_ask) * markets[k].tick
