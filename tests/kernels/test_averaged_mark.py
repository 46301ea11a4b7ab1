"""Marks from averages and from the funding basis, and the price that conditional orders are compared with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.averaged_mark import fair_price, median_of_averages, price_with_basis, trigger_price
from abm.mechanisms.averaged_mark import AveragesMedianMark, AverageTradeMark, BasisMedianMark, FairBasisMark, OracleMarkWithTrigger
from abm.mechanisms.mark import Mark
from abm.parameters import ParameterError
from abm.state import BAR_TRIGGERS, CONDITIONAL, TRIGGER_ABOVE, State
from tests.kernels.exchange import Exchange

prices = st.floats(1.0, 1e5)


def market(oracle: float = 100.0, seconds_per_block: float = 1.0) -> State:
    state = State(1, ["BTC"], [1000], seconds_per_block)
    state.markets["oracle"] = state.markets["mark"] = oracle
    state.markets["tick"] = 0.5
    return state


def book(state: State, bid: int = 0, ask: int = 1000, last: int = 0) -> State:
    state.markets["best_bid"], state.markets["best_ask"], state.markets["last_tick"] = bid, ask, last
    return state


def marks(rule: Mark, state: State, blocks: int, memory: object = None, first: int = 0) -> tuple[list[float], object]:
    memory = rule.init(state, 1) if memory is None else memory
    seen = []
    for block in range(first, first + blocks):
        state.venue["block"] = block
        rule.update(state, memory)
        seen.append(float(state.markets["mark"][0]))
    return seen, memory


class TestAveragesMedian:
    RULE = AveragesMedianMark(short_seconds=2.0, long_seconds=20.0, premium_seconds=10.0)

    def test_a_jump_of_the_book_moves_it_only_after_the_short_and_one_other_average(self) -> None:
        state = book(market(), bid=199, ask=201)
        before, memory = marks(self.RULE, state, 30)
        assert before == pytest.approx([100.0] * 30)
        book(state, bid=219, ask=221)
        after, _ = marks(self.RULE, state, 12, memory, 30)
        # averages over 2, 20 and (premium) 10 blocks after n blocks at 110: the middle one is index + premium
        assert after == pytest.approx([100.0 + min(n, 10) for n in range(1, 11)] + [110.0, 110.0])

    def test_without_quotes_the_last_trade_counts(self) -> None:
        seen, _ = marks(self.RULE, book(market(), last=180), 3)
        assert seen == pytest.approx([90.0] * 3)

    @given(short=prices, long=prices, index=prices)
    def test_two_that_agree_outvote_the_third(self, short: float, long: float, index: float) -> None:
        assert median_of_averages(short, short, index, 0.0) == short
        assert median_of_averages(short, long, long, 0.0) == long


class TestFundingBasis:
    def test_the_fair_price_fades_to_the_index_until_funding_is_paid(self) -> None:
        state = market()
        state.markets["funding_rate"] = 0.01
        seen, _ = marks(FairBasisMark(settlement_seconds=10.0), state, 11)
        assert seen == pytest.approx([100.0 * (1.0 + 0.01 * (1.0 - (n % 10) / 10.0)) for n in range(11)])

    def test_the_median_with_basis_and_last_trade(self) -> None:
        state = book(market(), bid=208, ask=212, last=200)
        state.markets["funding_rate"] = 0.02
        seen, _ = marks(BasisMedianMark(basis_seconds=30.0, settlement_seconds=1000.0), state, 1)
        assert seen == pytest.approx([102.0])  # fair 102, basis 105, last 100
        book(state, bid=208, ask=212, last=1)
        assert marks(BasisMedianMark(settlement_seconds=1000.0), state, 1)[0] == pytest.approx([102.0])  # a last trade of 0.5 is outvoted

    @given(index=prices, rate=st.floats(-0.1, 0.1), left=st.floats(0.0, 1.0), basis=st.floats(-10.0, 10.0), last=prices)
    def test_formula(self, index: float, rate: float, left: float, basis: float, last: float) -> None:
        fair = fair_price(index, rate, left)
        assert price_with_basis(index, rate, left, basis, last) == sorted([fair, index + basis, last])[1]


class TestAverageTrade:
    def test_window(self) -> None:
        rule = AverageTradeMark(average_seconds=4.0)
        state = book(market(), last=200)
        _, memory = marks(rule, state, 5)
        book(state, last=240)
        seen, _ = marks(rule, state, 5, memory, 5)
        assert seen == pytest.approx([105.0, 110.0, 115.0, 120.0, 120.0])

    def test_exponential(self) -> None:
        rule = AverageTradeMark(average_seconds=4.0, averaging="exponential")
        seen, _ = marks(rule, book(market(), last=240), 3)
        assert seen == pytest.approx([105.0, 108.75, 111.5625])
        with pytest.raises(ParameterError, match="AverageTradeMark.averaging: 'mean' is not one of"):
            AverageTradeMark(averaging="mean")  # type: ignore[arg-type]


class TestTrigger:
    def test_margin_is_valued_at_the_oracle_and_triggers_stay_in_the_band(self) -> None:
        rule = OracleMarkWithTrigger(average_seconds=1.0, settlement_seconds=10.0, tiers=("C",))
        state = book(market(), bid=239, ask=241, last=240)
        seen, _ = marks(rule, state, 5)
        assert seen == [100.0] * 5
        assert float(state.markets["trigger"][0]) == pytest.approx(101.0)  # median 120, band 1 %

    def test_after_a_settlement_the_funding_basis_counts_and_fades(self) -> None:
        rule = OracleMarkWithTrigger(average_seconds=1.0, settlement_seconds=10.0, offset=0.0, tiers=("Isolated",))
        state = book(market(), bid=203, ask=205, last=200)  # average mid 102, last 100
        state.markets["funding_per_day"] = 0.015
        _, memory = marks(rule, state, 10)
        assert float(state.markets["trigger"][0]) == pytest.approx(100.0)  # nothing has been settled yet: basis 0
        triggers = []
        for block in range(10, 20):
            marks(rule, state, 1, memory, block)
            triggers.append(float(state.markets["trigger"][0]))
        assert triggers == pytest.approx([100.0 + 1.5 * (1.0 - n / 10.0) for n in range(10)])

    @given(oracle=prices, last=prices, venue=prices, average=prices, basis=st.floats(-100.0, 100.0), band=st.floats(0.001, 0.1))
    def test_never_outside_the_band(self, oracle: float, last: float, venue: float, average: float, basis: float, band: float) -> None:
        found = trigger_price(oracle, last, venue, average, basis, band)
        assert oracle * (1.0 - band) * (1.0 - 1e-12) <= found <= oracle * (1.0 + band) * (1.0 + 1e-12)

    def waiting(self, **fields: float) -> Exchange:
        """A stop of account 0 that sells at or below 95 USD, or buys at or above 105."""
        exchange = Exchange(3)
        exchange.place(1, -1, 110, 10)
        exchange.execute(CONDITIONAL, 0, side=1, tick=110, lots=5, amount=105.0, flags=TRIGGER_ABOVE)
        for name, value in fields.items():
            exchange.state.markets[name] = value
        exchange.next_block()
        exchange.clear()
        return exchange

    def test_conditional_orders_follow_the_trigger_price(self) -> None:
        assert self.waiting(trigger=104.0, oracle=120.0).lots(0) == 0
        assert self.waiting(trigger=105.0).lots(0) == 5
        assert self.waiting(oracle=105.0).lots(0) == 5  # without a trigger price the oracle's

    def test_barred_triggers_wait(self) -> None:
        exchange = self.waiting(oracle=105.0, barred=BAR_TRIGGERS)
        assert exchange.lots(0) == 0
        exchange.state.markets["barred"] = 0
        exchange.next_block()
        exchange.clear()
        assert exchange.lots(0) == 5
