"""What every way of clearing does alike when it executes a transaction: whether an account may, what is liquidated, who is rewarded."""

from __future__ import annotations

from abm.kernels.compiled import inline
from abm.kernels.margin import account_risk, account_risk_after, transition_result
from abm.kernels.margin_shares import adds_risk
from abm.kernels.portions import keeper_reward
from abm.kernels.random import uniform
from abm.state import NOBODY


@inline
def may_hold(venue, accounts, positions, markets, i, k):
    """Whether isolation lets account i hold market k: an isolated account only its own, an isolated-only market only alone."""
    only = accounts[i].isolated_market
    if only != NOBODY and only != k:
        return False
    if venue[0].isolated_markets > 0:
        for j in range(positions.shape[1]):
            if j != k and positions[i, j].lots != 0 and (markets[j].isolated_only != 0 or markets[k].isolated_only != 0):
                return False
    return True


@inline
def may_change(accounts, positions, markets, margin_tiers, i, k, lots, cash, interest):
    """Whether account i passes the collateral test for `lots` more of market k and `cash` USD more collateral.

    The venue's own account always does.
    """
    equity, initial, maintenance = account_risk_after(accounts, positions, markets, margin_tiers, i, k, lots, cash, interest)
    if equity >= initial or accounts[i].house != 0:
        return True
    before, initial_before, maintenance_before = account_risk(accounts, positions, markets, margin_tiers, i)
    return transition_result(before, initial_before, maintenance_before, equity, initial, maintenance) == 0


@inline
def is_open_to_liquidation(venue, positions, markets, margin_tiers, i, j):
    """Whether account i holds a position in market j that has not been tried in this block, and whose closing lowers its margin."""
    if positions[i, j].lots == 0 or positions[i, j].liquidated_block == venue[0].block:
        return False
    return adds_risk(positions, markets, margin_tiers, i, j)


@inline
def choose_position(venue, positions, markets, margin_tiers, i, wanted, key):
    """The market to liquidate: the wanted one if it is still open to it, else one drawn among those not yet tried in this block."""
    open_markets = 0
    for j in range(positions.shape[1]):
        if is_open_to_liquidation(venue, positions, markets, margin_tiers, i, j):
            if j == wanted:
                return j
            open_markets += 1
    if open_markets == 0:
        return NOBODY
    chosen = int(uniform(key, venue[0].block, i, 0) * open_markets)
    for j in range(positions.shape[1]):
        if is_open_to_liquidation(venue, positions, markets, margin_tiers, i, j):
            if chosen == 0:
                return j
            chosen -= 1
    return NOBODY


@inline
def record_liquidation(venue, accounts, liquidations, i, keeper, k, submitted, equity, maintenance, result):
    """Opens the record of a liquidation that has not closed anything yet; returns its row, which may lie beyond the table."""
    n = venue[0].liquidations
    venue[0].liquidations = n + 1
    if n < liquidations.shape[0]:
        liquidations[n].block = venue[0].block
        liquidations[n].trigger_block = accounts[i].below_maintenance_since
        liquidations[n].submitted_block = submitted
        liquidations[n].account = i
        liquidations[n].keeper = keeper
        liquidations[n].market = k
        liquidations[n].result = result
        liquidations[n].side = 0
        liquidations[n].lots = 0
        liquidations[n].lots_wanted = 0
        liquidations[n].fills = 0
        liquidations[n].price = 0.0
        liquidations[n].mark = 0.0
        liquidations[n].index = 0.0
        liquidations[n].fillable_price = 0.0
        liquidations[n].bankruptcy_price = 0.0
        liquidations[n].notional = 0.0
        liquidations[n].fund_delta = 0.0
        liquidations[n].reward = 0.0
        liquidations[n].equity_before = equity
        liquidations[n].maintenance_margin_before = maintenance
        liquidations[n].leverage_before = 0.0
    return n


@inline
def owed_reward(venue, terms, notional, gas):
    """USD that the rules promise a keeper who closes `notional` USD at `gas` USD, whatever the fund has."""
    if venue[0].reward_covers_gas != 0:
        return keeper_reward(gas, terms[0].reward * notional, terms[0].fixed_reward, venue[0].reward_profit, venue[0].reward_most)
    return terms[0].reward * notional + terms[0].fixed_reward


@inline
def reward_keeper(venue, accounts, funds, fund, keeper, terms, notional, gas):
    """Pays a keeper for closing `notional` USD at `gas` USD out of the fund, as far as it has money; returns USD."""
    if keeper == NOBODY:
        return 0.0
    reward = min(owed_reward(venue, terms, notional, gas), max(funds[fund].balance, 0.0))
    funds[fund].balance -= reward
    accounts[keeper].collateral += reward
    accounts[keeper].rewards += reward
    return reward


@inline
def start_limits(venue, accounts, i):
    """Opens this block's liquidation allowance of account i, unless it is open already."""
    if accounts[i].limits_block != venue[0].block:
        accounts[i].limits_block = venue[0].block
        accounts[i].used_notional = 0.0
        accounts[i].used_insurance = 0.0


@inline
def notional_at_mark(positions, markets, i):
    """USD of all positions of account i at mark prices, long or short."""
    total = 0.0
    for j in range(positions.shape[1]):
        total += abs(positions[i, j].lots) * markets[j].lot * markets[j].mark
    return total


@inline
def settle_rounding(accounts, positions, funds, fund, i, value):
    """Moves what rounding left in an account that a close of `value` USD at its bankruptcy price has emptied into the fund.

    Without it an account could stay below zero for ever by a fraction of a millionth and keep withdrawals blocked.
    """
    dust = accounts[i].collateral
    if dust == 0.0 or abs(dust) > 1e-9 * value:
        return
    for k in range(positions.shape[1]):
        if positions[i, k].lots != 0:
            return
    accounts[i].collateral = 0.0
    accounts[i].liquidation -= dust
    funds[fund].balance += dust
