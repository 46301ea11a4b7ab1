"""Who goes first in a block."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.ordering import DIGITS, arrange_transactions
from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import State
from abm.streams import stream_key


class OrderingMemory(NamedTuple):
    """The stream of priorities and scratch space for the sort."""

    key: np.uint64
    histogram: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Ordering(Rule):
    """Who goes first in a block."""

    @abstractmethod
    def arrange(self, state: State, memory: Any) -> int:
        """Called once a block: writes to `state.sequence[0]` the rows of the transactions that are executed in this block,
        in their order, and returns how many there are. Transactions that have not arrived yet stay pending."""

    def init(self, state: State, seed: int) -> OrderingMemory:
        return OrderingMemory(stream_key(seed, "ordering"), np.zeros(DIGITS, np.int64))


@dataclass(frozen=True, kw_only=True)
class RandomOrdering(Ordering):
    """A fresh random priority per account and block: nobody can buy or earn a place. The proposer's view on dYdX v4 is close to it."""

    cancels_first: bool = parameter(False, unit="yes or no", about="cancellations before all else, as on Hyperliquid")

    def arrange(self, state: State, memory: OrderingMemory) -> int:
        count: int = arrange_transactions(
            state.venue, state.transactions, state.sequence, state.sort_keys, memory.histogram, memory.key, False, self.cancels_first
        )
        return count


@dataclass(frozen=True, kw_only=True)
class PriorityFeeOrdering(Ordering):
    """Higher fees first, as in a gas auction; equal fees by a random priority per account and block."""

    cancels_first: bool = parameter(False, unit="yes or no", about="cancellations before all else")

    def arrange(self, state: State, memory: OrderingMemory) -> int:
        count: int = arrange_transactions(
            state.venue, state.transactions, state.sequence, state.sort_keys, memory.histogram, memory.key, True, self.cancels_first
        )
        return count
