"""What must hold of the order book after every block: levels and their bitmap, queues, best prices, chains, and free rows.

Nothing here trusts a link before it has looked at it, so a broken book is named instead of walked out of.
"""

from __future__ import annotations

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.inspection import (
    ACCOUNT_CHAIN,
    BEST_ASK,
    BEST_BID,
    BITMAP_OF_LEVELS,
    BITMAP_OF_WORDS,
    EMPTY_LEVEL_HAS_NO_LOTS,
    EXPIRY_CHAIN,
    FREE_ROW_IS_EMPTY,
    FREE_ROWS_COUNTED,
    HOLDS,
    LEVEL_LOTS,
    LINK_IN_RANGE,
    LIVE_ORDERS_COUNTED,
    NOT_CROSSED,
    ONE_SIDE_PER_LEVEL,
    OPEN_ORDERS_COUNTED,
    ORDER_HAS_GENERATION,
    ORDER_HAS_LOTS,
    ORDER_IN_ITS_LEVEL,
    ORDER_NOT_EXPIRED,
    QUEUE_LINKS,
    found,
)
from abm.state import BITMAP_WORDS, EXPIRY_SLOTS, NEVER, NOBODY

MIDDLE = BITMAP_WORDS[0]
TOP = BITMAP_WORDS[0] + BITMAP_WORDS[1]
ONE = np.uint64(1)


@inline
def inspect_bitmap(markets, levels, level_words, bitmap, k, finding):
    """Every level that holds an order is marked, and no other; every word knows which words below it are not empty."""
    for leaf in range(MIDDLE):
        word = bitmap[k, leaf]
        marked = (bitmap[k, MIDDLE + (leaf >> 6)] >> np.uint64(leaf & 63)) & ONE != 0
        if marked != (word != 0):
            return found(finding, BITMAP_OF_WORDS, k, NOBODY, leaf, marked, word != 0, 0.0)
        first = leaf << 6
        last = min(first + 64, levels.shape[1])
        if word == 0:
            # Nearly all of the grid: two whole numbers a level (lots; first and last), without branches, and by an unsigned
            # index, which needs no look at negative ones: thirty times faster.
            stray = np.int64(0)
            for n in range(np.uint64(2 * first), np.uint64(2 * max(last, first))):
                stray |= level_words[k, n]
            if stray == 0:
                continue
        for tick in range(first, last):
            holds = levels[k, tick].first != 0
            if holds != ((word >> np.uint64(tick - first)) & ONE != 0):
                return found(finding, BITMAP_OF_LEVELS, k, NOBODY, tick, not holds, holds, 0.0)
            if not holds and (levels[k, tick].lots != 0 or levels[k, tick].last != 0):
                return found(finding, EMPTY_LEVEL_HAS_NO_LOTS, k, NOBODY, tick, levels[k, tick].lots, 0.0, 0.0)
            if holds and not 1 <= tick < markets[k].ticks:
                return found(finding, ORDER_IN_ITS_LEVEL, k, NOBODY, tick, tick, markets[k].ticks, 0.0)
    for middle in range(BITMAP_WORDS[1]):
        marked = (bitmap[k, TOP] >> np.uint64(middle)) & ONE != 0
        if marked != (bitmap[k, MIDDLE + middle] != 0):
            return found(finding, BITMAP_OF_WORDS, k, NOBODY, MIDDLE + middle, marked, not marked, 0.0)
    return HOLDS


@inline
def inspect_queue(venue, levels, orders, k, tick, n_accounts, finding):
    """The queue of one level, from the oldest order to the newest; what it holds and how many go to (`place`, `found`)."""
    block = venue[0].block
    room = orders.shape[0]
    lots = 0
    count = 0
    before = NOBODY
    row = np.int64(levels[k, tick].first) - 1
    side = np.int64(orders[row].side) if 0 <= row < room else 0
    while row != NOBODY:
        if not 0 <= row < room or count > room:
            return found(finding, LINK_IN_RANGE, k, NOBODY, row, row, room, 0.0), 0, 0
        o = orders[row]
        if o.previous != before:
            return found(finding, QUEUE_LINKS, k, NOBODY, row, o.previous, before, 0.0), 0, 0
        if o.lots <= 0:
            return found(finding, ORDER_HAS_LOTS, k, o.account, row, o.lots, 1.0, 0.0), 0, 0
        if o.market != k or o.tick != tick or not 0 <= o.account < n_accounts:
            return found(finding, ORDER_IN_ITS_LEVEL, k, o.account, row, o.tick, tick, 0.0), 0, 0
        if o.side != side or (side != 1 and side != -1):
            return found(finding, ONE_SIDE_PER_LEVEL, k, o.account, row, o.side, side, 0.0), 0, 0
        if o.expires <= block:
            return found(finding, ORDER_NOT_EXPIRED, k, o.account, row, o.expires, block + 1, 0.0), 0, 0
        if o.generation <= 0:
            return found(finding, ORDER_HAS_GENERATION, k, o.account, row, o.generation, 1.0, 0.0), 0, 0
        lots += o.lots
        count += 1
        before = row
        row = np.int64(o.next)
    if levels[k, tick].last != before + 1:
        return found(finding, QUEUE_LINKS, k, NOBODY, before, levels[k, tick].last - 1, before, 0.0), 0, 0
    if levels[k, tick].lots != lots:
        return found(finding, LEVEL_LOTS, k, NOBODY, tick, levels[k, tick].lots, lots, 0.0), 0, 0
    return HOLDS, side, count


@inline
def inspect_chains(venue, accounts, orders, expiry, finding):
    """The chain of every account's resting orders, and that of every expiry block."""
    room = orders.shape[0]
    live = venue[0].orders_live
    chained = 0
    mortal = 0
    for i in range(accounts.shape[0]):
        count = 0
        before = NOBODY
        row = np.int64(accounts[i].first_order)
        while row != NOBODY:
            if not 0 <= row < room or chained > live:
                return found(finding, LINK_IN_RANGE, NOBODY, i, row, row, room, 0.0)
            o = orders[row]
            if o.account != i or o.account_previous != before or o.lots <= 0:
                return found(finding, ACCOUNT_CHAIN, o.market, i, row, o.account_previous, before, 0.0)
            if o.expires < NEVER:
                mortal += 1
            count += 1
            chained += 1
            before = row
            row = np.int64(o.account_next)
        if count != accounts[i].open_orders:
            return found(finding, OPEN_ORDERS_COUNTED, NOBODY, i, NOBODY, accounts[i].open_orders, count, 0.0)
    if chained != live:
        return found(finding, LIVE_ORDERS_COUNTED, NOBODY, NOBODY, NOBODY, live, chained, 0.0)
    ending = 0
    for slot in range(EXPIRY_SLOTS):
        before = NOBODY
        row = np.int64(expiry[slot])
        while row != NOBODY:
            if not 0 <= row < room or ending > live:
                return found(finding, LINK_IN_RANGE, NOBODY, NOBODY, row, row, room, 0.0)
            o = orders[row]
            if o.expiry_previous != before or o.lots <= 0 or o.expires >= NEVER or o.expires % EXPIRY_SLOTS != slot:
                return found(finding, EXPIRY_CHAIN, o.market, o.account, row, o.expiry_previous, before, 0.0)
            ending += 1
            before = row
            row = np.int64(o.expiry_next)
    if ending != mortal:
        return found(finding, EXPIRY_CHAIN, NOBODY, NOBODY, NOBODY, ending, mortal, 0.0)
    return HOLDS


@kernel
def inspect_book(venue, accounts, markets, levels, level_words, bitmap, orders, expiry, finding):
    """The book: levels, queues, best prices, chains of accounts and of expiry blocks, and the list of free rows."""
    live = 0
    for k in range(markets.shape[0]):
        law = inspect_bitmap(markets, levels, level_words, bitmap, k, finding)
        if law != HOLDS:
            return law
        bid = 0
        ask = markets[k].ticks
        for leaf in range(MIDDLE):
            if bitmap[k, leaf] == 0:
                continue
            for tick in range(leaf << 6, min((leaf + 1) << 6, markets[k].ticks)):
                if levels[k, tick].first == 0:
                    continue
                law, side, count = inspect_queue(venue, levels, orders, k, tick, accounts.shape[0], finding)
                if law != HOLDS:
                    return law
                live += count
                if side > 0:
                    if ask < tick:
                        return found(finding, NOT_CROSSED, k, NOBODY, tick, tick, ask, 0.0)
                    bid = tick
                else:
                    ask = min(ask, tick)
        if markets[k].best_bid != bid:
            return found(finding, BEST_BID, k, NOBODY, NOBODY, markets[k].best_bid, bid, 0.0)
        if markets[k].best_ask != ask:
            return found(finding, BEST_ASK, k, NOBODY, NOBODY, markets[k].best_ask, ask, 0.0)
    if live != venue[0].orders_live:
        return found(finding, LIVE_ORDERS_COUNTED, NOBODY, NOBODY, NOBODY, venue[0].orders_live, live, 0.0)
    law = inspect_chains(venue, accounts, orders, expiry, finding)
    if law != HOLDS:
        return law
    free = 0
    room = orders.shape[0]
    row = venue[0].orders_free
    while row != NOBODY:
        if not 0 <= row < room or free > room:
            return found(finding, LINK_IN_RANGE, NOBODY, NOBODY, row, row, room, 0.0)
        if orders[row].lots != 0:
            return found(finding, FREE_ROW_IS_EMPTY, NOBODY, orders[row].account, row, orders[row].lots, 0.0, 0.0)
        free += 1
        row = np.int64(orders[row].next)
    if free + live != room:
        return found(finding, FREE_ROWS_COUNTED, NOBODY, NOBODY, NOBODY, free, room - live, 0.0)
    return HOLDS
