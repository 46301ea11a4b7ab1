"""Whether the replications so far answer the question precisely enough."""

from __future__ import annotations

import math

import polars as pl

from abm.lab.sweep import Until

CONFIDENCE = 0.95


def half_widths(runs: pl.DataFrame, until: Until, baseline: str) -> pl.DataFrame:
    """Half width of the 95 % interval of each configuration's mean, or mean paired difference: variant, point, half_width.

    Student's t over the replications in which the outcome exists; null with fewer than two.
    """
    from scipy.special import stdtrit

    values = runs.select("variant", "point", "seed", value=pl.col(until.outcome))
    if until.paired:
        of_baseline = values.filter(pl.col("variant") == baseline).select("point", "seed", base="value")
        others = values.filter(pl.col("variant") != baseline)
        values = others.join(of_baseline, on=["point", "seed"]).with_columns(value=pl.col("value") - pl.col("base"))
    found = values.group_by("variant", "point", maintain_order=True).agg(n=pl.col("value").count(), s=pl.col("value").std())
    widths = [
        float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * s / math.sqrt(n) if n > 1 and s is not None else None
        for n, s in found.select("n", "s").iter_rows()
    ]
    return found.select("variant", "point", pl.Series("half_width", widths, pl.Float64))


def precise_enough(runs: pl.DataFrame, until: Until, baseline: str) -> bool:
    """Whether every half width is below what `until` asks for; one that does not exist is not."""
    widths = half_widths(runs, until, baseline)["half_width"]
    return widths.len() > 0 and widths.null_count() == 0 and bool((widths < until.width).all())
