"""The plan: what it says, how it is divided, what identifies it, and what it will cost."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from abm.lab.cli import exit_code
from abm.lab.pilot import Pilot, measure
from abm.lab.plan import ACCOUNT_BLOCKS_PER_PART, MOST_RUNS_PER_PART, Plan, load_plan
from abm.lab.plan_text import plan_lines
from abm.lab.precision import half_widths, precise_enough
from abm.lab.sweep import Until
from tests.lab.sweep_files import BASE, LAG, SWEEP, written

PILOT = Pilot(cell=0, blocks=30, of_blocks=60, seconds=0.5, stored_bytes=2e5, times=6.0)


def planned(folder: Path, text: str, *overrides: str) -> Plan:
    return load_plan(written(folder, text), overrides)


def told(plan: Plan, pilot: Pilot | None = PILOT, workers: int = 2) -> str:
    return "\n".join(plan_lines(plan, pilot, workers)).replace("\u00a0", " ")


def test_a_plan_says_what_will_run(tmp_path):
    text = told(planned(tmp_path, BASE + SWEEP))
    assert "2 configurations; 3 seeds (1 to 3); 6 runs in 6 parts" in text
    assert "grid: every value with every other (product)" in text
    assert f"  {LAG}  0, 5" in text
    assert f"first     {LAG} = 0, seed 1" in text
    assert f"last      {LAG} = 5, seed 3" in text
    assert "cost      about 1.5 seconds on 2 processors and 1.20 MB on disk (500 ms a run, measured on 30 of 60 blocks of one run)" in text


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ('design = "zip"', "zip: first values together"),
        ('design = "random"\npoints = 3', "random: independent uniform draws"),
        ('design = "latin_hypercube"\npoints = 3', "latin_hypercube: each factor's range"),
        ('design = "sobol"\npoints = 4', "sobol: a scrambled Sobol sequence"),
    ],
)
def test_a_design_is_always_said_in_words(tmp_path, design, words):
    text = SWEEP.replace("[sweep]", f"[sweep]\n{design}") + '"venue.insurance_fund" = [1.0, 2.0]\n'
    assert words in told(planned(tmp_path, BASE + text))


def test_variants_and_conditions_are_said(tmp_path):
    text = SWEEP.replace(
        "replications = 3", 'replications = { until = "ci(bad_debt - baseline) < 5", least = 2, most = 6 }\nbaseline = "a"'
    )
    text = told(planned(tmp_path, BASE + text + "[variants.a]\n[variants.b.venue]\ninsurance_fund = 3.0\n"))
    assert "2 variants x 2 points = 4 configurations; 2 to 6 seeds (1 to 6), until ci(bad_debt - baseline) < 5; 8 to 24 runs" in text
    assert "variants  a (baseline), b" in text
    assert "at most" in text


@pytest.mark.parametrize(("budget", "verdict"), [("runs = 6", "6 runs: kept"), ("runs = 5", "5 runs: EXCEEDED"), ("minutes = 1", "kept"),
                                                 ("minutes = 0.01", "EXCEEDED")])  # fmt: skip
def test_cost_is_held_against_the_budget(tmp_path, budget, verdict):
    assert verdict in told(planned(tmp_path, f"{BASE}{SWEEP}[sweep.budget]\n{budget}\n")).splitlines()[-1]


def test_the_command_prints_it_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert exit_code(["plan", "tiny.toml", "--workers", "3"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"cost +about .* on 3.processors and .*B on disk \(.* a run, measured on one run\)", out)
    assert err == ""
    assert exit_code(["plan", "tiny.toml", "--no-pilot", "--set", "sweep.replications=1"]) == 0
    assert "cost" not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]
    assert exit_code(["plan", "tiny.toml", "--set", "sweep.replication=1"]) == 2
    assert capsys.readouterr().err == "tiny.toml: sweep.replication: unknown key; did you mean 'replications'?\n"


def test_a_sweep_is_valid_or_not(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert exit_code(["validate", "tiny.toml"]) == 0
    assert capsys.readouterr().out.startswith("tiny.toml: valid: sweep of 2 configurations, 6 runs, identity ")
    assert exit_code(["validate", "tiny.toml", "--set", f'factors."{LAG}"=[1]']) == 2


def test_a_pilot_scales_a_short_piece_of_a_long_run(tmp_path):
    short = measure(planned(tmp_path, BASE + SWEEP, "run.seconds=36000"), seconds=0.05)
    assert 0 < short.blocks < 36_000 == short.of_blocks
    assert short.seconds > 0.05
    assert short.times == 6.0
    assert short.total_seconds(2) == pytest.approx(3.0 * short.seconds)
    larger = measure(planned(tmp_path, BASE + '[factors]\n"run.seconds" = [30, 120]\n'))
    assert larger.times == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("members", "seconds", "replications", "expected"),
    [
        (8, 60, 1000, 50),
        (8, 60, 40, 10),
        (498, 3600, 20, 3),
        (1998, 3600, 20, 1),
        (20_000, 3600, 100, 1),
        (998, 2000, 1000, 10),
    ],
)
def test_parts_are_as_large_as_the_plan_makes_them(tmp_path, members, seconds, replications, expected):
    overrides = [f"population.takers.members={members}", f"run.seconds={seconds}", f"sweep.replications={replications}"]
    plan = planned(tmp_path, BASE + SWEEP, *overrides)
    assert plan.runs_per_part == expected
    assert expected == 1 or expected * (members + 2) * seconds <= ACCOUNT_BLOCKS_PER_PART
    assert expected <= MOST_RUNS_PER_PART
    parts = list(plan.parts(plan.rounds[0]))
    assert [part.number for part in parts] == list(range(plan.most_parts))
    assert [run.number for part in parts for run in part.runs] == list(range(plan.most_runs))


def test_identity_follows_what_is_run(tmp_path):
    identity = planned(tmp_path, BASE + SWEEP).identity
    same = ['title="other"', 'finding="x"', 'sweep.outcomes=["volume"]', "sweep.budget.runs=3", "run.check=true"]
    other = [
        "sweep.replications=4",
        "sweep.first_seed=2",
        "run.seconds=61",
        "sweep.every_seconds=20",
        'sweep.tables=["markets","venue","cohorts"]',
    ]
    assert all(planned(tmp_path, BASE + SWEEP, change).identity == identity for change in same)
    assert len({identity, *(planned(tmp_path, BASE + SWEEP, change).identity for change in other)}) == len(other) + 1


def test_identity_of_a_run_is_that_of_configuration_seed_and_code(tmp_path, monkeypatch):
    def identities(*overrides: str) -> list[str]:
        plan = planned(tmp_path, BASE + SWEEP, *overrides)
        return [run.identity for part in plan.parts(plan.rounds[0]) for run in part.runs]

    first = identities()
    assert len(set(first)) == 6
    assert identities("sweep.replications=2") == [first[0], first[1], first[3], first[4]]
    monkeypatch.setattr("abm.lab.plan.simulator_digest", lambda: "other")
    assert not set(identities()) & set(first)


def runs_table(values: dict[str, list[list[float | None]]]) -> pl.DataFrame:
    """variant -> point -> values by seed."""
    rows = [
        {"variant": variant, "point": point, "seed": seed, "x": value}
        for variant, points in values.items()
        for point, numbers in enumerate(points)
        for seed, value in enumerate(numbers)
    ]
    return pl.DataFrame(rows, schema={"variant": pl.String, "point": pl.Int32, "seed": pl.Int64, "x": pl.Float64})


def test_half_widths_are_those_of_the_t_distribution():
    runs = runs_table({"": [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [4.0, None, None]]})
    widths = half_widths(runs, Until(until="ci(x) < 1", least=2, most=3), "")["half_width"].to_list()
    assert widths[0] == pytest.approx(4.302652729911275 / 3**0.5)  # t of 97.5 % with 2 degrees of freedom
    assert widths[1:] == [0.0, None]


def test_differences_are_paired_by_seed_and_point():
    runs = runs_table({"a": [[1.0, 50.0, 200.0]], "b": [[3.0, 52.0, 202.0]]})
    paired, plain = Until(until="ci(x - baseline) < 1e-6", least=2, most=3), Until(until="ci(x) < 1e-6", least=2, most=3)
    assert half_widths(runs, paired, "a").rows() == [("b", 0, pytest.approx(0.0, abs=1e-9))]
    assert precise_enough(runs, paired, "a")
    assert not precise_enough(runs, plain, "a")
    assert not precise_enough(runs_table({"a": [[1.0]], "b": [[3.0]]}), paired, "a")


def test_editors_know_the_tables_of_a_sweep():
    from abm.lab.json_schema import experiment_schema

    properties = experiment_schema()["properties"]
    assert set(properties["sweep"]["properties"]) >= {"design", "points", "replications", "outcomes", "tables", "expectations"}
    assert properties["sweep"]["properties"]["design"]["enum"][0] == "grid"
    assert properties["factors"]["additionalProperties"]["anyOf"][1]["properties"]["scale"]["enum"] == ["linear", "log"]
    assert "variants" in properties


def test_bars_are_read_once_for_all_runs_and_again_when_they_change(tmp_path, monkeypatch):
    minutes = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 9), "1m", time_zone="UTC", eager=True)
    sides = {side: [20_000.0] * 10 for side in ("open", "high", "low", "close")}
    frame = pl.DataFrame({"ts": minutes, "symbol": ["BTC"] * 10, **sides, "volume": [1.0] * 10})
    frame.write_parquet(tmp_path / "bars.parquet")
    head, _, rest = BASE.partition("[world]")
    world = '[world]\nkind = "Replay"\nbars = "bars.parquet"\n\n[population.takers]' + rest.partition("[population.takers]")[2]
    plan = planned(tmp_path, head + world + SWEEP)
    first, second = (plan.experiment(cell, seed=cell).outside() for cell in (0, 1))
    assert first is second
    before = plan.cells[0].identity
    frame.with_columns(high=pl.lit(20_100.0)).write_parquet(tmp_path / "bars.parquet")
    os.utime(tmp_path / "bars.parquet", (1, 1))
    again = planned(tmp_path, head + world + SWEEP)
    assert again.cells[0].identity != before
    assert again.experiment(0).outside() != first
