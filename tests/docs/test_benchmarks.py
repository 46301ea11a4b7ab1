"""Every benchmark runs, at a small size, and gives figures. What they measure is nobody's business here: machines differ."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SMALL = {
    "bare_book": {"n": 20_000, "repeats": 1},
    "swaps": {"n": 20_000, "repeats": 1},
    "checked_clearing": {"n": 20_000, "blocks": 10},
    "full_blocks": {"traders": (100,), "steps": 1_000, "repeats": 1},
    "sleeping_population": {"blocks": 50, "repeats": 1},
    "simulated_day": {"seconds": 120.0, "repeats": 1},
    "many_accounts": {"accounts": 2_000, "blocks": 5, "repeats": 1},
    "mesa_loop": {"traders": 50, "steps": 5, "repeats": 1},
    "first_block": {"repeats": 1},
}
OTHER_ENVIRONMENT = {"bourse_book", "pams_market"}  # `make bench-peers` runs them
NO_BENCHMARK = {"measuring"}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_gives_figures(name):
    figures = importlib.import_module(name).measure(**SMALL[name])
    assert figures
    for figure in figures:
        assert math.isfinite(figure.value), figure
        assert figure.value > 0.0, figure
        assert figure.name, figure
        assert figure.unit, figure


def test_no_benchmark_is_left_out():
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names - NO_BENCHMARK - OTHER_ENVIRONMENT - {"sweep_runs"} == set(SMALL)


def test_the_command_measures_all_of_them():
    makefile = (FOLDER.parent / "Makefile").read_text(encoding="utf-8")
    listed = next(line for line in makefile.splitlines() if line.startswith("BENCHMARKS :=")).split(":=")[1].split()
    assert set(listed) - {"sweep_runs"} == set(SMALL)
