"""Funding by the skew of open interest: no premium is measured, the larger side pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.skew_funding import SKEW_TERMS, settle_adaptive_funding, settle_velocity_funding
from abm.mechanisms.funding import DAY, Funding
from abm.mechanisms.names import accounts_of
from abm.parameters import parameter, per_market
from abm.state import State, Table, empty_table

YEAR = 365.0 * DAY


class SkewMemory(NamedTuple):
    """Terms and the rates that are remembered, per market."""

    terms: Table  # (1,)
    rates: NDArray[np.float64]  # (m,) fraction per second


@dataclass(frozen=True, kw_only=True)
class AdaptiveSkewFunding(Funding):
    """The larger side pays the smaller at a rate that rises while the skew lasts (GMX v2).

    With skew s = |longs - shorts| / (longs + shorts): while s is above `stable_threshold`, or the rate still has the other sign, the rate
    moves toward the larger side by s x its largest value per `increase_seconds`; while s is below `decrease_threshold` it falls by its
    largest value per `decrease_seconds`; between, it stays. The paying side pays rate x notional, the other side shares that pro rata,
    and the venue's own account takes no part. While one side is empty nothing happens.

    With a `static_factor` f the rate has no memory: f x |longs - shorts|^`static_exponent` / (longs + shorts) per second.

    Source: gmx-io/gmx-synthetics `contracts/market/MarketUtils.sol`, `config/markets.ts`; continuous there, settled every
    `settlement_seconds` here.
    """

    settlement_seconds: float = parameter(60.0, unit="seconds", least=1e-3, most=30 * DAY)
    max_rate: float = parameter(0.9, unit="fraction per year", least=0.0, most=1e6)
    min_rate: float = parameter(0.01, unit="fraction per year", least=0.0, most=1e6, about="what is paid at least, while a side pays")
    increase_seconds: float = parameter(10_800.0, unit="seconds from zero to the largest rate at full skew", least=1.0, most=YEAR)
    decrease_seconds: float = parameter(172_800.0, unit="seconds from the largest rate to zero", least=1.0, most=YEAR)
    stable_threshold: float = parameter(0.04, unit="skew", least=0.0, most=1.0)
    decrease_threshold: float = parameter(0.0, unit="skew", least=0.0, most=1.0)
    static_factor: float = parameter(0.0, unit="per second and USD^(exponent - 1)", least=0.0, about="0: the rate adapts")
    static_exponent: float = parameter(1.0, unit="dimensionless", least=0.0, most=4.0)

    def inconsistencies(self) -> list[str]:
        problems = []
        if self.decrease_threshold > self.stable_threshold:
            problems.append("AdaptiveSkewFunding.decrease_threshold: must not exceed stable_threshold")
        if self.min_rate > self.max_rate:
            problems.append("AdaptiveSkewFunding.min_rate: must not exceed max_rate")
        return problems

    def init(self, state: State, seed: int) -> SkewMemory:
        terms = interval_terms(state, self.settlement_seconds)
        most = self.max_rate / YEAR
        terms["factor"] = self.static_factor
        terms["exponent"] = self.static_exponent
        terms["increase"] = most / self.increase_seconds
        terms["decrease"] = most / self.decrease_seconds
        terms["stable_threshold"] = self.stable_threshold
        terms["decrease_threshold"] = self.decrease_threshold
        terms["least"] = self.min_rate / YEAR
        terms["most"] = most
        return SkewMemory(terms, np.zeros(state.n_markets))

    def settle(self, state: State, memory: SkewMemory) -> None:
        if state.venue["block"].item() % memory.terms["settlement_blocks"].item():
            return
        settle_adaptive_funding(state.venue, state.accounts, state.positions, state.markets, state.funding_payments, *memory)


class VelocityMemory(NamedTuple):
    """Terms; of every market the scale, the largest velocity and the rate; and who is no trader."""

    terms: Table  # (1,)
    scales: NDArray[np.float64]  # (m,) coins
    fastest: NDArray[np.float64]  # (m,) fraction per day, per day
    rates: NDArray[np.float64]  # (m,) fraction per day
    is_counterparty: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True, kw_only=True)
class VelocityFunding(Funding):
    """The skew is the speed at which the rate changes (Synthetix Perps V3).

    The rate per day moves by clamp(skew / scale, -1, 1) x `max_velocity` per day, and does not return to zero by itself: that takes the
    opposite skew. Longs pay the average of the old and the new rate x oracle price; where a pool is the other side it pays or receives
    the imbalance. `skew_scale` is given as USD at the prices of the start.

    Skew = coins that traders hold on balance: all but the venue's own account and the accounts of the cohorts `counterparty_cohorts`
    (numbers from 0: a vault, the makers). On a book without counterparties it is 0, as longs equal shorts.
    Source: Synthetixio/synthetix-v3 `markets/perps-market/contracts/storage/PerpsMarket.sol`.
    """

    settlement_seconds: float = parameter(60.0, unit="seconds", least=1e-3, most=30 * DAY)
    skew_scale: float | tuple[float, ...] = parameter(2e9, unit="USD at the first price; one number, or one per market", least=1.0)
    max_velocity: float | tuple[float, ...] = parameter(
        3.0, unit="fraction per day, per day; one number, or one per market", least=0.0, most=1e6
    )
    counterparty_cohorts: tuple[str, ...] = parameter((), unit="cohort names")

    def init(self, state: State, seed: int) -> VelocityMemory:
        terms = interval_terms(state, self.settlement_seconds)
        m = state.n_markets
        scale = np.array(per_market(self.skew_scale, m, "VelocityFunding.skew_scale"))
        fastest = np.array(per_market(self.max_velocity, m, "VelocityFunding.max_velocity"))
        is_counterparty = accounts_of(self.counterparty_cohorts, state, "VelocityFunding.counterparty_cohorts")
        return VelocityMemory(terms, scale / state.markets["index"], fastest, np.zeros(m), is_counterparty)

    def settle(self, state: State, memory: VelocityMemory) -> None:
        if state.venue["block"].item() % memory.terms["settlement_blocks"].item():
            return
        settle_velocity_funding(state.venue, state.accounts, state.positions, state.markets, state.funding_payments, *memory)


def interval_terms(state: State, settlement_seconds: float) -> Table:
    """Terms (1,) with the interval filled in."""
    terms = empty_table(1, SKEW_TERMS)
    terms["settlement_blocks"] = blocks = state.blocks(settlement_seconds)
    terms["seconds"] = blocks * state.seconds_per_block
    terms["days"] = blocks * state.seconds_per_block / DAY
    return terms
