"""Funding: rates, their signs, how long signs last, and what a position pays."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.outcomes.estimators import LEAST_IN_SERIES, autocorrelation
from abm.lab.outcomes.looks import DAY, market_looks
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome


def settlements(many: ManyRuns) -> pl.DataFrame:
    """Funding settlements by run, market and time. `before` is the last rate before that was not zero, null where there is none;
    `flip` is whether the rate has the other sign."""
    rows = many.table("funding").sort("run", "market", "seconds")
    rate = pl.col("rate_per_day")
    rows = rows.with_columns(before=pl.when(rate != 0.0).then(rate).forward_fill().shift(1).over("run", "market"))
    return rows.with_columns(flip=(pl.col("before") * rate < 0.0).fill_null(False))


settled = partial(Outcome, rows=settlements, split="market", together="mean", tables=("funding",), source="funding: rate_per_day")
held = partial(Outcome, rows=market_looks, split="market", together="mean", tables=("markets",))
rate = pl.col("rate_per_day")
flip = pl.col("flip")
when = pl.col("seconds").filter(flip)
carry = -(pl.col("funding_index").last() - pl.col("funding_index").first()) / pl.col("mark").first()
days = (pl.col("seconds").last() - pl.col("seconds").first()) / DAY

OUTCOMES = (
    settled(
        name="funding_settlements",
        detail=True,
        unit="settlements",
        definition="in which a rate was set, zero included",
        exercised_by="always",
        together="all",
        value=pl.len(),
        absent=0.0,
    ),
    settled(
        name="funding_flips",
        unit="settlements",
        definition="with another sign than the last rate before that was not zero",
        exercised_by="always",
        together="all",
        value=flip.sum(),
        absent=0.0,
    ),
    settled(
        name="funding_flips_per_day",
        detail=True,
        unit="flips per day",
        definition="flips over the days from the first settlement to the last; null with one settlement only",
        exercised_by="two settlements",
        value=pl.when(days > 0.0).then(flip.sum() / days),
    ),
    settled(
        name="funding_flip_share",
        unit="fraction of the settlements",
        definition="with another sign than the last rate before that was not zero; the first settlement does not count",
        exercised_by="two settlements",
        value=flip.sum() / (pl.len() - 1),
    ),
    settled(
        name="funding_dwell_seconds",
        unit="seconds",
        definition="from one flip to the next, mean; signs that had not changed yet at the end of the run are left out, so that long "
        "ones are missing from short runs",
        exercised_by="two flips of a market",
        value=when.diff().mean(),
    ),
    settled(
        name="funding_flip_size",
        detail=True,
        unit="fraction per day",
        definition="distance between the rates before and after a flip, mean",
        exercised_by="a flip",
        value=(rate - pl.col("before")).abs().filter(flip).mean(),
    ),
    settled(
        name="funding_positive_share",
        unit="fraction of the settlements",
        definition="in which longs paid shorts",
        exercised_by="a settlement",
        value=(rate > 0.0).mean(),
    ),
    settled(
        name="funding_modal_share",
        unit="fraction of the settlements",
        definition="at exactly the most frequent rate: where the clamp holds the rate at the interest",
        exercised_by="a settlement",
        value=rate.unique_counts().max() / pl.len(),
    ),
    settled(
        name="funding_autocorrelation",
        unit="correlation",
        definition=f"of the rates of successive settlements; null with fewer than {LEAST_IN_SERIES}",
        exercised_by=f"{LEAST_IN_SERIES} settlements, not all the same",
        value=autocorrelation(rate),
    ),
    settled(
        name="funding_mean",
        unit="fraction per day",
        definition="mean rate; positive: longs pay",
        exercised_by="a settlement",
        value=rate.mean(),
    ),
    settled(
        name="funding_sd",
        unit="fraction per day",
        definition="standard deviation of the rates, with n - 1",
        exercised_by="two settlements",
        value=rate.std(),
    ),
    settled(
        name="funding_paid",
        detail=True,
        unit="USD",
        definition="that changed hands",
        source="funding: paid",
        exercised_by="always",
        together="all",
        value=pl.col("paid").sum(),
        absent=0.0,
    ),
    held(
        name="long_carry",
        unit="USD per USD",
        definition="received as funding from the first look to the last by a long position that was worth one USD at the mark price of "
        "the first; negative: paid",
        source="markets: funding_index, mark",
        exercised_by="always",
        value=carry,
    ),
    held(
        name="long_carry_per_day",
        unit="USD per USD and day",
        definition="what a long position of one USD receives as funding over the run, by the day; negative: paid",
        source="markets: funding_index, mark",
        exercised_by="two looks",
        value=pl.when(days > 0.0).then(carry / days),
    ),
)
