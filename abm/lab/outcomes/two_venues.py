"""Two venues side by side: the gap between their prices, how fast it closes, and what those earn who trade on both."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.outcomes.estimators import half_life
from abm.lab.outcomes.looks import market_looks
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome
from abm.lab.outcomes.populations import wealth

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def gaps(many: ManyRuns) -> pl.DataFrame:
    """Looks by run, market and time: `gap`, the mid of the first venue over that of the venue beside, less one; and `spacing`."""
    keys = ["run", "market", "seconds"]
    here = many.make(market_looks).select(*keys, "spacing", "mid")
    there = many.beside.make(market_looks).select(*(pl.col(key).cast(here.schema[key]) for key in keys), mid_beside="mid")
    rows = here.join(there, on=keys, maintain_order="left")
    return rows.select("run", "market", "seconds", "spacing", gap=pl.col("mid") / pl.col("mid_beside") - 1.0)


def crossing(many: ManyRuns) -> pl.DataFrame:
    """Change of wealth over both venues, by run and time, of the cohorts that are on both, and what they had paid in at the first look.

    Money on its way between the venues is missing in the equity of both and in what is paid in there, so it does not count."""
    keys = ["run", "seconds", "cohort"]
    named = pl.col("cohort").cast(pl.String)
    here, there = (side.make(wealth).select("run", "seconds", named, "total", "net_deposits") for side in (many, many.beside))
    both = here.join(there, on=keys, suffix="_beside", maintain_order="left")
    both = both.select(*keys, total=pl.col("total") + pl.col("total_beside"), paid=pl.col("net_deposits") + pl.col("net_deposits_beside"))
    return both.group_by("run", "seconds", maintain_order=True).agg(pl.col("total", "paid").sum()).sort("run", "seconds")


looked = partial(
    Outcome,
    rows=gaps,
    split="market",
    together="mean",
    unit="fraction of the mid beside",
    tables=("markets", "beside_markets"),
    source="markets: mid, beside_markets",
    exercised_by="always",
)
crossed = partial(
    Outcome, rows=crossing, tables=("cohorts", "beside_cohorts"), source="cohorts, beside_cohorts", exercised_by="a cohort on both venues"
)
gap = pl.col("gap")
OF_THE_GAP = "distance of the mid of the first venue from that of the venue beside, either way"

OUTCOMES = (
    looked(
        name="gap_mean",
        definition="mid of the first venue over that of the venue beside, less one, mean over the looks",
        value=gap.mean(),
    ),
    *(
        looked(
            name=f"gap_{name}",
            definition=f"{quantile:.0%} quantile over the looks of the {OF_THE_GAP}",
            better="less",
            value=gap.abs().quantile(quantile, "linear"),
        )
        for name, quantile in QUANTILES.items()
    ),
    looked(
        name="gap_largest",
        definition=f"largest {OF_THE_GAP}",
        better="less",
        together="largest",
        value=gap.abs().max(),
    ),
    looked(
        name="gap_half_life",
        unit="seconds",
        definition="time in which a gap between the two mids halves: ln 2 / -ln(phi) times the time between looks, phi the autocorrelation "
        "at successive looks, as of an AR(1) series",
        exercised_by="ten looks; a gap that comes back",
        better="less",
        value=half_life(gap, pl.col("spacing").first()),
    ),
    crossed(
        name="across_profit",
        unit="USD",
        definition="change of wealth over both venues of the cohorts that trade on both",
        value=pl.col("total").last(),
    ),
    crossed(
        name="across_return",
        unit="fraction of capital",
        definition="change of wealth over both venues of the cohorts that trade on both, over what they had paid in at the first look",
        value=pl.col("total").last() / pl.col("paid").first(),
    ),
)
