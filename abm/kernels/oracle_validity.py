"""How bad an oracle price is, and what may still be done with it (Drift v2 `programs/drift/src/math/oracle.rs`)."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.averages import blended_average
from abm.kernels.compiled import inline, kernel
from abm.state import BAR_FUNDING, BAR_LIQUIDATIONS, BAR_RISK, BAR_TRADES, BAR_TRIGGERS

# From good to bad; what is barred at one is barred at all that follow.
VALID = 0
STALE_FOR_POOL = 1  # for an AMM that fills at once
TOO_FEW_REPORTS = 2
STALE_FOR_MARGIN = 3
TOO_UNCERTAIN = 4
TOO_VOLATILE = 5
NOT_POSITIVE = 6

LEAST_DIVERGENCE_LIMIT = 0.1  # a tighter limit on the gap between venue and oracle is not applied

VALIDITY_TERMS = np.dtype(
    [
        ("stale_for_pool", "f8"),  # seconds without a confirmed price
        ("stale_for_margin", "f8"),  # seconds
        ("largest_ratio", "f8"),  # of price and average, rounded down, above which it is too volatile
        ("largest_confidence", "f8"),  # fraction of the price
        ("confidence_blocks", "f8"),  # blocks of present volatility that the confidence interval stands for
        ("average", "f8"),  # seconds
    ],
    align=True,
)


@inline
def oracle_validity(price, confidence, age, average, enough_reports, stale_for_pool, stale_for_margin, largest_ratio, largest_confidence):
    """The worst that is wrong with an oracle price: one of VALID ... NOT_POSITIVE.

    Not positive; too volatile (price / average or its inverse, rounded down, above the largest ratio); too uncertain (confidence /
    price above the largest); stale for margin; too few reports; stale for a pool. Age and limits in one unit of time (Drift v2,
    oracle_validity).
    """
    if price <= 0.0:
        return NOT_POSITIVE
    if average > 0.0 and math.floor(max(price, average) / min(price, average)) > largest_ratio:
        return TOO_VOLATILE
    if confidence / price > largest_confidence:
        return TOO_UNCERTAIN
    if age > stale_for_margin:
        return STALE_FOR_MARGIN
    if not enough_reports:
        return TOO_FEW_REPORTS
    if age > stale_for_pool:
        return STALE_FOR_POOL
    return VALID


@inline
def barred_actions(validity):
    """What may not be done at a validity, BAR_... combined (Drift v2, is_oracle_valid_for_action).

    Stale for margin: no new risk and no withdrawals. Too uncertain: no trades between users and no funding either. Too volatile: no
    liquidations and no triggers either.
    """
    barred = 0
    if validity >= STALE_FOR_MARGIN:
        barred |= BAR_RISK
    if validity >= TOO_UNCERTAIN:
        barred |= BAR_TRADES | BAR_FUNDING
    if validity >= TOO_VOLATILE:
        barred |= BAR_LIQUIDATIONS | BAR_TRIGGERS
    return barred


@inline
def relative_gap(venue_price, oracle_average):
    """(venue's price - oracle average) / venue's price (Drift v2, calculate_oracle_twap_5min_price_spread_pct)."""
    return (venue_price - oracle_average) / venue_price


@inline
def is_too_divergent(gap, limit):
    """Whether the venue's price is too far from the oracle average for funding: |gap| above the limit, which is at least 10 %
    (Drift v2, is_oracle_mark_too_divergent)."""
    return abs(gap) > max(limit, LEAST_DIVERGENCE_LIMIT)


@kernel
def bar_by_validity(venue, markets, terms, averages):
    """Bars in every market what its oracle price is not good enough for; `averages` (m,) USD take this block's price."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        price = markets[k].oracle
        age = (block - markets[k].oracle_confirmed) * venue[0].seconds_per_block
        confidence = price * math.sqrt(max(markets[k].variance_now, 0.0) * terms[k].confidence_blocks)
        validity = oracle_validity(
            price, confidence, age, averages[k], True, terms[k].stale_for_pool, terms[k].stale_for_margin, terms[k].largest_ratio,
            terms[k].largest_confidence,
        )  # fmt: skip
        markets[k].barred |= barred_actions(validity)
        averages[k] = blended_average(averages[k], price, venue[0].seconds_per_block, terms[k].average)
