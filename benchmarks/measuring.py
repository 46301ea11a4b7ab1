"""What the benchmarks share: a figure with its bar, the best of several runs, and how a script prints what it measured."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

clock = time.process_time  # one thread does the work, so this is wall time on a quiet machine


class Figure(NamedTuple):
    """One measured number. `bar` is the number to reach, `at_least` tells in which direction; None: shown for comparison only."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    def verdict(self) -> str:
        if self.bar is None:
            return ""
        reached = self.value >= self.bar if self.at_least else self.value <= self.bar
        return "reached" if reached else "MISSED"

    def bar_text(self) -> str:
        return "" if self.bar is None else f"{'>=' if self.at_least else '<='} {self.bar:g}"


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of `repeats` runs: what other programs take of the machine does not count."""
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def show(figures: Iterable[Figure]) -> None:
    """Prints one line per figure, or one JSON object per line when the script was called with --json."""
    for figure in figures:
        if "--json" in sys.argv[1:]:
            print(json.dumps(figure._asdict()))
        else:
            bar = f"  (bar {figure.bar_text()}: {figure.verdict()})" if figure.bar is not None else ""
            note = f"  {figure.note}" if figure.note else ""
            print(f"{figure.name}: {figure.value:,.3g} {figure.unit}{bar}{note}")
