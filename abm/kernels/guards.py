"""What guards look at every block: how far a price has moved, whether somebody is below zero, whether prices still come."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.withdrawals import withdrawal_baseline, withdrawal_capacity
from abm.state import ACTIVE, HALTED, NOT_YET

# What a circuit breaker watches.
ORACLE_MOVE = 0
MARK_MOVE = 1
MID_MOVE = 2
INDEX_GAP = 3

BREAKER_SETTINGS = np.dtype(
    [
        ("threshold", "f8"),  # fraction
        ("resume_threshold", "f8"),  # fraction
        ("window", "i8"),  # blocks
        ("halt", "i8"),  # blocks
        ("resume_window", "i8"),  # blocks
        ("watched", "i4"),
        ("waits_for_calm", "i4"),  # 1: after the halt time, resumes only when the oracle is calm
        ("all_markets", "i4"),  # 1: all markets halt and resume together
    ],
    align=True,
)

BREAKER = np.dtype(
    [
        ("since", "i8"),  # block from which moves count
        ("high", "f8"),  # USD, highest watched price of the window
        ("low", "f8"),  # USD, lowest
        ("high_block", "i8"),
        ("low_block", "i8"),
        ("breached", "i8"),  # blocks in a row with a gap above the threshold
        ("until", "i8"),  # block at which this breaker's halt may end, NOT_YET when it has none
    ],
    align=True,
)

GATE = np.dtype(
    [
        ("after_loss", "i8"),  # blocks
        ("after_outage", "i8"),  # blocks
        ("outage", "i8"),  # blocks without an agreed price that make an outage
        ("seconds_per_block", "f8"),
        ("written", "f8"),  # USD, venue capacity as this gate left it
        ("started", "i4"),
    ],
    align=True,
)


@inline
def watched_price(markets, k, watched, otherwise):
    """The price in USD that a breaker watches in market k; `otherwise` for the mid of a book with an empty side."""
    if watched == MARK_MOVE:
        return markets[k].mark
    if watched == MID_MOVE:
        if markets[k].best_bid == 0 or markets[k].best_ask >= markets[k].ticks:
            return otherwise
        return 0.5 * (markets[k].best_bid + markets[k].best_ask) * markets[k].tick
    return markets[k].oracle


@inline
def find_extremes(breakers, prices, k, block):
    """Finds high and low of the window again after one of them has left it."""
    length = prices.shape[0]
    first = max(breakers[k].since, block - length + 1)
    breakers[k].high = breakers[k].low = prices[first % length, k]
    breakers[k].high_block = breakers[k].low_block = first
    for b in range(first + 1, block + 1):
        price = prices[b % length, k]
        if price >= breakers[k].high:
            breakers[k].high = price
            breakers[k].high_block = b
        if price <= breakers[k].low:
            breakers[k].low = price
            breakers[k].low_block = b


@inline
def widest_move(breakers, prices, k, block, price):
    """Takes the price of this block into the window; returns its distance from the window's farther extreme, a fraction.

    `prices` (window + 1, m) is a ring: a move over a window of w blocks compares w + 1 prices.
    """
    length = prices.shape[0]
    prices[block % length, k] = price
    oldest = max(breakers[k].since, block - length + 1)
    if breakers[k].high_block < oldest or breakers[k].low_block < oldest:
        find_extremes(breakers, prices, k, block)
    if price >= breakers[k].high:
        breakers[k].high = price
        breakers[k].high_block = block
    if price <= breakers[k].low:
        breakers[k].low = price
        breakers[k].low_block = block
    return max(1.0 - price / breakers[k].high, price / breakers[k].low - 1.0)


@inline
def price_range(prices, k, first, block):
    """Highest over lowest price of blocks `first` to `block`, less one."""
    high = low = prices[block % prices.shape[0], k]
    for b in range(first, block):
        price = prices[b % prices.shape[0], k]
        high = max(high, price)
        low = min(low, price)
    return high / low - 1.0


@inline
def restart_window(breakers, k, block, price):
    """Forgets the moves up to now, so that the move that caused a halt does not cause the next one."""
    breakers[k].since = block
    breakers[k].high = breakers[k].low = price
    breakers[k].high_block = breakers[k].low_block = block
    breakers[k].breached = 0


@inline
def halt_market(markets, breakers, k, until):
    """Halts a market at least until that block; a longer halt by somebody else stays."""
    breakers[k].until = until
    if markets[k].status == ACTIVE:
        markets[k].status = HALTED
    markets[k].halted_until = max(markets[k].halted_until, until)


@inline
def trips(markets, breakers, settings, prices, k, block):
    """Whether market k has moved, or has been away from the index, too far: takes this block into account."""
    if settings[0].watched == INDEX_GAP:
        gap = abs(markets[k].mark / markets[k].index - 1.0)
        breakers[k].breached = breakers[k].breached + 1 if gap > settings[0].threshold else 0
        return breakers[k].breached >= settings[0].window
    before = prices[(block - 1) % prices.shape[0], k]
    price = watched_price(markets, k, settings[0].watched, before)
    return widest_move(breakers, prices, k, block, price) > settings[0].threshold


@inline
def may_resume(settings, oracles, k, block):
    """Whether the resume rule of market k is met once its halt time is over.

    The timer rule always is; the calm rule is when the oracle price has moved by less than the resume threshold over
    the resume window, in all markets if they halt together.
    """
    if settings[0].waits_for_calm == 0:
        return True
    first = max(0, block - settings[0].resume_window)
    for j in range(oracles.shape[1]):
        concerned = j == k or settings[0].all_markets == 1
        if concerned and price_range(oracles, j, first, block) >= settings[0].resume_threshold:
            return False
    return True


@kernel
def watch_prices(venue, markets, breakers, settings, prices, oracles):
    """Circuit breaker: halts markets that move too far, and resumes those it has halted when their time is over.

    `prices` (window + 1, m) and `oracles` (resume window + 1, m) are rings of the watched and of the oracle prices.
    """
    block = venue[0].block
    tripped = False
    for k in range(markets.shape[0]):
        oracles[block % oracles.shape[0], k] = markets[k].oracle
        if trips(markets, breakers, settings, prices, k, block) and breakers[k].until == NOT_YET:
            tripped = True
            halt_market(markets, breakers, k, block + settings[0].halt)
    for k in range(markets.shape[0]):
        if tripped and settings[0].all_markets == 1 and breakers[k].until == NOT_YET:
            halt_market(markets, breakers, k, block + settings[0].halt)
        until = breakers[k].until
        if until == NOT_YET:
            continue
        if block >= until and may_resume(settings, oracles, k, block):
            breakers[k].until = NOT_YET
            restart_window(breakers, k, block, prices[block % prices.shape[0], k])
            if markets[k].halted_until <= block:
                markets[k].status = ACTIVE
        else:
            halt_market(markets, breakers, k, max(until, block + 1))


@inline
def is_outage(markets, block, outage):
    """Whether no market has had an agreed price for `outage` blocks."""
    latest = np.int64(0)
    for k in range(markets.shape[0]):
        latest = max(latest, markets[k].oracle_confirmed, markets[k].oracle_block)
    return block - latest >= outage


@inline
def is_any_below_zero(funds):
    """Whether any account was below zero when accounts were last assessed: bad debt is the sum of what they owe."""
    owed = 0.0
    for j in range(funds.shape[0]):
        owed += funds[j].bad_debt
    return owed > 0.0


@inline
def restore_capacity(venue, gate, limits):
    """Books what has left and come in since the last block, and moves every limit toward its baseline by one block."""
    tvl = venue[0].net_deposits
    moved = venue[0].withdrawal_capacity - gate[0].written if math.isfinite(gate[0].written) else 0.0
    tightest = math.inf
    for j in range(limits.shape[0]):
        minimum, fraction = limits[j].minimum, limits[j].tvl_fraction
        if gate[0].started == 0:
            limits[j].capacity = withdrawal_baseline(tvl, minimum, fraction)
        else:
            capacity = max(0.0, limits[j].capacity + moved)
            limits[j].capacity = withdrawal_capacity(tvl, minimum, fraction, limits[j].period, capacity, gate[0].seconds_per_block)
        tightest = min(tightest, limits[j].capacity)
    gate[0].started = 1
    gate[0].written = tightest
    venue[0].withdrawal_capacity = tightest


@kernel
def watch_withdrawals(venue, funds, markets, gate, limits):
    """Withdrawal gate: blocks withdrawals after losses and outages, and sets how much may leave in this block."""
    block = venue[0].block
    if is_any_below_zero(funds):
        venue[0].withdrawals_blocked_until = max(venue[0].withdrawals_blocked_until, block + gate[0].after_loss)
    if is_outage(markets, block, gate[0].outage):
        venue[0].withdrawals_blocked_until = max(venue[0].withdrawals_blocked_until, block + gate[0].after_outage)
    restore_capacity(venue, gate, limits)
