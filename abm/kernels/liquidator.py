"""Liquidation by a liquidator who takes the position: at the mark price, for half of the penalty, with the margin it needs (Perp v2).

The owner pays the penalty into the fund, which passes the liquidator's part on as its reward; so the liquidator holds the position at the
mark price less (long) or plus (short) that part. Source: perpetual-protocol/perp-curie-contract `contracts/ClearingHouse.sol`, liquidate.
"""

from __future__ import annotations

from abm.kernels.compiled import inline
from abm.kernels.curves import takeover_penalty, takeover_share
from abm.kernels.execution import choose_position, may_change, may_hold, notional_at_mark, record_liquidation, reward_keeper
from abm.kernels.house import pay_fund
from abm.kernels.liquidation import bankruptcy_price
from abm.kernels.margin import account_risk, is_liquidatable, open_interest_change, position_margin
from abm.kernels.margin_shares import lots_to_close, maintenance_part
from abm.kernels.takeover import change_position
from abm.state import (
    ACTIVE,
    ALREADY_LIQUIDATED,
    BAR_LIQUIDATIONS,
    FILLED,
    FUND_EXHAUSTED,
    ISOLATED_ONLY,
    MARKET_HALTED,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
    TAKEN_OVER,
    UNDERCOLLATERALISED,
)


@inline
def could_take(accounts, positions, markets, margin_tiers, i, keeper, k, lots, ratio, equity):
    """Whether the keeper passes the collateral test with `lots` (signed) of account i's position and its part of the penalty."""
    value = lots * markets[k].lot * markets[k].mark
    _, reward = takeover_penalty(value, ratio, equity)
    interest = markets[k].open_interest + open_interest_change(positions[i, k].lots, -lots, positions[keeper, k].lots, lots)
    return may_change(accounts, positions, markets, margin_tiers, keeper, k, lots, reward - value, interest)


@inline
def affordable_lots(accounts, positions, markets, margin_tiers, i, keeper, k, lots, ratio, equity):
    """Lots > 0 of `lots` > 0 that the keeper has the margin to take from account i; 0 if none."""
    sign = 1 if positions[i, k].lots > 0 else -1
    if could_take(accounts, positions, markets, margin_tiers, i, keeper, k, sign * lots, ratio, equity):
        return lots
    own, initial, _ = account_risk(accounts, positions, markets, margin_tiers, keeper)
    notional = lots * markets[k].lot * markets[k].mark
    _, reward = takeover_penalty(notional, ratio, equity)
    interest = markets[k].open_interest * markets[k].lot * markets[k].mark
    needed, _ = position_margin(markets, margin_tiers, k, notional, interest, positions[keeper, k].least_margin_fraction)
    if own <= initial or needed <= reward:
        return 0
    fewer = int(lots * 0.999 * (own - initial) / (needed - reward))
    if fewer < 1 or fewer >= lots or not could_take(
        accounts, positions, markets, margin_tiers, i, keeper, k, sign * fewer, ratio, equity
    ):  # fmt: skip
        return 0
    return fewer


@inline
def take_position(
    venue, accounts, positions, markets, margin_tiers, funds, liquidations, terms, i, keeper, wanted, most, submitted, gas, key
):
    """The keeper takes a position of account i, or the part of it that the rule, its own margin and `most` lots (0: any) allow.

    All of a small position, or of an account below half its maintenance margin; else up to half of all the account's positions. What
    the account then lacks is a debt that the fund must be able to pay, or nothing happens; it pays once no position is left. Returns
    FILLED or why nothing happened.
    """
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    result = NOT_LIQUIDATABLE
    k = NOBODY
    if is_liquidatable(equity, maintenance):
        k = choose_position(venue, positions, markets, margin_tiers, i, wanted, key)
        result = ALREADY_LIQUIDATED
    n = record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result)
    if k == NOBODY:
        return result
    held = positions[i, k].lots
    sign = 1 if held > 0 else -1
    price = markets[k].lot * markets[k].mark
    total = notional_at_mark(positions, markets, i)
    ratio = terms[0].max_fee
    share = takeover_share(abs(held) * price, total, equity, maintenance, terms[0].min_notional)
    wanted_lots = min(max(int(share * abs(held) + 0.5), 1), abs(held))
    wanted_lots = min(wanted_lots, lots_to_close(positions, markets, margin_tiers, i, k))
    lots = wanted_lots if most <= 0 else min(wanted_lots, most)
    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, abs(held) * price)
    result = FILLED
    if markets[k].status != ACTIVE or markets[k].barred & BAR_LIQUIDATIONS != 0:
        result = MARKET_HALTED
    elif keeper < 0 or keeper == i or accounts[keeper].house != 0:
        result = NO_LIQUIDITY  # the protocol itself takes nothing
    elif not may_hold(venue, accounts, positions, markets, keeper, k):
        result = ISOLATED_ONLY
    else:
        lots = affordable_lots(accounts, positions, markets, margin_tiers, i, keeper, k, lots, ratio, equity)
        if lots == 0:
            result = UNDERCOLLATERALISED
    penalty, reward = takeover_penalty(lots * price, ratio, equity)
    fund = markets[k].fund
    debt = max(penalty - equity, 0.0)
    if result == FILLED and debt > min(funds[fund].balance + penalty - reward, markets[k].insurance_left):
        result = FUND_EXHAUSTED
    delta = 0.0
    if result == FILLED:
        value = sign * lots * price
        markets[k].open_interest += open_interest_change(held, -sign * lots, positions[keeper, k].lots, sign * lots)
        change_position(positions, i, k, -sign * lots, -value)
        change_position(positions, keeper, k, sign * lots, value)
        accounts[i].collateral += value
        accounts[keeper].collateral -= value
        pay_fund(accounts, funds, fund, i, penalty)
        funds[fund].balance -= reward
        accounts[keeper].collateral += reward
        accounts[keeper].rewards += reward
        delta = penalty - reward
        left = 0
        for j in range(positions.shape[1]):
            left += positions[i, j].lots != 0
        if left == 0 and accounts[i].collateral < 0.0:
            delta += accounts[i].collateral
            markets[k].insurance_left += accounts[i].collateral
            pay_fund(accounts, funds, fund, i, accounts[i].collateral)
        positions[i, k].liquidated_block = venue[0].block
        markets[k].liquidated += abs(value)
        reward += reward_keeper(venue, accounts, funds, fund, keeper, terms, abs(value), gas)
    if n < liquidations.shape[0]:
        liquidations[n].result = TAKEN_OVER if result == FILLED else result
        liquidations[n].side = -sign
        liquidations[n].lots = lots if result == FILLED else 0
        liquidations[n].lots_wanted = wanted_lots
        liquidations[n].mark = markets[k].mark
        liquidations[n].index = markets[k].index
        liquidations[n].fillable_price = markets[k].mark
        liquidations[n].bankruptcy_price = bankruptcy_price(-held * markets[k].lot, markets[k].mark, own, equity, maintenance)
        if equity != 0.0:
            liquidations[n].leverage_before = total / equity
        if result == FILLED:
            liquidations[n].price = markets[k].mark
            liquidations[n].notional = lots * price
            liquidations[n].fund_delta = delta
            liquidations[n].reward = reward
    return result
