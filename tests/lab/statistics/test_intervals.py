"""Every interval covers the truth as often as it says: 95 % ± 1.5 % of 2,000 synthetic samples, at sizes where that can hold."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import bootstrap

from abm.lab.statistics.interval import Interval, joined, unbounded
from abm.lab.statistics.mean import mean_bootstrap, mean_t
from abm.lab.statistics.proportion import jeffreys, wilson
from abm.lab.statistics.quantile import influences, quantile, quantile_bootstrap, quantile_t, quantiles
from abm.lab.statistics.resampling import bca, replicates
from abm.lab.statistics.stopping import half_width
from tests.lab.statistics.simulated import Sampler, coverage, exponential, lognormal, normal, uniform

LEAST, MOST = 0.935, 0.965
amounts = some.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@pytest.mark.parametrize("sample", [normal(5), normal(20), exponential(400)], ids=["normal 5", "normal 20", "exponential 400"])
def test_the_t_interval_covers_a_mean(sample: Sampler) -> None:
    truth = 1.0 if sample(np.random.default_rng(0)).min() > 0.0 else 0.0
    assert LEAST <= coverage(mean_t, sample, truth) <= MOST


@pytest.mark.parametrize(
    ("sample", "truth"),
    [(normal(10), 0.0), (uniform(40), 0.5), (exponential(60), 1.0)],
    ids=["normal 10", "uniform 40", "exponential 60"],
)
def test_the_bootstrap_interval_covers_a_mean(sample: Sampler, truth: float) -> None:
    assert LEAST <= coverage(lambda values: mean_bootstrap(values, draws=1_000), sample, truth) <= MOST


@pytest.mark.slow
def test_of_skewed_values_the_bootstrap_covers_better_than_t() -> None:
    truth = math.exp(0.5)
    by_t = coverage(mean_t, lognormal(200), truth)
    by_bootstrap = coverage(lambda values: mean_bootstrap(values, draws=1_000), lognormal(200), truth)
    assert by_t < LEAST <= by_bootstrap <= MOST


@pytest.mark.parametrize(
    ("sample", "share", "truth"),
    [
        (exponential(50), 0.5, math.log(2.0)),
        (exponential(50), 0.9, math.log(10.0)),
        (normal(100), 0.1, -1.2815515655446004),
        (lognormal(200), 0.95, math.exp(1.6448536269514722)),
    ],
    ids=["exponential 50 median", "exponential 50 0.9", "normal 100 0.1", "lognormal 200 0.95"],
)
def test_the_t_interval_covers_a_quantile(sample: Sampler, share: float, truth: float) -> None:
    assert LEAST <= coverage(lambda values: quantile_t(values, share), sample, truth) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "share", "truth"),
    [(exponential(50), 0.5, math.log(2.0)), (exponential(100), 0.9, math.log(10.0)), (normal(100), 0.1, -1.2815515655446004)],
    ids=["exponential 50 median", "exponential 100 0.9", "normal 100 0.1"],
)
def test_the_bootstrap_interval_covers_a_quantile(sample: Sampler, share: float, truth: float) -> None:
    assert LEAST <= coverage(lambda values: quantile_bootstrap(values, share, draws=1_000), sample, truth) <= MOST


@pytest.mark.parametrize("interval", [wilson, jeffreys])
def test_intervals_of_a_probability_cover_it_on_average_over_probabilities(interval: Callable[[int, int], Interval]) -> None:
    generator = np.random.default_rng(1)
    truths = generator.uniform(0.1, 0.9, 2_000)
    covered = [interval(int(generator.binomial(50, truth)), 50).contains(truth) for truth in truths]
    assert LEAST <= np.mean(covered) <= MOST


@pytest.mark.parametrize("interval", [wilson, jeffreys])
def test_intervals_of_a_probability_at_the_edges(interval: Callable[[int, int], Interval]) -> None:
    nothing, everything, unknown = interval(0, 20), interval(20, 20), interval(0, 0)
    assert nothing.low == 0.0
    assert nothing.high == pytest.approx(1.0 - everything.low)
    assert 0.1 < nothing.high < 0.17  # the rule of three says 0.15
    assert (unknown.low, unknown.high) == (0.0, 1.0)
    assert math.isnan(unknown.estimate)
    with pytest.raises(ValueError, match="successes"):
        interval(21, 20)


def test_wilson_in_print() -> None:
    """15 of 148: 0.0624 to 0.1605 in Newcombe (1998), Statistics in Medicine 17, 857, table I."""
    interval = wilson(15, 148)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0624, 0.1605)


def test_the_t_interval_of_three_values() -> None:
    interval = mean_t([1.0, 2.0, 3.0])  # t(2) = 4.30265, s = 1
    assert interval.estimate == 2.0
    assert interval.half_width == pytest.approx(4.302652729911275 / math.sqrt(3.0))
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(interval.half_width)


def test_too_few_values_leave_everything_open() -> None:
    for interval in (mean_t([3.0]), mean_bootstrap([3.0]), quantile_t([3.0], 0.5), quantile_bootstrap([3.0], 0.5)):
        assert (interval.estimate, interval.low, interval.high) == (3.0, -math.inf, math.inf)
        assert interval.sign == 0
    assert math.isnan(mean_t([]).estimate)
    assert math.isnan(mean_bootstrap([]).estimate)
    assert math.isnan(quantile([], 0.5))
    assert half_width([1.0]) == math.inf


@given(amounts, some.integers(2, 30))
def test_equal_values_leave_nothing_open(amount: float, size: int) -> None:
    values = [amount] * size
    for interval in (mean_t(values), mean_bootstrap(values, draws=50), quantile_bootstrap(values, 0.3, draws=50)):
        assert interval.low == pytest.approx(amount, rel=1e-12)
        assert interval.high == pytest.approx(amount, rel=1e-12)


@given(some.lists(amounts, min_size=3, max_size=30), some.floats(0.5, 20.0), amounts)
def test_intervals_move_and_stretch_with_the_values(values: list[float], factor: float, shift: float) -> None:
    moved = [factor * value + shift for value in values]
    scale = max(map(abs, [*values, *moved, 1.0]))
    for interval in (mean_t, lambda sample: quantile_t(sample, 0.7)):
        before, after = interval(values), interval(moved)
        assert after.low == pytest.approx(factor * before.low + shift, abs=1e-9 * factor * scale)
        assert after.high == pytest.approx(factor * before.high + shift, abs=1e-9 * factor * scale)


def test_a_seed_decides_the_bootstrap() -> None:
    values = exponential(30)(np.random.default_rng(5))
    assert mean_bootstrap(values, seed=1) == mean_bootstrap(values, seed=1)
    assert mean_bootstrap(values, seed=1) != mean_bootstrap(values, seed=2)


def test_of_rare_events_the_bootstrap_ends_are_finite_and_the_method_is_told() -> None:
    interval = mean_bootstrap([0.0] * 19 + [1e6])
    assert interval.method == "bootstrap (BCa)"
    assert 0.0 <= interval.low < interval.estimate == 5e4 < interval.high < 1e6


def test_batches_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = exponential(40)(np.random.default_rng(3))
    whole = replicates(values, lambda samples: samples.mean(axis=-1), draws=100)
    monkeypatch.setattr("abm.lab.statistics.resampling._BATCH", 400)
    assert np.array_equal(replicates(values, lambda samples: samples.mean(axis=-1), draws=100), whole)


def test_bca_of_the_law_school_data_is_that_of_scipy() -> None:
    """The correlation of 15 pairs, 0.776, of Efron and Tibshirani (1993), table 3.1."""
    scores = np.array([576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594], float)
    grades = np.array([3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96])

    def correlations(samples: np.ndarray) -> np.ndarray:
        centred = samples - samples.mean(axis=1, keepdims=True)
        products = (centred[..., 0] * centred[..., 1]).sum(axis=1)
        return products / np.sqrt((centred**2).sum(axis=1).prod(axis=-1))

    interval = bca(np.column_stack([scores, grades]), correlations, confidence=0.9, draws=10_000)
    assert interval.estimate == pytest.approx(0.776, abs=5e-4)
    theirs = bootstrap(
        (scores, grades),
        lambda first, second: np.corrcoef(first, second)[0, 1],
        paired=True,
        vectorized=False,
        n_resamples=3_000,
        confidence_level=0.9,
        method="BCa",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    assert interval.low == pytest.approx(theirs.low, abs=0.03)
    assert interval.high == pytest.approx(theirs.high, abs=0.01)


@given(some.lists(amounts, min_size=3, max_size=12, unique=True), some.sampled_from([0.1, 0.5, 0.8]))
def test_influences_are_what_leaving_out_does(values: list[float], share: float) -> None:
    sample = np.array(values)
    left_out = np.array([quantile(np.delete(sample, i), share) for i in range(len(sample))])
    expected = (len(sample) - 1) * (left_out.mean() - left_out)
    padded = np.concatenate([sample, [np.nan, np.nan]])[None]
    found = influences(padded, share)[0]
    assert found[:-2] == pytest.approx(expected, abs=1e-6 * np.abs(sample).max() + 1e-9)
    assert (found[-2:] == 0.0).all()
    assert quantiles(padded, share)[0] == pytest.approx(quantile(sample, share))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_quantile_lies_strictly_inside(share: float) -> None:
    with pytest.raises(ValueError, match="share: expected a fraction between 0 and 1"):
        quantile_t([1.0, 2.0], share)


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="expected finite numbers, got nan"):
        mean_t([1.0, math.nan])
    with pytest.raises(ValueError, match="2 dimensions"):
        mean_bootstrap([[1.0, 2.0]])


def test_signs_and_bands() -> None:
    assert [Interval(0.0, low, high).sign for low, high in ((1.0, 2.0), (-2.0, -1.0), (-1.0, 1.0), (0.0, 0.0))] == [1, -1, 0, 0]
    estimates, lows, highs = joined([Interval(1.0, 0.0, 2.0), unbounded(3.0, 0.95, "")])
    assert estimates.tolist() == [1.0, 3.0]
    assert lows.tolist() == [0.0, -math.inf]
    assert highs.tolist() == [2.0, math.inf]
