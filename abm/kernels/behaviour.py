"""What the archetypes' decision kernels share: when a member wakes next, and orders that a trader's caution allows."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.transactions import submit_order, submit_taker


@inline
def waiting_time(uniform, mean_blocks):
    """Whole blocks until the next decision: exponential with the given mean, at least one."""
    return int(-math.log(1.0 - uniform) * mean_blocks) + 1


@inline
def whole_lots(markets, k, notional):
    """Lots of market k that `notional` USD buy at the mark price, rounded down."""
    return int(notional / (markets[k].mark * markets[k].lot))


@inline
def take(venue, transactions, markets, i, k, lots, reach, flags, latency):
    """Buys (lots > 0) or sells at once, going no further than `reach` (fraction) beyond the best price of the other side.

    Traders look at what the book offers before they take it (Farmer, Gillemot, Lillo, Mike and Sen, "What really causes large price
    changes?", Quantitative Finance 4, 2004): what is not filled within their reach waits for their next order.
    """
    side = 1 if lots > 0 else -1
    best = markets[k].best_ask if side > 0 else markets[k].best_bid
    if best == 0 or best == markets[k].ticks:
        return
    tick = int(math.floor(best * (1.0 + reach))) if side > 0 else int(math.ceil(best * (1.0 - reach)))
    tick = min(max(tick, 1), markets[k].ticks - 1)
    submit_taker(venue, transactions, i, k, side, tick, abs(lots), flags, latency)


@inline
def open_at_index(venue, transactions, markets, i, k, lots):
    """Buys (lots > 0) or sells at the tick nearest the index, in this block or never.

    Sent in the first block by everybody who is to hold a position from the start, such orders make them each other's
    counterparties: the venue opens with ordinary trades at a fair price, and who finds nobody on the other side starts without.
    """
    side = 1 if lots > 0 else -1
    tick = min(max(int(markets[k].index / markets[k].tick + 0.5), 1), markets[k].ticks - 1)
    submit_order(venue, transactions, i, k, side, tick, abs(lots), 0, venue[0].block + 1, 0)


@inline
def costs_more_than(markets, k, lots, premium):
    """Whether the best price that a buyer (lots > 0) or seller would get is worse than the oracle price by more than `premium`."""
    if lots > 0:
        return markets[k].best_ask * markets[k].tick > markets[k].oracle * (1.0 + premium)
    return markets[k].best_bid * markets[k].tick < markets[k].oracle * (1.0 - premium)


@inline
def stress(markets, k):
    """Volatility now over volatility as usual, at least a tenth."""
    if markets[k].variance_usual <= 0.0:
        return 1.0
    return max(math.sqrt(markets[k].variance_now / markets[k].variance_usual), 0.1)
