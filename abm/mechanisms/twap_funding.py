"""Funding on the distance between the average price of the venue and the average oracle price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.twap_funding import DIVERGENCE, DIVERGENCE_TERMS, TWAP_TERMS, settle_divergence_funding, settle_twap_funding
from abm.mechanisms.contract_tiers import Tiers, tiers_of, unknown_tiers
from abm.mechanisms.funding import DAY, Funding
from abm.mechanisms.names import accounts_of
from abm.mechanisms.windows import past_sums
from abm.parameters import parameter
from abm.state import State, Table, empty_table


class DivergenceMemory(NamedTuple):
    """What divergence funding remembers between blocks."""

    terms: Table  # DIVERGENCE_TERMS, one row
    averages: Table  # DIVERGENCE (m,)
    is_counterparty: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True, kw_only=True)
class DivergenceFunding(Funding):
    """Funding of Drift v2: the average mid less the average oracle price, plus an offset, held within the tier's bound, a 24th an hour.

    - averages: P_avg <- (P dt + P_avg (T - dt)) / T with T = `average_seconds`, each sample held within the tier's band of the average
    - USD per coin that longs pay = clamp(venue - oracle + `offset` x oracle, +-bound x oracle) x settlement interval / day
    - the venue's own account, where there is one, is Drift's AMM, elsewhere accounts of the cohorts `counterparty_cohorts`
      stand for it: they pay at most `pool_share` of what they have earned in fees and funding, and those who receive share what there is;
      without them both sides pay the same
    - nothing is settled while the `short_average_seconds` averages are more than `largest_gap`, at least 10 %, apart

    Sources: drift-labs/protocol-v2 `programs/drift/src/math/funding.rs`, `controller/funding.rs`, `math/amm.rs`. The venue's price is
    the mid of its book; while a side is empty its average takes no new value.
    """

    settlement_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=30 * DAY)
    average_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=30 * DAY)
    short_average_seconds: float = parameter(300.0, unit="seconds", least=1e-3, most=30 * DAY)
    offset: float = parameter(1.0 / 5000.0, unit="fraction of the oracle price per day", least=-1.0, most=1.0)
    tiers: Tiers = parameter(("A",), unit="contract tier of all markets, or of each")
    largest_gap: float = parameter(0.1, unit="fraction of the venue's price", least=0.0)
    counterparty_cohorts: tuple[str, ...] = parameter((), unit="cohort names")
    pool_share: float = parameter(1.0 / 3.0, unit="fraction of what counterparties have earned", least=0.0, most=1.0)

    def inconsistencies(self) -> list[str]:
        return unknown_tiers("DivergenceFunding", self.tiers)

    def init(self, state: State, seed: int) -> DivergenceMemory:
        settlement_blocks = state.blocks(self.settlement_seconds)
        terms = empty_table(1, DIVERGENCE_TERMS)
        terms["settlement_blocks"] = settlement_blocks
        terms["period"] = settlement_blocks * state.seconds_per_block
        terms["average"] = max(self.average_seconds, state.seconds_per_block)
        terms["short_average"] = max(self.short_average_seconds, state.seconds_per_block)
        terms["offset"] = self.offset
        terms["largest_gap"] = self.largest_gap
        terms["pool_share"] = self.pool_share
        averages = empty_table(state.n_markets, DIVERGENCE)
        tiers = tiers_of(self.tiers, state.n_markets, "DivergenceFunding")
        averages["most"] = [tier.largest_divergence for tier in tiers]
        averages["band"] = [tier.average_band for tier in tiers]
        for name in ("venue", "oracle", "venue_short", "oracle_short"):
            averages[name] = state.markets["oracle"]
        return DivergenceMemory(terms, averages, self.counterparties(state))

    def counterparties(self, state: State) -> NDArray[np.bool_]:
        """(n,) which accounts are the other side of the traders' net position."""
        own: NDArray[np.bool_] = state.accounts["house"] != 0
        return own | accounts_of(self.counterparty_cohorts, state, "DivergenceFunding.counterparty_cohorts")

    def settle(self, state: State, memory: DivergenceMemory) -> None:
        settle_divergence_funding(
            state.venue, state.accounts, state.positions, state.markets, state.funding_payments, memory.terms, memory.averages,
            memory.is_counterparty,
        )  # fmt: skip


class TwapMemory(NamedTuple):
    """Terms, and rings of running sums of the venue's mid and of the oracle price."""

    terms: Table  # (1,)
    venue: NDArray[np.float64]  # (window + 1, m) USD
    oracle: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TwapPremiumFunding(Funding):
    """Longs pay (average mid - average oracle price) x interval / day per coin, both averages over `window_seconds`.

    The gap is held within `cap` of the oracle average per day. Where the venue's own account is the other side, it pays or receives
    the imbalance; with `fund_pays` nothing is settled while the insurance fund could not pay that for it, as on Perp v1, whose call
    then fails.

    Sources: Perp v1 (perpetual-protocol/perpetual-protocol `src/Amm.sol`, settleFunding: an hour, no cap; operators capped it at 0.02 %
    an hour in 2022); Perp v2 (perpetual-protocol/perp-curie-contract `contracts/Exchange.sol`: window 900 s, cap 0.1, accrued
    continuously, which a short `settlement_seconds` comes near).
    """

    window_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=7 * DAY)
    settlement_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=30 * DAY)
    cap: float = parameter(math.inf, unit="fraction of the oracle average per day", least=0.0, about="inf = none")
    fund_pays: bool = parameter(True, unit="yes or no", about="only what the fund can pay for the venue's own account is settled")

    def init(self, state: State, seed: int) -> TwapMemory:
        settlement_blocks = state.blocks(self.settlement_seconds)
        seconds = settlement_blocks * state.seconds_per_block
        terms = empty_table(1, TWAP_TERMS)
        terms["settlement_blocks"] = settlement_blocks
        terms["share_of_day"] = seconds / DAY
        terms["per_day"] = DAY / seconds
        terms["cap"] = self.cap
        terms["fund_pays"] = self.fund_pays
        terms["window"] = window = state.blocks(self.window_seconds)
        sums = past_sums(state, window, state.markets["oracle"])
        return TwapMemory(terms, sums, sums.copy())

    def settle(self, state: State, memory: TwapMemory) -> None:
        settle_twap_funding(
            state.venue, state.accounts, state.positions, state.markets, state.funds, state.funding_payments, *memory
        )  # fmt: skip
