"""Laws of funding: the clamp, and who pays whom.

Sources: Binance, BitMEX and Hyperliquid documentation, funding rates: F = P + clamp(I - P, -c, c).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from abm.agents.passive import FixedSlippage, SteadyDepth
from abm.mechanisms.funding import ClampedPremiumFunding, PremiumVoteFunding
from tests.model.small_worlds import listing, makers, plain_diffusion, plain_venue, scripted

CLAMP = 1e-12
SETTLEMENT = 20  # blocks
SHARE = SETTLEMENT / 28_800.0


def settlements(premium: float, interest: float, band: float, volatility: float = 0.5) -> pl.DataFrame:
    """Funding settlements of a run in which the book stays at `premium` over the oracle price of the block before."""
    rule = ClampedPremiumFunding(sample_seconds=1.0, settlement_seconds=float(SETTLEMENT), interest=interest, band=band, cap=float("inf"))
    book = makers(FixedSlippage(premium=premium, reference="oracle", notional=1e6, priority_fee=1.0))
    traders = [
        (1e5, {0: lambda trader: trader.buy("BTC", 3.0)}),
        (1e5, {0: lambda trader: trader.sell("BTC", 2.0)}),
    ]
    world = plain_diffusion(volatility=volatility)
    model, people = scripted(plain_venue(funding=rule), world, traders, 10 * SETTLEMENT + 1, [book])
    model.run()
    assert [trader.position("BTC") for trader in people] == pytest.approx([3.0, -2.0])
    frame = model.frames()["funding"]
    assert len(frame) == 10
    paid = np.array([float(trader.account["funding"]) for trader in people])
    per_coin = frame["per_coin"].sum()
    assert paid == pytest.approx([-3.0 * per_coin, 2.0 * per_coin], rel=1e-9, abs=1e-12)
    return frame


@pytest.mark.parametrize("premium", [-0.004, -0.0007, -0.0003, 0.0, 0.0002, 0.0004, 0.0008, 0.004])
@pytest.mark.parametrize(("interest", "band"), [(0.0001, 0.0005), (-0.0002, 0.0003), (0.0, 0.0005), (0.0003, 0.0), (0.0001, 0.01)])
def test_clamp(premium: float, interest: float, band: float) -> None:
    """F = P + clamp(I - P, -c, c) of the recorded average premium P, to 1e-12; longs pay F x price."""
    frame = settlements(premium, interest, band)
    P = frame["premium"].to_numpy()
    assert np.abs(P - premium).max() < 0.0002
    law = P + np.clip(interest - P, -band, band)
    assert frame["rate"].to_numpy() == pytest.approx(SHARE * law, rel=0.0, abs=CLAMP)
    assert frame["per_coin"].to_numpy() == pytest.approx(frame["rate"].to_numpy() * frame["price"].to_numpy(), rel=CLAMP)


def test_inside_the_band_funding_is_the_interest_whatever_the_premium() -> None:
    """Premiums that differ, but stay within c of I, give bit-identical rates: funding does not pull there."""
    interest, band = 0.0001, 0.001
    frames = [settlements(premium, interest, band) for premium in (-0.0006, 0.0, 0.0003, 0.0009)]
    averages = np.array([frame["premium"].to_numpy() for frame in frames])
    assert np.ptp(averages.mean(axis=1)) > 0.001
    assert np.abs(averages - interest).max() < band
    assert {rate for frame in frames for rate in frame["rate"].to_list()} == {interest * SHARE}


def test_without_band_and_interest_the_whole_premium_is_paid() -> None:
    """I = c = 0: F = P."""
    frame = settlements(0.002, 0.0, 0.0)
    assert frame["rate"].to_numpy() == pytest.approx(SHARE * frame["premium"].to_numpy(), rel=CLAMP)
    assert (frame["rate"] > 0.0).all()


@pytest.mark.parametrize(
    "rule",
    [
        ClampedPremiumFunding(sample_seconds=1.0, settlement_seconds=30.0),
        PremiumVoteFunding(sample_seconds=5.0, sample_offset_seconds=0.0, least_votes=1, settlement_seconds=30.0),
    ],
    ids=["clamped premium", "premium votes"],
)
def test_funding_is_zero_sum_in_every_interval_and_market(rule: ClampedPremiumFunding | PremiumVoteFunding) -> None:
    """What longs pay is what shorts receive, settlement by settlement and market by market, to 1e-9 of the amount."""
    book = makers(SteadyDepth(premium=(0.003, -0.002), density=1e5, reference="oracle"))
    venue = plain_venue(listing(), listing("ETH", 50.0), funding=rule)
    traders = [
        (1e5, {0: lambda trader: trader.buy("BTC", 3.0), 40: lambda trader: trader.sell("ETH", 31.0)}),
        (1e5, {10: lambda trader: trader.sell("BTC", 1.7), 70: lambda trader: trader.buy("BTC", 1.2)}),
        (1e5, {20: lambda trader: trader.buy("ETH", 77.7)}),
    ]
    model, _ = scripted(venue, plain_diffusion(initial_price=(1000.0, 50.0)), traders, 200, [book])
    state = model.state
    settled = 0
    while model.block < model.blocks - 1:
        sizes = state.positions["lots"] * state.markets["lot"]
        index, received = state.markets["funding_index"].copy(), state.accounts["funding"].copy()
        model.step()
        per_coin = state.markets["funding_index"] - index
        payments = -sizes * per_coin
        assert state.accounts["funding"] - received == pytest.approx(payments.sum(axis=1), rel=1e-9, abs=1e-12)
        assert (np.abs(payments.sum(axis=0)) <= 1e-9 * np.abs(payments).sum(axis=0)).all()
        settled += np.count_nonzero(per_coin)
    assert settled == 2 * 6
    assert len(model.frames()["funding"]) == settled
