"""Perp v2: liquidity in ranges, a mark of averages, funding all the time, and liquidators who take positions over."""

from __future__ import annotations

from abm.mechanisms.averaged_mark import AveragesMedianMark
from abm.mechanisms.concentrated_amm import ConcentratedAmm
from abm.mechanisms.deleveraging import NoDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import PriorityFeeOrdering
from abm.mechanisms.takeover_liquidation import TakeoverLiquidation
from abm.mechanisms.twap_funding import TwapPremiumFunding
from abm.mechanisms.venue import Venue

LISTINGS = (
    Listing(symbol="BTC", tick=1.0, lot=0.0001, highest_price=200_000.0),
    Listing(symbol="ETH", tick=0.1, lot=0.001, highest_price=20_000.0),
    Listing(symbol="SOL", tick=0.01, lot=0.1, highest_price=2_000.0),
)


def perp_v2() -> Venue:
    """Perp v2: 10 % initial and 6.25 % maintenance margin, 2.5 % penalty, funding within 10 % a day, 1,000 ticks a block at most.

    Parameters of perpetual-protocol/perp-curie-contract `contracts/{ClearingHouseConfig,AccountBalance,Exchange}.sol`. Chosen here, as
    they were set per market or by operators: the fee of 0.1 %, a tenth of it for the fund, edges 60 ticks apart, the venue's own liquidity
    of half a million USD a market over all prices, and the size of the fund. Blocks of two seconds.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=2.0,
        ordering=PriorityFeeOrdering(),
        clearing=ConcentratedAmm(
            fund_share=0.1, tick_spacing=60, most_ticks=1_000, limit_seconds=15.0, oracle_gap=0.1, initial_liquidity=500_000.0
        ),
        oracle=MedianOracle(min_change=0.0025),
        mark=AveragesMedianMark(short_seconds=15.0, long_seconds=1800.0, premium_seconds=900.0),
        margin=FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.625),
        funding=TwapPremiumFunding(window_seconds=900.0, settlement_seconds=60.0, cap=0.1, fund_pays=False),
        fees=FlatFees(maker=0.0, taker=0.001),
        liquidation=TakeoverLiquidation(penalty=0.025, whole_below=100.0),
        enforcement=KeeperEnforcement(reward_fraction=0.0),
        deleveraging=NoDeleveraging(),
        insurance_fund=500_000.0,
    )
