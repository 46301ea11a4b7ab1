"""Options on the outside market: what they cost by the formula of Black and Scholes, what they pay when they expire, and what they are
worth in between.

Black and Scholes (1973), "The pricing of options and corporate liabilities", Journal of Political Economy 81; options are European. Implied
volatility is straight in standardised log-moneyness, the simplest smile with a slope: s(K) = s + skew ln(K/S) / sqrt(T).
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline, kernel

FARTHEST = 4.0  # times the volatility at the money that the slope may lead to, or its inverse


@inline
def normal_distribution(x):
    """Probability that a standard normal is at most x."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@inline
def call_price(spot, strike, deviation, discount):
    """USD per coin of a European call: S N(d) - D K N(d - v), d = ln(S / (D K)) / v + v/2.

    deviation v: volatility x square root of the time left; 0 gives the value of the certain payoff. discount D: USD now for a USD then.
    """
    if deviation <= 0.0:
        return max(spot - discount * strike, 0.0)
    d = math.log(spot / (discount * strike)) / deviation + 0.5 * deviation
    return spot * normal_distribution(d) - discount * strike * normal_distribution(d - deviation)


@inline
def put_price(spot, strike, deviation, discount):
    """USD per coin of a European put: D K N(v - d) - S N(-d), with the symbols of `call_price`."""
    if deviation <= 0.0:
        return max(discount * strike - spot, 0.0)
    d = math.log(spot / (discount * strike)) / deviation + 0.5 * deviation
    return discount * strike * normal_distribution(deviation - d) - spot * normal_distribution(-d)


@inline
def implied_volatility(base, skew, spot, strike, years):
    """Per square root of a year: base + skew ln(K/S) / sqrt(T), within base / FARTHEST and base x FARTHEST."""
    if years <= 0.0:
        return base
    return min(max(base + skew * math.log(strike / spot) / math.sqrt(years), base / FARTHEST), base * FARTHEST)


@inline
def contract_value(puts, calls, spot, strike, base, skew, rate, years):
    """USD that puts and calls (coins) at one strike are worth, `years` before they expire."""
    deviation = implied_volatility(base, skew, spot, strike, years) * math.sqrt(max(years, 0.0))
    discount = math.exp(-rate * max(years, 0.0))
    return puts * put_price(spot, strike, deviation, discount) + calls * call_price(spot, strike, deviation, discount)


@kernel
def trade_options(venue, markets, outside, options, terms):
    """Pays what has expired, sells what was ordered in the last block, and values what is held, at the index prices of this block.

    options (r,): records of OPTION, at most one for an account and market. terms (1,): a record of OPTION_TERMS. Premium, fee and payoff go
    through the holder's cash outside; what is held counts there at the price that a new contract like it would have.
    """
    block = venue[0].block
    for r in range(options.shape[0]):
        i = options[r].account
        k = options[r].market
        spot = markets[k].index
        strike = options[r].strike
        if options[r].puts + options[r].calls > 0.0 and block >= options[r].expires:
            outside[i, k].cash += options[r].puts * max(strike - spot, 0.0) + options[r].calls * max(spot - strike, 0.0)
            options[r].puts = 0.0
            options[r].calls = 0.0
            outside[i, k].options = 0.0
        ordered = options[r].lifetime > 0
        if ordered:
            strike = options[r].moneyness * spot
            options[r].strike = strike
            options[r].puts = options[r].wanted_puts
            options[r].calls = options[r].wanted_calls
            options[r].expires = block + options[r].lifetime
            options[r].lifetime = 0
        if options[r].puts + options[r].calls > 0.0:
            years = (options[r].expires - block) * terms[0].block_years
            base = terms[0].markup * math.sqrt(max(markets[k].variance_usual, 0.0) / terms[0].block_years)
            value = contract_value(options[r].puts, options[r].calls, spot, strike, base, terms[0].skew, terms[0].rate, years)
            if ordered:
                outside[i, k].cash -= value + terms[0].fee * (options[r].puts + options[r].calls) * spot
            outside[i, k].options = value
