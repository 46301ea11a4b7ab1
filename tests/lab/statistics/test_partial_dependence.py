"""Partial dependence of functions whose curves are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from abm.lab.statistics.morris import morris_design
from abm.lab.statistics.partial_dependence import MOST_BINS, MOST_LEVELS, partial_dependence
from abm.lab.statistics.sobol import sobol_design


def test_straight_lines_are_found_without_error_from_a_few_walks() -> None:
    """The control variate takes out all that the others do: each curve is its own line through the mean of the others."""
    points = morris_design(3, 6, seed=3)
    walks = np.arange(len(points)) // 4
    outcomes = points @ [6.0, -2.0, 0.0] + 10.0
    for factor, slope in enumerate((6.0, -2.0, 0.0)):
        found = partial_dependence(points, outcomes, factor, groups=walks)
        assert [each.position for each in found] == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
        assert [each.mean.estimate for each in found] == pytest.approx([12.0 + slope * (each.position - 0.5) for each in found])
        assert all(each.mean.half_width < 1e-9 for each in found if each.groups > 1)


def test_curves_of_an_additive_function_are_its_parts() -> None:
    parts = (lambda x: 4.0 * x**2, lambda x: np.sin(2.0 * math.pi * x), lambda x: 3.0 * x)
    means = (4.0 / 3.0, 0.0, 1.5)
    points = sobol_design(3, 256, seed=5)
    outcomes = sum(part(points[:, factor]) for factor, part in enumerate(parts))
    groups = np.arange(len(points)) % 256
    for factor, part in enumerate(parts):
        found = partial_dependence(points, outcomes, factor, groups=groups)
        assert len(found) == MOST_BINS
        rest = sum(means) - means[factor]
        for each in found:
            width = 1.0 / MOST_BINS
            inside = np.linspace(each.position - width / 2, each.position + width / 2, 101)
            assert each.mean.estimate == pytest.approx(float(part(inside).mean()) + rest, abs=0.12)


def test_intervals_cover_the_curve_as_often_as_they_say() -> None:
    """Of a function with an interaction, at levels whose true means are known."""
    generator = np.random.default_rng(8)
    covered, asked = 0, 0
    for _ in range(400):
        points = np.column_stack([generator.integers(0, 3, 90) / 2.0, generator.random(90)])
        outcomes = 2.0 * points[:, 0] + 5.0 * points[:, 1] ** 2 + 3.0 * points[:, 0] * points[:, 1] + generator.standard_normal(90)
        for each in partial_dependence(points, outcomes, 0):
            truth = 2.0 * each.position + 5.0 / 3.0 + 1.5 * each.position
            covered += each.mean.contains(truth)
            asked += 1
    assert asked == 1_200
    assert 0.925 <= covered / asked <= 0.985


def test_intervals_from_a_few_walks_cover_too() -> None:
    levels = np.array([0.0, 1 / 3, 2 / 3, 1.0])
    rest = 5.0 * float((levels**2).mean()) + float(np.sin(3.0 * levels).mean())
    covered, asked = 0, 0
    for seed in range(300):
        points = morris_design(3, 8, seed=seed)
        outcomes = 2.0 * points[:, 0] + 5.0 * points[:, 1] ** 2 + 3.0 * points[:, 0] * points[:, 1] + np.sin(3.0 * points[:, 2])
        for each in partial_dependence(points, outcomes, 0, groups=np.arange(len(points)) // 4):
            covered += each.mean.contains(3.5 * each.position + rest)
            asked += 1
    assert 0.91 <= covered / asked <= 0.99


def test_few_points_claim_no_interval() -> None:
    found = partial_dependence([[0.0, 0.2], [1.0, 0.4], [1.0, 0.9]], [1.0, 2.0, 3.0], 0)
    assert [each.points for each in found] == [1, 2]
    assert all(math.isinf(each.mean.low) for each in found)
    assert partial_dependence(np.empty((0, 2)), [], 0) == ()


def test_means_stay_between_the_least_and_the_largest_outcome() -> None:
    generator = np.random.default_rng(2)
    points = generator.random((40, 3))
    outcomes = np.maximum(0.0, points[:, 0] - 0.6) * 10.0
    for factor in range(3):
        for each in partial_dependence(points, outcomes, factor):
            assert 0.0 <= each.mean.low <= each.mean.estimate <= each.mean.high <= outcomes.max()


def test_many_values_share_bins_and_few_have_their_own() -> None:
    generator = np.random.default_rng(2)
    few = generator.integers(0, MOST_LEVELS, 500) / (MOST_LEVELS - 1)
    many = generator.random(500)
    outcomes = generator.standard_normal(500)
    points = np.column_stack([few, many])
    assert len(partial_dependence(points, outcomes, 0)) == MOST_LEVELS
    assert len(partial_dependence(points, outcomes, 1)) == MOST_BINS


@pytest.mark.parametrize(("points", "factor"), [(np.zeros((3, 2)), 2), (np.zeros((2, 2)), 0), (np.zeros(3), 0)])
def test_shapes_that_do_not_fit_are_told(points: np.ndarray, factor: int) -> None:
    with pytest.raises(ValueError, match="positions: expected a row for each of 3 outcomes"):
        partial_dependence(points, [1.0, 2.0, 3.0], factor)
