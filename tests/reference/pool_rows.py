"""Adapters of oracle-priced pools: GMX v2 and Synthetix V3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rows import Answer, Inputs, number
from small_venue import empty_venue, risk_of, set_positions

from abm.kernels import pools, settlement, size_margin


def apply_impact_factor(row: Inputs) -> Answer:
    return {"impact": pools.impact_of(float(row["diff_usd"]), float(row["exponent"]), float(row["factor"]))}


def position_price_impact(row: Inputs) -> Answer:
    size, price = float(row["size_usd"]), float(row["price"])
    side = 1.0 if (row["side"] == "long") == row["is_increase"] else -1.0
    net = float(row["long_oi"] - row["short_oi"])
    factors = (float(row[name]) for name in ("positive_factor", "negative_factor", "exponent"))
    impact = pools.position_price_impact(net, net + side * size, *factors)
    execution = pools.price_for_notional if row["is_increase"] else pools.price_for_coins
    return {"impact_usd": impact, "execution_price": execution(size, impact, price, side)}


def impact_pool_step(row: Inputs) -> Answer:
    names = ("pool_tokens", "close_impact_usd", "pending_impact_tokens", "close_fraction", "price", "lendable_tokens")
    pool, pending = pools.impact_pool_after(*(float(row[name]) for name in names))
    return {"pool_tokens": pool, "pending_impact_tokens": pending}


def impact_pool_distribution(row: Inputs) -> Answer:
    pool = float(row["impact_pool_tokens"])
    released = pools.released_impact(pool, float(row["min_impact_pool_tokens"]), float(row["rate_tokens_per_s"]), float(row["elapsed_s"]))
    price = float(row["long_price"])
    money = row["long_tokens"] * price + row["short_tokens"]
    return {"pool_value": pools.pool_worth(money, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, (pool - released) * price)}


def borrowing_fee(row: Inputs) -> Answer:
    rate = pools.borrowing_rate(
        float(row["factor"]), float(row["exponent"]), float(row["reserved_usd"]), float(row["pool_usd"]), float(row["reserved_usd"]),
        float(row["other_side_oi"]), bool(row["skip_smaller_side"]),
    )  # fmt: skip
    total = rate * row["elapsed_s"]
    return {"cumulative_factor": total, "fee_usd": total * row["size_usd"]}


def static_funding(row: Inputs) -> Answer:
    longs, shorts, seconds = float(row["long_oi"]), float(row["short_oi"]), float(row["elapsed_s"])
    rate = pools.static_skew_rate(float(row["factor"]), float(row["exponent"]), longs, shorts, number(row["max_rate_per_s"], 1e300))
    payers, receivers = (longs, shorts) if pools.longs_pay(rate) else (shorts, longs)
    return {
        "paying_side": "long" if pools.longs_pay(rate) else "short",
        "rate_per_s": abs(rate),
        "fee_usd": abs(rate) * row["size_usd"] * seconds,
        "receiver_per_usd": pools.received_per_usd(rate, seconds, payers, receivers),
    }


def adaptive_funding(row: Inputs) -> Answer:
    names = (
        "saved_rate", "long_oi", "short_oi", "elapsed_s", "increase_factor", "decrease_factor", "threshold_stable", "threshold_decrease",
        "min_rate", "max_rate",
    )  # fmt: skip
    return {"rate": pools.adaptive_skew_rate(*(float(row[name]) for name in names))[0]}


def adaptive_funding_sign(row: Inputs) -> Answer:
    return {"longs_pay_shorts": pools.longs_pay(float(row["rate"]))}


def capped_pnl(row: Inputs) -> Answer:
    share = pools.paid_share(float(row["total_side_pnl"]), float(row["side_pool_usd"]), float(row["max_pnl_factor"]))
    profit = row["position_pnl"] * share if row["position_pnl"] > 0 else row["position_pnl"]
    return {"capped_pnl": profit, "payout": profit + row["collateral_usd"]}


def pool_value(row: Inputs) -> Answer:
    names = (
        "token_value", "long_pnl", "short_pnl", "long_pool_usd", "short_pool_usd", "max_pnl_factor", "pending_borrowing",
        "borrowing_receiver_factor", "impact_pool_usd",
    )  # fmt: skip
    return {"pool_value": pools.pool_worth(*(float(row[name]) for name in names))}


def is_liquidatable(row: Inputs) -> Answer:
    sign = 1.0 if row["is_long"] else -1.0
    profit = sign * (row["size_tokens"] * row["index_price"] - row["size_usd"])
    collateral = float(row["collateral_tokens"] * row["collateral_price"])
    rest = (float(row[name]) for name in ("impact_usd", "fees_usd", "size_usd", "min_collateral_usd", "min_collateral_factor"))
    return {"liquidatable": pools.is_position_liquidatable(collateral, float(profit), *rest)}


def adl_enabled(row: Inputs) -> Answer:
    enabled = pools.may_deleverage(float(row["side_pnl"]), float(row["side_pool_usd"]), float(row["max_pnl_factor_for_adl"]))
    return {"enabled": enabled}


def fill_price(row: Inputs) -> Answer:
    names = ("price", "skew", "size", "skew_scale")
    return {"fill_price": pools.skewed_price(*(float(row[name]) for name in names))}


def opened_at_skew(collateral: float, positions: list[Mapping[str, Any]], now: str, opened: str) -> tuple[Any, list[float]]:
    """(venue, profits) of an account that opened each position in a market without skew, valued at the price called `now`."""
    state = empty_venue(1, [f"COIN{k}" for k in range(len(positions))])
    state.accounts["collateral"] = collateral
    state.markets["lot"] = 1.0
    profits = []
    for k, position in enumerate(positions):
        size = float(position["size"])
        state.markets["mark"][k] = position[now]
        entry = size * pools.skewed_price(float(position[opened]), 0.0, size, float(position["skew_scale"]))
        state.accounts["collateral"] -= entry
        profits.append(size * position[now] - entry)
    set_positions(state, 0, {k: float(position["size"]) for k, position in enumerate(positions)})
    return state, profits


def account_margin(row: Inputs) -> Answer:
    state, profits = opened_at_skew(row["collateral"], row["positions"], "price_now", "open_price")
    return {"pnls": profits, "available_margin": risk_of(state)[0]}


def required_margins(row: Inputs) -> Answer:
    state, _ = opened_at_skew(row["collateral"], row["positions"], "price", "price")
    names = ("skew_scale", "im_fraction", "min_im_ratio", "mm_scalar", "liq_reward_ratio", "min_position_margin")
    parts = [
        size_margin.skew_margins(position["size"], abs(position["size"]) * position["price"], *(float(position[name]) for name in names))
        for position in row["positions"]
    ]
    initial, maintenance, reward = (sum(column) for column in zip(*parts, strict=True))
    available = risk_of(state)[0]
    return {
        "available_margin": available,
        "initial_margin": initial,
        "maintenance_margin": maintenance,
        "liquidation_reward_margin": reward,
        "withdrawable": available - initial - reward,
    }


def expiry_settlement_price(row: Inputs) -> Answer:
    names = ("net_user_quote", "net_user_base", "excess_pnl_pool", "oracle_price", "tick")
    return {"price": settlement.expiry_settlement_price(*(float(row[name]) for name in names))}
