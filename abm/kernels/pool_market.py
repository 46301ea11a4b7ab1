"""Clearing against a pool at the oracle price: every order trades with the pool's account, moved by price impact or by skew.

The pool's account holds the money of those who have shares of it and the other side of all positions, so that traders' profits are its
losses. Impact that traders pay is set aside in it for impact that traders are paid.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.account_auction import hand_to_keeper
from abm.kernels.book import rest_order
from abm.kernels.clearing import carry_out_anywhere, finish_transaction, keep_pending
from abm.kernels.compiled import inline, kernel
from abm.kernels.execution import (
    choose_position,
    may_change,
    may_hold,
    notional_at_mark,
    record_liquidation,
    reward_keeper,
    start_limits,
)
from abm.kernels.house import interest_after, settle_with_house, withdraw_quotes
from abm.kernels.liquidation import allowance_left, bankruptcy_price, liquidation_size
from abm.kernels.margin import account_risk, is_liquidatable
from abm.kernels.margin_shares import lots_to_close, maintenance_part
from abm.kernels.pools import (
    borrowing_rate,
    capped_impact,
    impact_pool_after,
    is_position_liquidatable,
    kinked_borrowing_rate,
    paid_share,
    pool_worth,
    position_price_impact,
    price_for_coins,
    released_impact,
    skewed_price,
)
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
    GATED,
    IMMEDIATE_OR_CANCEL,
    ISOLATED_ONLY,
    JOIN_POOL,
    LEAVE_POOL,
    LIQUIDATE,
    MARKET_HALTED,
    MARKET_SETTLED,
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
    SETTLED,
    UNDERCOLLATERALISED,
)

POOL_TERMS = np.dtype(
    [
        ("positive_factor", "f8"),  # of price impact that traders are paid
        ("negative_factor", "f8"),  # of price impact that traders pay
        ("exponent", "f8"),
        ("max_positive", "f8"),  # fraction of notional
        ("max_negative", "f8"),
        ("skew_scale", "f8"),  # coins; > 0: fills at the skewed price instead of impact
        ("reserve_factor", "f8"),  # fraction of a side's pool that its open interest may reach
        ("max_profit", "f8"),  # fraction of a side's pool that traders of a side are paid at most
        ("max_profit_leaving", "f8"),  # the same, above which nobody may leave the pool
        ("liquidation_fee", "f8"),  # fraction of notional, to the pool
        ("least_left", "f8"),  # USD that must be left in a position
        ("least_fraction", "f8"),  # fraction of notional that must be left in a position
        ("optimal_usage", "f8"),
        ("base_fee", "f8"),  # fraction of notional per year at full usage, before the kink
        ("above_fee", "f8"),  # after it
        ("receiver_share", "f8"),  # of borrowing fees, to the venue
        ("year_share", "f8"),  # time between two charges of borrowing fees / year
        ("impact_release", "f8"),  # fraction of the impact pool given to the shares per block
        ("skip_smaller", "i4"),
        ("charge_blocks", "i8"),  # between two charges of borrowing fees, 0: none
        ("delay", "i8"),  # blocks between an order and the price it is executed at
        ("stay", "i8"),  # blocks between joining and leaving
        ("levels", "i8"),  # quotes a side
    ],
    align=True,
)


@inline
def side_pool(pools, k):
    """USD that stand behind each side: half of what the shares are worth."""
    return 0.5 * max(pools[k].value, 0.0)


@inline
def assess_pool(accounts, positions, markets, pools, terms, k):
    """Adds up what traders hold and have gained in market k, and what the shares are worth at mark."""
    house = markets[k].house
    price = markets[k].lot * markets[k].mark
    longs = shorts = 0
    long_profit = short_profit = 0.0
    for i in range(positions.shape[0]):
        lots = positions[i, k].lots
        if lots == 0 or i == house:
            continue
        profit = lots * price - positions[i, k].entry_value
        if lots > 0:
            longs += lots
            long_profit += profit
        else:
            shorts -= lots
            short_profit += profit
    pools[k].longs = longs
    pools[k].shorts = shorts
    pools[k].long_profit = long_profit
    pools[k].short_profit = short_profit
    # What the pool holds is what it would have if all traders closed without profit or loss.
    tokens = accounts[house].collateral + positions[house, k].lots * price + long_profit + short_profit
    half = 0.5 * max(tokens, 0.0)
    pools[k].value = pool_worth(
        tokens, long_profit, short_profit, half, half, terms[k].max_profit, 0.0, terms[k].receiver_share, pools[k].impact
    )


@inline
def fill_value(pools, markets, terms, k, side, lots):
    """(USD of buying (side +1) or selling `lots` from the pool, USD of impact set aside or paid out of what is)."""
    price = markets[k].oracle
    size = lots * markets[k].lot
    notional = size * price
    net = (pools[k].longs - pools[k].shorts) * markets[k].lot
    if terms[k].skew_scale > 0.0:
        return size * max(skewed_price(price, net, side * size, terms[k].skew_scale), 0.0), 0.0
    impact = position_price_impact(
        net * price, (net + side * size) * price, terms[k].positive_factor, terms[k].negative_factor, terms[k].exponent
    )
    impact = capped_impact(impact, notional, terms[k].max_positive, terms[k].max_negative, pools[k].impact)
    return size * price_for_coins(notional, impact, price, side), impact


@inline
def haircut(positions, markets, pools, terms, i, k, side, lots, value):
    """USD of profit that account i does not get when it closes with `lots`, because its side's profit is above what the pool pays."""
    held = positions[i, k].lots
    closed = min(lots, -side * held)
    if closed <= 0:
        return 0.0
    side_profit = pools[k].long_profit if held > 0 else pools[k].short_profit
    share = paid_share(side_profit, side_pool(pools, k), terms[k].max_profit)
    profit = -side * value * (closed / lots) - positions[i, k].entry_value * (closed / abs(held))
    return (1.0 - share) * profit if profit > 0.0 else 0.0


@inline
def trade_with_pool(venue, accounts, positions, markets, fills, pools, i, k, side, lots, value, impact, taker_fee, maker_fee, liquidation):
    """Settles a trade with the pool and keeps its sums."""
    held = positions[i, k].lots
    change = side * lots
    settle_with_house(venue, accounts, positions, markets, fills, i, k, side, lots, value, taker_fee, maker_fee, liquidation)
    pools[k].longs += max(held + change, 0) - max(held, 0)
    pools[k].shorts += max(-held - change, 0) - max(-held, 0)
    pools[k].impact, _ = impact_pool_after(pools[k].impact, impact, 0.0, 1.0, 1.0, 0.0)


@inline
def place_in_pool(venue, accounts, positions, markets, margin_tiers, fills, pools, terms, i, k, side, flags, tick, lots, expires):
    """Executes one order at the oracle price with its impact, all of it or nothing; nothing rests. Returns (result, lots left)."""
    if k < 0 or k >= markets.shape[0]:
        return OUT_OF_RANGE, lots
    if markets[k].status != ACTIVE or markets[k].barred & BAR_TRADES:
        return MARKET_HALTED, lots
    if tick < 1 or tick >= markets[k].ticks or lots <= 0 or (side != 1 and side != -1):
        return OUT_OF_RANGE, lots
    if expires + terms[k].delay <= venue[0].block:
        return EXPIRED, lots
    if flags & POST_ONLY:
        return NOT_OFFERED, lots
    if not may_hold(venue, accounts, positions, markets, i, k):
        return ISOLATED_ONLY, lots
    held = positions[i, k].lots
    if flags & REDUCE_ONLY or markets[k].barred & BAR_RISK:
        lots = min(lots, -side * held)
        if lots <= 0:
            return REDUCE_ONLY_DROPPED, 0
    refused = NO_LIQUIDITY if flags & IMMEDIATE_OR_CANCEL else NOT_OFFERED
    value, impact = fill_value(pools, markets, terms, k, side, lots)
    price = value / (lots * markets[k].unit)
    if (price - tick) * side > 1e-9 * tick or not 1.0 <= price <= markets[k].ticks - 1:
        return refused, lots
    opened = max(held + side * lots, 0) - max(held, 0) if side > 0 else max(-held + lots, 0) - max(-held, 0)
    if opened > 0:
        on_side = pools[k].longs if side > 0 else pools[k].shorts
        if (on_side + opened) * markets[k].lot * markets[k].oracle > terms[k].reserve_factor * side_pool(pools, k):
            return NO_LIQUIDITY, lots
    interest = interest_after(positions, markets, i, k, side * lots)
    if interest > markets[k].open_interest and interest * markets[k].lot * markets[k].mark > markets[k].open_interest_cap:
        return OPEN_INTEREST_CAPPED, lots
    value += side * haircut(positions, markets, pools, terms, i, k, side, lots, value)
    fee = value * accounts[i].taker_fee
    if not may_change(accounts, positions, markets, margin_tiers, i, k, side * lots, -side * value - fee, interest):
        return UNDERCOLLATERALISED, lots
    maker_fee = value * accounts[markets[k].house].maker_fee
    trade_with_pool(venue, accounts, positions, markets, fills, pools, i, k, side, lots, value, impact, fee, maker_fee, False)
    return FILLED, 0


@inline
def liquidate_in_pool(
    venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, pools, pool_terms, terms, i, keeper, wanted,
    submitted, gas, key,
):  # fmt: skip
    """Closes a position of account i, or the rule's portion of it, at the oracle price; the fee and what is missing are the pool's.

    Liquidatable is an account below maintenance margin, or whose position would leave less than the pool's least amount.
    """
    start_limits(venue, accounts, i)
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    allowance = allowance_left(terms[0].max_notional_per_block, accounts[i].used_notional)
    notional_before = notional_at_mark(positions, markets, i)
    result = NOT_LIQUIDATABLE
    k = NOBODY
    below = is_liquidatable(equity, maintenance)
    if accounts[i].house == 0 and notional_before > 0.0:
        k = choose_position(venue, positions, markets, margin_tiers, i, wanted, key)
        if k != NOBODY and not below:
            fee = pool_terms[k].liquidation_fee * notional_before
            below = is_position_liquidatable(equity, 0.0, 0.0, fee, notional_before, pool_terms[k].least_left, pool_terms[k].least_fraction)
        if not below:
            k = NOBODY
        elif k == NOBODY or allowance <= 0.0:
            k = NOBODY
            result = ALREADY_LIQUIDATED
    n = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result)
    if k == NOBODY:
        return result
    positions[i, k].liquidated_block = venue[0].block
    result = FILLED if markets[k].status == ACTIVE and markets[k].barred & BAR_LIQUIDATIONS == 0 else MARKET_HALTED
    held = positions[i, k].lots
    side = -1 if held > 0 else 1
    size = held * markets[k].lot
    coins = liquidation_size(size, markets[k].mark, terms[0].min_notional, terms[0].max_portion, allowance, markets[k].lot)
    lots = min(max(int(abs(coins) / markets[k].lot + 0.5), 1), lots_to_close(positions, markets, margin_tiers, i, k))
    lot_price = markets[k].lot * markets[k].mark
    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, abs(held) * lot_price)
    value = lots * markets[k].lot * markets[k].oracle
    delta = 0.0
    reward = 0.0
    closed = 0
    if result == FILLED:
        closed = lots
        house = markets[k].house
        value += side * haircut(positions, markets, pools, pool_terms, i, k, side, lots, value)
        accounts[i].used_notional += lots * lot_price
        others = False
        for j in range(positions.shape[1]):
            others = others or (j != k and positions[i, j].lots != 0)
        left = accounts[i].collateral - side * value
        fee = pool_terms[k].liquidation_fee * value
        if lots == abs(held) and not others:
            fee = min(fee, max(left, 0.0))
        trade_with_pool(venue, accounts, positions, markets, fills, pools, i, k, side, lots, value, 0.0, fee, -fee, True)
        if lots == abs(held) and not others:
            delta = min(accounts[i].collateral, 0.0)
        accounts[i].collateral -= delta
        accounts[i].liquidation -= delta
        accounts[house].collateral += delta
        accounts[house].liquidation += delta
        reward = reward_keeper(venue, accounts, funds, markets[k].fund, keeper, terms, value, gas)
    if n < liquidations.shape[0]:
        liquidations[n].result = result
        liquidations[n].side = side
        liquidations[n].lots = closed
        liquidations[n].lots_wanted = lots
        liquidations[n].mark = markets[k].mark
        liquidations[n].index = markets[k].index
        liquidations[n].fillable_price = markets[k].oracle
        if maintenance > 0.0:
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
def join_pool(venue, accounts, positions, markets, margin_tiers, pools, shares, i, k, amount):
    """Pays `amount` USD of account i's collateral into the pool of market k at what a share is worth now."""
    if k < 0 or k >= markets.shape[0] or not 0.0 < amount < math.inf or accounts[i].house != 0:
        return OUT_OF_RANGE
    if markets[k].status == SETTLED:
        return MARKET_SETTLED
    equity, initial, _ = account_risk(accounts, positions, markets, margin_tiers, i)
    if equity - amount < initial:
        return UNDERCOLLATERALISED
    if pools[k].shares > 0.0 and pools[k].value <= 0.0:
        return NO_LIQUIDITY
    worth = pools[k].value / pools[k].shares if pools[k].shares > 0.0 else 1.0
    move_to_pool(venue, accounts, markets, pools, shares, i, k, amount, amount / worth)
    shares[i, k].joined = venue[0].block
    return FILLED


@inline
def move_to_pool(venue, accounts, markets, pools, shares, i, k, amount, count):
    """Moves `amount` USD from account i to the pool for `count` shares, both negative on the way out."""
    house = markets[k].house
    accounts[i].collateral -= amount
    accounts[i].net_deposits -= amount
    accounts[house].collateral += amount
    accounts[house].net_deposits += amount
    shares[i, k].shares += count
    shares[i, k].paid += amount
    pools[k].shares += count
    pools[k].value += amount


@inline
def leave_pool(venue, accounts, markets, pools, shares, terms, i, k, count):
    """Gives back `count` shares of the pool of market k (at most those that account i has) for their worth, if the pool can spare it."""
    if k < 0 or k >= markets.shape[0] or not 0.0 < count < math.inf:
        return OUT_OF_RANGE
    count = min(count, shares[i, k].shares)
    if count <= 0.0 or pools[k].value <= 0.0:
        return NO_LIQUIDITY
    if venue[0].block < shares[i, k].joined + terms[k].stay:
        return GATED
    amount = count * (pools[k].value / pools[k].shares)
    half = 0.5 * (pools[k].value - amount)
    reserved = max(pools[k].longs, pools[k].shorts) * markets[k].lot * markets[k].oracle
    profit = max(pools[k].long_profit, pools[k].short_profit)
    if reserved > terms[k].reserve_factor * half or profit > terms[k].max_profit_leaving * half:
        return NO_LIQUIDITY
    left = shares[i, k].shares - count
    move_to_pool(venue, accounts, markets, pools, shares, i, k, -amount, -count)
    shares[i, k].shares = left
    return FILLED


@inline
def side_fee(terms, k, half, own, other):
    """Borrowing fee per year of the side with `own` USD of open interest, as a fraction of notional."""
    if borrowing_rate(1.0, 1.0, own, half, own, other, terms[k].skip_smaller != 0) == 0.0:
        return 0.0
    usage = min(own / (half * terms[k].reserve_factor), 1.0)
    return kinked_borrowing_rate(usage, terms[k].optimal_usage, terms[k].base_fee, terms[k].above_fee)


@inline
def charge_borrowing(venue, accounts, positions, markets, pools, terms, k):
    """Lets every position pay its side's borrowing fee since the last charge, to the pool and the venue."""
    price = markets[k].lot * markets[k].oracle
    half = side_pool(pools, k)
    pools[k].long_fee = side_fee(terms, k, half, pools[k].longs * price, pools[k].shorts * price)
    pools[k].short_fee = side_fee(terms, k, half, pools[k].shorts * price, pools[k].longs * price)
    house = markets[k].house
    for i in range(positions.shape[0]):
        lots = positions[i, k].lots
        if lots != 0 and i != house:
            amount = abs(lots) * price * (pools[k].long_fee if lots > 0 else pools[k].short_fee) * terms[k].year_share
            accounts[i].collateral -= amount
            accounts[i].fees -= amount
            accounts[house].collateral += amount * (1.0 - terms[k].receiver_share)
            accounts[house].fees += amount * (1.0 - terms[k].receiver_share)
            venue[0].fees += amount * terms[k].receiver_share


@inline
def quote_pool(venue, accounts, markets, levels, bitmap, orders, expiry, pools, terms, k):
    """Puts the pool into the book as resting quotes of its account: what more can be bought and sold at which price."""
    house = markets[k].house
    withdraw_quotes(venue, accounts, markets, levels, bitmap, orders, expiry, house)
    if markets[k].status == SETTLED:
        return
    room = int(terms[k].reserve_factor * side_pool(pools, k) / (markets[k].lot * markets[k].oracle))
    highest_bid = 0
    for side in (-1, 1):
        most = max(room - pools[k].longs, pools[k].shorts) if side > 0 else max(room - pools[k].shorts, pools[k].longs)
        shown = 0
        spent = 0.0
        last = 0
        for level in range(terms[k].levels):
            part = (level + 1) / terms[k].levels
            lots = int(most * part * part)
            if lots <= shown:
                continue
            value, _ = fill_value(pools, markets, terms, k, side, lots)
            price = (value - spent) / ((lots - shown) * markets[k].unit)
            if side > 0:
                tick = max(int(math.ceil(price - 1e-9)), last, highest_bid + 1)
            else:
                tick = int(math.floor(price + 1e-9))
                if last > 0:
                    tick = min(tick, last)
            if tick < 1 or tick >= markets[k].ticks:
                break
            rest_order(venue, accounts, markets, levels, bitmap, orders, expiry, house, k, -side, tick, lots - shown, 0, NEVER)
            if side < 0 and highest_bid == 0:
                highest_bid = tick
            last = tick
            shown = lots
            spent = value


@kernel
def show_pools(venue, accounts, positions, markets, levels, bitmap, orders, expiry, pools, terms):
    """Assesses all pools and puts them into the book."""
    for k in range(markets.shape[0]):
        assess_pool(accounts, positions, markets, pools, terms, k)
        quote_pool(venue, accounts, markets, levels, bitmap, orders, expiry, pools, terms, k)


@kernel
def clear_in_pools(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions, sequence,
    fills, ended_orders, liquidations, liquidation_terms, pools, shares, terms, key, count,
):  # fmt: skip
    """Executes the first `count` rows of `sequence[0]` against the pools, and keeps those that must wait."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        pools[k].impact -= released_impact(pools[k].impact, 0.0, terms[k].impact_release * pools[k].impact, 1.0)
        assess_pool(accounts, positions, markets, pools, terms, k)
        if terms[k].charge_blocks > 0 and block > 0 and block % terms[k].charge_blocks == 0:
            charge_borrowing(venue, accounts, positions, markets, pools, terms, k)
    waiting = 0
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        side = int(transactions[t].side)
        result = FILLED
        left = transactions[t].lots
        if kind == PLACE:
            if 0 <= k < markets.shape[0] and transactions[t].submitted + terms[k].delay > block:
                transactions[t].arrives = transactions[t].submitted + terms[k].delay
                waiting += 1
                continue
            result, left = place_in_pool(
                venue, accounts, positions, markets, margin_tiers, fills, pools, terms, i, k, side, transactions[t].flags,
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
                result = liquidate_in_pool(
                    venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, pools, terms, liquidation_terms,
                    target, i, k, transactions[t].submitted, transactions[t].fee, key,
                )  # fmt: skip
        elif kind == JOIN_POOL:
            result = join_pool(venue, accounts, positions, markets, margin_tiers, pools, shares, i, k, transactions[t].amount)
        elif kind == LEAVE_POOL:
            result = leave_pool(venue, accounts, markets, pools, shares, terms, i, k, transactions[t].amount)
        elif kind != CANCEL_ALL:
            result = carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t)
        finish_transaction(venue, accounts, transactions, ended_orders, t, result, left)
    keep_pending(venue, transactions, count - waiting)
    for k in range(markets.shape[0]):
        quote_pool(venue, accounts, markets, levels, bitmap, orders, expiry, pools, terms, k)
