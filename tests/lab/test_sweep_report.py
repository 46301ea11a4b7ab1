"""The report of a sweep: one page that is well formed, complete, honest about failures, and fetches nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.container import BarContainer

from abm.lab.cli import exit_code
from abm.lab.errors import InputError
from abm.lab.figures.style import STYLE, arrange, save
from abm.lab.figures.sweep import CAPTIONS, drawings
from abm.lab.figures.sweep.differences import difference_figure
from abm.lab.figures.sweep.examples import SHARES, examples_of
from abm.lab.figures.sweep.gains import gains_figure, gains_of
from abm.lab.figures.sweep.phases import event_of, phase_figure
from abm.lab.figures.sweep.responses import response_figure
from abm.lab.figures.sweep.scales import _spread
from abm.lab.plan import load_plan
from abm.lab.report import write_report
from abm.lab.run import RunResult
from abm.lab.runner import run_sweep
from abm.lab.sweep_effects import curve, factor_effect, variant_effect
from abm.lab.sweep_lines import lines_of
from abm.lab.sweep_report import SECTIONS, is_sweep
from abm.lab.sweep_results import SweepResults, results_of
from abm.lab.sweep_store import open_sweep
from tests.lab.made_sweeps import made_folder, made_results
from tests.lab.sweep_files import BASE, written
from tests.lab.test_report import Page, tag_free
from tests.lab.test_sweep_report_findings import GRID, LAG, VARIANTS, noise, world

LEVERAGE = "population.takers.leverage"
CRASH = """
title = 'A <sweep> & its "report"'
finding = "With `lag` & leverage, losses <grow>."
extends = "base.toml"

[run]
seconds = 600

[[world.crashes]]
start = 240
duration = 120
depth = 0.3

[population.takers]
members = 40

[sweep]
design = "grid"
replications = 3
baseline = "today"
outcomes = ["bad_debt_highest", "liquidated", "liquidation_delay_median", "insolvent"]
every_seconds = 10

[[sweep.expectations]]
outcome = "liquidated"
factor = "population.takers.leverage"
sign = "+"
about = "less margin"

[factors]
"venue.oracle.lag_blocks" = [0, 30]
"population.takers.leverage" = [5.0, 15.0]

[variants.today]
[variants.unfunded.venue.funding]
kind = "NoFunding"
[variants.keepers.venue.enforcement]
kind = "KeeperEnforcement"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of a crash, with its report. Not to be changed."""
    place = tmp_path_factory.mktemp("sweeps")
    written(place, BASE, "base.toml")
    file = written(place, CRASH, "crash.toml")
    run_sweep(load_plan(file), place / "crash")
    write_report(place / "crash")
    return place / "crash"


@pytest.fixture(scope="module")
def results(folder: Path) -> SweepResults:
    return results_of(open_sweep(folder))


@pytest.fixture(scope="module")
def source(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def without_data(source: str) -> str:
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)


# the page


def test_page_is_well_formed_and_fetches_nothing(page: Page, source: str) -> None:
    assert source.startswith("<!DOCTYPE html>")
    assert page.all("html")[0]["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert tag_free(page, "link", "iframe", "object", "embed", "base", "script")
    bare = without_data(source)
    assert not re.search(r"\$[a-z]", bare)  # no place of the template was left empty
    assert not re.search(r"https?:|@import|url\(", bare)
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), f"<{tag} {name}={target[:60]}>"
    policy = next(each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_sections_stand_in_their_order_and_links_lead_to_them(page: Page) -> None:
    shown = [name for name in SECTIONS if name != "sensitivity"]  # that is of drawn points
    assert [each["id"] for each in page.all("h2")] == shown
    assert [str(each["href"]) for each in page.all("a")] == [f"#{name}" for name in shown]


def test_page_says_what_was_asked_done_and_found(page: Page, results: SweepResults) -> None:
    for expected in (
        'A <sweep> & its "report"',
        "Does it matter?",
        "3 variants at each of 4 points, 12 configurations, each in the same 3 worlds (seeds 1 to 3): 36 runs.",
        "All 36 runs ended well.",
        "Not tested in any run:",
        "Liquidated notional rises with leverage of takers held",
        "NoFunding",
        "No outcome" if not results.comparison else "unfunded",
        "the same" if factor_effect(results, LAG, "insolvent").unchanged else "points",
        "abm sweep sweep.toml --out ../crash-again",
        results.plan.identity,
    ):
        assert expected in page.text, expected


def test_text_of_the_user_is_escaped(page: Page, source: str) -> None:
    assert "<sweep>" not in source
    assert "<grow>" not in source
    assert "losses <grow>." in page.text
    assert {"name": "lag"} not in page.all("code")
    assert "<code>lag</code>" in source


def test_every_figure_is_in_the_page_and_beside_it(page: Page, folder: Path, results: SweepResults) -> None:
    names = [drawing.name for drawing in drawings(results)]
    assert names[:3] == ["response-1", "response-2", "phase"]
    assert {"differences", "gains", "examples"} <= set(names)
    assert [each["id"] for each in page.all("figure")] == [f"figure-{name}" for name in names]
    assert all(each["alt"] and str(each["src"]).startswith("data:image/") for each in page.all("img"))
    assert {path.name for path in (folder / "figures").iterdir()} == {f"{name}.{suffix}" for name in names for suffix in ("svg", "png")}


def test_report_again_is_the_same_and_old_figures_go(folder: Path, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "figures" / "response-9.png").write_bytes(b"old")
    before = (copy / "figures" / "phase.svg").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert exit_code(["report", "copy"]) == 0
    assert (copy / "report.html").read_text(encoding="utf-8") == source
    assert (copy / "figures" / "phase.svg").read_bytes() == before
    assert not (copy / "figures" / "response-9.png").exists()
    assert not [path for path in copy.iterdir() if path.name.startswith(".report")]


def test_folders_of_runs_and_sweeps_are_told_apart(folder: Path, small_run: RunResult, tmp_path: Path) -> None:
    assert is_sweep(folder)
    assert not is_sweep(small_run.folder)
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "nowhere")


def test_failures_are_shown_with_their_last_line(tmp_path: Path) -> None:
    def make(variant: str, _: object, seed: int) -> dict[str, float] | str:
        trace = f"Traceback (most recent call last):\n  File x\nValueError: no <price> in world {seed % 2}"
        return trace if variant == "new" and seed < 4 else {"bad_debt": world(seed)}

    text = write_report(made_folder(tmp_path, VARIANTS, make)).read_text(encoding="utf-8")
    page = Page(text)
    assert "21 runs ended well, 3 runs failed" in page.text
    assert "ValueError: no <price> in world 1 2 new, seed 1" in page.text
    assert "ValueError: no <price> in world 0 1 new, seed 2" in page.text
    assert "<price>" not in text


def nothing(*_: object) -> dict[str, float]:
    return {}


def zero(*_: object) -> dict[str, float]:
    return {"bad_debt": 0.0, "liquidated": 0.0}


def broken(*_: object) -> str:
    return "ValueError: no"


@pytest.mark.parametrize(("sweep", "make"), [(GRID, zero), (GRID, nothing), (VARIANTS, zero), (VARIANTS, broken), ("", zero), ("", broken)])
def test_report_of_runs_in_which_nothing_happened(tmp_path: Path, sweep: str, make: Callable[..., dict[str, float] | str]) -> None:
    """Zero, no number, or failure everywhere: a page all the same, that claims nothing."""
    page = Page(write_report(made_folder(tmp_path, sweep, make)).read_text(encoding="utf-8"))
    assert "Not tested:" in page.text or "No answer:" in page.text
    assert " held " not in page.text


@pytest.mark.parametrize(
    "sweep",
    [
        GRID.replace("replications = 8", "replications = 1"),
        GRID.replace('"grid"', '"zip"').replace("[1000.0, 5000.0]", "[1000.0, 3000.0, 5000.0]"),
        f'[sweep]\ndesign = "random"\npoints = 30\noutcomes = ["bad_debt"]\n[factors]\n"{LAG}" = {{ low = 0, high = 30 }}\n'
        '"venue.insurance_fund" = { low = 1.0, high = 1e6, scale = "log" }\n',
        '[sweep]\nreplications = 4\noutcomes = ["bad_debt"]\n[factors]\n"rule" = { sets = ["venue.funding"], labels = ["a", "b"], '
        'values = [{ kind = "NoFunding" }, { kind = "ClampedPremiumFunding" }] }\n',
    ],
)
def test_every_design_has_a_report(tmp_path: Path, sweep: str) -> None:
    folder = made_folder(
        tmp_path,
        sweep,
        lambda _, values, seed: {"bad_debt": world(seed) + noise(seed, sum(map(ord, str(values)))), "profit.takers": noise(seed)},
    )
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "Dose and response" in page.text
    assert "effect on bad debt" in page.text or "bad debt by" in page.text


# the figures


def test_every_figure_states_a_finding_names_its_axes_and_is_drawn_the_same_twice(results: SweepResults, tmp_path: Path) -> None:
    for drawing in drawings(results):
        figure = drawing.draw()
        assert len(figure.get_suptitle()) > 20, drawing.name
        assert len(drawing.caption) > 80
        panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
        assert any(axes.get_xlabel() for axes in panels)
        assert all(axes.get_xlabel() or axes.get_ylabel() or axes.get_title(loc="left") or axes.texts for axes in panels)
        files = []
        for number, each in enumerate((figure, drawing.draw())):
            arrange(each)
            save(each, tmp_path / f"{drawing.name}-{number}.svg")
            files.append((tmp_path / f"{drawing.name}-{number}.svg").read_bytes())
        assert files[0] == files[1], drawing.name
    assert set(CAPTIONS) == {drawing.section for drawing in drawings(results)}


def test_style_of_the_caller_is_left_alone(results: SweepResults) -> None:
    mpl.rcParams["font.size"] = 23.0
    try:
        assert response_figure(results, LAG).axes[0].title.get_fontsize() != 23.0
        assert mpl.rcParams["font.size"] == 23.0
    finally:
        mpl.rcdefaults()
    assert STYLE["font.size"] != 23.0


def test_lines_are_the_means_of_each_variant(results: SweepResults) -> None:
    axes = response_figure(results, LAG).axes[1]
    lines = lines_of(results, LAG)
    assert lines.values == ("today", "unfunded", "keepers")
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines if line.get_marker() == "o"]
    for value, heights in zip(lines.values, drawn, strict=True):
        levels = curve(lines.runs(results.runs, value), results.dimensions[LAG], "liquidated")
        assert heights == pytest.approx([level.mean.estimate for level in levels])
    assert {text.get_text() for text in axes.texts} == set(lines.values)


def test_squares_hold_means_and_shares(results: SweepResults) -> None:
    figure = phase_figure(results, "liquidated")
    mean, share = figure.axes[:2]
    today = results.runs.filter(variant="today")
    event = event_of(results, "liquidated")
    rows = [(lag, leverage) for leverage in (5.0, 15.0) for lag in (0, 30)]
    cells = [today.filter((today[LAG] == lag) & (today[LEVERAGE] == leverage)) for lag, leverage in rows]
    assert np.asarray(mean.collections[0].get_array()).ravel() == pytest.approx([cell["liquidated"].mean() for cell in cells])
    assert np.asarray(share.collections[0].get_array()).ravel() == pytest.approx(
        [cell.select(event.happens.mean()).item() for cell in cells]
    )
    assert len(figure.axes) == 6  # two panels for each variant


def test_border_of_one_half_is_drawn_where_it_is_crossed(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda _, values, seed: {"bad_debt": float(values[LAG] > 5)})
    share = phase_figure(results).axes[1]
    border = share.collections[-1].get_paths()[0].vertices
    assert border[:, 0] == pytest.approx([2.0] * len(border))  # half-way between the middles of the second and the third square


def test_dots_are_the_paired_differences(results: SweepResults) -> None:
    figure = difference_figure(results)
    effect = variant_effect(results, "keepers", "liquidated")
    strip = next(axes for axes in figure.axes if axes.get_title(loc="left") == "Liquidated notional")
    dots = [line.get_xdata()[0] for line in strip.lines if line.get_marker() == "o"]
    assert dots[0] == pytest.approx(effect.interval.estimate)
    assert [text.get_text() for text in strip.get_yticklabels()] == ["keepers", "unfunded"]  # from below


def test_bars_are_what_each_population_gains(results: SweepResults) -> None:
    gains = gains_of(results)
    assert [each.cause for each in gains] == ["from today to unfunded", "from today to keepers"]
    assert {name for name, _ in gains[1].rows} == {"takers", "providers", "venue, fees", "insurance fund"}
    found = dict(gains[1].rows)["takers"]
    assert found.estimate == pytest.approx(variant_effect(results, "keepers", "profit.takers").interval.estimate)
    moved = [each for each in gains if each.moved]
    panel = gains_figure(results).axes[0]
    widths = sorted(patch.get_width() for part in panel.containers if isinstance(part, BarContainer) for patch in part.patches)
    assert widths == pytest.approx(sorted(row.estimate for _, row in moved[0].rows))


def test_examples_stand_at_their_quantiles(results: SweepResults) -> None:
    shown = examples_of(results)
    values = np.sort(results.runs["bad_debt_highest"].to_numpy())
    assert [each.value for each in shown] == [values[round(share * (len(values) - 1))] for share in SHARES]
    assert len({each.run for each in shown}) == 3
    for each in shown:
        row = results.runs.filter(run=each.run).row(0, named=True)
        assert row["bad_debt_highest"] == each.value
        closed = each.frames["liquidations"].filter(each.frames["liquidations"]["size"] > 0)
        assert closed["notional"].sum() == pytest.approx(row["liquidated"])


def test_labels_that_would_touch_are_moved_apart() -> None:
    assert _spread([0.1, 0.5], 0.2) == pytest.approx([0.1, 0.5])
    assert _spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    placed = _spread([0.1, 0.5, 0.52, 0.55, 0.9], 0.1)
    assert np.all(np.diff(placed) >= 0.1 - 1e-9)


@pytest.mark.browser
def test_page_opens_offline_on_a_phone_and_fits_on_paper(folder: Path) -> None:
    """Nothing overflows sideways but the boxes made to scroll, no request is sent, nothing is logged as an error."""
    playwright = pytest.importorskip("playwright.sync_api")
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("no Chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=options)
        view = browser.new_context(viewport={"width": 390, "height": 800}, offline=True).new_page()
        requests: list[str] = []
        errors: list[str] = []
        view.on("request", lambda request: requests.append(request.url))
        view.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        view.goto((folder / "report.html").as_uri())
        assert [each for each in requests if not each.startswith(("file:", "data:"))] == []
        assert errors == []
        assert view.evaluate("document.documentElement.scrollWidth") <= 390
        assert view.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 0)")
        view.set_viewport_size({"width": 720, "height": 1000})  # a page of paper between its margins
        view.emulate_media(media="print")
        assert view.evaluate("document.documentElement.scrollWidth") <= 720
        browser.close()
