"""Outside prices: laws, stylised facts, common random numbers, cuts that change nothing, and real bars."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.parameters import ParameterError
from abm.worlds.crash import Crash
from abm.worlds.diffusion import SECONDS_PER_YEAR, Diffusion
from abm.worlds.replay import Replay
from abm.worlds.world import Setting, Stretch, World

SYMBOLS = ("BTC", "ETH", "SOL")
DAY = 86_400

PURE = {
    "initial_price": 100.0,
    "volatility": 0.8,
    "correlation": 0.0,
    "correlation_in_stress": 0.0,
    "volatility_deviation": (0.0, 0.0),
    "jump_rate": 0.0,
    "jump_scale": 0.0,
}


def path(world: World, setting: Setting, cuts: tuple[int, ...] = ()) -> Stretch:
    """All blocks of a run, generated in stretches that end at `cuts`."""
    memory = world.init(setting)
    borders = [0, *sorted(cuts), setting.blocks]
    parts = [world.stretch(memory, first, after - first) for first, after in itertools.pairwise(borders)]
    return Stretch(np.concatenate([part.prices for part in parts]), np.concatenate([part.volatility for part in parts]))


def setting(blocks: int, seconds_per_block: float = 1.0, seed: int = 1, symbols: tuple[str, ...] = SYMBOLS) -> Setting:
    return Setting(symbols, seconds_per_block, blocks, seed)


def bars(minutes: int, seed: int = 3, markets: int = 2) -> dict[str, np.ndarray]:
    """Sound random bars (minutes, markets), every seventh of them flat."""
    random = np.random.default_rng(seed)
    walk = 1000.0 * np.exp(np.cumsum(random.standard_t(3, (minutes + 1, markets)) * 1e-3, axis=0))
    opens, closes = walk[:-1].copy(), walk[1:].copy()
    high = np.maximum(opens, closes) * (1.0 + random.exponential(5e-4, opens.shape))
    low = np.minimum(opens, closes) * (1.0 - random.exponential(5e-4, opens.shape))
    for array in (opens, high, low):
        array[::7] = closes[::7]
    return {"open": opens, "high": high, "low": low, "close": closes}


# Laws of the pure form


@pytest.mark.compiled
@pytest.mark.parametrize(("form", "volatility", "drift"), [("geometric", 0.8, 400.0), ("arithmetic", 0.05, 20.0)])
def test_moves_of_the_pure_form_are_normal_with_the_stated_moments(form: str, volatility: float, drift: float) -> None:
    seconds, blocks = 3.0, 200_000
    drifts = np.array([drift, 0.0, -drift])
    world = Diffusion(**dict(PURE, volatility=volatility), form=form, drift=tuple(drifts))
    prices = path(world, setting(blocks, seconds)).prices
    h = seconds / SECONDS_PER_YEAR
    sigma = volatility * math.sqrt(h)
    moves = np.diff(np.log(prices), axis=0) if form == "geometric" else np.diff(prices, axis=0) / 100.0
    shift = -0.5 * sigma**2 if form == "geometric" else 0.0
    standard = (moves - drifts * h - shift) / sigma
    tolerance = 4.5 / math.sqrt(blocks)
    assert np.abs(standard.mean(0)).max() < tolerance
    assert np.abs(standard.var(0) - 1.0).max() < tolerance * math.sqrt(2.0)
    assert np.abs((standard**4).mean(0) - 3.0).max() < tolerance * math.sqrt(96.0)
    assert np.abs((standard[1:] * standard[:-1]).mean(0)).max() < tolerance
    assert np.abs((np.abs(standard) < 1.0).mean(0) - 0.6826895).max() < tolerance
    assert np.abs(np.corrcoef(standard.T) - np.eye(3)).max() < tolerance


@pytest.mark.compiled
def test_the_geometric_form_is_a_martingale_with_clustered_volatility_and_a_terminal_normal_law_without() -> None:
    symbols = tuple(f"M{number}" for number in range(2000))
    run = setting(121, 60.0, seed=5, symbols=symbols)
    flat = dict(PURE, volatility=10.0)
    ends = np.log(path(Diffusion(**flat), run).prices[-1] / 100.0)
    deviation = 10.0 * math.sqrt(120 * 60.0 / SECONDS_PER_YEAR)
    assert ends.mean() == pytest.approx(-(deviation**2) / 2, abs=4.5 * deviation / math.sqrt(2000))
    assert ends.std() == pytest.approx(deviation, rel=0.08)
    clustered = Diffusion(**dict(flat, volatility_deviation=(0.5, 0.5), volatility_common_share=0.0))
    ratio = path(clustered, run).prices[-1] / 100.0
    assert ratio.mean() == pytest.approx(1.0, abs=4.5 * ratio.std() / math.sqrt(2000))
    assert ratio.std() == pytest.approx(deviation, rel=0.2)


def test_every_block_starts_at_the_initial_price_and_scales_with_it() -> None:
    run = setting(500)
    small = path(Diffusion(initial_price=(1.0, 2.0, 3.0)), run)
    large = path(Diffusion(initial_price=(1000.0, 2000.0, 3000.0)), run)
    assert small.prices[0].tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(large.prices, small.prices * 1000.0, rtol=1e-12)
    np.testing.assert_array_equal(large.volatility, small.volatility)


def test_the_mirror_image_is_twice_the_initial_price_minus_the_path() -> None:
    fall = Crash(start=100.0, duration=200.0, depth=(0.3, 0.2, 0.1))
    world = Diffusion(form="arithmetic", drift=-20.0, crashes=(fall,))
    run = setting(2000)
    straight, mirrored = path(world, run), path(dataclasses.replace(world, mirrored=True), run)
    initial = straight.prices[0]
    np.testing.assert_allclose(mirrored.prices, 2.0 * initial - straight.prices, rtol=1e-9)
    np.testing.assert_allclose(mirrored.volatility * mirrored.prices, straight.volatility * straight.prices, rtol=1e-9)


@pytest.mark.compiled
def test_the_reported_volatility_is_the_one_that_moves_the_price() -> None:
    fall = Crash(start=20_000.0, duration=5_000.0, depth=0.3, volatility_multiplier=6.0)
    for form, blocks in (("geometric", 60_000), ("arithmetic", 60_000)):
        world = Diffusion(form=form, jump_rate=0.0, crashes=(fall,))
        run = setting(blocks, seed=9)
        prices, volatility = path(world, run)
        factor = np.array([world.crash_factor(run, block) for block in range(blocks)])
        moves = np.diff(prices, axis=0) / prices[:-1] - np.diff(factor, axis=0) / factor[:-1]
        standard = moves / volatility[1:]
        assert np.abs(standard.var(0) - 1.0).max() < 0.03
        assert np.abs((standard**4).mean(0) - 3.0).max() < 0.25


# Facts of real markets, on the defaults


def _lagged(values: np.ndarray, lag: int) -> np.ndarray:
    centred = values - values.mean(0)
    return (centred[lag:] * centred[:-lag]).mean(0) / (centred**2).mean(0)


def _facts(seed: int) -> dict[str, np.ndarray]:
    """Statistics of one-minute returns over 30 days of five-second blocks."""
    prices = path(Diffusion(), setting(30 * DAY // 5, 5.0, seed)).prices[::12]
    returns = np.diff(np.log(prices), axis=0)
    centred = returns - returns.mean(0)
    hours = returns[: len(returns) // 60 * 60].reshape(-1, 60, 3)
    order = np.argsort((hours[:, :, 0] ** 2).sum(1))
    quarter = len(order) // 4
    sorted_sizes = np.sort(np.abs(returns[:, 0]))[::-1]
    tail = len(sorted_sizes) // 50
    return {
        "volatility": returns.std(0) * math.sqrt(SECONDS_PER_YEAR / 60.0),
        "kurtosis": (centred**4).mean(0) / (centred**2).mean(0) ** 2 - 3.0,
        "memory": np.array([_lagged(np.abs(returns), lag) for lag in (1, 10, 60)]),
        "lag_1": _lagged(returns, 1),
        "correlation": np.corrcoef(returns.T),
        "calm": np.corrcoef(hours[order[:quarter]].reshape(-1, 3).T),
        "busy": np.corrcoef(hours[order[-quarter:]].reshape(-1, 3).T),
        "tail": 1.0 / np.log(sorted_sizes[:tail] / sorted_sizes[tail]).mean(),
    }


@pytest.mark.compiled
def test_the_default_markets_have_the_facts_of_real_ones() -> None:
    months = [_facts(seed) for seed in range(100, 106)]
    mean = {name: np.mean([month[name] for month in months], axis=0) for name in months[0]}
    np.testing.assert_allclose(mean["volatility"], [0.50, 0.65, 0.90], rtol=0.12)
    assert ((mean["kurtosis"] > 7.0) & (mean["kurtosis"] < 50.0)).all()
    for measured, (least, most) in zip(mean["memory"], [(0.25, 0.42), (0.15, 0.28), (0.10, 0.20)], strict=True):
        assert ((measured >= least) & (measured <= most)).all()
    assert np.abs(mean["lag_1"]).max() < 0.05
    assert mean["correlation"][0, 1] == pytest.approx(0.845, abs=0.02)
    assert mean["calm"][0, 1] == pytest.approx(0.69, abs=0.04)
    assert mean["busy"][0, 1] == pytest.approx(0.88, abs=0.02)
    assert mean["correlation"][0, 2] == pytest.approx(0.64, abs=0.06)
    assert 2.6 < mean["tail"] < 3.6


@pytest.mark.compiled
def test_kurtosis_of_every_single_month_is_far_from_normal_and_falls_with_aggregation() -> None:
    prices = path(Diffusion(), setting(30 * DAY // 5, 5.0, 100)).prices

    def kurtosis(step: int) -> np.ndarray:
        returns = np.diff(np.log(prices[::step]), axis=0)
        return (returns**4).mean(0) / (returns**2).mean(0) ** 2 - 3.0

    assert (kurtosis(12) > 4.0).all()
    assert (kurtosis(12) > kurtosis(12 * 60)).all()


@pytest.mark.compiled
def test_correlation_rises_with_the_common_volatility() -> None:
    world = Diffusion(jump_rate=0.0)
    prices, volatility = path(world, setting(400_000, 2.0, 11))
    moves = np.diff(np.log(prices), axis=0)
    order = np.argsort(volatility[1:, 0])
    quiet, loud = order[:100_000], order[-100_000:]
    calm, stress = (np.corrcoef((moves / volatility[1:])[rows].T)[0, 1] for rows in (quiet, loud))
    assert 0.6 < calm < 0.75
    assert 0.9 < stress < 0.965


@pytest.mark.compiled
def test_a_single_correlation_is_that_of_all_pairs() -> None:
    world = Diffusion(**dict(PURE, correlation=0.6, correlation_in_stress=0.9))
    moves = np.diff(np.log(path(world, setting(200_000)).prices), axis=0)
    assert np.abs(np.corrcoef(moves.T)[np.triu_indices(3, 1)] - 0.6).max() < 0.01


@pytest.mark.compiled
def test_common_jumps_hit_all_markets_at_once_and_others_one() -> None:
    still = dict(PURE, volatility=0.0, jump_rate=2000.0, jump_scale=(0.001, 0.002, 0.003), jump_limit=2.0)
    together = np.diff(np.log(path(Diffusion(**still, jump_common_share=1.0), setting(40_000)).prices), axis=0)
    np.testing.assert_allclose(together[:, 1], 2.0 * together[:, 0], atol=1e-12)
    np.testing.assert_allclose(together[:, 2], 3.0 * together[:, 0], atol=1e-12)
    hits = (np.abs(together[:, 0]) > 0).sum()
    assert hits == pytest.approx(2000.0 * 40_000 / DAY, abs=4.5 * math.sqrt(930.0))
    alone = np.abs(np.diff(np.log(path(Diffusion(**still, jump_common_share=0.0), setting(40_000)).prices), axis=0)) > 0
    assert alone.sum(0) == pytest.approx([926.0] * 3, abs=4.5 * math.sqrt(930.0))
    assert np.abs(np.corrcoef(alone.T.astype(float)) - np.eye(3)).max() < 0.03


@pytest.mark.compiled
def test_no_jump_exceeds_its_limit() -> None:
    still = dict(PURE, volatility=0.0, jump_rate=5000.0, jump_scale=0.01, jump_degrees=2.1, jump_limit=0.05)
    moves = np.diff(np.log(path(Diffusion(**still), setting(40_000)).prices), axis=0)
    assert np.abs(moves).max() == pytest.approx(0.05, rel=1e-9)


# Addressed draws


@pytest.mark.compiled
@given(cuts=st.lists(st.integers(1, 2_999), max_size=6).map(tuple))
@settings(max_examples=25, deadline=None)
def test_where_a_run_is_cut_does_not_change_a_bit(cuts: tuple[int, ...]) -> None:
    fall = Crash(start=900.0, duration=600.0)
    run = setting(3_000)
    for world in (Diffusion(crashes=(fall,)), Diffusion(form="arithmetic")):
        whole, cut = path(world, run), path(world, run, cuts)
        assert whole.prices.tobytes() == cut.prices.tobytes()
        assert whole.volatility.tobytes() == cut.volatility.tobytes()
    replay = Replay(symbols=("A", "B"), **bars(60), start_offset=17.0)
    for seconds in (0.4, 1.0, 7.0, 100.0):
        blocks = int(3_500 / seconds)
        some = setting(blocks, seconds, symbols=("A", "B"))
        inside = tuple(cut for cut in cuts if cut < blocks)
        whole, cut = path(replay, some), path(replay, some, inside)
        assert whole.prices.tobytes() == cut.prices.tobytes()
        assert whole.volatility.tobytes() == cut.volatility.tobytes()


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    world = Diffusion()
    first, again, other = (path(world, setting(1000, seed=seed)).prices for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert (first[1:] != other[1:]).all()


@pytest.mark.compiled
def test_what_concerns_one_market_leaves_the_others_as_they_were() -> None:
    run = setting(5000)
    frequent = {"jump_rate": 300.0}
    base = path(Diffusion(**frequent), run)
    for change in (
        {"volatility": (2.0, 0.65, 0.90)},
        {"jump_scale": (0.01, 0.0016, 0.0022)},
        {"correlation": (0.1, 0.63, 0.27)},
        {"drift": (50.0, 0.0, 0.0)},
        {"crashes": (Crash(start=10.0, depth=(0.5, 0.0, 0.0), volatility_multiplier=1.0),)},
    ):
        changed = path(Diffusion(**frequent, **change), run)
        assert changed.prices[:, 1:].tobytes() == base.prices[:, 1:].tobytes()
        assert (changed.prices[1000:, 0] != base.prices[1000:, 0]).mean() > 0.99
    tail = {
        "initial_price": 1.0,
        "volatility": 1.0,
        "correlation": 0.5,
        "correlation_in_stress": 0.8,
        "jump_scale": 0.0,
    }
    defaults = {field.name: field.default for field in dataclasses.fields(Diffusion)}
    wider = Diffusion(**frequent, **{name: (*defaults[name], value) for name, value in tail.items()})
    added = path(wider, setting(5000, symbols=(*SYMBOLS, "DOGE")))
    assert added.prices[:, :3].tobytes() == base.prices.tobytes()


def test_jumps_and_clustering_leave_the_draws_of_the_diffusion_as_they_were() -> None:
    run = setting(4000)
    calm = Diffusion(jump_rate=0.0, correlation_in_stress=(0.63, 0.63, 0.27))
    with_jumps = dataclasses.replace(calm, jump_rate=300.0)
    steps, jumping = (np.diff(np.log(path(world, run).prices), axis=0) for world in (calm, with_jumps))
    assert 10 < (np.abs(steps - jumping) > 1e-12).sum() < 100
    constant = dataclasses.replace(calm, volatility_deviation=(0.0, 0.0))
    draws, same = (
        np.diff(np.log(prices), axis=0) / volatility[1:] + volatility[1:] / 2
        for prices, volatility in (path(calm, run), path(constant, run))
    )
    np.testing.assert_allclose(draws, same, atol=1e-8)


# Crashes


def test_a_crash_multiplies_the_path_by_exactly_its_depth() -> None:
    fall = Crash(start=600.0, duration=300.0, depth=(0.2, 0.4, 0.0), rebound=0.5, rebound_half_life=100.0, steepness=5.0)
    quiet = dataclasses.replace(fall, volatility_multiplier=1.0)
    run = setting(2000)
    world = Diffusion(crashes=(quiet,))
    ratio = path(world, run).prices / path(Diffusion(), run).prices
    np.testing.assert_allclose(ratio[:601], 1.0, rtol=1e-12)
    np.testing.assert_allclose(ratio[900], [0.8, 0.6, 1.0], rtol=1e-12)
    np.testing.assert_allclose(ratio[750], np.sqrt([0.8, 0.6, 1.0]), rtol=1e-12)
    np.testing.assert_allclose(ratio[1000], [0.85, 0.7, 1.0], rtol=1e-12)  # half of what will be regained
    np.testing.assert_allclose(ratio.min(0), [0.8, 0.6, 1.0], rtol=1e-12)
    for block in (0, 700, 900, 1500):
        np.testing.assert_allclose(world.crash_factor(run, block), ratio[block], rtol=1e-12)
    assert world.crash_factor(run, 900).tolist() == [0.8, 0.6, 1.0]


def test_two_crashes_multiply_and_block_time_does_not_matter() -> None:
    first = Crash(start=0.0, duration=100.0, depth=0.2, rebound=0.0)
    world = Diffusion(crashes=(first, dataclasses.replace(first, start=500.0, depth=0.5)))
    assert world.crash_factor(setting(1), 0).tolist() == [1.0] * 3
    assert world.crash_factor(setting(1), 600) == pytest.approx([0.4] * 3, rel=1e-12)
    assert world.crash_factor(setting(1, 0.5), 1200) == pytest.approx([0.4] * 3, rel=1e-12)
    assert Diffusion().crash_factor(setting(1), 600).tolist() == [1.0] * 3


@pytest.mark.compiled
def test_volatility_and_correlation_rise_in_a_crash() -> None:
    fall = Crash(start=50_000.0, duration=20_000.0, depth=0.2, volatility_multiplier=4.0, rebound_half_life=1.0)
    flat = {"volatility_deviation": (0.0, 0.0), "jump_rate": 0.0, "correlation": 0.3, "correlation_in_stress": 0.9}
    world = Diffusion(**flat, crashes=(fall,))
    run = setting(80_000)
    prices, volatility = path(world, run)
    before, during = volatility[49_999], volatility[65_000]
    np.testing.assert_allclose(during, 4.0 * before, rtol=1e-12)
    np.testing.assert_allclose(volatility[-1], before, rtol=1e-3)
    moves = np.diff(np.log(prices), axis=0)
    assert np.corrcoef(moves[:49_000].T)[0, 2] == pytest.approx(0.3, abs=0.02)
    assert np.corrcoef(moves[60_000:70_000].T)[0, 2] == pytest.approx(0.9 - 0.6 / 16, abs=0.02)


# What is refused


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"form": "geometrical"}, "did you mean 'geometric'"),
        ({"mirrored": True}, "only an arithmetic path"),
        ({"volatility": (-0.1, 0.5, 0.5)}, "Diffusion.volatility: -0.1 is not in"),
        ({"initial_price": 0.0}, "Diffusion.initial_price: 0 is not in"),
        ({"initial_price": math.nan}, "Diffusion.initial_price: nan is not in"),
        ({"jump_degrees": 2.0}, "Diffusion.jump_degrees: 2 is not in"),
        ({"correlation": 0.9, "correlation_in_stress": 0.5}, "0.5 is below correlation 0.9"),
        ({"correlation": (0.1, 0.2, 0.9), "correlation_in_stress": 0.5}, "0.5 is below correlation"),
        ({"volatility_half_life": 60.0}, "2 values for 1 in volatility_half_life"),
    ],
)
def test_contradictory_parameters_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace("(", r"\(")):
        Diffusion(**fields)


def test_impossible_crashes_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"Crash.depth: 1 is not in \[0, 0.999\] fraction"):
        Crash(start=0.0, depth=(0.1, 1.0))
    with pytest.raises(ParameterError, match=r"Crash\.duration: 0 is not in"):
        Crash(start=0.0, duration=0.0)
    with pytest.raises(ParameterError, match=r"Crash\.depth: 2 values for 3 markets"):
        Diffusion(crashes=(Crash(start=0.0, depth=(0.1, 0.2)),)).init(setting(10))


def test_runs_that_cannot_be_served_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"Diffusion\.initial_price: 3 values for 2 markets"):
        Diffusion().init(setting(10, symbols=("A", "B")))
    with pytest.raises(ParameterError, match=r"Diffusion\.jump_rate: 1000 per day is 1000 per block, expected 100"):
        Diffusion(jump_rate=1000.0).init(setting(10, DAY))
    Diffusion(form="arithmetic").init(setting(DAY))
    with pytest.raises(ParameterError, match="an arithmetic price of BTC can reach zero"):
        Diffusion(form="arithmetic").init(setting(60 * DAY))
    falling = Diffusion(**PURE, form="arithmetic", drift=-400.0)
    with pytest.raises(ParameterError, match="can reach zero"):
        falling.init(setting(DAY))
    dataclasses.replace(falling, mirrored=True).init(setting(DAY))
    with pytest.raises(ParameterError, match="can reach zero"):
        dataclasses.replace(falling, mirrored=True, drift=400.0).init(setting(DAY))


@pytest.mark.compiled
def test_a_price_that_reaches_zero_all_the_same_ends_the_run() -> None:
    wild = Crash(start=0.0, duration=10.0, depth=0.0, volatility_multiplier=100.0, rebound_half_life=1e9)
    world = Diffusion(**dict(PURE, volatility=2.0), form="arithmetic", crashes=(wild,))
    run = setting(DAY)
    with pytest.raises(ParameterError, match=r"the arithmetic price of (BTC|ETH|SOL) is not finite and positive in block"):
        path(world, run, tuple(range(1000, DAY, 1000)))


# Replay


@pytest.mark.compiled
@pytest.mark.parametrize(("seconds", "per_bar"), [(0.1, 600), (1.0, 60), (1.2, 50), (15.0, 4), (6.0, 10)])
def test_a_replay_touches_open_high_low_and_close_of_every_bar(seconds: float, per_bar: int) -> None:
    data = bars(200)
    run = setting(200 * per_bar, seconds, symbols=("B", "A"))
    prices = path(Replay(symbols=("A", "B"), **data), run).prices.reshape(200, per_bar, 2)[:, :, ::-1]
    np.testing.assert_array_equal(prices[:, 0], data["open"])
    np.testing.assert_array_equal(prices[:, -1], data["close"])
    np.testing.assert_array_equal(prices.max(1), data["high"])
    np.testing.assert_array_equal(prices.min(1), data["low"])


@pytest.mark.parametrize("seconds", [7.0, 13.0, 25.0, 59.0])
def test_blocks_that_do_not_divide_a_bar_stay_in_the_range_of_their_bar(seconds: float) -> None:
    data = bars(200)
    blocks = int(200 * 60 / seconds)
    prices = path(Replay(symbols=("A", "B"), **data), setting(blocks, seconds, symbols=("A", "B"))).prices
    bar = (np.arange(blocks) * seconds // 60).astype(int)
    assert (prices >= data["low"][bar]).all()
    assert (prices <= data["high"][bar]).all()
    last = np.flatnonzero(np.diff(bar))
    np.testing.assert_array_equal(prices[last], data["close"][bar[last]])


@pytest.mark.parametrize(("seconds", "every"), [(60.0, 1), (300.0, 5), (3600.0, 60)])
def test_blocks_as_long_as_bars_or_longer_take_closes(seconds: float, every: int) -> None:
    data = bars(240)
    prices = path(Replay(symbols=("A", "B"), **data), setting(240 // every, seconds, symbols=("A", "B"))).prices
    np.testing.assert_array_equal(prices, data["close"][every - 1 :: every])


def test_a_start_offset_is_the_same_path_begun_later() -> None:
    world = Replay(symbols=("A", "B"), **bars(100))
    whole = path(world, setting(6000, symbols=("A", "B")))
    later = path(dataclasses.replace(world, start_offset=1234.0), setting(3000, symbols=("A", "B")))
    np.testing.assert_array_equal(later.prices, whole.prices[1234:4234])
    np.testing.assert_array_equal(later.volatility, whole.volatility[1234:4234])


@pytest.mark.compiled
def test_replayed_volatility_is_right_on_average_and_knows_no_future() -> None:
    random = np.random.default_rng(1)
    fine = 1000.0 * np.exp(np.cumsum(random.standard_normal((3000, 60, 1)).reshape(-1, 1) * 1e-4, axis=0)).reshape(-1, 60, 1)
    data = {"open": fine[:, 0], "high": fine.max(1), "low": fine.min(1), "close": fine[:, -1]}
    world = Replay(symbols=("A",), **data, volatility_half_life=3600.0, initial_volatility=0.5)
    run = setting(3000 * 60, symbols=("A",))
    prices, volatility = path(world, run)
    assert volatility[0, 0] == pytest.approx(0.5 / math.sqrt(SECONDS_PER_YEAR), rel=1e-12)
    assert math.sqrt((volatility[60_000:] ** 2).mean()) == pytest.approx(1e-4, rel=0.05)
    inside = np.diff(np.log(prices[:, 0]).reshape(-1, 60), axis=1)
    assert inside.std() == pytest.approx(1e-4, rel=0.15)  # the bridge is as rough as the path the bars were made of
    future = {side: values.copy() for side, values in data.items()}
    for values in future.values():
        values[1500:] *= 1.7
    known = path(dataclasses.replace(world, **future), run)
    np.testing.assert_array_equal(known.volatility[: 1501 * 60], volatility[: 1501 * 60])
    np.testing.assert_array_equal(known.prices[: 1500 * 60], prices[: 1500 * 60])
    assert (known.volatility[1501 * 60 : 1502 * 60] > 10.0 * volatility[1501 * 60 : 1502 * 60]).all()


def test_a_replay_is_frozen_comparable_and_names_its_data() -> None:
    data = bars(50)
    world = Replay(symbols=("A", "B"), **data)
    before = world.digest()
    data["close"][3] *= 1.5
    assert world.digest() == before
    with pytest.raises(ValueError, match="read-only"):
        world.close[3] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        world.start_offset = 1.0  # type: ignore[misc]
    same = Replay(symbols=("A", "B"), **bars(50))
    assert same == world
    assert hash(same) == hash(world)
    assert pickle.loads(pickle.dumps(world)) == world
    assert dataclasses.replace(world, start_offset=1.0) != world
    renamed, slower = dataclasses.replace(world, symbols=("A", "C")), dataclasses.replace(world, interval_seconds=300.0)
    nudged = bars(50)
    nudged["high"][7, 1] = np.nextafter(nudged["high"][7, 1], np.inf)
    digests = {before, renamed.digest(), slower.digest(), Replay(symbols=("A", "B"), **nudged).digest()}
    assert len(digests) == 4
    assert len(before) == 32


def test_unsound_bars_are_refused_with_symbol_bar_and_value() -> None:
    def refused(side: str, value: float, message: str) -> None:
        data = bars(50)
        data[side][7, 1] = value
        with pytest.raises(ParameterError, match=message):
            Replay(symbols=("A", "B"), **data)

    refused("low", -3.0, r"Replay.low: -3 for B in bar 7, expected a finite and positive price")
    refused("open", math.nan, r"Replay.open: nan for B in bar 7, expected a finite")
    refused("high", math.inf, r"Replay.high: inf for B in bar 7")
    refused("close", 1e9, r"Replay.close: 1e\+09 for B in bar 7, expected a price between low and high")
    refused("high", 1e-3, r"Replay.open: .* for B in bar 7, expected a price between low and high")
    data = bars(50)
    with pytest.raises(ParameterError, match=r"expected the same \(bars, 3\)"):
        Replay(symbols=("A", "B", "C"), **data)
    with pytest.raises(ParameterError, match="names a symbol twice"):
        Replay(symbols=("A", "A"), **data)
    with pytest.raises(ParameterError, match="no bars"):
        Replay(symbols=("A", "B"), **{side: values[:0] for side, values in data.items()})
    data["close"] = data["close"][:-1]
    with pytest.raises(ParameterError, match=r"close \(49, 2\), expected the same"):
        Replay(symbols=("A", "B"), **data)


def test_runs_that_the_bars_cannot_serve_are_refused() -> None:
    world = Replay(symbols=("BTCUSDT", "ETHUSDT"), **bars(10), start_offset=60.0)
    world.init(setting(540, symbols=("ETHUSDT",)))
    with pytest.raises(ParameterError) as caught:
        world.init(setting(541, symbols=("BTCUSD", "DOGE")))
    assert caught.value.problems == [
        "Replay.symbols: no bars of 'BTCUSD', there are BTCUSDT, ETHUSDT; did you mean 'BTCUSDT'?",
        "Replay.symbols: no bars of 'DOGE', there are BTCUSDT, ETHUSDT",
        "Replay: the run lasts 541 s from 60 s on, the bars last 600 s; expected a run of at most 540 s",
    ]
    memory = world.init(setting(540, symbols=("ETHUSDT",)))
    with pytest.raises(ParameterError, match="blocks 500 to 549 asked for, the run has 540"):
        world.stretch(memory, 500, 50)


def _data_folder() -> Path:
    return Path(os.environ.get("ABM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")


@pytest.mark.compiled
@pytest.mark.data
def test_a_real_crash_is_replayed_bar_by_bar() -> None:
    polars = pytest.importorskip("polars")
    file = _data_folder() / "crash_2022_11_ftx.parquet"
    if not file.exists():
        pytest.skip(f"no real price paths in {file.parent}")
    frame = polars.read_parquet(file).sort("ts")
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    data = {
        side: np.column_stack([frame.filter(polars.col("symbol") == symbol)[side].to_numpy() for symbol in symbols])
        for side in ("open", "high", "low", "close")
    }
    minutes = 2 * 1440
    offset = 4 * DAY  # the two days of the fall
    world = Replay(symbols=symbols, **data, start_offset=float(offset))
    run = setting(minutes * 60, symbols=symbols)
    prices, volatility = path(world, run, (10_000, 77_777))
    by_bar = prices.reshape(minutes, 60, 3)
    first = offset // 60
    for side, measured in (
        ("open", by_bar[:, 0]),
        ("close", by_bar[:, -1]),
        ("high", by_bar.max(1)),
        ("low", by_bar.min(1)),
    ):
        np.testing.assert_array_equal(measured, data[side][first : first + minutes])
    assert (prices[-1] / prices.max(0) < [0.90, 0.90, 0.75]).all()
    assert (volatility > 0.0).all()
    ratio = np.diff(np.log(by_bar[:, -1]), axis=0) / (volatility[::60][1:] * math.sqrt(60.0))
    assert np.sqrt((ratio**2).mean(0)) == pytest.approx([1.0] * 3, abs=0.25)
