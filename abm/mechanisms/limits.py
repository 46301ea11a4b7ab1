"""Guards that bound prices, withdrawals and what the insurance fund pays, and one that distrusts the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from abm.kernels.limits import limit_outflow, set_price_bands
from abm.kernels.oracle_validity import VALIDITY_TERMS, bar_by_validity
from abm.mechanisms.contract_tiers import Tiers, tiers_of, unknown_tiers
from abm.mechanisms.guards import DAY, Guard
from abm.parameters import parameter, per_market
from abm.state import State, Table, empty_table

Reference = Literal["oracle", "mark", "last trade"]


@dataclass(frozen=True, kw_only=True)
class PriceBand(Guard):
    """Orders match and rest only within `band` of a reference price, set anew in every block; liquidations too.

    With the reference "last trade" it is a limit on how far a block may move the price, as the fluctuation limit of Perp v1
    (`src/Amm.sol`, 1.2 % as deployed); with "oracle" orders too far from the oracle price are refused, as on Hyperliquid (exchange
    API, reject code Oracle; the width is not published). An aggressive order takes what lies inside the band; what would rest outside
    is out of range. A band protects against thin books and fat fingers, and delays liquidations.
    """

    band: float = parameter(0.05, unit="fraction of the reference price", least=1e-6, most=1.0)
    reference: Reference = parameter("oracle", unit="price that the band lies around")

    def inconsistencies(self) -> list[str]:
        if self.reference in get_args(Reference):
            return []
        return [f"PriceBand.reference: {self.reference!r} is not one of {', '.join(map(repr, get_args(Reference)))}"]

    def watch(self, state: State, memory: None) -> None:
        set_price_bands(state.markets, self.band, get_args(Reference).index(self.reference))


@dataclass(frozen=True, kw_only=True)
class WithdrawalFloor(Guard):
    """After a withdrawal an account must keep at least this fraction of the notional of all its positions, whatever its leverage.

    Hyperliquid asks for max(initial margin, 0.1 x notional) since a trader had withdrawn the margin of a large position so that the
    vault had to take it (documentation, margining; 12 March 2025).
    """

    fraction: float = parameter(0.1, unit="fraction of notional", least=0.0, most=1.0)

    def init(self, state: State, seed: int) -> None:
        state.venue["withdrawal_floor"] = self.fraction

    def lift(self, state: State) -> None:
        state.venue["withdrawal_floor"] = 0.0

    def watch(self, state: State, memory: None) -> None:
        pass  # the floor stands in the venue's row, and clearing enforces it


@dataclass(frozen=True, kw_only=True)
class DepositOutflowLimit(Guard):
    """Deposits may not fall below their day's average less the larger of `share` of it and `threshold` (Drift v2).

    The average is P_avg <- (P dt + P_avg (T - dt)) / T over `average_seconds`. One such limit per venue, and not beside a
    `WithdrawalGate`, which keeps books on the same capacity. Source: drift-labs/protocol-v2
    `programs/drift/src/math/spot_withdraw.rs`.
    """

    share: float = parameter(0.25, unit="fraction of the average", least=0.0, most=1.0)
    threshold: float = parameter(100_000.0, unit="USD", least=0.0)
    average_seconds: float = parameter(DAY, unit="seconds", least=1e-3, most=366 * DAY)

    def init(self, state: State, seed: int) -> NDArray[np.float64]:
        return np.full(1, np.nan)

    def lift(self, state: State) -> None:
        state.venue["withdrawal_capacity"] = np.inf

    def watch(self, state: State, memory: NDArray[np.float64]) -> None:
        if np.isnan(memory[0]):
            memory[0] = max(state.venue["net_deposits"].item(), 0.0)
        period = max(self.average_seconds, state.seconds_per_block)
        limit_outflow(state.venue, memory, period, self.share, self.threshold)


@dataclass(frozen=True, kw_only=True)
class InsuranceDrawLimit(Guard):
    """The insurance fund pays at most so much for the losses of a market over the run, by the market's contract tier (Drift v2).

    What it does not pay is left to deleveraging: on Drift to all other positions of the market (`SocialisedLoss`). Tier A 100 million
    USD, B one million, C 100,000, the others nothing; `draws` replaces the tiers' numbers by its own. Source: drift-labs/protocol-v2
    `programs/drift/src/state/perp_market.rs`, quote_max_insurance.
    """

    tiers: Tiers = parameter(("A",), unit="contract tier of all markets, or of each")
    draws: tuple[float, ...] = parameter((), unit="USD, of all markets or of each; empty = by tier", least=0.0)

    def inconsistencies(self) -> list[str]:
        return unknown_tiers("InsuranceDrawLimit", self.tiers)

    def init(self, state: State, seed: int) -> None:
        if self.draws:
            draws = self.draws * state.n_markets if len(self.draws) == 1 else self.draws
            state.markets["insurance_left"] = per_market(draws, state.n_markets, "InsuranceDrawLimit.draws")
        else:
            state.markets["insurance_left"] = [tier.insurance_draw for tier in tiers_of(self.tiers, state.n_markets, type(self).__name__)]

    def watch(self, state: State, memory: None) -> None:
        pass  # what is left stands in the market's row, and clearing counts it down


class QualityMemory(NamedTuple):
    """Limits, and the average oracle price of each market (m,) in USD."""

    terms: Table  # VALIDITY_TERMS (m,)
    averages: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OracleQualityGuard(Guard):
    """Bars in each market what its oracle price is not good enough for (the action matrix of Drift v2).

    | | new risk, withdrawals | trades, funding | liquidations, triggers |
    |---|---|---|---|
    | stale for margin | barred | | |
    | too uncertain | barred | barred | |
    | too volatile, not positive | barred | barred | barred |

    Stale: not confirmed for `stale_seconds`. Uncertain: confidence interval / price above `largest_confidence` times the tier's
    multiplier. Volatile: price and its average of `average_seconds` differ by a factor whose whole part exceeds `largest_ratio`. The feed's
    confidence interval is taken as price x sqrt(`confidence_seconds` of present volatility); 0 seconds: it is never too uncertain.

    Source: drift-labs/protocol-v2 `programs/drift/src/math/oracle.rs`; 120 slots of 0.4 s, 2 %, ratio 5.
    """

    stale_seconds: float = parameter(48.0, unit="seconds", least=0.0, most=1e9)
    largest_confidence: float = parameter(0.02, unit="fraction of the price", least=0.0)
    confidence_seconds: float = parameter(0.0, unit="seconds of volatility", least=0.0, most=1e9)
    largest_ratio: float = parameter(5.0, unit="times", least=1.0)
    average_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=30 * DAY)
    tiers: Tiers = parameter(("A",), unit="contract tier of all markets, or of each")

    def inconsistencies(self) -> list[str]:
        return unknown_tiers("OracleQualityGuard", self.tiers)

    def init(self, state: State, seed: int) -> QualityMemory:
        terms = empty_table(state.n_markets, VALIDITY_TERMS)
        terms["stale_for_pool"] = self.stale_seconds
        terms["stale_for_margin"] = self.stale_seconds
        terms["largest_ratio"] = self.largest_ratio
        tiers = tiers_of(self.tiers, state.n_markets, "OracleQualityGuard")
        terms["largest_confidence"] = [self.largest_confidence * tier.confidence_multiplier for tier in tiers]
        terms["confidence_blocks"] = self.confidence_seconds / state.seconds_per_block
        terms["average"] = max(self.average_seconds, state.seconds_per_block)
        return QualityMemory(terms, state.markets["oracle"].copy())

    def watch(self, state: State, memory: QualityMemory) -> None:
        bar_by_validity(state.venue, state.markets, *memory)
