"""The lesson runs, its two files say the same, and what it shows is true."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import jupytext
import matplotlib as mpl
import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.py"))
LARGEST = 1_500_000  # bytes of a notebook with its pictures
REFRESH = "run: python docs/execute_notebooks.py"


def cells(path: Path) -> list[tuple[str, str]]:
    """Type and text of every cell, without blank lines around it."""
    return [(cell.cell_type, cell.source.strip()) for cell in jupytext.read(path).cells if cell.source.strip()]


def test_there_is_a_lesson():
    assert [path.stem for path in NOTEBOOKS] == ["first_cascade"]


@pytest.fixture(scope="module")
def lesson() -> Any:
    """Everything that the lesson defines, after it has run."""
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        namespace = runpy.run_path(str(REPOSITORY / "notebooks" / "first_cascade.py"))
        plt.close("all")
    return namespace


@pytest.mark.docs
def test_the_prediction_and_the_answer_have_the_same_questions(lesson):
    assert lesson["my_prediction"].keys() == lesson["what_happened"].keys()
    assert lesson["what_happened"]["who loses most"] in lesson["summary"].cohorts


@pytest.mark.docs
def test_there_is_a_cascade_to_look_at(lesson):
    assert lesson["summary"].liquidations.accounts > 30
    assert lesson["summary"].cascades.count > 0


@pytest.mark.docs
def test_the_accounts_lie_on_the_leverage_barrier(lesson):
    dots = lesson["dots"]
    barrier = 1 - (1 - 1 / dots["leverage"].to_numpy()) / (1 - lesson["m"])
    assert dots.height > 20
    assert np.median(np.abs(dots["fall"].to_numpy() - barrier)) < 0.01


@pytest.mark.docs
def test_margin_and_oracle_are_as_the_text_says(lesson):
    venue = lesson["load"](REPOSITORY / "experiments" / "flash_crash.toml").venue
    assert lesson["m"] == pytest.approx(venue.margin.initial_margin_fraction * venue.margin.maintenance_fraction_of_initial)
    assert venue.oracle.lag_blocks * venue.seconds_per_block == 2.0  # as the text of the counterfactual says


@pytest.mark.docs
def test_a_late_oracle_costs_the_fund(lesson):
    late = lesson["summarise"](lesson["late_oracle"])
    assert late.insurance.end < lesson["summary"].insurance.end


@pytest.mark.docs
def test_the_exercise_changes_something(lesson):
    assert any(number(lesson["mine"]) != number(lesson["summary"]) for number in lesson["rows"].values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_both_files_hold_the_same_cells(path):
    assert cells(path) == cells(path.with_suffix(".ipynb")), REFRESH


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_is_stored_with_its_outputs(path):
    notebook = path.with_suffix(".ipynb")
    code = [cell for cell in jupytext.read(notebook).cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1)), REFRESH
    outputs = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert notebook.stat().st_size < LARGEST


@pytest.mark.slow
@pytest.mark.docs
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_executes(path, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = jupytext.read(path)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=folder).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5
