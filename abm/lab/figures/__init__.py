"""The figures of a run: one file each, every one a function from tables to a Matplotlib figure.

`FIGURES` names them in the order of the report. Each function takes the tables of `PerpModel.frames` (or of a stored run) and
`origin`, the date on which the run begins in UTC if its prices are real ones, and returns a `matplotlib.figure.Figure` whose title
states what it shows. `CAPTIONS` explain how to read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from abm.lab.figures.book import book_figure
from abm.lab.figures.captions import CAPTIONS
from abm.lab.figures.cascade import cascade_figure
from abm.lab.figures.fuel import fuel_figure
from abm.lab.figures.funding import funding_figure
from abm.lab.figures.gap import gap_figure
from abm.lab.figures.prices import price_figure
from abm.lab.figures.profit import profit_figure
from abm.lab.figures.style import arrange, save
from abm.lab.figures.victims import victims_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureFunction = Callable[[Mapping[str, pl.DataFrame], datetime | None], "Figure"]

__all__ = [
    "CAPTIONS",
    "FIGURES",
    "PAIR_FIGURES",
    "book_figure",
    "cascade_figure",
    "fuel_figure",
    "funding_figure",
    "gap_figure",
    "price_figure",
    "profit_figure",
    "save_figures",
    "victims_figure",
]

FIGURES: dict[str, FigureFunction] = {
    "prices": price_figure,
    "cascade": cascade_figure,
    "profit": profit_figure,
    "fuel": fuel_figure,
    "book": book_figure,
    "funding": funding_figure,
    "victims": victims_figure,
}
PAIR_FIGURES: dict[str, FigureFunction] = {"gap": gap_figure}
"""Drawn of runs with a second venue beside the first."""


def save_figures(frames: Mapping[str, pl.DataFrame], folder: Path, origin: datetime | None = None) -> dict[str, str]:
    """Draws all figures that the tables allow and writes each as SVG and PNG into `folder`; returns their titles."""
    folder.mkdir(exist_ok=True)
    titles = {}
    drawn = {**FIGURES, **PAIR_FIGURES} if "beside_markets" in frames else FIGURES
    for name, draw in drawn.items():
        figure = draw(frames, origin)
        arrange(figure)
        save(figure, folder / f"{name}.svg")
        save(figure, folder / f"{name}.png")
        titles[name] = figure.get_suptitle()
    return titles
