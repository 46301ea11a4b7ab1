"""What every world gives: outside prices, in consecutive stretches of blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.parameters import Parameters


class Setting(NamedTuple):
    """What a world is told about the run it is part of."""

    symbols: tuple[str, ...]
    seconds_per_block: float
    blocks: int  # length of the run
    seed: int


class Stretch(NamedTuple):
    """Outside prices of consecutive blocks."""

    prices: NDArray[np.float64]  # (blocks, m), USD, finite and positive
    volatility: NDArray[np.float64]  # (blocks, m), fraction per square root of a block: what a trader would estimate


@dataclass(frozen=True, kw_only=True)
class World(Parameters, ABC):
    """A source of outside prices that nobody on the venue can influence."""

    @abstractmethod
    def init(self, setting: Setting) -> Any:
        """The memory that `stretch` reads and advances. Raises ParameterError when it cannot serve these symbols or blocks."""

    @abstractmethod
    def stretch(self, memory: Any, first_block: int, blocks: int) -> Stretch:
        """Prices of `blocks` blocks from `first_block` on. Called for consecutive stretches in order; how a run is cut into
        stretches must not change a single bit."""
