"""Loans against other coins than the venue's money: weights, transfers in a liquidation, losses of depositors (Drift v2).

An asset of a borrower goes to a liquidator who pays a liability back for it; the asset's multiplier (> 1) and the liability's (< 1) are
its discount. Source: drift-labs/protocol-v2 `programs/drift/src/math/{liquidation,spot_balance,margin}.rs`. Collateral in a simulation is
money alone; of these, `deposit_loss_fraction` runs there.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline


@inline
def scaled_asset_weight(weight, scale_start, deposits, price):
    """Weight of an asset for initial margin, smaller the more of it is deposited: w x start / value of deposits beyond `scale_start` USD.

    A start of 0 switches it off.
    """
    value = deposits * price
    return weight * scale_start / value if scale_start > 0.0 and value > scale_start else weight


@inline
def liability_to_cover_shortage(
    shortage, asset_weight, asset_multiplier, liability_weight, liability_multiplier, liability_price, fund_fee
):
    """Coins of a liability whose transfer frees `shortage` USD of margin: shortage / (P (lw - aw am / lm) - P x fund fee x lw).

    Infinite where a transfer frees nothing.
    """
    if liability_multiplier <= 0.0:
        return math.inf
    freed = liability_weight - asset_weight * asset_multiplier / liability_multiplier - fund_fee * liability_weight
    return shortage / (liability_price * freed) if freed > 0.0 and liability_price > 0.0 else math.inf


@inline
def liability_for_asset(asset, asset_price, asset_multiplier, liability_price, liability_multiplier):
    """Coins of the liability that are paid back for `asset` coins of the asset; infinite for one that is worth nothing."""
    worth = liability_price * asset_multiplier
    return asset * asset_price * liability_multiplier / worth if worth > 0.0 else math.inf


@inline
def asset_for_liability(asset, asset_price, asset_multiplier, liability, liability_price, liability_multiplier):
    """Coins of the asset for `liability` coins paid back, at most the `asset` there is; all of it if less than one USD would be left."""
    worth = asset_price * liability_multiplier
    wanted = liability * liability_price * asset_multiplier / worth if worth > 0.0 else math.inf
    if wanted >= asset or (asset - wanted) * asset_price < 1.0:
        return asset
    return wanted


@inline
def fund_fee_of_transfer(
    shortage, liability, asset_weight, asset_multiplier, liability_weight, liability_multiplier, liability_price, most
):
    """Fraction of a transferred liability that goes to the fund: min(most, (lw - aw am / lm - shortage / value) / lw), never below 0."""
    value = liability * liability_price
    if value <= 0.0 or liability_weight <= 0.0 or liability_multiplier <= 0.0:
        return 0.0
    room = liability_weight - asset_weight * asset_multiplier / liability_multiplier - shortage / value
    return min(most, max(room, 0.0) / liability_weight)


@inline
def deposit_loss_fraction(loss, deposits):
    """Part of its balance that every depositor loses when `loss` USD are shared out over all deposits; 0 without deposits."""
    return loss / deposits if deposits > 0.0 else 0.0
