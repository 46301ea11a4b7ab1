"""Figures: each is drawn from every kind of record, says what it found, names its axes, and comes out the same each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from abm.lab.config import Experiment
from abm.lab.figures import CAPTIONS, FIGURES, save_figures
from abm.lab.figures.book import coarser
from abm.lab.figures.fuel import liquidation_distances
from abm.lab.figures.style import STYLE, crash_window, new_figure, pandas_frame, short_money, short_percent, styled, time_axis
from abm.lab.run import RunResult
from abm.lab.wording import clock, percent, usd

Record = dict[str, pl.DataFrame]
ORIGIN = datetime(2022, 11, 8, 23, 55, tzinfo=UTC)


@pytest.fixture(scope="module")
def frames(small_run: RunResult) -> Record:
    return small_run.stored().frames


@pytest.fixture(scope="module")
def calm(make_experiment: Callable[..., Experiment]) -> Record:
    """A minute in which nobody is liquidated and no funding is settled."""
    return make_experiment(seconds=60.0, crash=False).model().run().frames()


@pytest.fixture(scope="module")
def first_block(make_experiment: Callable[..., Experiment]) -> Record:
    """A single look: no move, no interval, no positions."""
    return make_experiment(seconds=60.0).model().run(1).frames()


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("origin", [None, ORIGIN])
def test_every_figure_states_a_finding_and_names_its_axes(frames: Record, name: str, origin: datetime | None) -> None:
    figure = FIGURES[name](frames, origin)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    assert len(figure.get_suptitle()) > 20
    assert len(CAPTIONS[name]) > 80
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
    assert panels
    assert any(axes.get_xlabel() for axes in panels)
    for axes in panels:
        labelled = axes.get_xlabel() or axes.get_ylabel() or axes.get_title(loc="left")
        assert labelled, f"{name}: a panel says nothing about itself"


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("record", ["calm", "first_block"])
def test_every_figure_is_drawn_when_nothing_happened(request: pytest.FixtureRequest, name: str, record: str) -> None:
    figure = FIGURES[name](request.getfixturevalue(record), None)
    figure.draw_without_rendering()
    assert figure.get_suptitle()


def test_titles_state_what_the_run_shows(frames: Record, small_run: RunResult) -> None:
    """The same numbers as in the summary, which is tested on records with known answers."""
    summary = small_run.summary
    found = {name: " ".join(draw(frames, None).get_suptitle().replace("\u00a0", " ").split()) for name, draw in FIGURES.items()}
    liquidations, cohorts = summary.liquidations, summary.cohorts
    worst = min(cohorts, key=lambda name: cohorts[name].total)
    words = {
        "prices": f"; {liquidations.accounts} accounts were liquidated",
        "cascade": f"{usd(liquidations.peak_notional)} were liquidated in the worst minute, from {clock(liquidations.peak_minute)}",
        "profit": f"{worst.capitalize()} lost {usd(-cohorts[worst].total)}",
        "fuel": f"were within reach of a fall of {percent(-(summary.markets['BTC'].index_move or 0.0))} before it came",
        "victims": "100 % of what was liquidated belonged to takers",
        "funding": "Funding ",
        "book": "At the worst moment ",
    }
    for name, expected in words.items():
        assert expected.replace("\u00a0", " ") in found[name], found[name]
    assert re.match(r"BTC fell 3\d % in [\d.]+ minutes; ", found["prices"])


def test_titles_of_a_calm_run(calm: Record) -> None:
    titles = {name: FIGURES[name](calm, None).get_suptitle() for name in FIGURES}
    assert titles["prices"].endswith("nobody was liquidated")
    assert titles["cascade"] == titles["victims"] == "Nobody was liquidated"
    assert titles["funding"] == "No funding was settled"


def test_bubbles_are_in_proportion_to_what_was_liquidated(frames: Record) -> None:
    figure = FIGURES["prices"](frames, None)
    areas = sorted(
        area for axes in figure.axes[::2] for part in axes.collections if isinstance(part, PathCollection) for area in part.get_sizes()
    )
    closed = frames["liquidations"].filter(pl.col("size") > 0)
    amounts = sorted(closed.group_by(pl.col("seconds") // 60, "market").agg(pl.col("notional").sum())["notional"].to_list())
    assert areas == pytest.approx([areas[-1] * amount / amounts[-1] for amount in amounts])


def test_bars_of_the_cascade_add_up(frames: Record) -> None:
    top = FIGURES["cascade"](frames, None).axes[0]
    closed = frames["liquidations"].filter(pl.col("size") > 0)
    assert sum(patch.get_height() for patch in top.patches) == pytest.approx(closed["notional"].sum())


def test_bars_of_profit_add_up_to_the_diamond(frames: Record) -> None:
    axes = FIGURES["profit"](frames, None).axes[0]
    cohorts = len(axes.get_yticks())
    widths = np.zeros(cohorts)
    for patch in axes.patches:
        widths[round(cohorts - 1 - (patch.get_y() + 0.31))] += patch.get_width()
    diamonds = next(line for line in axes.lines if line.get_marker() == "D").get_xdata()
    assert widths == pytest.approx(np.asarray(diamonds, float), rel=0.01)  # parts too small to be seen are not drawn


def test_distance_to_liquidation(make_record: Callable[..., Record]) -> None:
    """Equity 100 on 1,000 long with a margin of 3 %: at a fall by d equity is 100 - 1000 d and the margin 30 (1 - d)."""
    held = {"block": 60, "market": "BTC", "mark": 10.0}
    rows = [
        held | {"account": 1, "size": 100.0, "equity": 100.0, "maintenance_margin": 30.0, "account_notional": 1000.0},
        held | {"account": 2, "size": -100.0, "equity": 100.0, "maintenance_margin": 30.0, "account_notional": 1000.0},
        held | {"account": 3, "size": 100.0, "equity": 20.0, "maintenance_margin": 30.0, "account_notional": 1000.0},
        held | {"account": 4, "size": 100.0, "equity": 5000.0, "maintenance_margin": 30.0, "account_notional": 1000.0},
        # A hedged account: long BTC, short as much ETH. Nothing but a rise so steep that margin outgrows equity reaches it.
        held | {"account": 5, "size": 100.0, "equity": 100.0, "maintenance_margin": 60.0, "account_notional": 2000.0},
        held | {"account": 5, "size": -100.0, "equity": 100.0, "maintenance_margin": 60.0, "account_notional": 2000.0, "market": "ETH"},
    ]
    found = liquidation_distances(make_record(("BTC", "ETH"), ("takers",), {"positions": rows})["positions"])
    fall = (30.0 - 100.0) / (1000.0 - 30.0)
    rise = (100.0 - 30.0) / (1000.0 + 30.0)
    hedged = (100.0 - 60.0) / 60.0
    assert found["distance"].to_list() == [pytest.approx(each) if each else each for each in (fall, rise, 0.0, None)] + [None, None]
    for distance, net, margin in ((fall, 1000.0, 30.0), (rise, -1000.0, 30.0), (hedged, 0.0, 60.0)):
        assert 100.0 + net * distance == pytest.approx(margin * (1.0 + distance))
    assert found["leverage"].to_list() == [10.0, 10.0, 50.0, 0.2, 20.0, 20.0]


def test_coarser_book_keeps_all_money(frames: Record) -> None:
    book = frames["book"].filter(pl.col("market") == "BTC")
    wide = coarser(book, 0.002)
    assert wide["width"].unique().to_list() == [pytest.approx(0.002)]
    assert wide["bids"].sum() == pytest.approx(book.filter(pl.col("resting") > 0)["resting"].sum())
    assert wide["asks"].sum() == pytest.approx(-book.filter(pl.col("resting") < 0)["resting"].sum())


def test_crash_window_holds_the_move_and_the_liquidations(frames: Record) -> None:
    start, end = crash_window(frames)
    closed = frames["liquidations"].filter(pl.col("size") > 0)["seconds"]
    assert start < closed.quantile(0.02)  # type: ignore[operator]
    assert end > closed.quantile(0.98)  # type: ignore[operator]
    assert 0.0 <= start < end <= 900.0


def test_time_axis_has_clock_times_or_dates() -> None:
    axes = styled(new_figure)(3.0).subplots()
    time_axis(axes, 0.0, 7200.0, None)
    axes.figure.draw_without_rendering()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0:00", "0:30", "1:00", "1:30", "2:00"]
    time_axis(axes, 0.0, 7200.0, ORIGIN)
    axes.figure.draw_without_rendering()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["9 Nov", "00:30", "01:00", "01:30"]
    assert axes.get_xlabel() == "UTC, 2022"


def test_ticks_are_short() -> None:
    assert [short_money(each).replace("\u00a0", " ") for each in (0, 250.0, 1500.0, 2e6, -3e9)] == [
        "0",
        "250",
        "1.5 k",
        "2 M",
        "\u22123 B",
    ]
    assert [short_percent(each, True).replace("\u00a0", " ") for each in (0.0, 0.0125, -0.5)] == ["0 %", "+1.25 %", "\u221250 %"]


def test_bridge_to_pandas_keeps_values_and_orders_names() -> None:
    names = pl.Enum(["none", "BTC", "ETH"])
    table = pandas_frame(pl.DataFrame({"market": pl.Series(["ETH", "BTC"], dtype=names), "price": [1.5, 2.5]}))
    assert table["price"].tolist() == [1.5, 2.5]
    assert table["market"].tolist() == ["ETH", "BTC"]
    assert table["market"].cat.ordered
    assert table["market"].cat.categories.tolist() == ["none", "BTC", "ETH"]


def test_files_are_the_same_each_time_and_settings_stay(frames: Record, small_folder: Path, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    assert save_figures(frames, tmp_path / "again").keys() == FIGURES.keys()
    assert dict(mpl.rcParams) == before
    for path in (small_folder / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
        assert path.stat().st_size > 5000


def test_figures_do_not_depend_on_settings_around_them(frames: Record, tmp_path: Path) -> None:
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "red"}):
        figure = FIGURES["victims"](frames, None)
    assert figure.axes[0].get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    assert figure.axes[0].xaxis.label.get_size() == STYLE["axes.labelsize"]
