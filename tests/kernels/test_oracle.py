"""Oracle rules: what sources report, how reports become one price, and when it is published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels import oracle as kernels
from abm.mechanisms.oracle import (
    EVERY_SOURCE,
    Fault,
    MeanOracle,
    MedianOracle,
    Oracle,
    Outage,
    ProposerOracle,
    Window,
)
from abm.parameters import ParameterError
from abm.state import State

FAITHFUL = {"sources": 1, "lag_blocks": 0, "noise": 0.0, "min_change": 0.0}
prices = st.floats(1e-3, 1e6)
paths = st.lists(prices, min_size=1, max_size=40)


def market(index: float = 100.0, seconds_per_block: float = 1.0, symbols: tuple[str, ...] = ("BTC",)) -> State:
    state = State(1, symbols, [1000] * len(symbols), seconds_per_block)
    state.markets["index"] = index
    return state


def walk(oracle: Oracle, path: list[float], state: State | None = None, seed: int = 1) -> list[float]:
    """Oracle prices of market 0 along a path of its index; the first price of the path is the initial one."""
    state = state or market(path[0])
    memory = oracle.init(state, seed)
    published = []
    for block, price in enumerate(path):
        state.venue["block"] = block
        state.markets["index"][0] = price
        oracle.publish(state, memory)
        published.append(float(state.markets["oracle"][0]))
    return published


def reports(votes: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([price for price, _ in votes]), np.array([float(stake) for _, stake in votes])


class TestFormulas:
    # Numbers of dYdX's own tests: x/prices/keeper/util_test.go and validate_market_price_updates_test.go.
    @pytest.mark.parametrize(
        ("old", "new", "index", "accepted"),
        [
            (50_000.0, 50_050.0, 50_100.0, True),  # towards the index
            (50_000.0, 50_005.0, 50_002.5, True),  # crosses by no more than the old distance, which is one tick
            (50_000.0, 49_995.0, 49_997.5, True),
            (50_000.0, 50_150.0, 50_002.5, False),  # crosses too far
            (50_000.0, 50_001.0, 50_100.0, False),  # less than the minimum change
            (50_000.0, 49_900.0, 50_100.0, False),  # away from the index
        ],
    )
    def test_price_update_check(self, old: float, new: float, index: float, accepted: bool) -> None:
        assert kernels.price_update_check(old, new, index, 0.00005) is accepted

    def test_square_root_condition_is_sharp(self) -> None:
        farthest = kernels.max_allowed_price_delta(500_000.0, 50.0)
        assert farthest == pytest.approx(5_000.0)
        assert kernels.price_sqrt_condition(500_000.0, farthest, 50.0)
        assert not kernels.price_sqrt_condition(500_000.0, 1.0001 * farthest, 50.0)

    def test_price_is_within_one_tick(self) -> None:
        assert kernels.price_within_one_tick(500_000.0, 600_000.0)
        assert kernels.price_within_one_tick(0.1 + 0.2, 0.3)
        assert not kernels.price_within_one_tick(700_000.0, 600_000.0)

    def test_threshold_is_met_up_to_rounding(self) -> None:
        assert 100.1 - 100.0 < 0.1
        assert kernels.meets_min_change(100.0, 100.1, 0.001)
        assert not kernels.meets_min_change(100.0, 100.0999, 0.001)

    # Slinky pkg/math/voteweighted/math_test.go.
    @pytest.mark.parametrize(
        ("votes", "median"),
        [
            ([(100.0, 1)], 100.0),
            ([(100.0, 10), (200.0, 20)], 200.0),
            ([(300.0, 30), (100.0, 10), (200.0, 20)], 200.0),
            ([(100.0, 1), (200.0, 1)], 100.0),  # half of the stake is enough: the lower one
        ],
    )
    def test_weighted_median(self, votes: list[tuple[float, float]], median: float) -> None:
        assert kernels.median_of_votes(*reports(votes)) == median

    def test_exactly_two_thirds_are_no_quorum(self) -> None:
        votes = reports([(200.0, 33), (400.0, 33)])
        assert kernels.quorum_median_of_votes(*votes, 99.0, 0.667) == kernels.SILENT
        assert kernels.quorum_median_of_votes(*votes, 98.0, 0.667) == 200.0

    @given(st.lists(st.tuples(prices, st.integers(1, 10**6)), min_size=1, max_size=30))
    def test_median_halves_the_stake(self, votes: list[tuple[float, int]]) -> None:
        median = kernels.median_of_votes(*reports(votes))
        total = sum(stake for _, stake in votes)
        assert median in [price for price, _ in votes]
        assert sum(stake for price, stake in votes if price < median) < max(1, total // 2)
        assert sum(stake for price, stake in votes if price <= median) >= total // 2

    @given(prices, prices, prices, st.floats(1e-5, 0.05))
    def test_an_accepted_price_never_ends_farther_from_the_index(self, old: float, new: float, index: float, fraction: float) -> None:
        if kernels.price_update_check(old, new, index, fraction):
            assert abs(new - index) <= abs(old - index) * (1 + 1e-9)


class TestOneFaithfulSource:
    @given(paths, st.sampled_from([MedianOracle, MeanOracle, ProposerOracle]))
    def test_is_the_index_exactly(self, path: list[float], rule: type) -> None:
        assert walk(rule(**FAITHFUL), path) == path

    @given(paths, st.integers(0, 10))
    def test_lag_shifts_the_path(self, path: list[float], lag: int) -> None:
        published = walk(MedianOracle(**{**FAITHFUL, "lag_blocks": lag}), path)
        assert published == [path[max(0, block - lag)] for block in range(len(path))]

    def test_init_publishes(self) -> None:
        state = market(123.0)
        MedianOracle().init(state, 1)
        assert state.markets["oracle"][0] == 123.0
        assert state.markets["oracle_block"][0] == 0

    def test_staircase(self) -> None:
        oracle = MedianOracle(**{**FAITHFUL, "min_change": 0.001})
        assert walk(oracle, [100.0, 100.05, 100.09, 100.1, 100.15, 100.3]) == [100.0, 100.0, 100.0, 100.1, 100.1, 100.3]

    @given(paths, st.floats(0.0, 0.05))
    def test_staircase_stays_within_its_threshold(self, path: list[float], fraction: float) -> None:
        for index, oracle in zip(path, walk(MedianOracle(**{**FAITHFUL, "min_change": fraction}), path), strict=True):
            assert abs(index - oracle) <= fraction * oracle * (1 + 1e-9)

    def test_threshold_per_market(self) -> None:
        state = market(symbols=("BTC", "DOGE"))
        oracle = MedianOracle(**{**FAITHFUL, "min_change": (0.001, 0.004)})
        memory = oracle.init(state, 1)
        state.venue["block"] = 1
        state.markets["index"] = 100.2
        oracle.publish(state, memory)
        assert state.markets["oracle"].tolist() == [100.2, 100.0]
        assert state.markets["oracle_block"].tolist() == [1, 0]
        assert state.markets["oracle_confirmed"].tolist() == [1, 1]

    def test_update_interval(self) -> None:
        oracle = MedianOracle(**FAITHFUL, update_interval_seconds=3.0)
        path = [100.0 + block for block in range(8)]
        assert walk(oracle, path) == [100, 100, 100, 103, 103, 103, 106, 106]
        assert walk(oracle, path, market(100.0, seconds_per_block=1.5)) == [100, 100, 102, 102, 104, 104, 106, 106]

    def test_halt_and_restart_on_a_late_price(self) -> None:
        oracle = MedianOracle(**{**FAITHFUL, "lag_blocks": 1}, halts=(Window(from_seconds=2.0, to_seconds=5.0),))
        path = [100.0, 101.0, 102.0, 90.0, 80.0, 70.0, 60.0]
        state = market()
        assert walk(oracle, path, state) == [100.0, 100.0, 100.0, 100.0, 100.0, 80.0, 70.0]
        assert state.markets["oracle_block"][0] == 6


class TestSources:
    @given(st.integers(3, 30), st.integers(0, 29), prices)
    def test_one_wrong_source_moves_the_mean_and_not_the_median(self, k: int, wrong: int, price: float) -> None:
        fault = Fault(source=wrong % k, factor=1000.0, from_seconds=1.0)
        settings = {"sources": k, "lag_blocks": 0, "min_change": 0.0, "faults": (fault,)}
        assert walk(MedianOracle(**settings), [price, price])[1] == price
        assert walk(MeanOracle(**settings), [price, price])[1] == pytest.approx(price * (1 + 999 / k), rel=1e-12)

    @given(st.integers(3, 30), st.sampled_from([1e-3, 1e3]), st.data())
    def test_no_minority_of_stake_moves_the_median(self, k: int, factor: float, data: st.DataObject) -> None:
        wrong = data.draw(st.sets(st.integers(0, k - 1), max_size=(k - 1) // 2))
        faults = tuple(Fault(source=source, factor=factor, from_seconds=0.0) for source in wrong)
        assert walk(MedianOracle(sources=k, lag_blocks=0, faults=faults), [100.0, 100.0]) == [100.0, 100.0]

    def test_a_majority_of_stake_does(self) -> None:
        fault = Fault(source=0, factor=10.0, from_seconds=0.0)
        oracle = MedianOracle(sources=3, stakes=(2.0, 1.0, 0.5), lag_blocks=0, faults=(fault,))
        assert walk(oracle, [100.0]) == [1000.0]

    def test_fault_of_one_market_ends(self) -> None:
        state = market(symbols=("BTC", "JELLY"))
        fault = Fault(source=EVERY_SOURCE, symbol="JELLY", factor=3.0, from_seconds=1.0, to_seconds=2.0)
        oracle = MedianOracle(lag_blocks=0, faults=(fault,))
        memory = oracle.init(state, 1)
        seen = []
        for block in range(3):
            state.venue["block"] = block
            oracle.publish(state, memory)
            seen.append(state.markets["oracle"].tolist())
        assert seen == [[100.0, 100.0], [100.0, pytest.approx(300.0)], [100.0, 100.0]]

    def test_slowest_source_is_lag_plus_spread_late(self) -> None:
        state = market()
        memory = MedianOracle(sources=5, lag_blocks=2, lag_spread_blocks=8).init(state, 1)
        assert memory.sources["lag"].tolist() == [2, 4, 6, 8, 10]

    def test_median_of_late_sources_is_the_middle_one(self) -> None:
        path = [100.0 + block for block in range(30)]
        published = walk(MedianOracle(sources=3, lag_blocks=1, lag_spread_blocks=4, min_change=0.0), path)
        assert published[6:] == [price - 3.0 for price in path[6:]]

    def test_a_third_in_outage_breaks_the_quorum_when_its_prices_expire(self) -> None:
        settings = {"sources": 3, "lag_blocks": 0, "min_change": 0.0, "expiry_seconds": 2.0}
        oracle = MeanOracle(**settings, outages=(Outage(source=1, from_seconds=3.0, to_seconds=7.0),))
        state = market(99.0)
        published = walk(oracle, [99.0 + 3.0 * block for block in range(9)], state)
        # blocks 3 and 4: two sources see the index, one repeats 105; 5 and 6: two of three are no quorum; then all see it
        assert published == pytest.approx([99.0, 102.0, 105.0, 107.0, 109.0, 109.0, 109.0, 120.0, 123.0])

    def test_outage_leaves_the_chain_unconfirmed(self) -> None:
        outage = Outage(source=EVERY_SOURCE, from_seconds=2.0)
        state = market()
        walk(MedianOracle(lag_blocks=0, expiry_seconds=0.0, outages=(outage,)), [100.0, 110.0, 120.0, 130.0], state)
        assert state.markets["oracle"][0] == 110.0
        assert state.markets["oracle_confirmed"][0] == 1

    def test_noise_has_the_stated_size(self) -> None:
        published = walk(MedianOracle(**{**FAITHFUL, "noise": 0.01}), [100.0] * 4000)
        logs = np.log(np.array(published) / 100.0)
        assert abs(logs.mean()) < 4 * 0.01 / math.sqrt(4000)
        assert logs.std() == pytest.approx(0.01, rel=0.05)

    def test_median_of_many_is_less_noisy_than_one(self) -> None:
        one = walk(MedianOracle(**{**FAITHFUL, "noise": 0.01}), [100.0] * 500)
        many = walk(MedianOracle(**{**FAITHFUL, "noise": 0.01, "sources": 25}), [100.0] * 500)
        # asymptotic standard deviation of a median: sqrt(pi/2) sigma / sqrt(k)
        assert np.std(np.log(many)) == pytest.approx(math.sqrt(math.pi / 2) * 0.01 / 5, rel=0.2)
        assert np.std(many) < np.std(one) / 3

    def test_draws_have_addresses(self) -> None:
        settings = {"noise": 0.01, "min_change": 0.0, "sources": 3}
        path = [100.0] * 20
        first = walk(MedianOracle(**settings), path, seed=7)
        assert walk(MedianOracle(**settings), path, seed=7) == first
        assert walk(MedianOracle(**settings), path, seed=8) != first
        # an observation carries its noise however late it arrives
        late = walk(MedianOracle(**settings, lag_blocks=5), path, seed=7)
        assert late[5:] == walk(MedianOracle(**settings, lag_blocks=0), path, seed=7)[:-5]

    def test_noise_of_a_source_does_not_depend_on_the_others(self) -> None:
        state = market()
        values = []
        for noise in ((0.01, 0.0, 0.0), (0.01, 0.0, 0.02)):
            memory = MeanOracle(sources=3, noise=noise, lag_blocks=0).init(state, 1)
            settings, sources, windows, _, history, _ = memory
            values.append(kernels.reported_price(settings, sources, windows, history, 0, 0, 0))
        assert values[0] == values[1] != 100.0


class TestProposer:
    def test_wrong_proposal_is_rejected(self) -> None:
        fault = Fault(source=1, factor=1000.0, from_seconds=0.0)
        oracle = ProposerOracle(sources=2, lag_blocks=0, min_change=0.001, faults=(fault,))
        # source 1 proposes in odd blocks
        assert walk(oracle, [100.0, 101.0, 102.0, 103.0]) == [100.0, 100.0, 102.0, 102.0]

    def test_late_proposal_in_a_reversal_is_rejected(self) -> None:
        oracle = ProposerOracle(sources=1, lag_blocks=1, min_change=0.001)
        # block 2 proposes 105 while the index is back at 99.9: away from it, so 100 stays
        assert walk(oracle, [100.0, 105.0, 99.9, 99.9]) == [100.0, 100.0, 100.0, 99.9]

    @given(paths, st.integers(0, 3))
    def test_published_price_never_moves_away_from_the_index(self, path: list[float], lag: int) -> None:
        published = walk(ProposerOracle(sources=1, lag_blocks=lag, noise=0.01), path)
        for index, old, new in zip(path[1:], published, published[1:], strict=False):
            assert abs(new - index) <= abs(old - index) * (1 + 1e-9)


class TestBadParameters:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"faults": (Fault(source=9, factor=2.0, from_seconds=0.0),)}, "there is no source 9, they are 0 to 4"),
            ({"stakes": (1.0, 2.0)}, "stakes: 2 values for 5 sources"),
            ({"stakes": (0.0,) * 5}, "at least one source needs stake"),
            ({"noise": (0.1,)}, "noise: 1 values for 5 sources"),
            ({"lag_blocks": -1}, "lag_blocks: -1 is not in"),
        ],
    )
    def test_constructor(self, parameters: dict, message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            MedianOracle(**parameters)

    def test_window_must_end_after_it_begins(self) -> None:
        with pytest.raises(ParameterError, match=r"Outage\.to_seconds: 5 must be greater than from_seconds 5"):
            Outage(source=0, from_seconds=5.0, to_seconds=5.0)

    def test_unknown_market_and_wrong_number_of_thresholds(self) -> None:
        state = market(symbols=("BTC", "ETH"))
        fault = Fault(source=0, factor=2.0, from_seconds=0.0, symbol="ETG")
        with pytest.raises(ParameterError, match="no market 'ETG'; the nearest name is 'ETH'"):
            MedianOracle(faults=(fault,)).init(state, 1)
        with pytest.raises(ParameterError, match="3 values for 2 markets"):
            MedianOracle(min_change=(0.1, 0.1, 0.1)).init(state, 1)
