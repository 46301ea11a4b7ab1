"""The order book: price levels in ticks, a queue of orders at each, and a bitmap that finds the next level in three steps.

Every price of a market has its level, so nothing is searched or re-centred. A bitmap of 64-bit words, with words of words above,
knows which levels hold orders; as the book is never crossed at rest, one bitmap serves both sides. Orders are rows of a pool,
linked into three chains: the queue of their level, the resting orders of their account, and those that expire in the same block.
"""

from __future__ import annotations

import numba
import numpy as np

from abm.kernels.compiled import inline, shared_kernel
from abm.kernels.margin import account_risk_after, open_interest_change, transition_result
from abm.state import BITMAP_WORDS, EXPIRED, EXPIRY_SLOTS, NEVER, NOBODY, PLACE

if numba.config.DISABLE_JIT:

    def trailing_zeros(word):
        """Number of zero bits below the lowest set bit of a word that is not zero."""
        return (int(word) & -int(word)).bit_length() - 1

    def leading_zeros(word):
        """Number of zero bits above the highest set bit of a 64-bit word that is not zero."""
        return 64 - int(word).bit_length()

else:
    from numba.cpython.unsafe.numbers import leading_zeros, trailing_zeros

MIDDLE = BITMAP_WORDS[0]
TOP = BITMAP_WORDS[0] + BITMAP_WORDS[1]
ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@inline
def occupy_level(bitmap, k, tick):
    """Marks the level as holding orders."""
    leaf = tick >> 6
    middle = tick >> 12
    bitmap[k, leaf] |= ONE << np.uint64(tick & 63)
    bitmap[k, MIDDLE + middle] |= ONE << np.uint64(leaf & 63)
    bitmap[k, TOP] |= ONE << np.uint64(middle)


@inline
def vacate_level(bitmap, k, tick):
    """Marks the level as empty."""
    leaf = tick >> 6
    middle = tick >> 12
    bitmap[k, leaf] &= ~(ONE << np.uint64(tick & 63))
    if bitmap[k, leaf] == 0:
        bitmap[k, MIDDLE + middle] &= ~(ONE << np.uint64(leaf & 63))
        if bitmap[k, MIDDLE + middle] == 0:
            bitmap[k, TOP] &= ~(ONE << np.uint64(middle))


@inline
def level_above(bitmap, k, tick, none):
    """Lowest occupied level above `tick`, or `none`."""
    t = tick + 1
    leaf = t >> 6
    if leaf >= MIDDLE:
        return none
    word = bitmap[k, leaf] & (ALL << np.uint64(t & 63))
    if word == 0:
        m = leaf + 1
        middle = m >> 6
        if middle >= 64:
            return none
        upper = bitmap[k, MIDDLE + middle] & (ALL << np.uint64(m & 63))
        if upper == 0:
            if middle == 63:
                return none
            top = bitmap[k, TOP] & (ALL << np.uint64(middle + 1))
            if top == 0:
                return none
            middle = np.int64(trailing_zeros(top))
            upper = bitmap[k, MIDDLE + middle]
        leaf = (middle << 6) + np.int64(trailing_zeros(upper))
        word = bitmap[k, leaf]
    return (leaf << 6) + np.int64(trailing_zeros(word))


@inline
def level_below(bitmap, k, tick, none):
    """Highest occupied level below `tick`, or `none`."""
    t = tick - 1
    if t < 0:
        return none
    leaf = t >> 6
    word = bitmap[k, leaf] & (ALL >> np.uint64(63 - (t & 63)))
    if word == 0:
        m = leaf - 1
        if m < 0:
            return none
        middle = m >> 6
        upper = bitmap[k, MIDDLE + middle] & (ALL >> np.uint64(63 - (m & 63)))
        if upper == 0:
            if middle == 0:
                return none
            top = bitmap[k, TOP] & (ALL >> np.uint64(64 - middle))
            if top == 0:
                return none
            middle = 63 - np.int64(leading_zeros(top))
            upper = bitmap[k, MIDDLE + middle]
        leaf = (middle << 6) + 63 - np.int64(leading_zeros(upper))
        word = bitmap[k, leaf]
    return (leaf << 6) + 63 - np.int64(leading_zeros(word))


@inline
def order_handle(orders, row):
    """What an agent keeps to cancel this order later: row and generation in one number."""
    return (np.int64(orders[row].generation) << 32) | np.int64(row)


@inline
def is_live(orders, handle):
    """Whether a handle still names a resting order."""
    row = handle & 0xFFFFFFFF
    return (handle >> 32) > 0 and row < orders.shape[0] and orders[row].generation == (handle >> 32) and orders[row].lots > 0


@inline
def rest_order(venue, accounts, markets, levels, bitmap, orders, expiry, i, k, side, tick, lots, flags, expires):
    """Appends an order to the queue of its level and to its chains; returns its row, or NOBODY when the pool is full."""
    row = venue[0].orders_free
    if row == NOBODY:
        return NOBODY
    venue[0].orders_free = orders[row].next
    venue[0].orders_live += 1
    orders[row].lots = lots
    orders[row].expires = expires
    orders[row].placed = venue[0].block
    orders[row].tick = tick
    orders[row].account = i
    orders[row].market = k
    orders[row].side = side
    orders[row].flags = flags
    orders[row].next = NOBODY
    last = levels[k, tick].last - 1
    orders[row].previous = last
    if last == NOBODY:
        levels[k, tick].first = row + 1
        occupy_level(bitmap, k, tick)
        if side > 0:
            if tick > markets[k].best_bid:
                markets[k].best_bid = tick
        elif tick < markets[k].best_ask:
            markets[k].best_ask = tick
    else:
        orders[last].next = row
    levels[k, tick].last = row + 1
    levels[k, tick].lots += lots
    head = accounts[i].first_order
    orders[row].account_previous = NOBODY
    orders[row].account_next = head
    if head != NOBODY:
        orders[head].account_previous = row
    accounts[i].first_order = row
    accounts[i].open_orders += 1
    if expires < NEVER:
        slot = expires % EXPIRY_SLOTS
        head = expiry[slot]
        orders[row].expiry_previous = NOBODY
        orders[row].expiry_next = head
        if head != NOBODY:
            orders[head].expiry_previous = row
        expiry[slot] = row
    return row


@inline
def remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row):
    """Takes a resting order out of the book and of its chains and frees its row. What is left of its lots leaves the level."""
    k = np.int64(orders[row].market)
    tick = orders[row].tick
    i = orders[row].account
    before = orders[row].previous
    after = orders[row].next
    levels[k, tick].lots -= orders[row].lots
    if before == NOBODY:
        levels[k, tick].first = after + 1
    else:
        orders[before].next = after
    if after == NOBODY:
        levels[k, tick].last = before + 1
    else:
        orders[after].previous = before
    if before == NOBODY and after == NOBODY:
        vacate_level(bitmap, k, tick)
        if tick == markets[k].best_bid:
            markets[k].best_bid = level_below(bitmap, k, tick, 0)
        elif tick == markets[k].best_ask:
            markets[k].best_ask = level_above(bitmap, k, tick, markets[k].ticks)
    before = orders[row].account_previous
    after = orders[row].account_next
    if before == NOBODY:
        accounts[i].first_order = after
    else:
        orders[before].account_next = after
    if after != NOBODY:
        orders[after].account_previous = before
    accounts[i].open_orders -= 1
    if orders[row].expires < NEVER:
        before = orders[row].expiry_previous
        after = orders[row].expiry_next
        if before == NOBODY:
            expiry[orders[row].expires % EXPIRY_SLOTS] = after
        else:
            orders[before].expiry_next = after
        if after != NOBODY:
            orders[after].expiry_previous = before
    orders[row].lots = 0
    orders[row].generation += 1
    orders[row].next = venue[0].orders_free
    venue[0].orders_free = row
    venue[0].orders_live -= 1


@inline
def end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, reason, kind):
    """Removes a resting order and records why."""
    n = venue[0].ended_orders
    if n < ended_orders.shape[0]:
        ended_orders[n].block = venue[0].block
        ended_orders[n].account = orders[row].account
        ended_orders[n].market = orders[row].market
        ended_orders[n].side = orders[row].side
        ended_orders[n].reason = reason
        ended_orders[n].tick = orders[row].tick
        ended_orders[n].lots = orders[row].lots
        ended_orders[n].kind = kind
        ended_orders[n].age = venue[0].block - orders[row].placed
    venue[0].ended_orders = n + 1
    remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row)


@inline
def would_be_collateralised(accounts, positions, markets, margin_tiers, i, k, lots, tick):
    """Whether account i could hold `lots` more of market k (sign of the trade) bought or sold at `tick`, before fees.

    Open interest is taken after the trade as if the other side opened too. The venue's own account always could.
    """
    if accounts[i].house != 0:
        return True
    cash = -float(lots * tick) * markets[k].unit
    held = positions[i, k].lots
    interest = markets[k].open_interest + open_interest_change(held, lots, 0, -lots)
    equity, initial, maintenance = account_risk_after(accounts, positions, markets, margin_tiers, i, k, lots, cash, interest)
    if equity >= initial:
        return True
    old_equity, old_initial, old_maintenance = account_risk_after(accounts, positions, markets, margin_tiers, i, -1, 0, 0.0, 0)
    return transition_result(old_equity, old_initial, old_maintenance, equity, initial, maintenance) == 0


@inline
def impact_price(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k, side, notional):
    """Average price in USD at which `notional` USD could be bought (side +1) or sold (side -1) in market k at once; 0 without the depth.

    Makers that could not carry their own remaining order are passed over; a notional of 0 gives the best price
    (dYdX `x/clob/memclob`, getImpactPriceSubticks).
    """
    tick = markets[k].best_ask if side > 0 else markets[k].best_bid
    none = markets[k].ticks if side > 0 else 0
    left = notional
    coins = 0.0
    while tick != none:
        price = tick * markets[k].tick
        row = levels[k, tick].first - 1
        while row != NOBODY:
            lots = orders[row].lots
            maker = orders[row].account
            if would_be_collateralised(accounts, positions, markets, margin_tiers, maker, k, -side * lots, tick):
                if notional <= 0.0:
                    return price
                size = lots * markets[k].lot
                if size * price >= left:
                    return notional / (coins + left / price)
                left -= size * price
                coins += size
            row = orders[row].next
        tick = level_above(bitmap, k, tick, none) if side > 0 else level_below(bitmap, k, tick, none)
    return 0.0


@inline
def depth_within(markets, levels, bitmap, k, side, limit_tick):
    """Resting USD on one side (+1 bids, -1 asks) from the best price to `limit_tick`, that tick included."""
    total = 0.0
    if side > 0:
        tick = markets[k].best_bid
        while tick >= limit_tick and tick > 0:
            total += float(levels[k, tick].lots * tick)
            tick = level_below(bitmap, k, tick, 0)
    else:
        none = markets[k].ticks
        tick = markets[k].best_ask
        while tick <= limit_tick and tick < none:
            total += float(levels[k, tick].lots * tick)
            tick = level_above(bitmap, k, tick, none)
    return total * markets[k].unit


@shared_kernel
def expire_orders(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders):
    """Ends every resting order whose expiry block has come."""
    block = venue[0].block
    row = expiry[block % EXPIRY_SLOTS]
    while row != NOBODY:
        after = orders[row].expiry_next
        if orders[row].expires <= block:
            end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, EXPIRED, PLACE)
        row = after
