"""The figures of sensitivity analyses, thresholds and worst cases: functions from what their files hold to Matplotlib figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from abm.lab.figures.analysis.captions import CAPTIONS
from abm.lab.figures.analysis.dependence import dependence_figure
from abm.lab.figures.analysis.indices import indices_figure
from abm.lab.figures.analysis.thresholds import threshold_figure
from abm.lab.figures.analysis.worst_cases import worst_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from abm.lab.search import FoundThreshold
    from abm.lab.search_store import StoredWorst
    from abm.lab.sensitivity import Sensitivity

__all__ = [
    "CAPTIONS",
    "AnalysisDrawing",
    "dependence_figure",
    "indices_figure",
    "search_drawings",
    "sensitivity_drawings",
    "threshold_figure",
    "worst_figure",
]


@dataclass(frozen=True)
class AnalysisDrawing:
    """A figure to be drawn: its file's name, the section of the report that it belongs to, and how it is drawn and read."""

    name: str
    section: str
    caption: str
    draw: Callable[[], Figure]


def sensitivity_drawings(found: Sensitivity, section: str = "sensitivity", suffix: str = "") -> list[AnalysisDrawing]:
    """The indices, and the outcome along each factor."""
    caption = CAPTIONS[f"indices-{found.method}"]
    return [
        AnalysisDrawing(f"indices{suffix}", section, caption, partial(indices_figure, found)),
        AnalysisDrawing(f"dependence{suffix}", section, CAPTIONS["dependence"], partial(dependence_figure, found)),
    ]


def search_drawings(found: FoundThreshold | StoredWorst) -> list[AnalysisDrawing]:
    """That of a threshold or of a worst case."""
    from abm.lab.search import FoundThreshold

    if isinstance(found, FoundThreshold):
        return [AnalysisDrawing("threshold", "threshold", CAPTIONS["threshold"], partial(threshold_figure, found))]
    return [AnalysisDrawing("worst", "worst", CAPTIONS["worst"], partial(worst_figure, found))]
