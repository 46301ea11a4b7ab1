"""Funding: formulas, votes and samples on a clock, and payments that sum to zero."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels import funding
from abm.kernels import premium as premiums
from abm.kernels.book import impact_price, rest_order
from abm.mechanisms.funding import (
    ClampedPremiumFunding,
    Funding,
    NoFunding,
    PremiumVoteFunding,
    book_premiums,
    pay_funding,
)
from abm.parameters import ParameterError
from abm.state import HALTED, NEVER, Capacity, State

CAPACITY = Capacity(orders=256, conditionals=1, transactions=1, records=64)
TABLES = ("accounts", "positions", "markets", "margin_tiers", "venue", "levels", "orders", "funding_payments")
TICK = 0.01
LOT = 0.001
BOUNDED = {"allow_nan": False, "allow_infinity": False, "allow_subnormal": False}


def small_venue(n_accounts: int = 4, n_markets: int = 1, seconds_per_block: float = 1.0) -> State:
    """Rich accounts without positions; markets at 100 USD, margin fractions 5 % and 3 %, an impact notional of 1,000 USD."""
    state = State(n_accounts, [f"COIN{k}" for k in range(n_markets)], [20_000] * n_markets, seconds_per_block, CAPACITY)
    for name in TABLES if numba.config.DISABLE_JIT else ():
        setattr(state, name, getattr(state, name).view(np.recarray))
    state.accounts["collateral"] = 1e9
    state.markets["tick"] = TICK
    state.markets["lot"] = LOT
    state.markets["unit"] = TICK * LOT
    state.markets["mark"] = state.markets["oracle"] = 100.0
    state.markets["impact_notional"] = 1000.0
    state.margin_tiers["initial"] = 0.05
    state.margin_tiers["maintenance"] = 0.03
    return state


def start(rule: Funding, state: State) -> Any:
    """The rule's memory, readable by kernels that run as plain Python too."""
    memory = rule.init(state, 1)
    if numba.config.DISABLE_JIT and memory is not None:
        tables = {
            name: table.view(np.recarray) for name, table in memory._asdict().items() if isinstance(table, np.ndarray) and table.dtype.names
        }
        memory = memory._replace(**tables)
    return memory


def rest(state: State, side: int, price: float, size: float, account: int = 0, market: int = 0) -> int:
    """Puts one order into the book."""
    return rest_order(
        state.venue,
        state.accounts,
        state.markets,
        state.levels,
        state.bitmap,
        state.orders,
        state.expiry,
        account,
        market,
        side,
        round(price / TICK),
        round(size / LOT),
        0,
        NEVER,
    )


def hold(state: State, sizes: list[float], market: int = 0) -> None:
    """Gives the accounts positions of so many coins."""
    lots = np.array([round(size / LOT) for size in sizes])
    state.positions["lots"][:, market] = lots
    state.markets["open_interest"][market] = lots[lots > 0].sum()


def run(rule: Funding, state: State, memory: Any, blocks: range) -> None:
    for block in blocks:
        state.venue["block"] = block
        rule.settle(state, memory)


def settlements(state: State) -> np.ndarray:
    return state.funding_payments[: int(state.venue["funding_payments"][0])]


# Formulas


@pytest.mark.parametrize(
    ("impact_bid", "impact_ask", "expected"),
    [
        (101.0, 102.0, 0.01),
        (98.0, 99.0, -0.01),
        (99.0, 101.0, 0.0),
        (0.0, 99.0, -0.01),
        (101.0, 0.0, 0.01),
        (0.0, 0.0, 0.0),
    ],
)
def test_premium_of_impact_prices_over_100(impact_bid, impact_ask, expected):
    assert premiums.premium(impact_bid, impact_ask, 100.0) == pytest.approx(expected, abs=1e-15)


@given(
    premium=st.floats(-0.5, 0.5, **BOUNDED),
    interest=st.floats(-0.01, 0.01, **BOUNDED),
    band=st.floats(0.0, 0.01, **BOUNDED),
)
def test_clamp_law(premium, interest, band):
    rate = funding.clamped_premium_rate(premium, interest, band)
    assert rate == pytest.approx(premium + min(max(interest - premium, -band), band), abs=1e-12)
    if abs(interest - premium) <= band:
        assert rate == interest
    else:
        assert rate == pytest.approx(premium + math.copysign(band, interest - premium), abs=1e-12)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.00025, 250), (0.0002509, 250), (-0.0002509, -250), (0.000251, 251), (-0.000089, -89), (0.0, 0)],
)
def test_votes_are_cut_to_millionths_toward_zero(rate, expected):
    assert premiums.premium_vote(rate, 1.0) * 1e6 == pytest.approx(expected, abs=1e-9)


def test_votes_are_held_within_the_limit():
    assert premiums.premium_vote(0.7, 0.1) == 0.1
    assert premiums.premium_vote(-0.7, 0.1) == -0.1
    assert funding.funding_limit(6.0, 0.05, 0.03) == pytest.approx(0.12, abs=1e-15)
    assert funding.funding_limit(6.0, 0.05, 0.05) == 0.0


millionths = st.integers(-2_000, 2_000).map(lambda n: n / 1e6)


@given(votes=st.lists(millionths, min_size=1, max_size=40), least=st.integers(1, 40))
def test_sample_is_the_median_of_votes_padded_with_zeros(votes, least):
    padded = votes + [0.0] * max(0, least - len(votes))
    table = np.full((1, len(padded)), 9.0)
    table[0, : len(votes)] = votes
    sample = premiums.premium_sample(table, 0, len(votes), least)
    assert sample == pytest.approx(float(np.median(padded)), abs=0.51e-6)
    assert sample * 1e6 == pytest.approx(round(sample * 1e6), abs=1e-6)
    assert table[0].tolist() == sorted(padded)


@given(samples=st.lists(millionths, max_size=40), least=st.integers(1, 40), tail=st.floats(0.0, 0.4, **BOUNDED))
def test_average_is_that_of_the_padded_samples_without_their_tails(samples, least, tail):
    padded = samples + [0.0] * max(0, least - len(samples))
    cut = math.floor(2 * len(padded) * tail + 1e-6)
    kept = sorted(padded)[cut // 2 : len(padded) - (cut - cut // 2)] if 0 < cut < len(padded) else padded
    table = np.full((1, len(padded)), 9.0)
    table[0, : len(samples)] = samples
    average = premiums.average_premium(table, 0, len(samples), least, tail)
    assert average == pytest.approx(sum(kept) / len(kept), abs=1.001e-6)
    assert abs(average) <= abs(sum(kept) / len(kept)) + 1e-11


def test_one_settlement_pays_an_eighth_of_an_eight_hour_rate():
    assert funding.settled_rate(0.0095, 1 / 8, 0.04) == pytest.approx(0.0011875, abs=1e-15)
    assert funding.settled_rate(0.5, 1 / 8, 0.04) == 0.04
    assert funding.settled_rate(-0.5, 1 / 8, 0.04) == -0.04


# The premium of a book


@given(
    bids=st.lists(st.tuples(st.integers(9_800, 9_999), st.integers(1, 9_000)), max_size=4),
    asks=st.lists(st.tuples(st.integers(10_000, 10_200), st.integers(1, 9_000)), max_size=4),
    oracle=st.floats(97.0, 103.0),
)
def test_book_premium_is_that_of_both_impact_prices(bids, asks, oracle):
    state = small_venue()
    state.markets["oracle"] = oracle
    for side, levels in ((1, bids), (-1, asks)):
        for tick, lots in levels:
            rest(state, side, tick * TICK, lots * LOT)
    tables = (state.accounts, state.positions, state.markets, state.margin_tiers, state.levels, state.bitmap, state.orders)
    bid, ask = (impact_price(*tables, 0, side, 1000.0) for side in (-1, 1))
    assert book_premiums(state)[0] == premiums.premium(bid, ask, oracle)


def test_no_premium_while_halted_or_without_oracle_price():
    state = small_venue()
    rest(state, 1, 101.0, 100.0)
    assert book_premiums(state)[0] == pytest.approx(0.01)
    state.markets["status"] = HALTED
    assert book_premiums(state)[0] == 0.0
    state.markets["status"] = 0
    state.markets["oracle"] = 0.0
    assert book_premiums(state)[0] == 0.0


def test_no_premium_where_the_book_is_too_thin():
    state = small_venue()
    rest(state, 1, 101.0, 5.0)
    assert book_premiums(state)[0] == 0.0


# Settlement


@given(
    sizes=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30),
    per_coin=st.floats(-1e3, 1e3, **BOUNDED),
    index=st.floats(-1e6, 1e6, **BOUNDED),
)
def test_payments_sum_to_zero_and_longs_pay_a_positive_rate(sizes, per_coin, index):
    state = small_venue(n_accounts=len(sizes) + 1)
    lots = np.array([*sizes, -sum(sizes)])
    state.positions["lots"][:, 0] = lots
    state.markets["funding_index"] = index
    before = state.accounts["collateral"].copy()
    pay_funding(state, per_coin, 0.001, interval_seconds=3600.0)
    received = state.accounts["funding"]
    [settlement] = settlements(state)
    assert abs(math.fsum(received)) <= 1e-9 * settlement["paid"]
    assert settlement["paid"] == pytest.approx(received[received > 0].sum(), rel=1e-12)
    moved = float(state.markets["funding_index"][0]) - index
    assert moved == pytest.approx(per_coin, abs=1e-9)
    np.testing.assert_allclose(received, -lots * LOT * moved, rtol=1e-12)
    np.testing.assert_allclose(state.accounts["collateral"], before + received, rtol=1e-15)


def test_paid_amounts_can_come_from_a_rule_in_plain_numpy():
    state = small_venue(n_markets=2)
    hold(state, [1.0, -1.0, 0.0, 0.0], market=0)
    hold(state, [0.0, 2.0, -2.0, 0.0], market=1)
    state.markets["oracle"] = [100.0, 50.0]
    rate = np.array([0.001, -0.002])
    pay_funding(state, rate * state.markets["oracle"], rate, interval_seconds=28_800.0, premium=rate, due=[False, True])
    np.testing.assert_allclose(state.accounts["funding"], [0.0, 0.2, -0.2, 0.0], atol=1e-12)
    [settlement] = settlements(state)
    assert settlement["market"] == 1
    assert settlement["rate"] == -0.002
    assert settlement["rate_per_day"] == pytest.approx(-0.006)
    assert settlement["premium"] == -0.002
    assert settlement["price"] == 50.0
    assert settlement["per_coin"] == pytest.approx(-0.1)
    assert settlement["paid"] == pytest.approx(0.2)
    assert settlement["open_interest"] == 2000
    assert state.markets["funding_rate"].tolist() == [0.0, -0.002]


@pytest.mark.parametrize(
    ("per_coin", "rate", "interval", "message"),
    [
        ([0.1, np.nan], 0.0, 3600.0, "per_coin of COIN1 must be a finite number, not nan"),
        (0.1, [np.inf, 0.0], 3600.0, "rate of COIN0 must be a finite number, not inf"),
        ([0.1, 0.2, 0.3], 0.0, 3600.0, "per_coin must be one number or 2"),
        (0.1, 0.0, 0.0, "interval_seconds must be a finite time > 0, not 0.0"),
    ],
)
def test_wrong_amounts_are_refused_before_anybody_pays(per_coin, rate, interval, message):
    state = small_venue(n_markets=2)
    hold(state, [1.0, -1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=message):
        pay_funding(state, per_coin, rate, interval_seconds=interval)
    assert not state.accounts["funding"].any()


def test_a_full_record_table_is_not_overrun():
    state = small_venue()
    hold(state, [1.0, -1.0, 0.0, 0.0])
    for _ in range(CAPACITY.records + 3):
        pay_funding(state, 0.5, 0.005, interval_seconds=3600.0)
    assert state.venue["funding_payments"][0] == CAPACITY.records + 3
    assert state.accounts["funding"][1] == pytest.approx(0.5 * (CAPACITY.records + 3))


# Rules on the clock


def test_nobody_pays_without_funding():
    state = small_venue()
    hold(state, [1.0, -1.0, 0.0, 0.0])
    rest(state, 1, 101.0, 100.0)
    rule = NoFunding()
    run(rule, state, start(rule, state), range(0, 8000, 100))
    assert not state.accounts["funding"].any()
    assert state.venue["funding_payments"][0] == 0


def test_voted_funding_pays_the_hour_s_premium():
    state = small_venue()
    hold(state, [2.0, -2.0, 0.0, 0.0])
    rest(state, 1, 101.0, 100.0)
    rule = PremiumVoteFunding()
    run(rule, state, start(rule, state), range(7201))
    first, second = settlements(state)
    assert (first["block"], second["block"]) == (3600, 7200)
    for settlement in (first, second):
        assert settlement["premium"] == pytest.approx(0.01, abs=1e-12)
        assert settlement["rate"] == pytest.approx(0.01 / 8, abs=1e-12)
        assert settlement["rate_per_day"] == pytest.approx(0.03, abs=1e-12)
        assert settlement["per_coin"] == pytest.approx(0.125, abs=1e-12)
        assert settlement["paid"] == pytest.approx(0.25, abs=1e-10)
    np.testing.assert_allclose(state.accounts["funding"], [-0.5, 0.5, 0.0, 0.0], atol=1e-10)
    assert state.markets["premium"][0] == pytest.approx(0.01, abs=1e-12)


def test_a_halt_counts_as_votes_of_zero():
    state = small_venue()
    rest(state, 1, 101.0, 100.0)
    rule = PremiumVoteFunding()
    memory = start(rule, state)
    run(rule, state, memory, range(1800))
    state.markets["status"] = HALTED
    run(rule, state, memory, range(1800, 3601))
    [settlement] = settlements(state)
    assert settlement["premium"] == pytest.approx(0.005, abs=1e-12)


@pytest.mark.parametrize(("seconds", "expected"), [(29, 0.0), (30, 0.005), (31, 0.01)])
def test_quotes_of_less_than_half_of_each_minute_move_nothing(seconds, expected):
    state = small_venue()
    rest(state, 1, 101.0, 100.0)
    rule = PremiumVoteFunding()
    memory = start(rule, state)
    for block in range(7201):
        # The first sample is taken at second 30, of the votes up to then; minutes start behind it.
        state.markets["oracle"] = 100.0 if (block - 31) % 60 < seconds else 101.0
        state.venue["block"] = block
        rule.settle(state, memory)
    assert settlements(state)[1]["premium"] == pytest.approx(expected, abs=1e-12)


def test_default_rate_and_clamp_by_market():
    state = small_venue(n_markets=2)
    hold(state, [1.0, -1.0, 0.0, 0.0], market=0)
    hold(state, [1.0, -1.0, 0.0, 0.0], market=1)
    rest(state, 1, 150.0, 100.0, market=1)
    rule = PremiumVoteFunding(default_rate=(0.0001, 0.0))
    run(rule, state, start(rule, state), range(3601))
    quiet, dear = settlements(state)
    assert quiet["rate"] == pytest.approx(0.0001 / 8, abs=1e-15)
    assert dear["premium"] == pytest.approx(0.5, abs=1e-12)
    assert dear["rate"] == pytest.approx(6 * 0.02 / 8, abs=1e-12)


def test_equal_margin_fractions_leave_no_funding():
    state = small_venue()
    state.margin_tiers["maintenance"] = 0.05
    rest(state, 1, 110.0, 100.0)
    rule = PremiumVoteFunding(default_rate=0.001)
    run(rule, state, start(rule, state), range(3601))
    [settlement] = settlements(state)
    assert settlement["rate"] == 0.0


@pytest.mark.parametrize("seconds_per_block", [0.5, 7.0, 60.0, 3600.0])
def test_the_premium_is_the_same_on_any_clock(seconds_per_block):
    state = small_venue(seconds_per_block=seconds_per_block)
    hold(state, [1.0, -1.0, 0.0, 0.0])
    rest(state, 1, 101.0, 100.0)
    rule = PremiumVoteFunding()
    blocks = state.blocks(3600.0)
    run(rule, state, start(rule, state), range(2 * blocks + 1))
    settlement = settlements(state)[-1]
    assert settlement["block"] == 2 * blocks
    assert settlement["premium"] == pytest.approx(0.01, abs=1e-12)
    assert settlement["rate_per_day"] == pytest.approx(0.03, rel=1e-12)


def test_clamped_funding_as_in_hyperliquid_s_example():
    state = small_venue()
    state.markets["tick"] = 1.0
    state.markets["unit"] = LOT
    state.markets["oracle"] = state.markets["mark"] = 10_000.0
    hold(state, [10.0, -10.0, 0.0, 0.0])
    rest(state, 1, 10_100 * TICK, 10.0)
    rule = ClampedPremiumFunding()
    run(rule, state, start(rule, state), range(3601))
    [settlement] = settlements(state)
    assert settlement["premium"] == pytest.approx(0.01, abs=1e-12)
    assert settlement["rate"] == pytest.approx(0.0011875, abs=1e-12)
    assert settlement["rate_per_day"] == pytest.approx(0.0285, abs=1e-12)
    np.testing.assert_allclose(state.accounts["funding"], [-118.75, 118.75, 0.0, 0.0], atol=1e-8)
    assert state.markets["funding_rate"][0] == settlement["rate"]


@pytest.mark.parametrize(("averaging", "expected"), [("plain", 0.005), ("time-weighted", 0.01 * (9 + 10 + 11 + 12) / 78)])
def test_samples_are_averaged_as_the_rule_says(averaging, expected):
    state = small_venue(seconds_per_block=5.0)
    rule = ClampedPremiumFunding(
        averaging=averaging, impact_notional=1_000.0, settlement_seconds=60.0, band=0.0, interest=0.0, cap=math.inf
    )
    memory = start(rule, state)
    first_dear = 9 if averaging == "time-weighted" else 7
    run(rule, state, memory, range(first_dear))
    rest(state, 1, 101.0, 100.0)
    run(rule, state, memory, range(first_dear, 13))
    [settlement] = settlements(state)
    assert settlement["block"] == 12
    assert settlement["premium"] == pytest.approx(expected, abs=1e-12)
    assert settlement["rate"] == pytest.approx(expected * 60 / 28_800, abs=1e-15)


def test_samples_are_taken_every_five_seconds_only():
    state = small_venue()
    rule = ClampedPremiumFunding(settlement_seconds=60.0)
    memory = start(rule, state)
    for block in range(61):
        state.venue["block"] = block
        state.markets["status"] = 0 if block % 5 else HALTED
        if block == 0:
            rest(state, 1, 101.0, 100.0)
        rule.settle(state, memory)
    [settlement] = settlements(state)
    assert settlement["premium"] == 0.0
    assert settlement["rate"] == pytest.approx(0.0001 * 60 / 28_800, abs=1e-18)


def test_caps_and_price_of_payment():
    state = small_venue()
    state.markets["mark"] = 110.0
    hold(state, [1.0, -1.0, 0.0, 0.0])
    rest(state, 1, 150.0, 100.0)
    rule = ClampedPremiumFunding(settlement_seconds=28_800.0, cap=math.inf, payment_price="mark", impact_notional=1_000.0)
    for variant, rate in (
        (rule, 0.4995),
        (replace(rule, cap=0.2), 0.2),
        (replace(rule, maintenance_cap=0.75), 0.0225),
        (replace(rule, cap=0.02, maintenance_cap=0.75), 0.02),
    ):
        state.venue["funding_payments"] = 0
        run(variant, state, start(variant, state), range(5, 28_801, 5))
        [settlement] = settlements(state)
        assert settlement["rate"] == pytest.approx(rate, abs=1e-12)
        assert settlement["price"] == 110.0
        assert settlement["per_coin"] == pytest.approx(110.0 * rate, abs=1e-9)


def test_nothing_is_sampled_before_the_first_block_of_trading():
    state = small_venue(seconds_per_block=60.0)
    rest(state, 1, 101.0, 100.0)
    rule = ClampedPremiumFunding(settlement_seconds=60.0)
    run(rule, state, start(rule, state), range(1))
    assert state.venue["funding_payments"][0] == 0
    assert state.markets["premium"][0] == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClampedPremiumFunding(averaging="weighted"), "averaging: 'weighted' is not one of 'plain', 'time-weighted'"),
        (lambda: ClampedPremiumFunding(payment_price="index"), "payment_price: 'index' is not one of 'oracle', 'mark'"),
        (lambda: ClampedPremiumFunding(sample_seconds=60.0, settlement_seconds=5.0), "sample_seconds 60 is longer"),
        (lambda: ClampedPremiumFunding(band=-0.1), "band: -0.1 is not in"),
        (lambda: ClampedPremiumFunding(interest=math.nan), "interest: nan is not in"),
        (lambda: PremiumVoteFunding(sample_seconds=7200.0), "sample_seconds 7200 is longer"),
        (lambda: PremiumVoteFunding(default_rate=math.inf), "default_rate: inf is not in"),
        (lambda: PremiumVoteFunding(default_rate=(0.0, 0.0)).init(small_venue(), 1), "default_rate: 2 values for 1 markets"),
    ],
)
def test_contradictions_are_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_impact_orders_are_of_the_size_the_venues_say():
    """Genesis of dYdX: 10,000 USD at 5 % initial margin, 5,000 at 10 %, 2,500 at 20 %. Hyperliquid: 20,000, in small markets 6,000."""
    state = small_venue(n_markets=3)
    state.margin_tiers["initial"][:, 0] = 0.05, 0.1, 0.2
    start(PremiumVoteFunding(), state)
    assert state.markets["impact_notional"].tolist() == pytest.approx([10_000.0, 5_000.0, 2_500.0])
    start(ClampedPremiumFunding(impact_notional=(20_000.0, 6_000.0, 6_000.0)), state)
    assert state.markets["impact_notional"].tolist() == [20_000.0, 6_000.0, 6_000.0]


def test_a_thin_quote_above_the_oracle_makes_no_premium():
    """The best bid is 10 % up but holds 110 USD of the 1,000 of an impact order; the rest is filled at the oracle price."""
    for impact_margin, premium in ((50.0, 1_000.0 / (1.0 + 890.0 / 100.0) / 100.0 - 1.0), (0.0, 0.1)):
        state = small_venue()
        memory = start(PremiumVoteFunding(sample_seconds=1.0, settlement_seconds=1.0, least_votes=1, impact_margin=impact_margin), state)
        rest(state, 1, 110.0, 1.0)
        rest(state, 1, 100.0, 100.0, account=1)
        run(PremiumVoteFunding(), state, memory, range(1, 3))
        assert state.markets["premium"][0] == pytest.approx(premium, abs=1e-6)
