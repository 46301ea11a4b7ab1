"""The figures of a sweep: functions from its results to Matplotlib figures whose titles state what they show.

`draw_figures` makes those that the sweep calls for, in the order of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from abm.lab.figures.sweep.captions import CAPTIONS
from abm.lab.figures.sweep.differences import differ, difference_figure
from abm.lab.figures.sweep.examples import can_show, example_figure
from abm.lab.figures.sweep.gains import gains_figure
from abm.lab.figures.sweep.phases import phase_factors, phase_figure
from abm.lab.figures.sweep.responses import response_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from abm.lab.sweep_results import SweepResults

MOST_FACTORS = 4  # that get a figure each

__all__ = [
    "CAPTIONS",
    "Drawing",
    "difference_figure",
    "drawings",
    "example_figure",
    "gains_figure",
    "phase_figure",
    "response_figure",
]


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its file's name, the section of the report that it belongs to, and how it is drawn."""

    name: str
    section: str
    draw: Callable[[], Figure]

    @property
    def caption(self) -> str:
        """How to read it."""
        return CAPTIONS[self.section]


def drawings(results: SweepResults) -> Iterator[Drawing]:
    """The figures that a sweep calls for; none where no run ended well."""
    if not results.runs.height:
        return
    for number, factor in enumerate(list(results.dimensions)[:MOST_FACTORS], start=1):
        yield Drawing(f"response-{number}", "response", partial(response_figure, results, factor))
    if phase_factors(results) and results.defined(results.main):
        yield Drawing("phase", "phase", partial(phase_figure, results))
    if differ(results):
        yield Drawing("differences", "differences", partial(difference_figure, results))
    if any(name.startswith("profit.") for name in results.runs.columns):
        yield Drawing("gains", "gains", partial(gains_figure, results))
    if can_show(results):
        yield Drawing("examples", "examples", partial(example_figure, results))
