"""Batches of configurations: what is run for a point, in which worlds, and what is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abm.lab.config import load
from abm.lab.errors import InputError
from abm.lab.evaluation import Evaluator, batch_plan, between, declared, settings_at, subject_of
from abm.lab.plan import with_seed
from tests.lab.searched_file import TEXT


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("searched") / "small.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_the_subject_is_one_variant_without_its_factors(file: Path) -> None:
    subject = subject_of(file, ["sweep.first_seed=7"])
    assert (subject.variant, subject.seeds) == ("late", (7, 8))
    assert subject.contents["world"]["crashes"][0]["start"] == 40
    assert not {"factors", "variants"} & set(subject.contents)
    assert subject_of(file, variant="early").contents["world"]["crashes"][0]["start"] == 30
    with pytest.raises(InputError, match=r"there is no variant 'erly'; did you mean 'early'\?"):
        subject_of(file, variant="erly")


def test_a_range_over_a_whole_number_is_of_whole_numbers(file: Path) -> None:
    lag, fund, _ = subject_of(file).factors
    assert (lag.integer, fund.integer, fund.log) == (True, False, True)
    assert declared(subject_of(file), ["venue.insurance_fund"]) == (fund,)
    with pytest.raises(InputError, match="there is no factor 'venue.fund'"):
        declared(subject_of(file), ["venue.fund"])


def test_any_number_of_the_configuration_has_a_range(file: Path) -> None:
    subject = subject_of(file)
    depth = between(subject, "world.crashes.0.depth", (0.01, 0.4))
    assert (depth.keys, depth.low, depth.high, depth.integer) == (("world.crashes.0.depth",), 0.01, 0.4, False)
    assert between(subject, "population.takers.members", (10, 40)).integer
    assert between(subject, "venue.oracle.lag_blocks") == subject.factors[0]
    with pytest.raises(InputError, match="'world.depth' is no factor of the file"):
        between(subject, "world.depth")
    with pytest.raises(InputError, match="is not above low"):
        between(subject, "world.crashes.0.depth", (0.4, 0.01))
    with pytest.raises(InputError, match="no numbers of one key"):
        between(subject, "venue.oracle.kind")


def test_levels_that_are_numbers_are_a_range(file: Path) -> None:
    subject = subject_of(file, ["factors.population.takers.members=[10, 30, 20]"])
    members = between(subject, "population.takers.members")
    assert (members.low, members.high, members.integer) == (10, 30, True)


def test_a_point_sets_what_its_factors_say(file: Path) -> None:
    factors = subject_of(file).factors
    assert settings_at(factors, [0.0, 0.5, 0.9]) == {
        "venue.oracle.lag_blocks": 0,
        "venue.insurance_fund": 10_000.0,
        "venue.oracle.min_change": [0.01],
    }
    assert settings_at(factors, [1.0, 1.0, 1.0])["venue.oracle.lag_blocks"] == 9


def test_a_batch_of_one_point_is_the_same_configuration_as_in_a_batch_of_two(file: Path) -> None:
    subject = subject_of(file)
    points = [{"venue.oracle.lag_blocks": 4}, {"venue.oracle.lag_blocks": 5}]
    one, two = batch_plan(subject, points[:1], [1], "liquidated"), batch_plan(subject, points, [1], "liquidated")
    assert one.cells[0].identity == two.cells[0].identity
    assert two.cells[0].identity != two.cells[1].identity
    assert one.experiment(0).venue.oracle.lag_blocks == 4  # type: ignore[attr-defined]


def test_what_an_outcome_needs_is_kept(file: Path) -> None:
    assert "positions" in batch_plan(subject_of(file), [{}], [1], "position_gini").sweep.table.tables


@pytest.fixture(scope="module")
def evaluated(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("evaluated")
    points = [{"venue.oracle.lag_blocks": lag} for lag in (0, 9, 0)]
    with Evaluator(subject_of(file), folder, "liquidated") as evaluator:
        values = evaluator.values(points, (1, 2, 3))
        assert evaluator.runs == 6  # two of the three points are the same
    return folder, values


def test_values_are_those_of_the_runs(file: Path, evaluated: tuple[Path, np.ndarray]) -> None:
    _, values = evaluated
    assert values.shape == (3, 3)
    assert np.array_equal(values[0], values[2])
    experiment = load(file, ["venue.oracle.lag_blocks=0", "world.crashes.0.start=40"])
    model = with_seed(experiment, 2).model()
    model.run()
    closed = model.frames()["liquidations"]["notional"].sum()
    assert values[0, 1] == pytest.approx(closed)
    assert closed > 0.0


def test_a_batch_that_was_run_is_found_again(file: Path, evaluated: tuple[Path, np.ndarray]) -> None:
    folder, values = evaluated
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    told: list[int] = []
    with Evaluator(subject_of(file), folder, "liquidated", progress=told.append) as evaluator:
        again = evaluator.values([{"venue.oracle.lag_blocks": 0}, {"venue.oracle.lag_blocks": 9}], (1, 2, 3))
        assert np.array_equal(again, values[:2])
        assert told == [6]
        evaluator.values([{}], (1,))
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert len(list((folder / "evaluations").iterdir())) == 2


def test_runs_that_all_fail_are_told(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("no block has passed")

    monkeypatch.setattr("abm.model.PerpModel.run", fail)
    with Evaluator(subject_of(file), tmp_path, "liquidated") as evaluator, pytest.raises(InputError) as told:
        evaluator.values([{}], (1, 2))
    assert "all 2 runs failed; the first: ZeroDivisionError: no block has passed" in str(told.value)
