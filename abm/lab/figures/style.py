"""What all figures share: colours, type, axes of time and money, and how they are written.

Colours are those of Okabe and Ito, told apart by readers with any common colour blindness and in grey print; each means one thing.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from abm.lab.aggregates import highest, lowest
from abm.lab.episodes import MINUTE, cascades, closing, venue_move
from abm.lab.market_summary import relative_depth
from abm.lab.wording import compact

INK, GREY, PALE = "#222222", "#767676", "#d9d9d9"
BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, YELLOW = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
    "#f0e442",
)
LONG, SHORT = VERMILLION, SKY
INDEX, PERP, ORACLE = INK, BLUE, ORANGE

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # looks the same on every machine
    "svg.hashsalt": "abm",  # equal figures give equal bytes
    "path.simplify": True,
}
WIDTH = 9.0  # inches; a page in landscape, a screen, two columns of a journal
DOTS_PER_INCH = 150
LARGE_PART, SMALL_PART = 0.4, 0.02  # of a run: a crash that is longer cannot be enlarged, one that is shorter gets this much room
LONGEST_TITLE = 84  # characters on one line

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Draws in this style, whatever the settings of the program around it."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return drawn


@styled
def arrange(figure: Figure) -> None:
    """Puts the panels in their places for good, so that writing a figure twice arranges it once.

    The solver behind the layout leaves rounding errors that differ from run to run: they are cut off.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(float(each), 6) for each in axes.get_position().bounds])  # type: ignore[arg-type]


@styled
def save(figure: Figure, path: Path) -> None:
    """Writes a figure as its suffix says; equal figures give equal bytes."""
    FigureCanvasAgg(figure)
    vector = path.suffix == ".svg"
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Date": None} if vector else {"Software": None})


def new_figure(height: float) -> Figure:
    """An empty figure of the common width that keeps its labels apart."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def title(figure: Figure, text: str) -> None:
    """The finding, over the whole width, broken into lines of about the same length where it is too long for one."""
    lines = -(-len(text) // LONGEST_TITLE)
    words = textwrap.wrap(text.replace("\u00a0", "~"), min(max(len(text) // lines + 8, 20), LONGEST_TITLE))  # a number stays with its unit
    broken = "\n".join(words).replace("~", "\u00a0")
    figure.suptitle(broken[:1].upper() + broken[1:], x=0.008, ha="left", fontsize=12.5, fontweight="bold", color=INK)


def label(axes: Axes, x: float, y: float, text: str, colour: str, **options: Any) -> None:
    """Words beside what they name, in its colour, at a place in the panel from (0, 0) to (1, 1); readable on top of lines."""
    at = {
        "ha": "right" if x > 0.5 else "left",
        "va": "top" if y > 0.5 else "bottom",
        "fontsize": 9,
        "fontweight": "bold",
        "zorder": 10,
    }
    halo = [withStroke(linewidth=2.5, foreground="white")]
    axes.text(x, y, text, color=colour, transform=axes.transAxes, path_effects=halo, **{**at, **options})


def pandas_frame(frame: pl.DataFrame) -> pd.DataFrame:
    """The same table for seaborn; names become ordered categories."""
    columns: dict[str, Any] = {}
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Enum):
            columns[name] = pd.Categorical(frame[name].cast(pl.String).to_list(), categories=dtype.categories.to_list(), ordered=True)
        else:
            columns[name] = frame[name].to_numpy()
    return pd.DataFrame(columns)


def time_axis(axes: Axes, start: float, end: float, origin: datetime | None, label: bool = True, ticks: int = 6) -> None:
    """An axis of seconds since the start of the run, labelled in hours and minutes, or with dates when the run has one."""
    span = max(end - start, 1.0)
    steps = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800, 432000, 864000)
    step = next((step for step in steps if span / step <= ticks), 30 * 86400)
    offset = (origin - origin.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() if origin else 0.0
    first = np.ceil((start + offset) / step) * step - offset
    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(FixedLocator(np.arange(first, end + 1e-9, step).tolist()))

    def text(seconds: float, position: int | None = None) -> str:
        if origin is None:
            minutes, rest = divmod(round(seconds), 60)
            return f"{minutes // 60}:{minutes % 60:02d}" + (f":{rest:02d}" if step < 60 else "")
        moment = origin + timedelta(seconds=seconds)
        return f"{moment.day} {moment:%b}" if moment.hour == moment.minute == 0 else f"{moment:%H:%M}"

    axes.xaxis.set_major_formatter(FuncFormatter(text))
    if label:
        axes.set_xlabel(f"UTC, {origin.year}" if origin else "hours and minutes since the start")


def money_axis(axes: Axes, what: str = "USD", ticks: int = 4) -> None:
    """A vertical axis of USD: 0, 500 k, 1 M."""
    axes.yaxis.set_major_locator(MaxNLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_money(value)))
    axes.set_ylabel(what)


def percent_axis(axes: Axes, what: str, ticks: int = 4, signs: bool = False) -> None:
    """A vertical axis of fractions, shown as percentages."""
    axes.yaxis.set_major_locator(MaxNLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_percent(value, signs)))
    axes.set_ylabel(what)


def short_money(amount: float) -> str:
    """A tick of a money axis."""
    text = compact(amount)
    number, _, letter = text.partition("\u00a0")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + (f"\u00a0{letter}" if letter else "")


def short_percent(fraction: float, signs: bool = False) -> str:
    """A tick of a percentage axis."""
    text = f"{100.0 * fraction:.4f}".rstrip("0").rstrip(".").replace("-", "\u2212")
    text = "0" if text in ("\u22120", "") else text
    return f"{'+' if signs and fraction > 0 and text != '0' else ''}{text}\u00a0%"


def whole_run(frames: Mapping[str, pl.DataFrame]) -> tuple[float, float]:
    """Seconds of the first and the last look, at least a second apart."""
    seconds = frames["markets"]["seconds"]
    return lowest(seconds), max(highest(seconds), lowest(seconds) + 1.0)


def crash(frames: Mapping[str, pl.DataFrame]) -> tuple[float, float]:
    """Seconds from and to which the crash lasted: the largest move of the first market's index with the liquidations around it.

    A move that takes a large part of the run cannot be enlarged: then it is the cascade with the largest notional.
    """
    first, last = whole_run(frames)
    move = venue_move(frames)
    if move is None:
        return first, last
    start, end = move.start, move.end
    closed = closing(frames["liquidations"]).sort("seconds")
    near = closed.filter((pl.col("seconds") >= start - move.seconds) & (pl.col("seconds") <= end + 2.0 * move.seconds))
    if near.height:
        share = near["notional"].cum_sum() / near["notional"].sum()
        core = near.filter((share >= 0.01) & (share <= 0.99))["seconds"]
        if core.len():
            start, end = min(start, float(core[0])), max(end, float(core[-1]))
    if end - start > LARGE_PART * (last - first):
        found = cascades(frames["liquidations"]).sort("notional", descending=True)
        if found.height:
            start, end = float(found["start"][0]), float(found["end"][0])
    return start, end


def crash_window(frames: Mapping[str, pl.DataFrame]) -> tuple[float, float]:
    """Seconds from and to which the crash is shown enlarged, with room before and more after."""
    first, last = whole_run(frames)
    start, end = crash(frames)
    room = max(end - start, SMALL_PART * (last - first))
    return max(first, start - 0.35 * room), min(last, end + room)


def worst_depth(frames: Mapping[str, pl.DataFrame], name: str) -> float | None:
    """Lowest depth of all markets together in a minute of the crash or after it, as far as it is shown, compared with before."""
    depth = relative_depth(frames, name, crash(frames)[0])
    if depth is None:
        return None
    shown = depth.filter((pl.col("seconds") >= crash(frames)[0] - MINUTE) & (pl.col("seconds") <= crash_window(frames)[1]))["relative"]
    return lowest(shown) if shown.len() else None


def no_data(axes: Axes, text: str) -> None:
    """Says in an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=10)
