"""Oracles that take their prices from other oracles: averaged, pushed now and then, replaced when they fail, or disputed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels import oracle_chain as kernels
from abm.mechanisms.oracle import MedianOracle, Oracle, SourcedOracle, Window
from abm.mechanisms.windows import past_sums
from abm.parameters import ParameterError, parameter
from abm.state import NEVER, State, Table, empty_table
from abm.streams import stream_key


def kept_prices(state: State) -> Table:
    """A copy of what the markets' rows say of the oracle, one row per market."""
    kept = empty_table(state.n_markets, kernels.KEPT_PRICE)
    for name in kernels.KEPT_PRICE.names or ():
        kept[name] = state.markets[name]
    return kept


def publish_into(source: Oracle, state: State, memory: Any, kept: Table) -> None:
    """Lets the source publish as if it were alone; what it publishes is in `kept` afterwards, and the price in force as before."""
    kernels.swap_prices(state.markets, kept)
    source.publish(state, memory)
    kernels.swap_prices(state.markets, kept)


class AveragedMemory(NamedTuple):
    """The source's memory, what it published, and a ring of running sums (window + 1, m)."""

    source: Any
    kept: Table
    sums: NDArray[np.float64]
    window: int


@dataclass(frozen=True, kw_only=True)
class AveragedOracle(Oracle):
    """The source's price averaged over time: who manipulates it must hold it, and who watches it is late.

    "window": the exact mean of the last `average_seconds` (Chainlink and Uniswap windows of Perp v2). "exponential": P_avg <- (P dt +
    P_avg (T - dt)) / T, each sample held within `largest_move` of the average (Drift v2 `programs/drift/src/math/amm.rs`).
    """

    source: SourcedOracle = parameter(MedianOracle(min_change=0.0), unit="oracle with sources")
    average_seconds: float = parameter(900.0, unit="seconds", least=1e-3, most=1e6)
    averaging: Literal["window", "exponential"] = parameter("window", unit="how prices are averaged")
    largest_move: float = parameter(
        0.0, unit="fraction of the average", least=0.0, about="by which a sample may differ, in an exponential average; 0 = any"
    )

    def inconsistencies(self) -> list[str]:
        if self.averaging in ("window", "exponential"):
            return []
        return [f"AveragedOracle.averaging: {self.averaging!r} is not one of 'window', 'exponential'"]

    def init(self, state: State, seed: int) -> AveragedMemory:
        memory = self.source.init(state, seed)
        window = state.blocks(self.average_seconds)
        return AveragedMemory(memory, kept_prices(state), past_sums(state, window, state.markets["oracle"]), window)

    def publish(self, state: State, memory: AveragedMemory) -> None:
        publish_into(self.source, state, memory.source, memory.kept)
        if self.averaging == "window":
            kernels.publish_window_average(state.venue, state.markets, memory.kept, memory.sums, memory.window)
        else:
            period = memory.window * state.seconds_per_block
            kernels.publish_blended_average(state.venue, state.markets, memory.kept, period, self.largest_move)


class PushedMemory(NamedTuple):
    """The source's memory, what it published, and the block of the last write of each market (m,)."""

    source: Any
    kept: Table
    pushed: NDArray[np.int64]
    heartbeat: float


@dataclass(frozen=True, kw_only=True)
class PushedOracle(Oracle):
    """A feed that is written to the chain when its price has moved by `deviation`, and at least every `heartbeat_seconds`.

    Between two writes the old price stays in force: it can be traded against. Source: Chainlink data feeds, deviation threshold and
    heartbeat.
    """

    source: SourcedOracle = parameter(MedianOracle(min_change=0.0), unit="oracle with sources")
    deviation: float = parameter(0.005, unit="fraction of the price in force", least=0.0, most=1.0)
    heartbeat_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=1e9)

    def init(self, state: State, seed: int) -> PushedMemory:
        memory = self.source.init(state, seed)
        heartbeat = float(state.blocks(self.heartbeat_seconds))
        return PushedMemory(memory, kept_prices(state), np.full(state.n_markets, state.venue["block"][0]), heartbeat)

    def publish(self, state: State, memory: PushedMemory) -> None:
        publish_into(self.source, state, memory.source, memory.kept)
        kernels.publish_pushed(state.venue, state.markets, memory.kept, memory.pushed, self.deviation, memory.heartbeat)


class FallbackMemory(NamedTuple):
    """Memories of both sources, what they published, and the last good price."""

    primary_memory: Any
    backup_memory: Any
    primary: Table
    backup: Table
    good: NDArray[np.float64]  # (m,) USD
    good_block: NDArray[np.int64]  # (m,)
    steps: NDArray[np.int64]  # (m,) which price is in force


@dataclass(frozen=True, kw_only=True)
class FallbackOracle(Oracle):
    """The primary oracle; when it fails the backup; then the last good price; then the book within a band of it.

    A source fails when it has confirmed no price for `stale_seconds`, or when its price is more than `largest_jump` away from the last
    good one. With both failed the last good price holds for `hold_seconds`; after that the mid of the book, held within `band` of the
    last good price, is in force. In these two steps nothing is confirmed: an `OracleQualityGuard` bars what is too risky without an oracle,
    and a `CircuitBreaker` may halt.
    """

    primary: SourcedOracle = parameter(MedianOracle(min_change=0.0), unit="oracle with sources")
    backup: SourcedOracle = parameter(MedianOracle(min_change=0.0, lag_blocks=5, sources=1), unit="oracle with sources")
    stale_seconds: float = parameter(60.0, unit="seconds", least=0.0, most=1e9)
    hold_seconds: float = parameter(120.0, unit="seconds", least=0.0, most=1e9)
    largest_jump: float = parameter(math.inf, unit="fraction of the last good price", least=0.0, about="inf = any")
    band: float = parameter(0.05, unit="fraction of the last good price", least=0.0, most=1.0)

    def init(self, state: State, seed: int) -> FallbackMemory:
        primary_memory = self.primary.init(state, seed)
        primary = kept_prices(state)
        backup_memory = self.backup.init(state, int(stream_key(seed, "backup oracle") >> np.uint64(1)))
        return FallbackMemory(
            primary_memory, backup_memory, primary, kept_prices(state), state.markets["oracle"].copy(),
            np.full(state.n_markets, state.venue["block"][0]), np.zeros(state.n_markets, np.int64),
        )  # fmt: skip

    def publish(self, state: State, memory: FallbackMemory) -> None:
        publish_into(self.primary, state, memory.primary_memory, memory.primary)
        publish_into(self.backup, state, memory.backup_memory, memory.backup)
        kernels.publish_first_trusted(
            state.venue, state.markets, memory.primary, memory.backup, memory.good, memory.good_block,
            self.stale_seconds / state.seconds_per_block, self.hold_seconds / state.seconds_per_block, self.largest_jump, self.band,
            memory.steps,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Dispute(Window):
    """Somebody contests the oracle price: from `from_seconds` on a vote is open, and until `to_seconds` its outcome is in force.

    `factor` times the price in force when it was contested is what is proposed. It takes effect after `vote_seconds` with probability
    `acceptance`. Until then the last price holds ("last"), or the source goes on ("source"); when rejected the source goes on.
    """

    symbol: str = parameter("", unit="market name, empty = every market")
    factor: float = parameter(1.0, unit="times the contested price", least=1e-9, most=1e9)
    vote_seconds: float = parameter(3600.0, unit="seconds", least=0.0, most=1e9)
    acceptance: float = parameter(1.0, unit="probability", least=0.0, most=1.0)
    meanwhile: Literal["last", "source"] = parameter("last", unit="price in force until the vote ends")

    def inconsistencies(self) -> list[str]:
        problems = super().inconsistencies()
        if self.meanwhile not in ("last", "source"):
            problems.append(f"Dispute.meanwhile: {self.meanwhile!r} is not one of 'last', 'source'")
        if self.from_seconds + self.vote_seconds >= self.to_seconds:
            problems.append(f"Dispute.vote_seconds: the vote of {self.vote_seconds:g} s does not end before to_seconds {self.to_seconds:g}")
        return problems


class DisputedMemory(NamedTuple):
    """The source's memory, what it published, the disputes, and the prices that they contest (disputes, m)."""

    source: Any
    kept: Table
    disputes: Table
    contested: NDArray[np.float64]
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class DisputedOracle(Oracle):
    """An oracle whose price can be contested: a vote decides after a delay, and meanwhile a fallback holds.

    Examples: an optimistic oracle's dispute window; validators that settle a market at another price than the oracle's, as Hyperliquid's
    did with JELLY on 26 March 2025.
    """

    source: SourcedOracle = parameter(MedianOracle(min_change=0.0), unit="oracle with sources")
    disputes: tuple[Dispute, ...] = parameter((), unit="disputes")

    def init(self, state: State, seed: int) -> DisputedMemory:
        memory = self.source.init(state, seed)
        disputes = empty_table(len(self.disputes), kernels.DISPUTE)
        for row, dispute in zip(disputes, self.disputes, strict=True):
            row["from_block"] = round(dispute.from_seconds / state.seconds_per_block)
            row["decided"] = row["from_block"] + round(dispute.vote_seconds / state.seconds_per_block)
            row["to_block"] = NEVER if math.isinf(dispute.to_seconds) else round(dispute.to_seconds / state.seconds_per_block)
            row["factor"] = dispute.factor
            row["acceptance"] = dispute.acceptance
            row["market"] = kernels.EVERY
            row["holds_last"] = dispute.meanwhile == "last"
            if dispute.symbol:
                if dispute.symbol not in state.symbols:
                    nearest = get_close_matches(dispute.symbol, state.symbols, n=1, cutoff=0.0)[0]
                    raise ParameterError([f"Dispute.symbol: there is no market {dispute.symbol!r}; the nearest name is {nearest!r}"])
                row["market"] = state.symbols.index(dispute.symbol)
        contested = np.zeros((len(self.disputes), state.n_markets))
        return DisputedMemory(memory, kept_prices(state), disputes, contested, stream_key(seed, "disputes"))

    def publish(self, state: State, memory: DisputedMemory) -> None:
        publish_into(self.source, state, memory.source, memory.kept)
        kernels.publish_disputed(state.venue, state.markets, memory.kept, memory.disputes, memory.contested, memory.key)
