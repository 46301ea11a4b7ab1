"""Oracles that stand behind one another: averaged, pushed, replaced when they fail, or disputed.

Each works on prices that another oracle has published: the kept rows hold what that one knows while the markets' rows hold what is in
force.
"""

from __future__ import annotations

import numpy as np

from abm.kernels.averages import add_to_window, blended_average, book_mid, sanitised_price, window_average
from abm.kernels.compiled import inline, kernel
from abm.kernels.random import uniform

EVERY = -1  # a dispute about all markets

# Which price a fallback chain has in force.
PRIMARY = 0
BACKUP = 1
LAST_GOOD = 2
BOOK = 3

KEPT_PRICE = np.dtype([("oracle", "f8"), ("oracle_block", "i8"), ("oracle_confirmed", "i8")], align=True)

DISPUTE = np.dtype(
    [
        ("from_block", "i8"),
        ("decided", "i8"),  # block in which the vote ends
        ("to_block", "i8"),
        ("factor", "f8"),  # of the price in force when it is contested
        ("acceptance", "f8"),  # probability
        ("market", "i4"),
        ("holds_last", "i4"),  # 1: until then the last price holds; 0: the source goes on
    ],
    align=True,
)


@kernel
def swap_prices(markets, kept):
    """Exchanges what the markets' rows say of the oracle with the kept rows (m,)."""
    for k in range(markets.shape[0]):
        price, changed, confirmed = markets[k].oracle, markets[k].oracle_block, markets[k].oracle_confirmed
        markets[k].oracle = kept[k].oracle
        markets[k].oracle_block = kept[k].oracle_block
        markets[k].oracle_confirmed = kept[k].oracle_confirmed
        kept[k].oracle = price
        kept[k].oracle_block = changed
        kept[k].oracle_confirmed = confirmed


@inline
def put_in_force(markets, k, price, block):
    """Replaces the price in force, if it is another."""
    if price != markets[k].oracle:
        markets[k].oracle = price
        markets[k].oracle_block = block


@kernel
def publish_window_average(venue, markets, kept, sums, window):
    """Publishes the mean of the source's price over a window of blocks; `sums` (window + 1, m) is a ring of running sums."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        add_to_window(sums, k, block, kept[k].oracle)
        put_in_force(markets, k, window_average(sums, k, block, window), block)
        markets[k].oracle_confirmed = kept[k].oracle_confirmed


@kernel
def publish_blended_average(venue, markets, kept, period, largest_move):
    """Publishes the exponential average of the source's price, each sample held within `largest_move` of the average."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        average = markets[k].oracle
        sample = sanitised_price(kept[k].oracle, average, largest_move)
        put_in_force(markets, k, blended_average(average, sample, venue[0].seconds_per_block, period), block)
        markets[k].oracle_confirmed = kept[k].oracle_confirmed


@inline
def is_pushed(price, in_force, deviation, age, heartbeat):
    """Whether a feed is written to the chain: its price has moved by `deviation` (fraction) or the last write is a heartbeat old; both
    times in one unit (Chainlink data feeds)."""
    return abs(price - in_force) >= deviation * in_force * (1.0 - 1e-12) or age >= heartbeat


@kernel
def publish_pushed(venue, markets, kept, pushed, deviation, heartbeat):
    """Writes the source's price where it is due; `pushed` (m,) is the block of the last write, `heartbeat` in blocks.

    A source that has fallen silent is not written: nothing is confirmed then."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        alive = kept[k].oracle_confirmed == block or kept[k].oracle_confirmed > pushed[k]
        if alive and is_pushed(kept[k].oracle, markets[k].oracle, deviation, float(block - pushed[k]), heartbeat):
            pushed[k] = block
            put_in_force(markets, k, kept[k].oracle, block)
            markets[k].oracle_confirmed = block


@inline
def is_trusted(price, age, last_good, stale, largest_jump):
    """Whether a price may come into force: not older than `stale` and within `largest_jump` (fraction) of the last good one."""
    return price > 0.0 and age <= stale and abs(price - last_good) <= largest_jump * last_good


@inline
def fallback_step(primary_trusted, backup_trusted, since_good, hold):
    """Which price is in force: PRIMARY, BACKUP, the LAST_GOOD for the holding time, then the BOOK; times in one unit."""
    if primary_trusted:
        return PRIMARY
    if backup_trusted:
        return BACKUP
    return LAST_GOOD if since_good <= hold else BOOK


@kernel
def publish_first_trusted(venue, markets, primary, backup, good, good_block, stale, hold, largest_jump, band, steps):
    """Publishes the first price of the chain that can be trusted; times in blocks.

    `good` (m,) is the last price that a source gave in USD, `good_block` its block; `steps` (m,) receives which price is in force. In
    the last two steps nothing is confirmed, so that a guard on the oracle's age sees that there is none."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        first = is_trusted(primary[k].oracle, block - primary[k].oracle_confirmed, good[k], stale, largest_jump)
        second = is_trusted(backup[k].oracle, block - backup[k].oracle_confirmed, good[k], stale, largest_jump)
        step = fallback_step(first, second, block - good_block[k], hold)
        steps[k] = step
        if step in (PRIMARY, BACKUP):
            price = primary[k].oracle if step == PRIMARY else backup[k].oracle
            confirmed = primary[k].oracle_confirmed if step == PRIMARY else backup[k].oracle_confirmed
            good[k] = price
            good_block[k] = block
            put_in_force(markets, k, price, block)
            markets[k].oracle_confirmed = max(markets[k].oracle_confirmed, confirmed)
        elif step == BOOK:
            mid = book_mid(markets, k, good[k])
            put_in_force(markets, k, min(max(mid, good[k] * (1.0 - band)), good[k] * (1.0 + band)), block)


@inline
def is_accepted(key, d, acceptance):
    """How the vote on dispute d ends, drawn from its own address."""
    return uniform(key, 0, d, 0) < acceptance


@kernel
def publish_disputed(venue, markets, kept, disputes, contested, key):
    """Publishes the source's price where nobody contests it; `contested` (disputes, m) remembers the price in force when it was."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        price = kept[k].oracle
        confirmed = kept[k].oracle_confirmed
        for d in range(disputes.shape[0]):
            if disputes[d].market not in (EVERY, k) or not disputes[d].from_block <= block < disputes[d].to_block:
                continue
            if contested[d, k] == 0.0:
                contested[d, k] = markets[k].oracle
            if block < disputes[d].decided:
                if disputes[d].holds_last != 0:
                    price = contested[d, k]
            elif is_accepted(key, d, disputes[d].acceptance):
                price = contested[d, k] * disputes[d].factor
                confirmed = block
        put_in_force(markets, k, price, block)
        markets[k].oracle_confirmed = confirmed
