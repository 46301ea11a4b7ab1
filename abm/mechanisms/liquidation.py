"""How a position below maintenance margin is closed: at what price, in which portions, at what penalty."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from abm.kernels.portions import liquidation_window_capacity
from abm.mechanisms.names import cohort_number
from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import LIQUIDATED_IN_BLOCK, LIQUIDATION_TERMS, NOBODY, State, Table, empty_table


@dataclass(frozen=True, kw_only=True)
class Liquidation(Rule):
    """How a position below maintenance margin is closed."""

    @abstractmethod
    def terms(self) -> Table:
        """The rule as one row of LIQUIDATION_TERMS, which the clearing kernel applies to every liquidation transaction."""

    def backstop(self) -> str:
        """The name of the cohort whose accounts take over what is nearly lost; empty: there is none."""
        return ""

    def terms_among(self, cohorts: Sequence[str]) -> Table:
        """The terms, with the number of the backstop among `cohorts`. Raises ParameterError where it is not one of them."""
        terms = self.terms()
        if self.backstop():
            terms["backstop_cohort"] = cohort_number(self.backstop(), cohorts, f"{type(self).__name__}.backstop_cohort")
        return terms


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


@dataclass(frozen=True, kw_only=True)
class ChunkedLiquidation(Liquidation):
    """At market, a first chunk of a large position, then after a cooldown the rest; a vault takes over what is nearly lost (Hyperliquid).

    A position of at most `whole_below` USD is sold whole. Of a larger one `first_portion` is sold; if the account is still below
    maintenance margin `cooldown_seconds` later, all of it. Nothing goes to the venue. Below `backstop_fraction` of maintenance
    margin the richest account of the cohort `backstop_cohort` gets all positions at mark and the
    account's whole collateral, if it has the initial margin for them. Fills below the bankruptcy price need an insurance fund; where
    it is empty they do not happen, and an account below zero is left to deleveraging.

    Source: Hyperliquid documentation, liquidations.
    """

    whole_below: float = parameter(100_000.0, unit="USD of a position", least=1e-9)
    first_portion: float = parameter(0.2, unit="fraction of the position", least=1e-6, most=1.0)
    cooldown_seconds: float = parameter(30.0, unit="seconds", least=0.0, most=1e9)
    backstop_fraction: float = parameter(2.0 / 3.0, unit="fraction of maintenance margin", least=0.0, most=1.0)
    backstop_cohort: str = parameter("", unit="cohort name", about="empty: there is no vault")
    cancels_orders: bool = parameter(True, unit="yes or no", about="the account's resting orders are cancelled first")

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["max_portion"] = self.first_portion
        terms["whole_below"] = self.whole_below
        terms["cooldown"] = self.cooldown_seconds
        terms["backstop_fraction"] = self.backstop_fraction if self.backstop_cohort else 0.0
        terms["backstop_cohort"] = NOBODY
        terms["max_notional_per_block"] = math.inf
        terms["max_insurance_per_block"] = math.inf
        terms["at_market"] = 1
        terms["all_markets"] = 1
        terms["cancels_orders"] = self.cancels_orders
        return terms

    def backstop(self) -> str:
        return self.backstop_cohort


@dataclass(frozen=True, kw_only=True)
class ShortageLiquidation(Liquidation):
    """As much as restores maintenance margin and a buffer, a growing share of it as time passes, down to a fee from the mark (Drift v2).

    shortage = maintenance margin + `buffer` x notional - equity; coins = shortage / (P (m + buffer - fee) - P x fund fee), of which at
    most initial_portion + elapsed / `portion_seconds` of the whole shortage since the first portion, all of it below
    `small_shortage`. The order's limit is mark x (1 -+ fee). The fee rises by `fee_slope` per second once the account has been below
    maintenance margin for `fee_grace_seconds`. The fund gets what closing leaves over, min(`most_fund_fee`, 0.95 x (m - fee -
    shortage / notional)), and pays what a fill below the bankruptcy price costs.

    Sources: drift-labs/protocol-v2 `programs/drift/src/math/liquidation.rs`, `state/state.rs`; a slot is taken as 0.4 s.
    """

    buffer: float = parameter(0.02, unit="fraction of notional", least=0.0, most=1.0)
    liquidator_fee: float = parameter(0.01, unit="fraction of notional", least=0.0, most=1.0)
    most_liquidator_fee: float = parameter(0.03, unit="fraction of notional", least=0.0, most=1.0)
    fee_grace_seconds: float = parameter(600.0, unit="seconds", least=0.0, most=1e9)
    fee_slope: float = parameter(2.5e-6, unit="fraction per second", least=0.0, most=1.0)
    most_fund_fee: float = parameter(0.01, unit="fraction of notional", least=0.0, most=1.0)
    initial_portion: float = parameter(0.1, unit="fraction of the shortage", least=0.0, most=1.0)
    portion_seconds: float = parameter(60.0, unit="seconds", least=0.0, most=1e9, about="0: all at once")
    small_shortage: float = parameter(50.0, unit="USD", least=0.0)
    cancels_orders: bool = parameter(True, unit="yes or no", about="the account's resting orders are cancelled first")

    def inconsistencies(self) -> list[str]:
        if self.most_liquidator_fee >= self.liquidator_fee:
            return []
        return [
            f"ShortageLiquidation.most_liquidator_fee: {self.most_liquidator_fee:g} is less than liquidator_fee {self.liquidator_fee:g}"
        ]

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["covers_shortage"] = 1
        terms["buffer"] = self.buffer
        terms["liquidator_fee"] = self.liquidator_fee
        terms["liquidator_fee_most"] = self.most_liquidator_fee
        terms["fee_grace"] = self.fee_grace_seconds
        terms["fee_slope"] = self.fee_slope
        terms["max_fee"] = self.most_fund_fee
        terms["initial_portion"] = self.initial_portion
        terms["portion_duration"] = self.portion_seconds
        terms["small_shortage"] = self.small_shortage
        terms["max_portion"] = 1.0
        terms["max_notional_per_block"] = math.inf
        terms["max_insurance_per_block"] = math.inf
        terms["cancels_orders"] = self.cancels_orders
        return terms


@dataclass(frozen=True, kw_only=True)
class WindowedLiquidation(Liquidation):
    """At market, but of each market only so many coins per window of time (Synthetix Perps V3).

    Capacity of a window = (`maker_fee` + `taker_fee`) x `skew_scale` x `multiplier` x `window_seconds` coins, less what was liquidated
    in the last window. With nothing left one more full capacity passes per block while open interest / `skew_scale` is below
    `calm_skew` (0: never). Where an account has several positions, each is closed within the capacity of its market.

    Source: Synthetixio/synthetix-v3 `markets/perps-market/contracts/storage/PerpsMarket.sol`; the defaults are of its tests. There
    the pool is the other side and |skew| measures its risk; in a book, where longs equal shorts, open interest stands for it.
    """

    maker_fee: float = parameter(0.003, unit="fraction of notional", least=0.0, most=1.0)
    taker_fee: float = parameter(0.007, unit="fraction of notional", least=0.0, most=1.0)
    skew_scale: float = parameter(1_000.0, unit="coins", least=1e-9)
    multiplier: float = parameter(1.0, unit="times", least=0.0)
    window_seconds: float = parameter(10.0, unit="seconds", least=1e-3, most=1e6)
    calm_skew: float = parameter(0.0, unit="fraction of the skew scale", least=0.0)
    penalty: float = parameter(0.005, unit="fraction of notional", least=0.0, most=1.0)
    cancels_orders: bool = parameter(True, unit="yes or no", about="the account's resting orders are cancelled first")

    def init(self, state: State, seed: int) -> None:
        state.liquidated_lots = empty_table((state.n_markets, state.blocks(self.window_seconds)), LIQUIDATED_IN_BLOCK)

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["window"] = self.window_seconds
        capacity = liquidation_window_capacity(self.maker_fee + self.taker_fee, self.skew_scale, self.multiplier, self.window_seconds)
        terms["window_capacity"] = capacity
        terms["window_calm_skew"] = self.calm_skew
        terms["window_scale"] = self.skew_scale
        terms["max_fee"] = self.penalty
        terms["max_portion"] = 1.0
        terms["max_notional_per_block"] = math.inf
        terms["max_insurance_per_block"] = math.inf
        terms["at_market"] = 1
        terms["all_markets"] = 1
        terms["cancels_orders"] = self.cancels_orders
        return terms
