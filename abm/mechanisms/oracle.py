"""What the chain is told about outside prices."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels import oracle as kernels
from abm.mechanisms.rule import Rule
from abm.parameters import ParameterError, Parameters, parameter, per_market
from abm.state import NEVER, State, Table, empty_table
from abm.streams import stream_key

EVERY_SOURCE = kernels.EVERY
# On the chain stake is counted in the token's smallest unit, so halving it never rounds a vote away.
STAKE_UNITS = 10**12


@dataclass(frozen=True, kw_only=True)
class Oracle(Rule):
    """What the chain is told about outside prices."""

    @abstractmethod
    def publish(self, state: State, memory: Any) -> None:
        """Called once a block: writes `oracle` and `oracle_block` of every market, from `index`."""


@dataclass(frozen=True, kw_only=True)
class Window(Parameters):
    """A stretch of time since the start of the run; the end is not part of it."""

    from_seconds: float = parameter(unit="seconds", least=0.0, most=1e12)
    to_seconds: float = parameter(math.inf, unit="seconds", least=0.0)

    def inconsistencies(self) -> list[str]:
        if self.from_seconds < self.to_seconds:
            return []
        name = type(self).__name__
        return [f"{name}.to_seconds: {self.to_seconds:g} must be greater than from_seconds {self.from_seconds:g}"]


@dataclass(frozen=True, kw_only=True)
class SourceWindow(Window):
    """A stretch of time in which something is wrong with a source, in one market or in all."""

    source: int = parameter(unit="source number from 0, -1 = every source", least=EVERY_SOURCE)
    symbol: str = parameter("", unit="market name, empty = every market")


@dataclass(frozen=True, kw_only=True)
class Outage(SourceWindow):
    """A source that sees no new prices: it repeats its last one for the oracle's `expiry_seconds`, then falls silent."""


@dataclass(frozen=True, kw_only=True)
class Fault(SourceWindow):
    """A source that reports a wrong price: what it sees times `factor` (a decimals error, a manipulated exchange)."""

    factor: float = parameter(unit="times the true price", least=1e-9, most=1e9)


class SourcesMemory(NamedTuple):
    """Tables of a rule with sources, in the order in which the kernels take them."""

    settings: Table  # (1,)
    sources: Table  # (k,)
    windows: Table  # one row per halt, outage and fault
    min_changes: NDArray[np.float64]  # (m,), fraction
    history: NDArray[np.float64]  # (blocks, m) USD, ring of past index prices


class VotesMemory(NamedTuple):
    """As SourcesMemory, and room for the reports of one market."""

    settings: Table
    sources: Table
    windows: Table
    min_changes: NDArray[np.float64]
    history: NDArray[np.float64]
    reports: Table  # (k,)


@dataclass(frozen=True, kw_only=True)
class SourcedOracle(Oracle):
    """An oracle that is fed by several sources (validators, price providers), each late, noisy and fallible.

    With one source, no lag, no noise and no minimum change the oracle is the index. A price that is not replaced stays
    in force for everything, however old (dYdX v4). Sources: `protocol/x/prices` and `protocol/daemons/pricefeed` of
    dYdX v4.
    """

    lag_blocks: int = parameter(1, unit="blocks", least=0, most=1e6, about="by which every source is late")
    lag_spread_blocks: int = parameter(
        0, unit="blocks", least=0, most=1e6, about="added to the slowest source; the others lie evenly between"
    )
    sources: int = parameter(5, unit="sources", least=1, most=1000)
    noise: float | tuple[float, ...] = parameter(
        0.0, unit="fraction of the price", least=0.0, most=1.0, about="standard deviation; one, or one per source"
    )
    min_change: float | tuple[float, ...] = parameter(
        0.001, unit="fraction of the price", least=0.0, most=1.0, about="smaller ones are not published; one, or one per market"
    )
    update_interval_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=1e9, about="0 = every block")
    expiry_seconds: float = parameter(
        30.0, unit="seconds", least=0.0, most=1e6, about="for which a source that is cut off repeats its last price"
    )
    outages: tuple[Outage, ...] = parameter((), unit="outages")
    faults: tuple[Fault, ...] = parameter((), unit="faults")
    halts: tuple[Window, ...] = parameter((), unit="windows in which the chain publishes nothing")

    def inconsistencies(self) -> list[str]:
        name = type(self).__name__
        problems = []
        if isinstance(self.noise, tuple | list) and len(self.noise) != self.sources:
            problems.append(f"{name}.noise: {len(self.noise)} values for {self.sources} sources")
        for field, windows in (("outages", self.outages), ("faults", self.faults)):
            for window in windows:
                if window.source >= self.sources:
                    last = self.sources - 1
                    problems.append(f"{name}.{field}: there is no source {window.source}, they are 0 to {last}")
        return problems

    def init(self, state: State, seed: int) -> Any:
        markets = state.markets
        markets["oracle"] = markets["index"]
        markets["oracle_block"] = 0
        markets["oracle_confirmed"] = 0
        settings: Table = empty_table(1, kernels.SETTINGS)
        settings["key"] = stream_key(seed, "oracle")
        settings["interval"] = state.blocks(self.update_interval_seconds)
        settings["expiry"] = round(self.expiry_seconds / state.seconds_per_block)
        sources = self._source_table()
        longest = int(sources["lag"].max()) + (int(settings["expiry"][0]) if self.outages else 0)
        name = f"{type(self).__name__}.min_change"
        return SourcesMemory(
            settings=settings,
            sources=sources,
            windows=self._window_table(state),
            min_changes=np.array(per_market(self.min_change, state.n_markets, name)),
            history=np.tile(markets["index"], (longest + 1, 1)),
        )

    def _source_table(self) -> Table:
        sources: Table = empty_table(self.sources, kernels.SOURCE)
        sources["noise"] = self.noise
        sources["stake"] = STAKE_UNITS
        for number in range(self.sources):
            share = number / (self.sources - 1) if self.sources > 1 else 0.0
            sources["lag"][number] = self.lag_blocks + round(self.lag_spread_blocks * share)
        return sources

    def _window_table(self, state: State) -> Table:
        rows = [(window, kernels.HALT, EVERY_SOURCE, kernels.EVERY, 1.0) for window in self.halts]
        for outage in self.outages:
            rows.append((outage, kernels.OUTAGE, outage.source, self._market(outage, state), 1.0))
        for fault in self.faults:
            rows.append((fault, kernels.FAULT, fault.source, self._market(fault, state), fault.factor))
        windows: Table = empty_table(len(rows), kernels.WINDOW)
        for row, (window, effect, source, market, factor) in zip(windows, rows, strict=True):
            first = round(window.from_seconds / state.seconds_per_block)
            row["from_block"] = first
            row["to_block"] = NEVER
            if math.isfinite(window.to_seconds):
                row["to_block"] = max(first + 1, round(window.to_seconds / state.seconds_per_block))
            row["effect"], row["source"], row["market"], row["factor"] = effect, source, market, factor
        return windows

    def _market(self, window: SourceWindow, state: State) -> int:
        if not window.symbol:
            return kernels.EVERY
        if window.symbol in state.symbols:
            return state.symbols.index(window.symbol)
        nearest = get_close_matches(window.symbol, state.symbols, n=1, cutoff=0.0)[0]
        name = type(window).__name__
        raise ParameterError([f"{name}.symbol: there is no market {window.symbol!r}; the nearest name is {nearest!r}"])


@dataclass(frozen=True, kw_only=True)
class VotedOracle(SourcedOracle):
    """Every source votes, and the price changes only when enough stake has voted."""

    stakes: tuple[float, ...] = parameter((), unit="shares, one per source; empty = equal", least=0.0, most=1e15)
    quorum: float = parameter(0.667, unit="fraction of stake", least=0.0, most=1.0, about="two thirds are too few")

    def inconsistencies(self) -> list[str]:
        problems = super().inconsistencies()
        name = type(self).__name__
        if self.stakes and len(self.stakes) != self.sources:
            problems.append(f"{name}.stakes: {len(self.stakes)} values for {self.sources} sources")
        if self.stakes and sum(self.stakes) <= 0.0:
            problems.append(f"{name}.stakes: at least one source needs stake")
        return problems

    def init(self, state: State, seed: int) -> VotesMemory:
        memory: SourcesMemory = super().init(state, seed)
        if self.stakes:
            total = sum(self.stakes)
            memory.sources["stake"] = [round(stake / total * STAKE_UNITS) for stake in self.stakes]
        memory.settings["total_stake"] = memory.sources["stake"].sum()
        memory.settings["quorum"] = self.quorum
        return VotesMemory(*memory, reports=empty_table(self.sources, kernels.REPORT))


@dataclass(frozen=True, kw_only=True)
class MedianOracle(VotedOracle):
    """Stake-weighted lower median of the sources: a minority cannot move it (dYdX v4 with Slinky, the default)."""

    def publish(self, state: State, memory: VotesMemory) -> None:
        kernels.publish_median(state.venue, state.markets, *memory)


@dataclass(frozen=True, kw_only=True)
class MeanOracle(VotedOracle):
    """Plain mean of the sources: one of k that is wrong by a factor f moves it by (f - 1)/k."""

    def publish(self, state: State, memory: VotesMemory) -> None:
        kernels.publish_mean(state.venue, state.markets, *memory)


@dataclass(frozen=True, kw_only=True)
class ProposerOracle(SourcedOracle):
    """Sources propose in turn; a price is accepted only if it moves towards the index (dYdX v4 before Slinky)."""

    def publish(self, state: State, memory: SourcesMemory) -> None:
        kernels.publish_proposed(state.venue, state.markets, *memory)
