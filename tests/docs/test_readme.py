"""README.md: its numbers are those of the demo, and its code runs."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
EXPERIMENTS = README.parent / "experiments"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_python_blocks_run_one_after_another() -> None:
    namespace: dict[str, object] = {"__name__": "readme"}
    assert len(blocks("python")) >= 3
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert namespace["venue"] is not None


def test_the_toml_blocks_are_experiments(tmp_path: Path) -> None:
    from abm.lab.plan import load_plan

    for block in blocks("toml"):
        file = tmp_path / "mine.toml"
        file.write_text(block.replace('"experiments/', f'"{EXPERIMENTS}/'))
        lags = [cell.experiment.venue.oracle.lag_blocks for cell in load_plan(file).cells]  # type: ignore[attr-defined]
        assert lags[-1] == 30


def test_the_commands_exist() -> None:
    from abm.lab.cli import abm

    used = re.findall(r"^abm ([a-z]+)", "\n".join(blocks("bash")), flags=re.MULTILINE)
    assert set(used) <= set(abm.commands)
    assert {"new", "validate", "run", "report", "plan", "sweep", "compare"} <= set(used)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the last bit of a logarithm differs between processors, and a crash amplifies it"
)
def test_the_result_is_that_of_the_demo(tmp_path: Path) -> None:
    from abm.lab.plan import load_plan
    from abm.lab.runner import run_sweep
    from abm.lab.sweep_store import open_sweep
    from docs.readme_result import BEGIN, END, result_text

    run_sweep(load_plan(EXPERIMENTS / "lag_and_leverage.toml"), tmp_path / "demo", workers=2)
    shown = README.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert shown == result_text(open_sweep(tmp_path / "demo"))
