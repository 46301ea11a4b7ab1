"""Who won and who lost: every cohort's change of wealth, split into where it came from."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping

import polars as pl

PAID = ("fees", "funding", "liquidation", "deleveraging", "socialised", "outside", "gas", "rewards")
PAID_TOGETHER = functools.reduce(operator.add, map(pl.col, PAID))  # in this order: `sum_horizontal` rounds as threads come
PARTS = ("price", *PAID)
"""In the order in which they are shown."""

MEANING = {
    "price": "buying and selling on the venue, open positions at mark: the rest of the total",
    "fees": "trading fees, rebates and a part of a pool's counted as income",
    "funding": "funding received less paid",
    "liquidation": "penalties paid to the insurance fund less losses it covered",
    "deleveraging": "closed by deleveraging at other prices than mark",
    "socialised": "share of socialised losses",
    "outside": "hedges and exposure outside the venue, financing included",
    "gas": "gas paid by keepers, from outside wallets",
    "rewards": "keepers' rewards",
}


def wealth_changes(cohorts: pl.DataFrame) -> pl.DataFrame:
    """Change of wealth since the start of the run and its parts, in USD, at every look at the cohorts.

    Columns: seconds, cohort, net_deposits (paid in less paid out, wherever on the venue it is now), equity (on the venue: collateral,
    positions at mark, and shares of pools), total, one for each of `PARTS`, and of what price is made: rebalancing and impermanent, as
    the record has them. total = equity - net_deposits + outside + gas, where gas counts negative; all parts are what the cohort gained;
    price is what the others leave, so the parts add up to the total exactly.
    """
    equity = pl.col("collateral") + pl.col("long_notional") - pl.col("short_notional") + pl.col("pool_shares")
    rows = cohorts.select(
        "seconds",
        "cohort",
        (pl.col("net_deposits") + pl.col("paid_to_pools")).alias("net_deposits"),
        equity.alias("equity"),
        (0.0 - pl.col("gas")).alias("gas"),
        *[name for name in PAID if name != "gas"],
        "rebalancing",
        "impermanent",
    )
    rows = rows.with_columns((pl.col("equity") - pl.col("net_deposits") + pl.col("outside") + pl.col("gas")).alias("total"))
    rows = rows.with_columns((pl.col("total") - PAID_TOGETHER).alias("price"))
    return rows.select("seconds", "cohort", "net_deposits", "equity", "total", *PARTS, "rebalancing", "impermanent")


def final_wealth_changes(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """`wealth_changes` at the last look, one row per cohort in the order of the population."""
    cohorts = frames["cohorts"]
    return wealth_changes(cohorts.filter(pl.col("seconds") == pl.col("seconds").max()))
