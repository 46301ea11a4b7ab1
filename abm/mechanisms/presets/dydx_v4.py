"""dYdX v4: order book, oracle mark, premium-vote funding, partial liquidation at a fillable price, random deleveraging."""

from __future__ import annotations

from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import RandomDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import TieredFees
from abm.mechanisms.funding import PremiumVoteFunding
from abm.mechanisms.guards import WithdrawalGate
from abm.mechanisms.liquidation import PartialLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import OpenInterestMargin
from abm.mechanisms.mark import OracleMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.venue import Venue

LISTINGS = (
    Listing(symbol="BTC", tick=1.0, lot=0.0001, highest_price=200_000.0),
    Listing(symbol="ETH", tick=0.1, lot=0.001, highest_price=20_000.0),
    Listing(symbol="SOL", tick=0.01, lot=0.1, highest_price=2_000.0),
)


def dydx_v4() -> Venue:
    """DYdX v4 as its documentation describes large markets: 5 % initial and 3 % maintenance margin, no open-interest scaling.

    Liquidation terms, oracle threshold and fee tiers are those of the chain's genesis (dydxprotocol/v4-chain,
    `protocol/testing/genesis.sh`, `protocol/x/feetiers/types/genesis.go`); blocks are taken as one second instead of 1.1.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(),
        clearing=ContinuousBook(),
        oracle=MedianOracle(min_change=0.001),
        mark=OracleMark(),
        margin=OpenInterestMargin(initial_margin_fraction=0.05, maintenance_fraction_of_initial=0.6),
        funding=PremiumVoteFunding(),
        fees=TieredFees(),
        liquidation=PartialLiquidation(),
        enforcement=ProtocolEnforcement(lag_blocks=1),
        deleveraging=RandomDeleveraging(),
        guards=(WithdrawalGate(),),
        insurance_fund=1_000_000.0,
    )
