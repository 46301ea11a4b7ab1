"""Margin: what an account is worth, what its positions require, and which changes an account in trouble may still make.

Formulas of dYdX v4 (`protocol/x/perpetuals/lib/lib.go`, `protocol/lib/margin/risk.go`, `protocol/x/subaccounts/lib`), generalised
to margin tiers by notional (Hyperliquid "margin tiers"): equity is called net collateral (NC) there.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline, shared_kernel
from abm.kernels.portfolio import portfolio_requirement
from abm.kernels.size_margin import counted_profit, size_scaled_fraction, skew_margins
from abm.state import NETS_MARKETS, NOT_YET, SIZED_BY_SKEW, WEIGHS_PROFIT

# Equality of risk after a partial close exactly at the bankruptcy price holds only up to rounding.
RISK_TOLERANCE = 1e-12

TRANSITION_SUCCESS = 0
TRANSITION_STILL_UNDERCOLLATERALISED = 1
TRANSITION_NEWLY_UNDERCOLLATERALISED = 2


@inline
def maintenance_margin_fraction(initial_margin_fraction, maintenance_fraction_of_initial):
    """Maintenance margin fraction = initial margin fraction x maintenance fraction (dYdX `liquidity_tier.go`)."""
    return initial_margin_fraction * maintenance_fraction_of_initial


@inline
def open_interest_scaled_fraction(initial_margin_fraction, open_interest, lower_cap, upper_cap):
    """Initial margin fraction that rises linearly to 1 as open interest (USD) goes from the lower to the upper cap (USD).

    min(1, f + max(0, (OI - lower)/(upper - lower)) (1 - f)); an upper cap of 0 turns the scaling off (dYdX `liquidity_tier.go`).
    """
    if upper_cap <= 0.0 or open_interest <= lower_cap:
        return initial_margin_fraction
    if open_interest >= upper_cap:
        return 1.0
    share = (open_interest - lower_cap) / (upper_cap - lower_cap)
    return min(1.0, initial_margin_fraction + share * (1.0 - initial_margin_fraction))


@inline
def entry_value_after(held, entry_value, lots, value):
    """Cost basis in USD of `held` lots after `lots` more were bought at a total of `value` USD, at average entry price."""
    after = held + lots
    if held == 0 or (held > 0) == (lots > 0):
        return entry_value + value
    if (after > 0) == (held > 0) and after != 0:
        return entry_value * (after / held)
    return value * (after / lots)


@inline
def position_margin(markets, margin_tiers, k, notional, open_interest, least_fraction):
    """(initial, maintenance) margin in USD of a position of `notional` USD in market k.

    Tier t holds from `above` on: notional x rate - deduction, the deduction making the margin continuous at the edge
    (Hyperliquid docs, margin tiers). Initial margin is at least `least_fraction` x notional, the user's own leverage. Where the tier
    says so, both fractions rise with the size of the position.
    """
    t = 0
    while t + 1 < margin_tiers.shape[1] and notional > margin_tiers[k, t + 1].above:
        t += 1
    fraction = open_interest_scaled_fraction(
        margin_tiers[k, t].initial, open_interest, markets[k].open_interest_lower_cap, markets[k].open_interest_upper_cap
    )
    own = margin_tiers[k, t].maintenance
    if margin_tiers[k, t].sized != 0 and markets[k].mark > 0.0:
        size = notional / markets[k].mark
        if margin_tiers[k, t].sized == SIZED_BY_SKEW:
            initial, maintenance, reward = skew_margins(
                size, notional, margin_tiers[k, t].skew_scale, margin_tiers[k, t].size_factor, margin_tiers[k, t].initial,
                margin_tiers[k, t].maintenance_of_initial, margin_tiers[k, t].reward, margin_tiers[k, t].least_margin,
            )  # fmt: skip
            return max(initial + reward, least_fraction * notional), maintenance + reward
        fraction = size_scaled_fraction(fraction, margin_tiers[k, t].size_factor, size)
        own = size_scaled_fraction(own, margin_tiers[k, t].size_factor, size)
    initial = fraction * notional - margin_tiers[k, t].initial_deduction
    maintenance = own * notional - margin_tiers[k, t].maintenance_deduction
    return max(initial, least_fraction * notional), maintenance


@inline
def account_risk_after(accounts, positions, markets, margin_tiers, i, k, lots, cash, open_interest_lots):
    """(equity, initial margin, maintenance margin) in USD that account i would have after a change in market k.

    The change: `lots` more in market k, `cash` USD more collateral, open interest of market k at `open_interest_lots`.
    Margins add up over markets, unless the rule nets them. Unrealised profit that does not count for initial margin is added to it.
    """
    equity = accounts[i].collateral + cash
    initial = 0.0
    maintenance = 0.0
    net_initial = squared_initial = initial_floor = 0.0
    net_maintenance = squared_maintenance = maintenance_floor = 0.0
    for j in range(positions.shape[1]):
        held = positions[i, j].lots
        interest = markets[j].open_interest
        if j == k:
            held += lots
            interest = open_interest_lots
        if held != 0:
            price = markets[j].lot * markets[j].mark
            value = held * price
            equity += value
            more_initial, more_maintenance = position_margin(
                markets, margin_tiers, j, abs(value), interest * price, positions[i, j].least_margin_fraction
            )
            initial += more_initial
            maintenance += more_maintenance
            if margin_tiers[j, 0].account_wide != 0:
                if margin_tiers[j, 0].account_wide & NETS_MARKETS != 0:
                    net_initial += more_initial if held > 0 else -more_initial
                    squared_initial += more_initial * more_initial
                    initial_floor += margin_tiers[j, 0].initial_floor * abs(value)
                    net_maintenance += more_maintenance if held > 0 else -more_maintenance
                    squared_maintenance += more_maintenance * more_maintenance
                    maintenance_floor += margin_tiers[j, 0].maintenance_floor * abs(value)
                if margin_tiers[j, 0].account_wide & WEIGHS_PROFIT != 0:
                    entry_value = positions[i, j].entry_value
                    if j == k and lots != 0:
                        entry_value = entry_value_after(positions[i, j].lots, entry_value, lots, -cash)
                    profit = value - entry_value
                    counted = counted_profit(
                        profit, margin_tiers[j, 0].profit_weight, margin_tiers[j, 0].profit_size_factor, margin_tiers[j, 0].profit_cap
                    )
                    initial += profit - counted
    if squared_initial > 0.0:
        lowest = margin_tiers[0, 0].lowest_correlation
        highest = margin_tiers[0, 0].highest_correlation
        initial = portfolio_requirement(squared_initial, net_initial, initial_floor, lowest, highest)
        maintenance = portfolio_requirement(squared_maintenance, net_maintenance, maintenance_floor, lowest, highest)
    if accounts[i].house != 0:
        return equity, 0.0, 0.0
    return equity, initial, maintenance


@inline
def account_risk(accounts, positions, markets, margin_tiers, i):
    """(equity, initial margin, maintenance margin) in USD of account i at mark prices.

    Equity = collateral + sum of size x mark; margins add up over markets whatever the sign of the positions, unless the rule nets them.
    The venue's own account needs none.
    """
    return account_risk_after(accounts, positions, markets, margin_tiers, i, -1, 0, 0.0, 0)


@inline
def is_initially_collateralised(equity, initial_margin):
    """An account may take new risk iff equity >= initial margin."""
    return equity >= initial_margin


@inline
def is_maintenance_collateralised(equity, maintenance_margin):
    """An account keeps its positions iff equity >= maintenance margin."""
    return equity >= maintenance_margin


@inline
def is_liquidatable(equity, maintenance_margin):
    """Liquidatable iff maintenance margin > 0 and maintenance margin > equity: an account without positions never is."""
    return maintenance_margin > 0.0 and maintenance_margin > equity


@inline
def compare_risk(equity_a, maintenance_a, equity_b, maintenance_b):
    """+1 when a is riskier than b, -1 when b is, 0 when equal: the lower equity / maintenance margin is riskier.

    Compared by cross-multiplication; at equal ratios the larger maintenance margin is riskier, without margin the smaller equity.
    """
    if maintenance_a == 0.0 and maintenance_b == 0.0:
        if equity_a == equity_b:
            return 0
        return 1 if equity_a < equity_b else -1
    left = equity_a * maintenance_b
    right = equity_b * maintenance_a
    if left == right:
        if maintenance_a == maintenance_b:
            return 0
        return 1 if maintenance_a > maintenance_b else -1
    return 1 if left < right else -1


@inline
def transition_result(equity_old, initial_old, maintenance_old, equity_new, initial_new, maintenance_new):
    """Whether an account may go from the old to the new state: one of the TRANSITION_... numbers.

    Enough initial margin afterwards always passes. Otherwise maintenance margin must not rise and equity / maintenance margin must
    not fall; where either margin is zero only the case that both are zero and equity rises passes
    (dYdX `x/subaccounts/lib/updates.go`, IsValidStateTransitionForUndercollateralizedSubaccount).
    """
    if is_initially_collateralised(equity_new, initial_new):
        return TRANSITION_SUCCESS
    if is_initially_collateralised(equity_old, initial_old):
        return TRANSITION_NEWLY_UNDERCOLLATERALISED
    if maintenance_old == 0.0 or maintenance_new == 0.0:
        if maintenance_old == 0.0 and maintenance_new == 0.0 and equity_new > equity_old:
            return TRANSITION_SUCCESS
        return TRANSITION_STILL_UNDERCOLLATERALISED
    if maintenance_new > maintenance_old * (1.0 + RISK_TOLERANCE):
        return TRANSITION_STILL_UNDERCOLLATERALISED
    left = equity_new * maintenance_old
    right = equity_old * maintenance_new
    if left < right - RISK_TOLERANCE * max(abs(left), abs(right), maintenance_old * maintenance_new):
        return TRANSITION_STILL_UNDERCOLLATERALISED
    return TRANSITION_SUCCESS


@inline
def open_interest_change(size_a, change_a, size_b, change_b):
    """Change of the sum of long positions when the sizes of two matched accounts change (dYdX `oimf.go`), in the unit of the sizes."""
    return max(size_a + change_a, 0) - max(size_a, 0) + max(size_b + change_b, 0) - max(size_b, 0)


@inline
def liquidation_price(equity, size, price, maintenance_fraction, other_maintenance):
    """Price in USD at which equity falls to maintenance margin, for one position of `size` coins valued at `price`.

    (equity - size x price - other maintenance) / (|size| x fraction - size), other markets unchanged
    (dYdX documentation, margin). Infinite or negative where no price does it.
    """
    slope = abs(size) * maintenance_fraction - size
    if slope == 0.0:
        return math.inf
    return (equity - size * price - other_maintenance) / slope


@shared_kernel
def assess_accounts(venue, accounts, positions, markets, margin_tiers, funds):
    """Values every account at mark: equity, margins, since when it is below maintenance or below zero; and the bad debt.

    Writes to `accounts`, to `funds[0].bad_debt` (USD below zero over all accounts) and to `venue[0].liquidatable`.
    """
    block = venue[0].block
    liquidatable = 0
    bad_debt = 0.0
    for i in range(accounts.shape[0]):
        equity, initial, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
        accounts[i].equity = equity
        accounts[i].initial_margin = initial
        accounts[i].maintenance_margin = maintenance
        if is_liquidatable(equity, maintenance):
            liquidatable += 1
            if accounts[i].below_maintenance_since == NOT_YET:
                accounts[i].below_maintenance_since = block
        else:
            accounts[i].below_maintenance_since = NOT_YET
        if equity < 0.0 and accounts[i].house == 0:
            bad_debt -= equity
            if accounts[i].below_zero_since == NOT_YET:
                accounts[i].below_zero_since = block
        else:
            accounts[i].below_zero_since = NOT_YET
    funds[0].bad_debt = bad_debt
    venue[0].liquidatable = liquidatable
