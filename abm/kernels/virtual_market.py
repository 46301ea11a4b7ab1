"""Clearing against a constant-product curve: every order trades with the venue's own account at the curve's price.

The reserves are no state of their own: the base reserve is what it was when nobody held a position, less what traders hold together.
So whatever happens to positions, reserves and positions cannot disagree, and a round trip restores both exactly.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.account_auction import hand_to_keeper
from abm.kernels.book import rest_order
from abm.kernels.clearing import carry_out_anywhere, finish_transaction, keep_pending
from abm.kernels.compiled import inline, kernel
from abm.kernels.curves import (
    affordable_peg,
    base_at_price,
    budgeted_scale,
    closing_value,
    curve_margin_ratio,
    curve_price,
    liquidated_share,
    liquidation_penalty,
    optimal_peg_and_budget,
    owed_on_curve,
    price_in_band,
    quote_for_base,
    repeg_cost,
    scaled_reserves,
    terminal_quote,
)
from abm.kernels.execution import (
    choose_position,
    may_hold,
    notional_at_mark,
    record_liquidation,
    reward_keeper,
    start_limits,
)
from abm.kernels.house import pay_fund, settle_with_house, trade_with_house, withdraw_quotes
from abm.kernels.liquidation import allowance_left, bankruptcy_price, fund_can_cover, liquidation_size
from abm.kernels.margin import account_risk, is_liquidatable
from abm.kernels.margin_shares import lots_to_close, maintenance_part
from abm.state import (
    ACTIVE,
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
    OUT_OF_RANGE,
    PLACE,
    POST_ONLY,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    SETTLED,
)

CURVE = np.dtype(
    [
        ("flat_base", "f8"),  # coins in the pool while traders together hold nothing
        ("sqrt_k", "f8"),  # square root of base x quote
        ("peg", "f8"),  # USD per unit of quote
        ("reference", "f8"),  # USD, price at the end of the last block
        ("shown", "f8"),  # USD, price for which its quotes in the book were made; 0: they must be made anew
        ("fees_then", "f8"),  # USD, what its account had earned in fees when its depth was last changed; used beside a book
        ("funding_then", "f8"),  # USD, the same of funding
    ],
    align=True,
)

CURVE_TERMS = np.dtype(
    [
        ("half_spread", "f8"),  # fraction of the curve's price that buyers pay more and sellers get less
        ("band", "f8"),  # fraction of the last block's price within which orders may move it; 0 = no band
        ("trade_limit", "f8"),  # fraction of a reserve that one order may take
        ("oracle_gap", "f8"),  # fraction of the oracle price beyond which a liquidation must also hold at the oracle price
        ("repeg_blocks", "i8"),  # 0: the peg never moves
        ("repeg_spread", "f8"),  # fraction of the oracle price; half of it is the widest gap that is tolerated
        ("scale_up", "f8"),  # largest scale of the reserves per repeg
        ("scale_down", "f8"),  # smallest
        ("profit_to_fund", "i4"),  # 1: what the curve does not owe to traders belongs to the insurance fund; 0: to its own fee pool
        ("levels", "i4"),  # quotes a side
        ("reach", "f8"),  # fraction of the price that quotes go out to
    ],
    align=True,
)


@inline
def net_base(positions, markets, k):
    """Coins that traders hold together, long > 0."""
    return -positions[markets[k].house, k].lots * markets[k].lot


@inline
def reserves(positions, markets, curves, k):
    """(quote, base) reserve now."""
    base = curves[k].flat_base - net_base(positions, markets, k)
    return curves[k].sqrt_k / base * curves[k].sqrt_k, base


@inline
def free_money(accounts, positions, markets, curves, k):
    """USD that the curve's account holds beyond what it owes to its traders on the curve: fees, funding and spreads it has earned."""
    net = net_base(positions, markets, k)
    owed = owed_on_curve(curves[k].flat_base - net, curves[k].sqrt_k, curves[k].peg, net)
    return accounts[markets[k].house].collateral - owed


@inline
def lots_to_price(curve, base, lot, side, price, half_spread):
    """Lots that can be bought (side +1) or sold before the marginal price, spread included, passes `price` USD."""
    edge = base_at_price(curve.sqrt_k, curve.peg, price / (1.0 + side * half_spread))
    return max(int(math.floor(side * (base - edge) / lot + 1e-9)), 0)


@inline
def curve_value(quote, base, peg, side, size, half_spread):
    """USD of buying (side +1) or selling `size` > 0 coins, spread included."""
    return side * peg * quote_for_base(quote, base, side * size) * (1.0 + side * half_spread)


@inline
def trade_on_curve(venue, accounts, positions, markets, margin_tiers, fills, curves, terms, i, k, side, limit, lots):
    """Trades up to `lots` against the curve, no further than tick `limit`. Returns (lots left, FILLED or why it stopped)."""
    quote, base = reserves(positions, markets, curves, k)
    lot = markets[k].lot
    half_spread = terms[0].half_spread
    within = min(lots, lots_to_price(curves[k], base, lot, side, limit * markets[k].tick, half_spread))
    if within == 0:
        return lots, NO_LIQUIDITY
    size = within * lot
    money = quote_for_base(quote, base, side * size)
    taken = size / base if side > 0 else -money / quote
    price = curve_price(quote + money, base - side * size, curves[k].peg)
    if taken > terms[0].trade_limit or not price_in_band(price, curves[k].reference, terms[0].band):
        return lots, OUT_OF_RANGE
    value = curve_value(quote, base, curves[k].peg, side, size, half_spread)
    reason = trade_with_house(venue, accounts, positions, markets, margin_tiers, fills, i, k, side, within, value)
    if reason != FILLED:
        return lots, reason
    return lots - within, FILLED if within == lots else NO_LIQUIDITY


@inline
def place_on_curve(venue, accounts, positions, markets, margin_tiers, fills, curves, terms, i, k, side, flags, tick, lots, expires):
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
    if not may_hold(venue, accounts, positions, markets, i, k):
        return ISOLATED_ONLY, lots
    if flags & REDUCE_ONLY or markets[k].barred & BAR_RISK:
        lots = min(lots, -side * positions[i, k].lots)
        if lots <= 0:
            return REDUCE_ONLY_DROPPED, 0
    left, reason = trade_on_curve(venue, accounts, positions, markets, margin_tiers, fills, curves, terms, i, k, side, tick, lots)
    if reason == NO_LIQUIDITY and flags & IMMEDIATE_OR_CANCEL == 0:
        reason = NOT_OFFERED
    return reason, left


@inline
def curve_ratio(accounts, positions, markets, curves, i, k, price):
    """Margin ratio of account i with its position in market k closed on the curve, or at `price` USD if that is not zero.

    Other positions at mark, and the ratio over the notional of all.
    """
    margin = accounts[i].collateral
    notional = 0.0
    profit = 0.0
    for j in range(positions.shape[1]):
        lots = positions[i, j].lots
        if lots == 0:
            continue
        size = lots * markets[j].lot
        value = size * markets[j].mark
        if j == k:
            quote, base = reserves(positions, markets, curves, k)
            value = size * price if price > 0.0 else closing_value(quote, base, curves[k].peg, size)
        margin += positions[i, j].entry_value
        profit += value - positions[i, j].entry_value
        notional += abs(value)
    return curve_margin_ratio(margin, profit, 0.0, notional)


@inline
def liquidate_on_curve(
    venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, curves, curve_terms, terms, i, keeper, wanted,
    submitted, gas, key,
):  # fmt: skip
    """Closes a position of account i on the curve, a part of it while its margin can pay the fee, else all of it (Perp v1).

    Liquidatable means below maintenance margin at mark and on the curve, and also at the oracle price where the curve is far from it.
    The penalty goes to the fund, which pays the keeper and what the account cannot; where it cannot, the liquidation fails.
    """
    start_limits(venue, accounts, i)
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    result = NOT_LIQUIDATABLE
    k = NOBODY
    ratio = 0.0
    own = 0.0
    allowance = allowance_left(terms[0].max_notional_per_block, accounts[i].used_notional)
    notional_before = notional_at_mark(positions, markets, i)
    if is_liquidatable(equity, maintenance):
        k = choose_position(venue, positions, markets, margin_tiers, i, wanted, key)
        result = ALREADY_LIQUIDATED
        if allowance <= 0.0:
            k = NOBODY
    if k != NOBODY:
        own = maintenance_part(
            positions, markets, margin_tiers, i, k, maintenance, abs(positions[i, k].lots) * (markets[k].lot * markets[k].mark)
        )
        least = maintenance / notional_before
        ratio = curve_ratio(accounts, positions, markets, curves, i, k, 0.0)
        quote, base = reserves(positions, markets, curves, k)
        spot = curve_price(quote, base, curves[k].peg)
        if abs(spot / markets[k].oracle - 1.0) > curve_terms[0].oracle_gap:
            ratio = max(ratio, curve_ratio(accounts, positions, markets, curves, i, k, markets[k].oracle))
        result = MARKET_HALTED
        if markets[k].status == ACTIVE and markets[k].barred & BAR_LIQUIDATIONS == 0:
            result = FILLED
        if ratio >= least:
            result = NOT_LIQUIDATABLE
        elif not price_in_band(spot, curves[k].reference, curve_terms[0].band):
            result = OUT_OF_RANGE
    n = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result)
    if k == NOBODY:
        return result
    held = positions[i, k].lots
    side = -1 if held > 0 else 1
    size = held * markets[k].lot
    share = liquidated_share(ratio, terms[0].max_fee, terms[0].max_portion)
    coins = liquidation_size(size, markets[k].mark, terms[0].min_notional, share, allowance, markets[k].lot)
    lots = min(max(int(abs(coins) / markets[k].lot + 0.5), 1), lots_to_close(positions, markets, margin_tiers, i, k))
    quote, base = reserves(positions, markets, curves, k)
    room = int((curve_terms[0].trade_limit * base if side > 0 else base / (1.0 - curve_terms[0].trade_limit) - base) / markets[k].lot)
    if result == FILLED and lots > room:
        result = NO_LIQUIDITY
    value = 0.0
    delta = 0.0
    if result == FILLED:
        value = curve_value(quote, base, curves[k].peg, side, lots * markets[k].lot, curve_terms[0].half_spread)
        others = False
        for j in range(positions.shape[1]):
            others = others or (j != k and positions[i, j].lots != 0)
        left = accounts[i].collateral - side * value
        delta, _ = liquidation_penalty(value, terms[0].max_fee)
        if lots == abs(held) and not others:
            # All of the margin is lost, or what is missing is paid by the fund; so nothing is left, not even rounding.
            delta = left if share >= 1.0 else min(delta, left)
        if not fund_can_cover(min(funds[markets[k].fund].balance, markets[k].insurance_left), delta):
            result = FUND_EXHAUSTED
    reward = 0.0
    closed = 0
    if result == FILLED:
        closed = lots
        fund = markets[k].fund
        positions[i, k].liquidated_block = venue[0].block
        accounts[i].used_notional += lots * markets[k].lot * markets[k].mark
        accounts[i].used_insurance -= min(delta, 0.0)
        markets[k].insurance_left += min(delta, 0.0)
        settle_with_house(venue, accounts, positions, markets, fills, i, k, side, lots, value, 0.0, 0.0, True)
        pay_fund(accounts, funds, fund, i, delta)
        reward = reward_keeper(venue, accounts, funds, fund, keeper, terms, value, gas)
    if n < liquidations.shape[0]:
        liquidations[n].result = result
        liquidations[n].side = side
        liquidations[n].lots = closed
        liquidations[n].lots_wanted = lots
        liquidations[n].fills = 1 if closed > 0 else 0
        liquidations[n].mark = markets[k].mark
        liquidations[n].index = markets[k].index
        liquidations[n].bankruptcy_price = bankruptcy_price(-size, markets[k].mark, own, equity, maintenance)
        liquidations[n].notional = value if closed > 0 else 0.0
        liquidations[n].fund_delta = delta if closed > 0 else 0.0
        liquidations[n].reward = reward
        if equity != 0.0:
            liquidations[n].leverage_before = notional_before / equity
        liquidations[n].price = value / (closed * markets[k].lot) if closed > 0 else 0.0
    return result


@inline
def move_peg(accounts, positions, markets, curves, terms, k):
    """Moves the peg toward the oracle price as far as the curve's own fee pool pays (Drift v2); returns what is left in USD."""
    net = net_base(positions, markets, k)
    quote, base = reserves(positions, markets, curves, k)
    fee_pool = max(free_money(accounts, positions, markets, curves, k), 0.0)
    peg = curves[k].peg
    quote_terminal = terminal_quote(base, curves[k].sqrt_k, net)
    target, budget, _ = optimal_peg_and_budget(quote, base, quote_terminal, peg, terms[0].repeg_spread, fee_pool, markets[k].oracle)
    peg = affordable_peg(quote, quote_terminal, peg, target, budget)
    left = free_money(accounts, positions, markets, curves, k) - repeg_cost(quote, quote_terminal, curves[k].peg, peg)
    curves[k].peg = peg
    curves[k].shown = 0.0
    return left


@inline
def scale_curve(positions, markets, curves, terms, k, budget):
    """Makes the reserves deeper or thinner for `budget` USD (negative: to bring that much), within the rule's limits (Drift v2)."""
    net = net_base(positions, markets, k)
    if net != 0.0 and budget != 0.0:
        quote, base = reserves(positions, markets, curves, k)
        scale = budgeted_scale(base, quote, net, curves[k].peg, budget, terms[0].scale_up, terms[0].scale_down)
        base, _ = scaled_reserves(base, quote, scale)
        if base + net > 0.0:
            curves[k].flat_base = base + net
            curves[k].sqrt_k *= scale
            curves[k].shown = 0.0


@inline
def settle_free_money(accounts, positions, markets, funds, curves, terms, k):
    """Pays what the curve has beyond its debt to traders into the fund, and takes what it lacks from it, as far as it has it."""
    money = free_money(accounts, positions, markets, curves, k)
    fund = markets[k].fund
    if money > 0.0:
        if terms[0].profit_to_fund != 0:
            pay_fund(accounts, funds, fund, markets[k].house, money)
    elif money < 0.0:
        rounding = 1e-14 * curves[k].sqrt_k * math.sqrt(curves[k].peg * markets[k].mark)
        pay_fund(accounts, funds, fund, markets[k].house, -min(-money, max(funds[fund].balance + rounding, 0.0)))


@inline
def quote_curve(venue, accounts, positions, markets, levels, bitmap, orders, expiry, curves, terms, k):
    """Puts the curve into the book as resting quotes of its account: what others can buy and sell up to each price.

    Where everybody trades with the curve alone nobody meets these orders; they show best prices, depth and impact prices to agents,
    funding and recorder. Beside a book they trade like others, and none is placed where it would meet an order of somebody else.
    """
    house = markets[k].house
    withdraw_quotes(venue, accounts, markets, levels, bitmap, orders, expiry, house)
    if markets[k].status == SETTLED:
        return
    quote, base = reserves(positions, markets, curves, k)
    spot = curve_price(quote, base, curves[k].peg)
    curves[k].shown = spot
    for side in (1, -1):
        edge = spot * (1.0 + side * terms[0].half_spread)
        last = 0
        shown = 0
        for level in range(terms[0].levels + 1):
            part = level / terms[0].levels
            price = edge * (1.0 + side * terms[0].reach * part * part) / markets[k].tick
            tick = int(math.ceil(price - 1e-9)) if side > 0 else int(math.floor(price + 1e-9))
            if level > 0 and (tick - last) * side <= 0:
                tick = last + side
            if tick < 1 or tick >= markets[k].ticks:
                break
            lots = lots_to_price(curves[k], base, markets[k].lot, side, tick * markets[k].tick, terms[0].half_spread)
            if level == 0 and lots == 0 and 1 <= tick + side < markets[k].ticks:
                # The tick next to the price gives nothing yet; the best quote must not be farther than the tick after it.
                tick += side
                lots = lots_to_price(curves[k], base, markets[k].lot, side, tick * markets[k].tick, terms[0].half_spread)
            last = tick
            meets = tick <= markets[k].best_bid if side > 0 else tick >= markets[k].best_ask
            if lots > shown and not meets:
                rest_order(
                    venue, accounts, markets, levels, bitmap, orders, expiry, house, k, -side, tick, lots - shown, 0, NEVER
                )  # fmt: skip
                shown = lots


@kernel
def show_curves(venue, accounts, positions, markets, levels, bitmap, orders, expiry, curves, terms):
    """Puts all curves into the book."""
    for k in range(markets.shape[0]):
        quote_curve(venue, accounts, positions, markets, levels, bitmap, orders, expiry, curves, terms, k)


@kernel
def clear_on_curves(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions, sequence,
    fills, ended_orders, liquidations, liquidation_terms, curves, terms, key, count,
):  # fmt: skip
    """Executes the first `count` rows of `sequence[0]` against the curves, and keeps those that have not arrived yet."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        settle_free_money(accounts, positions, markets, funds, curves, terms, k)
        if terms[0].repeg_blocks > 0 and block % terms[0].repeg_blocks == 0 and block > 0:
            left = move_peg(accounts, positions, markets, curves, terms, k)
            scale_curve(positions, markets, curves, terms, k, left)
        quote, base = reserves(positions, markets, curves, k)
        curves[k].reference = curve_price(quote, base, curves[k].peg)
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        side = int(transactions[t].side)
        result = FILLED
        left = transactions[t].lots
        if kind == PLACE:
            result, left = place_on_curve(
                venue, accounts, positions, markets, margin_tiers, fills, curves, terms, i, k, side, transactions[t].flags,
                transactions[t].tick, left, transactions[t].expires,
            )  # fmt: skip
        elif kind == CANCEL:
            result = OUT_OF_RANGE
        elif kind == LIQUIDATE:
            target = int(transactions[t].target)
            if target < 0 or target >= accounts.shape[0]:
                result = OUT_OF_RANGE
            elif liquidation_terms[0].taken_by_keeper != 0:
                result = hand_to_keeper(
                    venue, accounts, positions, markets, margin_tiers, funds, liquidations, liquidation_terms, target, i, k, left,
                    transactions[t].amount, transactions[t].submitted, transactions[t].fee, key,
                )  # fmt: skip
            else:
                result = liquidate_on_curve(
                    venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, curves, terms, liquidation_terms,
                    target, i, k, transactions[t].submitted, transactions[t].fee, key,
                )  # fmt: skip
        elif kind != CANCEL_ALL:
            result = carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t)
        finish_transaction(venue, accounts, transactions, ended_orders, t, result, left)
    keep_pending(venue, transactions, count)
    for k in range(markets.shape[0]):
        settle_free_money(accounts, positions, markets, funds, curves, terms, k)
        quote, base = reserves(positions, markets, curves, k)
        if curve_price(quote, base, curves[k].peg) != curves[k].shown:
            quote_curve(venue, accounts, positions, markets, levels, bitmap, orders, expiry, curves, terms, k)
