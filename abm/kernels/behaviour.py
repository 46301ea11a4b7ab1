"""What the archetypes' decision kernels share: when a member wakes next, and orders that a trader's caution allows."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.transactions import submit_taker


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
    """Buys (lots > 0) or sells at once, going no further than `reach` (fraction) beyond the mark price."""
    side = 1 if lots > 0 else -1
    tick = int(markets[k].mark * (1.0 + side * reach) / markets[k].tick)
    tick = min(max(tick, 1), markets[k].ticks - 1)
    submit_taker(venue, transactions, i, k, side, tick, abs(lots), flags, latency)


@inline
def stress(markets, k):
    """Volatility now over volatility as usual, at least a tenth."""
    if markets[k].variance_usual <= 0.0:
        return 1.0
    return max(math.sqrt(markets[k].variance_now / markets[k].variance_usual), 0.1)
