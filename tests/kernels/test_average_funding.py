"""Funding on averages, on the premium of the moment, and on the imbalance of positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.averages import blended_average, pulled_price, sanitised_price
from abm.kernels.pools import velocity_step
from abm.kernels.twap_funding import capped_rates, divergence_rate
from abm.mechanisms.continuous_funding import ConvergenceFunding
from abm.mechanisms.funding import Funding
from abm.mechanisms.skew_funding import VelocityFunding
from abm.mechanisms.twap_funding import DivergenceFunding, TwapPremiumFunding
from abm.parameters import ParameterError
from abm.state import BAR_FUNDING, Capacity, State
from abm.testing import check_rule

CAPACITY = Capacity(orders=64, conditionals=1, transactions=1, records=64)
DAY = 86_400.0
VENUE_COHORT = 3
coins = st.floats(0.001, 1e4)
usd = st.floats(1.0, 1e5)


def market(sizes: list[float], oracle: float = 100.0, mid: float = 100.0, seconds_per_block: float = 60.0) -> State:
    """One account per size in coins (lots of a hundredth), a book whose mid is `mid`."""
    state = State(len(sizes), ["COIN"], [20_000], seconds_per_block, CAPACITY)
    state.cohorts = ("first", "second", "third", "venue")
    state.markets["tick"], state.markets["lot"], state.markets["unit"] = 0.01, 0.01, 0.0001
    state.positions["lots"][:, 0] = np.round(np.array(sizes) * 100)
    quote(state, mid)
    state.markets["mark"] = state.markets["oracle"] = state.markets["index"] = oracle
    return state


def quote(state: State, mid: float) -> None:
    """Sets quotes a cent either side of `mid`."""
    state.markets["best_bid"], state.markets["best_ask"] = round(mid * 100) - 1, round(mid * 100) + 1


def settle(rule: Funding, state: State, blocks: int, first: int = 0, memory: object = None) -> object:
    memory = rule.init(state, 1) if memory is None else memory
    for block in range(first, first + blocks):
        state.venue["block"] = block
        rule.settle(state, memory)
    return memory


def payments(state: State) -> np.ndarray:
    return state.funding_payments[: int(state.venue["funding_payments"][0])]


def received(state: State) -> list[float]:
    return [float(value) for value in state.accounts["funding"]]


class TestDivergence:
    RULE = DivergenceFunding(offset=0.0, average_seconds=60.0, short_average_seconds=60.0)  # the average is the last price

    def test_a_24th_of_the_divergence_an_hour(self) -> None:
        state = market([10.0, -4.0, -6.0], mid=101.2)
        settle(self.RULE, state, 61)
        (payment,) = payments(state)
        assert payment["block"] == 60
        assert payment["per_coin"] == pytest.approx(1.2 / 24.0)
        assert payment["rate_per_day"] == pytest.approx(0.012)
        assert received(state) == pytest.approx([-0.5, 0.2, 0.3])

    def test_the_bound_of_the_tier(self) -> None:
        paid = {}
        for tier in ("A", "C", "Speculative"):
            state = market([1.0, -1.0], mid=109.0)
            settle(DivergenceFunding(offset=0.0, average_seconds=60.0, short_average_seconds=3600.0, tiers=(tier,)), state, 61)
            paid[tier] = received(state)[1] * 24.0
        assert paid == pytest.approx({"A": 100.0 / 33.0, "C": 5.0, "Speculative": 9.0})

    def test_the_offset_is_paid_by_longs_at_no_divergence(self) -> None:
        state = market([1.0, -1.0])
        settle(DivergenceFunding(), state, 61)
        assert received(state)[0] == pytest.approx(-100.0 / 5000.0 / 24.0)

    def test_nothing_is_settled_while_venue_and_oracle_are_too_far_apart(self) -> None:
        state = market([1.0, -1.0], mid=112.0)
        settle(self.RULE, state, 61)
        assert len(payments(state)) == 0

    def test_a_counterparty_pays_at_most_a_third_of_what_it_has_earned(self) -> None:
        # Traders are 10 long and 30 short, the counterparty 20 long; longs pay.
        rule = DivergenceFunding(offset=0.0, average_seconds=60.0, short_average_seconds=3600.0, counterparty_cohorts=("venue",))
        state = market([10.0, -30.0, 20.0], mid=112.0)
        state.accounts["cohort"][2] = VENUE_COHORT
        state.accounts["fees"][2] = 6.0
        settle(rule, state, 61)
        # the divergence is held at 1/33: 0.126 a coin, of which the counterparty can pay 2 USD in all
        per_coin = 100.0 / 33.0 / 24.0
        assert 20.0 * per_coin > 2.0
        assert received(state) == pytest.approx([-10.0 * per_coin, 10.0 * per_coin + 2.0, -2.0])
        assert sum(received(state)) == pytest.approx(0.0, abs=1e-12)

    def test_a_counterparty_that_receives_gets_all_of_it(self) -> None:
        rule = DivergenceFunding(offset=0.0, average_seconds=60.0, counterparty_cohorts=("venue",))
        state = market([30.0, -10.0, -20.0], mid=101.2)
        state.accounts["cohort"][2] = VENUE_COHORT
        settle(rule, state, 61)
        assert received(state) == pytest.approx([-1.5, 0.5, 1.0])

    def test_barred_funding_is_not_paid(self) -> None:
        for cohorts in ((), ("venue",)):
            state = market([10.0, -30.0, 20.0], mid=101.2)
            state.accounts["cohort"][2] = VENUE_COHORT
            state.markets["barred"] = BAR_FUNDING
            settle(DivergenceFunding(offset=0.0, average_seconds=60.0, counterparty_cohorts=cohorts), state, 61)
            assert len(payments(state)) == 0
            assert received(state) == [0.0, 0.0, 0.0]

    def test_wrong_tiers(self) -> None:
        with pytest.raises(ParameterError, match="DivergenceFunding.tiers: 'Z' is not one of A, B"):
            DivergenceFunding(tiers=("Z",))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="2 tiers for 1 markets"):
            DivergenceFunding(tiers=("A", "B")).init(market([1.0]), 1)

    @given(rate=st.floats(-1.0, 1.0), longs=coins, shorts=coins, pool=st.floats(0.0, 1e5), share=st.floats(0.0, 1.0))
    def test_capped_rates_give_out_what_comes_in(self, rate: float, longs: float, shorts: float, pool: float, share: float) -> None:
        long_rate, short_rate, after = capped_rates(rate, longs, -shorts, longs - shorts, pool, 0.0, share)
        gained = long_rate * longs - short_rate * shorts  # by the counterparty
        assert gained == pytest.approx(after - pool, abs=1e-6 * (1.0 + abs(rate) * (longs + shorts)))
        assert after >= pool * (1.0 - share) - 1e-6
        assert abs(long_rate) <= abs(rate) * (1.0 + 1e-12)
        assert abs(short_rate) <= abs(rate) * (1.0 + 1e-12)

    @given(venue=usd, oracle=usd, most=st.floats(0.0, 1.0))
    def test_no_rate_beyond_the_bound(self, venue: float, oracle: float, most: float) -> None:
        assert abs(divergence_rate(venue, oracle, 0.0, most, DAY)) <= most * oracle * (1.0 + 1e-12)


class TestAverages:
    @given(average=usd, price=usd, elapsed=st.floats(0.0, 1e4), period=st.floats(1.0, 1e4))
    def test_between_the_old_average_and_the_price(self, average: float, price: float, elapsed: float, period: float) -> None:
        found = blended_average(average, price, elapsed, period)
        assert min(average, price) * (1.0 - 1e-12) <= found <= max(average, price) * (1.0 + 1e-12)
        if elapsed >= period:
            assert found == pytest.approx(price)

    @given(price=usd, average=usd, band=st.floats(0.001, 1.0))
    def test_one_sample_moves_an_average_by_no_more_than_the_band(self, price: float, average: float, band: float) -> None:
        assert abs(sanitised_price(price, average, band) - average) <= band * average * (1.0 + 1e-12)

    @given(price=usd, own=usd, confidence=st.floats(0.0, 1e4))
    def test_a_price_is_pulled_toward_the_venue_inside_its_confidence(self, price: float, own: float, confidence: float) -> None:
        found = pulled_price(price, confidence, own)
        assert abs(found - price) <= confidence * (1.0 + 1e-9) + 1e-9 * price
        assert min(price, own) - 1e-9 * price <= found <= max(price, own) + 1e-9 * price


class TestWindow:
    def test_an_exact_window_paid_as_time_passes(self) -> None:
        rule = TwapPremiumFunding(window_seconds=600.0, settlement_seconds=60.0)
        state = market([1.0, -1.0], mid=100.0)
        memory = settle(rule, state, 20)
        quote(state, 110.0)
        settle(rule, state, 10, 20, memory)  # ten blocks: the whole window
        rates = [float(payment["premium"]) for payment in payments(state)]
        assert rates[:19] == pytest.approx([0.0] * 19)
        assert rates[19:] == pytest.approx([0.01 * n for n in range(1, 11)])
        assert received(state)[0] == pytest.approx(-sum(range(1, 11)) / 1440.0)

    def test_the_cap_is_a_fraction_of_the_index_per_day(self) -> None:
        state = market([1.0, -1.0], mid=150.0)
        settle(TwapPremiumFunding(window_seconds=900.0, settlement_seconds=3600.0, cap=0.1), state, 1441)
        assert received(state)[1] == pytest.approx(10.0)


class TestConvergence:
    def test_the_premium_is_paid_off_in_eight_hours(self) -> None:
        state = market([1.0, -1.0])
        state.margin_tiers["initial"] = 0.1
        rule = ConvergenceFunding(impact_notional=0.0, static_rate=0.0001, settlement_seconds=3600.0)
        settle(rule, state, 61)
        (payment,) = payments(state)
        assert payment["rate"] == pytest.approx(0.0001)  # no depth: no premium
        assert received(state)[0] == pytest.approx(-0.01)

    def test_the_most_per_hour(self) -> None:
        state = market([1.0, -1.0])
        settle(ConvergenceFunding(static_rate=0.5, settlement_seconds=60.0), state, 61)
        assert received(state)[1] == pytest.approx(0.75)


class TestVelocity:
    def test_the_rate_keeps_rising_while_traders_are_long(self) -> None:
        rule = VelocityFunding(skew_scale=10_000.0, max_velocity=2.4, settlement_seconds=3600.0, counterparty_cohorts=("venue",))
        state = market([10.0, -10.0])
        state.accounts["cohort"][1] = VENUE_COHORT
        memory = settle(rule, state, 60 * 24 + 1)
        assert float(state.markets["funding_per_day"][0]) == pytest.approx(0.24)
        assert received(state)[0] == pytest.approx(-10.0 * 100.0 * 0.12)
        state.positions["lots"][:, 0] = 0  # a balanced market: the rate stays
        settle(rule, state, 60 * 24, 60 * 24 + 1, memory)
        assert float(state.markets["funding_per_day"][0]) == pytest.approx(0.24)
        state.positions["lots"][:, 0] = -1000, 1000
        settle(rule, state, 60 * 24, 60 * 48 + 1, memory)
        assert float(state.markets["funding_per_day"][0]) == pytest.approx(0.0, abs=1e-12)

    def test_without_counterparties_a_book_has_no_skew(self) -> None:
        state = market([10.0, -10.0])
        settle(VelocityFunding(skew_scale=1.0), state, 200)
        assert received(state) == [0.0, 0.0]

    @given(rate=st.floats(-1.0, 1.0), skew=st.floats(-1e4, 1e4), days=st.floats(0.0, 10.0), cut=st.floats(0.0, 1.0))
    def test_how_time_is_cut_does_not_matter(self, rate: float, skew: float, days: float, cut: float) -> None:
        whole, average = velocity_step(rate, skew, 1e3, 3.0, days)
        half, first = velocity_step(rate, skew, 1e3, 3.0, cut * days)
        end, second = velocity_step(half, skew, 1e3, 3.0, (1.0 - cut) * days)
        assert end == pytest.approx(whole, abs=1e-9)
        assert first * cut * days + second * (1.0 - cut) * days == pytest.approx(average * days, abs=1e-9)


@pytest.mark.parametrize(
    "rule",
    [
        DivergenceFunding(settlement_seconds=600.0, counterparty_cohorts=("depth",), tiers=("C",)),
        VelocityFunding(skew_scale=1_000.0, counterparty_cohorts=("depth",)),
    ],
    ids=["divergence", "velocity"],
)
def test_with_a_counterparty(rule: Funding) -> None:
    """The defaults are checked with all other rules; these have somebody on the other side."""
    check_rule(rule)
