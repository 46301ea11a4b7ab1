"""Guards: caps, isolated markets, circuit breakers and the withdrawal gate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.withdrawals import withdrawal_baseline, withdrawal_capacity
from abm.mechanisms.guards import CircuitBreaker, Guard, IsolatedMarkets, OpenInterestCap, WithdrawalGate
from abm.parameters import ParameterError
from abm.state import ACTIVE, HALTED, State


def venue(symbols: tuple[str, ...] = ("BTC",), seconds_per_block: float = 1.0) -> State:
    state = State(3, symbols, [10_000] * len(symbols), seconds_per_block)
    for price in ("index", "oracle", "mark"):
        state.markets[price] = 100.0
    state.markets["tick"] = 0.1
    state.markets["best_bid"], state.markets["best_ask"] = 999, 1001
    return state


def halts(guard: Guard, path: list[float], state: State | None = None, price: str = "oracle") -> list[bool]:
    """Whether market 0 is halted after each block of a path of one of its prices."""
    state = state or venue()
    memory = guard.init(state, 1)
    halted = []
    for block, value in enumerate(path):
        state.venue["block"] = block
        state.markets[price][0] = value
        guard.watch(state, memory)
        halted.append(state.markets["status"][0] == HALTED)
    return halted


class TestCaps:
    def test_cap_of_all_markets_and_of_each(self) -> None:
        state = venue(("BTC", "ETH"))
        OpenInterestCap(caps=5e6).init(state, 1)
        assert state.markets["open_interest_cap"].tolist() == [5e6, 5e6]
        OpenInterestCap(caps=(9e6, math.inf)).init(state, 1)
        assert state.markets["open_interest_cap"].tolist() == [5e6, 5e6]  # the tighter of two caps holds
        with pytest.raises(ParameterError, match="1 values for 2 markets"):
            OpenInterestCap(caps=(1.0,)).init(state, 1)

    def test_isolated_markets(self) -> None:
        state = venue(("BTC", "JELLY"))
        IsolatedMarkets(symbols=("JELLY",)).init(state, 1)
        assert state.markets["isolated_only"].tolist() == [0, 1]
        with pytest.raises(ParameterError, match="no market 'JELY'; the nearest name is 'JELLY'"):
            IsolatedMarkets(symbols=("JELY",)).init(state, 1)


class TestCircuitBreaker:
    BREAKER = CircuitBreaker(threshold=0.1, window_seconds=3.0, halt_seconds=2.0)

    def test_halts_on_a_move_within_the_window_and_resumes_after_its_time(self) -> None:
        state = venue()
        assert halts(self.BREAKER, [100, 95, 89, 89, 89, 89, 85], state) == [False] * 2 + [True] * 2 + [False] * 3
        assert state.markets["halted_until"][0] == 4

    def test_slow_move_does_not_halt(self) -> None:
        # 4 % a block would be 12 % in the window of three blocks; 3 % a block is 9 %
        assert not any(halts(self.BREAKER, [100 * 0.97**block for block in range(20)]))
        assert any(halts(self.BREAKER, [100 * 0.96**block for block in range(20)]))

    def test_both_directions_and_from_the_extreme(self) -> None:
        assert halts(self.BREAKER, [100, 111])[-1]
        assert halts(self.BREAKER, [100, 94, 104])[-1]  # 10.6 % off the low, 4 % off the start
        assert not any(halts(self.BREAKER, [100, 94, 103]))

    def test_move_before_the_resumption_does_not_count_again(self) -> None:
        path = [100.0, 80.0, 80.0, 80.0, 80.0, 80.0, 71.0]
        assert halts(self.BREAKER, path) == [False, True, True, False, False, False, True]

    @pytest.mark.parametrize(("watched", "price"), [("oracle", "oracle"), ("mark", "mark"), ("mid", "best_bid")])
    def test_watches_its_own_price(self, watched: str, price: str) -> None:
        breaker = CircuitBreaker(watched=watched, threshold=0.1, window_seconds=3.0)
        paths = {"oracle": [100, 80], "mark": [100, 80], "best_bid": [999, 600]}
        for moving, path in paths.items():
            assert halts(breaker, path, price=moving) == [False, moving == price]

    def test_empty_side_is_no_move_of_the_mid(self) -> None:
        breaker = CircuitBreaker(watched="mid", threshold=0.01, window_seconds=3.0)
        assert not any(halts(breaker, [999, 0, 0, 999, 0], price="best_bid"))
        assert not any(halts(breaker, [1001, 10_000, 1001], price="best_ask"))

    def test_gap_must_last_for_the_window(self) -> None:
        breaker = CircuitBreaker(watched="gap", threshold=0.05, window_seconds=3.0, halt_seconds=2.0)
        path = [94, 94, 100, *[94] * 8]
        # halted in block 5, resumed in block 7, and again after three more blocks
        assert halts(breaker, path, price="mark") == [False] * 5 + [True] * 2 + [False] * 3 + [True]

    def test_calm_rule_waits(self) -> None:
        breaker = CircuitBreaker(
            threshold=0.1, window_seconds=3.0, halt_seconds=1.0, resume="calm", resume_threshold=0.02, resume_window_seconds=2.0
        )
        path = [100.0, 80.0, 85.0, 80.0, 80.5, 80.5, 80.5]
        assert halts(breaker, path) == [False, True, True, True, True, False, False]

    def test_all_markets_halt_and_resume_together(self) -> None:
        state = venue(("BTC", "ETH"))
        breaker = CircuitBreaker(threshold=0.1, window_seconds=3.0, halt_seconds=2.0, all_markets=True)
        memory = breaker.init(state, 1)
        seen = []
        for block, price in enumerate([100.0, 80.0, 80.0, 80.0]):
            state.venue["block"] = block
            state.markets["oracle"][1] = price
            breaker.watch(state, memory)
            seen.append(state.markets["status"].tolist())
        assert seen == [[ACTIVE] * 2, [HALTED] * 2, [HALTED] * 2, [ACTIVE] * 2]

    @pytest.mark.parametrize(("together", "resumed"), [(True, False), (False, True)])
    def test_calm_of_all_markets_counts_when_they_halt_together(self, together: bool, resumed: bool) -> None:
        state = venue(("BTC", "ETH"))
        breaker = CircuitBreaker(
            threshold=0.5,
            window_seconds=3.0,
            halt_seconds=2.0,
            resume="calm",
            resume_threshold=0.02,
            resume_window_seconds=2.0,
            all_markets=together,
        )
        memory = breaker.init(state, 1)
        for block, (first, second) in enumerate([(100, 100), (40, 95), (40, 100), (40, 95), (40, 100)]):
            state.venue["block"] = block
            state.markets["oracle"] = first, second
            breaker.watch(state, memory)
        assert (state.markets["status"][0] == ACTIVE) == resumed

    def test_one_market_alone(self) -> None:
        state = venue(("BTC", "ETH"))
        assert halts(self.BREAKER, [100.0, 80.0], state)[-1]
        assert state.markets["status"].tolist() == [HALTED, ACTIVE]

    @pytest.mark.parametrize("longer_first", [True, False])
    def test_the_longer_of_two_halts_holds(self, longer_first: bool) -> None:
        state = venue()
        guards = [CircuitBreaker(threshold=0.1, window_seconds=3.0, halt_seconds=seconds) for seconds in (2.0, 5.0)]
        if longer_first:
            guards.reverse()
        memories = [guard.init(state, 1) for guard in guards]
        halted = []
        for block, price in enumerate([100.0, 80.0] + [80.0] * 6):
            state.venue["block"] = block
            state.markets["oracle"] = price
            for guard, memory in zip(guards, memories, strict=True):
                guard.watch(state, memory)
            halted.append(bool(state.markets["status"][0] == HALTED))
            assert state.markets["halted_until"][0] == (6 if block >= 1 else 0)
        assert halted == [False] + [True] * 5 + [False] * 2

    def test_leaves_the_halt_of_somebody_else_alone(self) -> None:
        state = venue()
        state.markets["status"] = HALTED
        assert halts(self.BREAKER, [100.0] * 10, state) == [True] * 10

    def test_seconds_become_blocks(self) -> None:
        path = [100.0, 80.0] + [80.0] * 6
        assert sum(halts(CircuitBreaker(halt_seconds=2.0), path, venue(seconds_per_block=0.5))) == 4

    @given(st.lists(st.floats(50.0, 200.0), min_size=1, max_size=60), st.integers(1, 10), st.floats(0.01, 0.5))
    def test_halts_exactly_when_the_window_moves_far(self, path: list[float], window: int, threshold: float) -> None:
        breaker = CircuitBreaker(threshold=threshold, window_seconds=float(window), halt_seconds=1e6)
        first = next(
            (
                block
                for block in range(len(path))
                if any(abs(path[block] / price - 1) > threshold for price in path[max(0, block - window) : block])
            ),
            len(path),
        )
        expected = [block >= first for block in range(len(path))]
        assert halts(breaker, path) == expected

    @pytest.mark.parametrize("parameters", [{"watched": "moon"}, {"resume": "never"}])
    def test_unknown_choices(self, parameters: dict) -> None:
        with pytest.raises(ParameterError, match="is not one of"):
            CircuitBreaker(**parameters)


class TestCapacity:
    # protocol/x/ratelimit/util/capacity_test.go and baseline_test.go.
    @pytest.mark.parametrize(
        ("tvl", "minimum", "fraction", "period", "capacity", "elapsed", "after"),
        [
            (25e6, 1e5, 0.01, 3600, 250_000, 1.0, 250_000),
            (1e6, 1e5, 0.01, 3600, 0, 12.0, 333.333333),
            (20e6, 1e5, 0.01, 3600, 329_000, 1.15, 328_936.111112),
            (0.0, 1e5, 0.01, 3600, 500_000, 36.0, 496_000),  # by hand: 1 % of what is above the baseline
            (20e6, 1e6, 0.1, 86_400, 3.5e6, 1.15, 3_499_973.37963),
        ],
    )
    def test_published_numbers(
        self, tvl: float, minimum: float, fraction: float, period: float, capacity: float, elapsed: float, after: float
    ) -> None:
        assert withdrawal_capacity(tvl, minimum, fraction, period, capacity, elapsed) == pytest.approx(after, abs=2e-6)

    def test_baseline(self) -> None:
        assert withdrawal_baseline(5e6, 1e5, 0.01) == 1e5
        assert withdrawal_baseline(5e7, 1e5, 0.01) == 5e5

    @given(st.floats(0, 1e9), st.floats(1, 1e7), st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 1e5))
    def test_moves_toward_the_baseline_and_never_past_it(
        self, tvl: float, minimum: float, fraction: float, capacity: float, elapsed: float
    ) -> None:
        baseline = withdrawal_baseline(tvl, minimum, fraction)
        after = withdrawal_capacity(tvl, minimum, fraction, 3600.0, capacity, elapsed)
        assert min(capacity, baseline) <= after <= max(capacity, baseline)

    def test_an_empty_capacity_is_restored_in_one_period(self) -> None:
        capacity = 0.0
        for _ in range(3600):
            capacity = withdrawal_capacity(0.0, 1e6, 0.01, 3600.0, capacity, 1.0)
        assert capacity == pytest.approx(1e6, rel=1e-9)


class TestWithdrawalGate:
    def run(self, state: State, memory: object, gate: WithdrawalGate, first: int, last: int, alive: bool = True) -> None:
        for block in range(first, last + 1):
            state.venue["block"] = block
            if alive:
                state.markets["oracle_confirmed"] = block
            gate.watch(state, memory)

    def is_blocked(self, state: State) -> bool:
        return bool(state.venue["block"][0] < state.venue["withdrawals_blocked_until"][0])

    def test_blocks_for_fifty_blocks_after_the_last_loss_seen(self) -> None:
        state, gate = venue(), WithdrawalGate()
        memory = gate.init(state, 1)
        self.run(state, memory, gate, 0, 9)
        assert not self.is_blocked(state)
        state.funds["bad_debt"] = 1.0
        self.run(state, memory, gate, 10, 12)
        state.funds["bad_debt"] = 0.0
        self.run(state, memory, gate, 13, 61)
        assert self.is_blocked(state)
        self.run(state, memory, gate, 62, 62)
        assert not self.is_blocked(state)

    def test_blocks_after_an_outage(self) -> None:
        state, gate = venue(), WithdrawalGate(outage_seconds=300.0)
        memory = gate.init(state, 1)
        self.run(state, memory, gate, 0, 10)
        self.run(state, memory, gate, 11, 309, alive=False)
        assert not self.is_blocked(state)
        self.run(state, memory, gate, 310, 310, alive=False)
        assert self.is_blocked(state)
        self.run(state, memory, gate, 311, 359)
        assert self.is_blocked(state)
        self.run(state, memory, gate, 360, 360)
        assert not self.is_blocked(state)

    def test_calm_prices_are_no_outage(self) -> None:
        state, gate = venue(), WithdrawalGate()
        memory = gate.init(state, 1)
        self.run(state, memory, gate, 0, 400)  # confirmed in every block, changed in none
        assert state.markets["oracle_block"][0] == 0
        assert not self.is_blocked(state)

    def test_capacity_falls_with_withdrawals_and_returns(self) -> None:
        state, gate = venue(), WithdrawalGate()
        state.venue["net_deposits"] = 2e8
        memory = gate.init(state, 1)
        self.run(state, memory, gate, 0, 0)
        assert state.venue["withdrawal_capacity"][0] == 2e6  # 1 % of deposits, the tighter of the two limits
        state.venue["withdrawal_capacity"] -= 2e6
        self.run(state, memory, gate, 1, 1)
        assert state.venue["withdrawal_capacity"][0] == pytest.approx(2e6 / 3600)
        assert memory.limits["capacity"].tolist() == pytest.approx([2e6 / 3600, 1.8e7 + 2e7 / 86_400])
        self.run(state, memory, gate, 2, 3600)
        assert state.venue["withdrawal_capacity"][0] == pytest.approx(2e6)

    def test_daily_limit_binds_after_a_day_of_hourly_ones(self) -> None:
        state, gate = venue(seconds_per_block=60.0), WithdrawalGate()
        state.venue["net_deposits"] = 1e8
        memory = gate.init(state, 1)
        taken = 0.0
        for block in range(60 * 24):
            state.venue["block"] = block
            state.markets["oracle_confirmed"] = block
            gate.watch(state, memory)
            taken += float(state.venue["withdrawal_capacity"][0])
            state.venue["withdrawal_capacity"] = 0.0
        # at most what the day's limit held at the start and what it got back: twice its baseline
        assert 1.9e7 < taken <= 2e7 + 1e6

    def test_deposits_add_capacity(self) -> None:
        state, gate = venue(), WithdrawalGate()
        memory = gate.init(state, 1)
        self.run(state, memory, gate, 0, 0)
        state.venue["withdrawal_capacity"] += 5e5
        self.run(state, memory, gate, 1, 1)
        assert 1.49e6 < state.venue["withdrawal_capacity"][0] < 1.5e6

    def test_infinite_minimum_is_no_limit(self) -> None:
        state, gate = venue(), WithdrawalGate(hourly_minimum=math.inf, daily_minimum=math.inf)
        memory = gate.init(state, 1)
        self.run(state, memory, gate, 0, 5)
        assert np.isinf(state.venue["withdrawal_capacity"][0])
        assert not np.isnan(memory.limits["capacity"]).any()
