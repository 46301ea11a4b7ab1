"""What stops a venue from hurting itself: caps, isolation, halts and gates. A venue has any number of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from abm.kernels import guards as kernels
from abm.kernels.withdrawals import LIMIT
from abm.mechanisms.rule import Rule
from abm.parameters import ParameterError, parameter, per_market
from abm.state import NOT_YET, State, Table, empty_table

HOUR = 3_600.0
DAY = 86_400.0

Watched = Literal["oracle", "mark", "mid", "gap"]
Resume = Literal["timer", "calm"]


@dataclass(frozen=True, kw_only=True)
class Guard(Rule):
    """One guard. `init` may set limits in the tables once; `watch` is called every block after the mark price is known."""

    @abstractmethod
    def watch(self, state: State, memory: Any) -> None:
        """Looks at the tables and sets what the guard controls: market status, caps, the withdrawal gate."""

    def lift(self, state: State) -> None:
        """Takes back what `init` and `watch` have set beyond the block, when a vote puts another guard in this one's place."""

    def take_over(self, memory: Any, before: Any) -> None:
        """Goes on with what a guard of the same kind has begun, whose memory was `before`, when a vote puts this one in its place."""


@dataclass(frozen=True, kw_only=True)
class OpenInterestCap(Guard):
    """A hard cap on open interest per market: at the cap only trades that do not raise it are possible (GMX v2, Hyperliquid)."""

    caps: float | tuple[float, ...] = parameter(unit="USD, one side, of every market or of each", least=0.0)

    def init(self, state: State, seed: int) -> None:
        caps = per_market(self.caps, state.n_markets, "OpenInterestCap.caps")
        state.markets["open_interest_cap"] = np.minimum(state.markets["open_interest_cap"], caps)

    def lift(self, state: State) -> None:
        state.markets["open_interest_cap"] = np.inf

    def watch(self, state: State, memory: None) -> None:
        pass  # the cap stands in the market's row, and clearing enforces it


@dataclass(frozen=True, kw_only=True)
class IsolatedMarkets(Guard):
    """Markets that may only be held by accounts that hold nothing else, so that their losses stay there (dYdX v4)."""

    symbols: tuple[str, ...] = parameter(unit="market names")

    def init(self, state: State, seed: int) -> None:
        for symbol in self.symbols:
            if symbol not in state.symbols:
                nearest = get_close_matches(symbol, state.symbols, n=1, cutoff=0.0)[0]
                raise ParameterError([f"IsolatedMarkets.symbols: there is no market {symbol!r}; the nearest name is {nearest!r}"])
        for symbol in self.symbols:
            state.markets["isolated_only"][state.symbols.index(symbol)] = 1

    def watch(self, state: State, memory: None) -> None:
        pass  # the mark stands in the market's row, and clearing enforces it


class BreakerMemory(NamedTuple):
    """Tables of a circuit breaker, in the order in which its kernel takes them."""

    breakers: Table  # (m,)
    settings: Table  # (1,)
    prices: NDArray[np.float64]  # (window + 1, m) USD, ring of watched prices
    oracles: NDArray[np.float64]  # (resume window + 1, m) USD, ring of oracle prices


@dataclass(frozen=True, kw_only=True)
class CircuitBreaker(Guard):
    """Halts a market whose price has moved by more than `threshold` from its extreme of the last `window_seconds`.

    `watched` is the price: the oracle's, the mark, or the mid of the book (the last one while a side is empty). With
    "gap" the market halts when the mark has been more than `threshold` away from the index for `window_seconds` on end.
    While halted orders do not match; cancels work. After `halt_seconds` it resumes ("timer"), or not before the oracle
    price has moved by less than `resume_threshold` over `resume_window_seconds` ("calm"). A move is measured from the
    last resumption at the earliest.
    """

    watched: Watched = parameter("oracle", unit="oracle, mark, mid or gap")
    threshold: float = parameter(0.1, unit="fraction of the price", least=0.0, most=1e6)
    window_seconds: float = parameter(300.0, unit="seconds", least=0.0, most=1e6)
    halt_seconds: float = parameter(300.0, unit="seconds", least=0.0, most=1e9)
    resume: Resume = parameter("timer", unit="timer or calm")
    resume_threshold: float = parameter(0.02, unit="fraction of the price", least=0.0, most=1e6)
    resume_window_seconds: float = parameter(60.0, unit="seconds", least=0.0, most=1e6)
    all_markets: bool = parameter(False, unit="yes or no", about="one market halts all of them, and they resume together")

    def inconsistencies(self) -> list[str]:
        problems = []
        for name, value, known in (("watched", self.watched, Watched), ("resume", self.resume, Resume)):
            if value not in get_args(known):
                problems.append(f"CircuitBreaker.{name}: {value!r} is not one of {', '.join(get_args(known))}")
        return problems

    def init(self, state: State, seed: int) -> BreakerMemory:
        settings: Table = empty_table(1, kernels.BREAKER_SETTINGS)
        settings["threshold"] = self.threshold
        settings["resume_threshold"] = self.resume_threshold
        settings["window"] = state.blocks(self.window_seconds)
        settings["halt"] = state.blocks(self.halt_seconds)
        settings["resume_window"] = state.blocks(self.resume_window_seconds)
        settings["watched"] = get_args(Watched).index(self.watched)
        settings["waits_for_calm"] = self.resume == "calm"
        settings["all_markets"] = self.all_markets
        start = state.markets["index"]
        breakers: Table = empty_table(state.n_markets, kernels.BREAKER)
        # The window is empty: the first price is its highest and its lowest.
        breakers["high"] = 0.0
        breakers["low"] = np.inf
        breakers["until"] = NOT_YET
        breakers["since"] = breakers["high_block"] = breakers["low_block"] = state.venue["block"][0]
        return BreakerMemory(
            breakers=breakers,
            settings=settings,
            prices=np.tile(start, (state.blocks(self.window_seconds) + 1, 1)),
            oracles=np.tile(state.markets["oracle"], (state.blocks(self.resume_window_seconds) + 1, 1)),
        )

    def take_over(self, memory: BreakerMemory, before: BreakerMemory) -> None:
        memory.breakers["until"] = np.maximum(memory.breakers["until"], before.breakers["until"])  # its halts are ended by this one

    def watch(self, state: State, memory: BreakerMemory) -> None:
        kernels.watch_prices(state.venue, state.markets, *memory)


class GateMemory(NamedTuple):
    """Tables of a withdrawal gate, in the order in which its kernel takes them."""

    gate: Table  # (1,)
    limits: Table  # (2,): hourly, daily


@dataclass(frozen=True, kw_only=True)
class WithdrawalGate(Guard):
    """Blocks withdrawals after a loss and after an outage, and limits how much may leave per hour and per day.

    No withdrawals for `blocks_after_loss` blocks after an account below zero was last seen, and for
    `blocks_after_outage` blocks after a time of `outage_seconds` without an agreed oracle price. The capacity for
    withdrawals returns to a baseline, max(minimum, fraction of all deposits), within an hour and a day; deposits add to
    it (dYdX v4 `protocol/x/subaccounts/keeper`, `protocol/x/ratelimit`). An infinite minimum takes a limit away.
    """

    blocks_after_loss: int = parameter(50, unit="blocks", least=0, most=1e9)
    blocks_after_outage: int = parameter(50, unit="blocks", least=0, most=1e9)
    outage_seconds: float = parameter(300.0, unit="seconds", least=0.0, most=1e9)
    hourly_minimum: float = parameter(1e6, unit="USD", least=0.0)
    hourly_fraction: float = parameter(0.01, unit="fraction of deposits", least=0.0, most=1.0)
    daily_minimum: float = parameter(1e7, unit="USD", least=0.0)
    daily_fraction: float = parameter(0.1, unit="fraction of deposits", least=0.0, most=1.0)

    def init(self, state: State, seed: int) -> GateMemory:
        gate: Table = empty_table(1, kernels.GATE)
        gate["after_loss"] = self.blocks_after_loss
        gate["after_outage"] = self.blocks_after_outage
        gate["outage"] = state.blocks(self.outage_seconds)
        gate["seconds_per_block"] = state.seconds_per_block
        limits: Table = empty_table(2, LIMIT)
        limits["minimum"] = self.hourly_minimum, self.daily_minimum
        limits["tvl_fraction"] = self.hourly_fraction, self.daily_fraction
        limits["period"] = HOUR, DAY
        return GateMemory(gate=gate, limits=limits)

    def lift(self, state: State) -> None:
        state.venue["withdrawal_capacity"] = np.inf
        state.venue["withdrawals_blocked_until"] = 0

    def watch(self, state: State, memory: GateMemory) -> None:
        kernels.watch_withdrawals(state.venue, state.funds, state.markets, *memory)
