"""Adapters of virtual AMMs: Perp v1, Drift v2's curve, and the liquidation of Perp v2."""

from __future__ import annotations

import math
from typing import Any

from rows import Answer, Inputs

from abm.kernels import curves


def pool(row: Inputs) -> tuple[float, float]:
    """(quote, base) reserve."""
    return float(row["quote_reserve"]), float(row["base_reserve"])


def base_for_quote(row: Inputs) -> Answer:
    sign = 1.0 if row["direction"] == "add" else -1.0
    return {"base_amount": abs(curves.base_for_quote(*pool(row), sign * float(row["quote_amount"])))}


def quote_for_base(row: Inputs) -> Answer:
    sign = -1.0 if row["direction"] == "add" else 1.0
    return {"quote_amount": abs(curves.quote_for_base(*pool(row), sign * float(row["base_amount"])))}


def reserves_after_swaps(row: Inputs) -> Answer:
    quote, base = pool(row)
    for swap in row["quote_swaps"]:
        base -= curves.base_for_quote(quote, base, float(swap))
        quote += float(swap)
    return {"quote_reserve": quote, "base_reserve": base}


def price_band_ok(row: Inputs) -> Answer:
    quote, base = pool(row)
    reference = curves.curve_price(quote, base, 1.0)
    change = float(row["quote_delta"])
    if change == 0.0:
        change = curves.quote_for_base(quote, base, -float(row["base_delta"]))
    price = curves.curve_price(quote + change, base - curves.base_for_quote(quote, base, change), 1.0)
    return {"ok": curves.price_in_band(price, reference, float(row["limit"]))}


def fees(row: Inputs) -> Answer:
    toll, spread = curves.toll_and_spread(float(row["notional"]), float(row["toll_ratio"]), float(row["spread_ratio"]))
    return {"toll": toll, "spread": spread}


def funding_margin(row: Inputs) -> Answer:
    premium = sum(mark_price - index for mark_price, index in row["premiums"])
    margin = row["margin"] - curves.premium_payment(float(row["size"]), float(premium), float(row["period_fraction_of_day"]))
    return {"margin": max(margin, 0.0), "bad_debt": max(-margin, 0.0)}


def amm_funding_pnl(row: Inputs) -> Answer:
    return {"amm_pnl": curves.premium_payment(float(sum(row["positions"])), float(row["mark"]) - float(row["index"]), 1.0)}


def position_on_curve(row: Inputs) -> tuple[float, float, float]:
    """(margin ratio, notional, unrealised profit) with the whole position closed on the curve."""
    size = float(row["size"])
    value = curves.closing_value(*pool(row), 1.0, size)
    unrealised = value - math.copysign(float(row["open_notional"]), size)
    owed = curves.premium_payment(size, float(row.get("premium_fraction", 0.0)), 1.0)
    return curves.curve_margin_ratio(float(row["margin"]), unrealised, owed, abs(value)), abs(value), unrealised


def margin_ratio(row: Inputs) -> Answer:
    return {"margin_ratio": position_on_curve(row)[0]}


def liquidation(row: Inputs) -> Answer:
    ratio, _, unrealised = position_on_curve(row)
    fee_ratio = float(row["liquidation_fee_ratio"])
    share = curves.liquidated_share(ratio, fee_ratio, float(row["partial_ratio"]))
    size, open_value = float(row["size"]), math.copysign(float(row["open_notional"]), float(row["size"]))
    closed = share * size
    value = curves.closing_value(*pool(row), 1.0, closed)
    penalty, reward = curves.liquidation_penalty(abs(value), fee_ratio)
    realised = share * unrealised
    margin = row["margin"] + realised
    answer: Answer = {"closed_size": closed, "notional": abs(value), "liquidator_fee": reward, "realized_pnl": realised}
    if share == 1.0:
        return {**answer, "margin_after": 0.0, "bad_debt": max(-margin, 0.0), "insurance_fund_change": margin - reward}
    quote, base = pool(row)
    after: dict[str, Any] = {
        "quote_reserve": quote - value,
        "base_reserve": base + closed,
        "size": size - closed,
        "open_notional": abs(open_value - value + realised),
        "margin": margin - penalty,
    }
    ratio_after, _, unrealised_after = position_on_curve(after)
    return {
        **answer,
        "penalty": penalty,
        "margin_after": margin - penalty,
        "unrealized_after": unrealised_after,
        "margin_ratio_after": ratio_after,
        "bad_debt": 0.0,
    }


def peg_from_target(row: Inputs) -> Answer:
    return {"peg": curves.peg_from_target(*pool(row), float(row["target_price"]))}


def amm_price(row: Inputs) -> Answer:
    return {"price": curves.curve_price(*pool(row), float(row["peg"]))}


def terminal_price(row: Inputs) -> Answer:
    names = ("base_reserve", "sqrt_k", "peg", "net_user_base")
    return {"price": curves.terminal_price(*(float(row[name]) for name in names))}


def k_update(row: Inputs) -> Answer:
    quote, base = pool(row)
    sqrt_k, net = float(row["sqrt_k"]), float(row["net_user_base"])
    scale = row["new_sqrt_k"] / sqrt_k
    new_base, new_quote = curves.scaled_reserves(base, quote, scale)
    return {
        "base_reserve": new_base,
        "quote_reserve": new_quote,
        "terminal_quote": curves.terminal_quote(new_base, float(row["new_sqrt_k"]), net),
        "terminal_base": new_base + net,
        "cost": curves.scale_cost(base, sqrt_k, float(row["peg"]), net, scale),
    }


def budgeted_k_scale(row: Inputs) -> Answer:
    names = ("base_reserve", "quote_reserve", "net_user_base", "peg", "budget", "upper", "lower")
    return {"scale": curves.budgeted_scale(*(float(row[name]) for name in names))}


def optimal_peg_and_budget(row: Inputs) -> Answer:
    names = ("quote_reserve", "base_reserve", "terminal_quote", "peg", "max_spread", "fee_pool", "oracle_price")
    peg, budget, bound = curves.optimal_peg_and_budget(*(float(row[name]) for name in names))
    return {"peg": peg, "budget": budget, "check_lower_bound": bound}


def repeg_cost(row: Inputs) -> Answer:
    names = ("quote_reserve", "terminal_quote", "peg", "new_peg")
    return {"cost": curves.repeg_cost(*(float(row[name]) for name in names))}


def affordable_repeg(row: Inputs) -> Answer:
    quote, base = pool(row)
    peg = float(row["peg"])
    terminal = curves.terminal_quote(base, float(row["sqrt_k"]), float(row["net_user_base"]))
    target = curves.peg_from_target(quote, base, float(row["target_price"]))
    new = curves.affordable_peg(quote, terminal, peg, target, float(row["fee_pool"]))
    return {"peg": new, "cost": curves.repeg_cost(quote, terminal, peg, new)}


def perp2_liquidation(row: Inputs) -> Answer:
    positions = row["positions"]
    values = [float(position["size"] * position["mark"]) for position in positions]
    profits = [value + float(position["open_notional"]) for value, position in zip(values, positions, strict=True)]
    k = row["liquidate_index"]
    account_value = float(row["collateral"] + sum(profits))
    total = float(sum(abs(value) for value in values))
    share = curves.takeover_share(abs(values[k]), total, account_value, total * row["mm_ratio"], float(row["min_partial_value"]))
    notional = share * values[k]
    penalty, to_liquidator = curves.takeover_penalty(notional, float(row["penalty_ratio"]), account_value)
    return {
        "liquidated_size": share * positions[k]["size"],
        "notional": notional,
        "realized_pnl": share * profits[k],
        "penalty": penalty,
        "insurance_fund_fee": penalty - to_liquidator,
        "liquidator_notional": to_liquidator - notional,
    }
