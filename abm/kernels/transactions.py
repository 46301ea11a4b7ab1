"""What agents write: transactions for the venue, and orders for the outside spot market. Both wait in tables until their turn."""

from __future__ import annotations

from abm.kernels.compiled import inline
from abm.state import (
    ADD_RANGE,
    CANCEL_ALL,
    CANCEL_CONDITIONALS,
    CONDITIONAL,
    IMMEDIATE_OR_CANCEL,
    LIQUIDATE,
    NEVER,
    NOBODY,
    PLACE,
    REMOVE_RANGE,
)


@inline
def submit(venue, transactions, kind, i, k, side, flags, target, tick, lots, expires, handle, amount, fee, latency):
    """Appends one transaction, decided in this block and arriving `latency` blocks later.

    Beyond the table's room only the counter rises; the model then stops with an error.
    """
    n = venue[0].transactions
    venue[0].transactions = n + 1
    if n < transactions.shape[0]:
        transactions[n].kind = kind
        transactions[n].account = i
        transactions[n].market = k
        transactions[n].side = side
        transactions[n].flags = flags
        transactions[n].target = target
        transactions[n].tick = tick
        transactions[n].lots = lots
        transactions[n].expires = expires
        transactions[n].handle = handle
        transactions[n].amount = amount
        transactions[n].fee = fee
        transactions[n].submitted = venue[0].block
        transactions[n].arrives = venue[0].block + latency


@inline
def submit_order(venue, transactions, i, k, side, tick, lots, flags, expires, latency):
    """An order at `tick` or better; `expires` is the block from which it is no longer valid."""
    submit(venue, transactions, PLACE, i, k, side, flags, NOBODY, tick, lots, expires, 0, 0.0, 0.0, latency)


@inline
def submit_taker(venue, transactions, i, k, side, tick, lots, flags, latency):
    """An order that takes what is there up to `tick` and leaves nothing behind."""
    submit_order(venue, transactions, i, k, side, tick, lots, flags | IMMEDIATE_OR_CANCEL, NEVER, latency)


@inline
def submit_cancel_all(venue, transactions, i, k, latency):
    """Cancels the account's resting orders in market k (NOBODY: in all)."""
    submit(venue, transactions, CANCEL_ALL, i, k, 0, 0, NOBODY, 0, 0, 0, 0, 0.0, 0.0, latency)


@inline
def submit_conditional(venue, transactions, i, k, side, trigger, tick, lots, flags, expires, latency):
    """An order that is sent when the oracle (or mark) price passes `trigger` USD."""
    submit(venue, transactions, CONDITIONAL, i, k, side, flags, NOBODY, tick, lots, expires, 0, trigger, 0.0, latency)


@inline
def submit_cancel_conditionals(venue, transactions, i, k, latency):
    """Cancels the account's waiting conditional orders in market k."""
    submit(venue, transactions, CANCEL_CONDITIONALS, i, k, 0, 0, NOBODY, 0, 0, 0, 0, 0.0, 0.0, latency)


@inline
def submit_liquidation(venue, transactions, keeper, target, k, fee, latency):
    """Asks the venue to liquidate `target` (market k, or NOBODY: the venue chooses), at `fee` USD of gas."""
    submit(venue, transactions, LIQUIDATE, keeper, k, 0, 0, target, 0, 0, NEVER, 0, 0.0, fee, latency)


@inline
def submit_takeover(venue, transactions, keeper, target, k, lots, fee, latency):
    """Asks the venue to hand up to `lots` of `target`'s position in market k over to the keeper, at `fee` USD of gas."""
    submit(venue, transactions, LIQUIDATE, keeper, k, 0, 0, target, 0, lots, NEVER, 0, 0.0, fee, latency)


@inline
def submit_bid(venue, transactions, keeper, target, share, fee, latency):
    """Bids for up to a share of `target`, which is under auction, at `fee` USD of gas."""
    submit(venue, transactions, LIQUIDATE, keeper, NOBODY, 0, 0, target, 0, 0, NEVER, 0, share, fee, latency)


@inline
def submit_add_range(venue, transactions, i, k, low, high, amount, latency):
    """Provides liquidity worth `amount` USD between two prices, in ticks of market k."""
    submit(venue, transactions, ADD_RANGE, i, k, 0, 0, NOBODY, low, 0, NEVER, high, amount, 0.0, latency)


@inline
def submit_remove_ranges(venue, transactions, i, k, latency):
    """Takes all liquidity of the account in ranges of market k back."""
    submit(venue, transactions, REMOVE_RANGE, i, k, 0, 0, NOBODY, 0, 0, NEVER, 0, 0.0, 0.0, latency)


@inline
def submit_spot_order(venue, spot_orders, i, k, size):
    """Buys (size > 0) or sells `size` coins on the outside market before the next block."""
    n = venue[0].spot_orders
    venue[0].spot_orders = n + 1
    if n < spot_orders.shape[0]:
        spot_orders[n].account = i
        spot_orders[n].market = k
        spot_orders[n].size = size


@inline
def market_limit(markets, k, side, reach):
    """Tick that a market order of this side is willing to go to: `reach` (fraction) beyond the mark price, inside the grid."""
    tick = int(markets[k].mark * (1.0 + side * reach) / markets[k].tick)
    return min(max(tick, 1), markets[k].ticks - 1)
