"""Prices of auctions: of accounts in liquidation (Derive), and of single orders (Drift v2).

Derive (derivexyz/v2-core `src/liquidation/DutchAuction.sol`): the longer an account is under auction, the less of its value a bidder
pays; once nothing is left to bid for, the bidder is paid, more and more. Drift v2 (drift-labs/protocol-v2
`programs/drift/src/math/auction.rs`): the limit of a market order moves from slot to slot.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline

ORDER_AUCTION_BAND = 1.0 / 200.0  # fraction of the price that an order's auction runs over (Drift v2)


@inline
def auction_discount(start, turn, fast, slow, elapsed):
    """Part of its value that a bidder pays for a solvent account: from `start` to `turn` in `fast` seconds, to 0 in `slow` more."""
    if elapsed < fast:
        return start - (start - turn) * elapsed / fast
    if slow <= 0.0:
        return 0.0
    return max(turn * (1.0 - (elapsed - fast) / slow), 0.0)


@inline
def solvent_bid_price(value, reserved, discount):
    """USD for the whole of a solvent account: (mark-to-market value - reserved cash) x discount. Reserved is what earlier bidders paid."""
    return (value - reserved) * discount


@inline
def largest_bid_share(value, margin_balance, buffer, reserved, discount):
    """Largest share of a solvent account that may be sold: so much that what is left has its margin and a buffer.

    BM / (BM - value x d - reserved x (1 - d)) with BM = margin balance - buffer x (value - margin balance); the margin balance is value
    less maintenance margin, negative where margin is short. Nothing is sold of an account that is not short of margin and buffer.
    """
    short = margin_balance + (margin_balance - value) * buffer
    if short >= 0.0:
        return 0.0
    denominator = short - value * discount - reserved * (1.0 - discount)
    return min(short / denominator, 1.0) if denominator < 0.0 else 1.0


@inline
def insolvent_payout(elapsed, length, value, margin_balance, share):
    """USD that the bidder for a share of an insolvent account is paid: from -value (0 above zero) to -margin balance in `length` s."""
    first = max(-value, 0.0)
    passed = min(elapsed / length, 1.0) if length > 0.0 else 1.0
    return share * (first + (-margin_balance - first) * passed)


@inline
def withdrawals_are_blocked(security_money, insolvent_margin):
    """Whether insolvent accounts lack more to their maintenance margins (USD) than the security module has."""
    return insolvent_margin > security_money


@inline
def order_auction_bounds(oracle, side, limit):
    """(first, last) price in USD of the auction of an order; `limit` USD is the trader's own, 0 for none; side +1 buys.

    From the oracle price to 0.5 % worse, no further than the limit; a limit better than the oracle is reached from 0.5 % better.
    """
    last = oracle * (1.0 + side * ORDER_AUCTION_BAND)
    if limit <= 0.0:
        return oracle, last
    if side * (oracle - limit) > 0.0:
        return limit * (1.0 - side * ORDER_AUCTION_BAND), limit
    return oracle, min(last, limit) if side > 0 else max(last, limit)


@inline
def order_auction_price(first, last, duration, elapsed):
    """USD that an order in auction goes to after `elapsed` of `duration` slots: linear, and the last price from then on."""
    if elapsed >= duration or duration <= 0.0:
        return last
    return first + (last - first) * elapsed / duration


@inline
def filler_reward(taker_fee, fraction, floor, elapsed):
    """USD to whoever brings the match in: min(fraction of the taker's fee, floor x max(1, slots waited)^(1/4)) (`math/fees.rs`)."""
    return min(taker_fee * fraction, floor * math.sqrt(math.sqrt(max(elapsed, 1.0))))


@inline
def match_fees(value, taker_rate, rebate_rate, discount, referral, fraction, floor, elapsed):
    """(taker fee, maker rebate, to the venue, to the filler, to the referrer) in USD of a match of `value` USD (Drift v2 `math/fees.rs`).

    `discount` and `referral` are fractions of the undiscounted fee, 0 without a referrer; `fraction` 0 means without a filler.
    """
    whole = value * taker_rate
    referrer = whole * referral
    fee = whole * (1.0 - discount)
    rebate = value * rebate_rate
    filler = filler_reward(fee, fraction, floor, elapsed)
    return fee, rebate, fee - rebate - filler - referrer, filler, referrer
