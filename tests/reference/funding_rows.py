"""Adapters of funding, fees and withdrawal limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from rows import Answer, Inputs, number
from small_venue import (
    book_of,
)

from abm.kernels import fees, funding, margin, withdrawals
from abm.kernels import premium as premiums
from abm.kernels.book import impact_price
from abm.state import HALTED

EIGHT_HOURS = 28_800.0  # seconds


def table(values: Sequence[float], room: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One market's row of values, with room for `room` of them."""
    row = np.zeros((1, max(room, len(values), 1)))
    row[0, : len(values)] = values
    return row


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
    unclamped = premiums.book_premium(
        state.accounts,
        state.positions,
        state.markets,
        state.margin_tiers,
        state.levels,
        state.bitmap,
        state.orders,
        0,
    )
    return {"premium": premiums.premium_vote(unclamped, number(row["max_abs_premium"], math.inf))}


def premium_sample(row: Inputs) -> Answer:
    """Votes of zero are not sent: the row lists the others and says how many there were."""
    votes, count, least = row["votes"], row["num_votes"], row["min_num_votes"]
    values = table(votes, max(count, least))
    return {"premium_sample": premiums.premium_sample(values, 0, max(count, len(votes)), least)}


def remove_sample_tails(row: Inputs) -> Answer:
    samples = table(row["samples"], 1)
    first, last = premiums.remove_sample_tails(samples, 0, len(row["samples"]), float(row["rate"]))
    return {"kept": samples[0, first:last].tolist()}


def funding_tick(row: Inputs) -> Answer:
    samples = [value for value, count in row["premium_samples"] for _ in range(count)]
    least = math.ceil(row["tick_interval_s"] / row["sample_interval_s"])
    average = premiums.average_premium(table(samples, least), 0, len(samples), least, number(row.get("tail_removal_rate"), 0.0))
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
    premium = premiums.premium(number(row["impact_bid"], 0.0), number(row["impact_ask"], 0.0), float(row["oracle"]))
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
