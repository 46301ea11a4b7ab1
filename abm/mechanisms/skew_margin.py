"""How much collateral a position needs where its size is measured against the market's skew scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from abm.mechanisms.margin import FlatMargin, Margin, PerMarket
from abm.parameters import parameter, per_market
from abm.state import SIZED_BY_SKEW, State


@dataclass(frozen=True, kw_only=True)
class SkewMargin(Margin):
    """Fractions that rise with the position's size over the skew scale, a least margin per position, and what its liquidation costs.

    initial = (`size_fraction` x coins / scale + `least_fraction`) x notional + `least_margin`; maintenance the same with the part in
    notional times `maintenance_fraction_of_initial`. Either way the account must have `liquidation_reward` x notional beside it.
    `skew_scale` is given as USD at the prices when the rule begins.

    Source: Synthetixio/synthetix-v3 `markets/perps-market/contracts/storage/PerpsMarketConfiguration.sol` (calculateRequiredMargins),
    `PerpsAccount.sol` (isEligibleForLiquidation); fractions of its tests. There the reward also has a least and a largest amount.
    """

    skew_scale: PerMarket = parameter(2e9, unit="USD when the rule begins; one number, or one per market", least=1.0)
    size_fraction: PerMarket = parameter(2.0, unit="fraction of notional for a position of one skew scale", least=0.0, most=1e6)
    least_fraction: PerMarket = parameter(0.01, unit="fraction of notional", least=1e-6, most=1.0)
    maintenance_fraction_of_initial: PerMarket = parameter(0.5, unit="fraction", least=0.0, most=1.0)
    liquidation_reward: PerMarket = parameter(0.0, unit="fraction of notional", least=0.0, most=1.0)
    least_margin: PerMarket = parameter(0.0, unit="USD per position", least=0.0)

    def init(self, state: State, seed: int) -> None:
        m = state.n_markets
        # The tier's fractions are those of a small position: what readers of a market's margin fraction mean.
        share = self.maintenance_fraction_of_initial
        FlatMargin(initial_margin_fraction=self.least_fraction, maintenance_fraction_of_initial=share).init(state, seed)
        tiers = state.margin_tiers
        tiers["sized"] = SIZED_BY_SKEW
        for name, field in (
            ("size_fraction", "size_factor"),
            ("maintenance_fraction_of_initial", "maintenance_of_initial"),
            ("liquidation_reward", "reward"),
            ("least_margin", "least_margin"),
        ):
            tiers[field][:, 0] = per_market(getattr(self, name), m, f"SkewMargin.{name}")
        tiers["skew_scale"][:, 0] = np.array(per_market(self.skew_scale, m, "SkewMargin.skew_scale")) / state.markets["index"]

    def update(self, state: State, memory: Any) -> None:
        """The scaling is part of the margin formula itself; nothing to rewrite."""
