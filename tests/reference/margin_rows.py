"""Adapters of margin."""

from __future__ import annotations

import math

from rows import Answer, Inputs, number
from small_venue import (
    empty_venue,
    margin_of,
    one_account,
    one_market,
    risk_of,
)

from abm.kernels import margin
from abm.mechanisms.margin import TieredMargin

TRANSITIONS = {
    margin.TRANSITION_SUCCESS: "success",
    margin.TRANSITION_STILL_UNDERCOLLATERALISED: "still_undercollateralized",
    margin.TRANSITION_NEWLY_UNDERCOLLATERALISED: "newly_undercollateralized",
}


def maintenance_margin_fraction(row: Inputs) -> Answer:
    fraction = margin.maintenance_margin_fraction(float(row["initial_margin_fraction"]), float(row["maintenance_fraction_of_initial"]))
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
