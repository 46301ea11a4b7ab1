"""Clearing on a book with a curve beside it, where market orders are auctioned: Drift v2.

The curve's account rests its quotes in the book like anybody else, made anew whenever its price has moved. Limit orders and liquidations
meet them there; market orders leave the sequence for their auctions (`order_auctions`), and trade with the exact curve when these are over.
"""

from __future__ import annotations

from abm.kernels.clearing import clear_transactions, finish_transaction, match
from abm.kernels.compiled import from_kernels, inline, kernel, shared_kernel
from abm.kernels.curves import curve_price, depth_budget
from abm.kernels.house import withdraw_quotes
from abm.kernels.order_auctions import cancel_auctions, open_auction, pay_pool, run_auctions
from abm.kernels.virtual_market import (
    lots_to_price,
    move_peg,
    quote_curve,
    reserves,
    scale_curve,
    settle_free_money,
)
from abm.state import ACTIVE, BAR_TRADES, CANCEL_ALL, CANCELLED, FILLED, IMMEDIATE_OR_CANCEL, PLACE, POST_ONLY

execute_transactions = from_kernels(clear_transactions)


@inline
def may_trade(markets, k):
    """Whether orders match in market k now."""
    return markets[k].status == ACTIVE and markets[k].barred & BAR_TRADES == 0


@inline
def meet_crossed(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, liquidation_terms,
    curves, curve_terms, k,
):  # fmt: skip
    """Lets the curve fill resting orders that its price has crossed, at their prices, as far as it moves to them."""
    for side in (1, -1):
        while True:
            tick = markets[k].best_bid if side > 0 else markets[k].best_ask
            if tick <= 0 or tick >= markets[k].ticks:
                break
            _, base = reserves(positions, markets, curves, k)
            lots = lots_to_price(curves[k], base, markets[k].lot, side, tick * markets[k].tick, curve_terms[0].half_spread)
            lots = min(lots, levels[k, tick].lots)
            if lots == 0:
                break
            _, reason, _, _, _ = match(
                venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
                liquidation_terms, markets[k].house, k, -side, tick, lots, False, False, 0.0,
            )  # fmt: skip
            if reason != FILLED:
                break


@shared_kernel
def renew_quotes(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders, liquidation_terms,
    curves, curve_terms, k,
):  # fmt: skip
    """Makes the curve's quotes in market k anew, after it has filled what rests on the wrong side of its price."""
    withdraw_quotes(venue, accounts, markets, levels, bitmap, orders, expiry, markets[k].house)
    if may_trade(markets, k):
        meet_crossed(
            venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
            liquidation_terms, curves, curve_terms, k,
        )  # fmt: skip
    quote_curve(venue, accounts, positions, markets, levels, bitmap, orders, expiry, curves, curve_terms, k)


@inline
def has_moved(positions, markets, curves, k):
    """Whether the curve's price is another than its quotes were made for, or some of them have traded."""
    quote, base = reserves(positions, markets, curves, k)
    return curve_price(quote, base, curves[k].peg) != curves[k].shown


@inline
def keep_curve(venue, accounts, positions, markets, funds, curves, curve_terms, terms, k):
    """What the curve does at the start of a block: the fund pays what it lacks; when due, its peg and its depth move."""
    block = venue[0].block
    settle_free_money(accounts, positions, markets, funds, curves, curve_terms, k)
    if block == 0 or not may_trade(markets, k):
        return
    if curve_terms[0].repeg_blocks > 0 and block % curve_terms[0].repeg_blocks == 0:
        move_peg(accounts, positions, markets, curves, curve_terms, k)
    if terms[0].scale_blocks > 0 and block % terms[0].scale_blocks == 0:
        house = markets[k].house
        cost = curves[k].funding_then - accounts[house].funding
        revenue = accounts[house].fees - curves[k].fees_then
        curves[k].funding_then = accounts[house].funding
        curves[k].fees_then = accounts[house].fees
        scale_curve(positions, markets, curves, curve_terms, k, depth_budget(cost, revenue))


@inline
def take_market_orders(
    venue, accounts, positions, markets, transactions, sequence, ended_orders, auctions, waiting, count
):  # fmt: skip
    """Moves the market orders among the first `count` rows of `sequence[0]` to their auctions; returns how many other rows there are.

    A cancellation of all orders takes those back that were sent before it.
    """
    kept = 0
    for s in range(count):
        t = sequence[0, s]
        kind = transactions[t].kind
        i = transactions[t].account
        k = int(transactions[t].market)
        if kind == PLACE and transactions[t].flags & IMMEDIATE_OR_CANCEL and transactions[t].flags & POST_ONLY == 0:
            result, left = open_auction(
                venue, accounts, positions, markets, auctions, waiting, i, k, int(transactions[t].side), transactions[t].flags,
                transactions[t].tick, transactions[t].lots, transactions[t].expires,
            )  # fmt: skip
            finish_transaction(venue, accounts, transactions, ended_orders, t, result, left)
            continue
        if kind == CANCEL_ALL:
            cancel_auctions(venue, ended_orders, auctions, waiting, i, k, CANCEL_ALL, CANCELLED)
        sequence[0, kept] = t
        kept += 1
    return kept


@inline
def look_through(venue, accounts, markets, fills, curves, terms, first):
    """Pays the fees of the fills from row `first` on, net of rebates, to the pools of their markets, and notes which quotes have traded."""
    for n in range(first, min(venue[0].fills, fills.shape[0])):
        k = int(fills[n].market)
        pay_pool(venue, accounts, markets, terms, k, fills[n].taker_fee + fills[n].maker_fee)
        if fills[n].maker == markets[k].house:
            curves[k].shown = 0.0


@kernel
def clear_beside_curves(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions, sequence,
    fills, ended_orders, liquidations, liquidated_lots, order_limits, liquidation_terms, key, count, curves, curve_terms, auctions,
    waiting, terms, fillers, filler_key,
):  # fmt: skip
    """One block: curves move, the first `count` rows of `sequence[0]` are executed, auctions go on, and the curves quote again.

    `waiting[0]` is how many rows of `auctions` are in use, `fillers` the accounts among which the reward of a match is drawn.
    """
    first = venue[0].fills
    for k in range(markets.shape[0]):
        keep_curve(venue, accounts, positions, markets, funds, curves, curve_terms, terms, k)
        if has_moved(positions, markets, curves, k):
            renew_quotes(
                venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
                liquidation_terms, curves, curve_terms, k,
            )  # fmt: skip
    if count > 0:
        others = take_market_orders(venue, accounts, positions, markets, transactions, sequence, ended_orders, auctions, waiting, count)
        execute_transactions(
            venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, transactions,
            sequence, fills, ended_orders, liquidations, liquidated_lots, order_limits, liquidation_terms, key, others,
        )  # fmt: skip
    look_through(venue, accounts, markets, fills, curves, terms, first)
    for a in range(waiting[0]):
        k = int(auctions[a].market)
        withdraw_quotes(venue, accounts, markets, levels, bitmap, orders, expiry, markets[k].house)
        curves[k].shown = 0.0
    if waiting[0] > 0:
        run_auctions(
            venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
            liquidation_terms, curves, curve_terms, terms, fillers, filler_key, auctions, waiting,
        )  # fmt: skip
    first = venue[0].fills
    for k in range(markets.shape[0]):
        settle_free_money(accounts, positions, markets, funds, curves, curve_terms, k)
        if has_moved(positions, markets, curves, k):
            renew_quotes(
                venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, fills, ended_orders,
                liquidation_terms, curves, curve_terms, k,
            )  # fmt: skip
    look_through(venue, accounts, markets, fills, curves, terms, first)
