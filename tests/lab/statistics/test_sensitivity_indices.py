"""Sensitivity of Ishigami's function, whose indices are known, and of functions simple enough to do by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import sobol_indices as scipy_indices

from abm.lab.statistics.given_data import bins_for, first_order
from abm.lab.statistics.morris import morris, morris_design, morris_effects
from abm.lab.statistics.sobol import scaled, sobol, sobol_design, sobol_indices

A, B = 7.0, 0.1
CUBE = [(-math.pi, math.pi)] * 3
VARIANCE = A**2 / 8 + B * math.pi**4 / 5 + B**2 * math.pi**8 / 18 + 0.5
ALONE = np.array([0.5 * (1 + B * math.pi**4 / 5) ** 2, A**2 / 8, 0.0]) / VARIANCE
TOGETHER = 8 * B**2 * math.pi**8 / 225 / VARIANCE  # of the first and the third
TOTAL = ALONE + np.array([TOGETHER, 0.0, TOGETHER])


def ishigami(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0]))


def test_sobol_indices_of_ishigami() -> None:
    found = sobol(ishigami, CUBE, 4096, draws=300)
    assert [each.first.estimate for each in found.factors] == pytest.approx(ALONE, abs=0.02)
    assert [each.total.estimate for each in found.factors] == pytest.approx(TOTAL, abs=0.02)
    for each, alone, total in zip(found.factors, ALONE, TOTAL, strict=True):
        assert each.first.contains(alone)
        assert each.total.contains(total)
    assert (found.samples, found.dropped) == (4096, 0)


def test_the_estimators_are_those_of_scipy() -> None:
    points = scaled(sobol_design(3, 256, seed=2), CUBE)
    outcomes = ishigami(points)
    ours = sobol_indices(outcomes, 3, draws=50)
    parts = outcomes.reshape(5, 1, -1)
    theirs = scipy_indices(func={"f_A": parts[0], "f_B": parts[1], "f_AB": parts[2:]}, n=256)
    assert [each.first.estimate for each in ours.factors] == pytest.approx(theirs.first_order, rel=1e-6, abs=1e-9)
    assert [each.total.estimate for each in ours.factors] == pytest.approx(theirs.total_order, rel=1e-6)


@pytest.mark.slow
def test_the_intervals_of_sobol_indices_cover_them() -> None:
    """200 scrambled sequences; more than 95 %, because the bootstrap does not know how evenly they fill the cube."""
    covered = np.zeros((3, 2))
    for seed in range(200):
        found = sobol(ishigami, CUBE, 256, draws=300, seed=seed)
        covered += [[each.first.contains(a), each.total.contains(t)] for each, a, t in zip(found.factors, ALONE, TOTAL, strict=True)]
    assert (covered / 200 >= 0.92).all(), covered / 200


def test_a_sum_has_no_interactions() -> None:
    found = sobol(lambda x: x[:, 0] + 2.0 * x[:, 1], [(0.0, 1.0)] * 2, 1024, draws=100)
    for each, truth in zip(found.factors, (0.2, 0.8), strict=True):
        assert each.first.estimate == pytest.approx(truth, abs=0.01)
        assert each.total.estimate == pytest.approx(truth, abs=0.01)


def test_samples_with_an_undefined_outcome_are_left_out_whole() -> None:
    outcomes = ishigami(scaled(sobol_design(3, 64), CUBE))
    outcomes[64 + 5] = math.nan  # sample 5, in B
    outcomes[3 * 64 + 9] = math.inf  # sample 9, with the second factor from B
    found = sobol_indices(outcomes, 3, draws=50)
    assert (found.samples, found.dropped) == (62, 2)
    kept = np.delete(outcomes.reshape(5, 64), [5, 9], axis=1).ravel()
    assert sobol_indices(kept, 3, draws=50).factors == found.factors


def test_sobol_refuses_what_has_no_answer() -> None:
    with pytest.raises(ValueError, match="power of two from 2 on, got 100"):
        sobol_design(3, 100)
    with pytest.raises(ValueError, match="all are equal"):
        sobol_indices(np.ones(20), 3)
    with pytest.raises(ValueError, match="multiple of 5"):
        sobol_indices(np.ones(21), 3)
    with pytest.raises(ValueError, match="at least 4 base samples without undefined outcomes, got 0 of 4"):
        sobol_indices(np.full(20, math.nan), 3)


def test_morris_of_a_straight_line_is_its_slope() -> None:
    found = morris(lambda x: 3.0 * x[:, 0] - 2.0 * x[:, 1] + 0.0 * x[:, 2], [(0.0, 10.0), (0.0, 1.0), (5.0, 6.0)], 10)
    assert [each.mean.estimate for each in found.factors] == pytest.approx([30.0, -2.0, 0.0])
    assert [each.size.estimate for each in found.factors] == pytest.approx([30.0, 2.0, 0.0])
    assert [each.deviation for each in found.factors] == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


def test_morris_of_ishigami() -> None:
    """By enumeration of all moves on four levels: exact means of |effect|, the numbers of the usual tables of this function."""
    found = morris(ishigami, CUBE, 400, draws=300)
    levels = np.linspace(-math.pi, math.pi, 4)
    for factor, each in enumerate(found.factors):
        places = np.array(np.meshgrid(*[levels] * 3)).reshape(3, -1).T
        low = places[places[:, factor] < 0.0]
        high = low.copy()
        high[:, factor] += 4.0 * math.pi / 3.0
        effects = (ishigami(high) - ishigami(low)) / (2.0 / 3.0)
        assert each.size.low - 1e-9 <= np.abs(effects).mean() <= each.size.high + 1e-9  # of one factor all are equal
        assert each.mean.contains(effects.mean())
        assert each.deviation == pytest.approx(effects.std(), rel=0.12)


def test_walks_move_each_factor_once() -> None:
    walks = morris_design(4, 30, seed=3).reshape(30, 5, 4)
    moves = np.diff(walks, axis=1)
    assert (np.count_nonzero(moves, axis=2) == 1).all()
    assert (np.count_nonzero(moves, axis=1) == 1).all()
    assert np.abs(moves).max(axis=(1, 2)) == pytest.approx(2.0 / 3.0)
    assert walks.min() == 0.0
    assert walks.max() == 1.0
    assert (np.unique(np.round(3.0 * walks)) == [0.0, 1.0, 2.0, 3.0]).all()


def test_walks_with_an_undefined_outcome_are_left_out() -> None:
    points = morris_design(2, 5)
    outcomes = points @ [1.0, 2.0]
    outcomes[4] = math.nan
    found = morris_effects(points, outcomes)
    assert (found.trajectories, found.dropped) == (4, 1)
    assert [each.mean.estimate for each in found.factors] == pytest.approx([1.0, 2.0])
    with pytest.raises(ValueError, match="at least 2 walks"):
        morris_effects(points, np.full(15, math.nan))
    with pytest.raises(ValueError, match="at least 2, got 1"):
        morris_design(2, 1)
    with pytest.raises(ValueError, match="even number"):
        morris_design(2, 3, levels=3)


def test_given_data_find_the_first_order_indices_of_ishigami() -> None:
    x = np.random.default_rng(1).uniform(-math.pi, math.pi, (4_000, 3))
    found = [first_order(x[:, factor], ishigami(x), draws=300) for factor in range(3)]
    assert [each.estimate for each in found] == pytest.approx(ALONE, abs=0.04)
    assert all(each.contains(truth) for each, truth in zip(found, ALONE, strict=True))


@pytest.mark.slow
def test_the_interval_from_given_data_covers_the_index() -> None:
    covered = np.zeros(3)
    for seed in range(500):
        x = np.random.default_rng(seed).uniform(-math.pi, math.pi, (500, 3))
        covered += [first_order(x[:, factor], ishigami(x), draws=300).contains(ALONE[factor]) for factor in range(3)]
    assert (covered / 500 >= 0.88).all(), covered / 500
    assert (covered[0] / 500) <= 0.975


def test_given_data_of_names_and_of_few_levels() -> None:
    generator = np.random.default_rng(2)
    rule = generator.choice(["queue", "random", "pro rata"], 600)
    noise = generator.standard_normal(600)
    effect = np.select([rule == "queue", rule == "random"], [1.0, -1.0], 0.0)
    truth = np.var([1.0, -1.0, 0.0]) / (np.var([1.0, -1.0, 0.0]) + 1.0)
    found = first_order(rule, effect + noise)
    assert found.contains(truth)
    assert found.estimate == pytest.approx(truth, abs=0.08)
    lag = generator.choice([0, 2, 10], 600)
    assert first_order(lag, lag.astype(float)).estimate == pytest.approx(1.0)
    assert first_order(lag, noise).contains(0.0)


def test_given_data_at_the_edges() -> None:
    assert bins_for(20) == 4
    assert bins_for(400) == 26
    assert math.isnan(first_order([1.0, 2.0, 3.0, 4.0], [5.0] * 4).estimate)
    assert first_order([1.0, 2.0], [1.0, 2.0]).high == math.inf
    with pytest.raises(ValueError, match="factor: expected 2 values"):
        first_order([1.0], [1.0, 2.0])
