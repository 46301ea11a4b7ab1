"""Liquidation into ranges of liquidity: a position below maintenance margin is closed like an order, and the fund stands behind it."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.execution import (
    choose_position,
    notional_at_mark,
    record_liquidation,
    reward_keeper,
    start_limits,
)
from abm.kernels.house import pay_fund
from abm.kernels.liquidation import allowance_left, bankruptcy_price, fund_can_cover, liquidation_size
from abm.kernels.margin import account_risk, is_liquidatable
from abm.kernels.margin_shares import lots_to_close, maintenance_part
from abm.kernels.range_pool import lots_up_to, swap
from abm.kernels.range_trading import trade
from abm.state import (
    ACTIVE,
    ALREADY_LIQUIDATED,
    BAR_LIQUIDATIONS,
    FILLED,
    FUND_EXHAUSTED,
    MARKET_HALTED,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
)


@inline
def liquidate_in_ranges(
    venue, accounts, positions, markets, margin_tiers, funds, fills, liquidations, pools, edges, range_terms, terms, i, keeper, wanted,
    submitted, gas, key,
):  # fmt: skip
    """Sells a position of account i, or the rule's portion of it, into the ranges, no further than an order could go.

    The penalty goes to the fund, which pays what the account cannot; where it cannot, the liquidation fails.
    """
    start_limits(venue, accounts, i)
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    allowance = allowance_left(terms[0].max_notional_per_block, accounts[i].used_notional)
    notional_before = notional_at_mark(positions, markets, i)
    result = NOT_LIQUIDATABLE
    k = NOBODY
    if is_liquidatable(equity, maintenance):
        k = choose_position(venue, positions, markets, margin_tiers, i, wanted, key)
        if k == NOBODY or allowance <= 0.0:
            k = NOBODY
            result = ALREADY_LIQUIDATED
    n = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result)
    if k == NOBODY:
        return result
    positions[i, k].liquidated_block = venue[0].block
    held = positions[i, k].lots
    side = -1 if held > 0 else 1
    size = held * markets[k].lot
    lot_price = markets[k].lot * markets[k].mark
    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, abs(held) * lot_price)
    coins = liquidation_size(size, markets[k].mark, terms[0].min_notional, terms[0].max_portion, allowance, markets[k].lot)
    wanted_lots = min(max(int(abs(coins) / markets[k].lot + 0.5), 1), lots_to_close(positions, markets, margin_tiers, i, k))
    limit = math.inf if side > 0 else 0.0
    if range_terms[0].root_limit > 0.0:
        limit = pools[k].reference * (range_terms[0].root_limit if side > 0 else 1.0 / range_terms[0].root_limit)
    result = FILLED
    closed = 0
    value = delta = reward = 0.0
    if markets[k].status != ACTIVE or markets[k].barred & BAR_LIQUIDATIONS:
        result = MARKET_HALTED
    else:
        closed = lots_up_to(pools, edges, k, side, wanted_lots, markets[k].lot, limit)
        if closed <= 0:
            closed = 0
            result = NO_LIQUIDITY
    if closed > 0:
        _, value, _ = swap(pools, edges, k, side, closed * markets[k].lot, math.inf if side > 0 else 0.0, 0.0, False)
        others = False
        for j in range(positions.shape[1]):
            others = others or (j != k and positions[i, j].lots != 0)
        delta = terms[0].max_fee * value
        if closed == abs(held) and not others:
            # A last close leaves nothing below zero: the fund takes a smaller penalty, or pays.
            delta = min(delta, accounts[i].collateral - side * value)
        if not fund_can_cover(min(funds[markets[k].fund].balance, markets[k].insurance_left), delta):
            result = FUND_EXHAUSTED
            closed = 0
    if closed > 0:
        fund = markets[k].fund
        accounts[i].used_notional += closed * lot_price
        accounts[i].used_insurance -= min(delta, 0.0)
        markets[k].insurance_left += min(delta, 0.0)
        trade(venue, accounts, positions, markets, funds, fills, pools, edges, range_terms, i, k, side, closed, 0.0, True)
        pay_fund(accounts, funds, fund, i, delta)
        reward = reward_keeper(venue, accounts, funds, fund, keeper, terms, value, gas)
    if n < liquidations.shape[0]:
        liquidations[n].result = result
        liquidations[n].side = side
        liquidations[n].lots = closed
        liquidations[n].lots_wanted = wanted_lots
        liquidations[n].mark = markets[k].mark
        liquidations[n].index = markets[k].index
        liquidations[n].bankruptcy_price = bankruptcy_price(-size, markets[k].mark, own, equity, maintenance)
        if equity != 0.0:
            liquidations[n].leverage_before = notional_before / equity
        if closed > 0:
            liquidations[n].fills = 1
            liquidations[n].notional = value
            liquidations[n].price = value / (closed * markets[k].lot)
            liquidations[n].fund_delta = delta
            liquidations[n].reward = reward
    return result
