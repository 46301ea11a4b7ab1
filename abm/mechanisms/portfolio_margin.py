"""How much collateral a whole account needs where its positions offset each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from abm.mechanisms.margin import FlatMargin, Margin, PerMarket
from abm.parameters import parameter, per_market
from abm.state import NETS_MARKETS, State


@dataclass(frozen=True, kw_only=True)
class PortfolioMargin(Margin):
    """The loss of the whole account in the worst of several scenarios, from markets that move on their own to markets that move as one.

    A position's shock exposure is l = coins x price x shock, above zero for a long; its shock alone is its margin alone. With a correlation
    rho between all pairs of markets the account loses

        sqrt(sum l_i^2 + 2 rho sum_{i<j} l_i l_j),

    and its margin is the largest loss over all rho from `lowest_correlation` to `highest_correlation`. Under the root stands a straight
    line in rho, and the root only rises, so the largest is at an end: the highest where positions add up to one bet, the lowest where
    they hedge each other. With both at 1 the margin is that of the net exposure. It is at least `gross_floor` x notional, added up
    whatever the sign, so that no hedge is for nothing. Maintenance margin is the same with shocks and floor times a fraction.

    What belongs to one position is its marginal part (`abm.kernels.margin_shares`). Only positions that add to the margin are liquidated or
    deleveraged, and no further than to where closing more would raise it. Ranges on a `ConcentratedAmm` count one by one.

    Sources: Derive's portfolio manager (derivexyz/v2-core `src/risk-managers/PMRMLib.sol`, `PMRM.sol`) takes the worst of scenarios, in
    which the spot price of one coin moves by up to 20 % either way and a perpetual loses position x shock x price, adds a fraction of the
    perpetuals' notional, and asks 1.25 times that to open. It does not net one coin against another. The aggregation over markets, with
    the larger of a high and a low correlation, is the Basel Committee's (d457, MAR21.4 and MAR21.6).
    """

    initial_shock: PerMarket = parameter(0.1, unit="fraction of the price", least=1e-6, most=1.0)
    maintenance_fraction_of_initial: PerMarket = parameter(0.5, unit="fraction", least=1e-3, most=1.0)
    lowest_correlation: float = parameter(0.0, unit="correlation", least=0.0, most=1.0)
    highest_correlation: float = parameter(1.0, unit="correlation", least=0.0, most=1.0)
    gross_floor: PerMarket = parameter(0.01, unit="fraction of notional", least=1e-6, most=1.0, about="to open; at most the smallest shock")

    def inconsistencies(self) -> list[str]:
        problems = []
        if self.lowest_correlation > self.highest_correlation:
            problems.append(
                f"PortfolioMargin.lowest_correlation: {self.lowest_correlation:g} is above highest_correlation {self.highest_correlation:g}"
            )
        if np.min(self.initial_shock) < np.max(self.gross_floor):
            problems.append(f"PortfolioMargin.gross_floor: {self.gross_floor} is above initial_shock {self.initial_shock}")
        return problems

    def init(self, state: State, seed: int) -> None:
        m = state.n_markets
        share = self.maintenance_fraction_of_initial
        FlatMargin(initial_margin_fraction=self.initial_shock, maintenance_fraction_of_initial=share).init(state, seed)
        tiers = state.margin_tiers
        floor = np.array(per_market(self.gross_floor, m, "PortfolioMargin.gross_floor"))
        tiers["account_wide"] = NETS_MARKETS
        tiers["initial_floor"][:, 0] = floor
        tiers["maintenance_floor"][:, 0] = floor * per_market(share, m, "PortfolioMargin.maintenance_fraction_of_initial")
        tiers["lowest_correlation"] = self.lowest_correlation
        tiers["highest_correlation"] = self.highest_correlation

    def update(self, state: State, memory: Any) -> None:
        """Scenarios are part of the margin formula itself; nothing to rewrite."""
