"""Marks that average the venue's own price, and marks that follow the funding basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels import averaged_mark as kernels
from abm.kernels.mark import MOVING_AVERAGE, mark_at_oracle
from abm.mechanisms.contract_tiers import Tiers, tiers_of, unknown_tiers
from abm.mechanisms.mark import Mark
from abm.mechanisms.windows import past_sums
from abm.parameters import parameter
from abm.state import NOT_YET, State, Table, empty_table

HOUR = 3_600.0  # seconds
EIGHT_HOURS = 28_800.0


class AveragesMemory(NamedTuple):
    """Rings of running sums, in the order in which the kernel takes them, and windows in blocks."""

    venue: NDArray[np.float64]  # (longest window + 1, m) USD
    oracle: NDArray[np.float64]
    short: int
    long: int
    premium: int


@dataclass(frozen=True, kw_only=True)
class AveragesMedianMark(Mark):
    """Median of the venue's price averaged over seconds, over half an hour, and of index + the average premium of a quarter (Perp v2).

    The averages are exact over their windows, and over what there is before they are full. The venue's price is the mid of its book,
    with an empty side its last trade; the index is the oracle price. Source: perpetual-protocol/perp-curie-contract
    `contracts/AccountBalance.sol`, `ClearingHouseConfig.sol`.
    """

    short_seconds: float = parameter(15.0, unit="seconds", least=1e-3, most=1e6)
    long_seconds: float = parameter(1800.0, unit="seconds", least=1e-3, most=1e6)
    premium_seconds: float = parameter(900.0, unit="seconds", least=1e-3, most=1e6)

    def init(self, state: State, seed: int) -> AveragesMemory:
        windows = [state.blocks(seconds) for seconds in (self.short_seconds, self.long_seconds, self.premium_seconds)]
        venue, oracle = (past_sums(state, max(windows), state.markets[price]) for price in ("mark", "oracle"))
        mark_at_oracle(state.markets)
        return AveragesMemory(venue, oracle, *windows)

    def update(self, state: State, memory: AveragesMemory) -> None:
        kernels.mark_at_median_of_averages(state.venue, state.markets, *memory)


@dataclass(frozen=True, kw_only=True)
class FairBasisMark(Mark):
    """Oracle price x (1 + last funding rate x part of the funding interval still to come): trading cannot move it (BitMEX).

    `settlement_seconds` is the interval of the venue's funding rule. Source: BitMEX fair price marking.
    """

    settlement_seconds: float = parameter(EIGHT_HOURS, unit="seconds", least=1e-3, most=1e9, about="as in the funding rule")

    def init(self, state: State, seed: int) -> int:
        mark_at_oracle(state.markets)
        return state.blocks(self.settlement_seconds)

    def update(self, state: State, memory: int) -> None:
        kernels.mark_at_fair_price(state.venue, state.markets, memory)


class BasisMemory(NamedTuple):
    """The moving average of the basis, and the funding interval in blocks."""

    averages: Table  # MOVING_AVERAGE (1, m)
    interval: int


@dataclass(frozen=True, kw_only=True)
class BasisMedianMark(Mark):
    """Median of the fair price, of oracle + average basis, and of the last trade (Binance).

    Fair price = oracle x (1 + last funding rate x part of the interval still to come); the basis is the average of mid - oracle with a
    time constant of `basis_seconds`. Source: Binance futures FAQ, mark price (30 seconds since September 2025, 150 before).
    """

    basis_seconds: float = parameter(30.0, unit="seconds", least=1e-3, most=1e9, about="time constant of the average of mid - oracle")
    settlement_seconds: float = parameter(EIGHT_HOURS, unit="seconds", least=1e-3, most=1e9, about="as in the funding rule")

    def init(self, state: State, seed: int) -> BasisMemory:
        mark_at_oracle(state.markets)
        averages = empty_table((1, state.n_markets), MOVING_AVERAGE)
        averages["sampled_block"] = NOT_YET
        return BasisMemory(averages, state.blocks(self.settlement_seconds))

    def update(self, state: State, memory: BasisMemory) -> None:
        kernels.mark_with_basis(state.venue, state.markets, memory.averages, state.seconds_per_block, self.basis_seconds, memory.interval)


class TradeMemory(NamedTuple):
    """A ring of running sums (window + 1, m), or one average per market (1, m)."""

    prices: NDArray[np.float64]
    window: int


@dataclass(frozen=True, kw_only=True)
class AverageTradeMark(Mark):
    """The last trade, averaged over time: the longer the average, the longer somebody must hold a thin book to move the mark.

    "window": the exact mean of the last `average_seconds`; "exponential": P_avg <- (P dt + P_avg (T - dt)) / T. Before the first trade
    the oracle price stands for it (time-weighted averages of vAMM venues: Perp v1 `src/Amm.sol`; exponential: Drift v2).
    """

    average_seconds: float = parameter(900.0, unit="seconds", least=1e-3, most=1e6)
    averaging: Literal["window", "exponential"] = parameter("window", unit="how trades are averaged")

    def inconsistencies(self) -> list[str]:
        if self.averaging in ("window", "exponential"):
            return []
        return [f"AverageTradeMark.averaging: {self.averaging!r} is not one of 'window', 'exponential'"]

    def init(self, state: State, seed: int) -> TradeMemory:
        past = state.markets["mark"].copy()
        mark_at_oracle(state.markets)
        window = state.blocks(self.average_seconds)
        if self.averaging == "window":
            return TradeMemory(past_sums(state, window, past), window)
        return TradeMemory(past.reshape(1, -1), window)

    def update(self, state: State, memory: TradeMemory) -> None:
        if self.averaging == "window":
            kernels.mark_at_average_trade(state.venue, state.markets, memory.prices, memory.window)
        else:
            kernels.mark_at_blended_trade(state.venue, state.markets, memory.prices[0], memory.window * state.seconds_per_block)


class TriggerMemory(NamedTuple):
    """Averages and bands of the trigger price, and the funding interval in blocks."""

    venue: NDArray[np.float64]  # (m,) USD
    oracle: NDArray[np.float64]  # (m,) USD
    bands: NDArray[np.float64]  # (m,) fraction
    interval: int


@dataclass(frozen=True, kw_only=True)
class OracleMarkWithTrigger(Mark):
    """The oracle price, and a trigger price of its own for conditional orders (Drift v2).

    Trigger price = median of the last trade, of oracle + funding basis, and of oracle + (average mid - average oracle), held within the
    tier's band of the oracle price. Funding basis = oracle x (rate per day - `offset`), fading to zero until the next settlement.
    Source: drift-labs/protocol-v2 `programs/drift/src/state/perp_market.rs`, get_trigger_price.
    """

    average_seconds: float = parameter(300.0, unit="seconds", least=1e-3, most=1e6)
    settlement_seconds: float = parameter(HOUR, unit="seconds", least=1e-3, most=1e9, about="as in the funding rule")
    offset: float = parameter(1.0 / 5000.0, unit="fraction of the oracle price per day", least=-1.0, most=1.0)
    tiers: Tiers = parameter(("A",), unit="contract tier of all markets, or of each")

    def inconsistencies(self) -> list[str]:
        return unknown_tiers("OracleMarkWithTrigger", self.tiers)

    def init(self, state: State, seed: int) -> TriggerMemory:
        mark_at_oracle(state.markets)
        bands = np.array([tier.trigger_band for tier in tiers_of(self.tiers, state.n_markets, "OracleMarkWithTrigger")])
        oracle = state.markets["oracle"]
        return TriggerMemory(oracle.copy(), oracle.copy(), bands, state.blocks(self.settlement_seconds))

    def update(self, state: State, memory: TriggerMemory) -> None:
        period = max(self.average_seconds, state.seconds_per_block)
        kernels.mark_at_oracle_with_trigger(
            state.venue, state.markets, memory.venue, memory.oracle, memory.bands, period, memory.interval, self.offset
        )
