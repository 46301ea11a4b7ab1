"""Liquidations that the protocol itself starts, in the protocol's own order."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline, kernel
from abm.kernels.liquidation import distance_to_fillable, fillable_price, is_more_urgent
from abm.kernels.margin import is_liquidatable
from abm.kernels.margin_shares import maintenance_part
from abm.kernels.random import uniform
from abm.kernels.transactions import submit_liquidation
from abm.state import NOBODY


@inline
def is_scan_block(block, scan_blocks, at_random, key):
    """Whether accounts are looked at in this block: every `scan_blocks` blocks, or at random with that mean waiting time.

    At random it is a Poisson process of rate 1 / scan_blocks: a block contains a scan with probability 1 - exp(-1 / scan_blocks).
    """
    if at_random:
        return scan_blocks <= 0.0 or uniform(key, block, 0, 0) < -math.expm1(-1.0 / scan_blocks)
    return scan_blocks <= 1.0 or block % int(scan_blocks) == 0


@kernel
def submit_protocol_liquidations(
    venue, accounts, positions, markets, margin_tiers, transactions, terms, rows, urgency, lag, attempts, scan_blocks, at_random,
    key,
):  # fmt: skip
    """Submits a liquidation for up to `attempts` accounts that have been below maintenance margin for `lag` blocks or more.

    The worst first: by the largest relative distance of the fillable from the mark price over the account's positions, then by
    notional (dYdX `x/clob`, sorting of liquidation orders). rows (n,) int64 and urgency (n, 2) float64 are scratch space.
    """
    if venue[0].liquidatable == 0:
        return
    block = venue[0].block
    if not is_scan_block(block, scan_blocks, at_random, key):
        return
    count = 0
    for i in range(accounts.shape[0]):
        equity = accounts[i].equity
        maintenance = accounts[i].maintenance_margin
        if is_liquidatable(equity, maintenance) and block - accounts[i].below_maintenance_since >= lag:
            worst = 0.0
            total = 0.0
            for k in range(positions.shape[1]):
                if positions[i, k].lots != 0:
                    size = positions[i, k].lots * markets[k].lot
                    mark = markets[k].mark
                    notional = abs(size) * mark
                    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, notional)
                    limit = fillable_price(
                        size, mark, own, equity, maintenance, terms[0].bankruptcy_adjustment, terms[0].spread_to_maintenance_margin
                    )
                    worst = max(worst, distance_to_fillable(limit, mark))
                    total += notional
            place = count
            while place > 0 and is_more_urgent(worst, total, urgency[place - 1, 0], urgency[place - 1, 1]):
                if place < rows.shape[0]:
                    rows[place] = rows[place - 1]
                    urgency[place, 0] = urgency[place - 1, 0]
                    urgency[place, 1] = urgency[place - 1, 1]
                place -= 1
            if place < rows.shape[0]:
                rows[place] = i
                urgency[place, 0] = worst
                urgency[place, 1] = total
                count = min(count + 1, rows.shape[0])
    for r in range(min(count, attempts)):
        submit_liquidation(venue, transactions, NOBODY, rows[r], NOBODY, 0.0, 0)
