"""Liquidation by whoever is willing to hold the position."""

from __future__ import annotations

import math
from dataclasses import dataclass

from abm.mechanisms.liquidation import Liquidation
from abm.parameters import parameter
from abm.state import LIQUIDATION_TERMS, Table, empty_table


@dataclass(frozen=True, kw_only=True)
class TakeoverLiquidation(Liquidation):
    """A liquidator takes the position over at the mark price, and must have the initial margin for it (Perp v2).

    - all of a position of at most `whole_below` USD, or of an account below half its maintenance margin; else at most half of the
      account's total notional
    - the owner pays `penalty` of the notional: half to the liquidator, half to the insurance fund; all to the liquidator where the
      account is below zero. The fund passes it on, beside whatever reward the enforcement rule adds
    - where the account would then lack more than the fund has, nothing happens; what an account without positions lacks, the fund pays
    - a liquidator whose margin is short takes as much as it can carry. Where the protocol liquidates by itself nobody takes anything

    The book or curve is not touched; what becomes of the position is the liquidator's business. Source: perpetual-protocol/
    perp-curie-contract `contracts/ClearingHouse.sol`, `ClearingHouseConfig.sol`.
    """

    penalty: float = parameter(0.025, unit="fraction of notional", least=0.0, most=1.0)
    whole_below: float = parameter(100.0, unit="USD of a position", least=0.0)
    cancels_orders: bool = parameter(True, unit="yes or no", about="the account's resting orders are cancelled first")

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["max_fee"] = self.penalty
        terms["min_notional"] = self.whole_below
        terms["max_portion"] = 0.5
        terms["max_notional_per_block"] = math.inf
        terms["max_insurance_per_block"] = math.inf
        terms["taken_by_keeper"] = 1
        terms["cancels_orders"] = self.cancels_orders
        return terms
