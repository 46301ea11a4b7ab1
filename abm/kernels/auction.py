"""Clearing by batches: the orders of a batch and those in the book meet at one price per market.

Between two batches orders and liquidations wait; everything else is carried out as it comes, and a cancellation of all of an account's
orders in a market also takes back those that wait. At the batch the limits of orders, of resting orders and of liquidations decide the
price (`uniform_price`); who may trade is matched at it, both sides checked as on the book; what is left of limit orders rests.
"""

from __future__ import annotations

import numpy as np

from abm.kernels.book import end_order, level_above, level_below, remove_order, rest_order, would_be_collateralised
from abm.kernels.clearing import (
    MOST_LOTS,
    cancel_resting,
    carry_out_anywhere,
    choose_ready_position,
    closing_order,
    finish_transaction,
    fund_share,
    keep_pending,
    order_limit,
    outside_band,
    remember_portion,
)
from abm.kernels.compiled import inline, kernel
from abm.kernels.execution import (
    may_change,
    may_hold,
    notional_at_mark,
    record_liquidation,
    reward_keeper,
    settle_rounding,
    start_limits,
)
from abm.kernels.liquidation import allowance_left, fund_can_cover
from abm.kernels.margin import account_risk, is_liquidatable, open_interest_change
from abm.kernels.portions import remember_liquidated
from abm.kernels.takeover import change_position, could_take_over, hand_over, is_taken_over, richest_of_cohort
from abm.kernels.tape import record_fill
from abm.kernels.uniform_price import ration, uniform_price
from abm.state import (
    ACTIVE,
    ALREADY_LIQUIDATED,
    BAR_LIQUIDATIONS,
    BAR_RISK,
    BAR_TRADES,
    CANCEL,
    CANCEL_ALL,
    CANCELLED,
    EXPIRED,
    FILLED,
    FUND_EXHAUSTED,
    IMMEDIATE_OR_CANCEL,
    ISOLATED_ONLY,
    LIQUIDATE,
    LIQUIDATED,
    MARKET_HALTED,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
    OPEN_INTEREST_CAPPED,
    ORDER_LIMIT,
    OUT_OF_RANGE,
    PLACE,
    POOL_FULL,
    POST_ONLY,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    SELF_TRADE,
    UNDERCOLLATERALISED,
    WOULD_CROSS,
)

OPEN = -1  # an order of the batch about which nothing has been decided

BATCH_ORDER = np.dtype(
    [
        ("lots", "i8"),  # what is left
        ("wanted", "i8"),  # what it began with
        ("tick", "i8"),  # limit
        ("rank", "i8"),  # place among orders of the same price: resting orders first, then in sequence
        ("account", "i4"),
        ("market", "i4"),
        ("side", "i4"),
        ("flags", "i4"),
        ("row", "i4"),  # of the resting order, or NOBODY
        ("transaction", "i4"),  # or NOBODY
        ("record", "i8"),  # row among the liquidations, NOBODY for any other order
        ("reason", "i4"),  # why it stopped, OPEN while it may trade
        ("count", "i4"),  # fills
        ("traded", "f8"),  # USD
        ("to_fund", "f8"),  # USD
        ("fund_fee", "f8"),  # largest fraction of notional for the fund
        ("freeing", "f8"),  # fraction of notional of margin that closing frees
    ],
    align=True,
)


@inline
def join_batch(batch, n, i, k, side, tick, lots, flags, row, t):
    """Writes order n of the batch."""
    batch[n].account = i
    batch[n].market = k
    batch[n].side = side
    batch[n].tick = tick
    batch[n].lots = lots
    batch[n].wanted = lots
    batch[n].flags = flags
    batch[n].row = row
    batch[n].transaction = t
    batch[n].record = NOBODY
    batch[n].reason = OPEN
    batch[n].rank = n
    batch[n].count = 0
    batch[n].traded = 0.0
    batch[n].to_fund = 0.0
    batch[n].fund_fee = 0.0
    batch[n].freeing = 0.0


@inline
def refusal(venue, accounts, positions, markets, i, k, side, flags, tick, lots, expires):
    """(why an order may not take part, or OPEN; its lots then). Post-only: it must not cross what rests in the book before the batch."""
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
    if flags & REDUCE_ONLY or markets[k].barred & BAR_RISK:
        lots = min(lots, -side * positions[i, k].lots)
        if lots <= 0:
            return REDUCE_ONLY_DROPPED, 0
    crosses = tick >= markets[k].best_ask if side > 0 else tick <= markets[k].best_bid
    if flags & POST_ONLY and crosses:
        return WOULD_CROSS, lots
    return OPEN, lots


@inline
def join_liquidation(
    venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, expiry, ended_orders, terms, liquidations,
    liquidated_lots, batch, n, i, keeper, wanted, submitted, t, key,
):  # fmt: skip
    """Checks a liquidation of account i and writes its closing order as order n of the batch.

    Returns OPEN if it takes part, else its result. One position per transaction, whatever the rule says of all markets.
    """
    start_limits(venue, accounts, i)
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    if not is_liquidatable(equity, maintenance):
        record_liquidation(venue, accounts, liquidations, i, keeper, NOBODY, submitted, equity, maintenance, NOT_LIQUIDATABLE)
        return NOT_LIQUIDATABLE
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
        record_liquidation(venue, accounts, liquidations, i, keeper, NOBODY, submitted, equity, maintenance, ALREADY_LIQUIDATED)
        return ALREADY_LIQUIDATED
    record = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, MARKET_HALTED)
    positions[i, k].liquidated_block = venue[0].block
    side, lots, limit, limit_price, own, fund_fee, freeing = closing_order(
        venue, accounts, positions, markets, margin_tiers, terms, liquidated_lots, i, k, equity, maintenance, allowance
    )
    if record < liquidations.shape[0]:
        liquidations[record].side = side
        liquidations[record].lots_wanted = lots
        liquidations[record].mark = markets[k].mark
        liquidations[record].index = markets[k].index
        liquidations[record].fillable_price = limit_price
        size = positions[i, k].lots * markets[k].lot
        liquidations[record].bankruptcy_price = markets[k].mark - equity * own / (maintenance * size)
        if equity != 0.0:
            liquidations[record].leverage_before = notional_at_mark(positions, markets, i) / equity
    if markets[k].status != ACTIVE or markets[k].barred & BAR_LIQUIDATIONS:
        return MARKET_HALTED
    if lots == 0:
        if record < liquidations.shape[0]:
            liquidations[record].result = ALREADY_LIQUIDATED
        return ALREADY_LIQUIDATED
    join_batch(batch, n, i, k, side, limit, lots, IMMEDIATE_OR_CANCEL | REDUCE_ONLY, NOBODY, t)
    batch[n].record = record
    batch[n].fund_fee = fund_fee
    batch[n].freeing = freeing
    return OPEN


@inline
def join_resting(markets, levels, bitmap, orders, batch, n, k):
    """Lets the resting orders of market k take part that somebody could meet; returns how many orders the batch has then."""
    highest = markets[k].best_bid
    lowest = markets[k].best_ask
    for a in range(n):
        if batch[a].market == k and batch[a].side > 0:
            highest = max(highest, batch[a].tick)
        elif batch[a].market == k:
            lowest = min(lowest, batch[a].tick)
    for side in (1, -1):
        tick = markets[k].best_bid if side > 0 else markets[k].best_ask
        while lowest <= tick <= highest and 0 < tick < markets[k].ticks:
            row = levels[k, tick].first - 1
            while row != NOBODY:
                join_batch(
                    batch, n, orders[row].account, k, side, tick, orders[row].lots, int(orders[row].flags), row, NOBODY
                )  # fmt: skip
                batch[n].rank -= batch.shape[0]
                n += 1
                row = orders[row].next
            tick = level_below(bitmap, k, tick, 0) if side > 0 else level_above(bitmap, k, tick, markets[k].ticks)
    return n


@inline
def gather_side(batch, n, k, side, keys):
    """Writes the keys by which the orders of one side of market k are sorted, best price first and then by rank; returns how many."""
    count = 0
    for a in range(n):
        if batch[a].market == k and batch[a].side == side and batch[a].reason == OPEN:
            keys[count, 0] = (-batch[a].tick if side > 0 else batch[a].tick) * (1 << 32) + batch[a].rank
            keys[count, 1] = a
            count += 1
    return count


@inline
def sum_up(batch, sorted_orders, ticks, totals, count):
    """Writes limits and summed-up lots of one side, in order of priority."""
    total = 0
    for a in range(count):
        total += batch[sorted_orders[a]].lots
        ticks[a] = batch[sorted_orders[a]].tick
        totals[a] = total


@inline
def most_it_may(positions, markets, batch, a, k):
    """Lots that order a of the batch may still trade; a reduce-only order no more than it closes."""
    lots = batch[a].lots
    if batch[a].flags & REDUCE_ONLY or (batch[a].row == NOBODY and markets[k].barred & BAR_RISK):
        lots = min(lots, -batch[a].side * positions[batch[a].account, k].lots)
    return lots


@inline
def stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, a, reason):
    """Order a of the batch trades no more; a resting order leaves the book."""
    batch[a].reason = reason
    if batch[a].row != NOBODY:
        end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch[a].row, reason, PLACE)


@inline
def leave_out(
    venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, expiry, ended_orders, batch, n, k, tick
):  # fmt: skip
    """Stops the orders of market k that would trade at `tick` and whose account could not carry them whole; returns whether there were any.

    They must not move the price, so it is looked for again without them.
    """
    found = False
    for a in range(n):
        if batch[a].market != k or batch[a].reason != OPEN or batch[a].record != NOBODY or (batch[a].tick - tick) * batch[a].side < 0:
            continue
        change = batch[a].side * most_it_may(positions, markets, batch, a, k)
        if change != 0 and not would_be_collateralised(accounts, positions, markets, margin_tiers, batch[a].account, k, change, tick):
            stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, a, UNDERCOLLATERALISED)
            found = True
    return found


@inline
def burden(accounts, positions, markets, margin_tiers, funds, terms, batch, a, k, change, value, interest, rate):
    """(why order a cannot carry a trade of `change` lots, or OPEN; its fee; what the fund gets), all in USD."""
    i = batch[a].account
    if batch[a].record != NOBODY:
        delta = fund_share(accounts, positions, markets, margin_tiers, i, k, change, value, batch[a].fund_fee)
        covered = fund_can_cover(min(funds[markets[k].fund].balance, markets[k].insurance_left), delta)
        if not covered or (delta < 0.0 and allowance_left(terms[0].max_insurance_per_block, accounts[i].used_insurance) < -delta):
            return FUND_EXHAUSTED, 0.0, 0.0
        return OPEN, 0.0, delta
    fee = value * rate
    cash = (-value if change > 0 else value) - fee
    if not may_change(accounts, positions, markets, margin_tiers, i, k, change, cash, interest):
        return UNDERCOLLATERALISED, 0.0, 0.0
    return OPEN, fee, 0.0


@inline
def move_fund(accounts, markets, funds, batch, a, k, delta, direction):
    """Moves what the fund gets (> 0) from the account of liquidation a, or pays it, or undoes that (direction -1); the account's cash is
    moved with the trade."""
    i = batch[a].account
    paid = direction * min(delta, 0.0)
    funds[markets[k].fund].balance += direction * delta
    markets[k].insurance_left += paid
    accounts[i].liquidation -= direction * delta
    accounts[i].used_insurance -= paid
    batch[a].to_fund += direction * delta


@inline
def book_trade(venue, accounts, positions, markets, batch, a, k, change, value, fee, delta, is_taker):
    """Books one side of a trade."""
    i = batch[a].account
    signed = value if change > 0 else -value
    accounts[i].collateral -= signed + fee + delta
    accounts[i].fees -= fee
    venue[0].fees += fee
    change_position(positions, i, k, change, signed)
    if batch[a].record != NOBODY:
        accounts[i].used_notional += abs(change) * markets[k].lot * markets[k].mark
        markets[k].liquidated += value
    elif is_taker:
        accounts[i].taker_volume += value
    else:
        accounts[i].maker_volume += value
    batch[a].lots -= abs(change)
    batch[a].traded += value
    batch[a].count += 1


@inline
def meet(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms, batch, a, b,
    k, tick, most,
):  # fmt: skip
    """Trades up to `most` lots between bid a and ask b at `tick`, or stops the order that cannot; returns the lots traded.

    The order that came later is the taker. Of two orders of one account the earlier one is removed, as in the book.
    """
    maker, taker = (a, b) if batch[a].rank < batch[b].rank else (b, a)
    if batch[a].account == batch[b].account:
        stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, maker, SELF_TRADE)
        return 0
    for o in (maker, taker):
        if most_it_may(positions, markets, batch, o, k) <= 0:
            stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, o, REDUCE_ONLY_DROPPED)
            return 0
        if not may_hold(venue, accounts, positions, markets, batch[o].account, k):
            stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, o, ISOLATED_ONLY)
            return 0
    lots = min(most, most_it_may(positions, markets, batch, a, k), most_it_may(positions, markets, batch, b, k))
    buyer = batch[a].account
    seller = batch[b].account
    more = open_interest_change(positions[buyer, k].lots, lots, positions[seller, k].lots, -lots)
    interest = markets[k].open_interest + more
    if more > 0 and interest * markets[k].lot * markets[k].mark > markets[k].open_interest_cap:
        stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, taker, OPEN_INTEREST_CAPPED)
        return 0
    value = float(lots * tick) * markets[k].unit
    change = lots if maker == a else -lots
    reason, maker_fee, from_maker = burden(
        accounts, positions, markets, margin_tiers, funds, terms, batch, maker, k, change, value, interest,
        accounts[batch[maker].account].maker_fee,
    )  # fmt: skip
    if reason != OPEN:
        stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, maker, reason)
        return 0
    move_fund(accounts, markets, funds, batch, maker, k, from_maker, 1)
    reason, taker_fee, from_taker = burden(
        accounts, positions, markets, margin_tiers, funds, terms, batch, taker, k, -change, value, interest,
        accounts[batch[taker].account].taker_fee,
    )  # fmt: skip
    if reason != OPEN:
        move_fund(accounts, markets, funds, batch, maker, k, from_maker, -1)
        stop_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, batch, taker, reason)
        return 0
    move_fund(accounts, markets, funds, batch, taker, k, from_taker, 1)
    book_trade(venue, accounts, positions, markets, batch, maker, k, change, value, maker_fee, from_maker, False)
    book_trade(venue, accounts, positions, markets, batch, taker, k, -change, value, taker_fee, from_taker, True)
    for o in (maker, taker):
        if batch[o].record != NOBODY:
            settle_rounding(accounts, positions, funds, markets[k].fund, batch[o].account, value)
    markets[k].open_interest = interest
    age = 0
    for o in (maker, taker):
        row = batch[o].row
        if row != NOBODY:
            age = venue[0].block - orders[row].placed
            if batch[o].lots == 0:
                remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row)
            else:
                orders[row].lots -= lots
                levels[k, batch[o].tick].lots -= lots
    forced = batch[maker].record != NOBODY or batch[taker].record != NOBODY
    record_fill(
        venue, markets, fills, batch[taker].account, batch[maker].account, k, batch[taker].side, tick, lots, value, taker_fee, maker_fee,
        forced, age,
    )  # fmt: skip
    return lots


@inline
def trade_allowed(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms, batch, k, tick,
    bids, bid_allowed, n_bids, asks, ask_allowed, n_asks,
):  # fmt: skip
    """Lets the allowed lots of both sides meet at `tick`, in order of priority."""
    a = 0
    b = 0
    while a < n_bids and b < n_asks:
        bid = bids[a]
        ask = asks[b]
        if bid_allowed[a] <= 0 or batch[bid].reason != OPEN or batch[bid].tick < tick:
            a += 1
        elif ask_allowed[b] <= 0 or batch[ask].reason != OPEN or batch[ask].tick > tick:
            b += 1
        else:
            lots = meet(
                venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
                batch, bid, ask, k, tick, min(bid_allowed[a], ask_allowed[b]),
            )  # fmt: skip
            bid_allowed[a] -= lots
            ask_allowed[b] -= lots


@inline
def finish_order(
    venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, expiry, order_limits, batch, a, expires,
):  # fmt: skip
    """What becomes of a new order after the batch: FILLED (also when it rests), or why it did not."""
    lots = batch[a].lots
    if lots == 0:
        return FILLED
    if batch[a].reason != OPEN:
        return batch[a].reason
    i = batch[a].account
    k = int(batch[a].market)
    side = int(batch[a].side)
    tick = batch[a].tick
    crosses = tick >= markets[k].best_ask if side > 0 else tick <= markets[k].best_bid
    if batch[a].flags & IMMEDIATE_OR_CANCEL or crosses:
        return NO_LIQUIDITY
    if outside_band(markets, k, tick):
        return OUT_OF_RANGE
    if accounts[i].open_orders >= order_limit(order_limits, accounts[i].equity):
        return ORDER_LIMIT
    if not would_be_collateralised(accounts, positions, markets, margin_tiers, i, k, side * lots, tick):
        return UNDERCOLLATERALISED
    flags = int(batch[a].flags)
    if rest_order(venue, accounts, markets, levels, bitmap, orders, expiry, i, k, side, tick, lots, flags, expires) == NOBODY:
        return POOL_FULL
    return FILLED


@inline
def finish_liquidation(venue, accounts, markets, funds, terms, liquidations, liquidated_lots, batch, a, keeper, gas):
    """Books what a liquidation has closed: its record, the allowances and the keeper's reward; returns its result."""
    k = int(batch[a].market)
    closed = batch[a].wanted - batch[a].lots
    result = FILLED if batch[a].lots == 0 else NO_LIQUIDITY
    if batch[a].reason != OPEN:
        result = int(batch[a].reason)
    reward = 0.0
    if closed > 0:
        if terms[0].whole_below > 0.0 or terms[0].covers_shortage != 0:
            remember_portion(accounts, batch[a].account, venue[0].block, batch[a].traded * batch[a].freeing)
        if terms[0].window > 0.0:
            remember_liquidated(liquidated_lots, k, venue[0].block, closed)
        reward = reward_keeper(venue, accounts, funds, markets[k].fund, keeper, terms, batch[a].traded, gas)
    n = batch[a].record
    if n < liquidations.shape[0]:
        liquidations[n].lots = closed
        liquidations[n].result = result
        liquidations[n].fills = batch[a].count
        liquidations[n].notional = batch[a].traded
        liquidations[n].fund_delta = batch[a].to_fund
        liquidations[n].reward = reward
        if closed > 0:
            liquidations[n].price = batch[a].traded / (closed * markets[k].lot)
    return FILLED if closed > 0 else result


@kernel
def clear_by_auction(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions, sequence,
    fills, ended_orders, liquidations, liquidated_lots, order_limits, terms, key, count, batch, keys, cancelled, is_batch, pro_rata,
):  # fmt: skip
    """Carries out the first `count` rows of `sequence[0]`: orders and liquidations in a batch, or let to wait for one, all else at once.

    batch (room,) and keys (room, 2) are scratch space; cancelled (accounts, markets, 2) remembers the last cancellation of all orders:
    its block and its transaction.
    """
    block = venue[0].block
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        result = FILLED
        if kind in (PLACE, LIQUIDATE):
            continue
        if kind == CANCEL_ALL:
            cancel_resting(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, i, k, CANCELLED, CANCEL_ALL)
            for j in range(markets.shape[0]):
                if k in (NOBODY, j):
                    cancelled[i, j, 0] = block
                    cancelled[i, j, 1] = t
        elif kind == CANCEL:
            handle = transactions[t].handle
            row = handle & 0xFFFFFFFF
            if row < orders.shape[0] and orders[row].lots > 0 and orders[row].generation == handle >> 32 and orders[row].account == i:
                end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, CANCELLED, CANCEL)
            else:
                result = OUT_OF_RANGE
        else:
            result = carry_out_anywhere(venue, accounts, positions, markets, margin_tiers, conditionals, transactions, t)
        finish_transaction(venue, accounts, transactions, ended_orders, t, result, transactions[t].lots)
    n = 0
    waiting = 0
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        result = OPEN
        left = transactions[t].lots
        if kind == PLACE:
            if 0 <= k < markets.shape[0] and cancelled[i, k, 0] == block and t < cancelled[i, k, 1]:
                result = CANCELLED
            elif is_batch:
                side = int(transactions[t].side)
                flags = transactions[t].flags
                result, left = refusal(
                    venue, accounts, positions, markets, i, k, side, flags, transactions[t].tick, left, transactions[t].expires
                )
                if result == OPEN:
                    join_batch(batch, n, i, k, side, transactions[t].tick, left, flags, NOBODY, t)
                    n += 1
        elif kind == LIQUIDATE:
            target = int(transactions[t].target)
            if target < 0 or target >= accounts.shape[0]:
                result = OUT_OF_RANGE
            elif is_batch:
                result = join_liquidation(
                    venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, expiry, ended_orders, terms, liquidations,
                    liquidated_lots, batch, n, target, i, k, transactions[t].submitted, t, key,
                )  # fmt: skip
                if result == OPEN:
                    n += 1
        else:
            continue
        if result != OPEN:
            finish_transaction(venue, accounts, transactions, ended_orders, t, result, left)
        elif not is_batch:
            transactions[t].arrives = block + 1
            waiting += 1
    for k in range(markets.shape[0]):
        joined = join_resting(markets, levels, bitmap, orders, batch, n, k) if n > 0 else 0
        reference = int(markets[k].mark / markets[k].tick + 0.5)
        lowest = max(markets[k].lowest_tick, 1)
        highest = markets[k].ticks - 1
        if markets[k].highest_tick > 0:
            highest = min(highest, markets[k].highest_tick)
        while True:
            n_bids = gather_side(batch, joined, k, 1, keys)
            bids = keys[:n_bids, 1][np.argsort(keys[:n_bids, 0], kind="mergesort")]
            n_asks = gather_side(batch, joined, k, -1, keys)
            asks = keys[:n_asks, 1][np.argsort(keys[:n_asks, 0], kind="mergesort")]
            tables = np.zeros((6, max(n_bids, n_asks)), np.int64)  # ticks, sums and allowed lots of both sides
            bid_ticks, bid_totals, bid_allowed = tables[0], tables[1], tables[2]
            ask_ticks, ask_totals, ask_allowed = tables[3], tables[4], tables[5]
            sum_up(batch, bids, bid_ticks, bid_totals, n_bids)
            sum_up(batch, asks, ask_ticks, ask_totals, n_asks)
            tick, volume = uniform_price(bid_ticks, bid_totals, n_bids, ask_ticks, ask_totals, n_asks, reference, lowest, highest)
            if volume == 0 or not leave_out(
                venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, expiry, ended_orders, batch, joined, k, tick
            ):  # fmt: skip
                break
        if volume > 0:
            for again in range(2):
                # Once what the ration allows; then, where an order could not carry its trade, whoever comes next.
                for a in range(n_bids):
                    bid_totals[a] = batch[bids[a]].lots if batch[bids[a]].reason == OPEN and bid_ticks[a] >= tick else 0
                for b in range(n_asks):
                    ask_totals[b] = batch[asks[b]].lots if batch[asks[b]].reason == OPEN and ask_ticks[b] <= tick else 0
                most = volume if again == 0 else min(bid_totals[:n_bids].sum(), ask_totals[:n_asks].sum())
                if most <= 0:
                    break
                ration(bid_totals, bid_allowed, bid_ticks, n_bids, most, pro_rata)
                ration(ask_totals, ask_allowed, ask_ticks, n_asks, most, pro_rata)
                trade_allowed(
                    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, terms,
                    batch, k, tick, bids, bid_allowed, n_bids, asks, ask_allowed, n_asks,
                )  # fmt: skip
    for a in range(n):
        t = batch[a].transaction
        if batch[a].record == NOBODY:
            result = finish_order(
                venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, expiry, order_limits, batch, a,
                transactions[t].expires,
            )  # fmt: skip
        else:
            result = finish_liquidation(
                venue, accounts, markets, funds, terms, liquidations, liquidated_lots, batch, a, transactions[t].account,
                transactions[t].fee,
            )  # fmt: skip
        finish_transaction(venue, accounts, transactions, ended_orders, t, result, batch[a].lots)
    keep_pending(venue, transactions, count - waiting)
