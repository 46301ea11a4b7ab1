"""Clearing of a continuous book: one transaction after another, each match checked for the collateral of both sides.

As on dYdX v4: price-time priority; an order that meets an order of its own account removes it and goes on; a maker who could not
carry the match loses the order and the taker goes on; a taker who could not stops (`x/clob/memclob/memclob.go`,
`x/subaccounts/lib/updates.go`). Liquidations are transactions like others and are checked again when they execute.
"""

from __future__ import annotations

import math

from abm.kernels.account_auction import hand_to_keeper
from abm.kernels.book import end_order, remove_order, rest_order, would_be_collateralised
from abm.kernels.compiled import inline, kernel
from abm.kernels.execution import (
    choose_position,
    may_change,
    may_hold,
    notional_at_mark,
    record_liquidation,
    reward_keeper,
    settle_rounding,
    start_limits,
)
from abm.kernels.liquidation import (
    allowance_left,
    bankruptcy_quote_change,
    fillable_price,
    fund_can_cover,
    fund_delta,
    liquidation_size,
)
from abm.kernels.margin import (
    account_risk,
    is_liquidatable,
    open_interest_change,
)
from abm.kernels.margin_shares import lots_to_close, maintenance_part
from abm.kernels.portions import (
    coins_to_cover_shortage,
    coverable_share,
    fund_fee_of_liquidation,
    liquidatable_in_window,
    lots_in_window,
    passed_in_block,
    ramped_liquidator_fee,
    remember_liquidated,
)
from abm.kernels.takeover import change_position, could_take_over, hand_over, is_taken_over, richest_of_cohort
from abm.kernels.tape import record_fill
from abm.state import (
    ACTIVE,
    ALREADY_LIQUIDATED,
    BAR_LIQUIDATIONS,
    BAR_RISK,
    BAR_TRADES,
    CANCEL,
    CANCEL_ALL,
    CANCEL_CONDITIONALS,
    CANCELLED,
    CONDITIONAL,
    DEPOSIT,
    EXPIRED,
    FILLED,
    FUND_EXHAUSTED,
    GATED,
    IMMEDIATE_OR_CANCEL,
    ISOLATED_ONLY,
    LIQUIDATE,
    LIQUIDATED,
    MARKET_HALTED,
    MARKET_SETTLED,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
    NOT_OFFERED,
    NOT_YET,
    OPEN_INTEREST_CAPPED,
    ORDER_LIMIT,
    OUT_OF_RANGE,
    PLACE,
    POOL_FULL,
    POST_ONLY,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    SELF_TRADE,
    SETTLED,
    UNDERCOLLATERALISED,
    WITHDRAW,
    WOULD_CROSS,
)

MOST_LOTS = 1 << 44  # of one order: times the highest tick it still fits into 63 bits


@inline
def record_end(venue, ended_orders, i, k, side, tick, lots, kind, reason):
    """Records that a transaction ended without (all of) its effect."""
    n = venue[0].ended_orders
    if n < ended_orders.shape[0]:
        ended_orders[n].block = venue[0].block
        ended_orders[n].account = i
        ended_orders[n].market = k
        ended_orders[n].side = side
        ended_orders[n].reason = reason
        ended_orders[n].tick = tick
        ended_orders[n].lots = lots
        ended_orders[n].kind = kind
        ended_orders[n].age = 0
    venue[0].ended_orders = n + 1


@inline
def fund_share(accounts, positions, markets, margin_tiers, i, k, change, value, fund_fee):
    """USD that the fund gets (negative: pays) when a liquidation changes account i's position by `change` lots for `value` > 0 USD."""
    held = positions[i, k].lots
    lot = markets[k].lot
    side = 1 if change > 0 else -1
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, abs(held) * (lot * markets[k].mark))
    set_free = own * abs(change) / abs(held)
    bankruptcy = bankruptcy_quote_change(change * lot, markets[k].mark, set_free, equity, maintenance)
    return fund_delta(-side * value, bankruptcy, fund_fee)


@inline
def match(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
    i, k, side, limit, lots, reduce_only, liquidation, fund_fee,
):  # fmt: skip
    """Takes resting orders up to tick `limit`, and within the market's price band.

    `fund_fee` is the largest fraction of notional that goes to the fund in a liquidation. Returns (lots left, FILLED or why it stopped,
    USD traded, USD to the fund, fills).
    """
    if side > 0 and markets[k].highest_tick > 0:
        limit = min(limit, markets[k].highest_tick)
    elif side < 0 and markets[k].lowest_tick > 0:
        limit = max(limit, markets[k].lowest_tick)
    reason = FILLED
    traded = 0.0
    to_fund = 0.0
    count = 0
    unit = markets[k].unit
    lot = markets[k].lot
    fund = markets[k].fund
    while lots > 0:
        if side > 0:
            tick = markets[k].best_ask
            if tick > limit or tick >= markets[k].ticks:
                reason = NO_LIQUIDITY
                break
        else:
            tick = markets[k].best_bid
            if tick < limit or tick <= 0:
                reason = NO_LIQUIDITY
                break
        row = levels[k, tick].first - 1
        maker = orders[row].account
        if maker == i:
            end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, SELF_TRADE, PLACE)
            continue
        quantity = min(lots, orders[row].lots)
        held = positions[i, k].lots
        held_by_maker = positions[maker, k].lots
        if reduce_only:
            quantity = min(quantity, -side * held)
            if quantity <= 0:
                reason = REDUCE_ONLY_DROPPED
                break
        if orders[row].flags & REDUCE_ONLY:
            quantity = min(quantity, side * held_by_maker)
            if quantity <= 0:
                end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, REDUCE_ONLY_DROPPED, PLACE)
                continue
        change = side * quantity
        interest_change = open_interest_change(held, change, held_by_maker, -change)
        interest = markets[k].open_interest + interest_change
        if interest_change > 0 and interest * lot * markets[k].mark > markets[k].open_interest_cap:
            reason = OPEN_INTEREST_CAPPED
            break
        value = float(quantity * tick) * unit
        maker_fee = value * accounts[maker].maker_fee
        maker_cash = side * value - maker_fee
        if not may_hold(venue, accounts, positions, markets, maker, k):
            end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, ISOLATED_ONLY, PLACE)
            continue
        if not may_change(accounts, positions, markets, margin_tiers, maker, k, -change, maker_cash, interest):
            end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, UNDERCOLLATERALISED, PLACE)
            continue
        taker_fee = 0.0
        delta = 0.0
        if liquidation:
            price = lot * markets[k].mark
            delta = fund_share(accounts, positions, markets, margin_tiers, i, k, change, value, fund_fee)
            if not fund_can_cover(min(funds[fund].balance, markets[k].insurance_left), delta) or (
                delta < 0.0 and allowance_left(terms[0].max_insurance_per_block, accounts[i].used_insurance) < -delta
            ):
                reason = FUND_EXHAUSTED
                break
            funds[fund].balance += delta
            accounts[i].liquidation -= delta
            accounts[i].used_insurance -= min(delta, 0.0)
            markets[k].insurance_left += min(delta, 0.0)
            accounts[i].used_notional += quantity * price
            markets[k].liquidated += value
            to_fund += delta
        else:
            taker_fee = value * accounts[i].taker_fee
            if not may_change(accounts, positions, markets, margin_tiers, i, k, change, -side * value - taker_fee, interest):
                reason = UNDERCOLLATERALISED
                break
            accounts[i].fees -= taker_fee
            accounts[i].taker_volume += value
        accounts[i].collateral -= side * value + taker_fee + delta
        accounts[maker].collateral += maker_cash
        accounts[maker].fees -= maker_fee
        accounts[maker].maker_volume += value
        venue[0].fees += taker_fee + maker_fee
        change_position(positions, i, k, change, side * value)
        change_position(positions, maker, k, -change, -side * value)
        if liquidation:
            settle_rounding(accounts, positions, funds, fund, i, value)
        markets[k].open_interest = interest
        record_fill(
            venue, markets, fills, i, maker, k, side, tick, quantity, value, taker_fee, maker_fee, liquidation,
            venue[0].block - orders[row].placed,
        )  # fmt: skip
        traded += value
        count += 1
        lots -= quantity
        if orders[row].lots == quantity:
            remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row)
        else:
            orders[row].lots -= quantity
            levels[k, tick].lots -= quantity
    return lots, reason, traded, to_fund, count


@inline
def cancel_resting(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, i, k, reason, kind):
    """Ends the resting orders of account i in market k (NOBODY: in all markets); returns how many."""
    count = 0
    row = accounts[i].first_order
    while row != NOBODY:
        after = orders[row].account_next
        if k == NOBODY or orders[row].market == k:
            end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, reason, kind)
            count += 1
        row = after
    return count


@inline
def order_limit(order_limits, equity):
    """How many resting orders an account of this equity may have: the last row of (equity, orders) that it reaches (dYdX equity tiers)."""
    limit = 0.0
    for t in range(order_limits.shape[0]):
        if equity >= order_limits[t, 0]:
            limit = order_limits[t, 1]
    return limit


@inline
def outside_band(markets, k, tick):
    """Whether orders may not rest at `tick` because it lies outside the market's price band."""
    return tick < markets[k].lowest_tick or (markets[k].highest_tick > 0 and tick > markets[k].highest_tick)


@inline
def place(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
    order_limits, i, k, side, flags, tick, lots, expires,
):  # fmt: skip
    """Executes one order: takes what it can, rests what may rest. Returns FILLED (also when it rests) or why it failed or stopped."""
    if k < 0 or k >= markets.shape[0]:
        return OUT_OF_RANGE, lots
    if markets[k].status != ACTIVE or markets[k].barred & BAR_TRADES:
        return MARKET_HALTED, lots
    if tick < 1 or tick >= markets[k].ticks or lots <= 0 or lots > MOST_LOTS or (side != 1 and side != -1):
        return OUT_OF_RANGE, lots
    if expires <= venue[0].block:
        return EXPIRED, lots
    if not may_hold(venue, accounts, positions, markets, i, k):
        return ISOLATED_ONLY, lots
    reduce_only = (flags & REDUCE_ONLY != 0) or (markets[k].barred & BAR_RISK != 0)
    if reduce_only:
        lots = min(lots, -side * positions[i, k].lots)
        if lots <= 0:
            return REDUCE_ONLY_DROPPED, 0
    crosses = tick >= markets[k].best_ask if side > 0 else tick <= markets[k].best_bid
    if flags & POST_ONLY and crosses:
        return WOULD_CROSS, lots
    if crosses:
        lots, reason, _, _, _ = match(
            venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
            i, k, side, tick, lots, reduce_only, False, 0.0,
        )  # fmt: skip
        if lots == 0:
            return FILLED, 0
        if reason != NO_LIQUIDITY:
            return reason, lots
    if flags & IMMEDIATE_OR_CANCEL:
        return NO_LIQUIDITY, lots
    if outside_band(markets, k, tick):
        return OUT_OF_RANGE, lots
    if accounts[i].open_orders >= order_limit(order_limits, accounts[i].equity):
        return ORDER_LIMIT, lots
    if not would_be_collateralised(accounts, positions, markets, margin_tiers, i, k, side * lots, tick):
        return UNDERCOLLATERALISED, lots
    if rest_order(venue, accounts, markets, levels, bitmap, orders, expiry, i, k, side, tick, lots, flags, expires) == NOBODY:
        return POOL_FULL, lots
    return FILLED, 0


@inline
def is_continuing(accounts, i, block):
    """Whether a portion of account i was closed in an earlier block and it has been below maintenance margin ever since."""
    return NOT_YET < accounts[i].portion_block < block and accounts[i].portion_block >= accounts[i].below_maintenance_since


@inline
def cools_down(venue, accounts, positions, markets, terms, i, k):
    """Whether the rest of a large position must wait, as its first portion was closed only a moment ago."""
    if terms[0].whole_below <= 0.0 or not is_continuing(accounts, i, venue[0].block):
        return False
    if abs(positions[i, k].lots) * markets[k].lot * markets[k].mark <= terms[0].whole_below:
        return False
    return (venue[0].block - accounts[i].portion_block) * venue[0].seconds_per_block < terms[0].cooldown


@inline
def choose_ready_position(venue, accounts, positions, markets, margin_tiers, terms, i, wanted, key):
    """As `choose_position`, passing over what cools down."""
    while True:
        k = choose_position(venue, positions, markets, margin_tiers, i, wanted, key)
        if k == NOBODY or not cools_down(venue, accounts, positions, markets, terms, i, k):
            return k
        positions[i, k].liquidated_block = venue[0].block


@inline
def covering_size(venue, accounts, positions, markets, terms, i, k, equity, maintenance, own):
    """Where the rule covers the shortage of margin and buffer: (coins to close, sign of the position; the liquidator's fee and the
    fund's, fractions; fraction of notional that closing frees)."""
    size = positions[i, k].lots * markets[k].lot
    mark = markets[k].mark
    shortage = maintenance + terms[0].buffer * notional_at_mark(positions, markets, i) - equity
    fraction = own / (abs(size) * mark) + terms[0].buffer
    waited = (venue[0].block - accounts[i].below_maintenance_since) * venue[0].seconds_per_block
    fee = ramped_liquidator_fee(terms[0].liquidator_fee, terms[0].liquidator_fee_most, waited, terms[0].fee_grace, terms[0].fee_slope)
    fund_fee = fund_fee_of_liquidation(shortage, size, fraction, fee, mark, 1.0, terms[0].max_fee)
    elapsed = 0.0
    freed = 0.0
    if is_continuing(accounts, i, venue[0].block):
        elapsed = (venue[0].block - accounts[i].portion_block) * venue[0].seconds_per_block
        freed = accounts[i].margin_freed
    share = coverable_share(shortage, elapsed, terms[0].initial_portion, terms[0].portion_duration, freed, terms[0].small_shortage)
    coins = min(coins_to_cover_shortage(shortage, fraction, fee, fund_fee, mark, 1.0) * share, abs(size)) if share > 0.0 else 0.0
    return coins if size > 0.0 else -coins, fee, fund_fee, fraction - fee - fund_fee


@inline
def remember_portion(accounts, i, block, freed):
    """Notes that a portion was closed; the first since the account fell below maintenance margin starts the clock."""
    if accounts[i].portion_block == NOT_YET or accounts[i].portion_block < accounts[i].below_maintenance_since:
        accounts[i].portion_block = block
        accounts[i].margin_freed = 0.0
    accounts[i].margin_freed += freed


@inline
def closing_order(
    venue, accounts, positions, markets, margin_tiers, terms, liquidated_lots, i, k, equity, maintenance, allowance
):  # fmt: skip
    """The order that closes (a portion of) account i's position in market k: (side, lots, limit tick, limit in USD, the position's
    maintenance margin in USD, largest fraction of notional for the fund, fraction of notional that closing frees)."""
    block = venue[0].block
    held = positions[i, k].lots
    side = -1 if held > 0 else 1
    lot = markets[k].lot
    mark = markets[k].mark
    size = held * lot
    value = abs(size) * mark
    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, value)
    fund_fee = terms[0].max_fee
    fee = 0.0
    freeing = 0.0
    if terms[0].covers_shortage != 0:
        coins, fee, fund_fee, freeing = covering_size(venue, accounts, positions, markets, terms, i, k, equity, maintenance, own)
        wanted_lots = min(int(math.ceil(abs(coins) / lot - 1e-9)), abs(held))
    else:
        portion = terms[0].max_portion
        if terms[0].whole_below > 0.0 and (value <= terms[0].whole_below or is_continuing(accounts, i, block)):
            portion = 1.0
        coins = liquidation_size(size, mark, terms[0].min_notional, portion, allowance, lot)
        wanted_lots = min(max(int(abs(coins) / lot + 0.5), 1), abs(held))
    wanted_lots = min(wanted_lots, lots_to_close(positions, markets, margin_tiers, i, k))
    if terms[0].window > 0.0:
        most = liquidatable_in_window(
            wanted_lots * lot, terms[0].window_capacity, lots_in_window(liquidated_lots, k, block) * lot,
            markets[k].open_interest * lot / terms[0].window_scale, terms[0].window_calm_skew,
            passed_in_block(liquidated_lots, k, block),
        )  # fmt: skip
        wanted_lots = min(wanted_lots, int(math.floor(most / lot + 1e-9)))
    limit_price = fillable_price(
        size, mark, own, equity, maintenance, terms[0].bankruptcy_adjustment, terms[0].spread_to_maintenance_margin
    )
    if terms[0].covers_shortage != 0:
        limit_price = mark * (1.0 + side * fee)
    if terms[0].at_market != 0:
        limit = 1 if side < 0 else markets[k].ticks - 1
    elif side < 0:
        limit = max(int(math.ceil(limit_price / markets[k].tick - 1e-9)), 1)
    else:
        limit = min(int(math.floor(limit_price / markets[k].tick + 1e-9)), markets[k].ticks - 1)
    return side, wanted_lots, limit, limit_price, own, fund_fee, freeing


@inline
def liquidate(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
    liquidations, liquidated_lots, i, keeper, wanted, submitted, gas, key,
):  # fmt: skip
    """Executes one liquidation of account i: one position, or all of them if the rule says so. Returns the last result."""
    block = venue[0].block
    start_limits(venue, accounts, i)
    result = NOT_LIQUIDATABLE
    tried_any = False
    closed_any = False
    while True:
        equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
        k = NOBODY
        if is_liquidatable(equity, maintenance):
            if terms[0].cancels_orders != 0:
                cancel_resting(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, i, NOBODY, LIQUIDATED, LIQUIDATE)
            if is_taken_over(equity, maintenance, terms[0].backstop_fraction):
                vault = richest_of_cohort(accounts, terms[0].backstop_cohort, i)
                if vault != NOBODY and could_take_over(accounts, positions, markets, margin_tiers, i, vault, equity):
                    hand_over(venue, accounts, positions, markets, liquidations, i, vault, keeper, submitted, equity, maintenance)
                    return FILLED
            k = choose_ready_position(venue, accounts, positions, markets, margin_tiers, terms, i, wanted, key)
            allowance = allowance_left(terms[0].max_notional_per_block, accounts[i].used_notional)
            if k == NOBODY or allowance <= 0.0:
                k = NOBODY
                if not tried_any:
                    result = ALREADY_LIQUIDATED
        if k == NOBODY and tried_any:
            return FILLED if closed_any else result
        n = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result)
        if k == NOBODY:
            return result
        tried_any = True
        positions[i, k].liquidated_block = block
        lot = markets[k].lot
        mark = markets[k].mark
        size = positions[i, k].lots * lot
        side, wanted_lots, limit, limit_price, own, fund_fee, freeing = closing_order(
            venue, accounts, positions, markets, margin_tiers, terms, liquidated_lots, i, k, equity, maintenance, allowance
        )
        notional_before = notional_at_mark(positions, markets, i)
        lots = wanted_lots
        traded = 0.0
        delta = 0.0
        count = 0
        result = MARKET_HALTED
        if wanted_lots == 0:
            result = ALREADY_LIQUIDATED
        elif markets[k].status == ACTIVE and markets[k].barred & BAR_LIQUIDATIONS == 0:
            lots, result, traded, delta, count = match(
                venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
                terms, i, k, side, limit, wanted_lots, True, True, fund_fee,
            )  # fmt: skip
        reward = 0.0
        if count > 0:
            closed_any = True
            if terms[0].whole_below > 0.0 or terms[0].covers_shortage != 0:
                remember_portion(accounts, i, block, traded * freeing)
            if terms[0].window > 0.0:
                remember_liquidated(liquidated_lots, k, block, wanted_lots - lots)
            reward = reward_keeper(venue, accounts, funds, markets[k].fund, keeper, terms, traded, gas)
        if n < liquidations.shape[0]:
            liquidations[n].side = side
            liquidations[n].lots = wanted_lots - lots
            liquidations[n].lots_wanted = wanted_lots
            liquidations[n].result = result
            liquidations[n].fills = count
            liquidations[n].mark = mark
            liquidations[n].index = markets[k].index
            liquidations[n].fillable_price = limit_price
            liquidations[n].bankruptcy_price = mark - equity * own / (maintenance * size)
            liquidations[n].notional = traded
            liquidations[n].fund_delta = delta
            liquidations[n].reward = reward
            if equity != 0.0:
                liquidations[n].leverage_before = notional_before / equity
            if count > 0:
                liquidations[n].price = traded / ((wanted_lots - lots) * lot)
        if terms[0].all_markets == 0:
            return FILLED if count > 0 else result
        wanted = NOBODY


@inline
def add_conditional(venue, conditionals, i, k, side, flags, trigger, tick, lots, expires):
    """Stores a conditional order; returns whether there was room."""
    n = venue[0].conditionals
    if n >= conditionals.shape[0]:
        return False
    conditionals[n].account = i
    conditionals[n].market = k
    conditionals[n].side = side
    conditionals[n].flags = flags
    conditionals[n].trigger = trigger
    conditionals[n].tick = tick
    conditionals[n].lots = lots
    conditionals[n].expires = expires
    venue[0].conditionals = n + 1
    return True


@inline
def cancel_conditionals(venue, conditionals, i, k):
    """Takes out the waiting orders of account i in market k."""
    n = 0
    for c in range(venue[0].conditionals):
        if conditionals[c].account != i or conditionals[c].market != k:
            if n != c:
                conditionals[n] = conditionals[c]
            n += 1
    venue[0].conditionals = n


@inline
def finish_transaction(venue, accounts, transactions, ended_orders, t, result, left):
    """Charges the fee of transaction t, counts it, and records it if it ended without (all of) its effect."""
    kind = transactions[t].kind
    i = transactions[t].account
    if i != NOBODY:
        accounts[i].gas += transactions[t].fee
    venue[0].transactions_executed += 1
    if result != FILLED:
        venue[0].transactions_failed += 1
        if kind == LIQUIDATE:
            venue[0].failed_gas += transactions[t].fee
        else:
            k = int(transactions[t].market)
            record_end(venue, ended_orders, i, k, int(transactions[t].side), transactions[t].tick, left, kind, result)


@inline
def keep_pending(venue, transactions, count):
    """Empties the table of transactions but for those that have not arrived yet; `count` have been executed."""
    pending = 0
    if count < venue[0].transactions:
        for t in range(venue[0].transactions):
            if transactions[t].arrives > venue[0].block:
                if pending != t:
                    transactions[pending] = transactions[t]
                pending += 1
    venue[0].transactions = pending


@inline
def move_money(venue, accounts, positions, markets, margin_tiers, i, amount):
    """Pays `amount` USD into (> 0) or out of (< 0) account i; out only past the withdrawal gate, and what stays covers initial
    margin and the venue's floor."""
    if not math.isfinite(amount):
        return OUT_OF_RANGE
    if amount < 0.0:
        if venue[0].block < venue[0].withdrawals_blocked_until or -amount > venue[0].withdrawal_capacity:
            return GATED
        equity, initial, _ = account_risk(accounts, positions, markets, margin_tiers, i)
        notional = 0.0
        for k in range(positions.shape[1]):
            if positions[i, k].lots != 0:
                if markets[k].barred & BAR_RISK:
                    return GATED
                notional += abs(positions[i, k].lots) * markets[k].lot * markets[k].mark
        if equity + amount < max(initial, venue[0].withdrawal_floor * notional):
            return UNDERCOLLATERALISED
    venue[0].withdrawal_capacity += amount
    accounts[i].collateral += amount
    accounts[i].net_deposits += amount
    venue[0].net_deposits += amount
    return FILLED


@inline
def carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t):
    """Executes transaction t if it is of a kind that every venue treats alike: conditional orders, deposits, withdrawals.

    Returns its result, NOT_OFFERED for any other kind.
    """
    kind = transactions[t].kind
    i = transactions[t].account
    k = int(transactions[t].market)
    if kind == CONDITIONAL:
        if k < 0 or k >= markets.shape[0]:
            return OUT_OF_RANGE
        if markets[k].status == SETTLED:
            return MARKET_SETTLED
        if not add_conditional(
            venue, conditionals, i, k, int(transactions[t].side), transactions[t].flags, transactions[t].amount, transactions[t].tick,
            transactions[t].lots, transactions[t].expires,
        ):  # fmt: skip
            return POOL_FULL
        return FILLED
    if kind == CANCEL_CONDITIONALS:
        cancel_conditionals(venue, conditionals, i, k)
        return FILLED
    if kind == WITHDRAW:
        return move_money(venue, accounts, positions, markets, margin_tiers, i, -transactions[t].amount)
    if kind == DEPOSIT:
        return move_money(venue, accounts, positions, markets, margin_tiers, i, transactions[t].amount)
    return NOT_OFFERED


@kernel
def clear_transactions(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions, sequence,
    fills, ended_orders, liquidations, liquidated_lots, order_limits, terms, key, count,
):  # fmt: skip
    """Executes the first `count` rows of `sequence[0]`, one transaction after another, and keeps those that have not arrived yet.

    `key` is the stream from which the venue draws the position that a liquidation closes.
    """
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        side = int(transactions[t].side)
        result = FILLED
        left = transactions[t].lots
        if kind == PLACE:
            result, left = place(
                venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
                order_limits, i, k, side, transactions[t].flags, transactions[t].tick, left, transactions[t].expires,
            )  # fmt: skip
        elif kind == CANCEL_ALL:
            cancel_resting(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, i, k, CANCELLED, CANCEL_ALL)
        elif kind == CANCEL:
            handle = transactions[t].handle
            row = handle & 0xFFFFFFFF
            if row < orders.shape[0] and orders[row].lots > 0 and orders[row].generation == handle >> 32 and orders[row].account == i:
                end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, CANCELLED, CANCEL)
            else:
                result = OUT_OF_RANGE
        elif kind == LIQUIDATE:
            target = int(transactions[t].target)
            if target < 0 or target >= accounts.shape[0]:
                result = OUT_OF_RANGE
            elif terms[0].taken_by_keeper != 0:
                equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, target)
                if terms[0].cancels_orders != 0 and is_liquidatable(equity, maintenance):
                    cancel_resting(
                        venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, target, NOBODY, LIQUIDATED, LIQUIDATE
                    )
                result = hand_to_keeper(
                    venue, accounts, positions, markets, margin_tiers, funds, liquidations, terms, target, i, k, left,
                    transactions[t].amount, transactions[t].submitted, transactions[t].fee, key,
                )  # fmt: skip
            else:
                result = liquidate(
                    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
                    terms, liquidations, liquidated_lots, target, i, k, transactions[t].submitted,
                    transactions[t].fee, key,
                )  # fmt: skip
        else:
            result = carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t)
        finish_transaction(venue, accounts, transactions, ended_orders, t, result, left)
    keep_pending(venue, transactions, count)
