"""Sweeps on several processes: the same bytes, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import abm
import abm.lab
from abm.lab.runner import default_workers
from tests.lab.sweep_files import results, with_trap, written

pytestmark = pytest.mark.slow
LONGEST = 300.0  # seconds that a test waits for another process
HERE = Path(abm.__file__).resolve().parent.parent


class Command:
    """`abm sweep` in a process of its own."""

    def __init__(self, file: Path, out: Path, workers: int, **environment: str) -> None:
        arguments = [sys.executable, "-m", "abm.lab.cli", "sweep", str(file), "--workers", str(workers), "--out", str(out), "--no-report"]
        self.process = subprocess.Popen(
            arguments, env={**os.environ, "PYTHONPATH": str(HERE), **environment}, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ended(self) -> tuple[int, str, str]:
        """Exit code, output, complaints."""
        try:
            out, err = self.process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return self.process.returncode, out, err


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def file(folder):
    """A sweep of which one run can be made to wait."""
    return written(folder, with_trap("wait_once", 2))


@pytest.fixture(scope="module")
def alone(folder, file):
    """Its results, computed by one process."""
    marker = folder / "was_there"
    marker.write_text("")
    code, _, err = Command(file, folder / "alone", 1, TRAP_MARKER=str(marker)).ended()
    assert (code, err) == (0, "")
    return results(folder / "alone")


def test_two_workers_give_the_same_bytes(folder, file, alone):
    code, out, err = Command(file, folder / "two", 2, TRAP_MARKER=str(folder / "was_there")).ended()
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"6 runs, 0 failed: {folder / 'two'}"
    assert results(folder / "two") == alone


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_killed_worker_is_replaced_and_its_runs_are_done_again(folder, file, alone):
    marker = folder / "worker"
    command = Command(file, folder / "killed", 2, TRAP_MARKER=str(marker))
    until(lambda: marker.exists() and marker.read_text() != "")
    worker = int(marker.read_text())
    assert worker != command.process.pid
    os.kill(worker, signal.SIGKILL)
    code, _, err = command.ended()
    assert (code, err) == (0, "")
    assert results(folder / "killed") == alone


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_after_the_parent_was_killed_the_sweep_goes_on(folder, file, alone):
    marker, out = folder / "orphan", folder / "parent"
    command = Command(file, out, 2, TRAP_MARKER=str(marker))
    until(lambda: marker.exists() and marker.read_text() != "")
    until(lambda: bool(list((out / "tables" / "runs").glob("part-*.parquet"))))
    worker = int(marker.read_text())
    command.process.kill()
    command.ended()
    finished = abm.lab.open(out).runs.collect().height
    assert 0 < finished < 6
    until(lambda: not is_alive(worker))  # orphans end by themselves
    code, told, err = Command(file, out, 2, TRAP_MARKER=str(marker)).ended()
    assert (code, err) == (0, "")
    assert f"{finished} were there" in told or finished < 5  # one that was in flight may have been finished after the parent
    assert results(out) == alone


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_what_is_finished_and_nothing_else(folder, file, alone, workers):
    marker, out = folder / f"interrupt{workers}", folder / f"interrupted{workers}"
    command = Command(file, out, workers, TRAP_MARKER=str(marker))
    until(lambda: marker.exists() and marker.read_text() != "")
    worker = int(marker.read_text())
    os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does
    code, _, err = command.ended()
    assert code == 130
    assert err.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in err
    until(lambda: not is_alive(worker))
    assert not list(out.rglob("*.partial"))
    assert Command(file, out, 1, TRAP_MARKER=str(marker)).ended()[0] == 0
    assert results(out) == alone


def test_a_run_that_ends_its_process_is_a_row(folder):
    file = written(folder / "deadly", with_trap("die", 2))
    out = folder / "dead"
    code, told, err = Command(file, out, 2).ended()
    assert (code, err) == (0, "")
    assert told.splitlines()[0] == f"6 runs, 2 failed: {out}"
    stored = abm.lab.open(out)
    assert stored.failures["seed"].to_list() == [2, 2]
    assert stored.failures["error"].str.starts_with("the process of the worker ended").all()
    assert stored.runs.filter(pl.col("status") == "done").collect()["seed"].to_list() == [1, 3, 1, 3]


def test_an_exception_has_the_same_row_in_another_process(folder):
    file = written(folder / "failing", with_trap("fail", 2))
    outs = [folder / "fail1", folder / "fail2"]
    for workers, out in enumerate(outs, start=1):
        assert Command(file, out, workers).ended()[0] == 0
    assert results(outs[0]) == results(outs[1])


def test_any_scheduler_will_do(folder, file, alone, monkeypatch):
    from distributed import LocalCluster

    from abm.lab.plan import load_plan
    from abm.lab.runner import run_sweep
    from abm.lab.threads import ONE_THREAD

    for name, value in {**ONE_THREAD, "TRAP_MARKER": str(folder / "was_there"), "PYTHONPATH": str(HERE)}.items():
        monkeypatch.setenv(name, value)  # of the workers that this process starts
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", memory_limit=0) as cluster:
        result = run_sweep(load_plan(file), folder / "elsewhere", workers=2, cluster=cluster.scheduler_address)
    assert result.tally.done == 6
    assert results(folder / "elsewhere") == alone


def test_default_is_one_worker_for_each_processor():
    assert 1 <= default_workers() <= (os.cpu_count() or 1)
