"""What ranges have traded reaches the accounts that provide them: their inventory is a position, their fees are collateral.

Takers trade with the venue's own account; from there every range's part goes on to its provider, at the latest at the end of the block,
so that a provider's margin sees what its ranges have bought and sold. Whole lots go on; what is left by rounding, less than a lot a range,
stays with the venue's account.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.execution import may_hold
from abm.kernels.house import pay_fund
from abm.kernels.margin import account_risk, open_interest_change, position_margin
from abm.kernels.range_pool import close_range, content, fees_inside, inventory, open_range, slot_below
from abm.kernels.ranges import MOST_LIQUIDITY, average_price, held_within, impermanent_loss, liquidity_worth
from abm.kernels.takeover import change_position
from abm.state import (
    ACTIVE,
    BAR_RISK,
    BAR_TRADES,
    FILLED,
    ISOLATED_ONLY,
    MARKET_HALTED,
    NOBODY,
    OUT_OF_RANGE,
    POOL_FULL,
    UNDERCOLLATERALISED,
)


@inline
def has_ranges(counts, i):
    """Whether account i has a range in any market; counts (n, m)."""
    for k in range(counts.shape[1]):
        if counts[i, k] > 0:
            return True
    return False


@inline
def settle_range(accounts, positions, markets, pools, edges, ranges, row):
    """Passes what one range has traded and earned since it was last settled on to its account."""
    i = int(ranges[row].account)
    k = int(ranges[row].market)
    house = markets[k].house
    if i == house:
        return
    target = int(math.floor(inventory(pools, edges, ranges, row) / markets[k].lot + 0.5))
    change = target - ranges[row].lots
    if change != 0:
        lower = edges[k, ranges[row].lower].root
        upper = edges[k, ranges[row].upper].root
        before = held_within(ranges[row].settled, lower, upper)
        price = average_price(before, held_within(pools[k].root, lower, upper))
        value = change * markets[k].lot * price
        markets[k].open_interest += open_interest_change(positions[i, k].lots, change, positions[house, k].lots, -change)
        change_position(positions, i, k, change, value)
        change_position(positions, house, k, -change, -value)
        accounts[i].collateral -= value
        accounts[house].collateral += value
        accounts[i].maker_volume += abs(value)
        ranges[row].lots = target
    ranges[row].settled = pools[k].root
    growth = fees_inside(pools, edges, ranges, row)
    earned = ranges[row].liquidity * (growth - ranges[row].fee_growth)
    ranges[row].fee_growth = growth
    ranges[row].fees += earned
    accounts[i].collateral += earned
    accounts[i].fees += earned
    accounts[house].collateral -= earned
    accounts[house].fees -= earned


@inline
def owes_without_position(accounts, positions, i):
    """Whether account i is below zero and holds nothing, so that nothing of it could be liquidated."""
    if accounts[i].collateral >= 0.0 or accounts[i].house != 0:
        return False
    for k in range(positions.shape[1]):
        if positions[i, k].lots != 0:
            return False
    return True


@inline
def write_off(accounts, positions, markets, funds, i, k):
    """What account i owes without holding anything is paid by the fund of market k, and beyond its money by the venue's own account."""
    if not owes_without_position(accounts, positions, i):
        return
    house = markets[k].house
    debt = -accounts[i].collateral
    paid = min(debt, max(min(funds[markets[k].fund].balance, markets[k].insurance_left), 0.0))
    markets[k].insurance_left -= paid
    pay_fund(accounts, funds, markets[k].fund, i, -paid)
    accounts[i].socialised += debt - paid
    accounts[house].socialised -= debt - paid
    accounts[house].collateral -= debt - paid
    accounts[i].collateral = 0.0


@inline
def remove_ranges(accounts, positions, markets, funds, shares, pools, edges, ranges, counts, i, k, row):
    """Settles and closes the ranges of account i in market k (NOBODY: in all), or only the one in `row` (NOBODY: all of them).

    What they have bought and sold stays with the account as an ordinary position. Returns how many there were.
    """
    count = 0
    for r in range(ranges.shape[0]):
        if ranges[r].account == i and (k == NOBODY or ranges[r].market == k) and (row == NOBODY or r == row):
            settle_range(accounts, positions, markets, pools, edges, ranges, r)
            held = int(ranges[r].market)
            counts[i, held] -= 1
            shares[i, held].impermanent -= impermanent_loss(
                ranges[r].liquidity, ranges[r].entry, pools[held].root, edges[held, ranges[r].lower].root, edges[held, ranges[r].upper].root
            )
            close_range(pools, edges, ranges, r)
            write_off(accounts, positions, markets, funds, i, held)
            count += 1
    return count


@inline
def settle_ranges(accounts, positions, markets, funds, shares, pools, edges, ranges, counts, k):
    """Settles all ranges of market k, unless its price is where it was when they were settled last.

    An account that then owes money and holds nothing loses its ranges.
    """
    if pools[k].settled == pools[k].root:
        return
    for row in range(ranges.shape[0]):
        if ranges[row].account != NOBODY and ranges[row].market == k:
            settle_range(accounts, positions, markets, pools, edges, ranges, row)
    for row in range(ranges.shape[0]):
        i = int(ranges[row].account)
        if i != NOBODY and ranges[row].market == k and owes_without_position(accounts, positions, i):
            remove_ranges(accounts, positions, markets, funds, shares, pools, edges, ranges, counts, i, NOBODY, NOBODY)
    pools[k].settled = pools[k].root


@inline
def settle_account(accounts, positions, markets, pools, edges, ranges, i):
    """Settles all ranges of account i."""
    for row in range(ranges.shape[0]):
        if ranges[row].account == i:
            settle_range(accounts, positions, markets, pools, edges, ranges, row)
            pools[ranges[row].market].settled = 0.0  # now they differ: the end of the block settles all, wherever the price is then


@inline
def range_margin(markets, positions, margin_tiers, pools, edges, ranges, i):
    """USD of initial margin for what the ranges of account i hold: it may become a position by trades of others.

    On Perp v2 the coins and dollars in a range are debts of the account, and free collateral is what is left beside the margin for them.
    """
    total = 0.0
    for row in range(ranges.shape[0]):
        if ranges[row].account == i:
            k = int(ranges[row].market)
            coins, money = content(pools, edges, ranges, row)
            interest = markets[k].open_interest * markets[k].lot * markets[k].mark
            initial, _ = position_margin(
                markets, margin_tiers, k, coins * markets[k].mark + money, interest, positions[i, k].least_margin_fraction
            )
            total += initial
    return total


@inline
def may_hold_beside_ranges(venue, accounts, positions, markets, counts, i, k):
    """Whether isolation lets account i hold market k, a range counting as held."""
    if not may_hold(venue, accounts, positions, markets, i, k):
        return False
    if venue[0].isolated_markets > 0:
        for j in range(markets.shape[0]):
            if j != k and counts[i, j] > 0 and (markets[j].isolated_only != 0 or markets[k].isolated_only != 0):
                return False
    return True


@inline
def add_range(venue, accounts, positions, markets, margin_tiers, pools, edges, ranges, counts, spacing, i, k, low, high, amount):
    """Opens a range of account i worth `amount` USD between the prices `low` and `high` (ticks of the market), widened to the edges
    of the pool's grid. The account needs initial margin for what its ranges hold, beside its positions'."""
    if k < 0 or k >= markets.shape[0] or not 0.0 < amount < math.inf or accounts[i].house != 0:
        return OUT_OF_RANGE
    if markets[k].status != ACTIVE or markets[k].barred & (BAR_TRADES | BAR_RISK) != 0:
        return MARKET_HALTED
    if low < 1 or high <= low or high >= markets[k].ticks:
        return OUT_OF_RANGE
    if not may_hold_beside_ranges(venue, accounts, positions, markets, counts, i, k):
        return ISOLATED_ONLY
    first = pools[k].first
    lower = max(slot_below(low * markets[k].tick, spacing, first), 0)
    upper = min(-slot_below(1.0 / (high * markets[k].tick), spacing, -first), edges.shape[1] - 1)
    if lower >= upper:
        return OUT_OF_RANGE
    root = pools[k].root
    liquidity = liquidity_worth(amount, root, edges[k, lower].root, edges[k, upper].root)
    if not 0.0 < liquidity <= MOST_LIQUIDITY:
        return OUT_OF_RANGE
    row = open_range(venue, pools, edges, ranges, i, k, lower, upper, liquidity)
    if row == NOBODY:
        return POOL_FULL
    equity, initial, _ = account_risk(accounts, positions, markets, margin_tiers, i)
    if equity < initial + range_margin(markets, positions, margin_tiers, pools, edges, ranges, i):
        close_range(pools, edges, ranges, row)
        return UNDERCOLLATERALISED
    counts[i, k] += 1
    return FILLED
