"""Workers elsewhere: a scheduler by its address, and the job scripts of a queue, without any queue."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from abm.lab.cluster import queue_cluster, workers_of
from abm.lab.errors import InputError
from abm.lab.runner import Tally
from abm.lab.sweep_progress import progress_line


@pytest.mark.parametrize(
    ("queue", "directives"),
    [
        ("slurm", ["#SBATCH -J abm", "#SBATCH -p long", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8G", "#SBATCH -t 02:00:00"]),
        ("pbs", ["#PBS -N abm", "#PBS -q long", "#PBS -l select=1:ncpus=4:mem=7630MB", "#PBS -l walltime=02:00:00"]),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_job_script_is_right_without_a_queue(queue, directives):
    pytest.importorskip("dask_jobqueue")
    arguments = {"cores": 4, "memory": "8GB", "queue": "long", "walltime": "02:00:00", "job_name": "abm",
                 "job_script_prologue": ["module load python"]}  # fmt: skip
    with queue_cluster(queue, arguments) as cluster:
        script = cluster.job_script()
    lines = script.splitlines()
    assert lines[0].startswith("#!")
    assert [line for line in directives if line not in lines] == []
    for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"):
        assert f"export {name}=1" in lines
    assert lines.index("export POLARS_MAX_THREADS=1") < lines.index("module load python") < len(lines) - 1
    assert "--nthreads 1 " in lines[-1]
    assert "--nworkers 4 " in lines[-1]
    assert "distributed.cli.dask_worker tcp://" in lines[-1]


def test_an_argument_that_no_queue_knows_is_refused():
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(InputError, match="sweep.cluster: unknown argument 'walltme' of SLURMCluster; did you mean 'walltime'?"):
        queue_cluster("slurm", {"walltme": "1:00"})


def test_arguments_of_a_queue_may_be_a_file(tmp_path):
    pytest.importorskip("dask_jobqueue")
    (tmp_path / "queue.toml").write_text("corse = 3\n")
    with pytest.raises(InputError, match="unknown argument 'corse'"), workers_of(1, f"slurm:{tmp_path / 'queue.toml'}"):
        pass
    with pytest.raises(InputError, match="no such file"), workers_of(1, f"pbs:{tmp_path / 'gone.toml'}"):
        pass


def test_an_address_where_nobody_answers(monkeypatch):
    monkeypatch.setattr("abm.lab.cluster.CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match="--cluster tcp://127.0.0.1:9: no scheduler answers there"), workers_of(2, "tcp://127.0.0.1:9"):
        pass
    with pytest.raises(InputError, match="--cluster nonsense://x: no scheduler answers there"), workers_of(2, "nonsense://x"):
        pass


def test_the_line_shows_done_failed_and_rate():
    out = io.StringIO()
    with progress_line("tiny", Console(file=out, force_terminal=True, width=140)) as progress:
        progress(Tally(total=100, found=40, done=38, failed=2))
        progress(Tally(total=100, found=40, done=60, failed=5))
        progress(Tally(total=200, found=40, done=60, failed=5))
    text = out.getvalue()
    assert "tiny" in text
    assert "5 failed" in text
    assert "65/200" in text
