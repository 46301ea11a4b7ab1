"""Paired differences, tests of signs, corrections, and what a number of pairs can see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from abm.lab.statistics.detectable import minimum_detectable_effect, pairs_needed, power_of
from abm.lab.statistics.mean import mean_t
from abm.lab.statistics.multiple import benjamini_hochberg, holm
from abm.lab.statistics.paired import PairedDifference, paired_difference
from abm.lab.statistics.signs import sign_test, signed_rank_p

LEAST, MOST = 0.935, 0.965


def pairs(generator: np.random.Generator, size: int, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """The same worlds twice, with a little noise of their own and a shift."""
    worlds = generator.standard_normal(size)
    return worlds + 0.2 * generator.standard_normal(size), worlds + 0.2 * generator.standard_normal(size) + shift


def test_a_difference_by_hand() -> None:
    found = paired_difference([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 5.0, 5.0])  # differences 1, 0, 2, 1
    assert (found.pairs, found.units, found.identical) == (4, 4, 1)
    assert (found.baseline, found.variant, found.t.estimate) == (2.5, 3.5, 1.0)
    assert found.deviation == pytest.approx(math.sqrt(2.0 / 3.0))
    assert found.t.half_width == pytest.approx(3.182446305284263 * math.sqrt(2.0 / 3.0) / 2.0)
    assert found.correlation == pytest.approx(6.0 / math.sqrt(5.0 * 9.0))
    assert found.variance_ratio == pytest.approx((5.0 / 3.0 + 3.0) / (2.0 / 3.0))
    assert (found.signs.lower, found.signs.equal, found.signs.higher, found.signs.p) == (0, 1, 3, 0.25)


def test_pairing_gains_what_the_correlation_says() -> None:
    """Of equal variances, unpaired over paired variance is 1 / (1 - correlation)."""
    first, second = pairs(np.random.default_rng(1), 4_000)
    found = paired_difference(first, second, draws=10, shares=())
    assert found.correlation == pytest.approx(1.0 / 1.04, abs=0.005)
    assert found.variance_ratio == pytest.approx(1.0 / (1.0 - found.correlation), rel=0.02)


def test_a_rule_that_never_acted() -> None:
    found = paired_difference([1.0, 5.0, 2.0], [1.0, 5.0, 2.0])
    assert found.identical == found.pairs == 3
    assert (found.t.low, found.t.high, found.bootstrap.low, found.bootstrap.high) == (0.0, 0.0, 0.0, 0.0)
    assert (found.signs.p, found.signed_rank_p, found.detectable) == (1.0, 1.0, 0.0)
    assert found.variance_ratio == math.inf
    assert all(each.bootstrap.low == each.bootstrap.high == 0.0 for each in found.quantiles)


def test_one_pair_and_none() -> None:
    one = paired_difference([1.0], [3.0])
    assert (one.t.estimate, one.t.low, one.t.high) == (2.0, -math.inf, math.inf)
    assert math.isnan(one.deviation)
    assert one.detectable == math.inf
    assert one.quantiles[0].bootstrap.high == math.inf
    none = paired_difference([], [])
    assert (none.pairs, none.units, none.quantiles) == (0, 0, ())
    assert math.isnan(none.t.estimate)


@pytest.mark.slow
def test_intervals_of_a_paired_difference_cover_it() -> None:
    generator = np.random.default_rng(2)
    covered = np.zeros(2)
    for _ in range(2_000):
        found = paired_difference(*pairs(generator, 20), shares=(), draws=1_000)
        covered += [found.t.contains(0.3), found.bootstrap.contains(0.3)]
    assert ((covered / 2_000 >= LEAST) & (covered / 2_000 <= MOST)).all()


@pytest.mark.slow
def test_intervals_of_a_difference_of_quantiles_cover_it() -> None:
    """Two normal samples on common worlds that differ in scale and place; 100 pairs, median and last tenth."""
    generator = np.random.default_rng(3)
    points = {0.5: 0.0, 0.9: 1.2815515655446004}
    covered = np.zeros((2, 2))
    for _ in range(2_000):
        worlds = generator.standard_normal(100)
        first = 0.8 * worlds + 0.6 * generator.standard_normal(100)
        second = 1.5 * (0.8 * worlds + 0.6 * generator.standard_normal(100)) + 1.0
        found = paired_difference(first, second, shares=tuple(points), draws=500)
        for row, each in enumerate(found.quantiles):
            truth = 0.5 * points[each.share] + 1.0
            covered[row] += [each.t.contains(truth), each.bootstrap.contains(truth)]
    assert ((covered / 2_000 >= LEAST) & (covered / 2_000 <= MOST)).all(), covered / 2_000


def grouped_pairs(generator: np.random.Generator, groups: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences that depend on the world: several points share it."""
    labels = np.repeat(np.arange(groups), size)
    effect = 1.0 + 0.5 * generator.standard_normal(groups)
    first = generator.standard_normal(groups * size)
    return first, first + effect[labels] + 0.1 * generator.standard_normal(groups * size), labels


@pytest.mark.slow
def test_pairs_that_share_a_world_are_not_counted_as_many() -> None:
    generator = np.random.default_rng(4)
    covered, pretended = np.zeros(3), 0
    for _ in range(2_000):
        first, second, labels = grouped_pairs(generator, 20, 6)
        found = paired_difference(first, second, groups=labels, shares=(0.5,), draws=300)
        covered += [found.t.contains(1.0), found.bootstrap.contains(1.0), True]
        pretended += mean_t(second - first).contains(1.0)
    assert ((covered[:2] / 2_000 >= LEAST) & (covered[:2] / 2_000 <= MOST)).all()
    assert pretended / 2_000 < 0.75


def test_groups_of_one_are_no_groups() -> None:
    first, second = pairs(np.random.default_rng(5), 15)
    assert paired_difference(first, second, groups=np.arange(15)) == paired_difference(first, second)


def test_groups_may_differ_in_size() -> None:
    found = paired_difference([0.0, 0.0, 0.0, 0.0], [1.0, 3.0, 4.0, 6.0], groups=["a", "a", "a", "b"])
    assert (found.pairs, found.units) == (4, 2)
    assert found.t.estimate == pytest.approx((8.0 / 3.0 + 6.0) / 2.0)


@given(some.lists(some.tuples(some.integers(-50, 50), some.integers(-50, 50)), min_size=2, max_size=20))
def test_the_other_way_round_everything_changes_sign(drawn: list[tuple[int, int]]) -> None:
    first, second = (np.array(each, float) for each in zip(*drawn, strict=True))

    def facts(found: PairedDifference) -> list[float]:
        return [found.t.estimate, found.t.low, found.t.high, *(each.t.estimate for each in found.quantiles)]

    there, back = (paired_difference(*each, draws=20) for each in ((first, second), (second, first)))
    expected = [-there.t.estimate, -there.t.high, -there.t.low, *(-each.t.estimate for each in there.quantiles)]
    assert facts(back) == pytest.approx(expected, abs=1e-9)
    assert (back.signs.lower, back.signs.higher, back.signs.p) == (there.signs.higher, there.signs.lower, there.signs.p)


def test_without_resamples_quantiles_have_jackknife_errors() -> None:
    first, second = pairs(np.random.default_rng(9), 400)
    quick, slow = (paired_difference(first, second, draws=400, quantile_draws=draws) for draws in (0, None))
    assert quick.bootstrap == slow.bootstrap
    for each, other in zip(quick.quantiles, slow.quantiles, strict=True):
        assert each.bootstrap == each.t
        assert each.t.method == "t (jackknife)"
        assert each.t.estimate == other.t.estimate
        assert each.t.half_width == pytest.approx(other.t.half_width, rel=0.25)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="variant: expected 2 values"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="groups: expected 2 labels"):
        paired_difference([1.0, 2.0], [1.0, 2.0], groups=[1])


@pytest.mark.parametrize(("lower", "higher", "p"), [(0, 5, 0.0625), (0, 6, 0.03125), (2, 8, 0.109375), (3, 3, 1.0)])
def test_the_sign_test_counts(lower: int, higher: int, p: float) -> None:
    found = sign_test([-1.0] * lower + [2.0] * higher + [0.0] * 4)
    assert (found.lower, found.equal, found.higher) == (lower, 4, higher)
    assert found.p == pytest.approx(p)


def test_the_signed_rank_test() -> None:
    assert signed_rank_p([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2.0 / 2**5)
    assert signed_rank_p([-1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(4.0 / 2**5)
    assert signed_rank_p([0.0, 0.0]) == 1.0
    assert signed_rank_p([1.0, 1.0, -1.0, -1.0]) > 0.8  # ties


def test_tests_reject_a_true_null_as_rarely_as_they_say() -> None:
    generator = np.random.default_rng(6)
    samples = generator.standard_normal((2_000, 30))
    rejected = np.mean([[sign_test(each).p <= 0.05, signed_rank_p(each) <= 0.05] for each in samples], axis=0)
    assert 0.02 < rejected[0] <= 0.05  # 30 coins cannot be lopsided to exactly 5 %: 4.3 %
    assert 0.035 <= rejected[1] <= 0.065


def test_holm_and_benjamini_hochberg_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p).tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match="p values: expected 0 to 1, got 1.5"):
        holm([0.1, 1.5])


@given(some.lists(some.floats(0.0, 1.0), min_size=1, max_size=20))
def test_corrections_only_raise_and_keep_the_order(p: list[float]) -> None:
    raw = np.array(p)
    for adjusted in (holm(raw), benjamini_hochberg(raw)):
        assert (adjusted >= raw - 1e-15).all()
        assert (adjusted <= 1.0).all()
        assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= -1e-15).all()
    assert (holm(raw) >= benjamini_hochberg(raw) - 1e-15).all()
    assert (holm(raw) <= np.minimum(1.0, raw * len(raw)) + 1e-15).all()


def test_of_many_true_nulls_holm_rejects_any_in_five_of_a_hundred() -> None:
    generator = np.random.default_rng(7)
    wrong = np.mean([holm(generator.random(20)).min() <= 0.05 for _ in range(4_000)])
    assert wrong == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("size", [3, 10, 40])
def test_the_detectable_effect_is_detected_in_four_of_five_cases(size: int) -> None:
    effect = minimum_detectable_effect(2.0, size)
    samples = effect + 2.0 * np.random.default_rng(8).standard_normal((4_000, size))
    means, errors = samples.mean(axis=1), samples.std(axis=1, ddof=1) / math.sqrt(size)
    from scipy.stats import t as student

    found = np.mean(np.abs(means) / errors > student.ppf(0.975, size - 1))
    assert found == pytest.approx(0.8, abs=0.02)
    assert power_of(effect, 2.0, size) == pytest.approx(0.8, abs=1e-6)


def test_the_detectable_effect_in_print() -> None:
    """Cohen: 34 pairs see half a standard deviation with 80 % power, 199 a fifth of one (G*Power's table of the paired t test)."""
    assert pairs_needed(0.5, 1.0) == 34
    assert pairs_needed(0.2, 1.0) == 199
    assert minimum_detectable_effect(1.0, 34) <= 0.5 < minimum_detectable_effect(1.0, 33)
    assert minimum_detectable_effect(1.0, 1) == math.inf
    assert pairs_needed(1.0, 0.0) == 2
    with pytest.raises(ValueError, match="effect"):
        pairs_needed(0.0, 1.0)
    with pytest.raises(ValueError, match="power"):
        minimum_detectable_effect(1.0, 10, power=0.01)
