"""How much of a position one liquidation may close, and what it costs: by the shortage to cover, or by a capacity per window.

Drift v2 (`programs/drift/src/math/liquidation.rs`) closes as much as restores maintenance margin plus a buffer, a growing share of it
as time passes. Synthetix Perps V3 (`markets/perps-market/contracts/storage/PerpsMarket.sol`) lets a market liquidate only so many coins
per window of time.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline

FUND_FEE_SAFETY = 0.95  # part of the room above the shortage that the insurance fund's fee may take (Drift v2)


@inline
def coins_to_cover_shortage(shortage, margin_fraction, liquidator_fee, fund_fee, price, quote_price):
    """Coins whose closing frees `shortage` USD of margin: shortage / (P q (m - liquidator fee) - P x fund fee).

    P is the price in USD, q the price of the collateral; infinite where closing frees nothing (Drift v2,
    calculate_base_asset_amount_to_cover_margin_shortage).
    """
    if price <= 0.0 or margin_fraction <= liquidator_fee:
        return math.inf
    freed = price * quote_price * (margin_fraction - liquidator_fee) - price * fund_fee
    return shortage / freed if freed > 0.0 else math.inf


@inline
def fund_fee_of_liquidation(shortage, size, margin_fraction, liquidator_fee, price, quote_price, most):
    """Fraction of notional that goes to the insurance fund: what closing leaves over, so that the shortage can still be covered.

    min(most, 0.95 x max(0, m - liquidator fee - shortage / (size x P q))); 0 without a position or a price (Drift v2,
    calculate_perp_if_fee).
    """
    value = abs(size) * price * quote_price
    if value <= 0.0 or margin_fraction <= liquidator_fee:
        return 0.0
    room = max(0.0, margin_fraction - liquidator_fee - shortage / value)
    return min(most, FUND_FEE_SAFETY * room)


@inline
def coverable_share(shortage, elapsed, initial_share, duration, freed, small_shortage):
    """Share of the shortage that may be covered now: all of a small one, else so much that what has been freed of the whole shortage
    stays within initial share + elapsed / duration.

    Shortage and `freed` in USD, times in one unit; a duration of 0 covers all at once (Drift v2, calculate_max_pct_to_liquidate).
    """
    if shortage < small_shortage or duration <= 0.0:
        return 1.0
    share = min(1.0, elapsed / duration + initial_share)
    freeable = max(0.0, (shortage + freed) * share - freed)
    return min(1.0, freeable / shortage)


@inline
def ramped_liquidator_fee(fee, most, elapsed, grace, per_time):
    """Liquidator's fee after a liquidation has waited: fee + elapsed x slope once the grace time is over, at most `most`.

    All of the elapsed time counts, not what is beyond the grace (Drift v2, get_liquidation_fee).
    """
    if elapsed < grace:
        return fee
    return min(most, fee + elapsed * per_time)


@inline
def liquidation_window_capacity(fee_sum, skew_scale, multiplier, window):
    """Coins that may be liquidated in one window of `window` seconds: (maker + taker fee) x skew scale x multiplier x window
    (Synthetix V3 `PerpsMarketConfiguration.sol`)."""
    return fee_sum * skew_scale * multiplier * window


@inline
def liquidatable_in_window(wanted, capacity, liquidated, skew_share, calm_skew, updated_in_block):
    """Coins that may be liquidated now, of `wanted`: what is left of the window's capacity after `liquidated` in it.

    With nothing left, one more full capacity passes in each block in which none has passed yet while |skew| / skew scale is below
    `calm_skew` (0: never). A capacity of 0 limits nothing (Synthetix V3 `PerpsMarket.sol`, maxLiquidatableAmount).
    """
    if capacity <= 0.0:
        return wanted
    left = max(0.0, capacity - liquidated)
    if left > 0.0:
        return min(left, wanted)
    if calm_skew > 0.0 and not updated_in_block and abs(skew_share) < calm_skew:
        return min(capacity, wanted)
    return 0.0


@inline
def keeper_reward(cost, share_of_notional, least, profit_share, most):
    """USD that a keeper earns for a liquidation that costs it `cost` USD: min(max(cost + least, cost (1 + profit share), cost + share
    of notional), most) (Synthetix V3 `GlobalPerpsMarketConfiguration.sol`, keeperReward)."""
    return min(max(cost + least, cost * (1.0 + profit_share), share_of_notional + cost), most)


@inline
def lots_in_window(liquidated, k, block):
    """Lots liquidated in market k in the blocks of the ring `liquidated` (m, blocks) that are still inside the window."""
    window = liquidated.shape[1]
    total = 0
    for b in range(window):
        if liquidated[k, b].lots > 0 and liquidated[k, b].block > block - window:
            total += liquidated[k, b].lots
    return total


@inline
def remember_liquidated(liquidated, k, block, lots):
    """Adds lots to the ring's entry of this block."""
    slot = block % liquidated.shape[1]
    if liquidated[k, slot].block != block:
        liquidated[k, slot].block = block
        liquidated[k, slot].lots = 0
    liquidated[k, slot].lots += lots


@inline
def passed_in_block(liquidated, k, block):
    """Whether anything of market k was liquidated in this block."""
    slot = block % liquidated.shape[1]
    return liquidated[k, slot].block == block and liquidated[k, slot].lots > 0
