"""docs/experiments.md is followed to the letter: its files are written, its commands run, its Python executed."""

from __future__ import annotations

import re
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
    commands = [text.split() for language, _, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")) if language == "bash"]
    assert [command[:2] for command in commands] == [["abm", "plan"], ["abm", "sweep"], ["abm", "compare"]]
    for command in commands:
        assert exit_code(command[1:]) == 0, capfd.readouterr().err
    said = capfd.readouterr().out
    assert "20 runs, 0 failed" in said
    assert "overshoot_share" in said
    assert (folder / "runs" / "late_oracle" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.docs
def test_the_python_runs(folder):
    for language, _, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, str(GUIDE), "exec"), {"__name__": "guide"})
