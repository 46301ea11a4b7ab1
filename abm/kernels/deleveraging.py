"""Deleveraging: the position of an account below zero is closed against accounts on the other side at its bankruptcy price.

After dYdX v4 (`protocol/x/clob/keeper/deleveraging.go`); ranks of Hyperliquid and BitMEX from their documentation.
"""

from __future__ import annotations

import numpy as np

from abm.kernels.account_auction import socialise_over_deposits
from abm.kernels.compiled import inline, kernel
from abm.kernels.execution import may_change, settle_rounding
from abm.kernels.liquidation import bankruptcy_price
from abm.kernels.margin import account_risk, account_risk_after, open_interest_change, transition_result
from abm.kernels.margin_shares import adds_risk, maintenance_part, nets_markets
from abm.kernels.random import uniform
from abm.kernels.takeover import change_position
from abm.state import ACTIVE, FUND_EXHAUSTED, NO_LIQUIDITY, NOBODY, REDUCE_ONLY_DROPPED

MARK_TO_ENTRY = 0
PROFIT_LEVERAGE = 1


@inline
def deleveraging_price_kind(equity, final_settlement):
    """+1: at the bankruptcy price (equity < 0); 0: at the oracle price (final settlement, equity >= 0); -1: not at all."""
    if equity < 0.0:
        return 1
    return 0 if final_settlement else -1


@inline
def account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k):
    """USD per coin at which closing account i's position in market k uses up exactly its share of the account's equity."""
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    held = positions[i, k].lots
    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, abs(held) * (markets[k].lot * markets[k].mark))
    return bankruptcy_price(-held * markets[k].lot, markets[k].mark, own, equity, maintenance)


@inline
def mark_to_entry_score(mark, entry, notional, equity):
    """Hyperliquid's rank of a long: (mark / entry) x (notional / account value). Higher goes first."""
    return (mark / entry) * (notional / equity)


@inline
def profit_leverage_score(profit_fraction, leverage):
    """BitMEX's rank: profit fraction x effective leverage when in profit, profit fraction / leverage when in loss. Higher goes first."""
    return profit_fraction * leverage if profit_fraction > 0.0 else profit_fraction / leverage


@inline
def deleverage(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, i, j, k, lots, price):
    """Closes `lots` > 0 of account i's position in market k against account j's at `price` USD, if both may make the change.

    Returns whether it happened. The venue's own account takes no part. Neither position may flip; a change that leaves either account
    worse than the collateral rule allows fails, as when the bankruptcy prices of two insolvent accounts do not overlap.
    """
    held = positions[i, k].lots
    opposite = positions[j, k].lots
    if lots <= 0 or lots > abs(held) or lots > abs(opposite) or (held > 0) == (opposite > 0) or accounts[j].house != 0:
        return False
    side = -1 if held > 0 else 1
    change = side * lots
    value = lots * markets[k].lot * price
    interest = markets[k].open_interest + open_interest_change(held, change, opposite, -change)
    equity, initial, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    after, initial_after, maintenance_after = account_risk_after(
        accounts, positions, markets, margin_tiers, i, k, change, -side * value, interest
    )
    # Closing exactly at the bankruptcy price leaves zero, or what is left its share of equity, up to rounding. The rest may be a few
    # lots, whose own equity is smaller than the rounding of the account's.
    size = value + abs(equity) + abs(accounts[i].collateral)
    if maintenance_after == 0.0 and abs(after) <= 1e-9 * size:
        after = 0.0
    elif maintenance > 0.0 and abs(after - equity * maintenance_after / maintenance) <= 1e-12 * size:
        after = equity * maintenance_after / maintenance
    if nets_markets(margin_tiers):
        # Where markets net, what is left may need more margin than its part of the whole; a smaller debt is all that is asked of it.
        if after < min(equity, 0.0) or not adds_risk(positions, markets, margin_tiers, i, k):
            return False
    elif transition_result(equity, initial, maintenance, after, initial_after, maintenance_after) != 0:
        return False
    if not may_change(accounts, positions, markets, margin_tiers, j, k, -change, side * value, interest):
        return False
    lot = markets[k].lot
    mark = markets[k].mark
    worth, _, _ = account_risk(accounts, positions, markets, margin_tiers, j)
    notional = 0.0
    for other in range(positions.shape[1]):
        notional += abs(positions[j, other].lots) * markets[other].lot * markets[other].mark
    profit = opposite * lot * mark - positions[j, k].entry_value
    haircut = -side * (price - mark) * lots * lot
    change_position(positions, i, k, change, side * value)
    change_position(positions, j, k, -change, -side * value)
    accounts[i].collateral -= side * value
    accounts[j].collateral += side * value
    accounts[i].deleveraging += haircut
    accounts[j].deleveraging -= haircut
    settle_rounding(accounts, positions, funds, markets[k].fund, i, value + abs(equity))
    markets[k].open_interest = interest
    markets[k].deleveraged += value
    n = venue[0].deleveragings
    venue[0].deleveragings = n + 1
    if n < deleveragings.shape[0]:
        deleveragings[n].block = venue[0].block
        deleveragings[n].liquidated = i
        deleveragings[n].counterparty = j
        deleveragings[n].market = k
        deleveragings[n].side = side
        deleveragings[n].lots = lots
        deleveragings[n].price = price
        deleveragings[n].mark = mark
        deleveragings[n].counterparty_profit = profit
        deleveragings[n].counterparty_leverage = notional / worth if worth != 0.0 else 0.0
        deleveragings[n].haircut = haircut
    return True


@inline
def failed_in_book(venue, liquidations, i, k):
    """Whether a liquidation of this position was tried in this block and left something because the book or the fund could not."""
    n = min(venue[0].liquidations, liquidations.shape[0]) - 1
    while n >= 0 and liquidations[n].block == venue[0].block:
        if liquidations[n].account == i and liquidations[n].market == k:
            result = liquidations[n].result
            return result in (NO_LIQUIDITY, FUND_EXHAUSTED, REDUCE_ONLY_DROPPED)
        n -= 1
    return False


@inline
def can_be_deleveraged(venue, accounts, positions, markets, margin_tiers, liquidations, i, k):
    """Whether account i, now below zero, failed to close its position in market k in the book in this block."""
    if positions[i, k].lots == 0 or markets[k].status != ACTIVE or not failed_in_book(venue, liquidations, i, k):
        return False
    equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, i)
    return deleveraging_price_kind(equity, False) == 1


@kernel
def deleverage_against_random(
    venue, accounts, positions, markets, margin_tiers, funds, liquidations, deleveragings, key, attempts, most_scanned
):
    """For up to `attempts` positions: walks the accounts on the other side from a random one of them on, at most `most_scanned`.

    Each takes what it can. The start is drawn among accounts that hold the other side, so bystanders do not change who it is.
    """
    if venue[0].liquidatable == 0:
        return
    n_accounts = accounts.shape[0]
    for n in range(min(venue[0].liquidations, liquidations.shape[0])):
        i = liquidations[n].account
        k = int(liquidations[n].market)
        if k == NOBODY or liquidations[n].block != venue[0].block:
            continue
        if not can_be_deleveraged(venue, accounts, positions, markets, margin_tiers, liquidations, i, k):
            continue
        if attempts == 0:
            return
        attempts -= 1
        side = 1 if positions[i, k].lots > 0 else -1
        opposite = 0
        for j in range(n_accounts):
            if positions[j, k].lots * side < 0:
                opposite += 1
        passed_over = int(uniform(key, venue[0].block, i, k) * opposite)
        start = 0
        while passed_over > 0 or (opposite > 0 and positions[start, k].lots * side >= 0):
            if positions[start, k].lots * side < 0:
                passed_over -= 1
            start += 1
        scanned = 0
        for step in range(n_accounts):
            held = positions[i, k].lots
            if held == 0 or scanned == most_scanned:
                break
            j = (start + step) % n_accounts
            if positions[j, k].lots * side < 0:
                scanned += 1
                lots = min(abs(held), abs(positions[j, k].lots))
                price = account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k)
                deleverage(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, i, j, k, lots, price)


@inline
def score_counterparty(accounts, positions, markets, margin_tiers, j, k, rank):
    """Score of account j's position in market k by rank MARK_TO_ENTRY or PROFIT_LEVERAGE; higher is closed first."""
    equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, j)
    lots = positions[j, k].lots
    mark = markets[k].mark
    size = abs(lots) * markets[k].lot
    entry = abs(positions[j, k].entry_value) / size
    notional = size * mark
    equity = max(equity, 1e-9 * notional)
    if rank == MARK_TO_ENTRY:
        return mark_to_entry_score(mark, entry, notional, equity) if lots > 0 else mark_to_entry_score(entry, mark, notional, equity)
    profit = (mark - entry) / entry if lots > 0 else (entry - mark) / entry
    return profit_leverage_score(profit, max(notional / equity, 1e-9))


@kernel
def deleverage_by_rank(venue, accounts, positions, markets, margin_tiers, funds, liquidations, deleveragings, rows, scores, rank, attempts):
    """For up to `attempts` positions: closes them against the highest-ranked accounts on the other side, the top first.

    rows (n,) int64 and scores (n,) float64 are scratch space.
    """
    if venue[0].liquidatable == 0:
        return
    for n in range(min(venue[0].liquidations, liquidations.shape[0])):
        i = liquidations[n].account
        k = int(liquidations[n].market)
        if k == NOBODY or liquidations[n].block != venue[0].block:
            continue
        if not can_be_deleveraged(venue, accounts, positions, markets, margin_tiers, liquidations, i, k):
            continue
        if attempts == 0:
            return
        attempts -= 1
        count = 0
        side = 1 if positions[i, k].lots > 0 else -1
        for j in range(accounts.shape[0]):
            if positions[j, k].lots * side < 0:
                rows[count] = j
                scores[count] = -score_counterparty(accounts, positions, markets, margin_tiers, j, k, rank)
                count += 1
        order = np.argsort(scores[:count], kind="mergesort")
        for r in range(count):
            held = positions[i, k].lots
            if held == 0:
                break
            j = rows[order[r]]
            lots = min(abs(held), abs(positions[j, k].lots))
            price = account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k)
            deleverage(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, i, j, k, lots, price)


@kernel
def deleverage_pro_rata(
    venue, accounts, positions, markets, margin_tiers, funds, liquidations, deleveragings, rows, scores, by_profit, attempts
):
    """For up to `attempts` positions: closes them against all accounts on the other side in proportion to their size or profit.

    With `by_profit` only accounts in profit share, in proportion to their unrealised profit in the market. Whole lots: shares are
    rounded down and what is left goes round once more, the largest first. rows (n,) and scores (n,) are scratch space.
    """
    if venue[0].liquidatable == 0:
        return
    for n in range(min(venue[0].liquidations, liquidations.shape[0])):
        i = liquidations[n].account
        k = int(liquidations[n].market)
        if k == NOBODY or liquidations[n].block != venue[0].block:
            continue
        if not can_be_deleveraged(venue, accounts, positions, markets, margin_tiers, liquidations, i, k):
            continue
        if attempts == 0:
            return
        attempts -= 1
        count = 0
        total = 0.0
        side = 1 if positions[i, k].lots > 0 else -1
        for j in range(accounts.shape[0]):
            held = positions[j, k].lots
            if held * side < 0:
                weight = float(abs(held))
                if by_profit:
                    weight = max(held * markets[k].lot * markets[k].mark - positions[j, k].entry_value, 0.0)
                if weight > 0.0:
                    rows[count] = j
                    scores[count] = weight
                    total += weight
                    count += 1
        wanted = abs(positions[i, k].lots)
        for r in range(count):
            j = rows[r]
            lots = min(int(wanted * (scores[r] / total)), abs(positions[j, k].lots), abs(positions[i, k].lots))
            if lots > 0:
                price = account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k)
                deleverage(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, i, j, k, lots, price)
        order = np.argsort(-scores[:count], kind="mergesort")
        for r in range(count):
            left = abs(positions[i, k].lots)
            if left == 0:
                break
            j = rows[order[r]]
            lots = min(left, abs(positions[j, k].lots))
            if lots > 0:
                price = account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k)
                deleverage(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, i, j, k, lots, price)


@inline
def socialised_loss_per_base(loss, longs, shorts):
    """USD per coin that every position of a market bears when `loss` USD are shared out: loss / (|longs| + |shorts|), sizes in coins.

    Drift v2 (`programs/drift/src/math/liquidation.rs`, socialised loss of a perp bankruptcy).
    """
    return loss / (abs(longs) + abs(shorts))


@kernel
def socialise_losses(venue, accounts, positions, markets, margin_tiers, liquidations, over_deposits, attempts):
    """For up to `attempts` positions: brings the account back to zero with money from every other position of the market.

    Each trader pays in proportion to size, long or short, winner or loser; the position itself stays open and can be liquidated again.
    With `over_deposits` everybody with money on the venue pays, in proportion to it.
    """
    if venue[0].liquidatable == 0:
        return
    for n in range(min(venue[0].liquidations, liquidations.shape[0])):
        i = liquidations[n].account
        k = int(liquidations[n].market)
        if k == NOBODY or liquidations[n].block != venue[0].block:
            continue
        if not can_be_deleveraged(venue, accounts, positions, markets, margin_tiers, liquidations, i, k):
            continue
        if attempts == 0:
            return
        attempts -= 1
        equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, i)
        if over_deposits:
            socialise_over_deposits(accounts, positions, i, -equity)
            continue
        longs = 0.0
        shorts = 0.0
        for j in range(accounts.shape[0]):
            if accounts[j].house != 0 or j == i:
                continue
            if positions[j, k].lots > 0:
                longs += positions[j, k].lots * markets[k].lot
            else:
                shorts -= positions[j, k].lots * markets[k].lot
        if longs + shorts <= 0.0:
            continue
        per_coin = socialised_loss_per_base(-equity, longs, shorts)
        for j in range(accounts.shape[0]):
            if j != i and accounts[j].house == 0 and positions[j, k].lots != 0:
                share = per_coin * abs(positions[j, k].lots) * markets[k].lot
                accounts[j].collateral -= share
                accounts[j].socialised -= share
                accounts[i].collateral += share
                accounts[i].socialised += share
