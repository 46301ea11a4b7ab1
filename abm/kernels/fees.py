"""Trading fees by tier: which tier an account's volume earns, and what it pays there (dYdX v4
`protocol/x/feetiers`)."""

from __future__ import annotations

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.rounding import truncated_rate

FEE_TIER = np.dtype(
    [
        ("volume", "f8"),  # USD traded as taker and maker in the window
        ("total_share", "f8"),  # the same as a fraction of the venue's volume
        ("maker_share", "f8"),  # volume traded as maker, fraction of the venue's volume
        ("maker", "f8"),  # fraction of notional, negative: rebate
        ("taker", "f8"),  # fraction of notional
    ],
    align=True,
)


@inline
def fee_tier(tiers, taker_volume, maker_volume, venue_volume):
    """Row of `tiers` that an account earns with its volumes (USD) out of the venue's volume (USD, each trade counted
    once).

    The tiers are walked upward up to the first one that is not earned: volume, share of all volume and share as maker
    must all be met.
    """
    row = 0
    for t in range(tiers.shape[0]):
        if (
            taker_volume + maker_volume < tiers[t].volume
            or taker_volume + maker_volume < tiers[t].total_share * venue_volume
            or maker_volume < tiers[t].maker_share * venue_volume
        ):
            break
        row = t
    return row


@inline
def charged_fee(fee, market_charge, staking_discount):
    """Fraction of notional that is charged: fee x market charge x (1 - staking discount), cut to millionths toward
    zero."""
    return truncated_rate(fee * market_charge * (1.0 - staking_discount))


@inline
def account_fees(tiers, highest, taker_volume, maker_volume, venue_volume, market_charge, staking_discount):
    """(taker, maker) fee that an account is charged, fractions of notional; `highest` gives it the last tier whatever
    it traded."""
    row = tiers.shape[0] - 1 if highest else fee_tier(tiers, taker_volume, maker_volume, venue_volume)
    return (
        charged_fee(tiers[row].taker, market_charge, staking_discount),
        charged_fee(tiers[row].maker, market_charge, staking_discount),
    )


@kernel
def roll_volumes(accounts, periods, slot):
    """Closes a period of the fee window: the volumes of `accounts` become what was traded in the last periods together.

    `periods` (accounts, window, 2) holds taker and maker volume of each period in USD; [:, slot] is the oldest one,
    which the period that ends now replaces. What was traded in it is the account's volume less that of all periods
    held so far.
    """
    for i in range(accounts.shape[0]):
        taker = 0.0
        maker = 0.0
        for p in range(periods.shape[1]):
            taker += periods[i, p, 0]
            maker += periods[i, p, 1]
        # Sums of the same numbers in another order may differ in the last digit, and no volume is negative.
        periods[i, slot, 0] = max(0.0, accounts[i].taker_volume - taker)
        periods[i, slot, 1] = max(0.0, accounts[i].maker_volume - maker)
        taker = 0.0
        maker = 0.0
        for p in range(periods.shape[1]):
            taker += periods[i, p, 0]
            maker += periods[i, p, 1]
        accounts[i].taker_volume = taker
        accounts[i].maker_volume = maker


@kernel
def assign_fees(accounts, tiers, highest_tier, volume_scale, market_charge, staking_discount):
    """Writes the fees that every account earns with its volumes x `volume_scale`; `highest_tier` (n,) marks who
    always has the last."""
    venue_volume = 0.0
    for i in range(accounts.shape[0]):
        venue_volume += accounts[i].taker_volume
    for i in range(accounts.shape[0]):
        taker_fee, maker_fee = account_fees(
            tiers,
            highest_tier[i],
            accounts[i].taker_volume * volume_scale,
            accounts[i].maker_volume * volume_scale,
            venue_volume * volume_scale,
            market_charge,
            staking_discount,
        )
        accounts[i].taker_fee = taker_fee
        accounts[i].maker_fee = maker_fee
