"""The price of a batch: one for everybody, at which most is traded (Budish, Cramton and Shim 2015)."""

from __future__ import annotations

import numpy as np

from abm.kernels.compiled import inline, kernel


@inline
def lots_at_or_better(ticks, totals, count, tick, side):
    """Lots of one side that would trade at `tick`: ticks (count,) in order of priority, best first, totals (count,) summed up so far."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) // 2
        better = ticks[middle] >= tick if side > 0 else ticks[middle] <= tick
        if better:
            low = middle + 1
        else:
            high = middle
    return totals[low - 1] if low > 0 else 0


@inline
def uniform_price(bid_ticks, bid_totals, bids, ask_ticks, ask_totals, asks, reference, lowest, highest):
    """(tick, lots): the price in [lowest, highest] at which most lots trade; of several the one that leaves the least imbalance between
    demand and supply, then the one nearest to `reference`, then the lower. (0, 0) where nothing would trade.

    Demand and supply only step at a limit price, so the prices to look at are those next to a limit and the reference itself.
    """
    best = 0
    volume = 0
    imbalance = 0
    for c in range(2 * (bids + asks) + 1):
        if c < 2 * bids:
            tick = bid_ticks[c // 2] + c % 2
        elif c < 2 * (bids + asks):
            tick = ask_ticks[(c - 2 * bids) // 2] - c % 2
        else:
            tick = reference
        tick = min(max(tick, lowest), highest)
        demand = lots_at_or_better(bid_ticks, bid_totals, bids, tick, 1)
        supply = lots_at_or_better(ask_ticks, ask_totals, asks, tick, -1)
        traded = min(demand, supply)
        gap = abs(demand - supply)
        if traded == 0 or traded < volume:
            continue
        if traded > volume or gap < imbalance:
            closer = True
        elif gap > imbalance:
            closer = False
        else:
            farther = abs(tick - reference) - abs(best - reference)
            closer = farther < 0 or (farther == 0 and tick < best)
        if closer:
            best = tick
            volume = traded
            imbalance = gap
    return best, volume


@kernel
def find_uniform_price(bid_ticks, bid_lots, ask_ticks, ask_lots, reference, lowest, highest):
    """`uniform_price` of bids and asks in any order, for whoever wants to know it."""
    bids = np.argsort(-bid_ticks, kind="mergesort")
    asks = np.argsort(ask_ticks, kind="mergesort")
    return uniform_price(
        bid_ticks[bids], np.cumsum(bid_lots[bids]), len(bids), ask_ticks[asks], np.cumsum(ask_lots[asks]), len(asks), reference,
        lowest, highest,
    )  # fmt: skip


@inline
def ration(lots, allowed, ticks, count, volume, pro_rata):
    """Writes to `allowed` (count,) how many lots of each order of one side may trade out of `volume`: better prices first; at the last
    price in proportion to size and what rounding leaves in order of time, or all in order of time."""
    left = volume
    n = 0
    while n < count:
        end = n
        total = 0
        while end < count and ticks[end] == ticks[n]:
            total += lots[end]
            end += 1
        given = 0
        if pro_rata and total > left:
            for a in range(n, end):
                allowed[a] = int(left * (lots[a] / total))
                given += allowed[a]
        else:
            for a in range(n, end):
                allowed[a] = 0
        for a in range(n, end):
            more = min(lots[a] - allowed[a], left - given)
            allowed[a] += more
            given += more
        left -= given
        n = end
