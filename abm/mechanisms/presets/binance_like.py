"""A large centralised exchange: last trade in the mark, funding every eight hours, full liquidation, insurance fund, ranked queue."""

from __future__ import annotations

import math

from abm.mechanisms.averaged_mark import BasisMedianMark
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import RankedDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.funding import EIGHT_HOURS, ClampedPremiumFunding
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.margin import TieredMargin
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.presets.dydx_v4 import LISTINGS
from abm.mechanisms.venue import Venue


def binance_like() -> Venue:
    """A venue with Binance's documented mark price, funding and deleveraging queue, and margin of 0.8 % and 0.4 % in the first tier.

    The edges of the margin tiers are round numbers of the usual order: the exchange changes its own often.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(),
        clearing=ContinuousBook(order_limits=((0.0, 200.0),), trigger_band=0.0),
        oracle=MedianOracle(lag_blocks=0, sources=5, noise=0.0001, min_change=0.0),
        mark=BasisMedianMark(basis_seconds=30.0, settlement_seconds=EIGHT_HOURS),
        margin=TieredMargin(
            tiers=(
                ((0.0, 125.0), (300_000.0, 100.0), (3_000_000.0, 50.0), (12_000_000.0, 25.0), (70_000_000.0, 10.0)),
                ((0.0, 100.0), (300_000.0, 75.0), (3_000_000.0, 50.0), (12_000_000.0, 25.0), (70_000_000.0, 10.0)),
                ((0.0, 75.0), (300_000.0, 50.0), (3_000_000.0, 25.0), (12_000_000.0, 10.0)),
            )
        ),
        funding=ClampedPremiumFunding(
            impact_notional=(25_000.0, 20_000.0, 15_000.0),
            settlement_seconds=EIGHT_HOURS,
            cap=math.inf,
            maintenance_cap=0.75,
            averaging="time-weighted",
            payment_price="mark",
        ),
        fees=FlatFees(maker=0.0002, taker=0.0005),
        liquidation=FullLiquidation(penalty=0.005),
        enforcement=ProtocolEnforcement(lag_blocks=0, attempts_per_block=1_000),
        deleveraging=RankedDeleveraging(rank="profit leverage"),
        insurance_fund=1_000_000.0,
    )
