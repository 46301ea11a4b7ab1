"""Funding on the distance between two time-weighted averages, of the venue's price and of the oracle price.

Drift v2 (`programs/drift/src/math/funding.rs`, `controller/funding.rs`) every hour, with its AMM on the other side; Perp v1
(`src/Amm.sol`) every hour and Perp v2 (`contracts/Exchange.sol`) continuously, over exact windows.
"""

from __future__ import annotations

import numpy as np

from abm.kernels.averages import add_to_window, blended_average, book_mid, sanitised_price, window_average
from abm.kernels.compiled import inline, kernel
from abm.kernels.curves import premium_payment, twap_premium
from abm.kernels.funding import record_settlement, settle_market
from abm.kernels.oracle_validity import is_too_divergent, relative_gap
from abm.kernels.rounding import clamp
from abm.state import ACTIVE, BAR_FUNDING, NOBODY

DAY = 86_400.0  # seconds

TWAP_TERMS = np.dtype(
    [
        ("settlement_blocks", "i8"),
        ("window", "i8"),  # blocks
        ("share_of_day", "f8"),  # settlement interval / day
        ("per_day", "f8"),  # settlement intervals in a day
        ("cap", "f8"),  # fraction of the oracle average per day
        ("fund_pays", "i4"),  # 1: nothing is settled where the fund could not pay what the venue's own account owes
    ],
    align=True,
)

DIVERGENCE_TERMS = np.dtype(
    [
        ("settlement_blocks", "i8"),
        ("period", "f8"),  # seconds between settlements
        ("average", "f8"),  # seconds
        ("short_average", "f8"),  # seconds
        ("offset", "f8"),  # fraction of the oracle price per day that longs pay at no divergence
        ("largest_gap", "f8"),  # fraction: above it nothing is settled
        ("pool_share", "f8"),  # of what the counterparties have earned, which they pay at most
    ],
    align=True,
)

DIVERGENCE = np.dtype(
    [
        ("most", "f8"),  # fraction of the oracle average, largest divergence that counts
        ("band", "f8"),  # fraction, largest distance of a sample from the average
        ("venue", "f8"),  # USD, average of the venue's price
        ("oracle", "f8"),  # USD, average of the oracle price
        ("venue_short", "f8"),
        ("oracle_short", "f8"),
    ],
    align=True,
)


@inline
def largest_divergence(oracle_average, most):
    """Largest distance between the averages that counts, in USD: a fraction of the oracle's (Drift v2,
    get_max_price_divergence_for_funding_rate)."""
    return abs(oracle_average) * most


@inline
def divergence_rate(venue_average, oracle_average, offset, most, period):
    """USD per coin that longs pay for a period (seconds): clamp(venue - oracle + offset x oracle, +-most x oracle) x period / day
    (Drift v2, update_funding_rate)."""
    divergence = venue_average - oracle_average + offset * abs(oracle_average)
    return clamp(divergence, largest_divergence(oracle_average, most)) * period / DAY


@inline
def capped_rates(rate, longs, shorts, net, pool, least_pool, share):
    """(rate of longs, rate of shorts, pool afterwards): what each side pays or gets per coin when the other side of the net position
    pays at most `share` of its pool above `least_pool`.

    Coins: longs > 0, shorts < 0, `net` what traders hold on balance; rates in USD per coin, the pool in USD. Where the cap binds,
    those who receive share the payments of the others and the cap (Drift v2, calculate_funding_rate_long_short).
    """
    gain = rate * net  # of the counterparty
    most = share * max(pool - least_pool, 0.0)
    if gain >= -most:
        return rate, rate, pool + gain
    if rate > 0.0:
        received = most + abs(rate * longs)
        return rate, received / abs(shorts) if shorts != 0.0 else 0.0, pool - most
    received = most + abs(rate * shorts)
    return -received / abs(longs) if longs != 0.0 else 0.0, rate, pool - most


@inline
def settle_sides(venue, accounts, positions, markets, funding_payments, is_counterparty, k, rate, share, price, premium, per_day):
    """One settlement in market k in which the counterparties' payment is capped: they pay or get what the traders get or pay.

    `rate` is USD per coin before the cap. The counterparties' pool is what they have earned in fees and funding; of the venue's own
    accounts only that of the market is one. Amounts sum to zero.
    """
    lot = markets[k].lot
    longs = 0.0
    shorts = 0.0
    held = 0.0  # by counterparties
    pool = 0.0
    for i in range(positions.shape[0]):
        size = positions[i, k].lots * lot
        if accounts[i].house != 0 and i != markets[k].house:
            continue
        if is_counterparty[i]:
            held += size
            pool += accounts[i].fees + accounts[i].funding
        elif size > 0.0:
            longs += size
        else:
            shorts += size
    if held == 0.0:
        settle_market(venue, accounts, positions, markets, funding_payments, k, rate / price, per_day, premium, price, rate)
        return
    if markets[k].barred & BAR_FUNDING:
        return
    long_rate, short_rate, _ = capped_rates(rate, longs, shorts, longs + shorts, max(pool, 0.0), 0.0, share)
    paid = 0.0
    left = 0.0
    for i in range(positions.shape[0]):
        size = positions[i, k].lots * lot
        if size != 0.0 and not is_counterparty[i]:
            amount = -(long_rate if size > 0.0 else short_rate) * size
            accounts[i].collateral += amount
            accounts[i].funding += amount
            left -= amount
            if amount > 0.0:
                paid += amount
    for i in range(positions.shape[0]):
        if is_counterparty[i] and positions[i, k].lots != 0:
            amount = left * (positions[i, k].lots * lot / held)
            accounts[i].collateral += amount
            accounts[i].funding += amount
            if amount > 0.0:
                paid += amount
    record_settlement(venue, markets, funding_payments, k, rate / price, per_day, premium, price, rate, paid)


@kernel
def settle_divergence_funding(venue, accounts, positions, markets, funding_payments, terms, averages, is_counterparty):
    """One block of Drift-like funding: the averages take this block's prices; when due, the markets settle."""
    block = venue[0].block
    elapsed = venue[0].seconds_per_block
    settling = block > 0 and block % terms[0].settlement_blocks == 0
    for k in range(markets.shape[0]):
        a = averages[k]
        oracle = sanitised_price(markets[k].oracle, a.oracle, a.band)
        venue_price = sanitised_price(book_mid(markets, k, a.venue), a.venue, a.band)
        averages[k].oracle = blended_average(a.oracle, oracle, elapsed, terms[0].average)
        averages[k].venue = blended_average(a.venue, venue_price, elapsed, terms[0].average)
        averages[k].oracle_short = blended_average(a.oracle_short, oracle, elapsed, terms[0].short_average)
        averages[k].venue_short = blended_average(a.venue_short, venue_price, elapsed, terms[0].short_average)
        markets[k].premium = averages[k].venue / averages[k].oracle - 1.0
        gap = relative_gap(averages[k].venue_short, averages[k].oracle_short)
        if settling and not is_too_divergent(gap, terms[0].largest_gap):
            average = averages[k].oracle
            rate = divergence_rate(averages[k].venue, average, terms[0].offset, averages[k].most, terms[0].period)
            settle_sides(
                venue, accounts, positions, markets, funding_payments, is_counterparty, k, rate, terms[0].pool_share, average,
                markets[k].premium, rate / average * DAY / terms[0].period,
            )  # fmt: skip


@kernel
def settle_twap_funding(venue, accounts, positions, markets, funds, funding_payments, terms, venue_sums, oracle_sums):
    """One block: both prices enter their windows, and when due every position pays the gap of their averages.

    The sums are rings of running sums (blocks of the window + 1, m), of the venue's mid (the oracle price while a side is empty) and of
    the oracle price.
    """
    block = venue[0].block
    settling = block > 0 and block % terms[0].settlement_blocks == 0
    for k in range(markets.shape[0]):
        add_to_window(venue_sums, k, block, book_mid(markets, k, markets[k].oracle))
        add_to_window(oracle_sums, k, block, markets[k].oracle)
        average = window_average(oracle_sums, k, block, terms[0].window)
        premium = twap_premium(window_average(venue_sums, k, block, terms[0].window), average, terms[0].cap)
        markets[k].premium = premium / average
        if not settling or markets[k].status != ACTIVE:
            continue
        house = markets[k].house
        if house != NOBODY and terms[0].fund_pays != 0:
            owed = premium_payment(positions[house, k].lots * markets[k].lot, premium, terms[0].share_of_day)
            if owed > funds[markets[k].fund].balance:
                continue
        rate = markets[k].premium * terms[0].share_of_day
        settle_market(
            venue, accounts, positions, markets, funding_payments, k, rate, rate * terms[0].per_day, markets[k].premium, average,
            premium_payment(1.0, premium, terms[0].share_of_day),
        )  # fmt: skip


@inline
def funding_basis(oracle, rate_per_day, offset, elapsed, period):
    """USD by which the last funding rate says that the perpetual is dearer, fading to zero within a period after the settlement.

    oracle x (rate per day - offset) x (1 - min(elapsed, period) / period), the rate a fraction of the oracle price (Drift v2,
    get_last_funding_basis).
    """
    return oracle * (rate_per_day - offset) * (1.0 - min(elapsed, period) / period)
