"""Trends, slopes, monotone fits and thresholds along a factor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from abm.lab.statistics.bisection import Threshold, bisect_probability
from abm.lab.statistics.dose_response import monotone_fit, slope, trend

LEAST, MOST = 0.935, 0.965


def test_a_trend_needs_no_straight_line() -> None:
    doses = np.array([1.0, 2.0, 5.0, 10.0, 100.0])
    rising, falling = trend(doses, doses**3), trend(doses, -np.log(doses))
    assert (rising.spearman, rising.kendall) == pytest.approx((1.0, 1.0))
    assert (falling.spearman, falling.kendall) == pytest.approx((-1.0, -1.0))
    assert rising.kendall_p == pytest.approx(2.0 / math.factorial(5))
    assert trend(doses, [1.0, 3.0, 2.0, 4.0, 5.0]).kendall == pytest.approx(0.8)
    flat = trend(doses, np.ones(5))
    assert math.isnan(flat.spearman)
    assert flat.spearman_p == 1.0


def test_a_slope_by_hand() -> None:
    assert slope([0.0, 1.0, 2.0], [1.0, 3.0, 5.0]).estimate == pytest.approx(2.0)
    assert slope([0.0, 1.0], [1.0, 3.0]).high == math.inf
    assert math.isnan(slope([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).estimate)
    with pytest.raises(ValueError, match="responses: expected 2, one for each dose"):
        slope([1.0, 2.0], [1.0])


def test_the_interval_of_a_slope_covers_it_where_the_spread_grows_with_the_dose() -> None:
    generator = np.random.default_rng(1)
    doses = np.repeat([0.0, 1.0, 2.0, 3.0], 20)
    covered = np.mean([slope(doses, 2.0 * doses + (0.2 + doses) * generator.standard_normal(80)).contains(2.0) for _ in range(2_000)])
    assert LEAST <= covered <= MOST


def test_worlds_that_are_worse_at_all_doses_cancel_out() -> None:
    generator = np.random.default_rng(2)
    doses, worlds = np.tile([0.0, 1.0, 2.0, 3.0], 15), np.repeat(np.arange(15), 4)
    covered, narrower = 0, 0
    for _ in range(2_000):
        effect = 2.0 + 0.3 * generator.standard_normal(15)[worlds]
        responses = effect * doses + 10.0 * generator.standard_normal(15)[worlds] + generator.standard_normal(60)
        by_world = slope(doses, responses, groups=worlds)
        covered += by_world.contains(2.0)
        narrower += by_world.half_width < 0.5 * slope(doses, responses).half_width
    assert LEAST <= covered / 2_000 <= MOST
    assert narrower > 1_900


def test_a_monotone_fit_pools_what_goes_the_wrong_way() -> None:
    fitted = monotone_fit([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
    assert fitted.rising
    assert fitted.responses.tolist() == pytest.approx([1.0, 2.5, 2.5, 4.0])
    assert fitted.share == pytest.approx(0.9)
    weighted = monotone_fit([1.0, 2.0, 2.0, 3.0], [1.0, 4.0, 6.0, 2.0], rising=True)  # two at 5 against one at 2
    assert weighted.responses.tolist() == pytest.approx([1.0, 4.0, 4.0])
    assert not monotone_fit([1.0, 2.0, 3.0], [9.0, 4.0, 1.0]).rising


WHERE = 3.0  # P(turned at x) = 1 / (1 + e^{-(x - 3) / 0.5})


def worlds(seed: int, size: int) -> np.ndarray:
    """The value of the factor at which each world turns."""
    return WHERE + 0.5 * np.random.default_rng(seed).logistic(size=size)


def found_in(turns: np.ndarray, target: float = 0.5, rising: bool = True, **options: object) -> Threshold:
    def trials(value: float) -> tuple[int, int]:
        turned = int(np.count_nonzero(turns <= value))
        return (turned if rising else len(turns) - turned), len(turns)

    return bisect_probability(trials, -1.0, 7.0, target=target, tolerance=0.002, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("target", [0.2, 0.5, 0.8])
def test_bisection_finds_the_threshold_of_a_known_curve(rising: bool, target: float) -> None:
    truth = WHERE + 0.5 * math.log(target / (1.0 - target)) * (1.0 if rising else -1.0)
    threshold = found_in(worlds(1, 4_001), target, rising)
    assert threshold.value.estimate == pytest.approx(truth, abs=0.06)
    assert threshold.value.contains(truth)
    assert (threshold.rising, threshold.consistent) == (rising, True)
    assert len(threshold.evaluations) < 2 + 3 * math.log2(500) + 3


@pytest.mark.parametrize(("size", "target"), [(40, 0.5), (60, 0.25)])
def test_the_interval_of_a_threshold_covers_it_as_often_as_counts_allow(size: int, target: float) -> None:
    """Counts jump, so that the coverage is not 95 % but that of the order statistics chosen, which is at least that."""
    truth = brentq(lambda x: 1.0 / (1.0 + math.exp(-(x - WHERE) / 0.5)) - target, 0.0, 6.0)
    covered = np.mean([found_in(worlds(seed, size), target).value.contains(truth) for seed in range(2_000)])
    counts = np.arange(size + 1)
    below = binom.cdf(counts, size, target)
    fewer, more = np.count_nonzero(below <= 0.025), np.count_nonzero(1.0 - below > 0.025) + 1
    exact = binom.cdf(more - 1, size, target) - binom.cdf(fewer - 1, size, target)
    assert covered == pytest.approx(exact, abs=0.012)
    assert 0.95 - 0.012 <= covered <= 0.98


def test_bisection_of_a_step_ends_at_the_tolerance() -> None:
    threshold = bisect_probability(lambda x: (10 if x >= 2.345 else 0, 10), 0.0, 10.0, tolerance=0.001)
    assert threshold.value.low <= 2.345 <= threshold.value.high
    assert threshold.value.half_width <= 0.005


def test_whole_numbers_end_at_neighbours() -> None:
    tried = []

    def trials(value: float) -> tuple[int, int]:
        tried.append(value)
        return (20 if value >= 7 else 0), 20

    threshold = bisect_probability(trials, 0.5, 20.2, integer=True)
    assert (threshold.value.low, threshold.value.estimate, threshold.value.high) == (6, 7, 7)
    assert all(value == int(value) and 1 <= value <= 20 for value in tried)
    assert len(tried) == len(set(tried))


def test_a_logarithmic_range_is_halved_in_ratios() -> None:
    tried = []

    def trials(value: float) -> tuple[int, int]:
        tried.append(value)
        return (20 if value >= 3_000.0 else 0), 20

    threshold = bisect_probability(trials, 1.0, 1e8, logarithmic=True, tolerance=0.01)
    assert tried[2] == pytest.approx(1e4)
    assert threshold.value.estimate == pytest.approx(3_000.0, rel=0.15)
    with pytest.raises(ValueError, match="above 0 for a logarithmic scale"):
        bisect_probability(trials, 0.0, 1.0, logarithmic=True)


def test_no_crossing_in_the_range_is_said() -> None:
    threshold = bisect_probability(lambda x: (1, 50), 0.0, 1.0)
    assert math.isnan(threshold.value.estimate)
    assert threshold.value.high == math.inf
    nearly = bisect_probability(lambda x: (12 if x == 1.0 else 2, 20), 0.0, 1.0)
    assert 0.0 < nearly.value.estimate <= 1.0
    assert nearly.value.high == math.inf  # 12 of 20 may be less than half


def test_a_probability_that_goes_up_and_down_is_told() -> None:
    threshold = bisect_probability(lambda x: (40 if 0.4 < x < 0.6 else 0 if x < 0.9 else 30, 40), 0.0, 1.0)
    assert not threshold.consistent


def test_bisection_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="low < high, got 1.0 to 1.0"):
        bisect_probability(lambda x: (1, 2), 1.0, 1.0)
    with pytest.raises(ValueError, match="same number at every value"):
        bisect_probability(lambda x: (0, 2 + int(x)), 0.0, 1.0)
    with pytest.raises(ValueError, match="expected successes of one trial or more"):
        bisect_probability(lambda x: (3, 2), 0.0, 1.0)
