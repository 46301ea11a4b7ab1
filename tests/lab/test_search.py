"""Thresholds and worst cases: of functions with a known answer, and of a small venue."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from abm.lab import analysis_cli, search_cli
from abm.lab.config import load
from abm.lab.errors import InputError
from abm.lab.factors import Factor
from abm.lab.search import Event, find_threshold, population_of, read_event, worst_case, worst_within
from abm.lab.search_text import worst_sentence
from tests.lab.searched_file import TEXT

OPTIMISERS = ["evolution", *(["optuna"] if importlib.util.find_spec("optuna") else [])]


def test_a_threshold_of_a_known_curve() -> None:
    """P = 1 - e^{-x/2}: a half at 2 ln 2, nine tenths at 2 ln 10; each world turns at its own exponential place."""
    turns = np.random.default_rng(1).exponential(2.0, 2_001)
    for probability, truth in ((0.5, 2.0 * math.log(2.0)), (0.9, 2.0 * math.log(10.0))):
        found = find_threshold(lambda value: turns <= value, 0.0, 20.0, probability=probability, tolerance=0.001)
        assert found.value.contains(truth)
        assert found.value.estimate == pytest.approx(truth, rel=0.08)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("bad_debt > 0", Event("bad_debt", ">", 0.0)),
        ("profit.takers<=-1e3", Event("profit.takers", "<=", -1000.0)),
        (" insolvent >= 1 ", Event("insolvent", ">=", 1.0)),
    ],
)
def test_events_are_read(text: str, event: Event) -> None:
    assert read_event(text) == event


@pytest.mark.parametrize("text", ["", "bad_debt", "bad_debt = 3", "bad_debt > much", "> 3", "bad_debt > nan", "a b > 1"])
def test_what_is_no_event_is_told(text: str) -> None:
    with pytest.raises(InputError, match='such as "bad_debt > 0"'):
        read_event(text)


def test_an_undefined_outcome_has_not_happened() -> None:
    values = np.array([1.0, math.nan, -1.0, math.inf])
    assert Event("x", ">", 0.0).happened(values).tolist() == [True, False, False, False]
    assert Event("x", "<=", 0.0).happened(values).tolist() == [False, False, True, False]


def hills(x: np.ndarray) -> np.ndarray:
    """Two hills; the higher one, 3, at (0.8, -1.5)."""
    high = 3.0 * np.exp(-((x[:, 0] - 0.8) ** 2) / 0.1 - (x[:, 1] + 1.5) ** 2)
    return np.asarray(high + 2.0 * np.exp(-((x[:, 0] - 0.2) ** 2) / 0.1 - (x[:, 1] - 1.0) ** 2))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_worst_case_is_the_higher_of_two_hills(optimiser: str) -> None:
    asked = []

    def function(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return hills(x)

    found = worst_case(function, [(0.0, 1.0), (-3.0, 3.0)], 160, optimiser=optimiser, seed=3)  # type: ignore[arg-type]
    assert sum(asked) == len(found.values) <= 160
    assert found.value > 2.7
    assert found.point == pytest.approx([0.8, -1.5], abs=0.35)
    assert found.value == hills(found.point[None])[0] == found.path[-1]
    assert (np.diff(found.path) >= 0.0).all()
    again = worst_case(hills, [(0.0, 1.0), (-3.0, 3.0)], 160, optimiser=optimiser, seed=3)  # type: ignore[arg-type]
    assert np.array_equal(again.points, found.points)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_undefined_values_are_never_the_worst(optimiser: str) -> None:
    found = worst_case(lambda x: np.where(x[:, 0] > 0.5, np.nan, x[:, 0]), [(0.0, 1.0)], 48, optimiser=optimiser)  # type: ignore[arg-type]
    assert 0.3 < found.value <= 0.5
    with pytest.raises(ValueError, match="undefined at every point"):
        worst_case(lambda x: np.full(len(x), np.nan), [(0.0, 1.0)], 16, optimiser=optimiser)  # type: ignore[arg-type]


def test_a_search_needs_two_generations() -> None:
    with pytest.raises(InputError, match="--evaluations 15: expected at least 16"):
        worst_case(hills, [(0.0, 1.0), (-3.0, 3.0)], 15)
    assert [population_of(number) for number in (16, 64, 400)] == [8, 8, 50]


def test_without_optuna_its_search_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("abm.lab.search.importlib.import_module", missing)
    with pytest.raises(InputError, match="optuna is not installed"):
        worst_case(hills, [(0.0, 1.0), (-3.0, 3.0)], 32, optimiser="optuna")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("searched") / "small.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def told(command: object, *arguments: object) -> str:
    result = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0
    return result.output.replace("\u00a0", " ")


def test_how_deep_a_fall_liquidates(file: Path, tmp_path: Path) -> None:
    """At a leverage of 15 positions are liquidated well before a fall of a fifth, and not by one of a thousandth."""
    arguments = (file, "--factor", "world.crashes.0.depth", "--between", 0.001, 0.2, "--event", "liquidated > 0", "--replications", 7)
    output = told(search_cli.threshold, *arguments, "--tolerance", 0.1, "--workers", 1, "--out", tmp_path)
    assert "P(liquidated > 0) rises above 50 % at world.crashes.0.depth = 0.0" in output
    found = json.loads((tmp_path / "threshold.json").read_text(encoding="utf-8"))
    assert found["rising"]
    assert 0.01 < found["threshold"]["estimate"] < 0.1
    assert found["threshold"]["low"] <= found["threshold"]["estimate"] <= found["threshold"]["high"]
    assert found["runs"] == 7 * len(found["evaluations"])
    assert (found["evaluations"][0]["happened"], found["evaluations"][-1]["happened"]) == (0, 7)


def test_no_threshold_in_the_range_is_said(file: Path, tmp_path: Path) -> None:
    arguments = (file, "--factor", "world.crashes.0.depth", "--between", 0.15, 0.2, "--event", "liquidated > 0", "--replications", 3)
    output = told(search_cli.threshold, *arguments, "--tolerance", 0.5, "--workers", 1, "--out", tmp_path)
    assert "stays above 50 % for world.crashes.0.depth from 0.15 to 0.2" in output
    assert json.loads((tmp_path / "threshold.json").read_text(encoding="utf-8"))["threshold"]["estimate"] is None


def test_the_worst_case_is_tried_in_fresh_worlds_and_can_be_run(file: Path, tmp_path: Path) -> None:
    arguments = (file, "--evaluations", 16, "--factors", "venue.oracle.lag_blocks,venue.insurance_fund", "--fresh", 3, "--workers", 1)
    output = told(search_cli.worst, *arguments, "--out", tmp_path)
    assert output.startswith("liquidated: the highest found is ")
    found = json.loads((tmp_path / "worst.json").read_text(encoding="utf-8"))
    assert found["fresh_seeds"] == [5, 6, 7]
    tried = pl.read_parquet(tmp_path / "evaluations.parquet")
    assert tried.height == 16
    assert tried["liquidated"].max() == found["in_search"]
    experiment = load(tmp_path / "worst.toml")
    assert experiment.venue.oracle.lag_blocks == found["settings"]["venue.oracle.lag_blocks"]  # type: ignore[attr-defined]
    assert experiment.run.seed == 5
    model = experiment.model()
    model.run()


class Bowl:
    """In place of runs: an outcome that is 5 at the bottom of a bowl, at 0.3, in the worlds of the search, and 8 in others."""

    outcome = "bad_debt"
    folder = Path("nowhere")
    runs = failed = 0
    subject = SimpleNamespace(sweep=SimpleNamespace(name="bowl"), variant="")

    def values(self, points: Sequence[dict[str, float]], seeds: Sequence[int]) -> np.ndarray:
        bowl = [(point.get("x.depth", 1.0) - 0.3) ** 2 for point in points]
        return np.array([[each + (5.0 if seed < 10 else 8.0) for seed in seeds] for each in bowl])

    def means(self, points: Sequence[dict[str, float]], seeds: Sequence[int]) -> np.ndarray:
        return np.asarray(self.values(points, seeds).mean(axis=1))


def test_the_lowest_is_searched_too_and_fresh_worlds_have_the_last_word() -> None:
    depth = Factor("depth", ("x.depth",), low=0.0, high=1.0)
    found = worst_within(Bowl(), [depth], (1, 2), (11, 12, 13), evaluations=64, lowest=True)  # type: ignore[arg-type]
    assert found.settings["x.depth"] == pytest.approx(0.3, abs=0.03)
    assert found.searched == pytest.approx(5.0, abs=0.001)
    assert found.fresh.estimate == pytest.approx(8.0, abs=0.001)
    assert found.harm is not None
    assert found.harm.t.estimate == pytest.approx(-0.49, abs=0.001)
    assert worst_sentence(found).startswith("bad_debt: the lowest found is 8")


def test_the_command_of_sensitivity(file: Path, tmp_path: Path) -> None:
    output = told(analysis_cli.sensitivity, file, "--samples", 3, "--replications", 1, "--workers", 1, "--out", tmp_path)
    assert output.startswith("liquidated: ")
    found = json.loads((tmp_path / "sensitivity.json").read_text(encoding="utf-8"))
    assert {each["factor"] for each in found["factors"]} == {"venue.oracle.lag_blocks", "venue.insurance_fund", "venue.oracle.kind"}
    assert (found["method"], found["points"], found["variant"]) == ("morris", 12, "late")


def test_a_file_that_names_no_outcome(tmp_path: Path) -> None:
    path = tmp_path / "silent.toml"
    path.write_text(TEXT.replace('outcomes = ["liquidated"]\n', ""), encoding="utf-8")
    with pytest.raises(InputError, match="sweep.outcomes: missing"):
        told(search_cli.worst, path)
