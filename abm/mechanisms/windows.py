"""Running sums over a window of time for a rule that begins, at the start of a run or in the middle of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abm.state import State


def past_sums(state: State, window: int, prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring of running sums (window + 1, m) as if each market had had its price (m,) in every block up to this one.

    For `abm.kernels.averages.add_to_window`, which counts from block 0. At the start of a run there is no block yet, and the ring is
    written over before it is read.
    """
    block = int(state.venue["block"][0])
    sums = np.zeros((window + 1, state.n_markets))
    for past in range(max(0, block - window), block + 1):
        sums[past % (window + 1)] = (past + 1) * prices
    return sums
