"""Trades with ranges of liquidity: how far an order may move the price, whether its account may make it, and who gets the fee."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline
from abm.kernels.execution import (
    may_change,
)
from abm.kernels.house import interest_after, pay_fund, settle_with_house
from abm.kernels.range_inventory import (
    has_ranges,
    may_hold_beside_ranges,
    range_margin,
)
from abm.kernels.range_pool import lots_up_to, swap
from abm.state import (
    ACTIVE,
    BAR_RISK,
    BAR_TRADES,
    EXPIRED,
    FILLED,
    IMMEDIATE_OR_CANCEL,
    ISOLATED_ONLY,
    MARKET_HALTED,
    NO_LIQUIDITY,
    NOT_OFFERED,
    OPEN_INTEREST_CAPPED,
    OUT_OF_RANGE,
    POST_ONLY,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    UNDERCOLLATERALISED,
)

RANGE_TERMS = np.dtype(
    [
        ("spacing", "i8"),  # ticks of 1.0001 between edges
        ("fund_share", "f8"),  # part of fees that goes to the insurance fund
        ("root_limit", "f8"),  # largest factor between the square roots of the reference price and of the price after an order; 0 = none
        ("limit_blocks", "i8"),  # age at which the reference price is taken anew
        ("oracle_gap", "f8"),  # fraction of the oracle price beyond which only trades that narrow the gap pass
        ("levels", "i8"),  # quotes a side
        ("reach", "f8"),  # fraction of the price that quotes go out to
    ],
    align=True,
)


@inline
def is_within_limit(root, reference, root_limit):
    """Whether the square root of a price is within the ticks that may be crossed from the reference."""
    return root_limit <= 0.0 or (reference <= root * root_limit and root <= reference * root_limit)


@inline
def widens_gap(root, before, oracle, largest):
    """Whether a trade leaves the price farther from the oracle price than allowed, and farther than it was (Perp v2 `Exchange.sol`)."""
    gap = abs(root * root / oracle - 1.0)
    return gap > largest and gap > abs(before * before / oracle - 1.0)


@inline
def trade(venue, accounts, positions, markets, funds, fills, pools, edges, terms, i, k, side, lots, fee_rate, liquidation):
    """Executes a trade of `lots` that has been found possible; returns its value in USD."""
    coins = lots * markets[k].lot
    _, value, _ = swap(pools, edges, k, side, coins, math.inf if side > 0 else 0.0, fee_rate * (1.0 - terms[0].fund_share), True)
    fee = value * fee_rate
    settle_with_house(venue, accounts, positions, markets, fills, i, k, side, lots, value, fee, -fee, liquidation)
    if fee > 0.0:
        pay_fund(accounts, funds, markets[k].fund, markets[k].house, fee * terms[0].fund_share)
    return value


@inline
def trade_up_to(
    venue, accounts, positions, markets, margin_tiers, funds, fills, pools, edges, ranges, counts, terms, i, k, side, limit, lots
):
    """Trades up to `lots`, no further than tick `limit`. Returns (lots left, FILLED or why it stopped)."""
    lot = markets[k].lot
    root_limit = math.sqrt(limit * markets[k].tick)
    within = lots_up_to(pools, edges, k, side, lots, lot, root_limit)
    if within <= 0:
        return lots, NO_LIQUIDITY
    _, value, root = swap(pools, edges, k, side, within * lot, math.inf if side > 0 else 0.0, 0.0, False)
    if not is_within_limit(root, pools[k].reference, terms[0].root_limit):
        return lots, OUT_OF_RANGE
    if widens_gap(root, pools[k].root, markets[k].oracle, terms[0].oracle_gap):
        return lots, OUT_OF_RANGE
    interest = interest_after(positions, markets, i, k, side * within)
    if interest > markets[k].open_interest and interest * lot * markets[k].mark > markets[k].open_interest_cap:
        return lots, OPEN_INTEREST_CAPPED
    fee_rate = max(accounts[i].taker_fee, 0.0)
    cash = -side * value - value * fee_rate
    held = positions[i, k].lots
    if has_ranges(counts, i) and abs(held + side * within) > abs(held):
        cash -= range_margin(markets, positions, margin_tiers, pools, edges, ranges, i)
    if not may_change(accounts, positions, markets, margin_tiers, i, k, side * within, cash, interest):
        return lots, UNDERCOLLATERALISED
    trade(venue, accounts, positions, markets, funds, fills, pools, edges, terms, i, k, side, within, fee_rate, False)
    return lots - within, FILLED if within == lots else NO_LIQUIDITY


@inline
def place_in_ranges(
    venue, accounts, positions, markets, margin_tiers, funds, fills, pools, edges, ranges, counts, terms, i, k, side, flags, tick, lots,
    expires,
):  # fmt: skip
    """Executes one order at once; nothing rests. Returns (FILLED or why it failed or stopped, lots left)."""
    if k < 0 or k >= markets.shape[0]:
        return OUT_OF_RANGE, lots
    if markets[k].status != ACTIVE or markets[k].barred & BAR_TRADES:
        return MARKET_HALTED, lots
    if tick < 1 or tick >= markets[k].ticks or lots <= 0 or (side != 1 and side != -1):
        return OUT_OF_RANGE, lots
    if expires <= venue[0].block:
        return EXPIRED, lots
    if flags & POST_ONLY:
        return NOT_OFFERED, lots
    if not may_hold_beside_ranges(venue, accounts, positions, markets, counts, i, k):
        return ISOLATED_ONLY, lots
    if flags & REDUCE_ONLY or markets[k].barred & BAR_RISK:
        lots = min(lots, -side * positions[i, k].lots)
        if lots <= 0:
            return REDUCE_ONLY_DROPPED, 0
    left, reason = trade_up_to(
        venue, accounts, positions, markets, margin_tiers, funds, fills, pools, edges, ranges, counts, terms, i, k, side, tick, lots
    )
    if reason == NO_LIQUIDITY and flags & IMMEDIATE_OR_CANCEL == 0:
        reason = NOT_OFFERED
    return reason, left
