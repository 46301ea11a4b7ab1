"""Reports of sensitivity, thresholds and worst cases: what the commands leave in a folder, and the page made of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from abm.lab.analysis_record import command_text, record_search, records_of
from abm.lab.analysis_report import SECTIONS, analyses_of, finding_of, is_analysis
from abm.lab.cli import exit_code
from abm.lab.errors import InputError
from abm.lab.evaluation import EVALUATIONS, batch_plan, subject_of
from abm.lab.report import write_report
from abm.lab.search_store import read_threshold, read_worst, write_threshold
from abm.lab.sensitivity_store import write_sensitivity
from abm.lab.sweep_sensitivity import LEAST_POINTS
from tests.lab.found_analyses import found_sensitivity, found_threshold
from tests.lab.made_sweeps import made_folder
from tests.lab.searched_file import TEXT
from tests.lab.sweep_files import with_trap, written
from tests.lab.test_report import Page, tag_free
from tests.lab.test_sweep_report_findings import LAG, noise, world

COMMANDS = {
    "sensitivity": ["--samples", "6"],
    "threshold": ["--factor", "world.crashes.0.depth", "--between", "0.01", "0.2", "--event", "liquidated > 0", "--tolerance", "0.2"],
    "worst": ["--evaluations", "16", "--fresh", "3", "--factors", "venue.oracle.lag_blocks,venue.insurance_fund"],
}
FIGURES = {"sensitivity": ["indices", "dependence"], "threshold": ["threshold"], "worst": ["worst"]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command leaves. Not to be changed."""
    place = tmp_path_factory.mktemp("analyses")
    titled = TEXT.replace('title = "Small"', 'title = "A <small> venue"\nquestion = "How bad is `it`?"')
    (place / "small.toml").write_text(titled, encoding="utf-8")
    for kind, options in COMMANDS.items():
        assert exit_code([kind, str(place / "small.toml"), *options, "--workers", "1", "--out", str(place / kind), "--quiet"]) == 0
    return {kind: place / kind for kind in COMMANDS}


def page_of(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", COMMANDS)
def test_command_leaves_figures_and_a_page_that_fetches_nothing(folders: Mapping[str, Path], kind: str) -> None:
    source = (folders[kind] / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert tag_free(page, "link", "iframe", "object", "embed", "base", "script")
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)
    assert not re.search(r"\$[a-z]|https?:|@import|url\(", bare)
    assert [each["id"] for each in page.all("figure")] == [f"figure-{name}" for name in FIGURES[kind]]
    assert {path.name for path in (folders[kind] / "figures").iterdir()} == {
        f"{name}.{end}" for name in FIGURES[kind] for end in ("svg", "png")
    }
    shown = [each["id"] for each in page.all("h2")]
    assert shown == [name for name in SECTIONS if name in shown]
    assert {"design", kind, "methods", "provenance"} <= set(shown)
    assert [each["href"] for each in page.all("a")] == [f"#{name}" for name in shown]


@pytest.mark.parametrize("kind", COMMANDS)
def test_page_says_what_was_asked_found_and_how_to_do_it_again(folders: Mapping[str, Path], kind: str) -> None:
    text = page_of(folders[kind]).text
    found = analyses_of(folders[kind])[kind]
    record = records_of(folders[kind])[kind]
    for expected in (
        "A <small> venue",
        "How bad is it ?",
        finding_of(found).replace("\u00a0", " "),
        f"sources {record['code']}",
        record["base"],
        "variant late",
        command_text(record),
        "abm report .",
        "of positions closed by liquidation",
    ):
        assert expected in text, expected
    assert "interval" in finding_of(found)


@pytest.mark.parametrize("kind", COMMANDS)
def test_report_again_is_the_same(folders: Mapping[str, Path], kind: str, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folders[kind], tmp_path / "copy"))
    before = (copy / "report.html").read_bytes()
    (copy / "figures" / "old.png").write_bytes(b"old")
    assert exit_code(["report", str(copy)]) == 0
    assert (copy / "report.html").read_bytes() == before
    assert not (copy / "figures" / "old.png").exists()


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_recorded_command_finds_the_same_runs_finished_and_the_same_results(
    folders: Mapping[str, Path], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(folders[kind], tmp_path / "copy"))
    batches = sorted(path.name for path in (copy / EVALUATIONS).iterdir())
    command = shlex.split(command_text(records_of(copy)[kind]))
    assert command[0] == "abm"
    assert command[-2:] == ["--out", "../small-again"]
    monkeypatch.chdir(copy)
    assert exit_code([*command[1:-2], "--out", str(copy), "--workers", "1", "--quiet"]) == 0
    assert sorted(path.name for path in (copy / EVALUATIONS).iterdir()) == batches
    for name in (f"{kind}.json", f"{kind}_file.toml", *(["points.parquet"] if kind == "sensitivity" else [])):
        assert (copy / name).read_bytes() == (folders[kind] / name).read_bytes(), name


def test_script_runs_it_again_from_anywhere(folders: Mapping[str, Path], tmp_path: Path) -> None:
    """`abm` is a stand-in that says where it was called and how."""
    (tmp_path / "abm").write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    (tmp_path / "abm").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    script = folders["threshold"] / "rerun.sh"
    done = subprocess.run(
        [str(script), "new", "--workers", "1"], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True
    )
    where, *arguments = done.stdout.splitlines()
    assert Path(where).resolve() == folders["threshold"].resolve()
    assert arguments[:2] == ["threshold", "threshold_file.toml"]
    assert arguments[arguments.index("--event") + 1] == "liquidated > 0"
    assert arguments[-4:] == ["--out", str(tmp_path / "new"), "--workers", "1"]
    assert sys.executable not in script.read_text(encoding="utf-8")


def test_numbers_of_the_page_are_those_of_the_files(folders: Mapping[str, Path]) -> None:
    threshold = read_threshold(folders["threshold"])
    text = page_of(folders["threshold"]).text
    for each in threshold.threshold.evaluations:
        assert f"{each.successes} of {each.trials}" in text
    worst = read_worst(folders["worst"])
    assert worst.tried.height == 16
    assert worst.best_so_far[-1] == worst.searched == worst.tried["liquidated"].max()
    assert worst.own == {"venue.oracle.lag_blocks": 2, "venue.insurance_fund": 2000.0}
    assert "2 blocks" in page_of(folders["worst"]).text
    assert "2,000 USD" in page_of(folders["worst"]).text


def test_a_folder_with_several_analyses_has_one_page(tmp_path: Path) -> None:
    write_sensitivity(found_sensitivity("morris", 6), tmp_path)
    write_threshold(found_threshold(), tmp_path)
    assert is_analysis(tmp_path)
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert [each["id"] for each in page.all("figure")] == ["figure-indices", "figure-dependence", "figure-threshold"]
    assert "Bad debt depends most on oracle lag" in page.text
    assert "rises above 50 % at insurance fund = 8,350 USD" in page.text
    assert "Nothing was recorded" in page.text


def test_a_threshold_is_read_as_it_was_written(tmp_path: Path) -> None:
    for found in (found_threshold(), found_threshold(log=False, rising=False)):
        write_threshold(found, tmp_path)
        assert read_threshold(tmp_path) == found
    write_threshold(found_threshold(turns=[1e9] * 5), tmp_path)
    assert "stays below 50" in finding_of(read_threshold(tmp_path))


def test_what_failed_or_was_undefined_is_told(tmp_path: Path) -> None:
    def holes(point: Mapping[str, Any]) -> float:
        lag = float(point["venue.oracle.lag_blocks"])
        return float("nan") if lag > 25 else lag

    write_sensitivity(found_sensitivity("morris", 30, holes), tmp_path)
    text = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    assert re.search(r"0 runs failed, and at \d+ points the outcome was undefined in every world: \d+ walks left out", text)


def test_folders_without_an_analysis_are_refused(tmp_path: Path) -> None:
    assert not is_analysis(tmp_path)
    with pytest.raises(InputError, match="holds no analysis"):
        analyses_of(tmp_path)
    (tmp_path / "threshold.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="was not written by this program"):
        write_report(tmp_path)


def test_the_recorded_file_is_the_one_that_was_searched_with_its_own_classes(tmp_path: Path) -> None:
    file = written(tmp_path / "here", with_trap("nothing", 1) + '"venue.insurance_fund" = { low = 1e3, high = 1e5, scale = "log" }\n')
    subject = subject_of(file)
    record_search(tmp_path / "out", "worst", subject, subject.factors, "bad_debt", (4, 9), ["--evaluations", "16"])
    assert (tmp_path / "out" / "traps.py").read_bytes() == (file.parent / "traps.py").read_bytes()
    again = subject_of(tmp_path / "out" / "worst_file.toml")
    assert (again.factors, again.seeds, again.sweep.table.outcomes) == (subject.factors, (4, 9), ("bad_debt",))
    first, second = (batch_plan(each, [{}], (4, 9), "bad_debt") for each in (subject, again))
    assert first.identity == second.identity


# in the report of a sweep


def drawn(points: int) -> str:
    return (
        f'[sweep]\ndesign = "latin_hypercube"\npoints = {points}\nreplications = 2\noutcomes = ["bad_debt", "fees"]\n[factors]\n'
        f'"{LAG}" = {{ low = 0, high = 30 }}\n"venue.insurance_fund" = {{ low = 1.0, high = 1e6, scale = "log" }}\n'
    )


def losses(_: str, values: Mapping[str, Any], seed: int) -> dict[str, float]:
    chance = noise(seed, sum(map(ord, str(values))))
    return {"bad_debt": 10.0 * values[LAG] + world(seed) + chance, "fees": 300.0 + chance}


def test_sweep_of_drawn_points_shows_which_factor_matters(tmp_path: Path) -> None:
    page = Page(write_report(made_folder(tmp_path, drawn(40), losses)).read_text(encoding="utf-8"))
    assert "Which factor matters" in page.text
    titles = " ".join(str(each["alt"]) for each in page.all("img")).replace("\u00a0", " ")
    assert "Bad debt depends most on oracle lag" in titles
    assert "insurance fund cannot be told from no effect" in titles
    assert "Indices of bad debt: factor range alone oracle lag" in page.text
    assert "First-order index from points that were drawn" in page.text
    assert {"figure-indices-1", "figure-dependence-1"} <= {str(each["id"]) for each in page.all("figure")}


def test_sweep_of_few_points_does_not(tmp_path: Path) -> None:
    assert LEAST_POINTS > 10
    page = Page(write_report(made_folder(tmp_path, drawn(10), losses)).read_text(encoding="utf-8"))
    assert "Which factor matters" not in page.text


def test_sensitivity_of_another_outcome_is_shown_besides(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, drawn(40), losses)
    assert exit_code(["sensitivity", str(folder), "--outcome", "bad_debt", "--quiet"]) == 0
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "figure-indices-2" not in {str(each["id"]) for each in page.all("figure")}  # the same as the first
    assert exit_code(["sensitivity", str(folder), "--outcome", "fees", "--quiet"]) == 0
    own = Page((folder / "sensitivity" / "report.html").read_text(encoding="utf-8"))
    assert "abm sensitivity .. --outcome fees" in own.text
    record = json.loads((folder / "sensitivity" / "provenance.json").read_text(encoding="utf-8"))["analyses"]["sensitivity"]
    assert record["command"][:3] == ["abm", "sensitivity", ".."]
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "figure-indices-2" in {str(each["id"]) for each in page.all("figure")}
