"""Funding that accrues all the time on the premium of the moment (Derive)."""

from __future__ import annotations

from abm.kernels.compiled import inline, kernel
from abm.kernels.funding import funding_index_change, settle_market
from abm.kernels.premium import book_premium
from abm.kernels.rounding import clamp

HOUR = 3_600.0  # seconds


@inline
def convergence_rate(premium, convergence_hours, static_rate, most):
    """Fraction per hour that longs pay: clamp(premium / convergence time + static rate, +-most) (Derive v2-core `PerpAsset.sol`)."""
    return clamp(premium / convergence_hours + static_rate, most)


@kernel
def settle_convergence_funding(
    venue, accounts, positions, markets, margin_tiers, levels, bitmap, orders, funding_payments, every, hours, static_rate, most
):
    """Every so many blocks: the premium of the book now, and what has accrued at its rate since the last time."""
    block = venue[0].block
    if block == 0 or block % every != 0:
        return
    elapsed = every * venue[0].seconds_per_block / HOUR
    for k in range(markets.shape[0]):
        premium = book_premium(accounts, positions, markets, margin_tiers, levels, bitmap, orders, k)
        markets[k].premium = premium
        rate = convergence_rate(premium, hours, static_rate[k], most)
        price = markets[k].oracle
        settle_market(
            venue, accounts, positions, markets, funding_payments, k, rate * elapsed, rate * 24.0, premium, price,
            funding_index_change(rate, elapsed, price),
        )  # fmt: skip
