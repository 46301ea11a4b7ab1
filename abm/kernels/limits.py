"""Limits that follow a price or an amount from block to block: price bands, and how much of the deposits may leave."""

from __future__ import annotations

import math

from abm.kernels.averages import blended_average
from abm.kernels.compiled import inline, kernel

ORACLE = 0
MARK = 1
LAST_TRADE = 2


@inline
def band_in_ticks(price, band, tick, ticks):
    """(lowest, highest) tick within `band` (fraction) of a price in USD; at least the tick next to it."""
    lowest = int(math.ceil(price * (1.0 - band) / tick - 1e-9))
    highest = int(math.floor(price * (1.0 + band) / tick + 1e-9))
    nearest = int(price / tick + 0.5)
    lowest = max(min(lowest, nearest), 1)
    return lowest, min(max(highest, nearest, lowest), ticks - 1)


@kernel
def set_price_bands(markets, band, reference):
    """Writes the price band of every market around its oracle price, its mark, or its last trade as the last block left it."""
    for k in range(markets.shape[0]):
        price = markets[k].oracle
        if reference == MARK:
            price = markets[k].mark
        elif reference == LAST_TRADE and markets[k].last_tick > 0:
            price = markets[k].last_tick * markets[k].tick
        markets[k].lowest_tick, markets[k].highest_tick = band_in_ticks(price, band, markets[k].tick, markets[k].ticks)


@inline
def least_deposits(average, share, threshold):
    """USD that must stay: the average of deposits less the larger of a share of it and a threshold (Drift v2
    `programs/drift/src/math/spot_withdraw.rs`, calculate_min_deposit_token_amount)."""
    return average - max(share * average, threshold)


@kernel
def limit_outflow(venue, average, period, share, threshold):
    """Sets how much may leave in this block: what deposits have above `least_deposits`. `average` (1,) USD takes this block's deposits."""
    deposits = max(venue[0].net_deposits, 0.0)
    average[0] = blended_average(average[0], deposits, venue[0].seconds_per_block, period)
    venue[0].withdrawal_capacity = max(deposits - least_deposits(average[0], share, threshold), 0.0)
