"""Margin that depends on more than notional: on the size of a position in coins, and on unrealised profit.

Drift v2 (drift-labs/protocol-v2 `programs/drift/src/math/margin.rs`, `state/perp_market.rs`) and Synthetix Perps V3
(Synthetixio/synthetix-v3 `markets/perps-market/contracts/storage`).
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline


@inline
def size_scaled_fraction(fraction, size_factor, size):
    """Margin fraction that rises with the size of a position: max(f, 0.8 f + size factor x sqrt(|size|)).

    Size in coins, the factor per square root of a coin; 0 turns it off (Drift v2 `programs/drift/src/math/margin.rs`,
    calculate_size_premium_liability_weight; liability weights follow the same formula).
    """
    if size_factor == 0.0:
        return fraction
    return max(fraction, 0.8 * fraction + size_factor * math.sqrt(abs(size)))


@inline
def high_leverage_fraction(ordinary, high_leverage, size_factor, size):
    """Initial margin fraction of an account in high-leverage mode: its advantage over the ordinary fraction shrinks with size.

    The size-scaled ordinary fraction starts 20 % below the ordinary one. While it is below, the fraction goes from `high_leverage` to
    `ordinary` as it uses up that distance; above, it is the size-scaled one (Drift v2 `math/margin.rs`,
    calc_high_leverage_mode_initial_margin_ratio_from_size).
    """
    if size_factor == 0.0:
        return high_leverage
    scaled = 0.8 * ordinary + size_factor * math.sqrt(abs(size))
    if scaled > ordinary:
        return scaled
    used = max(0.0, 1.0 - (ordinary - scaled) / (0.2 * ordinary))
    return high_leverage + max(ordinary - high_leverage, 0.0) * used


@inline
def size_discounted_weight(weight, size_factor, size):
    """Weight of an asset that falls with its size: min(w, 1.1 / (1 + size factor x sqrt(size))) (Drift v2 `math/margin.rs`,
    calculate_size_discount_asset_weight; the size of an unrealised profit is its USD)."""
    if size_factor == 0.0:
        return weight
    return min(weight, 1.1 / (1.0 + size_factor * math.sqrt(size)))


@inline
def counted_profit(profit, weight, size_factor, cap):
    """USD of an unrealised profit that counts for initial margin: weighted by its size, at most `cap`; losses count in full.

    A cap of 0 means none (Drift v2 `state/perp_market.rs`, get_unrealized_asset_weight, and `math/margin.rs`).
    """
    if profit <= 0.0:
        return profit
    counted = profit * size_discounted_weight(weight, size_factor, profit)
    return min(counted, cap) if cap > 0.0 else counted


@inline
def skew_margins(size, notional, skew_scale, initial_fraction, least_ratio, maintenance_scalar, reward_ratio, least_margin):
    """(initial, maintenance, liquidation reward) margin in USD of a position of `size` coins worth `notional` USD.

    Initial ratio = |size| / scale x fraction + least ratio; maintenance is a scalar of initial; each position adds `least_margin`. The
    account must have the reward beside either (Synthetix V3 `PerpsMarketConfiguration.sol`, calculateRequiredMargins; `PerpsAccount.sol`).
    """
    initial = (abs(size) / skew_scale * initial_fraction + least_ratio) * notional
    return initial + least_margin, initial * maintenance_scalar + least_margin, notional * reward_ratio
