"""Liquidation of one position: limit price, bankruptcy value, penalty or fund cover, and how much at once.

Formulas of dYdX v4 (`protocol/x/clob/keeper/liquidations.go`, `protocol/x/clob/types/liquidations_config.go`).
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline


@inline
def fillable_price(size, price, maintenance_margin, equity, total_maintenance_margin, adjustment, spread_to_margin):
    """Worst price in USD at which a position of `size` coins may be closed in liquidation.

    (size x price - r x spread_to_margin x maintenance_margin) / size with r = clamp(adjustment x (1 - equity / total margin), 0, 1):
    the limit moves from the valuation price to `spread_to_margin` maintenance margins away as equity falls from the total
    maintenance margin to zero. `maintenance_margin` is that of this position, USD.
    """
    ratio = adjustment * (1.0 - equity / total_maintenance_margin)
    ratio = min(max(ratio, 0.0), 1.0)
    return (size * price - ratio * spread_to_margin * maintenance_margin) / size


@inline
def bankruptcy_quote_change(size_change, price, maintenance_change, equity, total_maintenance_margin):
    """USD that closing `size_change` coins (sign of the change) must bring in for the account to lose its whole share of equity.

    - change of value - equity x |change of margin| / total margin: equity is split over positions in proportion to their maintenance
    margin. `maintenance_change` >= 0 is the margin set free. The bankruptcy price is minus this over `size_change`.
    """
    return -size_change * price - equity * maintenance_change / total_maintenance_margin


@inline
def bankruptcy_price(size_change, price, maintenance_change, equity, total_maintenance_margin):
    """USD per coin at which closing `size_change` coins uses up exactly this position's share of equity."""
    return -bankruptcy_quote_change(size_change, price, maintenance_change, equity, total_maintenance_margin) / size_change


@inline
def fund_delta(quote_change, bankruptcy_quote, max_fee):
    """USD that goes to the insurance fund (> 0) or that it must pay (< 0) for one fill of a liquidation.

    The fill's money above the bankruptcy value goes to the fund, at most `max_fee` of the notional; what is missing is paid by it.
    """
    surplus = quote_change - bankruptcy_quote
    if surplus > 0.0:
        return min(surplus, max_fee * abs(quote_change))
    return surplus


@inline
def fund_can_cover(balance, delta):
    """A match is valid iff the fund gains or can pay."""
    return delta >= 0.0 or balance + delta >= 0.0


@inline
def liquidatable_notional_bounds(notional, min_notional, max_portion):
    """(least, most) USD of a position of `notional` USD that one transaction may close."""
    least = min(min_notional, notional)
    return least, max(least, max_portion * notional)


@inline
def liquidation_size(size, price, min_notional, max_portion, notional_left, step):
    """Change of size in coins (sign of the closing order) that one transaction may make in a position of `size` coins.

    min(max(min(min_notional, n), portion x n), what the account may still lose in this block), rounded down to the step, then
    clamped to [step, |size|].
    """
    notional = abs(size) * price
    _, most = liquidatable_notional_bounds(notional, min_notional, max_portion)
    most = min(most, notional_left)
    coins = abs(size)
    if most < notional:  # a whole position must not lose a step to the rounding of a division
        steps = math.floor(most / price / step + 1e-9)
        coins = min(max(steps * step, step), coins)
    return -coins if size > 0.0 else coins


@inline
def allowance_left(most, used):
    """USD of a per-block allowance that is left; raises nothing, never below zero."""
    return max(most - used, 0.0)


@inline
def distance_to_fillable(fillable, price):
    """|fillable - price| / price: how far a liquidation may go from the valuation price."""
    return abs(fillable - price) / price


@inline
def is_more_urgent(distance_a, notional_a, distance_b, notional_b):
    """Whether liquidation a goes before b: the larger distance to the fillable price first, then the larger notional (USD).

    Accounts below zero all have the same distance up to rounding, which must not decide between them.
    """
    if abs(distance_a - distance_b) > 1e-12:
        return distance_a > distance_b
    return notional_a > notional_b
