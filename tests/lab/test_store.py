"""What a run leaves behind: complete or absent, byte-identical, self-describing, and never in the place of something else."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from abm.lab.columns import COLUMNS, columns_of
from abm.lab.config import Experiment, digest, load, resolved
from abm.lab.errors import InputError
from abm.lab.methods import described
from abm.lab.output_folder import clear_abandoned, new_folder
from abm.lab.run import RunResult, run_experiment
from abm.lab.store import REPORT, foreign_files, open_run, origin_of, write_table
from abm.model import PerpModel

Make = Callable[..., Experiment]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_runs_of_one_seed_are_byte_identical_but_for_the_clock(tmp_path: Path, make_experiment: Make) -> None:
    first, second = (run_experiment(make_experiment(seconds=300.0), tmp_path / name, report=False) for name in ("first", "second"))
    one, other = contents(first.folder), contents(second.folder)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] in ([], ["provenance.json"])
    assert len(one["tables/fills.parquet"]) > 1000


def test_another_seed_gives_other_tables(tmp_path: Path, make_experiment: Make) -> None:
    one, other = (
        contents(run_experiment(make_experiment(seconds=120.0, seed=seed), tmp_path / str(seed), report=False).folder) for seed in (1, 2)
    )
    assert one["tables/markets.parquet"] != other["tables/markets.parquet"]


def test_bytes_of_a_table_do_not_depend_on_how_it_is_laid_out_in_memory(tmp_path: Path) -> None:
    whole = pl.DataFrame({"block": range(1000), "price": [0.1 * each for each in range(1000)]})
    pieces = pl.concat([whole[:300], whole[300:]], rechunk=False)
    assert pieces.n_chunks() == 2
    for name, frame in (("whole", whole), ("pieces", pieces)):
        write_table(tmp_path / name, frame)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()


def test_stored_tables_are_those_of_the_model(tmp_path: Path, make_experiment: Make) -> None:
    experiment = make_experiment(seconds=120.0)
    model = experiment.model().run()
    stored = run_experiment(experiment, tmp_path / "run", report=False).stored()
    for name, frame in model.frames().items():
        assert_frame_equal(stored.frames[name], frame)
        assert isinstance(stored.tables[name], pl.LazyFrame)
    assert stored.frames.keys() == model.frames().keys()


def test_every_column_is_described_with_its_unit(small_run: RunResult) -> None:
    stored = small_run.stored()
    columns = json.loads((small_run.folder / "columns.json").read_text(encoding="utf-8"))
    assert columns.keys() == stored.frames.keys()
    for name, frame in stored.frames.items():
        assert list(columns[name]) == frame.columns
        assert all(entry["unit"] and entry["about"] for entry in columns[name].values())


def test_the_optional_table_of_orders_is_described_too(make_experiment: Make) -> None:
    experiment = make_experiment(seconds=60.0)
    experiment = dataclasses.replace(experiment, record=dataclasses.replace(experiment.record, orders=True))
    frames = experiment.model().run().frames()
    assert frames["orders"].height > 0
    for name, frame in frames.items():
        assert columns_of(name, frame.columns).keys() == set(frame.columns)
    assert COLUMNS.keys() == frames.keys()


def test_provenance_says_what_was_run_and_names_no_place(small_run: RunResult, make_experiment: Make) -> None:
    provenance = small_run.stored().provenance
    checked = make_experiment()
    checked = dataclasses.replace(checked, run=dataclasses.replace(checked.run, check=True))
    assert provenance["identity"] == digest(checked) == digest(make_experiment())
    assert provenance["experiment"] == json.loads(json.dumps(resolved(checked)))
    assert provenance["seed"] == 1
    assert re.fullmatch("[0-9a-f]{16}", provenance["code"]["sources"])
    assert {"python", "numpy", "numba", "mesa", "polars", "abm"} <= provenance["versions"].keys()
    assert datetime.fromisoformat(provenance["started"]).tzinfo is not None
    text = json.dumps({key: value for key, value in provenance.items() if key != "experiment"})
    assert os.fspath(Path.home()) not in text
    assert os.uname().nodename not in text if hasattr(os, "uname") and len(os.uname().nodename) > 3 else True


def test_experiment_file_of_a_run_repeats_it(small_run: RunResult) -> None:
    again = load(small_run.folder / "experiment.toml")
    assert digest(again) == small_run.stored().provenance["identity"]


def test_summary_file_is_the_summary_of_the_tables(small_run: RunResult) -> None:
    stored = small_run.stored()
    assert stored.summary == small_run.summary
    assert (small_run.folder / "summary.json").read_text(encoding="utf-8") == stored.summary.json()


def test_methods_name_every_rule_and_parameter(make_experiment: Make) -> None:
    experiment = make_experiment()
    entries = {(entry["section"], entry["name"]): entry for entry in described(experiment)}
    rules = {field.name for field in dataclasses.fields(experiment.venue)} - {
        "listings",
        "guards",
        "events",
        "seconds_per_block",
        "insurance_fund",
    }
    assert {name for section, name in entries if section == "venue"} == rules | {"venue", "guard", "market BTC", "market ETH"}
    assert {name for section, name in entries if section == "population"} == {"takers", "providers"}
    assert all(entry["about"] for entry in entries.values())
    oracle = {row["name"]: row for row in entries["venue", "oracle"]["parameters"]}
    assert (oracle["min_change"]["value"], oracle["min_change"]["unit"] != "") == ("0.001", True)
    capital = {row["name"]: row for row in entries["population", "takers"]["parameters"]}["capital"]
    assert capital["words"] == "Pareto: lowest 1000, exponent 1.2, highest 100,000"


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path, make_experiment: Make) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious", encoding="utf-8")
    for overwrite, expected in ((False, "exists already"), (True, "was not written by a run")):
        with pytest.raises(InputError, match=expected) as refused:
            run_experiment(make_experiment(seconds=10.0), tmp_path / "mine", overwrite=overwrite)
        assert len(refused.value.messages) == 1
    assert contents(tmp_path) == {"mine/notes.txt": b"precious"}


def test_overwriting_replaces_a_run_and_nothing_else(tmp_path: Path, make_experiment: Make) -> None:
    folder = tmp_path / "run"
    run_experiment(make_experiment(seconds=30.0), folder, report=False)
    run_experiment(make_experiment(seconds=60.0), folder, report=False, overwrite=True)
    assert open_run(folder).experiment["run"]["seconds"] == 60.0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    (folder / "tables" / "notes.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(InputError, match=r"no run wrote tables/notes\.txt"):
        run_experiment(make_experiment(seconds=10.0), folder, report=False, overwrite=True)
    assert (folder / "tables" / "notes.txt").exists()


def test_an_empty_folder_may_be_used(tmp_path: Path, make_experiment: Make) -> None:
    (tmp_path / "run").mkdir()
    assert run_experiment(make_experiment(seconds=10.0), tmp_path / "run", report=False).stored().frames["venue"].height > 0


def test_links_are_foreign(tmp_path: Path, make_experiment: Make) -> None:
    folder = run_experiment(make_experiment(seconds=10.0), tmp_path / "run", report=False).folder
    assert foreign_files(folder) == ""
    (folder / "figures").symlink_to(tmp_path)
    assert foreign_files(folder) == "no run wrote figures"


@pytest.mark.parametrize("inside", ["file", "file/deeper/run"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, make_experiment: Make, inside: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="expected") as refused:
        run_experiment(make_experiment(seconds=10.0), tmp_path / inside)
    assert len(refused.value.messages) == 1
    assert str(tmp_path / "file") in str(refused.value)
    assert contents(tmp_path) == {"file": b"x"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is writable for this user")
def test_an_unwritable_folder_is_one_line(tmp_path: Path, make_experiment: Make) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written"):
        run_experiment(make_experiment(seconds=10.0), tmp_path / "locked" / "run")


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, RuntimeError])
def test_what_stops_a_run_leaves_nothing(
    tmp_path: Path, make_experiment: Make, monkeypatch: pytest.MonkeyPatch, stopped_by: type[BaseException]
) -> None:
    def stop(done: int, blocks: int) -> None:
        if done > 0:
            raise stopped_by

    with pytest.raises(stopped_by):
        run_experiment(make_experiment(seconds=60.0), tmp_path / "new" / "deeper" / "run", progress=stop)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(PerpModel, "frames", lambda model: stop(1, 1))
    with pytest.raises(stopped_by):
        run_experiment(make_experiment(seconds=10.0), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_overwrite_keeps_the_earlier_run(tmp_path: Path, make_experiment: Make) -> None:
    folder = tmp_path / "run"
    run_experiment(make_experiment(seconds=30.0), folder, report=False)
    before = contents(tmp_path)

    def stop(done: int, blocks: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(make_experiment(seconds=60.0), folder, overwrite=True, progress=stop)
    assert contents(tmp_path) == before


def test_a_failing_swap_puts_the_earlier_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").write_text("old", encoding="utf-8")
    moves: list[str] = []
    move = os.replace

    def fail_second(source: Path, goal: Path) -> None:
        moves.append(str(goal))
        if len(moves) == 2:
            raise OSError("disk full")
        move(source, goal)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(OSError, match="disk full"), new_folder(target, overwrite=True, foreign=lambda folder: "") as partial:
        (partial / "new").write_text("new", encoding="utf-8")
    assert contents(tmp_path) == {"run/old": b"old"}
    assert len(moves) == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from abm.lab import output_folder
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "swap":
    whole = os.replace
    def replace(source, goal):
        if str(source).endswith(".partial"):
            die()
        whole(source, goal)
    os.replace = replace
with output_folder.new_folder(sys.argv[1], overwrite=True, foreign=lambda folder: "") as partial:
    (partial / "half").write_text("half")
    if sys.argv[2] == "write":
        die()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
@pytest.mark.parametrize("moment", ["write", "swap"])
def test_what_a_killed_run_left_is_cleared_by_the_next(tmp_path: Path, moment: str) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").write_text("old", encoding="utf-8")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target), moment], check=False)
    assert killed.returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(InputError, match="exists already"), new_folder(target, overwrite=False, foreign=lambda folder: ""):
        pass
    assert contents(tmp_path) == {"run/old": b"old"}


def test_a_folder_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    def nothing_foreign(folder: Path) -> str:
        return ""

    with new_folder(tmp_path / "run", overwrite=True, foreign=nothing_foreign) as first:
        (first / "one").write_text("1", encoding="utf-8")
        beside = first.with_name(".run.0.partial")
        beside.mkdir()
        clear_abandoned(tmp_path / "run")
        assert first.is_dir()
        assert not beside.exists()
    assert contents(tmp_path) == {"run/one": b"1"}


def test_progress_goes_from_nothing_to_all(tmp_path: Path, make_experiment: Make) -> None:
    told: list[tuple[int, int]] = []
    run_experiment(make_experiment(seconds=50.0), tmp_path / "run", report=False, progress=lambda *each: told.append(each))
    assert (told[0], told[-1]) == ((0, 50), (50, 50))
    assert told == sorted(told)


def test_result_tells_the_terminal_what_happened_and_where(small_run: RunResult) -> None:
    lines = list(small_run.render())
    assert lines[-1] == f"report: {small_run.folder / REPORT}"
    assert any("accounts lost" in line for line in lines)


def test_a_folder_without_a_run_is_refused(tmp_path: Path, make_experiment: Make) -> None:
    for folder, expected in ((tmp_path / "none", "no such folder"), (tmp_path, "holds no run")):
        with pytest.raises(InputError, match=expected):
            open_run(folder)
    folder = run_experiment(make_experiment(seconds=10.0), tmp_path / "run", report=False).folder
    (folder / "tables" / "venue.parquet").unlink()
    with pytest.raises(InputError, match="venue is missing"):
        open_run(folder)


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        ({"kind": "Diffusion"}, None),
        ({"kind": "Replay", "bars": "x"}, None),
        ({"kind": "Replay", "from": "2022-11-08"}, datetime(2022, 11, 8, tzinfo=UTC)),
        (
            {"kind": "Replay", "from": "2022-11-08T13:00:00+01:00", "start_offset": 90.0},
            datetime(2022, 11, 8, 12, 1, 30, tzinfo=UTC),
        ),
        ({"kind": "Replay", "from": "2022-11-08T12:00:00Z"}, datetime(2022, 11, 8, 12, tzinfo=UTC)),
    ],
)
def test_origin_is_the_real_beginning_of_a_replay(world: dict[str, object], expected: datetime | None) -> None:
    assert origin_of({"world": world}) == expected


def test_importing_a_run_does_not_import_plots() -> None:
    code = "import sys, abm.lab.run, abm.lab.report; print([name for name in ('matplotlib', 'seaborn') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert found.stdout.strip() == "[]"
