"""Funding that accrues all the time and is paid often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.continuous_funding import settle_convergence_funding
from abm.mechanisms.funding import DAY, Funding
from abm.parameters import parameter, per_market
from abm.state import State


class ConvergenceMemory(NamedTuple):
    """What convergence funding remembers between blocks."""

    every: int
    static_rates: NDArray[np.float64]  # (m,) fraction per hour


@dataclass(frozen=True, kw_only=True)
class ConvergenceFunding(Funding):
    """Funding of Derive: the premium of the book now, divided by the hours in which it would be paid off, plus a static rate.

    Longs pay clamp(premium / `convergence_hours` + `static_rate`, +-`most`) an hour of their notional at the oracle price, settled every
    `settlement_seconds`. premium = [max(0, impact bid - P) - max(0, P - impact ask)] / P with the impact prices of an order of
    `impact_notional`. Source: derivexyz/v2-core `src/assets/PerpAsset.sol` and its tests.
    """

    settlement_seconds: float = parameter(60.0, unit="seconds", least=1e-3, most=30 * DAY)
    impact_notional: float | tuple[float, ...] = parameter(
        10_000.0, unit="USD", least=0.0, about="size of impact orders, one number, or one per market; 0 = best prices"
    )
    convergence_hours: float = parameter(8.0, unit="hours", least=1e-3)
    static_rate: float | tuple[float, ...] = parameter(
        0.0, unit="fraction per hour", least=-1.0, most=1.0, about="one number, or one per market"
    )
    most: float = parameter(0.0075, unit="fraction per hour", least=0.0)

    def init(self, state: State, seed: int) -> ConvergenceMemory:
        m = state.n_markets
        state.markets["impact_notional"] = per_market(self.impact_notional, m, "ConvergenceFunding.impact_notional")
        rates = np.array(per_market(self.static_rate, m, "ConvergenceFunding.static_rate"))
        return ConvergenceMemory(state.blocks(self.settlement_seconds), rates)

    def settle(self, state: State, memory: ConvergenceMemory) -> None:
        if state.venue["block"].item() % memory.every:
            return
        settle_convergence_funding(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.levels, state.bitmap, state.orders,
            state.funding_payments, memory.every, self.convergence_hours, memory.static_rates, self.most,
        )  # fmt: skip
