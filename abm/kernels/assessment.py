"""What happens to accounts and waiting orders before anybody decides, in one call from Python."""

from __future__ import annotations

from abm.kernels.book import expire_orders
from abm.kernels.compiled import kernel
from abm.kernels.conditionals import trigger_conditionals
from abm.kernels.margin import assess_accounts


@kernel
def open_block(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, ended_orders, conditionals, transactions
):
    """Ends resting orders whose time is over, triggers conditional orders, and values every account at mark."""
    expire_orders(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders)
    trigger_conditionals(venue, markets, conditionals, transactions)
    assess_accounts(venue, accounts, positions, markets, margin_tiers, funds)
