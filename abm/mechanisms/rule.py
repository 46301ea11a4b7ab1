"""What all rules share: a frozen object whose fields are its parameters, and a memory that it is handed back."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any

from abm.parameters import Parameters
from abm.state import State


@dataclass(frozen=True, kw_only=True)
class Rule(Parameters, ABC):
    """A rule of the venue. It holds no state: what it must remember it creates in `init` and is handed back each block."""

    def init(self, state: State, seed: int) -> Any:
        """The rule's memory at the start of a run, and what it sets once in the tables. `seed` names its random stream."""
        return None
