"""How much collateral a position needs."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from abm.kernels.margin import maintenance_margin_fraction
from abm.mechanisms.rule import Rule
from abm.parameters import parameter, per_market
from abm.state import MARGIN_TIER, SIZED_BY_ROOT, WEIGHS_PROFIT, State, empty_table

PerMarket = float | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Margin(Rule):
    """How much collateral a position needs, as tiers by notional that the kernels apply to every account.

    `init` writes `state.margin_tiers` (m, tiers): row t of a market holds from `above` USD of notional on.
    """

    @abstractmethod
    def update(self, state: State, memory: Any) -> None:
        """Called once a block: rewrites `state.margin_tiers` when the rule depends on what happens; else does nothing."""


@dataclass(frozen=True, kw_only=True)
class FlatMargin(Margin):
    """The same fraction of notional whatever the size of the position or of the market."""

    initial_margin_fraction: PerMarket = parameter(0.05, unit="fraction of notional", least=1e-6, most=1.0)
    maintenance_fraction_of_initial: PerMarket = parameter(0.6, unit="fraction", least=0.0, most=1.0)

    def init(self, state: State, seed: int) -> None:
        m = state.n_markets
        initial = per_market(self.initial_margin_fraction, m, f"{type(self).__name__}.initial_margin_fraction")
        share = per_market(self.maintenance_fraction_of_initial, m, f"{type(self).__name__}.maintenance_fraction_of_initial")
        state.margin_tiers = empty_table((m, 1), MARGIN_TIER)
        state.margin_tiers["initial"][:, 0] = initial
        state.margin_tiers["maintenance"][:, 0] = [maintenance_margin_fraction(a, b) for a, b in zip(initial, share, strict=True)]

    def update(self, state: State, memory: Any) -> None:
        """Nothing changes from block to block."""


@dataclass(frozen=True, kw_only=True)
class OpenInterestMargin(Margin):
    """dYdX v4: flat, but the initial fraction rises to 1 as the market's open interest goes from the lower to the upper cap.

    Maintenance margin never rises, so nobody is liquidated by the growth of a market. An upper cap of 0 switches the scaling off.
    Liquidity tiers: `protocol/testing/genesis.sh`; formula: `protocol/x/perpetuals/types/liquidity_tier.go`.
    """

    initial_margin_fraction: PerMarket = parameter(0.05, unit="fraction of notional", least=1e-6, most=1.0)
    maintenance_fraction_of_initial: PerMarket = parameter(0.6, unit="fraction", least=0.0, most=1.0)
    lower_cap: PerMarket = parameter(0.0, unit="USD of open interest", least=0.0)
    upper_cap: PerMarket = parameter(0.0, unit="USD of open interest", least=0.0)

    def init(self, state: State, seed: int) -> None:
        m = state.n_markets
        FlatMargin(
            initial_margin_fraction=self.initial_margin_fraction,
            maintenance_fraction_of_initial=self.maintenance_fraction_of_initial,
        ).init(state, seed)
        state.markets["open_interest_lower_cap"] = per_market(self.lower_cap, m, "OpenInterestMargin.lower_cap")
        state.markets["open_interest_upper_cap"] = per_market(self.upper_cap, m, "OpenInterestMargin.upper_cap")

    def update(self, state: State, memory: Any) -> None:
        """The scaling is part of the margin formula itself; nothing to rewrite."""


@dataclass(frozen=True, kw_only=True)
class TieredMargin(Margin):
    """Leverage that falls with the size of a position: rows of (USD of notional from which it holds, maximum leverage).

    Initial fraction of a tier 1 / leverage, maintenance fraction half of it by default; deductions keep both margins continuous at the
    edges (Hyperliquid documentation, margin tiers). One table for all markets, or one table per market.
    """

    tiers: tuple[tuple[tuple[float, float], ...], ...] = parameter(
        (((0.0, 40.0), (150_000_000.0, 20.0)),), unit="tables of (USD of notional, leverage), one for all markets or one each", least=0.0
    )
    maintenance_fraction_of_initial: float = parameter(0.5, unit="fraction", least=0.0, most=1.0)

    def inconsistencies(self) -> list[str]:
        problems = []
        for table in self.tiers:
            edges = [row[0] for row in table]
            if not table or edges[0] != 0.0 or edges != sorted(set(edges)):
                problems.append(f"TieredMargin.tiers: tiers must start at 0 and rise, not {edges}")
            if any(not 1.0 <= row[1] < math.inf for row in table):
                problems.append("TieredMargin.tiers: leverage must be at least 1")
        return problems

    def init(self, state: State, seed: int) -> None:
        m = state.n_markets
        tables = self.tiers * m if len(self.tiers) == 1 else self.tiers
        if len(tables) != m:
            raise ValueError(f"TieredMargin.tiers: {len(tables)} tables for {m} markets")
        widest = max(len(table) for table in tables)
        state.margin_tiers = empty_table((m, widest), MARGIN_TIER)
        state.margin_tiers["above"] = np.inf
        for k, table in enumerate(tables):
            rows = state.margin_tiers[k]
            for t, (above, leverage) in enumerate(table):
                rows[t]["above"] = above
                rows[t]["initial"] = 1.0 / leverage
                rows[t]["maintenance"] = self.maintenance_fraction_of_initial / leverage
                if t > 0:
                    for kind in ("initial", "maintenance"):
                        step = rows[t][kind] - rows[t - 1][kind]
                        rows[t][f"{kind}_deduction"] = rows[t - 1][f"{kind}_deduction"] + above * step

    def update(self, state: State, memory: Any) -> None:
        """Tiers depend on the position alone; nothing to rewrite."""


@dataclass(frozen=True, kw_only=True)
class SizeMargin(Margin):
    """Fractions that rise with the square root of the position's size, and unrealised profits that count only in part (Drift v2).

    fraction = max(f, 0.8 f + `size_factor` x sqrt(coins)), initial and maintenance alike. For initial margin an unrealised profit of
    u USD counts as u x min(`profit_weight`, 1.1 / (1 + `profit_size_factor` x sqrt(u))), at most `profit_cap`; for maintenance margin
    in full. Losses count in full always.

    Sources: drift-labs/protocol-v2 `programs/drift/src/math/margin.rs`, `state/perp_market.rs`; defaults are those of its tests.
    """

    initial_margin_fraction: PerMarket = parameter(0.1, unit="fraction of notional", least=1e-6, most=1.0)
    maintenance_fraction_of_initial: PerMarket = parameter(0.5, unit="fraction", least=0.0, most=1.0)
    size_factor: PerMarket = parameter(0.0, unit="fraction per square root of a coin", least=0.0)
    profit_weight: PerMarket = parameter(1.0, unit="fraction of an unrealised profit", least=0.0, most=1.0)
    profit_size_factor: PerMarket = parameter(0.0, unit="per square root of a USD", least=0.0)
    profit_cap: PerMarket = parameter(100.0, unit="USD per position", least=0.0, about="0: no cap")

    def init(self, state: State, seed: int) -> None:
        FlatMargin(
            initial_margin_fraction=self.initial_margin_fraction,
            maintenance_fraction_of_initial=self.maintenance_fraction_of_initial,
        ).init(state, seed)
        tiers = state.margin_tiers
        tiers["account_wide"] = WEIGHS_PROFIT
        for name in ("size_factor", "profit_weight", "profit_size_factor", "profit_cap"):
            tiers[name][:, 0] = per_market(getattr(self, name), state.n_markets, f"SizeMargin.{name}")
        tiers["sized"][tiers["size_factor"] > 0.0] = SIZED_BY_ROOT

    def update(self, state: State, memory: Any) -> None:
        """The scaling is part of the margin formula itself; nothing to rewrite."""
