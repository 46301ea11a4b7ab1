"""What an account may take out of the venue right now: the money behind its positions that margin does not ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import View

ROUNDING = 1e-9  # of what margin asks for, left in the account


def free_money(view: View, share: float = 1.0) -> NDArray[np.float64]:
    """(n,) USD that each member's first account could withdraw: equity less initial margin, profit that does not count included in it.

    At most what a withdrawal floor and a gate leave, together what is deposited on the venue, and `share` of all that. Under
    isolated margin it is the first market's account.
    """
    state = view.state
    rows = view.rows
    equity = state.accounts["equity"][rows]
    notional = (np.abs(state.positions["lots"][rows]) * (state.markets["lot"] * state.markets["mark"])).sum(axis=1)
    needed = np.maximum(state.accounts["initial_margin"][rows], float(state.venue["withdrawal_floor"][0]) * notional)
    free = np.maximum(equity - needed * (1.0 + ROUNDING), 0.0)
    there = max(min(float(state.venue["withdrawal_capacity"][0]), float(state.venue["net_deposits"][0])), 0.0)
    total = float(free.sum())
    scale = min(1.0, there / total) if total > 0.0 else 0.0
    money: NDArray[np.float64] = share * scale * free
    return money
