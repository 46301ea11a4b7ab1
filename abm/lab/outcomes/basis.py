"""How far the perpetual is from the outside price, and how fast it comes back; how far the oracle is."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.outcomes.estimators import LEAST_IN_SERIES, autocorrelation, half_life
from abm.lab.outcomes.looks import market_looks
from abm.lab.outcomes.outcome import Outcome

QUANTILES = {"p01": 0.01, "p05": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99}

looked = partial(Outcome, rows=market_looks, split="market", together="mean", tables=("markets",), exercised_by="always")
basis, premium = pl.col("basis"), pl.col("premium")
BASIS = "markets: mid, index"
LAG = "markets: premium. Mean reversion as in an AR(1) series"

OUTCOMES = (
    *(
        looked(
            name=f"basis_{name}",
            detail=name in ("p05", "p95"),
            unit="fraction of the index",
            definition=f"{quantile:.0%} quantile over the looks of the mid of the book over the index, less one",
            source=BASIS,
            value=basis.quantile(quantile, "linear"),
        )
        for name, quantile in QUANTILES.items()
    ),
    looked(
        name="basis_mean",
        unit="fraction of the index",
        definition="mid of the book over the index, less one, mean over the looks",
        source=BASIS,
        value=basis.mean(),
    ),
    looked(
        name="basis_sd",
        unit="fraction of the index",
        definition="standard deviation over the looks, with n - 1, of the mid of the book over the index",
        source=BASIS,
        exercised_by="two looks",
        better="less",
        value=basis.std(),
    ),
    looked(
        name="basis_largest",
        unit="fraction of the index",
        definition="largest distance of the mid of the book from the index at any look, either way",
        source=BASIS,
        better="less",
        together="largest",
        value=basis.abs().max(),
    ),
    looked(
        name="basis_autocorrelation",
        detail=True,
        unit="correlation",
        definition="of mid over index at successive looks; it depends on the time between looks",
        source=BASIS,
        exercised_by=f"{LEAST_IN_SERIES} looks, a basis that changes",
        value=autocorrelation(basis),
    ),
    looked(
        name="basis_half_life",
        detail=True,
        unit="seconds",
        definition="ln 2 / -ln(phi) times the time between looks, phi the autocorrelation of mid over index at successive looks; null "
        "unless 0 < phi < 1",
        source=f"{BASIS}. Mean reversion as in an AR(1) series",
        exercised_by=f"{LEAST_IN_SERIES} looks, a basis that reverts gradually",
        better="less",
        value=half_life(basis, pl.col("spacing").first()),
    ),
    looked(
        name="premium_autocorrelation",
        unit="correlation",
        definition="of the premium sample at successive looks; it depends on the time between looks, and rules that sample more rarely "
        "than that repeat a sample",
        source="markets: premium",
        exercised_by=f"{LEAST_IN_SERIES} looks, a premium that changes",
        value=autocorrelation(premium),
    ),
    looked(
        name="premium_half_life",
        unit="seconds",
        definition="ln 2 / -ln(phi) times the time between looks, phi the autocorrelation of the premium sample at successive looks; "
        "null unless 0 < phi < 1",
        source=LAG,
        exercised_by=f"{LEAST_IN_SERIES} looks, a premium that reverts gradually",
        better="less",
        value=half_life(premium, pl.col("spacing").first()),
    ),
    looked(
        name="oracle_gap",
        unit="fraction of the index",
        definition="largest distance of the oracle price from the index at any look, either way",
        source="markets: oracle, index",
        better="less",
        together="largest",
        value=pl.col("oracle_gap").max(),
    ),
    looked(
        name="oracle_gap_mean",
        detail=True,
        unit="fraction of the index",
        definition="distance of the oracle price from the index, mean over the looks",
        source="markets: oracle, index",
        better="less",
        value=pl.col("oracle_gap").mean(),
    ),
)
