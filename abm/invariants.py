"""What must hold after every block."""

from __future__ import annotations

from abm.state import State


def check_invariants(state: State) -> None:
    """Raises AssertionError naming what does not hold."""
    money = float(state.accounts["collateral"].sum() + state.funds["balance"].sum() + state.venue["fees"][0])
    assert abs(money - float(state.venue["net_deposits"][0])) < 1e-6, "money"
