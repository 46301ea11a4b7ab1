"""The fair basis: where carrying the perp against spot neither earns nor costs anything.

Sources: He, Manela, Ross and von Wachter (2024), "Fundamentals of perpetual futures"; Angeris, Chitra, Evans and Lorig (2023), "A primer
on perpetuals"; Ackerer, Hugonnier and Jermann (2024), "Perpetual futures pricing". With the whole premium paid kappa times a year and
money at a rate r, perp over index less one is 1 / (1 - r / kappa) - 1.
"""

from __future__ import annotations

import numpy as np
import pytest

from abm.agents.passive import FixedSlippage
from abm.mechanisms.funding import ClampedPremiumFunding
from abm.worlds.spot import Spot
from tests.model.small_worlds import Script, listing, makers, plain_diffusion, plain_venue, scripted

YEAR = 365 * 86_400.0
BLOCK = 12.0
DAY = int(86_400 / BLOCK)  # blocks


def carry(basis: float, rate: float, interval: float, interest: float = 0.0, band: float = 0.0) -> float:
    """USD that one coin short on the venue and long outside, with borrowed money, earns in a day at a `basis` that stays.

    The index rises at the rate of interest, as it must where nobody is paid for risk. The book quotes the basis whatever anybody does.
    """
    funding = ClampedPremiumFunding(
        sample_seconds=BLOCK,
        impact_notional=0.0,
        settlement_seconds=interval,
        rate_seconds=interval,
        interest=interest,
        band=band,
        cap=float("inf"),
    )
    venue = plain_venue(listing(tick=0.005, highest=1.2), funding=funding, seconds_per_block=BLOCK)
    book = makers(FixedSlippage(premium=basis, reference="oracle", notional=1e6, priority_fee=1.0))
    world = plain_diffusion(volatility=0.0, drift=rate)

    def open_both(trader: Script) -> None:
        trader.sell("BTC", 1.0)
        trader._orders.spot(np.array([True]), 0, 1.0)

    def close_both(trader: Script) -> None:
        trader.close("BTC")
        trader._orders.spot(np.array([True]), 0, -1.0)

    script = {0: open_both, DAY + 1: close_both}
    model, (trader,) = scripted(venue, world, [(1e4, script)], DAY + 3, [book], spot=Spot(fee=0.0, financing_rate=rate))
    model.run()
    assert trader.position("BTC") == 0.0
    assert model.state.outside["size"][trader.row, 0] == pytest.approx(0.0, abs=1e-9)
    return float(trader.account["collateral"] - 1e4 + model.state.outside["cash"][trader.row, 0])


def fair(guess: float, *terms: float) -> float:
    """The basis without profit: `carry` is linear around the guess."""
    low, high = 0.9 * guess, 1.1 * guess
    below, above = carry(low, *terms), carry(high, *terms)
    assert below < 0.0 < above
    return low - below * (high - low) / (above - below)


@pytest.mark.parametrize("rate", [2.0, 10.0])
def test_the_fair_basis(rate: float) -> None:
    """1 / (1 - r / kappa) - 1 to 1 % or 0.1 basis points, two ticks, for payments every one, two, four and eight hours: on logarithms
    a slope of -1 in kappa."""
    intervals = np.array([3600.0, 7200.0, 14_400.0, 28_800.0])
    kappa = YEAR / intervals
    expected = 1.0 / (1.0 - rate / kappa) - 1.0
    found = np.array([fair(float(guess), rate, float(interval)) for guess, interval in zip(expected, intervals, strict=True)])
    assert found == pytest.approx(expected, rel=0.01, abs=1e-5)
    slope = np.polyfit(np.log(kappa), np.log(found), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.02)


@pytest.mark.parametrize(("per_interval", "edge"), [(0.6e-3, -1.0), (1.7e-3, 1.0)])
def test_a_dead_band_moves_the_fair_basis_to_one_of_its_edges(per_interval: float, edge: float) -> None:
    """r - c where money is cheaper than the interest of the rule, r + c where it is dearer, each for one interval."""
    interest, band, interval = 1e-3, 5e-4, 28_800.0
    rate = per_interval * YEAR / interval
    expected = per_interval + edge * band
    assert fair(expected, rate, interval, interest, band) == pytest.approx(expected, rel=0.1, abs=1e-6)
