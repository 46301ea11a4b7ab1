"""Adapters of rules of order-book venues other than dYdX v4: Drift, Derive, Synthetix, Perp v2."""

from __future__ import annotations

import math

from rows import Answer, Inputs, number

from abm.kernels import (
    averaged_mark,
    averages,
    continuous_funding,
    curves,
    deleveraging,
    funding,
    oracle_validity,
    pools,
    portions,
    size_margin,
    twap_funding,
)
from abm.kernels import mark as marks
from abm.kernels import premium as premiums
from abm.mechanisms.contract_tiers import CONTRACT_TIERS

DAY = 86_400.0
VALIDITIES = (
    "valid",
    "stale_for_amm",
    "insufficient_data",
    "stale_for_margin",
    "too_uncertain",
    "too_volatile",
    "non_positive",
)


def reciprocal(denominator: float | None) -> float:
    """A bound that the chain gives as 1 / denominator; 0 = off."""
    return 1.0 / denominator if denominator else 0.0


# Funding


def divergence_rate(row: Inputs) -> Answer:
    rate = twap_funding.divergence_rate(
        float(row["mark_twap"]),
        float(row["oracle_twap"]),
        reciprocal(row["offset_denominator"]),
        reciprocal(row["max_divergence_denominator"]),
        float(row["funding_period_s"]),
    )
    return {"funding_rate": rate}


def capped_rates(row: Inputs) -> Answer:
    long_rate, short_rate, pool = twap_funding.capped_rates(
        float(row["funding_rate"]),
        float(row["base_long"]),
        float(row["base_short"]),
        float(row["net_user_base"]),
        float(row["fees_minus_distributions"]),
        float(row["fee_lower_bound"]),
        1.0 / 3.0,
    )
    return {"long_rate": long_rate, "short_rate": short_rate, "fees_after": pool}


def largest_divergence(row: Inputs) -> Answer:
    tier = CONTRACT_TIERS[row["contract_tier"]]
    return {"max_spread": twap_funding.largest_divergence(float(row["oracle_twap"]), tier.largest_divergence)}


def funding_basis(row: Inputs) -> Answer:
    """The rate is in USD per coin and hour; a market that has never settled has no average to divide by, and no basis."""
    average = float(row["last_funding_oracle_twap"])
    if average <= 0.0:
        return {"basis": 0.0}
    basis = twap_funding.funding_basis(
        float(row["oracle_price"]),
        24.0 * row["last_funding_rate"] / average,
        float(row["offset_fraction"]),
        float(row["seconds_since_funding"]),
        float(row["funding_period_s"]),
    )
    return {"basis": basis}


def window_funding_payment(row: Inputs) -> Answer:
    premium = curves.twap_premium(float(row["mark_twap"]), float(row["index_twap"]), float(row["max_funding_rate"]))
    return {"payment": curves.premium_payment(float(row["size"]), premium, row["elapsed_s"] / twap_funding.DAY)}


def convergence_rate(row: Inputs) -> Answer:
    premium = premiums.premium(number(row["impact_bid"], 0.0), number(row["impact_ask"], 0.0), float(row["index"]))
    rate = continuous_funding.convergence_rate(premium, float(row["convergence_hours"]), float(row["static_rate"]), float(row["max_rate"]))
    return {"rate": rate}


def hourly_payment(row: Inputs) -> Answer:
    change = funding.funding_index_change(float(row["rate"]), float(row["elapsed_h"]), float(row["index"]))
    return {"cash_change": funding.funding_settlement(float(row["size"]), 0.0, change)}


def velocity_step(row: Inputs) -> Answer:
    days = float(row["elapsed_days"])
    rate, average = pools.velocity_step(
        float(row["rate_before"]), float(row["skew"]), float(row["skew_scale"]), float(row["max_funding_velocity_per_day"]), days
    )
    change = funding.funding_index_change(average, days, float(row["price"]))
    cost = -funding.funding_settlement(float(row["position_size"]), 0.0, change)
    return {"rate": rate, "accrued_cost": row["accrued_before"] + cost}


def velocity_series(row: Inputs) -> Answer:
    skew, rate, cost = float(row["initial_skew"]), 0.0, 0.0
    costs = []
    for days, change in row["steps"]:
        inputs = {**row, "skew": skew, "rate_before": rate, "elapsed_days": days, "accrued_before": cost}
        step = velocity_step(inputs)
        rate, cost = step["rate"], step["accrued_cost"]
        costs.append(cost)
        skew += change
    return {"accrued_cost_after_each": costs}


# Mark and trigger prices


def median_of_three(row: Inputs) -> Answer:
    return {"median": marks.median_of_three(*(float(value) for value in row["values"]))}


def median_of_averages(row: Inputs) -> Answer:
    price = averaged_mark.median_of_averages(
        float(row["market_twap_15s"]),
        float(row["market_twap_30m"]),
        float(row["index_spot"]),
        float(row["market_twap_premium"]) - float(row["index_twap_premium"]),
    )
    return {"mark": price}


def trigger_price_clamp(row: Inputs) -> Answer:
    band = CONTRACT_TIERS[row["contract_tier"]].trigger_band
    return {"price": averaged_mark.clamped_to_band(float(row["median_price"]), float(row["oracle_price"]), band)}


def trigger_price(row: Inputs) -> Answer:
    price = averaged_mark.trigger_price(
        float(row["oracle_price"]),
        number(row["last_fill_price"], 0.0),
        float(row["mark_twap_5min"]),
        float(row["oracle_twap_5min"]),
        float(row["funding_basis"]),
        CONTRACT_TIERS[row["contract_tier"]].trigger_band,
    )
    return {"price": price}


# Oracle


def blended_average(row: Inputs) -> Answer:
    names = ("last_twap", "price", "elapsed_s", "period_s")
    return {"twap": averages.blended_average(*(float(row[name]) for name in names))}


def pulled_price(row: Inputs) -> Answer:
    return {"price": averages.pulled_price(*(float(row[name]) for name in ("oracle_price", "confidence", "reserve_price")))}


def sanitised_averages(row: Inputs) -> Answer:
    long = short = float(row["start"])
    for _ in range(row["updates"]):
        long, short = averages.sanitised_averages(
            long,
            short,
            float(row["oracle_price"]),
            float(row["confidence"]),
            float(row["reserve_price"]),
            reciprocal(row["clamp_denominator"]),
            float(row["update_interval_s"]),
            float(row["period_s"]),
            300.0,
        )
    return {"twap_1h": long, "twap_5min": short}


def oracle_status(row: Inputs) -> Answer:
    validity = oracle_validity.oracle_validity(
        float(row["price"]),
        float(row["confidence"]),
        float(row["delay_slots"]),
        float(row["twap_1h"]),
        bool(row["enough_data_points"]),
        float(row["stale_amm_slots"]),
        float(row["stale_margin_slots"]),
        float(row["volatile_ratio"]),
        float(row["max_confidence"]) * float(row["confidence_multiplier"]),
    )
    gap = oracle_validity.relative_gap(float(row["amm_price"]), float(row["twap_5min"]))
    divergent = oracle_validity.is_too_divergent(gap, float(row["max_divergence"]))
    return {"validity": VALIDITIES[validity], "mark_too_divergent": bool(divergent), "mark_twap_spread": gap}


# Margin


def margin_ratio(row: Inputs) -> Answer:
    """The fraction at which fills are checked lies half-way between initial and maintenance margin."""

    def of(initial: float, maintenance: float) -> float:
        return {"initial": initial, "fill": 0.5 * (initial + maintenance), "maintenance": maintenance}[row["type"]]

    size, factor = float(row["size"]), float(row["imf_factor"])
    ordinary = of(float(row["initial"]), float(row["maintenance"]))
    if not (row["high_leverage"] and row["hl_initial"] and row["hl_maintenance"]):
        return {"margin_ratio": size_margin.size_scaled_fraction(ordinary, factor, size)}
    high = of(float(row["hl_initial"]), float(row["hl_maintenance"]))
    if row["type"] == "maintenance":
        return {"margin_ratio": size_margin.size_scaled_fraction(high, factor, size)}
    return {"margin_ratio": size_margin.high_leverage_fraction(ordinary, high, factor, size)}


def asset_weight(row: Inputs) -> Answer:
    return {"asset_weight": size_margin.size_discounted_weight(float(row["weight"]), float(row["imf_factor"]), float(row["size"]))}


def liability_weight(row: Inputs) -> Answer:
    return {"liability_weight": size_margin.size_scaled_fraction(float(row["weight"]), float(row["imf_factor"]), float(row["size"]))}


def perp_margin_and_profit(row: Inputs) -> Answer:
    size, price = float(row["size"]), float(row["oracle_price"])
    fraction = size_margin.size_scaled_fraction(float(row["margin_ratio"]), float(row["imf_factor"]), size)
    profit = size * price + row["quote_entry"]
    counted = size_margin.counted_profit(
        profit, float(row["upnl_weight"]), float(row["upnl_imf_factor"]), number(row["upnl_initial_cap"], 0.0)
    )
    return {"margin_requirement": abs(size) * price * fraction, "weighted_upnl": counted, "raw_upnl": profit}


# Liquidation and losses


def coins_to_cover_shortage(row: Inputs) -> Answer:
    names = ("margin_shortage", "margin_ratio", "liquidator_fee", "if_fee", "oracle_price", "quote_price")
    return {"base_amount": portions.coins_to_cover_shortage(*(float(row[name]) for name in names))}


def fund_fee(row: Inputs) -> Answer:
    names = ("margin_shortage", "base_amount", "margin_ratio", "liquidator_fee", "oracle_price", "quote_price", "max_if_fee")
    return {"if_fee": portions.fund_fee_of_liquidation(*(float(row[name]) for name in names))}


def coverable_share(row: Inputs) -> Answer:
    share = portions.coverable_share(
        float(row["margin_shortage"]),
        float(row["slots_elapsed"]),
        float(row["initial_pct"]),
        float(row["duration_slots"]),
        float(row["margin_freed"]),
        50.0,
    )
    return {"pct": share}


def ramped_fee(row: Inputs) -> Answer:
    names = ("base_fee", "max_fee", "slots_since_active", "grace_slots", "fee_per_slot")
    return {"fee": portions.ramped_liquidator_fee(*(float(row[name]) for name in names))}


def socialised_loss(row: Inputs) -> Answer:
    names = ("loss", "base_long", "base_short")
    return {"per_base": deleveraging.socialised_loss_per_base(*(float(row[name]) for name in names))}


def liquidatable_in_window(row: Inputs) -> Answer:
    scale = float(row["skew_scale"])
    capacity = portions.liquidation_window_capacity(
        row["maker_fee"] + row["taker_fee"], scale, float(row["accumulation_multiplier"]), float(row["window_s"])
    )
    inside = sum(amount for time, amount in row["liquidations"] if time > row["now_s"] - row["window_s"])
    coins = portions.liquidatable_in_window(
        abs(float(row["position_size"])),
        capacity,
        float(inside),
        row["skew"] / scale if scale else math.inf,
        number(row["max_pd"], 0.0),
        bool(row["same_block_as_last"]),
    )
    return {"liquidated": coins}


def keeper_reward(row: Inputs) -> Answer:
    names = ("tx_cost", "ratio_reward", "min_reward", "min_profit_ratio", "max_reward")
    return {"reward": portions.keeper_reward(*(float(row[name]) for name in names))}
