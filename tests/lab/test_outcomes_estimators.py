"""Estimators vectorised by run, against plain NumPy formulas and known answers."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from abm.lab.outcomes.estimators import autocorrelation, gini, half_life, hill, top_share, weighted_mean
from abm.lab.outcomes.timeline import Timeline

Sample = NDArray[np.float64]


def by_run(samples: list[Sample], estimate: pl.Expr) -> list[float | None]:
    """The estimate for each sample, all in one frame, their rows in turns."""
    rows = [(number, place, value) for number, sample in enumerate(samples) for place, value in enumerate(sample)]
    frame = pl.DataFrame(rows, schema={"run": pl.Int32, "place": pl.Int32, "x": pl.Float64}, orient="row").sort("place", "run")
    return frame.group_by("run").agg(estimate.alias("value")).sort("run")["value"].to_list()


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Pareto sizes, each run of another length."""
    draw = np.random.default_rng(1)
    return [1.0 + draw.pareto(exponent, size) for exponent, size in ((1.2, 50), (1.5, 333), (3.0, 1000), (0.8, 4999))]


def gini_of(x: Sample) -> float:
    return float(np.abs(x[:, None] - x[None, :]).sum() / (2 * len(x) ** 2 * x.mean()))


def hill_of(x: Sample) -> float:
    ordered = np.sort(x)[::-1]
    k = int(len(x) * 0.1)
    return float(1.0 / np.mean(np.log(ordered[:k] / ordered[k])))


def autocorrelation_of(x: Sample, lag: int) -> float:
    centred = x - x.mean()
    return float((centred[lag:] * centred[:-lag]).sum() / (centred**2).sum())


def test_gini_is_half_the_relative_mean_difference(samples: list[Sample]) -> None:
    assert by_run(samples, gini(pl.col("x"))) == pytest.approx([gini_of(x) for x in samples], rel=1e-9)


@pytest.mark.parametrize(("sizes", "index"), [([3.0, 3.0, 3.0], 0.0), ([0.0, 0.0, 0.0, 8.0], 0.75), ([1.0, 3.0], 0.25), ([5.0], 0.0)])
def test_gini_of_known_sizes(sizes: list[float], index: float) -> None:
    assert by_run([np.array(sizes)], gini(pl.col("x"))) == pytest.approx([index])


def test_gini_of_a_pareto_population_follows_the_law() -> None:
    sizes = 1.0 + np.random.default_rng(2).pareto(3.0, 200_000)
    assert by_run([sizes], gini(pl.col("x"))) == pytest.approx([1.0 / (2.0 * 3.0 - 1.0)], abs=0.005)


def test_hill_as_in_numpy(samples: list[Sample]) -> None:
    assert by_run(samples, hill(pl.col("x"))) == pytest.approx([hill_of(x) for x in samples], rel=1e-9)


@pytest.mark.parametrize("exponent", [1.2, 2.5])
def test_hill_finds_the_exponent(exponent: float) -> None:
    draw = np.random.default_rng(3)
    found = by_run([1.0 + draw.pareto(exponent, 2000) for _ in range(50)], hill(pl.col("x")))
    # k = 200 values in the tail: standard error exponent / sqrt(k) each, / sqrt(50) of the mean.
    assert np.mean(np.array(found, float)) == pytest.approx(exponent, abs=4.0 * exponent / math.sqrt(200 * 50))


def test_hill_needs_five_values_in_the_tail_and_different_ones() -> None:
    ordered = np.arange(1.0, 51.0)
    assert by_run([ordered[:49], ordered, np.ones(100)], hill(pl.col("x"))) == [None, pytest.approx(hill_of(ordered)), None]


@pytest.mark.parametrize("lag", [1, 2, 10])
def test_autocorrelation_as_in_numpy(lag: int) -> None:
    draw = np.random.default_rng(4)
    series = [np.cumsum(draw.normal(size=size)) * 1e-6 + 7.0 for size in (20, 300, 1001)]
    found = by_run(series, autocorrelation(pl.col("x"), lag))
    assert found == pytest.approx([autocorrelation_of(x, lag) for x in series], rel=1e-6)


def test_autocorrelation_of_nothing_that_changes_is_unknown() -> None:
    turns = np.array([1.0, -1.0] * 5)
    assert by_run([np.full(70, 0.1), np.ones(1), turns[:9], turns], autocorrelation(pl.col("x"))) == [None, None, None, -0.9]
    assert by_run([turns[:2]], autocorrelation(pl.col("x"), least=2)) == [-0.5]


@pytest.mark.parametrize("phi", [0.5, 0.9])
def test_half_life_of_a_simulated_ar1_series(phi: float) -> None:
    noise = np.random.default_rng(5).normal(size=(20, 5000))
    series = np.zeros_like(noise)
    for step in range(1, noise.shape[1]):
        series[:, step] = phi * series[:, step - 1] + noise[:, step]
    found = np.array(by_run(list(series), half_life(pl.col("x"), pl.lit(60.0))), float)
    assert found.mean() == pytest.approx(60.0 * math.log(2.0) / -math.log(phi), rel=0.05)
    exact = [60.0 * math.log(2.0) / -math.log(autocorrelation_of(x, 1)) for x in series]
    assert found.tolist() == pytest.approx(exact, rel=1e-9)


def test_a_series_that_turns_back_at_once_has_no_half_life() -> None:
    (found,) = by_run([np.array([1.0, -1.0] * 5)], half_life(pl.col("x"), pl.lit(1.0)))
    assert found is None or math.isnan(found)


def test_top_share(samples: list[Sample]) -> None:
    expected = [np.sort(x)[::-1][: math.ceil(0.01 * len(x))].sum() / x.sum() for x in samples]
    assert by_run(samples, top_share(pl.col("x"), 0.01)) == pytest.approx(expected)
    assert by_run([np.zeros(3)], top_share(pl.col("x"), 0.01)) == [None]


def test_weighted_mean_leaves_out_what_is_unknown_and_its_weight() -> None:
    frame = pl.DataFrame({"x": [1.0, None, 4.0], "w": [3.0, 100.0, 1.0]})
    assert frame.select(weighted_mean(pl.col("x"), pl.col("w"))).item() == pytest.approx(7.0 / 4.0)
    assert frame.select(weighted_mean(pl.col("x"), 0.0 * pl.col("w"))).item() is None


def test_times_are_found_and_interpolated_within_their_own_track() -> None:
    line = Timeline(np.array([1, 1, 1, 4, 4]), np.array([0.0, 10.0, 20.0, 5.0, 10.0]))
    track, seconds = np.array([1, 1, 1, 1, 4, 4, 2]), np.array([0.0, 0.5, 20.0, 21.0, 1.0, 10.0, 3.0])
    assert line.following(track, seconds).tolist() == [0, 1, 2, -1, 3, 4, -1]
    values = np.array([0.0, 1.0, 5.0, 100.0, 200.0])
    known = np.array([0, 1, 2, 5])
    assert line.interpolated(values, track[known], seconds[known]).tolist() == pytest.approx([0.0, 0.05, 5.0, 200.0])
    first, last = line.bounds(np.array([1, 4]))
    assert (first.tolist(), last.tolist()) == ([0, 3], [2, 4])
