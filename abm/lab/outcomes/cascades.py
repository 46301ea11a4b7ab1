"""Liquidations and cascades: how much, how fast, and how much deeper prices fell for them."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.episodes import LEAST_ACCOUNTS, MINUTE, QUIET_SECONDS
from abm.lab.outcomes.estimators import weighted_mean
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.looks import closings, market_looks, moves
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome

LEAST_FALL = 0.001  # of the outside price; what is said of smaller falls is noise
CASCADE = f"liquidations with pauses of at most {QUIET_SECONDS:.0f} s, in any market, of at least {LEAST_ACCOUNTS} accounts"


def cascades(many: ManyRuns) -> pl.DataFrame:
    """One row per cascade: `run`, `start`, `end`, `accounts`, `notional`, and `move`, how far the mark price went against the
    positions closed, in the market with most of the notional, from the first closing there to the worst."""
    rows = many.make(closings)
    pause = (pl.col("seconds").diff() > QUIET_SECONDS) | (pl.col("run") != pl.col("run").shift())
    rows = rows.with_columns(cascade=pause.fill_null(False).cum_sum())
    longs = pl.col("notional").filter(pl.col("side") == "sell").sum()
    first = pl.col("mark").first()
    move = (
        pl.when(longs * 2.0 >= pl.col("notional").sum())
        .then(1.0 - pl.col("mark").min() / first)
        .otherwise(pl.col("mark").max() / first - 1.0)
    )
    by_market = by_group(rows, ["cascade", "market"], move=move, most=pl.col("notional").sum())
    main = by_market.sort("cascade", "most", "market", descending=[False, True, False]).unique("cascade", keep="first", maintain_order=True)
    found = by_group(
        rows,
        ["cascade"],
        run=pl.col("run").first(),
        start=pl.col("seconds").min(),
        end=pl.col("seconds").max(),
        accounts=pl.col("account").n_unique(),
        notional=pl.col("notional").sum(),
    )
    found = found.filter(pl.col("accounts") >= LEAST_ACCOUNTS).join(main, on="cascade", how="left")
    return found.sort("run", "notional", "start", descending=[False, True, False])


def minutes(many: ManyRuns) -> pl.DataFrame:
    """USD liquidated in each clock minute that saw any: `run`, `notional`."""
    return by_group(many.make(closings), ["run", pl.col("seconds") // MINUTE], notional=pl.col("notional").sum())


def interest_when_it_began(many: ManyRuns) -> pl.DataFrame:
    """By run and market: `interest`, the open interest in USD when the largest move began, and `notional`, liquidated in all."""
    looks = many.make(market_looks).join(many.make(moves), on="run", how="left", maintain_order="left")
    earlier = looks.filter(pl.col("seconds") <= pl.col("moved"))
    interest = by_group(earlier, ["run", "market"], interest=pl.col("interest").last())
    closed = by_group(many.make(closings), ["run", "market"], notional=pl.col("notional").sum())
    return interest.join(closed, on=["run", "market"], how="left", maintain_order="left").with_columns(pl.col("notional").fill_null(0.0))


closed = partial(Outcome, rows=closings, tables=("liquidations",), exercised_by="a liquidation")
cascade = partial(Outcome, rows=cascades, tables=("liquidations",), source="liquidations", exercised_by="a cascade")
looked = partial(Outcome, rows=market_looks, split="market", tables=("markets",), together="largest")

OUTCOMES = (
    cascade(
        name="cascade_count",
        unit="cascades",
        definition=CASCADE,
        exercised_by="always",
        better="less",
        value=pl.len(),
        absent=0.0,
    ),
    cascade(
        name="cascade_notional",
        unit="USD",
        definition="liquidated in the cascade in which most was, at the prices of the fills",
        better="less",
        value=pl.col("notional").first(),
    ),
    cascade(
        name="cascade_seconds",
        unit="seconds",
        definition="from the first to the last liquidation of the cascade in which most was liquidated",
        value=(pl.col("end") - pl.col("start")).first(),
    ),
    cascade(
        name="cascade_accounts",
        detail=True,
        unit="accounts",
        definition="liquidated in the cascade in which most was liquidated",
        better="less",
        value=pl.col("accounts").first(),
    ),
    cascade(
        name="cascade_move",
        unit="fraction",
        definition="how far the mark price went against the positions closed in the cascade in which most was liquidated: from the "
        "first liquidation of its main market to the worst mark price at one, fall if longs are the larger part, rise otherwise",
        better="less",
        value=pl.col("move").first(),
    ),
    looked(
        name="amplification",
        unit="fraction",
        definition="largest fall of the mark price from an earlier look, over that of the outside price without anybody's impact in "
        f"the same run, less one; null where the outside price never falls by {LEAST_FALL:.1%}",
        source="markets: mark, exogenous. Brunnermeier and Pedersen (2009), Market liquidity and funding liquidity",
        exercised_by="a fall of the outside price",
        better="less",
        value=pl.when(pl.col("exogenous_fall").max() >= LEAST_FALL).then(pl.col("mark_fall").max() / pl.col("exogenous_fall").max() - 1.0),
    ),
    looked(
        name="excess_fall",
        unit="fraction",
        definition="largest fall of the mark price from an earlier look, less that of the outside price without anybody's impact",
        source="markets: mark, exogenous",
        exercised_by="always",
        better="less",
        value=pl.col("mark_fall").max() - pl.col("exogenous_fall").max(),
    ),
    looked(
        name="mark_fall",
        unit="fraction",
        definition="largest fall of the mark price from an earlier look",
        source="markets: mark",
        exercised_by="always",
        better="less",
        value=pl.col("mark_fall").max(),
    ),
    looked(
        name="exogenous_fall",
        detail=True,
        unit="fraction",
        definition="largest fall of the outside price without anybody's impact: a property of the world, not of the venue",
        source="markets: exogenous",
        exercised_by="always",
        value=pl.col("exogenous_fall").max(),
    ),
    Outcome(
        name="peak_minute_share",
        unit="fraction",
        definition="of the notional liquidated in the whole run, what was liquidated in the clock minute with the largest",
        source="liquidations",
        exercised_by="a liquidation",
        better="less",
        rows=minutes,
        value=pl.col("notional").max() / pl.col("notional").sum(),
        tables=("liquidations",),
    ),
    closed(
        name="liquidated",
        unit="USD",
        definition="of positions closed by liquidation, at the prices of the fills",
        source="liquidations",
        exercised_by="always",
        better="less",
        split="market",
        together="all",
        value=pl.col("notional").sum(),
        absent=0.0,
    ),
    Outcome(
        name="liquidated_share",
        unit="fraction of open interest",
        definition="notional liquidated in the whole run over the open interest, one side, when the largest move of the first market's "
        "index began; zero where nobody was liquidated, null where the index stood still",
        source="liquidations, markets: open_interest, index",
        exercised_by="a move of the index",
        better="less",
        split="market",
        together="all",
        rows=interest_when_it_began,
        value=pl.col("notional").sum() / pl.col("interest").sum(),
        tables=("markets", "liquidations"),
    ),
    closed(
        name="liquidated_accounts",
        unit="accounts",
        definition="of which something was liquidated",
        source="liquidations",
        exercised_by="always",
        better="less",
        split="cohort",
        together="all",
        value=pl.col("account").n_unique(),
        absent=0.0,
    ),
    closed(
        name="liquidation_count",
        detail=True,
        unit="transactions",
        definition="that closed at least a part of a position; a large position takes many",
        source="liquidations",
        exercised_by="always",
        value=pl.len(),
        absent=0.0,
    ),
    closed(
        name="liquidated_long_share",
        unit="fraction of the notional",
        definition="liquidated, from long positions",
        source="liquidations",
        split="market",
        together="all",
        value=weighted_mean((pl.col("side") == "sell").cast(pl.Float64), pl.col("notional")),
    ),
)
