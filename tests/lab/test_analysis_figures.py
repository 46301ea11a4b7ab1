"""Figures of indices, curves, thresholds and worst cases: what they draw is what was found."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.lab.dependence import dependences
from abm.lab.figures.analysis import CAPTIONS, dependence_figure, indices_figure, search_drawings, sensitivity_drawings
from abm.lab.figures.analysis.thresholds import threshold_figure
from abm.lab.figures.analysis.worst_cases import worst_figure
from abm.lab.figures.style import arrange, save
from abm.lab.sensitivity import given_data_sensitivity, sensitivity
from tests.lab.found_analyses import FUND, LAG, RULE, Function, found_sensitivity, found_threshold, found_worst
from tests.lab.test_sensitivity import ANGLES, BOTH, FIRST, ishigami, stored


def dots(axes: Axes, marker: str) -> list[tuple[float, float]]:
    """Places of the markers in a panel, in the order in which they were drawn; entries of legends have none."""
    lines = [line for line in axes.lines if line.get_marker() == marker and len(np.atleast_1d(line.get_xdata()))]
    return [
        (float(x), float(y))
        for line in lines
        for x, y in zip(np.atleast_1d(line.get_xdata()), np.atleast_1d(line.get_ydata()), strict=True)
    ]


def angle(point: dict[str, float]) -> float:
    return float(ishigami(*(point[f"angle.{name}"] for name in "abc")))


def test_indices_of_ishigami_stand_in_the_order_of_the_total_index_near_their_known_values() -> None:
    found = sensitivity(Function(angle), ANGLES, "sobol", 1024, (1,), draws=300)  # type: ignore[arg-type]
    axes = indices_figure(found).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    total = [FIRST["a"] + BOTH, FIRST["b"], BOTH]
    assert [x for x, _ in dots(axes, "o")] == pytest.approx(total, abs=0.05)
    assert [x for x, _ in dots(axes, "D")] == pytest.approx([FIRST[name] for name in "abc"], abs=0.05)
    heights = [y for _, y in dots(axes, "o")]
    assert heights == sorted(heights)
    assert axes.yaxis_inverted()
    intervals = [line.get_xdata() for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 2 and line.get_linewidth() == 2.0]
    first = found.factors[0].indices["total"]
    assert list(intervals[0]) == pytest.approx([first.low, first.high])


def test_title_of_indices_names_the_factor_that_matters_and_those_that_do_not() -> None:
    found = found_sensitivity("morris", 8, lambda point: 3e4 * float(point[LAG.keys[0]]))
    title = " ".join(indices_figure(found).get_suptitle().replace("\u00a0", " ").split())
    assert title.startswith("Bad debt depends most on oracle lag: it moves by 90")
    assert "insurance fund and rule cannot be told from no effect" in title


def test_effects_of_morris_have_a_panel_of_deviations() -> None:
    found = found_sensitivity("morris", 8)
    effects, deviations = indices_figure(found).axes
    assert [x for x, _ in dots(effects, "o")] == pytest.approx([each.indices["size"].estimate for each in found.factors])
    assert [x for x, _ in dots(effects, "D")] == pytest.approx([each.indices["mean"].estimate for each in found.factors])
    assert [bar.get_width() for bar in deviations.patches] == pytest.approx([each.deviation for each in found.factors], abs=1e-6)


@pytest.mark.parametrize(("method", "samples"), [("sobol", 64), ("morris", 12)])
def test_curves_of_an_additive_function_are_its_parts(method: str, samples: int) -> None:
    """100 k less for each tenfold fund, 20 k for each block, 100 k and 200 k for two of the rules; the mean of all is 1.45 M."""
    parts: dict[str, Callable[[float], float]] = {
        FUND.name: lambda value: 1.5e5 - 1e5 * math.log10(value / 1e3),
        LAG.name: lambda value: 2e4 * (value - 15.0),
        RULE.name: lambda value: 1e5 * (value - 1.0),
    }
    figure = dependence_figure(found_sensitivity(method, samples))
    panels = {axes.get_xlabel(): axes for axes in figure.axes}
    assert set(panels) == {"insurance fund, USD", "oracle lag, blocks", "rule"}
    for along in dependences(found_sensitivity(method, samples)):
        part = parts[along.dimension.name]
        drawn = next(axes for label, axes in panels.items() if label.startswith(along.dimension.words))
        places = dots(drawn, "o")
        assert [x for x, _ in places] == pytest.approx(list(along.values))
        wanted = [1.45e6 + part(value) for value in along.values]
        assert [y for _, y in places] == pytest.approx(wanted, abs=3e4 if method == "sobol" else 2e3)


def test_curves_share_their_axis_and_stand_by_importance() -> None:
    found = found_sensitivity()
    figure = dependence_figure(found)
    words = ["oracle lag, blocks", "insurance fund, USD", "rule"]
    assert [axes.get_xlabel() for axes in figure.axes] == words
    assert [each.factor for each in found.factors] == [LAG.name, FUND.name, RULE.name]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "log", "linear"]
    assert "bad debt" in figure.axes[0].get_ylabel()
    assert figure.get_suptitle().replace("\u00a0", " ").startswith("Mean bad debt rises from 1.")


def test_an_outcome_that_is_highest_in_the_middle_is_said_to_be() -> None:
    found = found_sensitivity("sobol", 64, lambda point: 1e6 - 5e3 * (float(point[LAG.keys[0]]) - 15.0) ** 2)
    title = " ".join(dependence_figure(found).get_suptitle().replace("\u00a0", " ").split())
    assert title.startswith("Mean bad debt is highest at oracle lag 1")


def test_points_of_a_sweep_have_curves_too() -> None:
    found = given_data_sensitivity(stored())
    along = next(each for each in dependences(found) if each.dimension.name == "angle.b")
    wanted = [7.0 * math.sin(value) ** 2 for value in along.values]
    assert [each.estimate for each in along.means] == pytest.approx(wanted, abs=1.2)


def test_threshold_shows_every_value_its_interval_and_the_crossing() -> None:
    found = found_threshold()
    figure = threshold_figure(found)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    tried = found.threshold.evaluations
    assert np.array(dots(axes, "o")) == pytest.approx(np.array([(each.value, each.probability.estimate) for each in tried]))
    bars = [segment for bar in axes.collections if hasattr(bar, "get_segments") for segment in bar.get_segments()]
    assert sorted(float(bar[0][1]) for bar in bars) == pytest.approx(sorted(each.probability.low for each in tried))
    value = found.threshold.value
    crossing = next(line for line in axes.lines if list(line.get_xdata()) == [value.estimate, value.estimate])
    assert crossing.get_linewidth() > 1.5
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((value.low, value.high))
    title = figure.get_suptitle().replace("\u00a0", " ").replace("\n", " ")
    assert title.startswith("The probability of bad debt above 0 USD rises above 50 % at insurance fund = 8,350 USD (95 % interval")


def test_a_crossing_in_a_small_part_of_the_range_is_enlarged() -> None:
    found = found_threshold(log=False)
    whole, enlarged = threshold_figure(found).axes
    value = found.threshold.value
    low, high = enlarged.get_xlim()
    assert low <= value.low < value.high <= high
    assert high - low < 0.2 * (whole.get_xlim()[1] - whole.get_xlim()[0])
    assert len(threshold_figure(found_threshold(turns=np.geomspace(2e2, 5e5, 12).tolist())).axes) == 1


def test_no_threshold_draws_no_crossing() -> None:
    figure = threshold_figure(found_threshold(turns=[1e9] * 5))
    assert not figure.axes[0].patches
    assert "stays below 50" in figure.get_suptitle()


def test_worst_case_shows_the_search_the_winner_and_the_file() -> None:
    found = found_worst()
    figure = worst_figure(found)
    search, *others = figure.axes
    step = next(line for line in search.lines if line.get_drawstyle() == "steps-post")
    heights = np.asarray(step.get_ydata(), float)
    assert heights == pytest.approx(np.maximum.accumulate(found.tried["bad_debt"].to_numpy()))
    assert heights[-1] == pytest.approx(found.searched)
    assert {axes.get_xlabel() for axes in others} == {"insurance fund, USD", "oracle lag, blocks", "rule"}
    lag = next(axes for axes in others if axes.get_xlabel() == "oracle lag, blocks")
    assert dots(lag, "D")[0] == pytest.approx((found.point[LAG.name], found.fresh.estimate))
    assert np.asarray(lag.collections[0].get_offsets())[:, 0] == pytest.approx(found.tried[LAG.name].to_numpy())
    assert any(list(line.get_xdata()) == [2.0, 2.0] for line in lag.lines)  # what the file has
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "10\u00a0fresh worlds, against" in figure.get_suptitle().replace("\n", " ")


def _drawings() -> list[Any]:
    threshold, worst = search_drawings(found_threshold()), search_drawings(found_worst())
    return [*sensitivity_drawings(found_sensitivity()), *sensitivity_drawings(found_sensitivity("morris", 6)), *threshold, *worst]


def test_every_figure_states_a_finding_fits_its_page_and_is_drawn_the_same_twice(tmp_path: Path) -> None:
    for number, drawing in enumerate(_drawings()):
        figure: Figure = drawing.draw()
        assert len(figure.get_suptitle()) > 20
        assert drawing.caption in CAPTIONS.values()
        files = []
        for each in (figure, drawing.draw()):
            arrange(each)
            save(each, tmp_path / f"{number}.svg")
            files.append((tmp_path / f"{number}.svg").read_bytes())
        assert files[0] == files[1], drawing.name
        figure.draw_without_rendering()
        width = figure.bbox.width
        for text in [figure._suptitle, *(tick for axes in figure.axes for tick in axes.get_yticklabels())]:  # type: ignore[attr-defined]
            box = text.get_window_extent()
            assert box.x0 >= -1.0, text.get_text()
            assert box.x1 <= width, text.get_text()
        titles = [axes.title if axes.title.get_text() else axes._left_title for axes in figure.axes if axes.get_visible()]  # type: ignore[attr-defined]
        boxes = [each.get_window_extent() for each in titles if each.get_text()]
        assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place]), drawing.name
