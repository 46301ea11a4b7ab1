"""Derive: a book whose funding accrues on the premium of the moment; accounts short of margin go under the hammer."""

from __future__ import annotations

from abm.mechanisms.auction_liquidation import AuctionLiquidation, InsolventAuctionGate
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.continuous_funding import ConvergenceFunding
from abm.mechanisms.deleveraging import NoDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.mark import MedianMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.portfolio_margin import PortfolioMargin
from abm.mechanisms.presets.dydx_v4 import LISTINGS
from abm.mechanisms.venue import Venue


def derive() -> Venue:
    """Derive's perpetuals under portfolio margin: its funding, its auctions of accounts below maintenance margin, and a security module.

    Accounts are bid for by `Keepers`: without them nobody is liquidated. A position alone has the margin of the standard manager; that
    markets net each other, and with which correlations, is ours.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(),
        clearing=ContinuousBook(order_limits=(), trigger_band=0.0),
        oracle=MedianOracle(lag_blocks=1, sources=3, noise=0.0001, min_change=0.0),
        mark=MedianMark(),
        margin=PortfolioMargin(
            initial_shock=0.1, maintenance_fraction_of_initial=0.5, lowest_correlation=0.6, highest_correlation=1.0, gross_floor=0.03
        ),
        funding=ConvergenceFunding(),
        fees=FlatFees(maker=0.0, taker=0.0003),
        liquidation=AuctionLiquidation(),
        enforcement=KeeperEnforcement(reward_fraction=0.0),
        deleveraging=NoDeleveraging(),
        guards=(InsolventAuctionGate(),),
        insurance_fund=1_000_000.0,
    )
