"""Who starts a liquidation: keepers that must want to, or the protocol itself."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.enforcement import submit_protocol_liquidations
from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import State
from abm.streams import stream_key


@dataclass(frozen=True, kw_only=True)
class Enforcement(Rule):
    """Who starts a liquidation."""

    @abstractmethod
    def reward(self) -> tuple[float, float]:
        """What a keeper earns for a liquidation: (fraction of closed notional, USD each), both paid by the insurance fund."""

    @abstractmethod
    def enforce(self, state: State, memory: Any) -> None:
        """Called once a block after accounts are assessed: submits the protocol's own liquidation transactions, if any."""


class Queue(NamedTuple):
    """Scratch space for sorting the accounts to be liquidated, and when they are looked at."""

    rows: NDArray[np.int64]
    urgency: NDArray[np.float64]
    scan_blocks: float
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class ProtocolEnforcement(Enforcement):
    """The protocol scans every account in every block and sends the worst first, with no reward and no gas (dYdX v4's daemon).

    A breach that a block's oracle price causes is executed `lag_blocks` later; on dYdX it is the next block. With `scan_seconds` it
    looks only so often: on a fixed grid of blocks ("fixed"), or as a Poisson process with that mean waiting time ("random"), as one
    keeper of that rate would.
    """

    lag_blocks: int = parameter(1, unit="blocks", least=0, most=1_000_000)
    attempts_per_block: int = parameter(50, unit="accounts per block", least=1, most=1_000_000)
    scan_seconds: float = parameter(0.0, unit="seconds between scans", least=0.0, most=1e9, about="0: every block")
    scans: Literal["fixed", "random"] = parameter("fixed", unit="fixed or random")

    def inconsistencies(self) -> list[str]:
        if self.scans in ("fixed", "random"):
            return []
        return [f"ProtocolEnforcement.scans: {self.scans!r} is not one of 'fixed', 'random'"]

    def reward(self) -> tuple[float, float]:
        return 0.0, 0.0

    def init(self, state: State, seed: int) -> Queue:
        room = 4 * self.attempts_per_block
        scan_blocks = self.scan_seconds / state.seconds_per_block
        if self.scans == "fixed":
            scan_blocks = float(round(scan_blocks))
        return Queue(np.zeros(room, np.int64), np.zeros((room, 2), np.float64), scan_blocks, stream_key(seed, "enforcement"))

    def enforce(self, state: State, memory: Queue) -> None:
        if not state.somebody_to_liquidate:
            return
        submit_protocol_liquidations(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.transactions,
            state.liquidation_terms, memory.rows, memory.urgency, self.lag_blocks, self.attempts_per_block, memory.scan_blocks,
            self.scans == "random", memory.key,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KeeperEnforcement(Enforcement):
    """Nobody is liquidated unless a keeper finds it worth the gas. The insurance fund pays the reward while it has money."""

    reward_fraction: float = parameter(0.0025, unit="fraction of closed notional", least=0.0, most=1.0)
    reward_each: float = parameter(0.0, unit="USD per liquidation", least=0.0)

    def reward(self) -> tuple[float, float]:
        return self.reward_fraction, self.reward_each

    def enforce(self, state: State, memory: Any) -> None:
        """Keepers are agents; the protocol does nothing by itself."""


@dataclass(frozen=True, kw_only=True)
class CostCoveringEnforcement(Enforcement):
    """Keepers whose reward covers what the transaction cost them: min(max(c + least, c (1 + profit), c + share x notional), most).

    c is the gas of the liquidation in USD. The insurance fund pays while it has money (Synthetix V3
    `markets/perps-market/contracts/storage/GlobalPerpsMarketConfiguration.sol`, keeperReward).
    """

    reward_fraction: float = parameter(0.0025, unit="fraction of closed notional", least=0.0, most=1.0)
    least_reward: float = parameter(1.0, unit="USD above the cost", least=0.0)
    profit: float = parameter(0.005, unit="fraction of the cost", least=0.0)
    most_reward: float = parameter(1_000.0, unit="USD per liquidation", least=0.0)

    def init(self, state: State, seed: int) -> None:
        state.venue["reward_covers_gas"] = 1
        state.venue["reward_profit"] = self.profit
        state.venue["reward_most"] = self.most_reward

    def reward(self) -> tuple[float, float]:
        return self.reward_fraction, self.least_reward

    def enforce(self, state: State, memory: Any) -> None:
        """Keepers are agents; the protocol does nothing by itself."""
