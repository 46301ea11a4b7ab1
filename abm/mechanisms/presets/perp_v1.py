"""Perp v1: a virtual constant-product market maker, hourly funding by average prices, keepers, and an insurance fund as last resort."""

from __future__ import annotations

import math

from abm.mechanisms.deleveraging import NoDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.liquidation import PartialLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.mark import MidMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import PriorityFeeOrdering
from abm.mechanisms.twap_funding import TwapPremiumFunding
from abm.mechanisms.venue import Venue
from abm.mechanisms.virtual_amm import VirtualAmm

LISTINGS = (
    Listing(symbol="BTC", tick=1.0, lot=0.0001, highest_price=200_000.0),
    Listing(symbol="ETH", tick=0.1, lot=0.001, highest_price=20_000.0),
    Listing(symbol="SOL", tick=0.01, lot=0.1, highest_price=2_000.0),
)


def perp_v1() -> Venue:
    """Perp v1 as deployed: 10 % initial and 6.25 % maintenance margin, 0.1 % fee to the fund, 1.25 % liquidation fee, 1.2 % band.

    Parameters of perpetual-protocol/perpetual-protocol `publish/contract/DeployConfig.ts`; reserves of ten million virtual dollars a
    market and the size of the fund are ours. Blocks of five seconds, as on the chain it ran on.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=5.0,
        ordering=PriorityFeeOrdering(),
        clearing=VirtualAmm(quote_reserve=10e6, band=0.012, trade_limit=0.9, oracle_gap=0.1, profit="fund"),
        oracle=MedianOracle(min_change=0.0025),
        mark=MidMark(),
        margin=FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.625),
        funding=TwapPremiumFunding(window_seconds=3600.0, settlement_seconds=3600.0),
        # The curve's account is the maker: it gets the whole fee and passes it on to the fund (spread 0.1 %, toll 0).
        fees=FlatFees(maker=-0.001, taker=0.001),
        liquidation=PartialLiquidation(
            max_fee=0.0125,
            min_position_notional=0.0,
            max_position_portion=0.25,
            max_notional_per_block=math.inf,
            max_insurance_per_block=math.inf,
            cancels_orders=True,
        ),
        enforcement=KeeperEnforcement(reward_fraction=0.00625),
        deleveraging=NoDeleveraging(),
        insurance_fund=500_000.0,
    )
