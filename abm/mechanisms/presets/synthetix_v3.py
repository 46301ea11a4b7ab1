"""Synthetix Perps V3: a pool at the oracle price times a premium for skew, funding velocity, keepers."""

from __future__ import annotations

from abm.mechanisms.deleveraging import NoDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.mark import OracleMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.oracle_pool import SkewedPool
from abm.mechanisms.ordering import PriorityFeeOrdering
from abm.mechanisms.skew_funding import VelocityFunding
from abm.mechanisms.skew_margin import SkewMargin
from abm.mechanisms.venue import Venue

LISTINGS = (
    Listing(symbol="BTC", tick=1.0, lot=0.0001, highest_price=200_000.0),
    Listing(symbol="ETH", tick=0.1, lot=0.001, highest_price=20_000.0),
    Listing(symbol="SOL", tick=0.01, lot=0.1, highest_price=2_000.0),
)


def synthetix_v3() -> Venue:
    """Synthetix Perps V3: its settings live on the chain, so those of its tests stand where they make sense, and ours elsewhere.

    Synthetixio/synthetix-v3 `markets/perps-market/test`: velocity 3 a day, orders settle five seconds later, initial margin rises by twice
    the position's share of the skew scale, and half of it is maintenance margin. Ours: the skew scale (2 billion dollars), fees, margins
    of 4 % and 2 % for positions that are small against the skew scale (1 % and 0.5 % there, less than the fee of a liquidation here), the
    keeper's 0.1 % and 1 USD as reward and least margin, and pools of ten million dollars.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=PriorityFeeOrdering(),
        clearing=SkewedPool(initial_liquidity=10e6, delay_seconds=5.0, stay_seconds=86_400.0, liquidation_fee=0.005, skew_scale=2e9),
        oracle=MedianOracle(min_change=0.0),
        mark=OracleMark(),
        margin=SkewMargin(skew_scale=2e9, size_fraction=2.0, least_fraction=0.04, liquidation_reward=0.001, least_margin=1.0),
        funding=VelocityFunding(skew_scale=2e9, max_velocity=3.0),
        fees=FlatFees(maker=-0.0005, taker=0.0005),
        liquidation=FullLiquidation(penalty=0.005),
        enforcement=KeeperEnforcement(reward_fraction=0.001, reward_each=1.0),
        deleveraging=NoDeleveraging(),
        insurance_fund=100_000.0,
    )
