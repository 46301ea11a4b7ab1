"""Adapters of oracle, mark price and the vault's quotes."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from rows import Answer, Inputs, number

from abm.kernels import mark, oracle, vault


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
