"""GMX v2: pools at the oracle price with price impact, adaptive funding by skew, borrowing fees, capped profits."""

from __future__ import annotations

from abm.mechanisms.deleveraging import PoolDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import OpenInterestMargin
from abm.mechanisms.mark import OracleMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.oracle_pool import OraclePool
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.skew_funding import AdaptiveSkewFunding
from abm.mechanisms.venue import Venue

LISTINGS = (
    Listing(symbol="BTC", tick=1.0, lot=0.0001, highest_price=200_000.0),
    Listing(symbol="ETH", tick=0.1, lot=0.001, highest_price=20_000.0),
    Listing(symbol="SOL", tick=0.01, lot=0.1, highest_price=2_000.0),
)
OPENING = (0.014, 0.014, 0.024)  # initial margin, fractions of notional
OPEN_INTEREST_FACTOR = 6e-11  # smallest fraction of collateral to open, per USD of open interest


def gmx_v2() -> Venue:
    """GMX v2 with the parameters of its largest markets; pools of ten million dollars each are ours.

    gmx-io/gmx-synthetics `config/markets.ts` and `config/general.ts`. The smallest collateral is a half percent of the position for BTC
    and ETH and one percent for others, here as maintenance margin with the liquidation fee of 0.2 % on top; twice that to open, or 6e-11
    for each USD of open interest if that is more: a straight line that starts at `lower_cap` and reaches the whole position at
    `upper_cap`. Orders are executed two seconds later, at the price of then. The position fee is the 0.06 % of trades that raise the
    imbalance; 63 % of it goes to the pool.
    """
    return Venue(
        listings=LISTINGS,
        seconds_per_block=1.0,
        ordering=RandomOrdering(),
        clearing=OraclePool(initial_liquidity=10e6, delay_seconds=2.0),
        oracle=MedianOracle(min_change=0.0),
        mark=OracleMark(),
        margin=OpenInterestMargin(
            initial_margin_fraction=OPENING,
            maintenance_fraction_of_initial=0.5,
            lower_cap=tuple(fraction / OPEN_INTEREST_FACTOR for fraction in OPENING),
            upper_cap=1.0 / OPEN_INTEREST_FACTOR,
        ),
        funding=AdaptiveSkewFunding(max_rate=0.9),
        fees=FlatFees(maker=-0.000378, taker=0.0006),
        liquidation=FullLiquidation(penalty=0.002),
        enforcement=ProtocolEnforcement(lag_blocks=1),
        deleveraging=PoolDeleveraging(threshold=0.85, target=0.77),
        insurance_fund=0.0,
    )
