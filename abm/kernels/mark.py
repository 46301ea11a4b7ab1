"""Mark prices: what positions are valued at, from the oracle and from the venue's own book."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.state import NOT_YET

NONE = 0.0  # a price that is not there

MOVING_AVERAGE = np.dtype(
    [
        ("weighted_sum", "f8"),  # USD x seconds
        ("weight", "f8"),  # seconds; 0 before the first sample
        ("sampled_block", "i8"),  # of the last sample
    ],
    align=True,
)


@inline
def median_of_three(a, b, c):
    """The middle one of three numbers."""
    return max(min(a, b), min(max(a, b), c))


@inline
def book_median(bid, ask, last):
    """Median of best bid, best ask and last trade in USD, each NONE when missing.

    The median of two is their mean, of one that one, of nothing NONE.
    """
    total = 0.0
    count = 0
    for price in (bid, ask, last):
        if price != NONE:
            total += price
            count += 1
    if count == 3:
        return median_of_three(bid, ask, last)
    return total / count if count > 0 else NONE


@inline
def robust_mark(oracle, basis, bid, ask, last, third):
    """Median of oracle + average basis, of median(bid, ask, last), and of a third price, all in USD.

    `basis` is the moving average of mid - oracle over 150 s. The third price is the weighted median of perpetual mids
    on other exchanges, or where there is none a 30 s moving average of the second (Hyperliquid docs, "Robust price
    indices"). With no quote and no trade the first is left.
    """
    book = book_median(bid, ask, last)
    if book == NONE:
        return oracle + basis
    return median_of_three(oracle + basis, book, third)


@inline
def average_after(weighted_sum, weight, sample, elapsed, time_constant):
    """(weighted sum, weight) of an exponential moving average after one more sample; the average is their ratio.

    Both decay by exp(-elapsed/time constant); then the sample counts for the `elapsed` seconds since the one before
    (Hyperliquid docs, "Robust price indices"). So the average starts at the first sample, and irregular samples are
    weighed right.
    """
    decay = math.exp(-elapsed / time_constant)
    return weighted_sum * decay + sample * elapsed, weight * decay + elapsed


@inline
def take_sample(averages, row, k, sample, block, seconds_per_block, time_constant):
    """Adds a sample to one moving average."""
    elapsed = seconds_per_block
    if averages[row, k].sampled_block != NOT_YET:
        elapsed *= block - averages[row, k].sampled_block
    weighted_sum, weight = averages[row, k].weighted_sum, averages[row, k].weight
    weighted_sum, weight = average_after(weighted_sum, weight, sample, elapsed, time_constant)
    averages[row, k].weighted_sum = weighted_sum
    averages[row, k].weight = weight
    averages[row, k].sampled_block = block


@kernel
def mark_at_oracle(markets):
    """Mark = oracle."""
    for k in range(markets.shape[0]):
        markets[k].mark = markets[k].oracle


@kernel
def mark_at_last_trade(markets):
    """Mark = last trade; the oracle before the first."""
    for k in range(markets.shape[0]):
        if markets[k].last_tick > 0:
            markets[k].mark = markets[k].last_tick * markets[k].tick
        else:
            markets[k].mark = markets[k].oracle


@kernel
def mark_at_mid(markets):
    """Mark = half-way between the best quotes; while a side is empty it stays, and before the first quotes it is the oracle price."""
    for k in range(markets.shape[0]):
        if markets[k].best_bid > 0 and markets[k].best_ask < markets[k].ticks:
            markets[k].mark = 0.5 * (markets[k].best_bid + markets[k].best_ask) * markets[k].tick


@kernel
def mark_at_median(venue, markets, averages, seconds_per_block, basis_seconds, book_seconds, looks_outside):
    """Mark = `robust_mark`. `averages` (2, m): the basis in row 0, the median of the book in row 1.

    looks_outside: 1, the third price is the mid on the venue beside, where there is one; 0, always the second average.

    A moving average takes no sample in blocks in which a price that it needs is missing.
    """
    block = venue[0].block
    for k in range(markets.shape[0]):
        tick = markets[k].tick
        oracle = markets[k].oracle
        bid = markets[k].best_bid * tick
        ask = markets[k].best_ask * tick if markets[k].best_ask < markets[k].ticks else NONE
        last = markets[k].last_tick * tick
        if bid != NONE and ask != NONE:
            basis = 0.5 * (bid + ask) - oracle
            take_sample(averages, 0, k, basis, block, seconds_per_block, basis_seconds)
        book = book_median(bid, ask, last)
        if book != NONE:
            take_sample(averages, 1, k, book, block, seconds_per_block, book_seconds)
        basis = averages[0, k].weighted_sum / averages[0, k].weight if averages[0, k].weight > 0.0 else 0.0
        third = averages[1, k].weighted_sum / averages[1, k].weight if averages[1, k].weight > 0.0 else oracle
        if looks_outside == 1 and markets[k].outside_mid != NONE:
            third = markets[k].outside_mid
        markets[k].mark = robust_mark(oracle, basis, bid, ask, last, third)
