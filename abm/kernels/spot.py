"""The outside market: prices move along their path, outside orders push them, and the push decays; gas follows volatility."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline, kernel


@inline
def charge_financing(outside, markets, rate):
    """Interest on borrowed cash and on borrowed coins for one financing period, `rate` as a fraction per period."""
    for i in range(outside.shape[0]):
        for k in range(outside.shape[1]):
            borrowed = max(-outside[i, k].cash, 0.0) + max(-outside[i, k].size, 0.0) * markets[k].index
            if borrowed > 0.0:
                outside[i, k].cash -= borrowed * rate


@kernel
def move_world(venue, markets, outside, spot_orders, prices, volatility, row, impact, terms, gas):
    """Moves every market's outside price to row `row` of the path, after executing the outside orders of the last block.

    prices, volatility (rows, m): the exogenous path, USD and per square root of a block. impact (m,): log distance of the index from
    it. terms (m,): records of SPOT_TERMS. gas (1,): a record of GAS_TERMS. An order of q coins in a market of depth D (USD that move
    the price by one percent) moves it by q x price / (100 D) and trades half-way there on average: linear impact.
    """
    for n in range(venue[0].spot_orders):
        i = spot_orders[n].account
        k = spot_orders[n].market
        size = spot_orders[n].size
        price = markets[k].index
        push = size * price / (100.0 * terms[k].depth)
        outside[i, k].size += size
        outside[i, k].cash -= size * price * math.exp(0.5 * push) + abs(size) * price * terms[k].fee
        impact[k] += push
    venue[0].spot_orders = 0
    if venue[0].block % terms[0].financing_blocks == 0:
        charge_financing(outside, markets, terms[0].financing_rate)
    venue[0].paused = 0  # as with what is barred below
    now = 0.0
    usual = 0.0
    for k in range(markets.shape[0]):
        before = markets[k].index
        impact[k] *= terms[k].keep
        markets[k].barred = 0  # what guards bar holds for the block in which they bar it
        markets[k].exogenous = prices[row, k]
        markets[k].index = prices[row, k] * math.exp(impact[k])
        markets[k].volatility = volatility[row, k]
        step = math.log(markets[k].index / before)
        markets[k].variance_now += (step * step - markets[k].variance_now) * terms[k].now_weight
        markets[k].variance_usual += (step * step - markets[k].variance_usual) * terms[k].usual_weight
        now += markets[k].variance_now
        usual += markets[k].variance_usual
    ratio = math.sqrt(now / usual) if usual > 0.0 else 1.0
    venue[0].gas_price = gas[0].calm * min(max(ratio, 1.0) ** gas[0].elasticity, gas[0].most)
