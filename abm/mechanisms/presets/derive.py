"""Derive: an order book whose funding accrues on the premium of the moment, and losses that a security module bears before everybody."""

from __future__ import annotations

from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.continuous_funding import ConvergenceFunding
from abm.mechanisms.deleveraging import SocialisedLoss
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.liquidation import ShortageLiquidation
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.mark import MedianMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.presets.dydx_v4 import LISTINGS
from abm.mechanisms.venue import Venue


def derive() -> Venue:
    """Derive's perpetuals with its standard margin: its funding, and the rest as far as the rules of an order book carry.

    The Dutch auction of accounts below maintenance margin is replaced by a sale into the book, of as much as restores maintenance margin
    and a tenth of it; portfolio margin by fractions of notional.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(),
        clearing=ContinuousBook(order_limits=(), trigger_band=0.0),
        oracle=MedianOracle(lag_blocks=1, sources=3, noise=0.0001, min_change=0.0),
        mark=MedianMark(),
        margin=FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5),
        funding=ConvergenceFunding(),
        fees=FlatFees(maker=0.0, taker=0.0003),
        liquidation=ShortageLiquidation(buffer=0.005, initial_portion=1.0, portion_seconds=0.0, most_fund_fee=0.01),
        enforcement=ProtocolEnforcement(lag_blocks=1, attempts_per_block=1_000),
        deleveraging=SocialisedLoss(),
        insurance_fund=1_000_000.0,
    )
