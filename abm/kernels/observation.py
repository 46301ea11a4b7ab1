"""Tape statistics: what a block looked like, written as facts for the recorder."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.book import depth_within, level_above, level_below
from abm.kernels.compiled import inline, kernel
from abm.kernels.margin import is_liquidatable
from abm.kernels.ranges import impermanent_loss
from abm.state import NOBODY


@kernel
def observe_markets(venue, accounts, positions, markets, funds, levels, bitmap, distances, market_rows, venue_rows, row):
    """Writes one row per market to `market_rows` (rows, m) and one to `venue_rows` (rows,) at `row`.

    distances (d,): fractions of the mid within which resting USD is summed on each side.
    """
    block = venue[0].block
    below = 0
    below_notional = 0.0
    under_water = 0
    if venue[0].liquidatable > 0:
        for i in range(accounts.shape[0]):
            if is_liquidatable(accounts[i].equity, accounts[i].maintenance_margin):
                below += 1
                if accounts[i].equity < 0.0:
                    under_water += 1
                for k in range(markets.shape[0]):
                    below_notional += abs(positions[i, k].lots) * markets[k].lot * markets[k].mark
    venue_rows[row].block = block
    venue_rows[row].insurance_fund = 0.0
    for f in range(funds.shape[0]):
        venue_rows[row].insurance_fund += funds[f].balance
    venue_rows[row].bad_debt = funds[0].bad_debt
    venue_rows[row].fees = venue[0].fees
    venue_rows[row].net_deposits = venue[0].net_deposits
    venue_rows[row].gas_price = venue[0].gas_price
    venue_rows[row].withdrawals_open = 1 if block >= venue[0].withdrawals_blocked_until else 0
    venue_rows[row].resting_orders = venue[0].orders_live
    venue_rows[row].below_maintenance = below
    venue_rows[row].below_maintenance_notional = below_notional
    venue_rows[row].below_zero = under_water
    venue_rows[row].failed_gas = venue[0].failed_gas
    for k in range(markets.shape[0]):
        tick = markets[k].tick
        bid = markets[k].best_bid
        ask = markets[k].best_ask
        mid = markets[k].mark
        if bid > 0 and ask < markets[k].ticks:
            mid = 0.5 * (bid + ask) * tick
        market_rows[row, k].block = block
        market_rows[row, k].market = k
        market_rows[row, k].index = markets[k].index
        market_rows[row, k].exogenous = markets[k].exogenous
        market_rows[row, k].oracle = markets[k].oracle
        market_rows[row, k].oracle_age = block - markets[k].oracle_block
        market_rows[row, k].mark = markets[k].mark
        market_rows[row, k].mid = mid
        market_rows[row, k].best_bid = bid * tick
        market_rows[row, k].best_ask = ask * tick if ask < markets[k].ticks else 0.0
        market_rows[row, k].last = markets[k].last_tick * tick
        market_rows[row, k].open_interest = markets[k].open_interest * markets[k].lot
        market_rows[row, k].premium = markets[k].premium
        market_rows[row, k].funding_rate = markets[k].funding_rate
        market_rows[row, k].funding_index = markets[k].funding_index
        market_rows[row, k].volume = markets[k].volume
        market_rows[row, k].liquidated = markets[k].liquidated
        market_rows[row, k].deleveraged = markets[k].deleveraged
        market_rows[row, k].trades = markets[k].trades
        market_rows[row, k].status = markets[k].status
        for d in range(distances.shape[0]):
            # An order exactly at the distance counts on both sides, whatever rounding says.
            lowest = math.ceil(mid * (1.0 - distances[d]) / tick - 1e-9)
            highest = math.floor(mid * (1.0 + distances[d]) / tick + 1e-9)
            market_rows[row, k].bid_depth[d] = depth_within(markets, levels, bitmap, k, 1, int(lowest))
            market_rows[row, k].ask_depth[d] = depth_within(markets, levels, bitmap, k, -1, int(highest))


LAST_LOOK = np.dtype(
    [
        ("index", "f8"),  # USD
        ("fees", "f8"),  # USD, these five of the account to which a market's pool belongs
        ("funding", "f8"),
        ("liquidation", "f8"),
        ("deleveraging", "f8"),
        ("socialised", "f8"),
    ],
    align=True,
)
EARNED = np.dtype(
    [
        ("coins", "f8"),  # held at the last look, in pools too
        ("part", "f8"),  # of the market's pool that belonged to it at the last look; of the pool's own account less one
        ("rebalancing", "f8"),  # USD gained by what was held from look to look as the index moved
        ("fees", "f8"),  # USD, these five its part of what the pool has had between looks
        ("funding", "f8"),
        ("liquidation", "f8"),
        ("deleveraging", "f8"),
        ("socialised", "f8"),
    ],
    align=True,
)


@inline
def pool_part(markets, pools, shares, i, k):
    """Fraction of market k's pool that belongs to account i; of the pool's own account less one: what belongs to others, negative.

    So the money on the pool's own account, which is everybody's, and these parts of it add up to what each account has.
    """
    if pools[k].shares <= 0.0:
        return 0.0
    return shares[i, k].shares / pools[k].shares - (1.0 if i == markets[k].house else 0.0)


@inline
def share_out(accounts, markets, pools, last, earned):
    """Credits every cohort with what it has earned since the last look, by what it held then, and forgets what it held.

    last (m,): LAST_LOOK; earned (cohorts, m): EARNED.
    """
    for k in range(markets.shape[0]):
        moved = markets[k].index - last[k].index
        last[k].index = markets[k].index
        for c in range(earned.shape[0]):
            earned[c, k].rebalancing += earned[c, k].coins * moved
            earned[c, k].coins = 0.0
        if pools[k].shares <= 0.0:
            continue
        house = markets[k].house
        fees = accounts[house].fees - last[k].fees
        funding = accounts[house].funding - last[k].funding
        liquidation = accounts[house].liquidation - last[k].liquidation
        deleveraging = accounts[house].deleveraging - last[k].deleveraging
        socialised = accounts[house].socialised - last[k].socialised
        for c in range(earned.shape[0]):
            part = earned[c, k].part
            earned[c, k].fees += part * fees
            earned[c, k].funding += part * funding
            earned[c, k].liquidation += part * liquidation
            earned[c, k].deleveraging += part * deleveraging
            earned[c, k].socialised += part * socialised
            earned[c, k].part = 0.0
        last[k].fees += fees
        last[k].funding += funding
        last[k].liquidation += liquidation
        last[k].deleveraging += deleveraging
        last[k].socialised += socialised


@kernel
def observe_cohorts(venue, accounts, positions, outside, markets, pools, shares, ranges, last, earned, cohort_rows, row):
    """Adds up every account into its cohort's entry of `cohort_rows` (rows, cohorts) at `row`; the entries must be zero before.

    What a pool has had in fees, funding and so on belongs to those who have shares of it, by their shares at the look before. `last` and
    `earned` are what is remembered from look to look, as `share_out` says.
    """
    for c in range(cohort_rows.shape[1]):
        cohort_rows[row, c].block = venue[0].block
        cohort_rows[row, c].cohort = c
    share_out(accounts, markets, pools, last, earned)
    ranged = ranges.shape[0] > 0
    # Members of a cohort lie side by side: their sums are kept in registers and written once.
    i = 0
    while i < accounts.shape[0]:
        c = accounts[i].cohort
        equity = collateral = net_deposits = fees = funding = liquidation = deleveraging = socialised = gas = rewards = 0.0
        outside_wealth = unrealised = long_notional = short_notional = 0.0
        paid_to_pools = pool_shares = impermanent = above_index = 0.0
        below_maintenance = 0
        while i < accounts.shape[0] and accounts[i].cohort == c:
            equity += accounts[i].equity
            collateral += accounts[i].collateral
            net_deposits += accounts[i].net_deposits
            fees += accounts[i].fees
            funding += accounts[i].funding
            liquidation += accounts[i].liquidation
            deleveraging += accounts[i].deleveraging
            socialised += accounts[i].socialised
            gas += accounts[i].gas
            rewards += accounts[i].rewards
            below_maintenance += is_liquidatable(accounts[i].equity, accounts[i].maintenance_margin)
            if accounts[i].house != 0:
                # All that the venue's own account buys and sells is liquidity: without a price move it gains nothing.
                impermanent += accounts[i].collateral - accounts[i].net_deposits - accounts[i].fees - accounts[i].funding
                impermanent -= accounts[i].liquidation + accounts[i].deleveraging + accounts[i].socialised + accounts[i].rewards
            for k in range(markets.shape[0]):
                outside_wealth += (
                    outside[i, k].cash + outside[i, k].size * markets[k].index + outside[i, k].options - outside[i, k].endowment
                )
                lots = positions[i, k].lots
                if lots != 0:
                    coins = lots * markets[k].lot
                    value = coins * markets[k].mark
                    unrealised += value - positions[i, k].entry_value
                    long_notional += max(value, 0.0)
                    short_notional += max(-value, 0.0)
                    above_index += value - coins * markets[k].index
                    if c >= 0:
                        earned[c, k].coins += coins
                    if accounts[i].house != 0:
                        impermanent += value
                if ranged:
                    impermanent += shares[i, k].impermanent
                if pools[k].shares > 0.0:
                    part = pool_part(markets, pools, shares, i, k)
                    paid = shares[i, k].paid - (accounts[i].net_deposits if i == markets[k].house else 0.0)
                    pool_shares += part * pools[k].value
                    paid_to_pools += paid
                    impermanent += part * pools[k].value - paid
                    coins = part * positions[markets[k].house, k].lots * markets[k].lot
                    above_index += coins * (markets[k].mark - markets[k].index)
                    if c >= 0:
                        earned[c, k].part += part
                        earned[c, k].coins += coins
            i += 1
        if c >= 0:
            cohort_rows[row, c].equity += equity
            cohort_rows[row, c].collateral += collateral
            cohort_rows[row, c].net_deposits += net_deposits
            cohort_rows[row, c].paid_to_pools += paid_to_pools
            cohort_rows[row, c].pool_shares += pool_shares
            cohort_rows[row, c].fees += fees
            cohort_rows[row, c].funding += funding
            cohort_rows[row, c].liquidation += liquidation
            cohort_rows[row, c].deleveraging += deleveraging
            cohort_rows[row, c].socialised += socialised
            cohort_rows[row, c].gas += gas
            cohort_rows[row, c].rewards += rewards
            cohort_rows[row, c].outside += outside_wealth
            cohort_rows[row, c].rebalancing += above_index
            cohort_rows[row, c].impermanent += impermanent
            cohort_rows[row, c].unrealised += unrealised
            cohort_rows[row, c].long_notional += long_notional
            cohort_rows[row, c].short_notional += short_notional
            cohort_rows[row, c].below_maintenance += below_maintenance
    for c in range(cohort_rows.shape[1]):
        for k in range(markets.shape[0]):
            cohort_rows[row, c].rebalancing += earned[c, k].rebalancing
            cohort_rows[row, c].fees += earned[c, k].fees
            cohort_rows[row, c].funding += earned[c, k].funding
            cohort_rows[row, c].liquidation += earned[c, k].liquidation
            cohort_rows[row, c].deleveraging += earned[c, k].deleveraging
            cohort_rows[row, c].socialised += earned[c, k].socialised
            cohort_rows[row, c].impermanent -= (
                earned[c, k].fees + earned[c, k].funding + earned[c, k].liquidation + earned[c, k].deleveraging + earned[c, k].socialised
            )
    for r in range(ranges.shape[0]):
        if ranges[r].account != NOBODY and accounts[ranges[r].account].cohort >= 0:
            cohort_rows[row, accounts[ranges[r].account].cohort].impermanent -= impermanent_loss(
                ranges[r].liquidity, ranges[r].entry, ranges[r].settled, math.sqrt(ranges[r].lowest), math.sqrt(ranges[r].highest)
            )


@inline
def book_slice(ratio, width, slices):
    """Slice of the book that holds a price of `ratio` times the index; a price on the edge of two belongs to the upper one."""
    return int(math.floor((ratio - 1.0) / width + slices / 2 + 1e-9))


@kernel
def observe_book(venue, markets, levels, bitmap, width, book_rows, row):
    """Writes the resting USD of every market in slices of `width` (fraction of the index) around the index.

    book_rows (rows, m): records with fields block, market, index, and `resting` (slices,), slice s covering index x
    (1 + (s - slices/2) width) to the next one; bids count positive, asks negative.
    """
    slices = book_rows[row, 0].resting.shape[0]
    for k in range(markets.shape[0]):
        index = markets[k].index
        tick = markets[k].tick
        unit = markets[k].unit
        book_rows[row, k].block = venue[0].block
        book_rows[row, k].market = k
        book_rows[row, k].index = index
        level = markets[k].best_bid
        while level > 0:
            s = book_slice(level * tick / index, width, slices)
            if s < 0:
                break
            if s < slices:
                book_rows[row, k].resting[s] += levels[k, level].lots * level * unit
            level = level_below(bitmap, k, level, 0)
        level = markets[k].best_ask
        while level < markets[k].ticks:
            s = book_slice(level * tick / index, width, slices)
            if s >= slices:
                break
            if s >= 0:
                book_rows[row, k].resting[s] -= levels[k, level].lots * level * unit
            level = level_above(bitmap, k, level, markets[k].ticks)
