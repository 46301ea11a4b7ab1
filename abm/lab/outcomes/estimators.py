"""Estimators as Polars expressions: each comes down to one number per group of rows."""

from __future__ import annotations

import math

import polars as pl

TAIL_SHARE = 0.1  # of the largest values, for Hill's estimate
LEAST_IN_TAIL = 5
LEAST_IN_SERIES = 10  # of shorter ones the autocorrelation is mostly bias


def gini(sizes: pl.Expr) -> pl.Expr:
    """Gini index of sizes >= 0: 0 when all are equal, (n - 1) / n when one has everything.

    G = 2 sum_i i x_(i) / (n sum x) - (n + 1) / n with x sorted upwards. Null where nothing is there or all sizes are zero.
    """
    ranked = (sizes.rank("ordinal") * sizes).sum()
    return pl.when(sizes.sum() > 0.0).then(2.0 * ranked / (sizes.count() * sizes.sum()) - (sizes.count() + 1) / sizes.count())


def hill(sizes: pl.Expr, share: float = TAIL_SHARE, least: int = LEAST_IN_TAIL) -> pl.Expr:
    """Hill's estimate of the exponent of a Pareto tail: k / sum_{i<=k} ln(x_(i) / x_(k+1)), x sorted downwards, k = share n.

    Null where k < `least`. Hill (1975), A simple general approach to inference about the tail of a distribution.
    """
    tail = (sizes.count() * share).floor().cast(pl.Int64)
    downwards = sizes.drop_nulls().sort(descending=True)
    excess = downwards.head(tail).log().sum() - tail * downwards.slice(tail, 1).first().log()
    return pl.when((tail >= least) & (excess > 0.0)).then(tail / excess)


def autocorrelation(series: pl.Expr, lag: int = 1, least: int = LEAST_IN_SERIES) -> pl.Expr:
    """Sample autocorrelation of an evenly spaced series: sum (x_t - m)(x_{t+lag} - m) / sum (x_t - m)^2, m the mean.

    Null for a series that is constant, shorter than `least` or not longer than `lag`. Biased downwards by about (1 + 3 rho) / n.
    """
    centred = series - series.mean()
    squares = (centred * centred).sum()
    varies = (series.max() > series.min()) & (series.count() >= max(least, lag + 1))
    return pl.when(varies).then((centred * centred.shift(lag)).sum() / squares)


def half_life(series: pl.Expr, spacing: pl.Expr) -> pl.Expr:
    """Time in which a deviation of an AR(1) series halves: ln 2 / -ln(phi) times `spacing`, phi the autocorrelation at lag 1.

    NaN for phi < 0, where the series does not come back gradually; 0 for phi = 0, null where there is no autocorrelation.
    """
    return math.log(2.0) * spacing / -autocorrelation(series).log()


def top_share(sizes: pl.Expr, share: float) -> pl.Expr:
    """What the largest `share` of the sizes, at least one of them, carry of their sum. Null where the sum is zero."""
    many = (sizes.count() * share).ceil().cast(pl.Int64)
    return pl.when(sizes.sum() > 0.0).then(sizes.drop_nulls().sort(descending=True).head(many).sum() / sizes.sum())


def share(condition: pl.Expr) -> pl.Expr:
    """Of the rows, those where the condition holds; null where it is unknown for all."""
    return condition.mean()


def weighted_mean(values: pl.Expr, weights: pl.Expr) -> pl.Expr:
    """Mean with weights; null where they add up to zero."""
    known = pl.when(values.is_not_null()).then(weights)
    return pl.when(known.sum() > 0.0).then((values * weights).sum() / known.sum())
