"""A venue, a crash and a population in which everything happens within a hundred blocks."""

from __future__ import annotations

from abm.agents.base import Group
from abm.agents.keepers import Keepers
from abm.agents.passive import Holders, SteadyDepth
from abm.distributions import Uniform
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import RandomDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.funding import PremiumVoteFunding
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.mark import OracleMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.recorder import Recording
from abm.state import Capacity
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion

SYMBOLS = ("BTC", "ETH", "SOL")
PRICES = (60_000.0, 3_000.0, 150.0)
SECONDS_PER_BLOCK = 60.0
BLOCKS = 100


def small_venue(n_markets: int) -> Venue:
    """A venue with a small fund on which everything can happen within BLOCKS blocks of a minute."""
    listings = tuple(
        Listing(symbol=symbol, tick=price / 1000.0, lot=0.1 / price, highest_price=2.0 * price)
        for symbol, price in list(zip(SYMBOLS, PRICES, strict=True))[:n_markets]
    )
    return Venue(
        listings=listings,
        ordering=RandomOrdering(),
        clearing=ContinuousBook(),
        oracle=MedianOracle(),
        mark=OracleMark(),
        margin=FlatMargin(),
        funding=PremiumVoteFunding(settlement_seconds=1200.0),
        fees=FlatFees(maker=-0.0001, taker=0.0005),
        liquidation=FullLiquidation(),
        enforcement=ProtocolEnforcement(),
        deleveraging=RandomDeleveraging(),
        seconds_per_block=SECONDS_PER_BLOCK,
        insurance_fund=5_000.0,
    )


def others() -> list[Group]:
    """A book, levered longs and shorts under both kinds of margin, and keepers."""
    return [
        Group(name="depth", strategy=SteadyDepth(density=30_011.0, reach=0.02, levels=8, premium=0.006), members=1, capital=5e6),
        Group(name="longs", strategy=Holders(leverage=Uniform(low=5.0, high=15.0)), members=12, capital=4_003.0),
        Group(name="isolated longs", strategy=Holders(leverage=8.0), members=6, capital=9_001.0, margin="isolated"),
        Group(name="isolated shorts", strategy=Holders(leverage=2.03, long_share=0.0), members=8, capital=20_003.0, margin="isolated"),
        Group(name="keepers", strategy=Keepers(scan_seconds=120.0), members=2, capital=100.0),
    ]


def small_model(venue: Venue, population: list[Group], blocks: int) -> PerpModel:
    """A run of `blocks` blocks with a crash in the middle, conservation checked in each."""
    n_markets = len(venue.listings)
    world = Diffusion(
        initial_price=PRICES[:n_markets], volatility=0.8, correlation=0.5, correlation_in_stress=0.9, jump_scale=0.002,
        crashes=(Crash(start=0.4 * blocks * SECONDS_PER_BLOCK, duration=600.0, depth=0.35),),
    )  # fmt: skip
    capacity = Capacity(orders=1 << 13, conditionals=1 << 10, transactions=1 << 14, records=1 << 16)
    return PerpModel(
        venue,
        world,
        population,
        blocks=blocks,
        seed=1,
        recording=Recording(every_seconds=SECONDS_PER_BLOCK),
        check=True,
        capacity=capacity,
    )
