"""Adapters of liquidation and deleveraging."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rows import Answer, Inputs, number
from small_venue import (
    common_step,
    empty_venue,
    one_account,
    risk_of,
    set_positions,
)

from abm.kernels import deleveraging, liquidation, margin


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
        (liquidation.distance_to_fillable(float(order["fillable_price"]), price), abs(order["size"]) * price) for order in row["orders"]
    ]
    return {"order": sorted(range(len(urgency)), key=urgency.__getitem__, reverse=True)}


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
    if not deleveraging.deleverage(state.venue, *tables, state.funds, state.deleveragings, 0, 1, k, lots, price):
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
