"""Mark rules: what positions are valued at."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels import mark as kernels
from abm.mechanisms.mark import LastTradeMark, Mark, MedianMark, OracleMark
from abm.state import State

prices = st.floats(1e-3, 1e6)
TICK = 0.5


def market(oracle: float = 100.0, seconds_per_block: float = 1.0) -> State:
    state = State(1, ["BTC"], [1000], seconds_per_block)
    state.markets["oracle"] = oracle
    state.markets["tick"] = TICK
    return state


def mark_after(rule: Mark, state: State, blocks: int = 1) -> float:
    memory = rule.init(state, 1)
    for block in range(blocks):
        state.venue["block"] = block
        rule.update(state, memory)
    return float(state.markets["mark"][0])


def book(state: State, bid: int = 0, ask: int = 1000, last: int = 0) -> State:
    """Sets quotes and last trade in ticks; the defaults mean there are none."""
    state.markets["best_bid"], state.markets["best_ask"], state.markets["last_tick"] = bid, ask, last
    return state


class TestFormulas:
    def test_robust_mark(self) -> None:
        # by hand from the Hyperliquid documents: median(100 + 0.2, median(100.4, 100.6, 100.5), 100.1)
        assert kernels.robust_mark(100.0, 0.2, 100.4, 100.6, 100.5, 100.1) == pytest.approx(100.2, abs=1e-12)

    @given(prices, prices, prices)
    def test_median_of_three(self, a: float, b: float, c: float) -> None:
        assert kernels.median_of_three(a, b, c) == sorted([a, b, c])[1]

    @pytest.mark.parametrize(
        ("bid", "ask", "last", "median"),
        [(99, 101, 100.5, 100.5), (99, 101, 0, 100), (99, 0, 98, 98.5), (0, 101, 0, 101), (0, 0, 97, 97), (0, 0, 0, 0)],
    )
    def test_book_median_of_what_is_there(self, bid: float, ask: float, last: float, median: float) -> None:
        assert kernels.book_median(float(bid), float(ask), float(last)) == median

    @given(prices, prices, prices, prices, prices)
    def test_robust_mark_ignores_one_wild_input(self, oracle: float, bid: float, ask: float, last: float, third: float) -> None:
        mark = kernels.robust_mark(oracle, 0.0, bid, ask, last, third)
        middle = kernels.median_of_three(bid, ask, last)
        assert min(oracle, middle, third) <= mark <= max(oracle, middle, third)
        # where two inputs agree, the other one has no say
        assert kernels.robust_mark(oracle, 0.0, bid, ask, last, oracle) == oracle

    def test_average_starts_at_the_first_sample_and_closes_a_gap_exponentially(self) -> None:
        weighted_sum, weight = kernels.average_after(0.0, 0.0, 5.0, 1.0, 150.0)
        assert weighted_sum / weight == pytest.approx(5.0)
        weighted_sum, weight = 0.0, 150.0  # a long history of zeros
        for _ in range(150):
            weighted_sum, weight = kernels.average_after(weighted_sum, weight, 1.0, 1.0, 150.0)
        assert weighted_sum / weight == pytest.approx(1 - math.exp(-1), rel=0.01)

    @given(st.lists(st.tuples(prices, st.floats(0.01, 1e4)), min_size=1, max_size=20), st.floats(0.1, 1e4))
    def test_average_lies_among_its_samples(self, samples: list[tuple[float, float]], time_constant: float) -> None:
        weighted_sum, weight = 0.0, 0.0
        for sample, elapsed in samples:
            weighted_sum, weight = kernels.average_after(weighted_sum, weight, sample, elapsed, time_constant)
        values = [sample for sample, _ in samples]
        assert min(values) * (1 - 1e-9) <= weighted_sum / weight <= max(values) * (1 + 1e-9)


class TestRules:
    def test_oracle_mark_ignores_the_book(self) -> None:
        assert mark_after(OracleMark(), book(market(123.0), bid=10, ask=11, last=10)) == 123.0

    def test_last_trade_mark(self) -> None:
        assert mark_after(LastTradeMark(), market(123.0)) == 123.0
        assert mark_after(LastTradeMark(), book(market(123.0), last=220)) == 110.0

    def test_every_rule_values_at_the_oracle_at_the_start(self) -> None:
        for rule in (OracleMark(), LastTradeMark(), MedianMark()):
            state = market(123.0)
            rule.init(state, 1)
            assert state.markets["mark"][0] == 123.0

    def test_median_mark_without_a_book_is_the_oracle(self) -> None:
        assert mark_after(MedianMark(), market(123.0), blocks=5) == 123.0

    def test_median_mark_follows_a_lasting_basis(self) -> None:
        # mid 101 over oracle 100: first sample of the basis is 1, so all three inputs agree
        assert mark_after(MedianMark(), book(market(), bid=201, ask=203, last=202), blocks=10) == pytest.approx(101.0)

    def test_one_trade_far_away_does_not_move_the_median(self) -> None:
        state = book(market(), bid=199, ask=201, last=200)
        rule = MedianMark()
        memory = rule.init(state, 1)
        for block in range(100):
            state.venue["block"] = block
            state.markets["last_tick"] = 200 if block < 99 else 900
            rule.update(state, memory)
        assert state.markets["mark"][0] == pytest.approx(100.0, abs=TICK)

    def test_swept_book_moves_the_mark_only_as_the_averages_move(self) -> None:
        state = book(market(), bid=199, ask=201, last=200)
        rule = MedianMark(basis_seconds=150.0, book_seconds=30.0)
        memory = rule.init(state, 1)
        for block in range(1000):
            state.venue["block"] = block
            rule.update(state, memory)
        book(state, bid=99, ask=101, last=100)  # down by half
        marks = []
        for block in range(1000, 1030):
            state.venue["block"] = block
            rule.update(state, memory)
            marks.append(float(state.markets["mark"][0]))
        # The book's median is lowest, its 30 s average next, oracle + 150 s basis highest: the mark is the average
        assert marks[0] == pytest.approx(100.0 - 50.0 / 30.0, abs=0.05)
        assert marks[-1] == pytest.approx(100.0 - 50.0 * (1 - math.exp(-1)), abs=0.5)

    def test_one_sided_book_takes_no_basis_sample(self) -> None:
        state = book(market(), bid=199)
        rule = MedianMark()
        memory = rule.init(state, 1)
        state.venue["block"] = 0
        rule.update(state, memory)
        assert memory["weight"][0, 0] == 0.0
        assert memory["weight"][1, 0] > 0.0

    def test_a_sample_after_a_gap_counts_for_the_whole_gap(self) -> None:
        state = market()
        rule = MedianMark(basis_seconds=150.0)
        memory = rule.init(state, 1)
        for block, bid, ask in [(0, 199, 201), (1, 0, 201), (2, 0, 201), (3, 209, 211)]:
            state.venue["block"] = block
            rule.update(book(state, bid=bid, ask=ask), memory)
        # a basis of 0 that counted for one second, three seconds ago, and a basis of 5 that counts for three
        decay = math.exp(-3 / 150)
        average = memory["weighted_sum"][0, 0] / memory["weight"][0, 0]
        assert average == pytest.approx(5.0 * 3.0 / (decay + 3.0))

    def test_seconds_count_not_blocks(self) -> None:
        def half_way(seconds_per_block: float) -> float:
            state = book(market(seconds_per_block=seconds_per_block), bid=199, ask=201, last=200)
            rule = MedianMark()
            memory = rule.init(state, 1)
            for block in range(round(1200 / seconds_per_block)):
                state.venue["block"] = block
                if block == round(1180 / seconds_per_block):
                    book(state, bid=99, ask=101, last=100)
                rule.update(state, memory)
            return float(state.markets["mark"][0])

        assert half_way(0.1) == pytest.approx(half_way(1.0), rel=0.01)

    @given(prices, st.integers(0, 998), st.integers(0, 999), st.integers(1, 5))
    def test_marks_are_finite_and_between_the_inputs(self, oracle: float, bid: int, last: int, blocks: int) -> None:
        ask = min(999, bid + 3)
        for rule in (OracleMark(), LastTradeMark(), MedianMark()):
            mark = mark_after(rule, book(market(oracle), bid=bid, ask=ask, last=last), blocks)
            known = [oracle] + [tick * TICK for tick in (bid, ask, last) if tick > 0]
            assert np.isfinite(mark)
            assert min(known) * (1 - 1e-9) <= mark <= max(known) * (1 + 1e-9)
