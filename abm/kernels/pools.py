"""Formulas of oracle-priced pools: price impact, funding and borrowing by skew, capped profit, value of a share, and skewed fills.

GMX v2 (gmx-io/gmx-synthetics `contracts/pricing/PricingUtils.sol`, `contracts/pricing/PositionPricingUtils.sol`,
`contracts/market/MarketUtils.sol`, `contracts/position/PositionUtils.sol`) and Synthetix Perps V3 (Synthetixio/synthetix-v3
`markets/perps-market/contracts/storage/PerpsMarket.sol`, `AsyncOrder.sol`).
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.rounding import clamp

# Price impact.


@inline
def impact_of(difference, exponent, factor):
    """Factor x difference^exponent in USD for an imbalance of `difference` USD; nothing below one USD, as in the contract."""
    if difference < 1.0:
        return 0.0
    return factor * difference**exponent


@inline
def position_price_impact(net_before, net_after, positive_factor, negative_factor, exponent):
    """USD that a trade gains (> 0) or pays for moving long less short open interest from `net_before` to `net_after` USD.

    A smaller imbalance earns with the positive factor, a larger one pays with the negative one, and a trade that turns the imbalance
    round does both.
    """
    before = abs(net_before)
    after = abs(net_after)
    if (net_before <= 0.0) == (net_after <= 0.0):
        factor = positive_factor if after < before else negative_factor
        return impact_of(before, exponent, factor) - impact_of(after, exponent, factor)
    return impact_of(before, exponent, positive_factor) - impact_of(after, exponent, negative_factor)


@inline
def price_for_notional(notional, impact, price, side):
    """USD per coin when `notional` USD are traded and the impact (USD) changes how many coins that gives; side +1 buys."""
    return notional / (notional / price + side * impact / price)


@inline
def price_for_coins(notional, impact, price, side):
    """USD per coin when coins worth `notional` USD are traded and the impact (USD) changes what is paid for them; side +1 buys."""
    return price * (1.0 - side * impact / notional)


@inline
def capped_impact(impact, notional, max_positive, max_negative, impact_pool):
    """Impact within its limits: fractions of notional on both sides, and gains no larger than what is set aside for them (USD)."""
    if impact > 0.0:
        return min(impact, max_positive * notional, max(impact_pool, 0.0))
    return max(impact, -max_negative * notional)


@inline
def impact_pool_after(pool, impact, pending, share_closed, price, lendable):
    """(impact pool, pending impact) after closing `share_closed` of a position, both in units worth `price` USD.

    What is settled is this close's impact (USD) and its share of the pending impact; losses go into the pool, gains come out of it and
    out of what may be lent.
    """
    settled = pending * share_closed
    total = min(impact / price + settled, pool + lendable)
    return pool - total, pending - settled


@inline
def released_impact(pool, least, rate, seconds):
    """What is given from the impact pool to the shares in `seconds` at `rate` per second, never below `least`."""
    return min(rate * seconds, max(pool - least, 0.0))


# Funding and borrowing.


@inline
def static_skew_rate(factor, exponent, longs, shorts, max_rate):
    """Fraction per second that the larger side pays (> 0: longs), at most `max_rate`.

    factor x |longs - shorts|^exponent / (longs + shorts), sides in USD.
    """
    difference = abs(longs - shorts)
    if difference == 0.0 or longs + shorts == 0.0:
        return 0.0
    rate = min(factor * difference**exponent / (longs + shorts), max_rate)
    return rate if longs > shorts else -rate


@inline
def adaptive_skew_rate(rate, longs, shorts, seconds, increase, decrease, stable_threshold, decrease_threshold, least, most):
    """(rate to pay, rate to remember) per second after `seconds` more of this skew; > 0: longs pay.

    The rate moves toward the larger side by skew x increase x time while the skew is above the stable threshold or the rate has the
    other sign, falls by decrease x time while the skew is below the decrease threshold, and stays between.
    """
    skew = abs(longs - shorts) / (longs + shorts)
    agrees = (rate > 0.0 and longs > shorts) or (rate < 0.0 and longs < shorts)
    if not agrees or skew > stable_threshold:
        rate += math.copysign(skew * increase * seconds, longs - shorts)
    elif skew < decrease_threshold:
        rate = math.copysign(max(abs(rate) - decrease * seconds, 0.0), rate)
    rate = clamp(rate, most)
    return math.copysign(max(abs(rate), least), rate), rate


@inline
def received_per_usd(rate, seconds, payers, receivers):
    """Funding per USD of position that the receiving side gets: all that the payers pay, shared pro rata."""
    if receivers == 0.0:
        return 0.0
    return abs(rate) * seconds * payers / receivers


@inline
def longs_pay(rate):
    """Whether a funding rate is paid by longs."""
    return rate > 0.0


@inline
def borrowing_rate(factor, exponent, reserved, pool, own_side, other_side, skip_smaller):
    """Fraction per second that a side pays for what is reserved for it (USD): factor x reserved^exponent / pool.

    With `skip_smaller` the side with less open interest pays nothing.
    """
    if pool <= 0.0 or (skip_smaller and own_side < other_side):
        return 0.0
    return factor * reserved**exponent / pool


@inline
def kinked_borrowing_rate(usage, optimal, base, above):
    """Rate that rises with usage at slope `base`, and above the optimal usage more steeply, to `above` at full usage."""
    rate = base * usage
    if usage > optimal and optimal < 1.0:
        rate += (above - base) * (usage - optimal) / (1.0 - optimal)
    return rate


# Profit, value, limits.


@inline
def paid_share(side_profit, side_pool, max_profit_factor):
    """Share of their profit that traders of a side are paid: all, or pro rata of `max_profit_factor` x the side's pool."""
    if side_profit <= 0.0:
        return 1.0
    return min(1.0, max_profit_factor * side_pool / side_profit)


@inline
def pool_worth(tokens, long_profit, short_profit, long_pool, short_pool, max_profit_factor, borrowing, receiver_share, impact_pool):
    """USD that all shares are worth: money - traders' profit, capped per side, + unpaid borrowing fees - what is set aside for impact."""
    capped = min(long_profit, max_profit_factor * long_pool) + min(short_profit, max_profit_factor * short_pool)
    return tokens - capped + borrowing * (1.0 - receiver_share) - impact_pool


@inline
def is_position_liquidatable(collateral, profit, impact, fees, notional, least_usd, least_fraction):
    """Whether what would be left after closing (USD) is below the least amount, nothing, or below a fraction of the notional."""
    left = collateral + profit + min(impact, 0.0) - fees
    return left < least_usd or left <= 0.0 or left < least_fraction * notional


@inline
def may_deleverage(side_profit, side_pool, threshold):
    """Whether traders of a side may be deleveraged: their profit is above `threshold` of the side's pool."""
    return side_pool > 0.0 and side_profit / side_pool > threshold


# Synthetix V3.


@inline
def skewed_price(price, skew, size, skew_scale):
    """USD per coin of a trade of `size` coins (sign of the trade): price x (1 + (skew + size / 2) / scale)."""
    return price * (1.0 + (skew + 0.5 * size) / skew_scale)


@inline
def funding_velocity(skew, skew_scale, max_velocity):
    """Change per day of a rate per day: clamp(skew / scale, +-1) x the largest velocity (`PerpsMarket.sol`, currentFundingVelocity)."""
    if skew_scale == 0.0:
        return 0.0
    return clamp(skew / skew_scale, 1.0) * max_velocity


@inline
def velocity_step(rate, skew, skew_scale, max_velocity, days):
    """(rate after, average rate) of `days` at constant skew; rates as fractions per day. The cost of a position is size x price x
    average rate x days (`PerpsMarket.sol`, unrecordedFunding)."""
    after = rate + funding_velocity(skew, skew_scale, max_velocity) * days
    return after, 0.5 * (rate + after)
