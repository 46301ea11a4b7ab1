"""Sweeps run in this process: what lies in the folder, and that it is the same whatever interrupted it."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import time
from pathlib import Path

import polars as pl
import pytest

import abm.lab
import abm.lab.part_files
from abm.lab.cli import exit_code
from abm.lab.config import load
from abm.lab.errors import InputError
from abm.lab.folder_lock import locked
from abm.lab.part_files import part_path
from abm.lab.plan import load_plan
from abm.lab.precision import half_widths
from abm.lab.recomputation import recompute_outcomes
from abm.lab.runner import Shard, SweepResult, Tally, run_sweep
from abm.lab.sweep import Until
from tests.lab.sweep_files import BASE, LAG, SWEEP, results, with_trap, written

VARIANTS = '[variants.today]\n[variants.unfunded.venue.funding]\nkind = "NoFunding"\n'


def swept(file: Path, folder: Path, *overrides: str, **options: object) -> SweepResult:
    return run_sweep(load_plan(file, overrides), folder, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("files"), BASE + SWEEP + VARIANTS)


@pytest.fixture(scope="module")
def folder(file, tmp_path_factory):
    """A finished sweep. Not to be changed."""
    folder = tmp_path_factory.mktemp("sweeps") / "tiny"
    swept(file, folder)
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    """One that may be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_there_is_one_row_for_each_run(folder):
    stored = abm.lab.open(folder)
    runs = stored.runs.collect()
    assert runs.columns[:6] == ["run", "cell", "variant", "point", "seed", "replication"]
    assert runs.columns[6:11] == [LAG, "identity", "status", "error", "blocks"]
    assert runs["run"].to_list() == list(range(12))
    assert runs["variant"].to_list() == ["today"] * 6 + ["unfunded"] * 6
    assert runs[LAG].to_list() == [0, 0, 0, 5, 5, 5] * 2
    assert runs["seed"].to_list() == [1, 2, 3] * 4
    assert runs["identity"].n_unique() == 12
    assert set(runs["status"]) == {"done"}
    assert runs["error"].null_count() == 12
    assert set(runs["blocks"]) == {60}
    assert {runs.schema[name] for name in stored.outcomes} == {pl.Float64}
    assert "bad_debt" in stored.outcomes
    assert stored.factors == [LAG]
    assert stored.failures.is_empty()


def test_no_number_is_nan(folder):
    stored = abm.lab.open(folder)
    runs = stored.runs.collect()
    assert not any(runs[name].is_nan().any() for name in stored.outcomes)


def test_kept_tables_are_those_of_the_same_run_by_itself(folder, file):
    """Recorded at the same moments, `abm run` gives the same rows."""
    plan = load_plan(file)
    alone = plan.experiment(3, seed=2).model().run().frames()
    stored = abm.lab.open(folder)
    number = stored.runs.filter(pl.col("cell") == 3, pl.col("seed") == 2).select("run").collect().item()
    for name, table in stored.tables.items():
        kept = table.filter(pl.col("run") == number).drop("run").collect()
        assert kept.equals(alone[name].select(kept.columns)), name
    assert stored.tables["markets"].collect().height == 12 * 7  # looks at 0, 10, ... 50 and 59 seconds


def test_the_first_column_of_every_table_is_the_run(folder):
    for name, table in abm.lab.open(folder).tables.items():
        schema = table.collect_schema()
        assert (schema.names()[0], schema["run"]) == ("run", pl.Int32), name


def test_equal_seeds_have_equal_worlds(folder):
    looks = abm.lab.open(folder).tables["markets"].select("run", "block", "exogenous").collect()
    paths = {number: rows["exogenous"].to_list() for (number,), rows in looks.group_by("run", maintain_order=True)}
    assert paths[0] == paths[3] == paths[6] != paths[1]


def test_every_column_is_described(folder):
    stored = abm.lab.open(folder)
    described = stored.columns
    assert list(described["runs"]) == stored.runs.collect_schema().names()
    assert described["runs"][LAG]["unit"] == "blocks"
    for name, table in stored.tables.items():
        assert list(described[name]) == table.collect_schema().names()
    assert all(entry["about"] for table in described.values() for entry in table.values())


def test_the_plan_lies_beside_the_results(folder, file):
    plan = load_plan(file)
    record = abm.lab.open(folder).plan
    assert (record.identity, record.runs, record["parts"]) == (plan.identity, 12, plan.most_parts)
    assert record.variants == ["today", "unfunded"]
    assert record.factors[0]["values"] == [0, 5]
    assert [cell["values"][LAG] for cell in record.cells] == [0, 5, 0, 5]
    assert dict(record) == json.loads((folder / "plan.json").read_text())


def test_the_stored_sweep_reads_back_to_the_same_plan(folder, file):
    assert load_plan(folder / "sweep.toml").identity == load_plan(file).identity


@pytest.mark.parametrize(
    "text",
    [
        '[variants.today]\n[variants.slow.venue]\npreset = "slow"\n',
        '[variants.today]\n[variants.guarded.venue]\nguards = [{ kind = "CircuitBreaker" }]\n',
        f'[sweep]\ndesign = "list"\npoints = [{{ "{LAG}" = 3 }}, {{ "{LAG}" = 4 }}]\nseeds = [5, 3]\n',
        f'[sweep]\ndesign = "sobol"\npoints = 8\nreplications = {{ until = "ci(bad_debt) < 3", least = 2, most = 5 }}\nfirst_seed = 4\n'
        f'[factors]\n"{LAG}" = {{ low = 0, high = 10 }}\nfund = {{ sets = ["venue.insurance_fund"], low = 1, high = 9, scale = "log" }}\n',
        '[factors]\n"venue.funding" = [{ kind = "NoFunding" }, { kind = "ClampedPremiumFunding" }]\n',
    ],
)
def test_whatever_is_swept_reads_back_to_the_same_plan(tmp_path, text, monkeypatch):
    from dataclasses import replace

    from abm.lab.sweep_text import resolved_sweep
    from abm.lab.toml_text import dump_toml
    from abm.mechanisms.presets import PRESETS

    monkeypatch.setitem(PRESETS, "slow", lambda: replace(PRESETS["dydx_v4"](), seconds_per_block=5.0))
    plan = load_plan(written(tmp_path, BASE + text))
    again = load_plan(written(tmp_path, dump_toml(resolved_sweep(plan)), "again.toml"))
    assert again.identity == plan.identity
    assert [cell.values for cell in again.cells] == [cell.values for cell in plan.cells]
    assert dump_toml(resolved_sweep(again)) == dump_toml(resolved_sweep(plan))


def test_running_it_again_runs_nothing(copy, file, monkeypatch):
    before = results(copy)
    monkeypatch.setattr("abm.lab.worker.compute_part", lambda *_: pytest.fail("a finished part was run again"))
    result = swept(file, copy)
    assert (result.tally.found, result.tally.done, result.tally.failed) == (12, 12, 0)
    assert results(copy) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1 nothing at all"),
        lambda path: path.unlink(),
    ],
    ids=["cut off", "empty", "garbage", "gone"],
)
@pytest.mark.parametrize("table", ["runs", "markets"])
def test_a_damaged_file_makes_its_part_run_again(copy, file, table, damage):
    before = results(copy)
    damage(part_path(copy, table, 1))
    runs = len(next(part for part in load_plan(file).parts(load_plan(file).rounds[0]) if part.number == 1).runs)
    result = swept(file, copy)
    assert result.tally.found == 12 - runs
    assert results(copy) == before


def test_parts_of_another_plan_are_not_taken_for_finished(copy, file):
    """Two parts exchanged have readable files with the wrong runs."""
    before = results(copy)
    first, second = part_path(copy, "runs", 0), part_path(copy, "runs", 1)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    swept(file, copy)
    assert results(copy) == before


def test_parts_stay_as_they_were_divided(copy, file, monkeypatch):
    before = results(copy)
    monkeypatch.setattr("abm.lab.plan.FEW_PARTS", 3)
    assert load_plan(file).runs_per_part == 4
    assert swept(file, copy).tally.found == 12
    assert results(copy) == before


def test_an_interruption_costs_the_part_in_flight(file, folder, tmp_path):
    class StopError(Exception):
        pass

    def progress(tally: Tally) -> None:
        if tally.ended == 7:
            raise StopError

    out = tmp_path / "out"
    with pytest.raises(StopError):
        swept(file, out, progress=progress)
    kept = abm.lab.open(out).runs.collect().height
    assert 4 <= kept <= 7
    assert swept(file, out).tally.found == kept
    assert results(out) == results(folder)


def test_the_clock_decides_nothing(file, folder, tmp_path, monkeypatch):
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1e9 - 86_400.0 * next(jumps))
    monkeypatch.setattr(time, "perf_counter", lambda: -3600.0 * next(jumps))
    out = tmp_path / "out"
    swept(file, out, progress=lambda _: None)
    for path in out.rglob("*.parquet"):
        os.utime(path, (0, 0))
    assert swept(file, out).tally.found == 12
    assert results(out) == results(folder)


def test_a_full_disk_is_one_line_and_leaves_no_half_file(file, folder, tmp_path, monkeypatch):
    room = [sum(len(content) for name, content in results(folder).items() if name.endswith(".parquet")) // 2]
    write = Path.write_bytes

    def limited(self: Path, content: bytes) -> int:
        if ".partial" in self.name and "part-" in self.name:
            if len(content) > room[0]:
                write(self, content[: room[0]])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            room[0] -= len(content)
        return write(self, content)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", limited)
        with pytest.raises(InputError, match="cannot be written \\(No space left on device\\); what is finished stays") as caught:
            swept(file, out)
    assert len(caught.value.messages) == 1
    assert not list(out.rglob("*.partial*"))
    assert swept(file, out).tally.found < 12
    assert results(out) == results(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_really_full_disk(file, folder, tmp_path):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={sum(map(len, results(folder).values())) // 2}", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(InputError, match="No space left on device"):
            swept(file, disk / "out")
        assert not list((disk / "out").rglob("*.partial*"))
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        swept(file, disk / "out")
        assert results(disk / "out") == results(folder)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_a_killed_process_left_is_removed(copy, file):
    before = results(copy)
    path = part_path(copy, "runs", 0)
    left = path.with_name(f".{path.name}.99999.partial")
    left.write_bytes(b"half")
    path.unlink()
    swept(file, copy)
    assert results(copy) == before


def test_shards_together_are_the_whole(file, folder, tmp_path):
    out = tmp_path / "out"
    tallies = [swept(file, out, shard=Shard(number, 3)).tally for number in (2, 1, 3)]
    assert sum(tally.done for tally in tallies) == 12
    assert all(0 < tally.done < 12 for tally in tallies)
    assert results(out) == results(folder)


def test_an_exception_is_a_row_with_its_traceback_and_the_others_do_not_notice(tmp_path):
    clean = written(tmp_path / "clean", with_trap("nothing", 2))
    bad = written(tmp_path / "bad", with_trap("fail", 2))
    swept(clean, tmp_path / "a")
    result = swept(bad, tmp_path / "b")
    assert (result.tally.done, result.tally.failed) == (4, 2)
    stored = abm.lab.open(tmp_path / "b")
    failures = stored.failures
    assert failures["seed"].to_list() == [2, 2]
    text = failures["error"][0]
    assert text.endswith("ArithmeticError: seed 2 is a bad one: <object object>")
    assert 'File "traps.py", line' in text
    assert 'File "abm/model.py", line' in text
    assert str(tmp_path) not in text
    assert stored.runs.select("blocks").collect()["blocks"].to_list() == [60, 5, 60, 60, 5, 60]
    others = pl.col("status") == "done"
    whole = abm.lab.open(tmp_path / "a").runs.filter(pl.col("seed") != 2).drop("identity").collect()
    assert stored.runs.filter(others).drop("identity").collect().equals(whole)
    assert set(stored.tables["markets"].select("run").collect()["run"]) == set(stored.runs.filter(others).collect()["run"])


def test_a_part_of_failures_only_has_the_same_columns(tmp_path):
    text = with_trap("fail", 1).replace("replications = 3", "replications = 1").replace("[0, 5]", "[0, 5, 7]")
    text = text.replace("seed = 1\n", "seed = 1\nblock = 0\n", 1)
    swept(written(tmp_path, text), tmp_path / "out")
    stored = abm.lab.open(tmp_path / "out")
    assert stored.runs.collect()["status"].to_list() == ["failed"] * 3
    assert stored.runs.collect()["blocks"].to_list() == [0, 0, 0]
    assert stored.tables["markets"].collect().height == 0
    assert "bad_debt" in stored.outcomes


def test_another_sweep_is_refused_and_the_changed_keys_are_named(copy, file):
    before = results(copy)
    with pytest.raises(InputError) as caught:
        swept(file, copy, "run.seconds=30", "sweep.replications=4", "venue.insurance_fund=7.0")
    text = str(caught.value)
    assert "holds another sweep" in text
    assert "run.seconds: 60.0 -> 30.0" in text
    assert "sweep.replications: 3 -> 4" in text
    assert "venue.insurance_fund: 1000.0 -> 7.0" in text
    assert results(copy) == before


def test_texts_and_what_is_asked_may_change(copy, file):
    swept(file, copy, 'finding="it does"', 'sweep.outcomes=["volume"]')
    record = abm.lab.open(copy).plan
    assert (record.finding, record.outcomes) == ("it does", ["volume"])


def test_details_are_computed_when_they_are_asked_for(copy, file):
    from abm.lab.outcomes import OUTCOMES

    detail = next(outcome for outcome in OUTCOMES.values() if outcome.detail and outcome.plain and "fills" not in outcome.tables)
    before = results(copy)
    assert detail.name not in abm.lab.open(copy).outcomes
    assert swept(file, copy, f'sweep.outcomes=["{detail.name}"]').tally.found == 12
    stored = abm.lab.open(copy)
    assert detail.name in stored.outcomes
    assert stored.columns["runs"][detail.name]["unit"] == detail.unit
    assert detail.name in stored.runs.collect().columns
    swept(file, copy)
    assert results(copy) == before


def test_other_code_is_refused(copy, file, monkeypatch):
    monkeypatch.setattr("abm.lab.plan.simulator_digest", lambda: "0123456789abcdef")
    with pytest.raises(InputError, match="was computed by other code"):
        swept(file, copy)


def test_a_users_own_code_is_code(tmp_path):
    file = written(tmp_path, with_trap("nothing", 2))
    before = load_plan(file).code
    assert before != load_plan(written(tmp_path / "plain")).code
    (tmp_path / "traps.py").write_text((tmp_path / "traps.py").read_text() + "\n# changed\n")
    assert load_plan(file).code != before


def test_a_users_own_code_lies_beside_the_results(tmp_path):
    file = written(tmp_path, with_trap("nothing", 2))
    swept(file, tmp_path / "out", "sweep.replications=1")
    assert (tmp_path / "out" / "traps.py").read_text() == (tmp_path / "traps.py").read_text()


def test_folders_of_others_are_refused(tmp_path, file, small_folder):
    with pytest.raises(InputError, match="holds the run of an experiment"):
        swept(file, small_folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="holds no sweep"):
        swept(file, tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no such folder|is a file"):
        swept(file, tmp_path / "file")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_two_processes_do_not_compute_the_same_sweep(copy, file):
    fcntl = pytest.importorskip("fcntl")
    busy = pytest.raises(InputError, match="another process is computing this sweep")
    with (copy / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with busy:
            swept(file, copy)
    with locked(copy, "1-of-2"):
        swept(file, copy, shard=Shard(2, 2))
        for attempt in (lambda: swept(file, copy, shard=Shard(1, 2)), lambda: swept(file, copy), lambda: recompute_outcomes(copy)):
            with busy:
                attempt()
    assert not list(copy.glob(".lock*"))


def test_other_outcomes_of_a_damaged_sweep(copy, file):
    part_path(copy, "markets", 2).unlink()
    part_path(copy, "runs", 4).write_bytes(b"")
    runs = swept(file, copy, 'sweep.outcomes=["below_zero_seconds"]').stored().runs.collect()
    assert runs.height == 12


def test_opening_what_is_no_sweep(tmp_path, small_folder):
    with pytest.raises(InputError, match="no such folder"):
        abm.lab.open(tmp_path / "gone")
    with pytest.raises(InputError, match="holds the run of an experiment"):
        abm.lab.open(small_folder)
    (tmp_path / "plan.json").write_text('{"made_by": "somebody"}')
    with pytest.raises(InputError, match="is not the plan of a sweep"):
        abm.lab.open(tmp_path)


def test_replication_ends_when_the_answer_is_precise(tmp_path):
    text = BASE + SWEEP.replace("replications = 3", 'replications = { until = "ci(volume) < WIDTH", least = 2, most = 7 }')
    wide = swept(written(tmp_path, text.replace("WIDTH", "1e15"), "wide.toml"), tmp_path / "wide")
    assert (wide.rounds, wide.precise, wide.tally.done) == (1, True, 4)
    narrow = swept(written(tmp_path, text.replace("WIDTH", "1e-9"), "narrow.toml"), tmp_path / "narrow")
    assert (narrow.rounds, narrow.precise, narrow.tally.done) == (4, False, 14)
    runs = abm.lab.open(tmp_path / "narrow").runs.collect()
    assert runs["run"].to_list() == list(range(14))
    assert runs["replication"].to_list() == [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 6]
    assert swept(tmp_path / "narrow.toml", tmp_path / "narrow").tally.found == 14
    second = runs.filter(pl.col("replication") < 4)
    width = half_widths(second, Until(until="ci(volume) < 1", least=2, most=7), "")["half_width"].max()
    file = written(tmp_path, text.replace("WIDTH", f"{1.001 * width:.6g}"), "some.toml")
    for found in (0, 8):  # the second time with all of it there
        some = swept(file, tmp_path / "some")
        assert (some.rounds, some.precise, some.tally.done, some.tally.found) == (2, True, 8, found)
    with pytest.raises(InputError, match="--shard: replications until a condition"):
        swept(tmp_path / "narrow.toml", tmp_path / "narrow", shard=Shard(1, 2))


def test_outcomes_are_computed_again_without_a_run(copy, monkeypatch):
    before = results(copy)
    for path in (copy / "tables" / "runs").iterdir():
        spoilt = pl.read_parquet(path).with_columns(bad_debt=pl.lit(-1.0)).drop("volume", strict=False)
        spoilt.write_parquet(path)
    assert exit_code(["outcomes", str(copy), "--quiet"]) == 0
    assert results(copy) == before


def test_an_outcome_that_cannot_be_computed_costs_no_run(file, folder, tmp_path, monkeypatch):
    import abm.lab.outcomes

    compute = abm.lab.outcomes.compute

    def failing(tables, runs, names):
        if 5 in runs:
            raise ZeroDivisionError("no such number")
        return compute(tables, runs, names)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(abm.lab.outcomes, "compute", failing)
        result = swept(file, out)
    assert (result.tally.done, result.tally.failed) == (11, 1)
    (row,) = abm.lab.open(out).failures.rows(named=True)
    assert row["run"] == 5
    assert row["error"].endswith("ZeroDivisionError: no such number")
    assert exit_code(["outcomes", str(out), "--quiet"]) == 0
    assert results(out) == results(folder)


def test_outcomes_interrupted_are_as_they_were(copy, monkeypatch):
    before = results(copy)
    calls = iter((False, True))

    def failing(frame: pl.DataFrame, statistics: bool) -> bytes:
        if next(calls):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        return buffer.getvalue()

    monkeypatch.setattr("abm.lab.recomputation.parquet", failing)
    assert exit_code(["outcomes", str(copy)]) == 2
    assert results(copy) == before


def test_a_process_ended_between_the_two_renames_loses_nothing(copy):
    before = results(copy)
    os.replace(copy / "tables" / "runs", copy / "tables" / ".runs.old")
    assert exit_code(["outcomes", str(copy), "--quiet"]) == 0
    assert results(copy) == before


def test_a_piped_sweep_says_only_what_came_out(file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert exit_code(["sweep", str(file), "--workers", "1", "--no-report"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("12 runs, 0 failed: runs/tiny\n")
    assert err == ""
    assert exit_code(["sweep", str(file), "--workers", "1", "--no-report", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert exit_code(["sweep", str(file), "--workers", "1", "--shard", "5/4"]) == 2
    assert capsys.readouterr().err == "--shard 5/4: expected I/N with I from 1 to N, such as 1/4\n"


def test_one_configuration_can_be_run_by_itself(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert exit_code(["run", str(file), "--cell", "3", "--seed", "2", "--quiet", "--no-report"]) == 0
    alone = load(tmp_path / "runs" / "tiny-cell-3" / "experiment.toml")
    assert (alone.run.seed, type(alone.venue.funding).__name__, alone.venue.oracle.lag_blocks) == (2, "NoFunding", 5)  # type: ignore[attr-defined]
    assert exit_code(["run", str(file), "--cell", "4"]) == 2
