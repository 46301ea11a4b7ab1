"""Oracle prices: what each source reports, how reports become one price, and when a new price replaces the old one.

Formulas of dYdX v4: the stake-weighted median is Slinky's (`skip-mev/slinky` `pkg/math/voteweighted`), the minimum
change and the check of a single proposer's price are those of `protocol/x/prices/keeper`.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.random import normal
from abm.state import empty_table

EVERY = -1  # a window of every source, or of every market
# What a window does while it lasts.
HALT = 0  # nothing is published
OUTAGE = 1  # a source sees no new prices
FAULT = 2  # a source multiplies what it sees by `factor`

SILENT = 0.0  # the report of a source that has none, and the price that no quorum agreed on

# Thresholds are met up to rounding: 100.1 - 100 is less than 0.1 in floating point.
ROUNDING = 1e-12

SOURCE = np.dtype(
    [
        ("stake", "f8"),  # voting power, whole units
        ("noise", "f8"),  # standard deviation of the logarithm of its price
        ("lag", "i8"),  # blocks by which it is late
    ],
    align=True,
)

REPORT = np.dtype([("price", "f8"), ("stake", "f8")], align=True)

WINDOW = np.dtype(
    [
        ("from_block", "i8"),
        ("to_block", "i8"),  # first block after it
        ("factor", "f8"),
        ("effect", "i4"),
        ("source", "i4"),
        ("market", "i4"),
    ],
    align=True,
)

SETTINGS = np.dtype(
    [
        ("key", "u8"),  # of the random stream
        ("interval", "i8"),  # blocks between updates
        ("expiry", "i8"),  # blocks for which a source that is cut off repeats its last price
        ("quorum", "f8"),  # fraction of all stake that must report
        ("total_stake", "f8"),
    ],
    align=True,
)


@inline
def min_price_change(price, min_change_fraction):
    """Smallest change in USD that is published: a fraction of the price in force (dYdX `x/prices/keeper/util.go`)."""
    return price * min_change_fraction


@inline
def meets_min_change(old_price, new_price, min_change_fraction):
    """Whether the new price is at least the minimum change away from the one in force."""
    return abs(new_price - old_price) >= min_price_change(old_price, min_change_fraction) - ROUNDING * old_price


@inline
def is_towards_index(old_price, new_price, index_price):
    """Whether the new price lies between the old one and the index, both included."""
    return min(old_price, index_price) <= new_price <= max(old_price, index_price)


@inline
def price_within_one_tick(delta, tick):
    """Whether a distance (USD) is at most one tick, the minimum change at the old price."""
    return delta <= tick * (1.0 + ROUNDING)


@inline
def price_sqrt_condition(old_delta, new_delta, tick):
    """Whether a price that crosses the index by `new_delta` stays within the square root of the old distance, in ticks.

    new_delta^2 <= old_delta x tick (dYdX `newPriceMeetsSqrtCondition`).
    """
    return new_delta * new_delta <= old_delta * tick * (1.0 + ROUNDING)


@inline
def max_allowed_price_delta(old_delta, tick):
    """Farthest that a new price may cross the index, USD: sqrt(old_delta x tick)."""
    return math.sqrt(old_delta * tick)


@inline
def price_update_check(old_price, new_price, index_price, min_change_fraction):
    """Whether a validator accepts a proposer's price, given the index price that it sees itself.

    The change is at least the minimum; and the price lies between the old one and the index, or crosses the index by no
    more than the old distance when that is within a tick, and else by no more than sqrt(old distance x tick) (dYdX
    `validatePriceAccuracy`).
    """
    if not meets_min_change(old_price, new_price, min_change_fraction):
        return False
    if is_towards_index(old_price, new_price, index_price):
        return True
    if not min(old_price, new_price) < index_price < max(old_price, new_price):
        return False
    old_delta = abs(old_price - index_price)
    new_delta = abs(new_price - index_price)
    tick = min_price_change(old_price, min_change_fraction)
    if price_within_one_tick(old_delta, tick):
        return new_delta <= old_delta * (1.0 + ROUNDING)
    return price_sqrt_condition(old_delta, new_delta, tick)


@inline
def sort_reports(reports, count):
    """Sorts the first `count` reports by price, equal prices keeping their order."""
    for i in range(1, count):
        price = reports[i].price
        stake = reports[i].stake
        j = i - 1
        while j >= 0 and reports[j].price > price:
            reports[j + 1].price = reports[j].price
            reports[j + 1].stake = reports[j].stake
            j -= 1
        reports[j + 1].price = price
        reports[j + 1].stake = stake


@inline
def submitted_stake(reports, count):
    """Stake behind the first `count` reports."""
    submitted = 0.0
    for i in range(count):
        submitted += reports[i].stake
    return submitted


@inline
def weighted_median(reports, count):
    """Lower weighted median of `count` >= 1 sorted reports: the first with cumulative stake >= floor(half of all stake)."""
    half = math.floor(submitted_stake(reports, count) / 2.0)
    below = 0.0
    for i in range(count):
        below += reports[i].stake
        if below >= half:
            return reports[i].price
    return reports[count - 1].price


@inline
def is_quorate(reports, count, total_stake, quorum):
    """Whether the reports stand for at least the fraction `quorum` of all stake; at 0.667, two thirds are too few."""
    return count > 0 and submitted_stake(reports, count) / total_stake >= quorum


@inline
def stake_weighted_median(reports, count, total_stake, quorum):
    """Lower stake-weighted median of the sorted reports in USD, SILENT without a quorum (Slinky `voteweighted`)."""
    if not is_quorate(reports, count, total_stake, quorum):
        return SILENT
    return weighted_median(reports, count)


@inline
def report_mean(reports, count, total_stake, quorum):
    """Plain mean of the reports in USD, SILENT without a quorum."""
    if not is_quorate(reports, count, total_stake, quorum):
        return SILENT
    total = 0.0
    for i in range(count):
        total += reports[i].price
    return total / count


@inline
def reported_price(settings, sources, windows, history, s, k, block):
    """What source s reports for market k in this block, USD; SILENT when it has been cut off for too long.

    The index as it was `lag` blocks ago, times exp(noise x Z) with Z standard normal at the address (block of the
    observation, source, market), times the factors of the faults in force. In an outage a source repeats what it saw
    last until that expires.
    """
    seen = block
    factor = 1.0
    for w in range(windows.shape[0]):
        if not windows[w].from_block <= block < windows[w].to_block:
            continue
        if windows[w].source not in (EVERY, s) or windows[w].market not in (EVERY, k):
            continue
        if windows[w].effect == FAULT:
            factor *= windows[w].factor
        elif windows[w].effect == OUTAGE:
            if block - windows[w].from_block >= settings[0].expiry:
                return SILENT
            seen = min(seen, windows[w].from_block - 1)
    seen -= sources[s].lag
    price = history[seen % history.shape[0], k] * factor
    if sources[s].noise > 0.0:
        price *= math.exp(sources[s].noise * normal(settings[0].key, max(seen, 0), s, k))
    return price


@inline
def gather_reports(settings, sources, windows, history, reports, k, block):
    """Writes the reports of all sources for market k to the head of `reports` and returns how many there are."""
    count = 0
    for s in range(sources.shape[0]):
        price = reported_price(settings, sources, windows, history, s, k, block)
        if price != SILENT:
            reports[count].price = price
            reports[count].stake = sources[s].stake
            count += 1
    return count


@inline
def remember_index(markets, history, block):
    """Writes the index of this block to the ring of past index prices (blocks, m)."""
    for k in range(markets.shape[0]):
        history[block % history.shape[0], k] = markets[k].index


@inline
def is_update_block(settings, windows, block):
    """Whether prices are updated in this block: the interval has passed and the chain does not stand still."""
    if block % settings[0].interval != 0:
        return False
    for w in range(windows.shape[0]):
        if windows[w].effect == HALT and windows[w].from_block <= block < windows[w].to_block:
            return False
    return True


@inline
def change_price(markets, k, price, min_change_fraction, block):
    """Replaces the oracle price of market k if the agreed one is far enough from it: the path becomes a staircase."""
    markets[k].oracle_confirmed = block
    if price != markets[k].oracle and meets_min_change(markets[k].oracle, price, min_change_fraction):
        markets[k].oracle = price
        markets[k].oracle_block = block


@kernel
def publish_median(venue, markets, settings, sources, windows, min_changes, history, reports):
    """Publishes the stake-weighted lower median of the sources; without a quorum the old price stays in force."""
    block = venue[0].block
    remember_index(markets, history, block)
    if is_update_block(settings, windows, block):
        for k in range(markets.shape[0]):
            count = gather_reports(settings, sources, windows, history, reports, k, block)
            sort_reports(reports, count)
            price = stake_weighted_median(reports, count, settings[0].total_stake, settings[0].quorum)
            if price != SILENT:
                change_price(markets, k, price, min_changes[k], block)


@kernel
def publish_mean(venue, markets, settings, sources, windows, min_changes, history, reports):
    """Publishes the plain mean of the sources; without a quorum the old price stays in force."""
    block = venue[0].block
    remember_index(markets, history, block)
    if is_update_block(settings, windows, block):
        for k in range(markets.shape[0]):
            count = gather_reports(settings, sources, windows, history, reports, k, block)
            price = report_mean(reports, count, settings[0].total_stake, settings[0].quorum)
            if price != SILENT:
                change_price(markets, k, price, min_changes[k], block)


@kernel
def publish_proposed(venue, markets, settings, sources, windows, min_changes, history):
    """Publishes what this block's proposer reports, if the others accept it against the index they see themselves.

    Sources propose in turn. A change below the minimum is no proposal: the old price is confirmed.
    """
    block = venue[0].block
    remember_index(markets, history, block)
    if is_update_block(settings, windows, block):
        proposer = (block // settings[0].interval) % sources.shape[0]
        for k in range(markets.shape[0]):
            price = reported_price(settings, sources, windows, history, proposer, k, block)
            if price == SILENT:
                continue
            old = markets[k].oracle
            if not meets_min_change(old, price, min_changes[k]):
                markets[k].oracle_confirmed = block
            elif price_update_check(old, price, markets[k].index, min_changes[k]):
                change_price(markets, k, price, min_changes[k], block)


@kernel
def median_of_reports(reports):
    """Lower weighted median of unsorted reports, which it sorts."""
    sort_reports(reports, len(reports))
    return weighted_median(reports, len(reports))


@kernel
def quorum_median_of_reports(reports, total_stake, quorum):
    """Lower stake-weighted median of unsorted reports, which it sorts; SILENT without a quorum."""
    sort_reports(reports, len(reports))
    return stake_weighted_median(reports, len(reports), total_stake, quorum)


def votes(prices, stakes):
    """Table of reports (k,) from prices (k,) in USD and stakes (k,)."""
    reports = empty_table(len(prices), REPORT)
    reports["price"] = prices
    reports["stake"] = stakes
    return reports


def median_of_votes(prices, stakes):
    """Lower weighted median of votes in any order: `prices` (k,) in USD and `stakes` (k,)."""
    return median_of_reports(votes(prices, stakes))


def quorum_median_of_votes(prices, stakes, total_stake, quorum):
    """Stake-weighted lower median of votes in any order in USD, SILENT without a quorum."""
    return quorum_median_of_reports(votes(prices, stakes), total_stake, quorum)
