"""Which market or which traders a name in a rule means."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from abm.parameters import ParameterError
from abm.state import State


def market_number(symbol: str, symbols: Sequence[str], name: str) -> int:
    """The row of the market called `symbol`. Raises ParameterError, its message beginning with `name`, when there is none."""
    return _place(symbol, symbols, name, "market")


def cohort_number(cohort: str, cohorts: Sequence[str], name: str) -> int:
    """The number of the cohort called `cohort`. Raises ParameterError, its message beginning with `name`, when there is none."""
    return _place(cohort, cohorts, name, "cohort")


def accounts_of(cohorts: Sequence[str], state: State, name: str) -> NDArray[np.bool_]:
    """(n,) which accounts belong to one of the cohorts. Raises ParameterError, its message beginning with `name`, for unknown names."""
    numbers = [cohort_number(cohort, state.cohorts, name) for cohort in cohorts]
    belongs: NDArray[np.bool_] = np.isin(state.accounts["cohort"], numbers)
    return belongs


def _place(wanted: str, names: Sequence[str], name: str, what: str) -> int:
    if wanted in names:
        return names.index(wanted)
    nearest = get_close_matches(wanted, names, n=1, cutoff=0.0)
    hint = f"; the nearest name is {nearest[0]!r}" if nearest else ""
    raise ParameterError([f"{name}: there is no {what} {wanted!r}{hint}"])
