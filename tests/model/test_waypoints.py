"""Paths through published prices: they meet every point, whatever the seed and however the run is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from abm.parameters import ParameterError
from abm.worlds.waypoints import Waypoints
from abm.worlds.world import Setting

POINTS = ((0.0, 100.0, 5.0), (300.0, 80.0, 6.0), (600.0, 40.0, 2.0))


def path(world: Waypoints, seed: int = 1, blocks: int = 1000, cuts: tuple[int, ...] = ()) -> np.ndarray:
    memory = world.init(Setting(("A", "B"), 1.0, blocks, seed))
    edges = [0, *cuts, blocks]
    return np.vstack([world.stretch(memory, a, b - a).prices for a, b in pairwise(edges)])


@pytest.mark.parametrize("seed", [1, 2])
def test_every_point_is_met_in_its_block(seed: int) -> None:
    prices = path(Waypoints(points=POINTS, volatility=2.0), seed)
    for seconds, *expected in POINTS:
        np.testing.assert_allclose(prices[int(seconds)], expected, rtol=1e-12)
    np.testing.assert_allclose(prices[-1], POINTS[-1][1:], rtol=1e-12)


def test_between_the_points_there_is_noise_of_the_given_volatility() -> None:
    world = Waypoints(points=((0.0, 100.0, 5.0),), volatility=(1.0, 0.5))
    moves = np.diff(np.log(path(world, blocks=20_000)), axis=0)
    expected = np.array([1.0, 0.5]) * np.sqrt(1.0 / (365.0 * 86_400.0))
    np.testing.assert_allclose(moves.std(axis=0), expected, rtol=0.02)
    assert abs(np.corrcoef(moves.T)[0, 1]) < 0.03


def test_a_straight_path_is_exponential() -> None:
    prices = path(Waypoints(points=POINTS, straight=True))
    np.testing.assert_allclose(prices[150], np.sqrt(np.array([100.0 * 80.0, 5.0 * 6.0])), rtol=1e-12)
    assert (prices[600:] == prices[600]).all()


def test_cutting_a_run_changes_nothing_and_seeds_differ() -> None:
    world = Waypoints(points=POINTS)
    np.testing.assert_array_equal(path(world), path(world, cuts=(7, 333, 900)))
    assert (path(world) != path(world, seed=2)).any()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((), "at least one row"),
        (((1.0, 100.0),), "times must rise from 0"),
        (((0.0, 100.0), (0.0, 90.0)), "times must rise from 0"),
        (((0.0, 100.0), (5.0, 0.0)), "finite and positive"),
    ],
)
def test_points_that_make_no_path_are_refused(points: tuple[tuple[float, ...], ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Waypoints(points=points)


def test_a_row_needs_a_price_for_every_market() -> None:
    with pytest.raises(ParameterError, match="a price for each of A, B"):
        Waypoints(points=((0.0, 100.0),)).init(Setting(("A", "B"), 1.0, 10, 1))
