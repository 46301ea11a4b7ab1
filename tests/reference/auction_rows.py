"""Adapters of auctions of accounts and orders, of what a match costs, and of loans against other coins: Derive and Drift."""

from __future__ import annotations

from rows import Answer, Inputs, number

from abm.kernels import auction_prices, curves, spot_collateral


def discount_of(row: Inputs) -> float:
    names = ("fast_start", "fast_end", "fast_s", "slow_s", "elapsed_s")
    discount: float = auction_prices.auction_discount(*(float(row[name]) for name in names))
    return discount


def auction_discount(row: Inputs) -> Answer:
    return {"discount": discount_of(row)}


def solvent_auction(row: Inputs) -> Answer:
    value, reserved, discount = float(row["mark_to_market"]), float(row["reserved_cash"]), discount_of(row)
    share = auction_prices.largest_bid_share(value, float(row["maintenance_margin"]), float(row["buffer"]), reserved, discount)
    return {"bid_price": auction_prices.solvent_bid_price(value, reserved, discount), "max_proportion": share}


def solvent_bid_cash(row: Inputs) -> Answer:
    auction = solvent_auction(row)
    share = min(float(row["requested_share"]), auction["max_proportion"])
    return {"share": share, "cash_from_bidder": share * auction["bid_price"]}


def insolvent_payout(row: Inputs) -> Answer:
    names = ("elapsed_s", "length_s", "mark_to_market", "maintenance_margin", "share")
    return {"payout_to_bidder": auction_prices.insolvent_payout(*(float(row[name]) for name in names))}


def withdraw_blocked(row: Inputs) -> Answer:
    blocked = auction_prices.withdrawals_are_blocked(float(row["security_module_cash"]), float(row["total_insolvent_mm"]))
    return {"blocked": bool(blocked)}


def order_auction_bounds(row: Inputs) -> Answer:
    side = 1 if row["side"] == "long" else -1
    first, last = auction_prices.order_auction_bounds(float(row["oracle_price"]), side, number(row["limit_price"], 0.0))
    return {"start": first, "end": last}


def order_auction_price(row: Inputs) -> Answer:
    """The ends of an auction may be given as distances from the oracle price."""
    oracle = float(row["oracle_price"])
    price = auction_prices.order_auction_price(
        oracle + row["start_offset"], oracle + row["end_offset"], float(row["duration_slots"]), float(row["slots_elapsed"])
    )
    return {"price": price}


def jit_amount(row: Inputs) -> Answer:
    return {"jit": curves.jit_amount(float(row["amount"]), row["intensity_pct"] / 100.0, float(row["amm_net_base"]))}


def match_fees(row: Inputs) -> Answer:
    referred = bool(row["has_referrer"])
    taker_fee, rebate, to_market, filler, referrer = auction_prices.match_fees(
        float(row["quote_amount"]),
        float(row["taker_fee_rate"]),
        float(row["maker_rebate_rate"]),
        float(row["referee_discount"]) if referred else 0.0,
        float(row["referrer_reward"]) if referred else 0.0,
        float(row["filler_fraction"]) if row["has_filler"] else 0.0,
        float(row["filler_time_floor"]),
        float(row["slots_since_order"]),
    )
    return {
        "taker_fee": taker_fee,
        "maker_rebate": rebate,
        "fee_to_market": to_market,
        "filler_reward": filler,
        "referrer_reward": referrer,
    }


def scaled_asset_weight(row: Inputs) -> Answer:
    names = ("weight", "scale_start", "deposits", "price")
    return {"asset_weight": spot_collateral.scaled_asset_weight(*(number(row[name], 0.0) for name in names))}


def liability_to_cover_shortage(row: Inputs) -> Answer:
    names = (
        "margin_shortage", "asset_weight", "asset_multiplier", "liability_weight", "liability_multiplier", "liability_price", "if_fee",
    )  # fmt: skip
    return {"liability_amount": spot_collateral.liability_to_cover_shortage(*(float(row[name]) for name in names))}


def liability_for_asset(row: Inputs) -> Answer:
    names = ("asset_amount", "asset_price", "asset_multiplier", "liability_price", "liability_multiplier")
    return {"liability_amount": spot_collateral.liability_for_asset(*(float(row[name]) for name in names))}


def asset_for_liability(row: Inputs) -> Answer:
    names = ("asset_amount", "asset_price", "asset_multiplier", "liability_amount", "liability_price", "liability_multiplier")
    return {"asset_transfer": spot_collateral.asset_for_liability(*(float(row[name]) for name in names))}


def fund_fee_of_transfer(row: Inputs) -> Answer:
    names = (
        "margin_shortage", "token_amount", "asset_weight", "asset_multiplier", "liability_weight", "liability_multiplier",
        "liability_price", "max_if_fee",
    )  # fmt: skip
    return {"if_fee": spot_collateral.fund_fee_of_transfer(*(float(row[name]) for name in names))}


def deposit_loss(row: Inputs) -> Answer:
    return {"fraction": spot_collateral.deposit_loss_fraction(float(row["loss"]), float(row["total_deposits"]))}
