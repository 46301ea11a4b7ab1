"""One table from the mechanism name of a reference row to the project's own function.

An adapter renames and scales: it builds the tables the function reads, calls it, and names its answers as the row does.
"""

from __future__ import annotations

import funding_rows
import liquidation_rows
import margin_rows
import price_rows
from rows import Adapter

ADAPTERS: dict[str, Adapter] = {
    "cex.adl_rank": liquidation_rows.rank_by_profit_and_leverage,
    "cex.funding_rate": funding_rows.clamped_funding_rate,
    "dydx.bankruptcy_quote_delta": liquidation_rows.bankruptcy_quote_delta,
    "dydx.can_deleverage": liquidation_rows.can_deleverage,
    "dydx.deleverage": liquidation_rows.deleverage,
    "dydx.fee_tier": funding_rows.fee_tier,
    "dydx.fillable_price": liquidation_rows.fillable_price,
    "dydx.funding_clamp": funding_rows.funding_clamp,
    "dydx.funding_index_delta": funding_rows.funding_index_delta,
    "dydx.funding_settlement": funding_rows.funding_settlement,
    "dydx.funding_tick": funding_rows.funding_tick,
    "dydx.impact_price": funding_rows.impact,
    "dydx.initial_collateralized": margin_rows.initial_collateralised,
    "dydx.initial_margin_requirement": margin_rows.initial_margin_requirement,
    "dydx.insurance_fund_can_cover": liquidation_rows.insurance_fund_can_cover,
    "dydx.is_liquidatable": margin_rows.is_liquidatable,
    "dydx.is_towards_index": price_rows.is_towards_index,
    "dydx.liquidatable_notional_bounds": liquidation_rows.liquidatable_notional_bounds,
    "dydx.liquidation_insurance_delta": liquidation_rows.liquidation_insurance_delta,
    "dydx.liquidation_order_priority": liquidation_rows.liquidation_order_priority,
    "dydx.liquidation_price": margin_rows.liquidation_price,
    "dydx.liquidation_size": liquidation_rows.liquidation_size,
    "dydx.maintenance_collateralized": margin_rows.maintenance_collateralised,
    "dydx.maintenance_margin_fraction": margin_rows.maintenance_margin_fraction,
    "dydx.margin_requirements": margin_rows.margin_requirements,
    "dydx.max_allowed_price_delta": price_rows.max_allowed_price_delta,
    "dydx.min_price_change": price_rows.min_price_change,
    "dydx.oi_scaled_imf": margin_rows.open_interest_scaled_fraction,
    "dydx.open_interest_delta": margin_rows.open_interest_delta,
    "dydx.premium_sample": funding_rows.premium_sample,
    "dydx.premium_vote": funding_rows.premium_vote,
    "dydx.price_sqrt_condition": price_rows.price_sqrt_condition,
    "dydx.price_update_check": price_rows.price_update_check,
    "dydx.price_within_one_tick": price_rows.price_within_one_tick,
    "dydx.remove_sample_tails": funding_rows.remove_sample_tails,
    "dydx.risk_compare": margin_rows.compare_risk,
    "dydx.subaccount_block_limit": liquidation_rows.subaccount_block_limit,
    "dydx.subaccount_liquidatable": margin_rows.subaccount_liquidatable,
    "dydx.subaccount_risk": margin_rows.subaccount_risk,
    "dydx.undercollateralized_transition": margin_rows.undercollateralised_transition,
    "dydx.vault_quotes": price_rows.vault_quotes,
    "dydx.withdrawal_baseline": funding_rows.withdrawal_baseline,
    "dydx.withdrawal_capacity": funding_rows.withdrawal_capacity,
    "hl.adl_rank": liquidation_rows.rank_by_mark_to_entry,
    "hl.funding_payment": funding_rows.hourly_funding_payment,
    "hl.funding_rate": funding_rows.hourly_funding_rate,
    "hl.liquidation_price": margin_rows.liquidation_price_of_spare_margin,
    "hl.mark_price": price_rows.mark_price,
    "hl.tiered_maintenance_margin": margin_rows.tiered_maintenance_margin,
    "slinky.stake_weighted_median": price_rows.stake_weighted_median,
    "slinky.weighted_median": price_rows.weighted_median,
}
