"""Which events of a venue will happen, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from abm.kernels.random import fill_uniforms
from abm.mechanisms.events import Event
from abm.state import NEVER, State
from abm.streams import stream_key


class Due(NamedTuple):
    """An event that is still to come, and what it remembers."""

    block: int
    event: Event
    memory: Any


class Calendar:
    """The events that pass, in order of time. How a vote ends is drawn at the event's place in the venue's list."""

    def __init__(self, events: Sequence[Event], state: State, seed: int) -> None:
        draws = np.zeros((len(events), 1))
        fill_uniforms(stream_key(seed, "votes"), 0, draws)
        coming = [Due(event.due(state), event, event.init(state, seed)) for event in events]
        passed = [due for due, draw in zip(coming, draws[:, 0], strict=True) if draw < due.event.acceptance]
        self.coming = sorted(passed, key=lambda due: due.block)
        self.next_block = NEVER
        self._look_ahead()

    def take(self, block: int) -> Iterator[Due]:
        """Takes out the events that are due by `block`, one after another."""
        while self.next_block <= block:
            due = self.coming.pop(0)
            self._look_ahead()
            yield due

    def _look_ahead(self) -> None:
        self.next_block = self.coming[0].block if self.coming else NEVER
