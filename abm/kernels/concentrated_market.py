"""Clearing against ranges of liquidity: orders trade with the venue's own account at the pool's price, and ranges are added and removed."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.book import rest_order
from abm.kernels.clearing import carry_out_anywhere, finish_transaction, keep_pending
from abm.kernels.compiled import inline, kernel
from abm.kernels.execution import (
    choose_position,
    may_change,
    notional_at_mark,
    record_liquidation,
    reward_keeper,
    start_limits,
)
from abm.kernels.house import interest_after, pay_fund, settle_with_house, withdraw_quotes
from abm.kernels.liquidation import allowance_left, bankruptcy_price, fund_can_cover, liquidation_size
from abm.kernels.liquidator import take_position
from abm.kernels.margin import account_risk, is_liquidatable, position_margin
from abm.kernels.range_inventory import (
    add_range,
    has_ranges,
    may_hold_beside_ranges,
    range_margin,
    remove_ranges,
    settle_account,
    settle_ranges,
)
from abm.kernels.range_pool import lots_up_to, swap
from abm.state import (
    ACTIVE,
    ADD_RANGE,
    ALREADY_LIQUIDATED,
    BAR_LIQUIDATIONS,
    BAR_RISK,
    BAR_TRADES,
    CANCEL,
    CANCEL_ALL,
    EXPIRED,
    FILLED,
    FUND_EXHAUSTED,
    IMMEDIATE_OR_CANCEL,
    ISOLATED_ONLY,
    LIQUIDATE,
    MARKET_HALTED,
    NEVER,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
    NOT_OFFERED,
    OPEN_INTEREST_CAPPED,
    OUT_OF_RANGE,
    PLACE,
    POST_ONLY,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    REMOVE_RANGE,
    UNDERCOLLATERALISED,
    WITHDRAW,
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


@inline
def liquidate_in_ranges(
    venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, pools, edges, range_terms, terms, i, keeper, wanted,
    submitted, gas, key,
):  # fmt: skip
    """Sells a position of account i, or the rule's portion of it, into the ranges, no further than an order could go.

    The penalty goes to the fund, which pays what the account cannot; where it cannot, the liquidation fails.
    """
    start_limits(venue, accounts, i)
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    allowance = allowance_left(terms[0].max_notional_per_block, accounts[i].used_notional)
    notional_before = notional_at_mark(positions, markets, i)
    result = NOT_LIQUIDATABLE
    k = NOBODY
    if is_liquidatable(equity, maintenance):
        k = choose_position(venue, positions, i, wanted, key)
        if k == NOBODY or allowance <= 0.0:
            k = NOBODY
            result = ALREADY_LIQUIDATED
    n = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result)
    if k == NOBODY:
        return result
    positions[i, k].liquidated_block = venue[0].block
    held = positions[i, k].lots
    side = -1 if held > 0 else 1
    size = held * markets[k].lot
    lot_price = markets[k].lot * markets[k].mark
    _, own = position_margin(
        markets, margin_tiers, k, abs(held) * lot_price, markets[k].open_interest * lot_price, positions[i, k].least_margin_fraction
    )
    coins = liquidation_size(size, markets[k].mark, terms[0].min_notional, terms[0].max_portion, allowance, markets[k].lot)
    wanted_lots = min(max(int(abs(coins) / markets[k].lot + 0.5), 1), abs(held))
    limit = math.inf if side > 0 else 0.0
    if range_terms[0].root_limit > 0.0:
        limit = pools[k].reference * (range_terms[0].root_limit if side > 0 else 1.0 / range_terms[0].root_limit)
    result = FILLED
    closed = 0
    value = delta = reward = 0.0
    if markets[k].status != ACTIVE or markets[k].barred & BAR_LIQUIDATIONS:
        result = MARKET_HALTED
    else:
        closed = lots_up_to(pools, edges, k, side, wanted_lots, markets[k].lot, limit)
        if closed <= 0:
            closed = 0
            result = NO_LIQUIDITY
    if closed > 0:
        _, value, _ = swap(pools, edges, k, side, closed * markets[k].lot, math.inf if side > 0 else 0.0, 0.0, False)
        others = False
        for j in range(positions.shape[1]):
            others = others or (j != k and positions[i, j].lots != 0)
        delta = terms[0].max_fee * value
        if closed == abs(held) and not others:
            # A last close leaves nothing below zero: the fund takes a smaller penalty, or pays.
            delta = min(delta, accounts[i].collateral - side * value)
        if not fund_can_cover(min(funds[markets[k].fund].balance, markets[k].insurance_left), delta):
            result = FUND_EXHAUSTED
            closed = 0
    if closed > 0:
        fund = markets[k].fund
        accounts[i].used_notional += closed * lot_price
        accounts[i].used_insurance -= min(delta, 0.0)
        markets[k].insurance_left += min(delta, 0.0)
        trade(venue, accounts, positions, markets, funds, fills, pools, edges, range_terms, i, k, side, closed, 0.0, True)
        pay_fund(accounts, funds, fund, i, delta)
        reward = reward_keeper(venue, accounts, funds, fund, keeper, terms, value, gas)
    if n < liquidations.shape[0]:
        liquidations[n].result = result
        liquidations[n].side = side
        liquidations[n].lots = closed
        liquidations[n].lots_wanted = wanted_lots
        liquidations[n].mark = markets[k].mark
        liquidations[n].index = markets[k].index
        liquidations[n].bankruptcy_price = bankruptcy_price(-size, markets[k].mark, own, equity, maintenance)
        if equity != 0.0:
            liquidations[n].leverage_before = notional_before / equity
        if closed > 0:
            liquidations[n].fills = 1
            liquidations[n].notional = value
            liquidations[n].price = value / (closed * markets[k].lot)
            liquidations[n].fund_delta = delta
            liquidations[n].reward = reward
    return result


@inline
def quote_ranges(venue, accounts, markets, levels, bitmap, orders, expiry, pools, edges, terms, k):
    """Puts the pool into the book as resting quotes of its account: what others can buy and sell up to each price.

    Nobody trades with these orders; they show best prices, depth and impact prices to agents, funding and recorder.
    """
    house = markets[k].house
    withdraw_quotes(venue, accounts, markets, levels, bitmap, orders, expiry, house)
    spot = pools[k].root * pools[k].root
    pools[k].shown = pools[k].root
    most = int(1e15)
    for side in (1, -1):
        last = 0
        shown = 0
        for level in range(terms[0].levels + 1):
            part = level / terms[0].levels
            price = spot * (1.0 + side * terms[0].reach * part * part) / markets[k].tick
            tick = int(math.ceil(price - 1e-9)) if side > 0 else int(math.floor(price + 1e-9))
            if level > 0 and (tick - last) * side <= 0:
                tick = last + side
            if tick < 1 or tick >= markets[k].ticks:
                break
            lots = lots_up_to(pools, edges, k, side, most, markets[k].lot, math.sqrt(tick * markets[k].tick))
            if level == 0 and lots == 0 and 1 <= tick + side < markets[k].ticks:
                # The tick next to the price gives nothing yet; the best quote must not be farther than the tick after it.
                tick += side
                lots = lots_up_to(pools, edges, k, side, most, markets[k].lot, math.sqrt(tick * markets[k].tick))
            last = tick
            if lots > shown:
                rest_order(
                    venue, accounts, markets, levels, bitmap, orders, expiry, house, k, -side, tick, lots - shown, 0, NEVER
                )  # fmt: skip
                shown = lots


@kernel
def show_ranges(venue, accounts, markets, levels, bitmap, orders, expiry, pools, edges, terms):
    """Puts all pools into the book."""
    for k in range(markets.shape[0]):
        quote_ranges(venue, accounts, markets, levels, bitmap, orders, expiry, pools, edges, terms, k)


@kernel
def clear_in_ranges(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions, sequence,
    fills, ended_orders, liquidations, liquidation_terms, pools, edges, ranges, counts, terms, key, count,
):  # fmt: skip
    """Executes the first `count` rows of `sequence[0]` against the ranges, and keeps those that have not arrived yet.

    counts (n, m): how many ranges each account has in each market.
    """
    block = venue[0].block
    for k in range(markets.shape[0]):
        if block - pools[k].reference_block >= terms[0].limit_blocks:
            pools[k].reference = pools[k].root
            pools[k].reference_block = block
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        side = int(transactions[t].side)
        result = FILLED
        left = transactions[t].lots
        if i != NOBODY and has_ranges(counts, i):
            settle_account(accounts, positions, markets, pools, edges, ranges, i)
        if kind == PLACE:
            result, left = place_in_ranges(
                venue, accounts, positions, markets, margin_tiers, funds, fills, pools, edges, ranges, counts, terms, i, k, side,
                transactions[t].flags, transactions[t].tick, left, transactions[t].expires,
            )  # fmt: skip
        elif kind == CANCEL:
            result = OUT_OF_RANGE
        elif kind == LIQUIDATE:
            target = int(transactions[t].target)
            if target < 0 or target >= accounts.shape[0]:
                result = OUT_OF_RANGE
            else:
                if has_ranges(counts, target):
                    settle_account(accounts, positions, markets, pools, edges, ranges, target)
                    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, target)
                    if is_liquidatable(equity, maintenance):
                        remove_ranges(accounts, positions, markets, funds, pools, edges, ranges, counts, target, NOBODY, NOBODY)
                if liquidation_terms[0].taken_by_keeper != 0:
                    result = take_position(
                        venue, accounts, positions, markets, margin_tiers, funds, liquidations, liquidation_terms, target, i, k, left,
                        transactions[t].submitted, transactions[t].fee, key,
                    )  # fmt: skip
                else:
                    result = liquidate_in_ranges(
                        venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, pools, edges, terms,
                        liquidation_terms, target, i, k, transactions[t].submitted, transactions[t].fee, key,
                    )  # fmt: skip
        elif kind == ADD_RANGE:
            result = add_range(
                venue, accounts, positions, markets, margin_tiers, pools, edges, ranges, counts, terms[0].spacing, i, k,
                transactions[t].tick, transactions[t].handle, transactions[t].amount,
            )  # fmt: skip
        elif kind == REMOVE_RANGE:
            if remove_ranges(accounts, positions, markets, funds, pools, edges, ranges, counts, i, k, transactions[t].handle - 1) == 0:
                result = OUT_OF_RANGE
        elif kind == WITHDRAW and has_ranges(counts, i):
            # Money that stands behind ranges stays: it is set aside while the withdrawal is looked at.
            aside = range_margin(markets, positions, margin_tiers, pools, edges, ranges, i)
            accounts[i].collateral -= aside
            result = carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t)
            accounts[i].collateral += aside
        elif kind != CANCEL_ALL:
            result = carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t)
        finish_transaction(venue, accounts, transactions, ended_orders, t, result, left)
    keep_pending(venue, transactions, count)
    for k in range(markets.shape[0]):
        settle_ranges(accounts, positions, markets, funds, pools, edges, ranges, counts, k)
        if pools[k].shown != pools[k].root:
            quote_ranges(venue, accounts, markets, levels, bitmap, orders, expiry, pools, edges, terms, k)
