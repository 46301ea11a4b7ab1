"""How a position below maintenance margin is closed: at what price, in which portions, at what penalty."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import LIQUIDATION_TERMS, Table, empty_table


@dataclass(frozen=True, kw_only=True)
class Liquidation(Rule):
    """How a position below maintenance margin is closed."""

    @abstractmethod
    def terms(self) -> Table:
        """The rule as one row of LIQUIDATION_TERMS, which the clearing kernel applies to every liquidation transaction."""


@dataclass(frozen=True, kw_only=True)
class PartialLiquidation(Liquidation):
    """dYdX v4: one position of the account at a time, at most a portion of it per block, down to a fillable price.

    The fillable price moves away from the valuation price as equity falls; the part of the proceeds above the bankruptcy price goes
    to the insurance fund up to `max_fee`, and the fund pays what a fill below it costs. Defaults are those of the chain's genesis
    (`protocol/testing/genesis.sh`).
    """

    max_fee: float = parameter(0.015, unit="fraction of notional", least=0.0, most=1.0)
    bankruptcy_adjustment: float = parameter(1.0, unit="dimensionless", least=0.0, most=100.0)
    spread_to_maintenance_margin: float = parameter(1.5, unit="maintenance margins", least=0.0, most=1000.0)
    min_position_notional: float = parameter(1_000.0, unit="USD", least=0.0)
    max_position_portion: float = parameter(0.1, unit="fraction of the position", least=1e-6, most=1.0)
    max_notional_per_block: float = parameter(100_000.0, unit="USD per account", least=0.0)
    max_insurance_per_block: float = parameter(1_000_000.0, unit="USD per account", least=0.0)
    cancels_orders: bool = parameter(False, unit="yes or no", about="the account's resting orders are cancelled first")

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["max_fee"] = self.max_fee
        terms["bankruptcy_adjustment"] = self.bankruptcy_adjustment
        terms["spread_to_maintenance_margin"] = self.spread_to_maintenance_margin
        terms["min_notional"] = self.min_position_notional
        terms["max_portion"] = self.max_position_portion
        terms["max_notional_per_block"] = self.max_notional_per_block
        terms["max_insurance_per_block"] = self.max_insurance_per_block
        terms["cancels_orders"] = self.cancels_orders
        return terms


@dataclass(frozen=True, kw_only=True)
class FullLiquidation(Liquidation):
    """Everything at once, at market: each position of the account is sold into the book whatever the price.

    As on centralised venues the fund takes what is left above the bankruptcy price, at most `penalty`, and pays what is missing;
    where it cannot, the rest of the position is left to deleveraging.
    """

    penalty: float = parameter(0.005, unit="fraction of notional", least=0.0, most=1.0)
    cancels_orders: bool = parameter(True, unit="yes or no", about="the account's resting orders are cancelled first")

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["max_fee"] = self.penalty
        terms["max_portion"] = 1.0
        terms["max_notional_per_block"] = math.inf
        terms["max_insurance_per_block"] = math.inf
        terms["at_market"] = 1
        terms["all_markets"] = 1
        terms["cancels_orders"] = self.cancels_orders
        return terms
