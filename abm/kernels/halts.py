"""What is not carried out: transactions of a kind that is paused, and all of them while the chain stands still."""

from __future__ import annotations

import numpy as np

from abm.kernels.clearing import record_end
from abm.kernels.compiled import inline, kernel
from abm.state import BAR_FUNDING, BAR_LIQUIDATIONS, BAR_TRADES, BAR_TRIGGERS, LIQUIDATE, NOBODY, PAUSED

EVERY_KIND = (1 << 32) - 1  # of transaction
EVERY_MARKET = -1

HALT = np.dtype(
    [
        ("from_block", "i8"),
        ("to_block", "i8"),
        ("stale", "i8"),  # blocks after the restart in which the oracle's prices from before the halt stay in force
        ("warm_up", "i8"),  # blocks after the restart without trades and liquidations
        ("waits", "i4"),  # 1: no trades and liquidations in a market before its oracle has a price from after the restart
        ("grace", "i8"),  # blocks after the restart without liquidations
    ],
    align=True,
)


@inline
def announce_halt(venue, halt, block):
    """Writes a halt that begins in `block` to the venue, or lets the one that is on last longer."""
    if halt[0].from_block <= block < halt[0].to_block:
        if venue[0].halt_until < block:
            venue[0].halt_from = block
        venue[0].halt_until = max(venue[0].halt_until, halt[0].to_block)
        venue[0].oracle_frozen_until = max(venue[0].oracle_frozen_until, halt[0].to_block + halt[0].stale)


@kernel
def open_halt(venue, halt):
    """Writes a halt that begins with the first block."""
    announce_halt(venue, halt, 0)


@inline
def barred_after_restart(block, restart, warm_up, waits, confirmed, grace):
    """What a market's guard bars in a block after a restart, BAR_... combined; `confirmed` is the block of the last oracle price."""
    if block < restart + warm_up or (waits and confirmed < restart):
        return BAR_TRADES | BAR_LIQUIDATIONS | BAR_TRIGGERS | BAR_FUNDING
    return BAR_LIQUIDATIONS if block < restart + grace else 0


@kernel
def watch_halt(venue, markets, halt):
    """Bars and pauses everything while the chain stands still, and afterwards what must wait; announces a halt one block ahead."""
    block = venue[0].block
    announce_halt(venue, halt, block + 1)
    if block < halt[0].from_block:
        return
    restart = halt[0].to_block
    if block < restart:
        venue[0].paused = EVERY_KIND
    for k in range(markets.shape[0]):
        if block < restart:
            markets[k].barred |= BAR_TRADES | BAR_LIQUIDATIONS | BAR_TRIGGERS | BAR_FUNDING
        else:
            markets[k].barred |= barred_after_restart(
                block, restart, halt[0].warm_up, halt[0].waits != 0, markets[k].oracle_confirmed, halt[0].grace
            )


@kernel
def pause_functions(venue, markets, from_block, to_block, kinds, bars, market):
    """Pauses transactions of some kinds on the venue, and bars some actions in one market or in every, between two blocks."""
    if from_block <= venue[0].block < to_block:
        venue[0].paused |= kinds
        for k in range(markets.shape[0]):
            if market in (EVERY_MARKET, k):
                markets[k].barred |= bars


@kernel
def discard_paused(venue, transactions, ended_orders):
    """Takes out the transactions that have arrived in this block and are of a paused kind; nobody pays for them."""
    n = 0
    for t in range(min(venue[0].transactions, transactions.shape[0])):
        if transactions[t].arrives <= venue[0].block and (venue[0].paused >> transactions[t].kind) & 1:
            if transactions[t].kind != LIQUIDATE and transactions[t].account != NOBODY:
                record_end(
                    venue, ended_orders, transactions[t].account, transactions[t].market, transactions[t].side, transactions[t].tick,
                    transactions[t].lots, transactions[t].kind, PAUSED,
                )  # fmt: skip
        else:
            if n != t:
                transactions[n] = transactions[t]
            n += 1
    if venue[0].transactions <= transactions.shape[0]:
        venue[0].transactions = n
