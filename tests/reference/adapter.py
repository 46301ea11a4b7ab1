"""One table from the mechanism name of a reference row to the project's own function.

An adapter renames and scales: it builds the tables the function reads, calls it, and names its answers as the row does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numba
import numpy as np
from small_venue import (
    book_of,
    common_step,
    empty_venue,
    margin_of,
    one_account,
    one_market,
    risk_of,
    set_positions,
)

from abm.kernels import deleveraging, fees, funding, liquidation, margin, mark, oracle, vault, withdrawals
from abm.kernels.book import impact_price
from abm.mechanisms.margin import TieredMargin
from abm.state import HALTED

Inputs = Mapping[str, Any]
Answer = dict[str, Any]
Adapter = Callable[[Inputs], Answer]

EIGHT_HOURS = 28_800.0  # seconds

TRANSITIONS = {
    margin.TRANSITION_SUCCESS: "success",
    margin.TRANSITION_STILL_UNDERCOLLATERALISED: "still_undercollateralized",
    margin.TRANSITION_NEWLY_UNDERCOLLATERALISED: "newly_undercollateralized",
}


def number(value: float | None, missing: float) -> float:
    """A number as float64, so that every call meets the same compiled function; null and absent mean `missing`."""
    return missing if value is None else float(value)


def table(values: Sequence[float], room: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One market's row of values, with room for `room` of them."""
    row = np.zeros((1, max(room, len(values), 1)))
    row[0, : len(values)] = values
    return row


# Funding


def funding_clamp(row: Inputs) -> Answer:
    initial = float(row["initial_margin_fraction"])
    maintenance = margin.maintenance_margin_fraction(initial, float(row["maintenance_fraction_of_initial"]))
    return {"max_abs_rate_8h": funding.funding_limit(float(row["clamp_factor"]), initial, maintenance)}


def impact(row: Inputs) -> Answer:
    side = 1 if row["side"] == "buy" else -1
    bids, asks = ([], row["levels"]) if side > 0 else (row["levels"], [])
    reference = float(row["levels"][0][0]) if row["levels"] else 1.0
    state = book_of(bids, asks, number(row["impact_notional"], 0.0), reference)
    price = impact_price(
        state.accounts,
        state.positions,
        state.markets,
        state.margin_tiers,
        state.levels,
        state.bitmap,
        state.orders,
        0,
        side,
        float(row["impact_notional"]),
    )
    return {"impact_price": price if price > 0.0 else None}


def premium_vote(row: Inputs) -> Answer:
    state = book_of(row["bids"], row["asks"], number(row["impact_notional"], 0.0), number(row["index_price"], 0.0))
    if row.get("status", "active") != "active":
        state.markets["status"] = HALTED
    unclamped = funding.book_premium(
        state.accounts,
        state.positions,
        state.markets,
        state.margin_tiers,
        state.levels,
        state.bitmap,
        state.orders,
        0,
    )
    return {"premium": funding.premium_vote(unclamped, number(row["max_abs_premium"], math.inf))}


def premium_sample(row: Inputs) -> Answer:
    """Votes of zero are not sent: the row lists the others and says how many there were."""
    votes, count, least = row["votes"], row["num_votes"], row["min_num_votes"]
    values = table(votes, max(count, least))
    return {"premium_sample": funding.premium_sample(values, 0, max(count, len(votes)), least)}


def remove_sample_tails(row: Inputs) -> Answer:
    samples = table(row["samples"], 1)
    first, last = funding.remove_sample_tails(samples, 0, len(row["samples"]), float(row["rate"]))
    return {"kept": samples[0, first:last].tolist()}


def funding_tick(row: Inputs) -> Answer:
    samples = [value for value, count in row["premium_samples"] for _ in range(count)]
    least = math.ceil(row["tick_interval_s"] / row["sample_interval_s"])
    average = funding.average_premium(table(samples, least), 0, len(samples), least, number(row.get("tail_removal_rate"), 0.0))
    initial = float(row["initial_margin_fraction"])
    maintenance = margin.maintenance_margin_fraction(initial, float(row["maintenance_fraction_of_initial"]))
    limit = funding.funding_limit(float(row["clamp_factor"]), initial, maintenance)
    rate = funding.voted_funding_rate(average, number(row["default_funding_8h"], 0.0), limit)
    change = funding.funding_index_change(rate, row["tick_interval_s"] / EIGHT_HOURS, float(row["index_price"]))
    return {"funding_rate_8h": rate, "funding_index_delta": change}


def funding_index_delta(row: Inputs) -> Answer:
    share = row["elapsed_s"] / EIGHT_HOURS
    return {"funding_index_delta": funding.funding_index_change(float(row["funding_rate_8h"]), share, float(row["price"]))}


def funding_settlement(row: Inputs) -> Answer:
    change = funding.funding_settlement(float(row["size"]), float(row["index_at_entry"]), float(row["index_now"]))
    return {"usdc_change": change}


def hourly_funding_rate(row: Inputs) -> Answer:
    """Hyperliquid: quoted for eight hours, an eighth of it paid every hour."""
    premium = funding.premium(number(row["impact_bid"], 0.0), number(row["impact_ask"], 0.0), float(row["oracle"]))
    rate = funding.clamped_premium_rate(premium, float(row["interest_8h"]), float(row["clamp"]))
    paid = funding.settled_rate(rate, 1.0 / 8.0, number(row.get("cap_per_hour"), math.inf))
    return {"premium": premium, "rate_8h": rate, "rate_1h": paid}


def hourly_funding_payment(row: Inputs) -> Answer:
    """The row's payment is what the position pays, ours what it receives."""
    change = funding.funding_index_change(float(row["rate_1h"]), 1.0, float(row["oracle"]))
    return {"payment": -funding.funding_settlement(float(row["size"]), 0.0, change)}


def clamped_funding_rate(row: Inputs) -> Answer:
    return {
        "rate": funding.clamped_premium_rate(float(row["premium"]), float(row["interest"]), float(row["clamp"])),
    }


# Fees and withdrawals


def fee_tier(row: Inputs) -> Answer:
    tiers = np.zeros(len(row["tiers"]), fees.FEE_TIER)
    for t, tier in enumerate(row["tiers"]):
        tiers["volume"][t] = number(tier.get("abs_volume"), 0.0)
        tiers["total_share"][t] = number(tier.get("total_share"), 0.0)
        tiers["maker_share"][t] = number(tier.get("maker_share"), 0.0)
        tiers["taker"][t] = tier["taker"]
        tiers["maker"][t] = tier["maker"]
    taker, maker = fees.account_fees(
        tiers.view(np.recarray) if numba.config.DISABLE_JIT else tiers,
        bool(row.get("is_vault")),
        float(row["taker_volume"]),
        float(row["maker_volume"]),
        float(row["global_volume"]),
        number(row.get("market_charge"), 1.0),
        number(row.get("staking_discount"), 0.0),
    )
    return {"taker_fee": taker, "maker_fee": maker}


def withdrawal_baseline(row: Inputs) -> Answer:
    baseline = withdrawals.withdrawal_baseline(float(row["tvl"]), number(row["minimum"], math.inf), float(row["tvl_fraction"]))
    return {"baseline": baseline}


def withdrawal_capacity(row: Inputs) -> Answer:
    capacity = withdrawals.withdrawal_capacity(
        float(row["tvl"]),
        number(row["minimum"], math.inf),
        float(row["tvl_fraction"]),
        float(row["period_s"]),
        float(row["capacity"]),
        float(row["elapsed_s"]),
    )
    return {"capacity": capacity}


# Margin


def maintenance_margin_fraction(row: Inputs) -> Answer:
    fraction = margin.maintenance_margin_fraction(
        float(row["initial_margin_fraction"]), float(row["maintenance_fraction_of_initial"])
    )
    return {"maintenance_margin_fraction": fraction}


def initial_margin_requirement(row: Inputs) -> Answer:
    fraction = row["initial_margin_fraction"]
    state = one_market(fraction, fraction, lower_cap=row["oi_lower_cap"], upper_cap=row["oi_upper_cap"])
    initial, _ = margin_of(state, row["position_notional"], row["open_interest_notional"])
    return {"imr": initial}


def open_interest_scaled_fraction(row: Inputs) -> Answer:
    fraction = margin.open_interest_scaled_fraction(
        float(row["initial_margin_fraction"]),
        float(row["open_interest_notional"]),
        number(row["oi_lower_cap"], 0.0),
        number(row["oi_upper_cap"], 0.0),
    )
    return {"imf": fraction}


def margin_requirements(row: Inputs) -> Answer:
    initial = float(row["initial_margin_fraction"])
    maintenance = margin.maintenance_margin_fraction(initial, float(row["maintenance_fraction_of_initial"]))
    state = one_market(initial, maintenance, lower_cap=row["oi_lower_cap"], upper_cap=row["oi_upper_cap"])
    imr, mmr = margin_of(state, abs(row["size"]) * row["price"], row["open_interest"] * row["price"])
    return {"imr": imr, "mmr": mmr}


def initial_collateralised(row: Inputs) -> Answer:
    return {"ok": margin.is_initially_collateralised(float(row["net_collateral"]), float(row["imr"]))}


def maintenance_collateralised(row: Inputs) -> Answer:
    return {"ok": margin.is_maintenance_collateralised(float(row["net_collateral"]), float(row["mmr"]))}


def is_liquidatable(row: Inputs) -> Answer:
    return {"liquidatable": margin.is_liquidatable(float(row["net_collateral"]), float(row["mmr"]))}


def subaccount_liquidatable(row: Inputs) -> Answer:
    equity, _, maintenance = risk_of(one_account(row["quote_balance"], row["positions"]))
    return {"liquidatable": margin.is_liquidatable(equity, maintenance)}


def compare_risk(row: Inputs) -> Answer:
    comparison = margin.compare_risk(*(float(row[name]) for name in ("nc_a", "mmr_a", "nc_b", "mmr_b")))
    return {"cmp": comparison}


def subaccount_risk(row: Inputs) -> Answer:
    equity, initial, maintenance = risk_of(one_account(row["quote_balance"], row["positions"]))
    return {"nc": equity, "imr": initial, "mmr": maintenance}


def undercollateralised_transition(row: Inputs) -> Answer:
    """A row without new initial margin is about a state that does not meet it."""
    result = margin.transition_result(
        float(row["nc_old"]),
        float(row["imr_old"]),
        float(row["mmr_old"]),
        float(row["nc_new"]),
        number(row.get("imr_new"), math.inf),
        float(row["mmr_new"]),
    )
    return {"result": TRANSITIONS[result]}


def open_interest_delta(row: Inputs) -> Answer:
    change = margin.open_interest_change(*(float(row[name]) for name in ("size_a", "delta_a", "size_b", "delta_b")))
    return {"oi_delta": change}


def liquidation_price(row: Inputs) -> Answer:
    price = margin.liquidation_price(*(float(row[name]) for name in ("equity", "size", "price", "mmf", "other_mmr")))
    return {"liquidation_price": price}


def liquidation_price_of_spare_margin(row: Inputs) -> Answer:
    """Hyperliquid gives what the account has beyond its maintenance margin, and the leverage at which that is
    reached."""
    fraction = 1.0 / row["maintenance_leverage"]
    equity = row["margin_available"] + abs(row["size"]) * row["price"] * fraction
    size = float(row["side"] * abs(row["size"]))
    price = margin.liquidation_price(equity, size, float(row["price"]), fraction, 0.0)
    return {"liquidation_price": price}


def tiered_maintenance_margin(row: Inputs) -> Answer:
    tiers = tuple((float(above), float(leverage)) for above, leverage in row["tiers"])
    state = empty_venue(0, ["COIN"])
    TieredMargin(tiers=(tiers,)).init(state, 0)
    _, maintenance = margin_of(state, row["notional"])
    return {"maintenance_margin": maintenance}


# Liquidation


def maintenance_of(state: Any, k: int, size: float) -> float:
    """Maintenance margin in USD of a position of `size` coins in market k."""
    price = float(state.markets["mark"][k])
    _, maintenance = margin.position_margin(state.markets, state.margin_tiers, k, abs(size) * price, 0.0, 0.0)
    return float(maintenance)


def fillable_price(row: Inputs) -> Answer:
    state = one_account(row["quote_balance"], row["positions"])
    equity, _, maintenance = risk_of(state)
    k = row["close_index"]
    size, price = float(row["positions"][k]["size"]), float(row["positions"][k]["price"])
    limit = liquidation.fillable_price(
        size,
        price,
        maintenance_of(state, k, size),
        equity,
        maintenance,
        float(row["bankruptcy_adjustment"]),
        float(row["spread_to_maintenance_margin_ratio"]),
    )
    return {"fillable_price": limit}


def bankruptcy_quote(row: Inputs, size_change: float) -> float:
    state = one_account(row["quote_balance"], row["positions"])
    equity, _, maintenance = risk_of(state)
    k = row["close_index"]
    size, price = float(row["positions"][k]["size"]), float(row["positions"][k]["price"])
    set_free = abs(maintenance_of(state, k, size) - maintenance_of(state, k, size + size_change))
    return float(liquidation.bankruptcy_quote_change(size_change, price, set_free, equity, maintenance))


def bankruptcy_quote_delta(row: Inputs) -> Answer:
    return {"quote_delta": bankruptcy_quote(row, float(row["size_delta"]))}


def liquidation_insurance_delta(row: Inputs) -> Answer:
    size_change = float(row["fill_size"]) if row["is_buy"] else -float(row["fill_size"])
    quote_change = -size_change * row["fill_price"]
    delta = liquidation.fund_delta(quote_change, bankruptcy_quote(row, size_change), float(row["max_liquidation_fee"]))
    return {"insurance_delta": delta}


def liquidation_size(row: Inputs) -> Answer:
    change = liquidation.liquidation_size(
        float(row["size"]),
        float(row["price"]),
        float(row["min_notional"]),
        float(row["max_portion"]),
        number(row["subaccount_notional_left"], math.inf),
        float(row["step"]),
    )
    return {"size_delta": change}


def liquidatable_notional_bounds(row: Inputs) -> Answer:
    least, most = liquidation.liquidatable_notional_bounds(
        abs(row["size"]) * float(row["price"]), float(row["min_notional"]), float(row["max_portion"])
    )
    return {"min_notional": least, "max_notional": most}


def subaccount_block_limit(row: Inputs) -> Answer:
    return {
        f"{kind}_left": liquidation.allowance_left(number(row[f"max_{name}"], math.inf), float(row[f"used_{name}"]))
        for kind, name in (("notional", "notional"), ("insurance", "insurance_lost"))
    }


def insurance_fund_can_cover(row: Inputs) -> Answer:
    return {"ok": liquidation.fund_can_cover(float(row["balance"]), float(row["delta"]))}


def liquidation_order_priority(row: Inputs) -> Answer:
    price = float(row["oracle_price"])
    urgency = [
        (liquidation.distance_to_fillable(float(order["fillable_price"]), price), abs(order["size"]) * price)
        for order in row["orders"]
    ]
    return {"order": sorted(range(len(urgency)), key=urgency.__getitem__, reverse=True)}


# Deleveraging


def can_deleverage(row: Inputs) -> Answer:
    position = {"size": row["size"], "price": row["oracle_price"], "mmf": 0.1}
    equity, _, _ = risk_of(one_account(row["quote_balance"], [position]))
    kind = deleveraging.deleveraging_price_kind(equity, bool(row["final_settlement"]))
    return {"at_bankruptcy_price": kind == 1, "at_oracle_price": kind == 0}


def deleverage(row: Inputs) -> Answer:
    symbols = list(row["prices"])
    sides = ("liquidated", "offsetting")
    state = empty_venue(len(sides), symbols)
    sizes = [{symbols.index(position["market"]): float(position["size"]) for position in row[side]["positions"]} for side in sides]
    for k, symbol in enumerate(symbols):
        held = [account.get(k, 0.0) for account in sizes]
        state.markets["lot"][k] = common_step([*held, row["size_delta"]])
        state.markets["mark"][k] = state.markets["oracle"][k] = row["prices"][symbol]
        state.margin_tiers["initial"][k] = row["imf"][symbol]
        state.margin_tiers["maintenance"][k] = row["mmf"][symbol]
    for i, side in enumerate(sides):
        state.accounts["collateral"][i] = row[side]["quote_balance"]
        set_positions(state, i, sizes[i])
    k = symbols.index(row["market"])
    tables = (state.accounts, state.positions, state.markets, state.margin_tiers)
    if row["price_mode"] == "oracle":
        price = float(state.markets["oracle"][k])
    else:
        price = deleveraging.account_bankruptcy_price(*tables, 0, k)
    closing = -math.copysign(1.0, sizes[0].get(k, 0.0)) * row["size_delta"]
    lots = round(closing / float(state.markets["lot"][k]))
    if not deleveraging.deleverage(state.venue, *tables, state.deleveragings, 0, 1, k, lots, price):
        return {"ok": False}
    answer: Answer = {"ok": True}
    for i, side in enumerate(sides):
        coins = state.positions["lots"][i] * state.markets["lot"]
        answer[side] = {
            "quote_balance": float(state.accounts["collateral"][i]),
            "positions": [{"market": symbol, "size": float(size)} for symbol, size in zip(symbols, coins, strict=True) if size],
        }
    return answer


def highest_first(scores: Sequence[float]) -> list[int]:
    """Rows by falling score, equal scores in their order."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def rank_by_mark_to_entry(row: Inputs) -> Answer:
    names = ("mark", "entry", "notional", "account_value")
    scores = [deleveraging.mark_to_entry_score(*(float(c[name]) for name in names)) for c in row["candidates"]]
    return {"order": highest_first(scores)}


def rank_by_profit_and_leverage(row: Inputs) -> Answer:
    scores = [deleveraging.profit_leverage_score(float(c["pnl_pct"]), float(c["effective_leverage"])) for c in row["candidates"]]
    return {"order": highest_first(scores)}


# Oracle, mark and vault


def min_price_change(row: Inputs) -> Answer:
    return {"min_change": oracle.min_price_change(float(row["price"]), float(row["min_change_fraction"]))}


def price_update_check(row: Inputs) -> Answer:
    names = ("old_price", "new_price", "index_price", "min_change_fraction")
    accepted = oracle.price_update_check(*(float(row[name]) for name in names))
    return {"result": "valid" if accepted else "invalid"}


def price_sqrt_condition(row: Inputs) -> Answer:
    return {"ok": oracle.price_sqrt_condition(float(row["old_delta"]), float(row["new_delta"]), float(row["tick"]))}


def price_within_one_tick(row: Inputs) -> Answer:
    return {"ok": oracle.price_within_one_tick(float(row["delta"]), float(row["tick"]))}


def max_allowed_price_delta(row: Inputs) -> Answer:
    return {"max_delta": oracle.max_allowed_price_delta(float(row["old_delta"]), float(row["tick"]))}


def is_towards_index(row: Inputs) -> Answer:
    names = ("old_price", "new_price", "index_price")
    return {"ok": oracle.is_towards_index(*(float(row[name]) for name in names))}


def votes_of(row: Inputs) -> tuple[Any, Any]:
    """Prices and stakes of the votes, as two arrays."""
    votes = np.array(row["votes"], np.float64).reshape(-1, 2)
    return votes[:, 0].copy(), votes[:, 1].copy()


def stake_weighted_median(row: Inputs) -> Answer:
    price = oracle.quorum_median_of_votes(*votes_of(row), float(row["total_stake"]), float(row["threshold"]))
    return {"price": None if price == oracle.SILENT else price}


def weighted_median(row: Inputs) -> Answer:
    return {"price": oracle.median_of_votes(*votes_of(row)) if row["votes"] else None}


def mark_price(row: Inputs) -> Answer:
    price = mark.robust_mark(
        float(row["oracle"]),
        number(row["ema_150s_mid_minus_oracle"], 0.0),
        number(row["best_bid"], mark.NONE),
        number(row["best_ask"], mark.NONE),
        number(row["last_trade"], mark.NONE),
        number(row["cex_perp_weighted_median"], mark.NONE),
    )
    return {"mark": price}


def vault_quotes(row: Inputs) -> Answer:
    tick, lot = float(row["tick"]), float(row["step"])
    price, inventory = float(row["oracle_price"]), float(row["inventory"])
    quotes = np.zeros(2 * row["layers"], vault.QUOTE)
    count = vault.vault_quotes(
        quotes.view(np.recarray) if numba.config.DISABLE_JIT else quotes,
        row["quote_balance"] + inventory * price,
        round(inventory / lot),
        price,
        row["layers"] if row["status"] in ("quoting", "close_only") else 0,
        float(row["spread_min"]),
        float(row["spread_buffer"]),
        float(row["min_price_change"]),
        float(row["skew_factor"]),
        float(row["order_size_pct"]),
        tick,
        lot,
        row["status"] == "close_only",
    )
    return {
        "orders": [
            [
                "buy" if quote["side"] > 0 else "sell",
                quote["tick"] * tick,
                quote["lots"] * lot,
                bool(quote["post_only"]),
            ]
            for quote in quotes[:count]
        ]
    }


ADAPTERS: dict[str, Adapter] = {
    "cex.adl_rank": rank_by_profit_and_leverage,
    "cex.funding_rate": clamped_funding_rate,
    "dydx.bankruptcy_quote_delta": bankruptcy_quote_delta,
    "dydx.can_deleverage": can_deleverage,
    "dydx.deleverage": deleverage,
    "dydx.fee_tier": fee_tier,
    "dydx.fillable_price": fillable_price,
    "dydx.funding_clamp": funding_clamp,
    "dydx.funding_index_delta": funding_index_delta,
    "dydx.funding_settlement": funding_settlement,
    "dydx.funding_tick": funding_tick,
    "dydx.impact_price": impact,
    "dydx.initial_collateralized": initial_collateralised,
    "dydx.initial_margin_requirement": initial_margin_requirement,
    "dydx.insurance_fund_can_cover": insurance_fund_can_cover,
    "dydx.is_liquidatable": is_liquidatable,
    "dydx.is_towards_index": is_towards_index,
    "dydx.liquidatable_notional_bounds": liquidatable_notional_bounds,
    "dydx.liquidation_insurance_delta": liquidation_insurance_delta,
    "dydx.liquidation_order_priority": liquidation_order_priority,
    "dydx.liquidation_price": liquidation_price,
    "dydx.liquidation_size": liquidation_size,
    "dydx.maintenance_collateralized": maintenance_collateralised,
    "dydx.maintenance_margin_fraction": maintenance_margin_fraction,
    "dydx.margin_requirements": margin_requirements,
    "dydx.max_allowed_price_delta": max_allowed_price_delta,
    "dydx.min_price_change": min_price_change,
    "dydx.oi_scaled_imf": open_interest_scaled_fraction,
    "dydx.open_interest_delta": open_interest_delta,
    "dydx.premium_sample": premium_sample,
    "dydx.premium_vote": premium_vote,
    "dydx.price_sqrt_condition": price_sqrt_condition,
    "dydx.price_update_check": price_update_check,
    "dydx.price_within_one_tick": price_within_one_tick,
    "dydx.remove_sample_tails": remove_sample_tails,
    "dydx.risk_compare": compare_risk,
    "dydx.subaccount_block_limit": subaccount_block_limit,
    "dydx.subaccount_liquidatable": subaccount_liquidatable,
    "dydx.subaccount_risk": subaccount_risk,
    "dydx.undercollateralized_transition": undercollateralised_transition,
    "dydx.vault_quotes": vault_quotes,
    "dydx.withdrawal_baseline": withdrawal_baseline,
    "dydx.withdrawal_capacity": withdrawal_capacity,
    "hl.adl_rank": rank_by_mark_to_entry,
    "hl.funding_payment": hourly_funding_payment,
    "hl.funding_rate": hourly_funding_rate,
    "hl.liquidation_price": liquidation_price_of_spare_margin,
    "hl.mark_price": mark_price,
    "hl.tiered_maintenance_margin": tiered_maintenance_margin,
    "slinky.stake_weighted_median": stake_weighted_median,
    "slinky.weighted_median": weighted_median,
}
