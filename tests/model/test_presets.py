"""Every preset of an order book loads and carries a crash: twenty minutes in which prices fall by a fifth, with conservation checked in
every block. Curves and pools are in `test_laws_house.py`."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

import abm
from abm.agents.passive import Holders
from abm.distributions import Uniform
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.state import Capacity

SECONDS = 1200
PRICES = (60_000.0, 3_000.0, 150.0)
KEEPERS = {"derive": 50_000.0}  # USD each, where they have to take positions over; elsewhere 100
BOOKS = sorted(name for name, make in abm.PRESETS.items() if isinstance(make().clearing, abm.ContinuousBook | abm.AuctionedBook))


def flash_crash(venue: Venue, seed: int = 1, keepers: float = 100.0) -> PerpModel:
    """Levered longs under both kinds of margin, makers, takers, a resident vault, keepers; the fall begins after five minutes."""
    world = abm.Diffusion(initial_price=PRICES, crashes=(abm.Crash(start=300.0, duration=500.0, depth=0.2),))
    population = [
        abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=12, capital=150_000.0),
        abm.Group(name="takers", strategy=abm.Takers(idle_seconds=120.0), members=150, capital=5_000.0),
        abm.Group(name="longs", strategy=Holders(leverage=Uniform(low=4.0, high=9.0)), members=60, capital=8_000.0),
        abm.Group(name="vault", strategy=abm.ResidentVaults(), members=1, capital=400_000.0),
        abm.Group(name="keepers", strategy=abm.Keepers(scan_seconds=5.0), members=2, capital=keepers),
    ]
    capacity = Capacity(orders=1 << 14, conditionals=1 << 10, transactions=1 << 14, records=1 << 16)
    return PerpModel(venue, world, population, blocks=SECONDS, seed=seed, check=True, capacity=capacity)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_a_preset_carries_a_crash(name: str) -> None:
    venue = abm.PRESETS[name]()
    frames = flash_crash(venue, keepers=KEEPERS.get(name, 100.0)).run().frames()
    assert frames["fills"].height > 100
    closed = frames["liquidations"].filter(pl.col("result").is_in(["filled", "no_liquidity", "fund_exhausted", "taken_over"]))
    assert closed.filter(pl.col("size") > 0.0).height > 10
    oracle = frames["markets"].filter(pl.col("market") == "BTC")["oracle"]
    assert oracle[-1] < 0.9 * oracle[0]


@pytest.mark.slow
def test_the_vault_takes_over_on_hyperliquid() -> None:
    venue = abm.PRESETS["hyperliquid"]()
    with_vault = replace(venue, liquidation=abm.ChunkedLiquidation(backstop_cohort="vault"))
    model = flash_crash(with_vault).run()
    taken = model.frames()["liquidations"].filter(pl.col("result") == "taken_over")
    without = flash_crash(venue).run().frames()["liquidations"].filter(pl.col("result") == "taken_over")
    assert taken.height > 0
    assert without.height == 0
    assert (taken["equity_before"] < 2.0 / 3.0 * taken["maintenance_margin_before"]).all()
    assert (taken["equity_before"] >= 0.0).all()
