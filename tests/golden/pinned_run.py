"""The run that is pinned: a small venue with every parameter written out, so that only a change of the simulator itself can move it."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import polars as pl

from abm.agents.base import Group
from abm.agents.passive import FixedSlippage, Holders, SteadyDepth, ZeroIntelligence
from abm.distributions import Uniform
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import RandomDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.funding import ClampedPremiumFunding
from abm.mechanisms.guards import CircuitBreaker, OpenInterestCap, WithdrawalGate
from abm.mechanisms.liquidation import PartialLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import OpenInterestMargin
from abm.mechanisms.mark import MedianMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.recorder import Recording
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from abm.worlds.gas import Gas
from abm.worlds.spot import Spot

PINNED = Path(__file__).with_name("pinned.json")
BLOCKS = 480
SEED = 2_022


def venue() -> Venue:
    return Venue(
        listings=(
            Listing(symbol="BTC", tick=2.0, lot=0.0001, highest_price=60_000.0),
            Listing(symbol="ETH", tick=0.2, lot=0.001, highest_price=5_000.0),
        ),
        ordering=RandomOrdering(cancels_first=True),
        clearing=ContinuousBook(order_limits=((20.0, 1.0), (1_000.0, 200.0)), trigger_band=0.005),
        oracle=MedianOracle(lag_blocks=1, lag_spread_blocks=2, sources=5, noise=0.0002, min_change=0.0005, quorum=0.667),
        mark=MedianMark(basis_seconds=150.0, book_seconds=30.0),
        margin=OpenInterestMargin(
            initial_margin_fraction=0.05, maintenance_fraction_of_initial=0.6, lower_cap=2e5, upper_cap=5e6
        ),
        funding=ClampedPremiumFunding(
            sample_seconds=5.0, settlement_seconds=60.0, rate_seconds=28_800.0, interest=0.0001, band=0.0005, cap=0.04
        ),
        fees=FlatFees(maker=-0.00005, taker=0.0005),
        liquidation=PartialLiquidation(
            max_fee=0.015, bankruptcy_adjustment=1.0, spread_to_maintenance_margin=1.5, min_position_notional=1_000.0,
            max_position_portion=0.3, max_notional_per_block=50_000.0, max_insurance_per_block=10_000.0, cancels_orders=True,
        ),
        enforcement=ProtocolEnforcement(lag_blocks=1, attempts_per_block=50),
        deleveraging=RandomDeleveraging(attempts_per_block=10, accounts_scanned=500),
        guards=(
            OpenInterestCap(caps=2e7),
            CircuitBreaker(watched="oracle", threshold=0.25, window_seconds=30.0, halt_seconds=10.0, resume="timer"),
            WithdrawalGate(blocks_after_loss=50, blocks_after_outage=50, outage_seconds=300.0),
        ),
        seconds_per_block=1.0,
        insurance_fund=4_000.0,
    )  # fmt: skip


def world() -> Diffusion:
    crash = Crash(
        start=200.0, duration=120.0, depth=(0.22, 0.3), steepness=6.0, rebound=0.4, rebound_half_life=60.0, volatility_multiplier=3.0
    )
    return Diffusion(
        form="geometric", initial_price=(20_000.0, 1_500.0), volatility=(0.8, 1.1), drift=0.0, correlation=0.6,
        correlation_in_stress=0.95, volatility_half_life=(600.0, 86_400.0), volatility_deviation=(0.4, 0.4),
        volatility_common_share=0.8, jump_rate=200.0, jump_scale=0.001, jump_degrees=4.0, jump_limit=0.1, jump_common_share=0.5,
        crashes=(crash,),
    )  # fmt: skip


def population() -> list[Group]:
    book = SteadyDepth(density=(60_000.0, 30_000.0), reach=0.01, levels=10, premium=0.0008, reference="index")
    flow = ZeroIntelligence(limit_rate=0.01, market_rate=0.2, cancel_rate=0.02, window_ticks=40, size=(0.01, 0.1))
    longs = Holders(leverage=Uniform(low=4.0, high=15.0), long_share=0.9, enter_seconds=Uniform(low=0.0, high=120.0), patience_seconds=30.0)
    hedged = Holders(leverage=2.5, long_share=0.1, enter_seconds=Uniform(low=0.0, high=60.0), patience_seconds=30.0)
    return [
        Group(name="book", strategy=book, members=2, capital=1e6, latency=Uniform(low=0.0, high=2.0)),
        Group(name="wall", strategy=FixedSlippage(slippage=0.05, notional=40_000.0, reference="oracle"), members=1, capital=1e6),
        Group(name="flow", strategy=flow, members=4, capital=200_000.0),
        Group(name="longs", strategy=longs, members=70, capital=Uniform(low=500.0, high=6_000.0)),
        Group(name="isolated longs", strategy=longs, members=20, capital=3_000.0, margin="isolated", leverage_limit=12.0),
        Group(name="shorts", strategy=hedged, members=40, capital=9_000.0, latency=1.0),
    ]


def run() -> dict[str, pl.DataFrame]:
    recording = Recording(
        every_seconds=5.0, book_every_seconds=60.0, positions_every_seconds=120.0, book_span=0.02, book_slices=40, orders=True
    )
    model = PerpModel(
        venue(), world(), population(), blocks=BLOCKS, seed=SEED,
        spot=Spot(depth=(2e6, 1e6), half_life_seconds=60.0, fee=0.0002, financing_rate=0.06),
        gas=Gas(base=0.1), recording=recording, check=True,
    )  # fmt: skip
    return model.run().frames()


def digest(frame: pl.DataFrame) -> str:
    """Hash of the names, types and bytes of all columns."""
    content = hashlib.blake2b(digest_size=16)
    for column in frame:
        content.update(f"{column.name}/{column.dtype.base_type()}/{len(column)}\n".encode())
        if column.dtype.is_numeric():
            content.update(column.to_numpy().tobytes())
        else:
            content.update("\n".join(column.cast(pl.String).to_list()).encode())
    return content.hexdigest()


def numbers(frames: dict[str, pl.DataFrame]) -> dict[str, float]:
    """What a reviewer would look at to see whether a change is meant."""
    markets, venue_frame = frames["markets"], frames["venue"]
    values: dict[str, float] = {f"rows of {name}": float(frame.height) for name, frame in sorted(frames.items())}
    for symbol in ("BTC", "ETH"):
        last = markets.filter(pl.col("market") == symbol).row(-1, named=True)
        for name in ("index", "oracle", "mark", "open_interest", "volume", "trades", "liquidated", "deleveraged", "funding_index"):
            values[f"{symbol} {name}"] = float(last[name])
    values["insurance fund, lowest"] = venue_frame["insurance_fund"].min()
    values["bad debt, highest"] = venue_frame["bad_debt"].max()
    values["fees"] = venue_frame["fees"][-1]
    values["funding paid"] = frames["funding"]["paid"].sum()
    values["haircuts"] = frames["deleveragings"]["haircut"].sum()
    return values


def platform_class() -> str:
    """Within one class a run is promised to be the same to the last bit."""
    return f"{platform.system()} {platform.machine()}"


def outcome() -> dict[str, Any]:
    """What is pinned: the numbers, a digest per table, and the platform that the digests belong to."""
    frames = run()
    return {
        "platform": platform_class(),
        "numbers": numbers(frames),
        "digests": {name: digest(frame) for name, frame in sorted(frames.items())},
    }
