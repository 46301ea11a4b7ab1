"""Fees by tier, and the window of volumes that earns them."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels import fees
from abm.mechanisms.fees import DYDX_TIERS, FeeTier, FlatFees, TieredFees
from abm.parameters import ParameterError
from abm.state import Capacity, State

CAPACITY = Capacity(orders=2, conditionals=1, transactions=1, records=2)


def small_venue(n_accounts: int = 3, seconds_per_block: float = 3600.0) -> State:
    state = State(n_accounts, ["COIN"], [4], seconds_per_block, CAPACITY)
    if numba.config.DISABLE_JIT:
        state.accounts = state.accounts.view(np.recarray)
    return state


@pytest.fixture(autouse=True)
def _records_by_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the kernel read the rule's own table when it runs as plain Python."""
    if numba.config.DISABLE_JIT:
        monkeypatch.setattr(
            "abm.mechanisms.fees.assign_fees",
            lambda accounts, tiers, *rest: fees.assign_fees(accounts, tiers.view(np.recarray), *rest),
        )


def tier_table(tiers: tuple[FeeTier, ...]) -> np.ndarray:
    table = np.zeros(len(tiers), fees.FEE_TIER)
    for name in table.dtype.names:
        table[name] = [getattr(tier, name) for tier in tiers]
    return table.view(np.recarray) if numba.config.DISABLE_JIT else table


@pytest.mark.parametrize(
    ("taker", "maker", "venue", "row"),
    [
        (0.0, 0.0, 0.0, 0),
        (999_999.0, 0.0, 1e9, 0),
        (1e6, 0.0, 1e9, 1),
        (1e6, 24e6, 1e9, 3),
        (125e6, 0.0, 1e12, 4),
        (125e6, 0.0, 25e9, 5),
        (0.0, 125e6, 12.5e9, 6),
        (0.0, 1e9, 50e9, 7),
        (0.0, 1e9, 25e9, 8),
    ],
)
def test_tiers_of_dydx(taker, maker, venue, row):
    assert fees.fee_tier(tier_table(DYDX_TIERS), taker, maker, venue) == row


@given(
    low=st.floats(0.0, 1e9),
    more=st.floats(0.0, 1e9),
    maker=st.floats(0.0, 1e9),
    others=st.floats(0.0, 1e12),
)
def test_a_taker_fee_never_rises_with_volume(low, more, maker, others):
    tiers = tier_table(DYDX_TIERS)
    fee_before = tiers[fees.fee_tier(tiers, low, maker, others + low)]["taker"]
    fee_after = tiers[fees.fee_tier(tiers, low + more, maker, others + low)]["taker"]
    assert fee_after <= fee_before


@pytest.mark.parametrize(
    ("fee", "charge", "discount", "expected"),
    [
        (0.0005, 1.0, 0.0, 500),
        (0.0005, 0.5, 0.1, 225),
        (0.000003, 1.0, 0.5, 1),
        (-0.000003, 1.0, 0.5, -1),
        (-0.00011, 1.0, 0.0, -110),
        (0.0005, 0.0, 0.0, 0),
    ],
)
def test_charged_fees_are_whole_millionths_toward_zero(fee, charge, discount, expected):
    assert fees.charged_fee(fee, charge, discount) * 1e6 == pytest.approx(expected, abs=1e-9)


def test_flat_fees_are_everybody_s_from_the_start():
    state = small_venue()
    rule = FlatFees(maker=-0.0001, taker=0.0004)
    rule.update(state, rule.init(state, 1))
    assert (state.accounts["maker_fee"] == -0.0001).all()
    assert (state.accounts["taker_fee"] == 0.0004).all()
    FlatFees(maker=0.0, taker=0.0).init(state, 1)
    assert not state.accounts["taker_fee"].any()


def test_fees_change_only_when_they_are_refreshed():
    state = small_venue()
    rule = TieredFees()
    memory = rule.init(state, 1)
    assert state.accounts["taker_fee"].tolist() == [0.0005] * 3
    state.accounts["taker_volume"][1] = 30e6
    for block in range(24):
        state.venue["block"] = block
        rule.update(state, memory)
    assert state.accounts["taker_fee"].tolist() == [0.0005] * 3
    state.venue["block"] = 24
    rule.update(state, memory)
    assert state.accounts["taker_fee"].tolist() == [0.0005, 0.00035, 0.0005]
    assert state.accounts["maker_fee"].tolist() == [0.0001, 0.0, 0.0001]


def test_volume_counts_for_the_window_and_no_longer():
    state = small_venue(seconds_per_block=86_400.0)
    rule = TieredFees(window_seconds=3 * 86_400.0)
    memory = rule.init(state, 1)
    traded = [7e6, 0.0, 1e6, 2e6, 0.0, 0.0, 0.0, 5e6]
    for day, volume in enumerate(traded, start=1):
        state.accounts["taker_volume"][0] += volume
        state.accounts["maker_volume"][2] += 2 * volume
        state.venue["block"] = day
        rule.update(state, memory)
        window = sum(traded[max(0, day - 3) : day])
        assert state.accounts["taker_volume"][0] == pytest.approx(window, rel=1e-12)
        assert state.accounts["maker_volume"][2] == pytest.approx(2 * window, rel=1e-12)
        assert state.accounts["taker_fee"][0] == (0.0004 if window >= 5e6 else 0.00045 if window >= 1e6 else 0.0005)


def test_volume_before_the_run_counts_and_fades():
    state = small_venue(seconds_per_block=86_400.0)
    state.accounts["taker_volume"][0] = 30e6
    rule = TieredFees()
    memory = rule.init(state, 1)
    assert state.accounts["taker_fee"].tolist() == [0.00035, 0.0005, 0.0005]
    for day in range(1, 31):
        state.venue["block"] = day
        rule.update(state, memory)
        assert state.accounts["taker_volume"][0] == pytest.approx(30e6 - day * 1e6, abs=1e-3)
    assert state.accounts["taker_fee"][0] == 0.0005


def test_a_short_run_can_stand_for_a_month():
    state = small_venue()
    state.accounts["taker_volume"] = [0.9e6, 1e6 / 30.0, 0.0]
    TieredFees(volume_scale=30.0).init(state, 1)
    assert state.accounts["taker_fee"].tolist() == [0.00035, 0.00045, 0.0005]


def test_shares_are_of_what_all_accounts_took():
    state = small_venue()
    state.accounts["taker_volume"] = [10e9, 0.0, 0.0]
    state.accounts["maker_volume"] = [0.0, 9.7e9, 0.3e9]
    TieredFees().init(state, 1)
    assert state.accounts["maker_fee"].tolist() == [-0.00005, -0.00011, -0.00011]


def test_vaults_have_the_last_tier_whatever_they_traded():
    state = small_venue()
    state.cohorts = ("scalpers", "hedgers", "takers", "vault")
    state.accounts["cohort"] = [0, 3, 2]
    TieredFees(highest_tier_cohorts=("vault",), market_charge=0.5).init(state, 1)
    assert state.accounts["maker_fee"].tolist() == [0.00005, -0.000055, 0.00005]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlatFees(maker=-0.0005, taker=0.0004), "largest maker rebate 0.0005 exceeds the smallest taker fee 0.0004"),
        (
            lambda: TieredFees(tiers=(*DYDX_TIERS, FeeTier(volume=1e9, total_share=0.01, maker_share=0.04, maker=-0.0003, taker=0.0003))),
            "largest maker rebate 0.0003 exceeds the smallest taker fee 0.00025",
        ),
        (lambda: TieredFees(tiers=()), "at least one tier"),
        (lambda: TieredFees(tiers=DYDX_TIERS[1:]), "first tier must be open to everybody"),
        (lambda: TieredFees(tiers=(DYDX_TIERS[0], DYDX_TIERS[2], DYDX_TIERS[1])), "tier 3 asks for less volume"),
        (lambda: TieredFees(refresh_seconds=1.0), "window_seconds 2.592e\\+06 is more than 1000 times"),
        (lambda: FlatFees(maker=0.0, taker=1.5), "FlatFees.taker: 1.5 is not in"),
    ],
)
def test_contradictions_are_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
