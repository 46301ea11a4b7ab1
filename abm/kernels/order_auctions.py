"""Auctions of market orders beside a curve: an order waits some slots while its price gets worse, and makers may meet it (Drift v2).

While it lasts, resting orders that cross the auction's price fill the order at their own price, and the curve joins such a match just in
time, only to bring its own inventory down. Once it is over, resting orders and the curve fill the rest, best price first, up to the order's
limit; what then is left ends. Whoever brings a match in gets a part of the taker's fee; the rest of it belongs to the curve's fee pool.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.auction import OPEN, refusal
from abm.kernels.auction_prices import match_fees, order_auction_bounds, order_auction_price
from abm.kernels.clearing import match, record_end
from abm.kernels.compiled import inline
from abm.kernels.curves import is_imbalanced, just_in_time
from abm.kernels.execution import may_hold
from abm.kernels.house import trade_with_house
from abm.kernels.random import uniform
from abm.kernels.virtual_market import lots_to_price, reserves, trade_on_curve
from abm.state import (
    ACTIVE,
    BAR_RISK,
    BAR_TRADES,
    EXPIRED,
    FILLED,
    ISOLATED_ONLY,
    LIQUIDATED,
    MARKET_HALTED,
    MARKET_SETTLED,
    NO_LIQUIDITY,
    NOBODY,
    PLACE,
    POOL_FULL,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    SETTLED,
)

AUCTIONED_ORDER = np.dtype(
    [
        ("lots", "i8"),  # what is left
        ("tick", "i8"),  # limit
        ("expires", "i8"),  # block from which it is no longer valid
        ("started", "i8"),  # block in which it arrived
        ("first", "f8"),  # USD, price at which its auction begins
        ("last", "f8"),  # USD, price at which it ends
        ("account", "i4"),
        ("market", "i4"),
        ("side", "i4"),
        ("flags", "i4"),
    ],
    align=True,
)

AUCTION_TERMS = np.dtype(
    [
        ("slots", "f8"),  # length of an auction
        ("slots_per_block", "f8"),
        ("intensity", "f8"),  # part of what it might take just in time that the curve takes
        ("concentration", "f8"),  # factor on sqrt(k) between which and its inverse the curve's reserve of coins lies
        ("filler_fraction", "f8"),  # of the taker's fee
        ("filler_floor", "f8"),  # USD per fourth root of a slot
        ("pool_share", "f8"),  # of the fees that are left, to the curve's fee pool
        ("scale_blocks", "i8"),  # between changes of depth, 0: none
    ],
    align=True,
)


@inline
def open_auction(venue, accounts, positions, markets, auctions, waiting, i, k, side, flags, tick, lots, expires):
    """Lets a market order wait in an auction of its own. Returns (FILLED or why it may not, lots)."""
    reason, lots = refusal(venue, accounts, positions, markets, i, k, side, flags, tick, lots, expires)
    if reason != OPEN:
        return reason, lots
    n = waiting[0]
    if n >= auctions.shape[0]:
        return POOL_FULL, lots
    first, last = order_auction_bounds(markets[k].oracle, side, tick * markets[k].tick)
    auctions[n].lots = lots
    auctions[n].tick = tick
    auctions[n].expires = expires
    auctions[n].started = venue[0].block
    auctions[n].first = first
    auctions[n].last = last
    auctions[n].account = i
    auctions[n].market = k
    auctions[n].side = side
    auctions[n].flags = flags
    waiting[0] = n + 1
    return FILLED, 0


@inline
def end_auction(venue, ended_orders, auctions, a, kind, reason):
    """Records that an auctioned order ended with something left."""
    record_end(
        venue, ended_orders, int(auctions[a].account), int(auctions[a].market), int(auctions[a].side), auctions[a].tick,
        auctions[a].lots, kind, reason,
    )  # fmt: skip


@inline
def cancel_auctions(venue, ended_orders, auctions, waiting, i, k, kind, reason):
    """Ends the auctioned orders of account i in market k (NOBODY: in all markets)."""
    kept = 0
    for a in range(waiting[0]):
        if auctions[a].account == i and (k == NOBODY or auctions[a].market == k):
            end_auction(venue, ended_orders, auctions, a, kind, reason)
        else:
            if kept != a:
                auctions[kept] = auctions[a]
            kept += 1
    waiting[0] = kept


@inline
def was_liquidated(positions, i, block):
    """Whether a liquidation of account i was tried in `block` or later."""
    for k in range(positions.shape[1]):
        if positions[i, k].liquidated_block >= block:
            return True
    return False


@inline
def why_not_now(venue, accounts, positions, markets, liquidation_terms, order):
    """Why an auctioned order ends without a trade in this block, MARKET_HALTED also where it only waits, or OPEN."""
    i = order.account
    k = order.market
    if markets[k].status == SETTLED:
        return MARKET_SETTLED
    if liquidation_terms[0].cancels_orders != 0 and was_liquidated(positions, i, order.started):
        return LIQUIDATED
    if order.expires <= venue[0].block:
        return EXPIRED
    if markets[k].status != ACTIVE or markets[k].barred & BAR_TRADES:
        return MARKET_HALTED
    if not may_hold(venue, accounts, positions, markets, i, k):
        return ISOLATED_ONLY
    return OPEN


@inline
def auction_limit(markets, k, side, tick, price, over):
    """Tick up to which an order trades now: its auction's price, once that is over its own limit, and the market's price band."""
    if not over:
        here = price / markets[k].tick
        if side > 0:
            tick = min(tick, int(math.floor(here + 1e-9)))
        else:
            tick = max(tick, int(math.ceil(here - 1e-9)))
    if side > 0 and markets[k].highest_tick > 0:
        return min(tick, markets[k].highest_tick)
    if side < 0 and markets[k].lowest_tick > 0:
        return max(tick, markets[k].lowest_tick)
    return tick


@inline
def lots_just_in_time(positions, markets, curves, terms, k, side, tick, lots):
    """Lots of a match of `lots` at `tick` that the curve takes itself: none unless the taker brings its inventory down."""
    held = positions[markets[k].house, k].lots
    if side * held <= 1:
        return 0
    _, base = reserves(positions, markets, curves, k)
    imbalanced = is_imbalanced(base, curves[k].sqrt_k, terms[0].concentration)
    against_wash = side * (markets[k].oracle - tick * markets[k].tick) > 0.0
    return int(just_in_time(float(lots), terms[0].intensity, float(held), imbalanced, against_wash) + 1e-9)


@inline
def pay_pool(venue, accounts, markets, terms, k, amount):
    """Moves the pool's share of `amount` USD of the venue's fees in market k to the curve's account."""
    house = markets[k].house
    part = terms[0].pool_share * amount
    venue[0].fees -= part
    accounts[house].fees += part
    accounts[house].collateral += part


@inline
def share_fees(venue, accounts, markets, terms, fillers, key, i, k, value, collected, elapsed):
    """Shares out the `collected` USD of fees, net of rebates, of a match of `value` USD, `elapsed` slots after account i sent its order.

    The filler is drawn among the accounts of `fillers`; without any nothing is paid to one.
    """
    if value <= 0.0:
        return
    fraction = terms[0].filler_fraction if fillers.shape[0] > 0 else 0.0
    rate = accounts[i].taker_fee
    _, _, left, reward, _ = match_fees(value, rate, rate - collected / value, 0.0, 0.0, fraction, terms[0].filler_floor, elapsed)
    if reward > 0.0:
        j = fillers[int(uniform(key, venue[0].block, i, k) * fillers.shape[0])]
        venue[0].fees -= reward
        venue[0].fee_rewards += reward
        accounts[j].collateral += reward
        accounts[j].rewards += reward
        pay_pool(venue, accounts, markets, terms, k, left)
    else:
        pay_pool(venue, accounts, markets, terms, k, collected)


@inline
def fill_auctioned(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, liquidation_terms,
    curves, curve_terms, terms, fillers, key, i, k, side, limit, lots, reduce_only, over, elapsed,
):  # fmt: skip
    """Trades up to `lots` of an auctioned order up to tick `limit`, with the curve too if its auction is over.

    The curve's quotes must not be in the book. Returns (lots left, why it stopped).
    """
    lot = markets[k].lot
    while lots > 0:
        if reduce_only:
            lots = min(lots, -side * positions[i, k].lots)
            if lots <= 0:
                return 0, REDUCE_ONLY_DROPPED
        best = markets[k].best_ask if side > 0 else markets[k].best_bid
        maker_crosses = 0 < best < markets[k].ticks and side * (limit - best) >= 0
        charged = venue[0].fees
        volume = markets[k].volume
        reason = NO_LIQUIDITY
        to = best if maker_crosses else limit
        _, base = reserves(positions, markets, curves, k)
        if over and lots_to_price(curves[k], base, lot, side, to * markets[k].tick, curve_terms[0].half_spread) > 0:
            lots, reason = trade_on_curve(
                venue, accounts, positions, markets, margin_tiers, fills, curves, curve_terms, i, k, side, to, lots
            )  # fmt: skip
        elif maker_crosses:
            row = levels[k, best].first - 1
            chunk = min(lots, orders[row].lots)
            part = 0
            if orders[row].account != i:
                part = lots_just_in_time(positions, markets, curves, terms, k, side, best, chunk)
            reason = FILLED
            if part > 0:
                value = float(part * best) * markets[k].unit
                reason = trade_with_house(venue, accounts, positions, markets, margin_tiers, fills, i, k, side, part, value)
                if reason == FILLED:
                    lots -= part
                    chunk = min(lots, chunk)
            if reason == FILLED and chunk > 0:
                left, reason, _, _, _ = match(
                    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
                    liquidation_terms, i, k, side, best, chunk, reduce_only, False, 0.0,
                )  # fmt: skip
                lots -= chunk - left
        else:
            return lots, NO_LIQUIDITY
        share_fees(
            venue, accounts, markets, terms, fillers, key, i, k, markets[k].volume - volume, venue[0].fees - charged, elapsed
        )  # fmt: skip
        if reason != FILLED and reason != NO_LIQUIDITY:
            return lots, reason
    return lots, FILLED


@inline
def run_auction(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, liquidation_terms,
    curves, curve_terms, terms, fillers, key, auctions, a,
):  # fmt: skip
    """One block of an auction. Returns OPEN while it goes on, else FILLED or why it ended; what is left stays in the order."""
    order = auctions[a]
    i = int(order.account)
    k = int(order.market)
    side = int(order.side)
    elapsed = (venue[0].block - order.started) * terms[0].slots_per_block
    over = terms[0].slots <= 0.0 or elapsed > terms[0].slots
    reason = why_not_now(venue, accounts, positions, markets, liquidation_terms, order)
    if reason == MARKET_HALTED and not over:
        return OPEN
    if reason != OPEN:
        return reason
    price = order_auction_price(order.first, order.last, terms[0].slots, elapsed)
    limit = auction_limit(markets, k, side, order.tick, price, over)
    reduce_only = order.flags & REDUCE_ONLY != 0 or markets[k].barred & BAR_RISK != 0
    lots, reason = fill_auctioned(
        venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
        liquidation_terms, curves, curve_terms, terms, fillers, key, i, k, side, limit, order.lots, reduce_only, over, elapsed,
    )  # fmt: skip
    auctions[a].lots = lots
    if reason == NO_LIQUIDITY and not over:
        return OPEN
    return reason


@inline
def run_auctions(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, liquidation_terms,
    curves, curve_terms, terms, fillers, key, auctions, waiting,
):  # fmt: skip
    """One block of every auction, the oldest order first; the curve's quotes must not be in the book."""
    kept = 0
    for a in range(waiting[0]):
        reason = run_auction(
            venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
            liquidation_terms, curves, curve_terms, terms, fillers, key, auctions, a,
        )  # fmt: skip
        if reason == OPEN:
            if kept != a:
                auctions[kept] = auctions[a]
            kept += 1
        elif reason != FILLED and (auctions[a].lots > 0 or reason == REDUCE_ONLY_DROPPED):
            end_auction(venue, ended_orders, auctions, a, PLACE, reason)
    waiting[0] = kept
