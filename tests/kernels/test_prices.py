"""The compiled paths: crash curve, jumps, volatility factors, and bars filled with blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from abm.kernels.bars import past_variance, replay
from abm.kernels.compiled import kernel
from abm.kernels.prices import SCRIPTED_CRASH, crash_factors, jump, volatility_in_crash
from abm.streams import stream_key

KEY = stream_key(7, "test")


@kernel
def _jumps(key, expected, degrees, out):
    for block in range(out.shape[0]):
        out[block] = jump(key, block, 0, expected, degrees)


@kernel
def _volatility(crashes, seconds):
    return volatility_in_crash(crashes[0], seconds)


def _crash(**fields: float) -> np.recarray:
    crashes = np.zeros(1, SCRIPTED_CRASH).view(np.recarray)
    defaults = {
        "start": 100.0,
        "duration": 60.0,
        "steepness": 4.0,
        "rebound": 0.5,
        "rebound_half_life": 30.0,
        "volatility_multiplier": 5.0,
    }
    for name, value in (defaults | fields).items():
        crashes[name] = value
    return crashes


def _factor(crashes: np.recarray, depth: float, seconds: float) -> float:
    out = np.empty(1)
    crash_factors(crashes, np.array([[depth]]), seconds, out)
    return float(out[0])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, 1.0),
        (100.0, 1.0),
        (130.0, math.sqrt(0.8)),  # half the fall, in logs, at half the time
        (115.0, 0.8 ** (0.5 - 0.5 * math.tanh(1.0) / math.tanh(2.0))),
        (160.0, 0.8),
        (190.0, 0.85),  # one half-life: a quarter of the 20 per cent is back
        (220.0, 0.875),
        (1e9, 0.9),
    ],
)
def test_a_crash_follows_its_formula(seconds: float, expected: float) -> None:
    assert _factor(_crash(), 0.2, seconds) == pytest.approx(expected, rel=1e-12)


def test_depth_is_exact_at_the_end_of_the_fall_and_no_steepness_is_a_straight_line() -> None:
    assert _factor(_crash(), 0.2, 160.0) == 0.8
    assert _factor(_crash(steepness=0.0), 0.36, 100.0 + 15.0) == pytest.approx(0.64**0.25, rel=1e-12)


@given(steepness=st.floats(0.0, 200.0), depth=st.floats(0.0, 0.999), elapsed=st.floats(0.0, 1.0))
@example(steepness=1e-7, depth=0.5, elapsed=0.3)
@settings(max_examples=100, deadline=None)
def test_a_fall_is_monotone_and_symmetric_in_logs(steepness: float, depth: float, elapsed: float) -> None:
    crash = _crash(steepness=steepness, start=0.0, duration=1.0)
    early, late = _factor(crash, depth, elapsed), _factor(crash, depth, 1.0 - elapsed)
    assert 1.0 - depth - 1e-12 <= early <= 1.0
    assert early * late == pytest.approx(1.0 - depth, rel=1e-9)
    assert _factor(crash, depth, elapsed * 0.9) >= early - 1e-12


def test_volatility_rises_until_half_the_fall_is_done_and_decays_with_the_rebound() -> None:
    crash = _crash()
    multiplier = [_volatility(crash, seconds) for seconds in (0.0, 100.0, 115.0, 130.0, 160.0, 190.0, 1e6)]
    quarter = 1.0 - math.tanh(1.0) / math.tanh(2.0)
    assert multiplier == pytest.approx([1.0, 1.0, 1.0 + 4.0 * quarter, 5.0, 5.0, 3.0, 1.0], rel=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("expected", [0.05, 3.0, 90.0])
def test_jumps_have_the_variance_of_a_compound_poisson_law(expected: float) -> None:
    draws = np.empty(40_000)
    _jumps(KEY, expected, 12.0, draws)
    variance = expected * 12.0 / 10.0
    assert draws.var() == pytest.approx(variance, rel=0.08)
    assert abs(draws.mean()) < 4.5 * math.sqrt(variance / len(draws))
    none = math.exp(-expected)
    assert (draws == 0.0).mean() == pytest.approx(none, abs=4.5 * math.sqrt(none / len(draws)) + 1e-12)


def test_no_jumps_are_expected_no_jumps_come() -> None:
    draws = np.empty(1000)
    _jumps(KEY, 0.0, 3.0, draws)
    assert not draws.any()


def test_past_variance_knows_earlier_bars_only() -> None:
    opens = np.array([[100.0], [110.0], [121.0], [90.0]])
    closes = np.array([[110.0], [121.0], [121.0], [5.0]])
    out = np.empty((4, 1))
    past_variance(opens, closes, np.array([0.04]), 0.25, out)
    move = math.log(1.1) ** 2
    first = 0.75 * 0.04 + 0.25 * move
    second = 0.75 * first + 0.25 * move
    assert out[:, 0] == pytest.approx([0.04, first, second, 0.75 * second], rel=1e-12)


def _filled(blocks_per_bar: int, bar: tuple[float, float, float, float], key: np.uint64 = KEY) -> np.ndarray:
    columns = [np.full((3, 1), price) for price in bar]
    prices, volatility = np.empty((3 * blocks_per_bar, 1)), np.empty((3 * blocks_per_bar, 1))
    replay(key, 60.0 / blocks_per_bar, 60.0, 0.0, *columns, np.full((3, 1), 1e-6), 0, prices, volatility)
    return prices[:, 0].reshape(3, blocks_per_bar)


def _bars() -> st.SearchStrategy[tuple[float, float, float, float]]:
    """Sound bars (open, high, low, close), flat and one-sided ones among them."""
    share = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
    width = st.one_of(st.just(0.0), st.floats(1e-9, 0.9))

    def bar(low: float, width: float, first: float, last: float) -> tuple[float, float, float, float]:
        high = low * (1.0 + width)
        inside = [min(max(low + part * (high - low), low), high) for part in (first, last)]
        return inside[0], high, low, inside[1]

    return st.builds(bar, st.floats(1e-3, 1e5), width, share, share)


@pytest.mark.compiled
@given(bar=_bars(), blocks=st.integers(1, 130))
@settings(max_examples=200, deadline=None)
def test_a_filled_bar_keeps_its_open_high_low_and_close(bar: tuple[float, float, float, float], blocks: int) -> None:
    open_, high, low, close = bar
    for path in _filled(blocks, bar):
        assert path[-1] == close
        assert path.min() >= low
        assert path.max() <= high
        if blocks > 1:
            assert path[0] == open_
        if blocks > 3:
            assert path.min() == low
            assert path.max() == high


def test_a_rising_bar_touches_low_first_and_a_falling_bar_high_first() -> None:
    for path in _filled(60, (100.0, 104.0, 99.0, 103.0)):
        assert path.argmin() < path.argmax()
    for path in _filled(60, (103.0, 104.0, 99.0, 100.0)):
        assert path.argmax() < path.argmin()
    assert _filled(4, (100.0, 104.0, 99.0, 103.0))[0].tolist() == [100.0, 99.0, 104.0, 103.0]


def test_few_blocks_show_the_farther_extreme_then_open_and_close_then_close() -> None:
    assert _filled(3, (100.0, 110.0, 99.0, 103.0))[0].tolist() == [100.0, 110.0, 103.0]
    assert _filled(3, (100.0, 104.0, 90.0, 103.0))[0].tolist() == [100.0, 90.0, 103.0]
    assert _filled(2, (100.0, 104.0, 99.0, 103.0))[0].tolist() == [100.0, 103.0]
    assert _filled(1, (100.0, 104.0, 99.0, 103.0))[0].tolist() == [103.0]


def test_noise_inside_bars_differs_between_bars_and_seeds() -> None:
    bar = (100.0, 104.0, 99.0, 103.0)
    first, second, _ = _filled(60, bar)
    assert (first != second).sum() > 40
    assert (first != _filled(60, bar, stream_key(8, "test"))[0]).sum() > 40
