"""Numbers for Mesa agents that do not keep their model alive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import mesa


class AgentNumbers(WeakKeyDictionary[mesa.Model, Iterator[int]]):
    """1, 2, 3, ... for each model."""

    def __getitem__(self, model: mesa.Model) -> Iterator[int]:
        if model not in self:
            self[model] = count(1)
        return super().__getitem__(model)


class Participant(mesa.Agent):
    """A Mesa agent whose number comes from a table that lets go of a model which nobody uses any more.

    Mesa's own table holds on to every model of the process, and with it all of its arrays.
    """

    _ids: Any = AgentNumbers()
