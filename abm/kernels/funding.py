"""Funding: the rate that follows from the premium of the book over the outside price, and who pays whom.

dYdX v4 (`protocol/x/perpetuals/keeper/perpetual.go`, `protocol/x/perpetuals/funding/funding.go`) votes on a premium
every block, takes the median of the votes every minute and the average of the medians every hour. Hyperliquid,
Binance and BitMEX average samples of the premium and clamp its distance from an interest rate (their documentation,
funding).

A premium is a fraction of the outside price, positive when the perpetual is dearer. A positive rate is paid by longs.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.premium import average_premium, book_premium, premium_sample, premium_vote
from abm.kernels.rounding import clamp
from abm.state import BAR_FUNDING

VOTE_TERMS = np.dtype(
    [
        ("sample_blocks", "i8"),
        ("sample_offset", "i8"),
        ("settlement_blocks", "i8"),
        ("least_votes", "i8"),
        ("least_samples", "i8"),
        ("vote_clamp_factor", "f8"),
        ("clamp_factor", "f8"),
        ("tail_removal", "f8"),
        ("share", "f8"),  # settlement interval / time that the rate is quoted for
        ("per_day", "f8"),  # settlement intervals in a day
    ],
    align=True,
)

VOTE_COUNT = np.dtype(
    [
        ("votes", "i8"),  # since the last sample
        ("samples", "i8"),  # since the last settlement
        ("default_rate", "f8"),  # fraction, per time that the rate is quoted for
    ],
    align=True,
)

CLAMPED_TERMS = np.dtype(
    [
        ("sample_blocks", "i8"),
        ("settlement_blocks", "i8"),
        ("share", "f8"),  # settlement interval / time that the rate is quoted for
        ("per_day", "f8"),  # settlement intervals in a day
        ("maintenance_cap", "f8"),  # largest paid rate in maintenance margin fractions
        ("time_weighted", "i4"),
        ("paid_on_mark", "i4"),
    ],
    align=True,
)

PREMIUM_AVERAGE = np.dtype(
    [
        ("interest", "f8"),  # fraction, per time that the rate is quoted for
        ("band", "f8"),  # fraction, per time that the rate is quoted for
        ("cap", "f8"),  # fraction, per settlement
        ("weighted_sum", "f8"),  # of the samples since the last settlement
        ("weight", "f8"),
        ("samples", "i8"),
    ],
    align=True,
)


@inline
def funding_limit(factor, initial_margin_fraction, maintenance_margin_fraction):
    """Largest absolute rate or premium vote: factor x (initial - maintenance margin fraction) (dYdX
    `liquidity_tier.go`)."""
    return factor * (initial_margin_fraction - maintenance_margin_fraction)


@inline
def voted_funding_rate(average, default_rate, limit):
    """Funding rate = average premium + default rate, held within the limit; all per the time that the rate is quoted
    for."""
    return clamp(average + default_rate, limit)


@inline
def clamped_premium_rate(average, interest, band):
    """Funding rate = premium + clamp(interest - premium, -band, band): exactly the interest while that is within the
    band."""
    if abs(interest - average) <= band:
        return interest
    return average + clamp(interest - average, band)


@inline
def settled_rate(rate, share, cap):
    """Fraction paid at one settlement: `share` of the quoted rate, at most `cap`."""
    return clamp(rate * share, cap)


@inline
def funding_index_change(rate, share, price):
    """USD per coin that longs pay: rate x share x price, `share` the elapsed part of the time that the rate is quoted
    for."""
    return rate * share * price


@inline
def funding_settlement(size, index_at_entry, index_now):
    """USD that a position of `size` coins receives (negative: pays) when the funding index has moved: -(now - entry)
    x size."""
    return -(index_now - index_at_entry) * size


@inline
def record_settlement(venue, markets, funding_payments, k, rate, rate_per_day, average, price, per_coin, paid):
    """Moves the funding index of market k by `per_coin` USD and records the settlement, in which `paid` USD changed hands."""
    markets[k].funding_index += per_coin
    markets[k].funding_rate = rate
    markets[k].funding_per_day = rate_per_day
    n = venue[0].funding_payments
    if n < funding_payments.shape[0]:
        funding_payments[n].block = venue[0].block
        funding_payments[n].market = k
        funding_payments[n].rate = rate
        funding_payments[n].rate_per_day = rate_per_day
        funding_payments[n].premium = average
        funding_payments[n].price = price
        funding_payments[n].per_coin = per_coin
        funding_payments[n].paid = paid
        funding_payments[n].open_interest = markets[k].open_interest
    venue[0].funding_payments = n + 1


@inline
def settle_market(venue, accounts, positions, markets, funding_payments, k, rate, rate_per_day, average, price, per_coin):
    """Moves the funding index of market k by `per_coin` USD, lets every position pay or receive it, and records it.

    Every position is charged from the same two values of the index, so payments sum to zero up to rounding. While a guard bars funding
    nothing is paid, then or later.
    """
    if markets[k].barred & BAR_FUNDING:
        return
    before = markets[k].funding_index
    now = before + per_coin
    lot = markets[k].lot
    paid = 0.0
    for i in range(positions.shape[0]):
        lots = positions[i, k].lots
        if lots != 0:
            amount = funding_settlement(lots * lot, before, now)
            accounts[i].collateral += amount
            accounts[i].funding += amount
            if amount > 0.0:
                paid += amount
    record_settlement(venue, markets, funding_payments, k, rate, rate_per_day, average, price, per_coin, paid)


@kernel
def settle_given_amounts(venue, accounts, positions, markets, funding_payments, due, rate, rate_per_day, average, price, per_coin):
    """Settles funding in every market that is `due`, from amounts that were computed elsewhere; all arguments (m,)."""
    for k in range(markets.shape[0]):
        if due[k]:
            settle_market(
                venue,
                accounts,
                positions,
                markets,
                funding_payments,
                k,
                rate[k],
                rate_per_day[k],
                average[k],
                price[k],
                per_coin[k],
            )


@kernel
def settle_voted_funding(
    venue,
    accounts,
    positions,
    markets,
    margin_tiers,
    levels,
    bitmap,
    orders,
    funding_payments,
    terms,
    counts,
    votes,
    samples,
):
    """One block of dYdX v4 funding: a vote in every market; when due, a sample of the votes; when due, a settlement."""
    block = venue[0].block
    sampling = block % terms[0].sample_blocks == terms[0].sample_offset
    settling = block > 0 and block % terms[0].settlement_blocks == 0
    for k in range(markets.shape[0]):
        initial = margin_tiers[k, 0].initial
        maintenance = margin_tiers[k, 0].maintenance
        vote = premium_vote(
            book_premium(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k),
            funding_limit(terms[0].vote_clamp_factor, initial, maintenance),
        )
        markets[k].premium = vote
        votes[k, counts[k].votes] = vote
        counts[k].votes += 1
        if sampling:
            samples[k, counts[k].samples] = premium_sample(votes, k, counts[k].votes, terms[0].least_votes)
            counts[k].samples += 1
            counts[k].votes = 0
        if settling:
            average = average_premium(samples, k, counts[k].samples, terms[0].least_samples, terms[0].tail_removal)
            counts[k].samples = 0
            limit = funding_limit(terms[0].clamp_factor, initial, maintenance)
            rate = voted_funding_rate(average, counts[k].default_rate, limit)
            share = terms[0].share
            price = markets[k].oracle
            settle_market(
                venue,
                accounts,
                positions,
                markets,
                funding_payments,
                k,
                rate * share,
                rate * share * terms[0].per_day,
                average,
                price,
                funding_index_change(rate, share, price),
            )


@kernel
def settle_clamped_funding(venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, funding_payments, terms, averages):
    """One block of clamped-premium funding: when due, a sample of the premium; when due, a settlement at their
    average."""
    block = venue[0].block
    sampling = block % terms[0].sample_blocks == 0
    settling = block % terms[0].settlement_blocks == 0
    for k in range(markets.shape[0]):
        if sampling:
            sample = book_premium(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k)
            markets[k].premium = sample
            averages[k].samples += 1
            weight = float(averages[k].samples) if terms[0].time_weighted != 0 else 1.0
            averages[k].weighted_sum += weight * sample
            averages[k].weight += weight
        if settling:
            average = averages[k].weighted_sum / averages[k].weight if averages[k].weight > 0.0 else 0.0
            averages[k].weighted_sum = 0.0
            averages[k].weight = 0.0
            averages[k].samples = 0
            cap = averages[k].cap
            if terms[0].maintenance_cap < math.inf:
                cap = min(cap, terms[0].maintenance_cap * margin_tiers[k, 0].maintenance)
            rate = settled_rate(clamped_premium_rate(average, averages[k].interest, averages[k].band), terms[0].share, cap)
            price = markets[k].mark if terms[0].paid_on_mark != 0 else markets[k].oracle
            settle_market(
                venue,
                accounts,
                positions,
                markets,
                funding_payments,
                k,
                rate,
                rate * terms[0].per_day,
                average,
                price,
                funding_index_change(rate, 1.0, price),
            )
