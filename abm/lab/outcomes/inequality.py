"""How unequal liquidations, losses and positions are."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.outcomes.estimators import LEAST_IN_TAIL, TAIL_SHARE, gini, hill, top_share
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.looks import closings
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome


def liquidated_accounts(many: ManyRuns) -> pl.DataFrame:
    """One row per liquidated account: `run`, `notional` closed."""
    return by_group(many.make(closings), ["run", "account"], notional=pl.col("notional").sum())


def fullest_picture(many: ManyRuns) -> pl.DataFrame:
    """One row per account with an open position, in the picture of all positions with the largest notional: `run`, `notional`."""
    accounts = many.table("positions").unique(["run", "seconds", "account"], keep="first", maintain_order=True)
    total = by_group(accounts, ["run", "seconds"], total=pl.col("account_notional").sum())
    fullest = total.sort("run", "total", "seconds", descending=[False, True, False]).unique("run", keep="first")
    kept = accounts.join(fullest, on=["run", "seconds"], how="semi", maintain_order="left")
    return kept.select("run", pl.col("account_notional").alias("notional"))


HILL = f"Hill's estimate of the tail exponent from the largest {TAIL_SHARE:.0%}; null with fewer than {LEAST_IN_TAIL} of those"
HILL_SOURCE = "Hill (1975), A simple general approach to inference about the tail of a distribution"
notional = pl.col("notional")
closed = partial(Outcome, rows=closings, tables=("liquidations",), exercised_by="a liquidation")
held = partial(Outcome, rows=fullest_picture, tables=("positions",), exercised_by="an open position in a picture of all positions")

OUTCOMES = (
    closed(
        name="liquidation_hill",
        unit="exponent",
        definition=f"of the notionals closed by single transactions: {HILL}",
        source=f"liquidations. {HILL_SOURCE}",
        exercised_by=f"{round(LEAST_IN_TAIL / TAIL_SHARE)} liquidations",
        value=hill(notional),
    ),
    closed(
        name="liquidation_top_share",
        unit="fraction",
        definition="of the notional liquidated, what the largest 1 % of the transactions closed, at least one",
        source="liquidations",
        value=top_share(notional, 0.01),
    ),
    Outcome(
        name="liquidation_gini",
        unit="index",
        definition="Gini index of the notional liquidated over the accounts of which something was: 0, all the same",
        source="liquidations. Gini (1912)",
        exercised_by="a liquidation",
        rows=liquidated_accounts,
        value=gini(notional),
        tables=("liquidations",),
    ),
    held(
        name="position_gini",
        detail=True,
        unit="index",
        definition="Gini index of the notionals of accounts with open positions, in the picture with the largest sum of them",
        source="positions. Gini (1912)",
        value=gini(notional),
    ),
    held(
        name="position_hill",
        detail=True,
        unit="exponent",
        definition=f"of the notionals of accounts with open positions, in the picture with the largest sum of them: {HILL}",
        source=f"positions. {HILL_SOURCE}",
        exercised_by=f"{round(LEAST_IN_TAIL / TAIL_SHARE)} accounts in a picture of all positions",
        value=hill(notional),
    ),
)
