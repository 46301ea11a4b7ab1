"""Drift v2: auctioned orders between a book and a curve, averages in funding, margin by size, liquidation of the shortage, fund draws by
tier, then losses for everybody."""

from __future__ import annotations

from abm.mechanisms.auctioned_book import AuctionedBook
from abm.mechanisms.averaged_mark import OracleMarkWithTrigger
from abm.mechanisms.contract_tiers import Tiers
from abm.mechanisms.deleveraging import SocialisedLoss
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FeeTier, TieredFees
from abm.mechanisms.limits import DepositOutflowLimit, InsuranceDrawLimit, OracleQualityGuard
from abm.mechanisms.liquidation import ShortageLiquidation
from abm.mechanisms.margin import SizeMargin
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.presets.dydx_v4 import LISTINGS
from abm.mechanisms.twap_funding import DivergenceFunding
from abm.mechanisms.venue import Venue

REBATE = -0.0002
FEE_TIERS = (
    FeeTier(maker=REBATE, taker=0.001),
    FeeTier(volume=2e6, maker=REBATE, taker=0.0009),
    FeeTier(volume=10e6, maker=REBATE, taker=0.0008),
    FeeTier(volume=20e6, maker=REBATE, taker=0.0007),
    FeeTier(volume=80e6, maker=REBATE, taker=0.0006),
    FeeTier(volume=200e6, maker=REBATE, taker=0.0005),
)


def drift_v2() -> Venue:
    """Drift v2: a book and a curve that is the counterparty of funding, market orders in auctions of ten slots.

    Margin fractions and size factor are those of the program's tests, as live settings stand on the chain; so do depth and spread of the
    curve, which are chosen. BTC, ETH and SOL are of contract tiers A, A and B.
    """
    tiers: Tiers = ("A", "A", "B")
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(),
        clearing=AuctionedBook(quote_reserve=20e6, half_spread=0.0005, repeg_seconds=10.0, order_limits=((0.0, 32.0),)),
        oracle=MedianOracle(lag_blocks=1, sources=5, noise=0.0001, min_change=0.0),
        mark=OracleMarkWithTrigger(tiers=tiers),
        margin=SizeMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5, size_factor=0.00005, profit_cap=100.0),
        funding=DivergenceFunding(tiers=tiers),
        fees=TieredFees(tiers=FEE_TIERS),
        liquidation=ShortageLiquidation(),
        enforcement=ProtocolEnforcement(lag_blocks=1, attempts_per_block=1_000),
        deleveraging=SocialisedLoss(),
        guards=(OracleQualityGuard(tiers=tiers), InsuranceDrawLimit(tiers=tiers), DepositOutflowLimit()),
        insurance_fund=1_000_000.0,
    )
