"""The venue's own account: the other side of every trade on a curve or a pool, and the quotes by which everybody sees its prices.

Its positions are minus those of all traders together, so positions still sum to zero and money is still conserved without exception.
"""

from __future__ import annotations

from abm.kernels.book import remove_order
from abm.kernels.compiled import inline
from abm.kernels.execution import may_change
from abm.kernels.margin import open_interest_change
from abm.kernels.takeover import change_position
from abm.kernels.tape import record_fill
from abm.state import FILLED, NOBODY, OPEN_INTEREST_CAPPED, UNDERCOLLATERALISED


@inline
def interest_after(positions, markets, i, k, change):
    """Open interest in lots once account i has changed its position by `change` lots against the house."""
    house = markets[k].house
    return markets[k].open_interest + open_interest_change(positions[i, k].lots, change, positions[house, k].lots, -change)


@inline
def settle_with_house(venue, accounts, positions, markets, fills, i, k, side, lots, value, taker_fee, maker_fee, liquidation):
    """Moves `lots` > 0 from the house to account i (side +1) or back, for `value` USD and the fees of both sides, and records the fill.

    The recorded price is the average one, rounded to the nearest tick; money moves unrounded.
    """
    house = markets[k].house
    change = side * lots
    markets[k].open_interest = interest_after(positions, markets, i, k, change)
    accounts[i].collateral -= side * value + taker_fee
    accounts[i].fees -= taker_fee
    accounts[house].collateral += side * value - maker_fee
    accounts[house].fees -= maker_fee
    accounts[house].maker_volume += value
    venue[0].fees += taker_fee + maker_fee
    change_position(positions, i, k, change, side * value)
    change_position(positions, house, k, -change, -side * value)
    if liquidation:
        markets[k].liquidated += value
    else:
        accounts[i].taker_volume += value
    tick = min(max(int(value / (lots * markets[k].unit) + 0.5), 1), markets[k].ticks - 1)
    record_fill(venue, markets, fills, i, house, k, side, tick, lots, value, taker_fee, maker_fee, liquidation, 0)


@inline
def trade_with_house(venue, accounts, positions, markets, margin_tiers, fills, i, k, side, lots, value):
    """Lets account i buy (side +1) or sell `lots` > 0 for `value` USD from the house if it can carry them and the cap on open interest
    leaves room. Returns FILLED or why not."""
    fee = value * accounts[i].taker_fee
    interest = interest_after(positions, markets, i, k, side * lots)
    if interest > markets[k].open_interest and interest * markets[k].lot * markets[k].mark > markets[k].open_interest_cap:
        return OPEN_INTEREST_CAPPED
    if not may_change(accounts, positions, markets, margin_tiers, i, k, side * lots, -side * value - fee, interest):
        return UNDERCOLLATERALISED
    maker_fee = value * accounts[markets[k].house].maker_fee
    settle_with_house(venue, accounts, positions, markets, fills, i, k, side, lots, value, fee, maker_fee, False)
    return FILLED


@inline
def pay_fund(accounts, funds, fund, i, amount):
    """Moves `amount` USD from account i into a fund (> 0) or out of it."""
    accounts[i].collateral -= amount
    accounts[i].liquidation -= amount
    funds[fund].balance += amount


@inline
def withdraw_quotes(venue, accounts, markets, levels, bitmap, orders, expiry, house):
    """Takes all quotes of the house out of the book."""
    row = accounts[house].first_order
    while row != NOBODY:
        after = orders[row].account_next
        remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row)
        row = after
