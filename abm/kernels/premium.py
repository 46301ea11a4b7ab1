"""The premium of a market: how far its book lies from the outside price, as a fraction of it, and how premiums are averaged.

Positive when the perpetual is dearer. dYdX v4 (`protocol/x/perpetuals/keeper/perpetual.go`, `protocol/x/clob/memclob/memclob.go`)
votes on a premium every block, takes the median of the votes every minute and the average of the medians every hour.
"""

from __future__ import annotations

import math

from abm.kernels.book import impact_price
from abm.kernels.compiled import inline, kernel
from abm.kernels.rounding import SLACK, clamp, rounded_rate, truncated_rate
from abm.state import ACTIVE


@inline
def premium(impact_bid, impact_ask, price):
    """[max(0, impact bid - price) - max(0, price - impact ask)] / price; an impact price of 0 (no depth) adds
    nothing."""
    above = max(0.0, impact_bid - price)
    below = max(0.0, price - impact_ask) if impact_ask > 0.0 else 0.0
    return (above - below) / price


@inline
def book_premium(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k):
    """Premium of the impact prices of market k over its oracle price, which is what the chain knows of the index.

    0 while the market is not active or has no oracle price. An impact bid cannot exceed the best bid nor an impact
    ask fall below the best ask, so the book is walked on the side that can differ from the oracle price, if there is
    one.
    """
    price = markets[k].oracle
    if markets[k].status != ACTIVE or price <= 0.0:
        return 0.0
    side = 0
    if markets[k].best_bid * markets[k].tick > price:
        side = -1
    elif markets[k].best_ask < markets[k].ticks and markets[k].best_ask * markets[k].tick < price:
        side = 1
    if side == 0:
        return 0.0
    impact = impact_price(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k, side, markets[k].impact_notional)
    if side < 0:
        return premium(impact, 0.0, price)
    return premium(0.0, impact, price)


@inline
def premium_vote(unclamped, limit):
    """A premium as it is voted on: cut to whole millionths toward zero, then held within the limit (dYdX
    `x/clob/keeper/clob_pair.go`)."""
    return clamp(truncated_rate(unclamped), limit)


@inline
def sort_ascending(values, k, count):
    """Sorts `values[k, :count]` in place (Shell's method: no memory, no recursion)."""
    gap = 1
    while 3 * gap + 1 < count:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, count):
            value = values[k, i]
            j = i
            while j >= gap and values[k, j - gap] > value:
                values[k, j] = values[k, j - gap]
                j -= gap
            values[k, j] = value
        gap //= 3


@inline
def pad_with_zeros(values, k, count, least):
    """Writes zeros behind the first `count` of `values[k]` until there are `least`; returns how many values there are
    then."""
    for i in range(count, least):
        values[k, i] = 0.0
    return max(count, least)


@inline
def premium_sample(votes, k, count, least):
    """Median of the first `count` votes of `votes[k]`, padded with zeros to `least`; sorts them in place.

    For an even number the mean of the two in the middle, rounded to millionths.
    """
    n = pad_with_zeros(votes, k, count, least)
    sort_ascending(votes, k, n)
    if n % 2 == 1:
        return votes[k, n // 2]
    return rounded_rate(0.5 * (votes[k, n // 2 - 1] + votes[k, n // 2]))


@inline
def remove_sample_tails(samples, k, count, rate):
    """(first, last): the samples `samples[k, first:last]` that remain when `rate` of them is cut from each end.

    floor(count x 2 x rate) are cut, half of them (rounded down) from the bottom. Sorts the samples if it cuts; cuts
    nothing when nothing would remain.
    """
    removed = math.floor(count * 2.0 * rate + SLACK)
    if removed <= 0 or removed >= count:
        return 0, count
    sort_ascending(samples, k, count)
    bottom = removed // 2
    return bottom, count - (removed - bottom)


@inline
def average_premium(samples, k, count, least, tail_removal):
    """Average of the first `count` samples of `samples[k]`, padded with zeros to `least`, tails removed; millionths,
    toward zero."""
    n = pad_with_zeros(samples, k, count, least)
    first, last = remove_sample_tails(samples, k, n, tail_removal)
    total = 0.0
    for i in range(first, last):
        total += samples[k, i]
    return truncated_rate(total / (last - first))


@kernel
def measure_premiums(accounts, positions, markets, margin_tiers, levels, bitmap, orders, out):
    """Writes the premium of the book now to `out` (m,)."""
    for k in range(markets.shape[0]):
        out[k] = book_premium(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k)
