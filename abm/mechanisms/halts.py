"""Guards that stop the machine itself: the whole chain, or some functions of the contract."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from abm.kernels import halts as kernels
from abm.mechanisms.guards import Guard
from abm.mechanisms.names import market_number
from abm.parameters import parameter
from abm.state import (
    BAR_FUNDING,
    BAR_LIQUIDATIONS,
    BAR_TRADES,
    BAR_TRIGGERS,
    CANCEL,
    CANCEL_ALL,
    CANCEL_CONDITIONALS,
    CONDITIONAL,
    DEPOSIT,
    JOIN_POOL,
    LEAVE_POOL,
    NEVER,
    WITHDRAW,
    State,
    Table,
    empty_table,
)

Function = Literal["trading", "liquidations", "funding", "cancels", "conditional orders", "deposits", "withdrawals"]
BARRED: dict[str, int] = {
    "trading": BAR_TRADES, "liquidations": BAR_LIQUIDATIONS, "funding": BAR_FUNDING, "conditional orders": BAR_TRIGGERS,
}  # fmt: skip
PAUSED_KINDS: dict[str, tuple[int, ...]] = {
    "cancels": (CANCEL, CANCEL_ALL, CANCEL_CONDITIONALS),
    "conditional orders": (CONDITIONAL,),
    "deposits": (DEPOSIT, JOIN_POOL),
    "withdrawals": (WITHDRAW, LEAVE_POOL),
}


def block_of(seconds: float, state: State) -> int:
    """The block in which a time since the start of the run falls; a time that never comes is NEVER."""
    return NEVER if math.isinf(seconds) else round(seconds / state.seconds_per_block)


@dataclass(frozen=True, kw_only=True)
class ChainHalt(Guard):
    """No block of the chain carries out transactions between two times, and no oracle price reaches it; then it goes on.

    Agents may decide; what arrives in a halt is lost. Resting orders still expire by time. After the restart the oracle's prices from
    before the halt stay in force for `stale_blocks`; nothing trades, is liquidated or settles funding for `warm_up_blocks`, nor, with
    `waits_for_oracle`, in a market whose oracle has no price from after the restart; and nothing is liquidated for
    `liquidation_grace_seconds`. Withdrawals after an outage are the matter of a `WithdrawalGate`.

    Sources: dYdX chain halts of April 2024 (9.5 h) and 10 October 2025 (8 h, restarted on prices from before it); sequencer grace
    period of 300 s, gmx-io/gmx-synthetics `contracts/oracle/Oracle.sol`.
    """

    from_seconds: float = parameter(3600.0, unit="seconds since the start", least=0.0, most=1e12)
    to_seconds: float = parameter(4800.0, unit="seconds since the start", least=0.0)
    stale_blocks: int = parameter(0, unit="blocks", least=0, most=1e9)
    warm_up_blocks: int = parameter(0, unit="blocks", least=0, most=1e9)
    waits_for_oracle: bool = parameter(False, unit="yes or no", about="before trading and liquidations go on")
    liquidation_grace_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=1e9, about="300 at GMX")

    def inconsistencies(self) -> list[str]:
        return window_problems("ChainHalt", self.from_seconds, self.to_seconds)

    def init(self, state: State, seed: int) -> Table:
        halt = empty_table(1, kernels.HALT)
        halt["from_block"] = block_of(self.from_seconds, state)
        halt["to_block"] = max(block_of(self.to_seconds, state), halt["from_block"][0] + 1)
        halt["stale"] = self.stale_blocks
        halt["warm_up"] = self.warm_up_blocks
        halt["waits"] = self.waits_for_oracle
        halt["grace"] = math.ceil(self.liquidation_grace_seconds / state.seconds_per_block)
        kernels.open_halt(state.venue, halt)
        return halt

    def watch(self, state: State, memory: Table) -> None:
        kernels.watch_halt(state.venue, state.markets, memory)


class PauseMemory(NamedTuple):
    """Blocks, and what is paused, in the order in which the kernel takes them."""

    from_block: int
    to_block: int
    kinds: int
    bars: int
    market: int


@dataclass(frozen=True, kw_only=True)
class PausedFunctions(Guard):
    """Some functions of the venue's contract do nothing between two times: a bug, an emergency pause, a missing role.

    "trading", "liquidations" and "funding" can be paused in one market alone; "cancels", "conditional orders", "deposits" (into pools
    too) and "withdrawals" (out of pools too) stop on the whole venue. What is sent meanwhile is lost. Conditional orders that wait already
    trigger afterwards. Examples: pause bits per operation of Drift v2 (`programs/drift/src/state/paused_operations.rs`), feature flags
    of GMX v2.
    """

    functions: tuple[Function, ...] = parameter(("withdrawals",), unit="names")
    from_seconds: float = parameter(3600.0, unit="seconds since the start", least=0.0, most=1e12)
    to_seconds: float = parameter(math.inf, unit="seconds since the start", least=0.0)
    symbol: str = parameter("", unit="market name, empty = every market")

    def inconsistencies(self) -> list[str]:
        known = get_args(Function)
        problems = [f"PausedFunctions.functions: {name!r} is not one of {', '.join(known)}" for name in self.functions if name not in known]
        if self.symbol:
            problems += [
                f"PausedFunctions.symbol: {name} can only be paused in every market at once"
                for name in self.functions
                if name in PAUSED_KINDS
            ]
        return problems + window_problems("PausedFunctions", self.from_seconds, self.to_seconds)

    def init(self, state: State, seed: int) -> PauseMemory:
        kinds = bars = 0
        for name in self.functions:
            bars |= BARRED.get(name, 0)
            for kind in PAUSED_KINDS.get(name, ()):
                kinds |= 1 << kind
        market = market_number(self.symbol, state.symbols, "PausedFunctions.symbol") if self.symbol else kernels.EVERY_MARKET
        return PauseMemory(block_of(self.from_seconds, state), block_of(self.to_seconds, state), kinds, bars, market)

    def watch(self, state: State, memory: PauseMemory) -> None:
        kernels.pause_functions(state.venue, state.markets, *memory)


def window_problems(name: str, start: float, end: float) -> list[str]:
    """One line if a window ends before it begins."""
    return [] if start < end else [f"{name}.to_seconds: {end:g} must be greater than from_seconds {start:g}"]
