"""Historical incidents: each file says what it rests on, its loss is near the historical one, and its guard removes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from abm.lab.expectations import judge
from abm.lab.plan import load_plan
from abm.lab.runner import run_sweep
from docs.incident_table import AS_IT_WAS, INCIDENTS, PAGE, loss, removed, row

FILES = Path(__file__).parents[2] / "experiments" / "incidents"
NEAR = 0.25  # of the historical loss
LEAST_REMOVED = 0.8


def test_every_file_is_an_incident_of_the_table() -> None:
    assert {file.stem for file in FILES.glob("*.toml")} == set(INCIDENTS)


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_file_says_what_it_rests_on(name: str) -> None:
    plan = load_plan(FILES / f"{name}.toml")
    base, incident = plan.sweep.base, INCIDENTS[name]
    assert base.question.endswith("?")
    assert "Sources:" in base.description
    assert "Open:" in base.description
    assert "chosen" in base.description.lower() or incident.determined
    words = " ".join(base.finding.split())
    assert f"`abm sweep experiments/incidents/{name}.toml`" in words
    assert f"{plan.most_runs} runs" in words
    assert {AS_IT_WAS, incident.guard} <= set(plan.variants)
    assert incident.outcome in plan.sweep.table.outcomes


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_page_has_the_number_that_the_file_has(name: str) -> None:
    line = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"[{name}.toml]" in line)
    simulated = line.split(" | ")[2]
    words = " ".join(load_plan(FILES / f"{name}.toml").sweep.base.finding.split())
    assert simulated in words
    assert f"removes {line.split(' | ')[6]}".replace("%", " %") in words


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", INCIDENTS)
def test_the_loss_is_near_the_historical_one_and_the_guard_removes_it(name: str, tmp_path: Path) -> None:
    plan = load_plan(FILES / f"{name}.toml")
    result = run_sweep(plan, tmp_path / name)
    assert result.tally.failed == 0
    stored, incident = result.stored(), INCIDENTS[name]
    runs = stored.runs.collect()
    assert loss(runs, incident, AS_IT_WAS) == pytest.approx(incident.historical, rel=NEAR)
    assert removed(runs, incident) >= LEAST_REMOVED
    assert row(name, stored) in PAGE.read_text(encoding="utf-8").splitlines()
    assert [found.verdict for found in judge(stored)] == ["held"] * len(plan.sweep.table.expectations)
