"""Clearing against ranges of liquidity: orders trade with the venue's own account at the pool's price, and ranges are added and removed."""

from __future__ import annotations

import math

from abm.kernels.account_auction import hand_to_keeper
from abm.kernels.book import rest_order
from abm.kernels.clearing import carry_out_anywhere, finish_transaction, keep_pending
from abm.kernels.compiled import inline, kernel
from abm.kernels.house import withdraw_quotes
from abm.kernels.margin import account_risk, is_liquidatable
from abm.kernels.range_inventory import (
    add_range,
    has_ranges,
    range_margin,
    remove_ranges,
    settle_account,
    settle_ranges,
)
from abm.kernels.range_liquidation import liquidate_in_ranges
from abm.kernels.range_pool import lots_up_to
from abm.kernels.range_trading import place_in_ranges
from abm.state import (
    ADD_RANGE,
    CANCEL,
    CANCEL_ALL,
    FILLED,
    LIQUIDATE,
    NEVER,
    NOBODY,
    OUT_OF_RANGE,
    PLACE,
    REMOVE_RANGE,
    WITHDRAW,
)


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
    fills, ended_orders, liquidations, liquidation_terms, shares, pools, edges, ranges, counts, terms, key, count,
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
                        remove_ranges(
                            accounts, positions, markets, funds, shares, pools, edges, ranges, counts, target, NOBODY, NOBODY
                        )  # fmt: skip
                if liquidation_terms[0].taken_by_keeper != 0:
                    result = hand_to_keeper(
                        venue, accounts, positions, markets, margin_tiers, funds, liquidations, liquidation_terms, target, i, k, left,
                        transactions[t].amount, transactions[t].submitted, transactions[t].fee, key,
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
            row = transactions[t].handle - 1
            if remove_ranges(accounts, positions, markets, funds, shares, pools, edges, ranges, counts, i, k, row) == 0:
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
        settle_ranges(accounts, positions, markets, funds, shares, pools, edges, ranges, counts, k)
        if pools[k].shown != pools[k].root:
            quote_ranges(venue, accounts, markets, levels, bitmap, orders, expiry, pools, edges, terms, k)
