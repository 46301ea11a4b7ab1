"""Taking over: a position changes hands at the mark price, with what is left of its owner's money.

The backstop of Hyperliquid: below two thirds of maintenance margin the liquidator vault gets all positions and the margin of a
cross-margined account, and of an isolated one its position and margin (documentation, liquidations).
"""

from __future__ import annotations

from abm.kernels.compiled import inline
from abm.kernels.margin import entry_value_after, open_interest_change
from abm.kernels.margin_shares import has_initial_margin_for
from abm.state import BAR_LIQUIDATIONS, NOBODY, TAKEN_OVER


@inline
def change_position(positions, i, k, lots, value):
    """Adds `lots` (signed) bought at a total of `value` USD (signed alike) to a position; keeps the cost basis at average entry."""
    held = positions[i, k].lots
    positions[i, k].entry_value = entry_value_after(held, positions[i, k].entry_value, lots, value)
    positions[i, k].lots = held + lots


@inline
def is_taken_over(equity, maintenance_margin, fraction):
    """Whether the backstop takes an account over: 0 <= equity < fraction x maintenance margin; below zero it is deleveraged."""
    return 0.0 <= equity < fraction * maintenance_margin


@inline
def richest_of_cohort(accounts, cohort, other):
    """The account of a cohort with the highest equity as last assessed, or NOBODY; never `other`."""
    best = NOBODY
    for j in range(accounts.shape[0]):
        if accounts[j].cohort == cohort and j != other and (best == NOBODY or accounts[j].equity > accounts[best].equity):
            best = j
    return best


@inline
def could_take_over(accounts, positions, markets, margin_tiers, i, vault, equity):
    """Whether the vault has initial margin for its own and account i's positions together, i's equity included, and
    no guard bars liquidations in a market of theirs."""
    for k in range(positions.shape[1]):
        barred = accounts[vault].isolated_market not in (NOBODY, k) or markets[k].barred & BAR_LIQUIDATIONS != 0
        if positions[i, k].lots != 0 and barred:
            return False
    return has_initial_margin_for(accounts, positions, markets, margin_tiers, vault, i, 1.0, equity)


@inline
def hand_over(venue, accounts, positions, markets, liquidations, i, vault, keeper, submitted, equity, maintenance):
    """Moves every position of account i to the vault at mark, and all its collateral; records one liquidation per market."""
    block = venue[0].block
    notional_before = 0.0
    for k in range(positions.shape[1]):
        notional_before += abs(positions[i, k].lots) * markets[k].lot * markets[k].mark
    for k in range(positions.shape[1]):
        held = positions[i, k].lots
        if held == 0:
            continue
        value = held * markets[k].lot * markets[k].mark
        markets[k].open_interest += open_interest_change(held, -held, positions[vault, k].lots, held)
        change_position(positions, i, k, -held, -value)
        change_position(positions, vault, k, held, value)
        accounts[i].collateral += value
        accounts[vault].collateral -= value
        positions[i, k].liquidated_block = block
        markets[k].liquidated += abs(value)
        n = venue[0].liquidations
        venue[0].liquidations = n + 1
        if n < liquidations.shape[0]:
            liquidations[n].block = block
            liquidations[n].trigger_block = accounts[i].below_maintenance_since
            liquidations[n].submitted_block = submitted
            liquidations[n].account = i
            liquidations[n].keeper = keeper
            liquidations[n].market = k
            liquidations[n].side = -1 if held > 0 else 1
            liquidations[n].lots = abs(held)
            liquidations[n].lots_wanted = abs(held)
            liquidations[n].result = TAKEN_OVER
            liquidations[n].fills = 0
            liquidations[n].price = markets[k].mark
            liquidations[n].mark = markets[k].mark
            liquidations[n].index = markets[k].index
            liquidations[n].fillable_price = markets[k].mark
            liquidations[n].bankruptcy_price = 0.0
            liquidations[n].notional = abs(value)
            liquidations[n].fund_delta = 0.0
            liquidations[n].reward = 0.0
            liquidations[n].equity_before = equity
            liquidations[n].maintenance_margin_before = maintenance
            liquidations[n].leverage_before = notional_before / equity if equity > 0.0 else 0.0
    left = accounts[i].collateral
    accounts[i].collateral = 0.0
    accounts[i].liquidation -= left
    accounts[vault].collateral += left
    accounts[vault].liquidation += left
