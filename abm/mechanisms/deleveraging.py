"""Who takes over the position of a bankrupt account when neither the book nor the fund can."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.deleveraging import (
    MARK_TO_ENTRY,
    PROFIT_LEVERAGE,
    deleverage_against_random,
    deleverage_by_rank,
    deleverage_pro_rata,
    socialise_losses,
)
from abm.kernels.pool_deleveraging import deleverage_profits
from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import POOLED, State
from abm.streams import stream_key


class Queue(NamedTuple):
    """Scratch space for the accounts on the other side and their scores."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Deleveraging(Rule):
    """Who takes over the position of a bankrupt account when neither the book nor the fund can.

    Whoever it is, the price is the bankruptcy price, so the bankrupt account ends at zero and the winners lose what it owed.
    """

    @abstractmethod
    def absorb(self, state: State, memory: Any) -> None:
        """Called once a block after clearing: closes positions of accounts below zero whose liquidation failed in this block."""


@dataclass(frozen=True, kw_only=True)
class NoDeleveraging(Deleveraging):
    """Nobody: accounts below zero stay open as bad debt until the market or the fund recovers."""

    def absorb(self, state: State, memory: Any) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class RandomDeleveraging(Deleveraging):
    """dYdX v4: counterparties are walked from a random start, whatever their profit; limits per block as on the chain."""

    attempts_per_block: int = parameter(10, unit="positions per block", least=1, most=1_000_000)
    accounts_scanned: int = parameter(500, unit="accounts per position", least=1, most=100_000_000)

    def init(self, state: State, seed: int) -> np.uint64:
        return stream_key(seed, "deleveraging")

    def absorb(self, state: State, memory: np.uint64) -> None:
        if not state.somebody_to_liquidate:
            return
        deleverage_against_random(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.liquidations,
            state.deleveragings, memory, self.attempts_per_block, self.accounts_scanned,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RankedDeleveraging(Deleveraging):
    """The most profitable and most levered first: a queue whose top is emptied before the next is touched.

    `rank` "mark to entry": (mark / entry) x (notional / account value), Hyperliquid. "profit leverage": profit fraction x effective
    leverage, for losers profit fraction / leverage, BitMEX and Binance.
    """

    rank: Literal["mark to entry", "profit leverage"] = parameter("profit leverage", unit="name")
    attempts_per_block: int = parameter(1_000, unit="positions per block", least=1, most=1_000_000)

    def init(self, state: State, seed: int) -> Queue:
        return Queue(np.zeros(state.n_accounts, np.int64), np.zeros(state.n_accounts))

    def absorb(self, state: State, memory: Queue) -> None:
        if not state.somebody_to_liquidate:
            return
        rank = MARK_TO_ENTRY if self.rank == "mark to entry" else PROFIT_LEVERAGE
        deleverage_by_rank(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.liquidations,
            state.deleveragings, memory.rows, memory.scores, rank, self.attempts_per_block,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProRataDeleveraging(Deleveraging):
    """Everybody on the other side a little, in proportion to unrealised profit or to size."""

    weight: Literal["profit", "size"] = parameter("profit", unit="name")
    attempts_per_block: int = parameter(1_000, unit="positions per block", least=1, most=1_000_000)

    def init(self, state: State, seed: int) -> Queue:
        return Queue(np.zeros(state.n_accounts, np.int64), np.zeros(state.n_accounts))

    def absorb(self, state: State, memory: Queue) -> None:
        if not state.somebody_to_liquidate:
            return
        deleverage_pro_rata(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.liquidations,
            state.deleveragings, memory.rows, memory.scores, self.weight == "profit", self.attempts_per_block,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SocialisedLoss(Deleveraging):
    """Nobody's position is touched: every other position of the market pays for the hole in proportion to its size (Drift v2's last
    resort). The bankrupt position stays open at zero equity and is liquidated further; if prices fall on, everybody pays again.

    `over` "deposits": everybody with money on the venue pays in proportion to it, as for loans on Drift and on Derive; money is collateral
    and cost basis of positions, so that a position's value counts for neither side.
    """

    over: Literal["positions", "deposits"] = parameter("positions", unit="name")
    attempts_per_block: int = parameter(1_000, unit="positions per block", least=1, most=1_000_000)

    def absorb(self, state: State, memory: Any) -> None:
        if not state.somebody_to_liquidate:
            return
        socialise_losses(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.liquidations,
            self.over == "deposits", self.attempts_per_block,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PoolDeleveraging(Deleveraging):
    """Closes traders' profits before the pool cannot pay them (GMX v2): positions of a side whose unrealised profit is above `threshold`
    of the side's pool are closed at mark, the most profitable first, until it is at `target`. Losses beyond margin are the pool's anyway;
    where traders meet no pool nothing happens.

    Source: gmx-io/gmx-synthetics `contracts/adl/AdlUtils.sol`, `config/markets.ts`.
    """

    threshold: float = parameter(0.85, unit="fraction of a side's pool", least=0.0, most=1e6)
    target: float = parameter(0.77, unit="fraction of a side's pool", least=0.0, most=1e6)

    def inconsistencies(self) -> list[str]:
        return ["PoolDeleveraging.target: must not exceed threshold"] if self.target > self.threshold else []

    def init(self, state: State, seed: int) -> Queue:
        return Queue(np.zeros(state.n_accounts, np.int64), np.zeros(state.n_accounts))

    def absorb(self, state: State, memory: Queue) -> None:
        if POOLED not in state.offers:
            return
        deleverage_profits(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.pools, state.deleveragings,
            memory.rows, memory.scores, self.threshold, self.target,
        )  # fmt: skip
