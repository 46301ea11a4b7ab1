"""Funding by the skew of open interest, without any premium: GMX v2 and Synthetix Perps V3."""

from __future__ import annotations

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.funding import funding_index_change, funding_settlement, record_settlement, settle_market
from abm.kernels.pools import adaptive_skew_rate, received_per_usd, static_skew_rate, velocity_step
from abm.state import ACTIVE, BAR_FUNDING

SKEW_TERMS = np.dtype(
    [
        ("settlement_blocks", "i8"),
        ("seconds", "f8"),  # between settlements
        ("days", "f8"),  # the same in days
        ("factor", "f8"),  # of the static rate, per second; 0: the rate adapts
        ("exponent", "f8"),  # of the static rate
        ("increase", "f8"),  # of the rate per second, per second and unit of skew
        ("decrease", "f8"),  # of the rate per second, per second
        ("stable_threshold", "f8"),  # skew above which the rate rises
        ("decrease_threshold", "f8"),  # skew below which it falls
        ("least", "f8"),  # fraction per second
        ("most", "f8"),  # fraction per second
    ],
    align=True,
)


@inline
def traders_lots(accounts, positions, k):
    """(long, short) lots of all traders in market k, without the venue's own account."""
    longs = shorts = 0
    for i in range(positions.shape[0]):
        if accounts[i].house == 0:
            longs += max(positions[i, k].lots, 0)
            shorts += max(-positions[i, k].lots, 0)
    return longs, shorts


@inline
def settle_between_sides(venue, accounts, positions, markets, funding_payments, k, rate, per_day, per_long, per_short, price):
    """Lets longs pay `per_long` USD per coin and shorts get `per_short`; the venue's own account takes no part. Records it.

    While a guard bars funding nothing is paid, then or later.
    """
    if markets[k].barred & BAR_FUNDING:
        return
    lot = markets[k].lot
    paid = 0.0
    for i in range(positions.shape[0]):
        lots = positions[i, k].lots
        if lots != 0 and accounts[i].house == 0:
            amount = funding_settlement(lots * lot, 0.0, per_long if lots > 0 else per_short)
            accounts[i].collateral += amount
            accounts[i].funding += amount
            paid += max(amount, 0.0)
    record_settlement(venue, markets, funding_payments, k, rate, per_day, 0.0, price, per_long, paid)


@kernel
def settle_adaptive_funding(venue, accounts, positions, markets, funding_payments, terms, rates):
    """When due, moves the rate of every market with its skew and lets the larger side pay the smaller; rates (m,) per second."""
    block = venue[0].block
    if block == 0 or block % terms[0].settlement_blocks != 0:
        return
    seconds = terms[0].seconds
    for k in range(markets.shape[0]):
        if markets[k].status != ACTIVE:
            continue
        longs, shorts = traders_lots(accounts, positions, k)
        if longs == 0 or shorts == 0:
            continue
        price = markets[k].oracle
        coin = markets[k].lot * price
        if terms[0].factor > 0.0:
            rate = static_skew_rate(terms[0].factor, terms[0].exponent, longs * coin, shorts * coin, terms[0].most)
        else:
            rate, rates[k] = adaptive_skew_rate(
                rates[k], longs * coin, shorts * coin, seconds, terms[0].increase, terms[0].decrease, terms[0].stable_threshold,
                terms[0].decrease_threshold, terms[0].least, terms[0].most,
            )  # fmt: skip
        if rate == 0.0:
            continue
        per_long = rate * seconds * price
        per_short = per_long
        if rate > 0.0:
            per_short = received_per_usd(rate, seconds, longs * coin, shorts * coin) * price
        else:
            per_long = -received_per_usd(rate, seconds, shorts * coin, longs * coin) * price
        settle_between_sides(
            venue, accounts, positions, markets, funding_payments, k, rate * seconds, rate * 86_400.0, per_long, per_short, price
        )


@inline
def trader_skew(accounts, positions, markets, is_counterparty, k):
    """Coins that traders hold on balance in market k, without the venue's own account and the counterparties."""
    held = 0
    for i in range(positions.shape[0]):
        if accounts[i].house == 0 and not is_counterparty[i]:
            held += positions[i, k].lots
    return held * markets[k].lot


@kernel
def settle_velocity_funding(venue, accounts, positions, markets, funding_payments, terms, scales, fastest, rates, is_counterparty):
    """When due, lets the rate of every market drift with its skew and settles.

    Per market: scales in coins, fastest move of the rate per day and day, rates per day.
    """
    block = venue[0].block
    if block == 0 or block % terms[0].settlement_blocks != 0:
        return
    days = terms[0].days
    for k in range(markets.shape[0]):
        skew = trader_skew(accounts, positions, markets, is_counterparty, k)
        rates[k], average = velocity_step(rates[k], skew, scales[k], fastest[k], days)
        markets[k].premium = skew / scales[k]
        price = markets[k].oracle
        settle_market(
            venue, accounts, positions, markets, funding_payments, k, average * days, rates[k], markets[k].premium, price,
            funding_index_change(average, days, price),
        )  # fmt: skip
