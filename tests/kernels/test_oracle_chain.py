"""Oracles behind oracles: averages, pushed feeds, fallbacks, disputes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.oracle_chain import BACKUP, BOOK, LAST_GOOD, PRIMARY, fallback_step
from abm.mechanisms.oracle import MedianOracle, Oracle, Outage, Window
from abm.mechanisms.oracle_chain import AveragedOracle, Dispute, DisputedOracle, FallbackOracle, PushedOracle
from abm.parameters import ParameterError
from abm.state import State

INDEX = MedianOracle(sources=1, lag_blocks=0, noise=0.0, min_change=0.0)


def market(index: float = 100.0, symbols: tuple[str, ...] = ("BTC",)) -> State:
    state = State(1, symbols, [1000] * len(symbols), 1.0)
    state.markets["index"] = state.markets["oracle"] = index
    state.markets["tick"] = 0.5
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


class TestAveraged:
    def test_window(self) -> None:
        path = [100.0] * 5 + [120.0] * 5
        published = walk(AveragedOracle(source=INDEX, average_seconds=4.0), path)
        assert published[4:] == pytest.approx([100.0, 105.0, 110.0, 115.0, 120.0, 120.0])

    def test_exponential_with_held_samples(self) -> None:
        path = [100.0, 300.0, 300.0]
        free = AveragedOracle(source=INDEX, average_seconds=4.0, averaging="exponential")
        held = AveragedOracle(source=INDEX, average_seconds=4.0, averaging="exponential", largest_move=0.1)
        assert walk(free, path) == pytest.approx([100.0, 150.0, 187.5])
        assert walk(held, path) == pytest.approx([100.0, 102.5, 102.5 * 1.025])

    def test_the_source_keeps_its_own_staircase(self) -> None:
        """Its minimum change is measured from what it published itself, not from the average."""
        source = MedianOracle(sources=1, lag_blocks=0, min_change=0.1)
        path = [100.0, 109.0, 111.0, 111.0, 111.0]
        assert walk(AveragedOracle(source=source, average_seconds=2.0), path) == pytest.approx([100.0, 100.0, 105.5, 111.0, 111.0])

    def test_wrong_averaging(self) -> None:
        with pytest.raises(ParameterError, match="AveragedOracle.averaging: 'mean' is not one of"):
            AveragedOracle(averaging="mean")  # type: ignore[arg-type]


class TestPushed:
    def test_deviation_and_heartbeat(self) -> None:
        rule = PushedOracle(source=INDEX, deviation=0.01, heartbeat_seconds=4.0)
        path = [100.0, 100.5, 101.0, 101.5, 101.9, 101.9, 101.9, 101.9]
        assert walk(rule, path) == [100.0, 100.0, 101.0, 101.0, 101.0, 101.0, 101.9, 101.9]

    def test_a_silent_source_is_not_written(self) -> None:
        source = MedianOracle(sources=1, lag_blocks=0, min_change=0.0, halts=(Window(from_seconds=2.0, to_seconds=20.0),))
        state = market()
        walk(PushedOracle(source=source, deviation=0.01, heartbeat_seconds=3.0), [100.0] * 15, state)
        assert int(state.markets["oracle_confirmed"][0]) <= 4

    @given(st.lists(st.floats(1.0, 1e3), min_size=1, max_size=30), st.floats(0.001, 0.5))
    def test_the_price_in_force_is_never_farther_away_than_the_deviation(self, path: list[float], deviation: float) -> None:
        published = walk(PushedOracle(source=INDEX, deviation=deviation, heartbeat_seconds=1e6), path)
        for price, index in zip(published, path, strict=True):
            assert abs(index - price) <= deviation * price * (1.0 + 1e-9)


class TestFallback:
    SILENT = MedianOracle(
        sources=1, lag_blocks=0, min_change=0.0, expiry_seconds=0.0, outages=(Outage(source=0, from_seconds=5.0, to_seconds=40.0),)
    )

    def chain(self, backup: Oracle, **settings: float) -> tuple[FallbackOracle, State]:
        return FallbackOracle(primary=self.SILENT, backup=backup, stale_seconds=2.0, hold_seconds=5.0, band=0.1, **settings), market()

    def test_the_backup_takes_over_when_the_primary_is_stale_and_hands_back(self) -> None:
        rule, state = self.chain(MedianOracle(sources=1, lag_blocks=3, noise=0.0, min_change=0.0))
        path = [100.0 + n for n in range(45)]
        published = walk(rule, path, state)
        assert published[:5] == path[:5]
        assert published[5:7] == [104.0, 104.0]  # not stale yet
        assert published[7:40] == path[4:37]  # three blocks late
        assert published[40:] == path[40:]

    def test_then_the_last_good_price_then_the_book_within_a_band(self) -> None:
        rule, state = self.chain(self.SILENT)
        memory = rule.init(state, 1)
        seen, steps = [], []
        state.markets["best_bid"], state.markets["best_ask"] = 159, 161  # 80 USD
        for block in range(45):
            state.venue["block"] = block
            state.markets["index"] = 100.0 if block < 40 else 70.0
            rule.publish(state, memory)
            seen.append(float(state.markets["oracle"][0]))
            steps.append(int(memory.steps[0]))
        assert steps == [PRIMARY] * 7 + [LAST_GOOD] * 5 + [BOOK] * 28 + [PRIMARY] * 5
        assert seen == pytest.approx([100.0] * 12 + [90.0] * 28 + [70.0] * 5)
        state.markets["best_bid"], state.markets["best_ask"] = 0, 1000

    def test_nothing_is_confirmed_without_a_source(self) -> None:
        rule, state = self.chain(self.SILENT)
        walk(rule, [100.0] * 30, state)
        assert int(state.markets["oracle_confirmed"][0]) == 4

    def test_a_jump_is_left_to_the_backup(self) -> None:
        """Decimals error of the primary: the backup shows the old price, which stays in force."""
        rule = FallbackOracle(
            primary=INDEX, backup=MedianOracle(sources=1, lag_blocks=3, noise=0.0, min_change=0.0), largest_jump=0.5, stale_seconds=60.0
        )
        assert walk(rule, [100.0] * 4 + [100_000.0] * 3) == [100.0] * 7

    @pytest.mark.parametrize(
        ("primary", "backup", "since", "step"),
        [
            (True, False, 0, PRIMARY),
            (False, True, 9, BACKUP),
            (True, True, 9, PRIMARY),
            (False, False, 5, LAST_GOOD),
            (False, False, 6, BOOK),
        ],
    )
    def test_sequence(self, primary: bool, backup: bool, since: int, step: int) -> None:
        assert fallback_step(primary, backup, since, 5) == step


class TestDisputes:
    def test_the_last_price_holds_until_the_vote_and_then_the_contested_one(self) -> None:
        dispute = Dispute(from_seconds=3.0, vote_seconds=3.0, to_seconds=9.0, factor=0.5, acceptance=1.0)
        path = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0]
        published = walk(DisputedOracle(source=INDEX, disputes=(dispute,)), path)
        assert published == [100.0, 101.0, 102.0, 102.0, 102.0, 102.0, 51.0, 51.0, 51.0, 109.0]

    def test_rejected_the_source_goes_on(self) -> None:
        for meanwhile, held in (("last", [102.0, 102.0, 102.0]), ("source", [103.0, 104.0, 105.0])):
            dispute = Dispute(from_seconds=3.0, vote_seconds=3.0, factor=0.5, acceptance=0.0, meanwhile=meanwhile)  # type: ignore[arg-type]
            published = walk(DisputedOracle(source=INDEX, disputes=(dispute,)), [100.0 + n for n in range(8)])
            assert published == [100.0, 101.0, 102.0, *held, 106.0, 107.0]

    def test_the_outcome_has_its_probability_and_its_seed(self) -> None:
        dispute = Dispute(from_seconds=1.0, vote_seconds=1.0, factor=0.5, acceptance=0.3)
        rule = DisputedOracle(source=INDEX, disputes=(dispute,))
        outcomes = [walk(rule, [100.0] * 3, seed=seed)[-1] for seed in range(400)]
        accepted = np.mean(np.array(outcomes) == 50.0)
        assert accepted == pytest.approx(0.3, abs=4.0 * np.sqrt(0.3 * 0.7 / 400))
        assert outcomes[:20] == [walk(rule, [100.0] * 3, seed=seed)[-1] for seed in range(20)]

    def test_one_market_only(self) -> None:
        state = market(symbols=("BTC", "JELLY"))
        rule = DisputedOracle(source=INDEX, disputes=(Dispute(from_seconds=1.0, vote_seconds=0.0, factor=0.1, symbol="JELLY"),))
        memory = rule.init(state, 1)
        for block in range(3):
            state.venue["block"] = block
            rule.publish(state, memory)
        assert state.markets["oracle"].tolist() == [100.0, 10.0]
        with pytest.raises(ParameterError, match="no market 'JELY'; the nearest name is 'JELLY'"):
            DisputedOracle(disputes=(Dispute(from_seconds=1.0, symbol="JELY"),)).init(state, 1)

    def test_wrong_disputes(self) -> None:
        with pytest.raises(ParameterError, match="the vote of 10 s does not end before to_seconds 5"):
            Dispute(from_seconds=1.0, to_seconds=5.0, vote_seconds=10.0)
        with pytest.raises(ParameterError, match="Dispute.meanwhile: 'book' is not one of"):
            Dispute(from_seconds=1.0, meanwhile="book")  # type: ignore[arg-type]
