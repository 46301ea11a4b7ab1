"""Tails, shares, memory and branching, on samples whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.signal import lfilter

from abm.lab.statistics.hawkes import branching_from_counts, fano_factor, fit_hawkes, untied
from abm.lab.statistics.inequality import gini
from abm.lab.statistics.persistence import autocorrelation, autoregression, half_life
from abm.lab.statistics.tail import hill
from tests.lab.statistics.simulated import coverage, hawkes


def pareto(generator: np.random.Generator, index: float, size: int) -> np.ndarray:
    return np.asarray((1.0 - generator.random(size)) ** (-1.0 / index))


@pytest.mark.parametrize("index", [1.0, 1.5, 3.0])
def test_hill_finds_the_index_of_a_pareto_law(index: float) -> None:
    found = hill(pareto(np.random.default_rng(1), index, 100_000), count=5_000)
    assert found.index == pytest.approx(index, rel=0.04)
    assert found.standard_error == pytest.approx(found.index / math.sqrt(5_000))
    assert found.threshold == pytest.approx(20.0 ** (1.0 / index), rel=0.04)


def test_the_interval_of_hill_covers_the_index() -> None:
    covered = coverage(lambda values: hill(values, share=0.5).interval, lambda generator: pareto(generator, 1.4, 40), 1.4)
    assert 0.935 <= covered <= 0.965


def test_hill_by_hand_and_its_refusals() -> None:
    found = hill([math.e**2, math.e, 1.0, 0.5, -3.0], count=2)  # excesses over 1: ln 2 of them, 2 and 1
    assert found.index == pytest.approx(2.0 / 3.0)
    assert found.threshold == 1.0
    for values, count in (([1.0, 2.0, 3.0], 3), ([3.0, 2.0, -1.0, -1.0], 2), ([1.0, 2.0], 1)):
        with pytest.raises(ValueError, match="count: expected at least 2"):
            hill(values, count=count)
    with pytest.raises(ValueError, match="no tail"):
        hill([2.0] * 9, count=3)


def test_gini_by_hand() -> None:
    assert gini([1.0, 1.0, 1.0]) == pytest.approx(0.0)
    assert gini([0.0, 0.0, 0.0, 8.0]) == pytest.approx(0.75)
    assert gini([1.0, 3.0]) == pytest.approx(0.25)
    assert math.isnan(gini([0.0, 0.0]))
    assert math.isnan(gini([]))
    with pytest.raises(ValueError, match="0 or more, got -1"):
        gini([-1.0, 2.0])


@given(some.lists(some.floats(0.0, 1e6), min_size=1, max_size=30).filter(lambda drawn: sum(drawn) > 1e-3))
def test_gini_is_the_mean_difference_over_twice_the_mean(drawn: list[float]) -> None:
    amounts = np.array(drawn)
    expected = np.abs(amounts[:, None] - amounts).mean() / (2.0 * amounts.mean())
    assert gini(amounts) == pytest.approx(expected, abs=1e-9)


def autoregressive(generator: np.random.Generator, coefficient: float, size: int) -> np.ndarray:
    values = np.empty(size)
    values[0] = generator.standard_normal() / math.sqrt(1.0 - coefficient**2)
    values[1:] = generator.standard_normal(size - 1)
    return np.asarray(lfilter([1.0], [1.0, -coefficient], values))


def test_autocorrelation_of_an_autoregression_falls_geometrically() -> None:
    series = autoregressive(np.random.default_rng(2), 0.8, 50_000)
    assert autocorrelation(series, [0, 1, 2, 5]).tolist() == pytest.approx([1.0, 0.8, 0.64, 0.8**5], abs=0.02)


def test_autocorrelation_of_short_and_constant_series() -> None:
    assert autocorrelation([1.0, -1.0, 1.0, -1.0], [1]).tolist() == [-0.75]
    assert np.isnan(autocorrelation([2.0, 2.0], [1])).all()
    assert np.isnan(autocorrelation([1.0, 2.0], [5])).all()
    with pytest.raises(ValueError, match="lags"):
        autocorrelation([1.0, 2.0], [-1])


@pytest.mark.parametrize(("coefficient", "size"), [(0.5, 300), (0.9, 1_000)])
def test_the_interval_of_a_half_life_covers_it(coefficient: float, size: int) -> None:
    truth = 60.0 * math.log(2.0) / -math.log(coefficient)
    covered = coverage(lambda series: half_life(series, 60.0), lambda generator: autoregressive(generator, coefficient, size), truth)
    assert 0.935 <= covered <= 0.965


def test_half_lives_at_the_edges() -> None:
    generator = np.random.default_rng(3)
    assert half_life(generator.standard_normal(500)).low == 0.0
    wandering = half_life(np.cumsum(generator.standard_normal(200)))
    assert wandering.high == math.inf
    assert math.isnan(half_life([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).estimate)
    assert autoregression([1.0, 2.0]).high == math.inf


RATIOS = (0.3, 0.6, 0.8)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_likelihood_finds_the_branching_ratio(ratio: float) -> None:
    events = hawkes(np.random.default_rng(4), baseline=0.5 * (1.0 - ratio), ratio=ratio, decay=2.0, duration=8_000.0)
    found = fit_hawkes(events, 8_000.0)
    assert found.ratio.estimate == pytest.approx(ratio, abs=0.05)
    assert found.ratio.contains(ratio)
    assert found.decay == pytest.approx(2.0, rel=0.2)
    assert found.baseline == pytest.approx(0.5 * (1.0 - ratio), rel=0.15)
    assert found.log_likelihood > found.poisson_log_likelihood + 50.0


@pytest.mark.parametrize("ratio", RATIOS)
def test_wide_windows_find_the_branching_ratio(ratio: float) -> None:
    """Fano factor → 1 / (1 - ratio)², ± 15 %."""
    events = hawkes(np.random.default_rng(5), baseline=0.5 * (1.0 - ratio), ratio=ratio, decay=2.0, duration=200_000.0)
    counts = np.bincount((events / 100.0).astype(int), minlength=2_000)
    assert fano_factor(counts) == pytest.approx(1.0 / (1.0 - ratio) ** 2, rel=0.15)
    found = branching_from_counts(counts)
    assert found.estimate == pytest.approx(ratio, abs=0.05)
    assert found.low < ratio < found.high


def test_a_poisson_process_branches_little() -> None:
    times = np.sort(np.random.default_rng(6).random(2_000) * 1_000.0)
    found = fit_hawkes(times, 1_000.0)
    assert found.ratio.low < 0.05
    assert found.log_likelihood < found.poisson_log_likelihood + 4.0
    counts = np.bincount(times.astype(int) // 10, minlength=100)
    assert branching_from_counts(counts).contains(0.0)


@pytest.mark.slow
def test_the_interval_of_the_likelihood_covers_the_branching_ratio() -> None:
    """400 samples of about 1,000 events, because each takes a search: 95 % ± 3 %."""
    generator = np.random.default_rng(7)
    covered = [fit_hawkes(hawkes(generator, 0.5, 0.5, 1.0, 1_000.0), 1_000.0).ratio.contains(0.5) for _ in range(400)]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_fast_memory_over_a_long_time_does_not_overflow() -> None:
    """Decay times duration is far beyond the exponent of a double."""
    events = hawkes(np.random.default_rng(8), baseline=0.001, ratio=0.6, decay=20.0, duration=500_000.0)
    found = fit_hawkes(events, 500_000.0)
    assert found.ratio.estimate == pytest.approx(0.6, abs=0.08)
    assert found.decay == pytest.approx(20.0, rel=0.25)


def test_a_clock_that_rounds_is_undone() -> None:
    """Events that the clock puts into one block would look like causes of each other."""
    generator = np.random.default_rng(9)
    times = np.sort(generator.random(3_000) * 2_000.0)
    spread = untied(np.floor(times), 1.0)
    assert (np.diff(spread) > 0.0).all()
    assert (np.floor(spread) == np.floor(times)).all()
    rounded, undone = fit_hawkes(np.floor(times), 2_000.0), fit_hawkes(spread, 2_000.0)
    assert rounded.log_likelihood > rounded.poisson_log_likelihood + 500.0
    assert undone.log_likelihood < undone.poisson_log_likelihood + 6.0
    assert untied([0.0, 0.0, 3.0], 3.0).tolist() == [0.75, 2.25, 4.5]
    with pytest.raises(ValueError, match="tick"):
        untied([1.0], 0.0)


def test_hawkes_refuses_too_few_events_and_events_outside() -> None:
    with pytest.raises(ValueError, match="at least 10 events, got 2"):
        fit_hawkes([1.0, 2.0], 10.0)
    with pytest.raises(ValueError, match=r"expected 0 to 10\.0, got 11\.0"):
        fit_hawkes(np.arange(12.0), 10.0)
    assert math.isnan(branching_from_counts([3.0, 3.0, 3.0]).estimate)
    assert math.isnan(fano_factor([0.0, 0.0]))
