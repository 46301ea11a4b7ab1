"""Liquidity in a range of prices: what it holds, what it is worth, and what it has lost against holding.

Notation of Uniswap v3 (whitepaper, section 6): s is the square root of the price, L the liquidity in square roots of coin x USD. Between
the edges a < b of its range liquidity holds L (1/s - 1/b) coins and L (s - a) USD; below only coins, above only USD.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline

TICK_RATIO = 1.0001  # price ratio of neighbouring ticks (Uniswap v3)
GRAIN = 1.0 / 65_536.0  # liquidity comes in multiples of it, so that sums and differences of liquidity are exact
MOST_LIQUIDITY = 2.0**36


@inline
def held_within(root, lower, upper):
    """A square root of a price, held between the edges of a range."""
    return min(max(root, lower), upper)


@inline
def coins_between(liquidity, root, other):
    """Coins that liquidity gives up or takes in while the square root of the price moves between two values: L |1/s - 1/s'|."""
    return liquidity * abs(1.0 / root - 1.0 / other)


@inline
def money_between(liquidity, root, other):
    """USD that liquidity takes in or gives up meanwhile: L |s - s'|."""
    return liquidity * abs(root - other)


@inline
def root_after(root, liquidity, side, coins):
    """Square root of the price after `coins` > 0 were bought (side +1) from one stretch of liquidity, or sold to it."""
    return 1.0 / (1.0 / root - side * coins / liquidity)


@inline
def amounts(liquidity, root, lower, upper):
    """(coins, USD) in a range at this square root of the price; `lower` and `upper` are square roots of its edges."""
    inside = held_within(root, lower, upper)
    return coins_between(liquidity, inside, upper), money_between(liquidity, inside, lower)


@inline
def range_value(liquidity, root, lower, upper):
    """USD that coins and money in a range are worth at this square root of the price."""
    coins, money = amounts(liquidity, root, lower, upper)
    return coins * root * root + money


@inline
def liquidity_worth(value, root, lower, upper):
    """Liquidity of a range that is worth `value` USD at this square root of the price, rounded down to GRAIN."""
    return math.floor(value / range_value(1.0, root, lower, upper) / GRAIN) * GRAIN


@inline
def impermanent_loss(liquidity, entry, root, lower, upper):
    """USD by which a range is worth less than the coins and money it held when the square root of the price was `entry`; never negative."""
    coins, money = amounts(liquidity, entry, lower, upper)
    return coins * root * root + money - range_value(liquidity, root, lower, upper)


@inline
def average_price(root, other):
    """USD per coin at which liquidity trades, on average, while the square root of the price moves between two values: s s'."""
    return root * other


@inline
def growth_inside(growth, slot, lower_slot, upper_slot, lower_outside, upper_outside):
    """Fees in USD that one unit of liquidity would have earned between two edges, up to a constant that differences of it lose.

    growth: anywhere; outside: on the far side of an edge as seen from where the price was when it was last crossed. `slot` is where
    the price is now (Uniswap v3 `Tick.sol`, getFeeGrowthInside).
    """
    below = lower_outside if slot >= lower_slot else growth - lower_outside
    above = upper_outside if slot < upper_slot else growth - upper_outside
    return growth - below - above
