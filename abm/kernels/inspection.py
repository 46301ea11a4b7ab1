"""What must hold after every block, checked on the tables: money, positions, and what is under way.

Each kernel stops at the first law that does not hold, writes what it saw to `finding` and returns the law's number, HOLDS if all
hold.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.margin import is_liquidatable
from abm.state import NOBODY, NOT_YET

FINDING = np.dtype(
    [("market", "i8"), ("account", "i8"), ("place", "i8"), ("found", "f8"), ("expected", "f8"), ("tolerance", "f8")], align=True
)

HOLDS = 0
# money
FINITE_ACCOUNT = 1
FINITE_MARKET = 2
FINITE_VENUE = 3
MONEY_CONSERVED = 4
FEES_SUM_TO_ZERO = 5
FUNDING_SUMS_TO_ZERO = 6
FUND_BALANCE_EXPLAINED = 7
DELEVERAGING_SUMS_TO_ZERO = 8
SOCIALISED_SUMS_TO_ZERO = 9
FUND_NOT_NEGATIVE = 10
# positions
POSITIONS_SUM_TO_ZERO = 11
OPEN_INTEREST_IS_SUM_OF_LONGS = 12
NO_COST_WITHOUT_POSITION = 13
ENTRY_PRICE_ON_THE_GRID = 14
ISOLATED_ACCOUNT_HOLDS_ITS_MARKET = 15
ISOLATED_MARKET_HELD_ALONE = 16
NO_DEBT_WITHOUT_POSITION = 17
# assessment
MAINTENANCE_CLOCK = 18
ZERO_CLOCK = 19
LIQUIDATABLE_COUNTED = 20
# book
BITMAP_OF_LEVELS = 21
BITMAP_OF_WORDS = 22
EMPTY_LEVEL_HAS_NO_LOTS = 23
LINK_IN_RANGE = 24
QUEUE_LINKS = 25
ORDER_IN_ITS_LEVEL = 26
ORDER_HAS_LOTS = 27
ORDER_NOT_EXPIRED = 28
ORDER_HAS_GENERATION = 29
ONE_SIDE_PER_LEVEL = 30
LEVEL_LOTS = 31
NOT_CROSSED = 32
BEST_BID = 33
BEST_ASK = 34
LIVE_ORDERS_COUNTED = 35
ACCOUNT_CHAIN = 36
OPEN_ORDERS_COUNTED = 37
EXPIRY_CHAIN = 38
FREE_ROW_IS_EMPTY = 39
FREE_ROWS_COUNTED = 40
# waiting
WAITING_IN_RANGE = 41
PENDING_ARRIVES_LATER = 42
# pools
SHARES_ADD_UP = 43
PAYMENTS_ADD_UP = 44
IMPACT_NOT_NEGATIVE = 45

TOLERANCE = 1e-9  # of the sum of the absolute amounts that make up a balance
ROUNDING = 1e-13  # of all money on the venue: what sums that have shrunk to nothing may have been rounded by
GRID_TOLERANCE = 1e-6  # ticks by which repeated averaging may have moved an entry price, in parts of that price


@inline
def found(finding, law, market, account, place, seen, expected, tolerance):
    """Writes what was seen where a law does not hold; returns the law."""
    finding[0].market = market
    finding[0].account = account
    finding[0].place = place
    finding[0].found = seen
    finding[0].expected = expected
    finding[0].tolerance = tolerance
    return law


@inline
def sums_to(finding, law, total, expected, scale, rounding):
    """HOLDS if a sum is what it must be within the tolerance for amounts of that scale (USD), else the law."""
    tolerance = TOLERANCE * scale + rounding
    if abs(total - expected) <= tolerance:
        return HOLDS
    return found(finding, law, NOBODY, NOBODY, NOBODY, total, expected, tolerance)


@kernel
def inspect_money(venue, accounts, markets, funds, finding):
    """Money: finite, conserved, and each of its streams paid by somebody to somebody."""
    collateral = gross_collateral = deposits = gross_deposits = 0.0
    fees = gross_fees = funding = gross_funding = 0.0
    paid_by_fund = gross_paid_by_fund = deleveraging = gross_deleveraging = socialised = gross_socialised = 0.0
    liquidatable = 0
    for i in range(accounts.shape[0]):
        a = accounts[i]
        everything = (
            a.collateral + a.fees + a.taker_fee + a.maker_fee + a.taker_volume + a.maker_volume + a.equity + a.maintenance_margin
            + a.initial_margin + a.net_deposits + a.funding + a.liquidation + a.deleveraging + a.socialised + a.gas + a.rewards
            + a.used_notional + a.used_insurance
        )  # fmt: skip
        if not math.isfinite(everything):
            return found(finding, FINITE_ACCOUNT, NOBODY, i, NOBODY, everything, 0.0, 0.0)
        collateral += a.collateral
        gross_collateral += abs(a.collateral)
        deposits += a.net_deposits
        gross_deposits += abs(a.net_deposits)
        fees += a.fees
        gross_fees += abs(a.fees)
        funding += a.funding
        gross_funding += abs(a.funding)
        paid_by_fund += a.liquidation + a.rewards
        gross_paid_by_fund += abs(a.liquidation) + abs(a.rewards)
        socialised += a.socialised
        gross_socialised += abs(a.socialised)
        deleveraging += a.deleveraging
        gross_deleveraging += abs(a.deleveraging)
        below = is_liquidatable(a.equity, a.maintenance_margin)
        if below:
            liquidatable += 1
        if below != (a.below_maintenance_since != NOT_YET):
            return found(finding, MAINTENANCE_CLOCK, NOBODY, i, NOBODY, a.below_maintenance_since, NOT_YET, 0.0)
        if a.below_maintenance_since > venue[0].block or a.below_zero_since > venue[0].block:
            return found(finding, ZERO_CLOCK, NOBODY, i, NOBODY, a.below_zero_since, venue[0].block, 0.0)
        if a.equity >= 0.0 and a.below_zero_since != NOT_YET:
            return found(finding, ZERO_CLOCK, NOBODY, i, NOBODY, a.below_zero_since, NOT_YET, 0.0)
    for k in range(markets.shape[0]):
        m = markets[k]
        everything = (
            m.tick + m.lot + m.unit + m.impact_notional + m.index + m.exogenous + m.volatility + m.oracle + m.mark + m.funding_index
            + m.funding_rate + m.funding_per_day + m.premium + m.volume + m.liquidated + m.deleveraged
        )  # fmt: skip
        if not math.isfinite(everything):
            return found(finding, FINITE_MARKET, k, NOBODY, NOBODY, everything, 0.0, 0.0)
    balance = gross_balance = 0.0
    for f in range(funds.shape[0]):
        balance += funds[f].balance
        gross_balance += abs(funds[f].balance)
    if not math.isfinite(balance + venue[0].fees + venue[0].net_deposits + venue[0].gas_price + venue[0].failed_gas):
        return found(finding, FINITE_VENUE, NOBODY, NOBODY, NOBODY, balance + venue[0].fees + venue[0].net_deposits, 0.0, 0.0)
    income = venue[0].fees
    total = venue[0].net_deposits
    scale = gross_collateral + gross_balance + abs(income) + abs(total) + gross_deposits
    law = sums_to(finding, MONEY_CONSERVED, collateral + balance + income, total, scale, 0.0)
    if law != HOLDS:
        return law
    rounding = ROUNDING * scale
    for f in range(funds.shape[0]):
        if funds[f].balance < -rounding:
            return found(finding, FUND_NOT_NEGATIVE, NOBODY, NOBODY, f, funds[f].balance, 0.0, rounding)
    passed_on = venue[0].fee_rewards
    law = sums_to(finding, FEES_SUM_TO_ZERO, fees + income + passed_on, 0.0, gross_fees + abs(income) + passed_on, rounding)
    if law != HOLDS:
        return law
    law = sums_to(finding, FUNDING_SUMS_TO_ZERO, funding, 0.0, gross_funding, rounding)
    if law != HOLDS:
        return law
    law = sums_to(finding, DELEVERAGING_SUMS_TO_ZERO, deleveraging, 0.0, gross_deleveraging, rounding)
    if law != HOLDS:
        return law
    law = sums_to(finding, SOCIALISED_SUMS_TO_ZERO, socialised, 0.0, gross_socialised, rounding)
    if law != HOLDS:
        return law
    paid_in = total - deposits
    scale = gross_balance + abs(paid_in) + gross_paid_by_fund
    law = sums_to(finding, FUND_BALANCE_EXPLAINED, balance, paid_in - paid_by_fund + passed_on, scale, rounding)
    if law != HOLDS:
        return law
    if liquidatable != venue[0].liquidatable:
        return found(finding, LIQUIDATABLE_COUNTED, NOBODY, NOBODY, NOBODY, venue[0].liquidatable, liquidatable, 0.0)
    return HOLDS


@kernel
def inspect_positions(accounts, positions, markets, finding):
    """Positions: what one is long others are short, cost bases of real fills, and isolation."""
    isolated = False
    for i in range(positions.shape[0]):
        if accounts[i].collateral < 0.0 and accounts[i].house == 0:
            held = 0
            for k in range(positions.shape[1]):
                held += positions[i, k].lots != 0
            if held == 0:
                return found(finding, NO_DEBT_WITHOUT_POSITION, NOBODY, i, NOBODY, accounts[i].collateral, 0.0, 0.0)
    for k in range(markets.shape[0]):
        isolated = isolated or markets[k].isolated_only != 0
        net = 0
        longs = 0
        for i in range(positions.shape[0]):
            lots = positions[i, k].lots
            entry = positions[i, k].entry_value
            if lots == 0:
                if entry != 0.0:
                    return found(finding, NO_COST_WITHOUT_POSITION, k, i, NOBODY, entry, 0.0, 0.0)
                continue
            net += lots
            longs += max(lots, 0)
            tick = entry / (lots * markets[k].unit)
            most = markets[k].ticks - 1
            if not 1.0 - GRID_TOLERANCE <= tick <= most * (1.0 + GRID_TOLERANCE):
                return found(finding, ENTRY_PRICE_ON_THE_GRID, k, i, NOBODY, tick, 1.0 if tick < 1.0 else most, GRID_TOLERANCE)
            only = accounts[i].isolated_market
            if only != NOBODY and only != k:
                return found(finding, ISOLATED_ACCOUNT_HOLDS_ITS_MARKET, k, i, NOBODY, k, only, 0.0)
        if net != 0:
            return found(finding, POSITIONS_SUM_TO_ZERO, k, NOBODY, NOBODY, net, 0.0, 0.0)
        if longs != markets[k].open_interest:
            return found(finding, OPEN_INTEREST_IS_SUM_OF_LONGS, k, NOBODY, NOBODY, markets[k].open_interest, longs, 0.0)
    if isolated:
        for i in range(positions.shape[0]):
            held = 0
            alone = NOBODY
            for k in range(markets.shape[0]):
                if positions[i, k].lots != 0:
                    held += 1
                    if markets[k].isolated_only != 0:
                        alone = k
            if alone != NOBODY and held > 1:
                return found(finding, ISOLATED_MARKET_HELD_ALONE, alone, i, NOBODY, held, 1.0, 0.0)
    return HOLDS


@kernel
def inspect_waiting(venue, accounts, markets, conditionals, transactions, finding):
    """Conditional orders and transactions under way fit their tables and name an account and a market that exist."""
    n = venue[0].conditionals
    if not 0 <= n <= conditionals.shape[0]:
        return found(finding, WAITING_IN_RANGE, NOBODY, NOBODY, NOBODY, n, conditionals.shape[0], 0.0)
    for c in range(n):
        i = conditionals[c].account
        k = conditionals[c].market
        if not (0 <= i < accounts.shape[0] and 0 <= k < markets.shape[0] and math.isfinite(conditionals[c].trigger)):
            return found(finding, WAITING_IN_RANGE, k, i, c, conditionals[c].trigger, 0.0, 0.0)
    n = venue[0].transactions
    if not 0 <= n <= transactions.shape[0]:
        return found(finding, WAITING_IN_RANGE, NOBODY, NOBODY, NOBODY, n, transactions.shape[0], 0.0)
    for t in range(n):
        if transactions[t].arrives <= venue[0].block:
            return found(
                finding, PENDING_ARRIVES_LATER, NOBODY, transactions[t].account, t, transactions[t].arrives, venue[0].block + 1, 0.0
            )
    return HOLDS


@kernel
def inspect_pools(accounts, markets, pools, shares, finding):
    """Pools: shares and payments of all accounts add up, and what is set aside for price impact is never negative."""
    for k in range(markets.shape[0]):
        if pools[k].shares == 0.0:
            continue
        count = gross_count = paid = gross_paid = 0.0
        for i in range(shares.shape[0]):
            count += shares[i, k].shares
            gross_count += abs(shares[i, k].shares)
            paid += shares[i, k].paid
            gross_paid += abs(shares[i, k].paid)
        law = sums_to(finding, SHARES_ADD_UP, count, pools[k].shares, gross_count, 0.0)
        if law != HOLDS:
            return law
        law = sums_to(finding, PAYMENTS_ADD_UP, paid, accounts[markets[k].house].net_deposits, gross_paid, 0.0)
        if law != HOLDS:
            return law
        if not pools[k].impact >= 0.0 or not math.isfinite(pools[k].value):
            return found(finding, IMPACT_NOT_NEGATIVE, k, NOBODY, NOBODY, pools[k].impact, 0.0, 0.0)
    return HOLDS
