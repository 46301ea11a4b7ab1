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


@inline
def execute_outside(venue, markets, outside, spot_orders, impact, terms):
    """Executes the outside orders that were sent from one venue in the last block, and charges interest when it is due.

    impact (m,): log distance of the index from its path. An order of q coins in a market of depth D (USD that move the price by one
    percent) moves it by q x price / (100 D) and trades half-way there on average: linear impact.
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


@inline
def let_decay(impact, terms):
    """One block's decay of what outside orders have pushed."""
    for k in range(impact.shape[0]):
        impact[k] *= terms[k].keep


@inline
def follow_outside(venue, markets, prices, volatility, row, impact, terms, gas):
    """Takes outside prices over into a venue's markets: index = path x exp(impact), volatility averages, and gas that follows them."""
    venue[0].paused = 0  # as with what is barred below
    now = 0.0
    usual = 0.0
    for k in range(markets.shape[0]):
        before = markets[k].index
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


@inline
def look_across(markets, beside):
    """Notes the other venue's mids in `outside_mid`; 0 where a side of its book is empty."""
    for k in range(markets.shape[0]):
        markets[k].outside_mid = 0.0
        if beside[k].best_bid > 0 and beside[k].best_ask < beside[k].ticks:
            markets[k].outside_mid = 0.5 * (beside[k].best_bid + beside[k].best_ask) * beside[k].tick


@kernel
def move_world(venue, markets, outside, spot_orders, prices, volatility, row, impact, terms, gas):
    """Moves every market's outside price to row `row` of the path, after executing the outside orders of the last block.

    prices, volatility (rows, m): the exogenous path, USD and per square root of a block. impact (m,): log distance of the index from
    it. terms (m,): records of SPOT_TERMS. gas (1,): a record of GAS_TERMS.
    """
    execute_outside(venue, markets, outside, spot_orders, impact, terms)
    let_decay(impact, terms)
    follow_outside(venue, markets, prices, volatility, row, impact, terms, gas)


@kernel
def move_shared_world(
    venue, markets, outside, spot_orders, venue_beside, markets_beside, outside_beside, spot_orders_beside, prices, volatility, row,
    impact, terms, gas,
):  # fmt: skip
    """As `move_world`, for two venues with the same markets on one outside market: the orders of both push the same price. All
    outside orders of a block trade from the same price, so which venue's come first does not matter."""
    execute_outside(venue, markets, outside, spot_orders, impact, terms)
    execute_outside(venue_beside, markets_beside, outside_beside, spot_orders_beside, impact, terms)
    let_decay(impact, terms)
    follow_outside(venue, markets, prices, volatility, row, impact, terms, gas)
    follow_outside(venue_beside, markets_beside, prices, volatility, row, impact, terms, gas)
    look_across(markets, markets_beside)
    look_across(markets_beside, markets)
