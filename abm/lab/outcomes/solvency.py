"""Who was left with the losses: debt, insurance fund, deleveraging, socialised losses, positions nobody closed."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.outcomes.estimators import gini
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.looks import closings, venue_looks
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome
from abm.lab.venue_summary import CENT


def deleveraged(many: ManyRuns) -> pl.DataFrame:
    """Closings of deleveraging, with their `notional` in USD at the price of the closing."""
    return many.table("deleveragings").with_columns(notional=pl.col("size") * pl.col("price"))


def counterparties(many: ManyRuns) -> pl.DataFrame:
    """One row per account that was deleveraged: `run`, `notional`."""
    return by_group(many.make(deleveraged), ["run", "counterparty"], notional=pl.col("notional").sum())


def first_closings(many: ManyRuns) -> pl.DataFrame:
    """By run: `liquidated` and `deleveraged`, seconds of the first of each."""
    one = by_group(many.make(closings), ["run"], liquidated=pl.col("seconds").min())
    other = by_group(many.table("deleveragings"), ["run"], deleveraged=pl.col("seconds").min())
    return other.join(one, on="run", how="left", maintain_order="left")


def forced(many: ManyRuns) -> pl.DataFrame:
    """Notional closed against the holder's will: `run`, `market`, `liquidated`, `deleveraged`."""
    columns = ("run", "market")
    one = many.make(closings).select(*columns, pl.col("notional").alias("liquidated"), pl.lit(0.0).alias("deleveraged"))
    other = many.make(deleveraged).select(*columns, pl.lit(0.0).alias("liquidated"), pl.col("notional").alias("deleveraged"))
    return pl.concat([one, other]).sort("run", maintain_order=True).rechunk().set_sorted("run")


def last_looks_at_cohorts(many: ManyRuns) -> pl.DataFrame:
    """The cohorts at the last look of each run."""
    rows = many.table("cohorts")
    return rows.filter(pl.col("seconds") == pl.col("seconds").max().over("run"))


def cents(amount: pl.Expr) -> pl.Expr:
    """The amount, or zero where it is less than a cent: rounding, not debt."""
    return pl.when(amount >= CENT).then(amount).otherwise(0.0)


look = partial(Outcome, rows=venue_looks, tables=("venue",), exercised_by="always")
closing = partial(Outcome, rows=deleveraged, tables=("deleveragings",), source="deleveragings", exercised_by="a deleveraging")
counterparty = partial(closing, rows=counterparties)
below = pl.col("below_maintenance_notional")

OUTCOMES = (
    look(
        name="bad_debt",
        unit="USD",
        definition="negative equity that nobody has covered at the end of the run; less than a cent is zero",
        source="venue: bad_debt",
        better="less",
        value=cents(pl.col("bad_debt").last()),
    ),
    look(
        name="bad_debt_highest",
        unit="USD",
        definition="largest sum of negative equity at any look; less than a cent is zero",
        source="venue: bad_debt",
        better="less",
        value=cents(pl.col("bad_debt").max()),
    ),
    look(
        name="insolvent",
        unit="0 or 1",
        definition="1 if there was negative equity of a cent or more at the end of the run that nobody had covered",
        source="venue: bad_debt",
        better="less",
        value=pl.col("bad_debt").last() >= CENT,
    ),
    look(
        name="fund_change",
        unit="USD",
        definition="insurance fund at the last look less at the first",
        source="venue: insurance_fund",
        better="more",
        value=pl.col("insurance_fund").last() - pl.col("insurance_fund").first(),
    ),
    look(
        name="fund_drawdown",
        unit="USD",
        definition="largest fall of the insurance fund from an earlier look",
        source="venue: insurance_fund",
        better="less",
        value=(pl.col("insurance_fund").cum_max() - pl.col("insurance_fund")).max(),
    ),
    look(
        name="fund_drawdown_share",
        detail=True,
        unit="fraction of the fund at the first look",
        definition="largest fall of the insurance fund from an earlier look",
        source="venue: insurance_fund",
        exercised_by="a fund that is not empty",
        better="less",
        value=(pl.col("insurance_fund").cum_max() - pl.col("insurance_fund")).max() / pl.col("insurance_fund").first(),
    ),
    Outcome(
        name="fund_paid",
        unit="USD",
        definition="out of the insurance fund, summed over the liquidations that cost it money",
        source="liquidations: fund_delta",
        exercised_by="always",
        better="less",
        rows=closings,
        value=-pl.col("fund_delta").filter(pl.col("fund_delta") < 0.0).sum(),
        absent=0.0,
        tables=("liquidations",),
    ),
    closing(
        name="deleveraged",
        unit="USD",
        definition="of positions closed by deleveraging, at the price of the closing",
        exercised_by="always",
        better="less",
        split="market",
        together="all",
        value=pl.col("notional").sum(),
        absent=0.0,
    ),
    Outcome(
        name="deleveraged_share",
        unit="fraction",
        definition="of the notional that liquidation and deleveraging closed together, what deleveraging did",
        source="deleveragings, liquidations. Chitra et al. (2025), Autodeleveraging: impossibilities and optimization",
        exercised_by="a liquidation or deleveraging",
        better="less",
        rows=forced,
        value=pl.col("deleveraged").sum() / (pl.col("deleveraged").sum() + pl.col("liquidated").sum()),
        tables=("deleveragings", "liquidations"),
    ),
    closing(
        name="deleveraging_haircut",
        unit="USD",
        definition="that counterparties of deleveraging received less than at the mark price",
        exercised_by="always",
        better="less",
        value=pl.col("haircut").sum(),
        absent=0.0,
    ),
    closing(
        name="deleveraging_count",
        detail=True,
        unit="closings",
        definition="of a position, or a part of it, against a bankrupt one",
        exercised_by="always",
        better="less",
        value=pl.len(),
        absent=0.0,
    ),
    closing(
        name="deleveraged_leverage",
        detail=True,
        unit="times equity",
        definition="notional of all positions over equity of a counterparty just before it was deleveraged, median of the closings",
        source="deleveragings: counterparty_leverage",
        value=pl.col("counterparty_leverage").median(),
    ),
    counterparty(
        name="deleveraged_counterparties",
        detail=True,
        unit="accounts",
        definition="whose positions were closed against bankrupt ones",
        exercised_by="always",
        better="less",
        value=pl.len(),
        absent=0.0,
    ),
    counterparty(
        name="deleveraged_top_share",
        unit="fraction",
        definition="of the notional deleveraged, the part of the counterparty who lost most of it",
        better="less",
        value=pl.col("notional").max() / pl.col("notional").sum(),
    ),
    counterparty(
        name="deleveraged_gini",
        unit="index",
        definition="Gini index of the notional deleveraged over the counterparties who were: 0, all the same",
        source="deleveragings. Gini (1912)",
        better="less",
        value=gini(pl.col("notional")),
    ),
    Outcome(
        name="deleveraging_delay",
        unit="seconds",
        definition="from the first liquidation to the first deleveraging",
        source="liquidations, deleveragings",
        exercised_by="a deleveraging",
        better="more",
        rows=first_closings,
        value=(pl.col("deleveraged") - pl.col("liquidated")).first(),
        tables=("liquidations", "deleveragings"),
    ),
    Outcome(
        name="socialised",
        unit="USD",
        definition="of losses taken from everybody; less than a cent is zero",
        source="cohorts: socialised",
        exercised_by="always",
        better="less",
        rows=last_looks_at_cohorts,
        value=cents(-pl.col("socialised").filter(pl.col("socialised") < 0.0).sum()),
        tables=("cohorts",),
    ),
    look(
        name="underwater_notional",
        unit="USD",
        definition="largest notional at any look of positions of accounts below maintenance margin: what should have been closed",
        source="venue: below_maintenance_notional",
        better="less",
        value=below.max(),
    ),
    look(
        name="underwater_notional_mean",
        detail=True,
        unit="USD",
        definition="notional of positions of accounts below maintenance margin, mean over all looks",
        source="venue: below_maintenance_notional",
        better="less",
        value=below.mean(),
    ),
    look(
        name="underwater_seconds",
        unit="seconds",
        definition="during which some account was below maintenance margin: looks that saw one, times the time between looks",
        source="venue: below_maintenance",
        better="less",
        value=((pl.col("below_maintenance") > 0) * pl.col("spacing")).sum(),
    ),
    look(
        name="below_zero_accounts",
        unit="accounts",
        definition="most with negative equity at any look",
        source="venue: below_zero",
        better="less",
        value=pl.col("below_zero").max(),
    ),
    look(
        name="below_zero_seconds",
        detail=True,
        unit="seconds",
        definition="during which some account had negative equity: looks that saw one, times the time between looks",
        source="venue: below_zero",
        better="less",
        value=((pl.col("below_zero") > 0) * pl.col("spacing")).sum(),
    ),
    look(
        name="withdrawals_blocked_seconds",
        unit="seconds",
        definition="during which nobody could withdraw: looks that saw it, times the time between looks",
        source="venue: withdrawals_open",
        better="less",
        value=((pl.col("withdrawals_open") == 0) * pl.col("spacing")).sum(),
    ),
)
