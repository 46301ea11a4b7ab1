"""docs/experiments.md is followed to the letter: its files are written, its commands run, its Python executed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from abm.lab.cli import exit_code

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDE = REPOSITORY / "docs" / "experiments.md"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "experiments").symlink_to(REPOSITORY / "experiments")
    for _, info, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")):
        name = re.search(r"file=(\S+)", info)
        if name:
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.docs
def test_every_command_works(folder, capfd):
    texts = [text for language, _, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")) if language == "bash"]
    commands = [shlex.split(line) for text in texts for line in text.splitlines()]
    assert [command[:2] for command in commands] == [["abm", name] for name in ("plan", "sweep", "compare", "sensitivity", "threshold")]
    for command in commands:
        assert exit_code(command[1:]) == 0, capfd.readouterr().err
    said = capfd.readouterr().out
    assert "20 runs, 0 failed" in said
    assert "overshoot_share" in said
    assert "deleveraged: venue.oracle.lag_blocks moves it by" in said
    assert "P(deleveraged > 5e+06) rises above" in said
    for name in ("late_oracle", "how_late-morris", "how_late-threshold"):
        assert (folder / "runs" / name / "report.html").is_file()
    named = re.findall(r"`(runs/\S+\.png)`", GUIDE.read_text(encoding="utf-8"))
    assert len(named) == 3
    assert all((folder / path).is_file() for path in named)


@pytest.mark.slow
@pytest.mark.docs
def test_the_python_runs(folder):
    for language, _, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, str(GUIDE), "exec"), {"__name__": "guide"})
