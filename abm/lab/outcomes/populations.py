"""Who gains and who pays, by cohort; who is liquidated, by cohort and by leverage."""

from __future__ import annotations

import functools
import operator
from functools import partial

import numpy as np
import polars as pl

from abm.lab.outcomes.looks import closings
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome
from abm.lab.outcomes.timeline import Timeline
from abm.lab.profit import MEANING, PAID, PARTS, wealth_changes

LEVERAGE_EDGES = (2.0, 5.0, 10.0, 20.0)
LEVERAGE_BANDS = ("below_2", "2_to_5", "5_to_10", "10_to_20", "above_20")


def wealth(many: ManyRuns) -> pl.DataFrame:
    """Change of wealth of each cohort at each look and its parts, in USD, as `abm.lab.profit.wealth_changes` splits it."""
    rows = many.table("cohorts").sort("run", "seconds", maintain_order=True)
    changes = wealth_changes(rows).insert_column(0, rows["run"])
    # In the order of the parts: a horizontal sum adds in one that depends on how many threads there are.
    return changes.with_columns(price=pl.col("total") - functools.reduce(operator.add, map(pl.col, PAID)))


def pictures(many: ManyRuns) -> pl.DataFrame:
    """One row for each account with an open position in each picture of all positions but the last: its `leverage` band, and
    whether it was `liquidated` before the next picture."""
    held = (
        many.table("positions").filter(pl.col("cohort") != "none").unique(["run", "seconds", "account"], keep="first", maintain_order=True)
    )
    taken = held.select("run", "seconds").unique().sort("run", "seconds")
    closed = Timeline.of(many.make(closings))
    # The picture that follows a liquidation, and so the one before it, which showed who was going to be liquidated.
    row = Timeline.of(taken).following(closed.track, closed.seconds)
    taken = taken.with_columns(before=pl.col("seconds").shift(1).over("run"), last=pl.col("seconds").max().over("run"))
    shown = taken["before"].gather(np.maximum(row, 0)).alias("seconds")
    hit = many.make(closings).select("run", "account").with_columns(shown).filter(row >= 0).unique().with_columns(liquidated=True)
    rows = held.join(taken.select("run", "seconds", "last"), on=["run", "seconds"], maintain_order="left")
    rows = rows.filter((pl.col("seconds") < pl.col("last")) & (pl.col("equity") > 0.0))
    rows = rows.join(hit, on=["run", "seconds", "account"], how="left", maintain_order="left")
    times = pl.col("account_notional") / pl.col("equity")
    band = pl.sum_horizontal((times >= edge).cast(pl.Int32) for edge in LEVERAGE_EDGES)
    bands = band.replace_strict(dict(enumerate(LEVERAGE_BANDS)), return_dtype=pl.Enum(LEVERAGE_BANDS))
    return rows.select("run", "account", "cohort", bands.alias("leverage"), pl.col("liquidated").fill_null(False))


gained = partial(Outcome, rows=wealth, split="cohort", tables=("cohorts",), source="cohorts", exercised_by="always")
seen = partial(
    Outcome,
    rows=pictures,
    unit="fraction",
    source="positions, liquidations",
    exercised_by="open positions in two pictures of all positions",
    better="less",
    value=pl.col("liquidated").mean(),
    tables=("positions", "liquidations", "cohorts"),
)

OUTCOMES = (
    gained(
        name="profit",
        unit="USD",
        definition="change of wealth over the run: equity on the venue at mark less net deposits, with positions outside and gas; its "
        "parts add up to it",
        better="more",
        value=pl.col("total").last(),
    ),
    *(gained(name=f"profit_{part}", unit="USD", definition=MEANING[part], value=pl.col(part).last()) for part in PARTS),
    gained(
        name="withdrawn",
        unit="USD",
        definition="taken out of the venue from the first look to the last, less what was paid in; a debt left behind counts against "
        "profit, but not here",
        value=pl.col("net_deposits").first() - pl.col("net_deposits").last(),
    ),
    Outcome(
        name="liquidated_notional",
        unit="USD",
        definition="of positions of the cohort closed by liquidation",
        source="liquidations",
        exercised_by="always",
        better="less",
        split="cohort",
        rows=closings,
        value=pl.col("notional").sum(),
        absent=0.0,
        tables=("liquidations", "cohorts"),
    ),
    seen(
        name="liquidation_probability",
        detail=True,
        definition="of the accounts of the cohort with an open position in a picture of all positions, those liquidated before the next "
        "picture, all but the last picture together; it depends on the time between pictures",
        split="cohort",
        together="all",
    ),
    seen(
        name="liquidation_probability_by_leverage",
        detail=True,
        definition="of the accounts with leverage (notional of all positions over equity) in the band in a picture of all positions, "
        "those liquidated before the next picture, all but the last picture together; it depends on the time between pictures",
        split="leverage",
    ),
    Outcome(
        name="leverage_when_liquidated",
        unit="times equity",
        definition="notional of all positions over equity just before a liquidation, where equity was left, median",
        source="liquidations: leverage_before",
        exercised_by="a liquidation with equity left",
        rows=closings,
        value=pl.col("leverage_before").filter(pl.col("leverage_before") > 0.0).median(),
        tables=("liquidations",),
    ),
    Outcome(
        name="liquidated_bankrupt_share",
        detail=True,
        unit="fraction of the notional",
        definition="liquidated when the account had negative equity already",
        source="liquidations: equity_before",
        exercised_by="a liquidation",
        better="less",
        rows=closings,
        value=pl.col("notional").filter(pl.col("equity_before") < 0.0).sum() / pl.col("notional").sum(),
        tables=("liquidations",),
    ),
)
