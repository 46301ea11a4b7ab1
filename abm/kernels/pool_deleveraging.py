"""Deleveraging of profits that a pool can hardly pay: the most profitable positions of a side are closed against the pool (GMX v2)."""

from __future__ import annotations

import numpy as np

from abm.kernels.compiled import kernel
from abm.kernels.execution import notional_at_mark
from abm.kernels.house import interest_after
from abm.kernels.margin import account_risk
from abm.kernels.pools import may_deleverage
from abm.kernels.takeover import change_position
from abm.state import ACTIVE, NOBODY


@kernel
def deleverage_profits(venue, accounts, positions, markets, margin_tiers, pools, deleveragings, rows, scores, threshold, target):
    """Closes positions in profit at mark, the most profitable first, on sides whose profit is above `threshold` of their pool.

    Until it is at `target` of it. rows (n,) int64 and scores (n,) float64 are scratch space.
    """
    for k in range(markets.shape[0]):
        house = markets[k].house
        if house == NOBODY or pools[k].shares <= 0.0 or markets[k].status != ACTIVE:
            continue
        half = 0.5 * max(pools[k].value, 0.0)
        for side in (1, -1):
            if not may_deleverage(pools[k].long_profit if side > 0 else pools[k].short_profit, half, threshold):
                continue
            price = markets[k].lot * markets[k].mark
            count = 0
            total = 0.0
            for i in range(accounts.shape[0]):
                lots = positions[i, k].lots
                if lots * side > 0 and i != house:
                    profit = lots * price - positions[i, k].entry_value
                    total += profit
                    if profit > 0.0:
                        rows[count] = i
                        scores[count] = -profit
                        count += 1
            order = np.argsort(scores[:count], kind="mergesort")
            for r in range(count):
                if not may_deleverage(total, half, target):
                    break
                i = rows[order[r]]
                equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, i)
                if equity <= 0.0:
                    continue
                lots = positions[i, k].lots
                value = lots * price
                n = venue[0].deleveragings
                venue[0].deleveragings = n + 1
                if n < deleveragings.shape[0]:
                    deleveragings[n].block = venue[0].block
                    deleveragings[n].liquidated = house
                    deleveragings[n].counterparty = i
                    deleveragings[n].market = k
                    deleveragings[n].side = side
                    deleveragings[n].lots = abs(lots)
                    deleveragings[n].price = markets[k].mark
                    deleveragings[n].mark = markets[k].mark
                    deleveragings[n].counterparty_profit = -scores[order[r]]
                    deleveragings[n].counterparty_leverage = notional_at_mark(positions, markets, i) / equity
                    deleveragings[n].haircut = 0.0
                markets[k].open_interest = interest_after(positions, markets, i, k, -lots)
                markets[k].deleveraged += abs(value)
                accounts[i].collateral += value
                accounts[house].collateral -= value
                change_position(positions, i, k, -lots, -value)
                change_position(positions, house, k, lots, value)
                total += scores[order[r]]
