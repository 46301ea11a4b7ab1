"""README.md: its numbers are those of the demo, and its code runs."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
EXPERIMENT = README.parent / "experiments" / "flash_crash.toml"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_python_blocks_run_one_after_another() -> None:
    namespace: dict[str, object] = {"__name__": "readme"}
    assert len(blocks("python")) >= 3
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert namespace["venue"] is not None


def test_the_toml_blocks_are_experiments(tmp_path: Path) -> None:
    from abm.lab.config import load

    for block in blocks("toml"):
        file = tmp_path / "mine.toml"
        file.write_text(block.replace('"experiments/', f'"{EXPERIMENT.parent}/'))
        assert load(file).venue.oracle.lag_blocks == 30  # type: ignore[attr-defined]


def test_the_commands_exist() -> None:
    from abm.lab.cli import abm

    used = re.findall(r"^abm ([a-z]+)", "\n".join(blocks("bash")), flags=re.MULTILINE)
    assert set(used) <= set(abm.commands)
    assert {"new", "validate", "run", "report"} <= set(used)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the last bit of a logarithm differs between processors, and a crash amplifies it"
)
def test_the_result_is_that_of_the_flash_crash() -> None:
    from abm.lab.config import load
    from abm.lab.summary import summarise
    from docs.readme_result import BEGIN, END, result_text

    summary = summarise(load(EXPERIMENT).model().run().frames())
    shown = README.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert shown == result_text(summary)
