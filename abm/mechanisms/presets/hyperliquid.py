"""Hyperliquid: order book, robust mark, hourly clamped funding, chunked liquidation with a backstop vault, ranked deleveraging."""

from __future__ import annotations

from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import RankedDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import DAY, FeeTier, TieredFees
from abm.mechanisms.funding import ClampedPremiumFunding
from abm.mechanisms.limits import WithdrawalFloor
from abm.mechanisms.liquidation import ChunkedLiquidation
from abm.mechanisms.margin import TieredMargin
from abm.mechanisms.mark import MedianMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.presets.dydx_v4 import LISTINGS
from abm.mechanisms.venue import Venue

# Binance, OKX, Bybit, Kraken, KuCoin, Gate, MEXC, and the venue's own spot market.
SPOT_WEIGHTS = (3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0)

FEE_TIERS = (
    FeeTier(maker=0.00015, taker=0.00045),
    FeeTier(volume=5e6, maker=0.00012, taker=0.0004),
    FeeTier(volume=25e6, maker=0.00008, taker=0.00035),
    FeeTier(volume=100e6, maker=0.00004, taker=0.0003),
    FeeTier(volume=500e6, maker=0.0, taker=0.00028),
    FeeTier(volume=2e9, maker=0.0, taker=0.00026),
    FeeTier(volume=7e9, maker=0.0, taker=0.00024),
)


def hyperliquid() -> Venue:
    """Hyperliquid as its documentation describes BTC, ETH and SOL: leverage 40, 25 and 20, less for very large positions.

    Blocks are taken as one second instead of a tenth. The liquidator vault is a cohort of the population: name it as
    `backstop_cohort` of the liquidation; without one nobody takes over, and what the book cannot close waits for deleveraging.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(cancels_first=True),
        clearing=ContinuousBook(order_limits=((0.0, 1_000.0),), trigger_band=0.0),
        oracle=MedianOracle(sources=8, stakes=SPOT_WEIGHTS, noise=0.0001, min_change=0.0, update_interval_seconds=3.0),
        mark=MedianMark(),
        margin=TieredMargin(
            tiers=(
                ((0.0, 40.0), (150_000_000.0, 20.0)),
                ((0.0, 25.0), (100_000_000.0, 15.0)),
                ((0.0, 20.0), (70_000_000.0, 10.0)),
            )
        ),
        funding=ClampedPremiumFunding(impact_notional=(20_000.0, 20_000.0, 6_000.0)),
        fees=TieredFees(tiers=FEE_TIERS, window_seconds=14 * DAY),
        liquidation=ChunkedLiquidation(),
        enforcement=ProtocolEnforcement(lag_blocks=0, attempts_per_block=1_000),
        deleveraging=RankedDeleveraging(rank="mark to entry"),
        guards=(WithdrawalFloor(fraction=0.1),),
        insurance_fund=0.0,
    )
