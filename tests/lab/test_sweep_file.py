"""Files of sweeps: what is read, and what is refused with a line that says where and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from abm.lab.config import digest, load
from abm.lab.errors import InputError
from abm.lab.plan import Plan, load_plan
from tests.lab.sweep_files import BASE, LAG, SWEEP, written


def planned(folder: Path, text: str, *overrides: str) -> Plan:
    return load_plan(written(folder, text), overrides)


def complaints(folder: Path, text: str, *overrides: str) -> list[str]:
    """What is said about a file, without its name."""
    with pytest.raises(InputError) as caught:
        planned(folder, text, *overrides)
    assert all(message.startswith((f"{folder / 'tiny.toml'}: ", "--set")) for message in caught.value.messages)
    return [message.removeprefix(f"{folder / 'tiny.toml'}: ") for message in caught.value.messages]


def test_a_file_without_tables_of_a_sweep_is_one_run(tmp_path):
    plan = planned(tmp_path, BASE, "run.seed=7")
    assert (len(plan.cells), plan.seeds, plan.most_runs, plan.most_parts) == (1, (7,), 1, 1)


def test_a_single_run_of_a_sweep_is_its_base_configuration(tmp_path):
    assert digest(load(written(tmp_path))) == digest(load(written(tmp_path, BASE, "base.toml")))


def test_variants_come_before_points_and_points_before_seeds(tmp_path):
    text = BASE + SWEEP + '[variants.today]\n[variants.unfunded.venue.funding]\nkind = "NoFunding"\n'
    plan = planned(tmp_path, text)
    assert [(cell.variant, cell.values[LAG]) for cell in plan.cells] == [("today", 0), ("today", 5), ("unfunded", 0), ("unfunded", 5)]
    runs = [run for part in plan.parts(plan.rounds[0]) for run in part.runs]
    assert [run.number for run in runs] == list(range(12))
    assert [(run.cell, run.seed) for run in runs[:4]] == [(0, 1), (0, 2), (0, 3), (1, 1)]
    kinds = [type(cell.experiment.venue.funding).__name__ for cell in plan.cells]
    assert kinds[0] != "NoFunding"
    assert kinds[2:] == ["NoFunding", "NoFunding"]


def test_a_variant_may_take_another_preset_where_the_file_says_nothing_else(tmp_path, monkeypatch):
    from dataclasses import replace

    from abm.mechanisms.presets import PRESETS

    monkeypatch.setitem(PRESETS, "slow", lambda: replace(PRESETS["dydx_v4"](), seconds_per_block=5.0))
    plan = planned(tmp_path, BASE + '[variants.today]\n[variants.slow.venue]\npreset = "slow"\n')
    assert [cell.experiment.venue.seconds_per_block for cell in plan.cells] == [1.0, 5.0]
    assert plan.cells[1].experiment.venue.insurance_fund == 1000.0


def test_factors_may_be_written_without_quotes(tmp_path):
    quoted = planned(tmp_path, BASE + f'[factors]\n"{LAG}" = [0, 5]\n')
    assert planned(tmp_path, BASE + f"[factors]\n{LAG} = [0, 5]\n").identity == quoted.identity


def test_a_factor_sees_defaults_that_the_file_does_not_spell_out(tmp_path):
    plan = planned(tmp_path, BASE + '[factors]\n"population.takers.leverage.median" = [2.0, 4.0]\n')
    medians = [group.strategy.leverage.median for cell in plan.cells for group in cell.experiment.groups if group.name == "takers"]
    assert medians == [2.0, 4.0]


def test_a_factor_may_set_several_keys(tmp_path):
    lines = (
        f'[factors]\nstrain = {{ sets = ["{LAG}", "venue.insurance_fund"], values = [[0, 10.0], [5, 20.0]], labels = ["low", "high"] }}\n'
    )
    plan = planned(tmp_path, BASE + lines)
    assert [cell.values for cell in plan.cells] == [{"strain": "low"}, {"strain": "high"}]
    assert [cell.experiment.venue.insurance_fund for cell in plan.cells] == [10.0, 20.0]


def test_a_factor_may_replace_a_rule(tmp_path):
    lines = '[factors]\n"venue.funding" = [{ kind = "NoFunding" }, { kind = "ClampedPremiumFunding" }]\n'
    plan = planned(tmp_path, BASE + lines)
    assert [cell.values["venue.funding"] for cell in plan.cells] == ["NoFunding", "ClampedPremiumFunding"]
    assert [type(cell.experiment.venue.funding).__name__ for cell in plan.cells] == ["NoFunding", "ClampedPremiumFunding"]


def test_a_sweep_extends_an_experiment(tmp_path):
    written(tmp_path, BASE, "base.toml")
    plan = load_plan(written(tmp_path, f'extends = "base.toml"\n{SWEEP}', "over.toml"))
    assert plan.name == "over"
    assert [cell.identity for cell in plan.cells] == [cell.identity for cell in planned(tmp_path, BASE + SWEEP).cells]


def test_overrides_reach_the_sweep_and_the_base(tmp_path):
    plan = planned(tmp_path, BASE + SWEEP, "sweep.replications=5", "run.seconds=30", f'factors."{LAG}"=[1,2,3]')
    assert (len(plan.cells), len(plan.seeds), plan.cells[0].experiment.blocks) == (3, 5, 30)


def test_what_is_kept_is_recorded_and_nothing_else(tmp_path):
    record = planned(tmp_path, BASE + SWEEP).cells[0].experiment.record
    assert (record.every_seconds, record.fills, record.orders) == (10.0, False, False)
    assert record.book_every_seconds > 60.0
    kept = planned(tmp_path, BASE + SWEEP, 'sweep.tables=["markets","venue","cohorts","fills","orders","book"]').cells[0].experiment.record
    assert (kept.fills, kept.orders, kept.book_every_seconds) == (True, True, 60.0)


def test_numbers_are_whole_where_the_field_is(tmp_path):
    ranges = f'"{LAG}" = {{ low = 0, high = 3 }}\n"venue.insurance_fund" = {{ low = 1, high = 2 }}\n'
    text = f'[sweep]\ndesign = "random"\npoints = 20\n[factors]\n{ranges}'
    plan = planned(tmp_path, BASE + text)
    assert {cell.values[LAG] for cell in plan.cells} == {0, 1, 2, 3}
    assert all(isinstance(cell.values["venue.insurance_fund"], float) for cell in plan.cells)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[factors]\n"venue.oracle.lag_block" = [0, 1]', ["did you mean 'lag_blocks'?"]),
        ('[factors]\n"venue.oracel.lag_blocks" = [0, 1]', ["venue.oracel: there is no such key; did you mean 'oracle'?"]),
        ('[factors]\n"population.taker.members" = [3, 4]', ["population.taker: there is no such key; did you mean 'takers'?"]),
        ('[factors]\n"venue.insurance_fund.x" = [3, 4]', ["venue.insurance_fund: is 1000.0, which has no x"]),
        (f'[factors]\n"{LAG}" = [0, -1, "x"]', ["-1 is not in [0, 1e+06]", 'expected a whole number in [0, 1e+06] (blocks), got "x"']),
        (f'[factors]\n"{LAG}" = [2, 2]', ["all values are equal, so it changes nothing"]),
        (f'[factors]\n"{LAG}" = [2]', ["all values are equal, so it changes nothing"]),
        (f'[factors]\n"{LAG}" = []', ["has no values"]),
        (f'[factors]\n"{LAG}" = [0, 1, 0]', ["points 0 and 2 are the same configuration"]),
        ('[factors]\n"venue.insurance_fund" = [1, 1.0]', ["all values are equal"]),
        ('[factors]\n"run.seed" = [1, 2]', ["all configurations have the same seeds"]),
        ('[factors]\ntitle = ["a", "b"]', ["is text for the reader and changes nothing"]),
        ('[factors]\n"record.fills" = [true, false]', ["is said by sweep.tables"]),
        ('[factors]\n"venue.preset" = ["dydx_v4", "x"]', ["make variants of it"]),
        ("[factors]\nfactors = 3", ["expected a list"]),
        ('[sweep]\ndesign = "grid"', ["factors: empty, and so is the design grid"]),
        (f'[factors]\n"{LAG}" = [0, 1]\n"venue.insurance_fund" = [1.0, 2.0]', ["sweep.design: missing; 2 factors can be combined by grid"]),
        (
            f'[sweep]\ndesign = "zip"\n[factors]\n"{LAG}" = [0, 1, 2]\n"venue.insurance_fund" = [1.0, 2.0]',
            ['"zip" takes values in pairs, but their numbers differ: venue.oracle.lag_blocks 3, venue.insurance_fund 2'],
        ),
        (f'[sweep]\ndesign = "grid"\n[factors]\n"{LAG}" = {{ low = 1, high = 3 }}', ["a range has no single values for design grid"]),
        (f'[sweep]\ndesign = "random"\n[factors]\n"{LAG}" = {{ low = 1, high = 3 }}', ["sweep.points: missing"]),
        (
            f'[sweep]\ndesign = "sobol"\npoints = 12\n[factors]\n"{LAG}" = {{ low = 3, high = 1, scale = "lg" }}\n'
            '"venue.insurance_fund" = { low = 0, high = 1, scale = "log" }',
            ["12 is no power of two", "did you mean 'log'?", "0 is not positive, as a log scale needs"],
        ),
        ('[sweep]\nreplicatons = 3\nevery_seconds = "x"', ["expected a number", "unknown key; did you mean 'replications'?"]),
        ("[swep]\nx = 1\n[factor]\na = 1", ["swep: unknown key; did you mean 'sweep'?", "factor: unknown key; did you mean 'factors'?"]),
        ("[sweep]\nseeds = [1, 2, 1]", ["sweep.seeds: 1 is there twice"]),
        ("[sweep]\nseeds = [1, 2]\nreplications = 3", ["with seeds there is no replications"]),
        ("[sweep]\nreplications = 0", ["0 is not in [1"]),
        ('[sweep]\noutcomes = ["bad_det"]', ["sweep.outcomes[0]: ", "did you mean 'bad_debt'?"]),
        ('[sweep]\noutcomes = ["profit.takerz"]', ["did you mean 'takers'?"]),
        ('[sweep]\ntables = ["markets", "fills", "fills"]', ["a table is there twice", "venue is missing"]),
        ('[sweep]\nbaseline = "toda"\n[variants.today]\n[variants.b.venue]\ninsurance_fund = 3.0', ["did you mean 'today'?"]),
        (
            "[variants.a]\n[variants.b.venue]\ninsurance_fund = 3.0\n[variants.c.venue]\ninsurance_fund = 3.0",
            ["variants.c: is the same configuration as variants.b"],
        ),
        (
            '[variants.a.venue.oracle]\nlag_blockz = 3\n[variants.b.run]\nseed = 3\n[variants.c]\nrecord = 3',
            ["variants.b: run.seed", "variants.c: record: what is kept",
             "variants.a: venue.oracle.lag_blockz: unknown key; did you mean 'lag_blocks'?",
             "variants.c: record: expected a table"],
        ),
        ('[sweep]\nreplications = { until = "ci(bad_debt < 3" }', ["is no condition; expected such as"]),
        ('[sweep]\nreplications = { until = "ci(bad_debt) < 3", least = 30, most = 3 }', ["most: 3 is less than least"]),
        ('[sweep]\nreplications = { until = "ci(bad_dept) < 3" }', ["sweep.replications.until: ", "did you mean 'bad_debt'?"]),
        ('[sweep]\nreplications = { until = "ci(bad_debt - baseline) < 3" }', ["sweep.baseline is missing", "no variant to compare"]),
        (
            f'[sweep]\ndesign = "list"\npoints = [{{ "{LAG}" = 3 }}, {{ "venue.insurance_fund" = 3 }}]',
            ["points[1]: sets venue.insurance_fund"],
        ),
        ('[sweep]\ndesign = "list"\npoints = []', ["sweep.points: empty"]),
        ('[[sweep.expectations]]\noutcome = "bad_debt"\nfactor = "venue.x"\nsign = "+"', ["expectations[0].factor", "is not varied"]),
        ('[[sweep.expectations]]\noutcome = "bad_debt"\nsign = "+"', ["expected either a factor or a variant"]),
        ('[[sweep.expectations]]\noutcome = "bad_debt"\nfactor = "x"\nsign = "u"', ['is not "+", "-" or "0"']),
        (
            f'[factors]\nbad_debt = {{ sets = ["{LAG}"], values = [1, 2] }}',
            ["the results have a column of that name already"],
        ),
        (f'[factors]\nlag = {{ sets = ["{LAG}", "venue.insurance_fund"], values = [[1, 2.0], [2]] }}', ["value 1 is not a list of 2"]),
        (
            f'[factors]\n"{LAG}" = [0, 1]\n[variants.a]\n[variants.b.venue.oracle]\nkind = "NoOracle"',
            ["variants.b: venue.oracle.kind: unknown kind 'NoOracle'"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_each(tmp_path, text, expected):
    found = complaints(tmp_path, f"{BASE}\n{text}\n")
    told = "\n".join(found)
    assert all(fragment in told for fragment in expected), told
    assert len(found) == sum(any(fragment in line for fragment in expected) for line in found), told


def test_a_value_of_the_command_line_does_not_vanish_behind_a_factor(tmp_path):
    assert complaints(tmp_path, BASE + SWEEP, f"{LAG}=3") == [f"--set {LAG}=3: is a factor, and its values would replace this one"]


def test_a_factor_that_one_variant_does_not_have_is_told_with_the_variant(tmp_path):
    text = '[factors]\n"venue.funding.settlement_seconds" = [300.0, 600.0]\n'
    text += '[variants.today]\n[variants.none.venue.funding]\nkind = "NoFunding"\n'
    (line,) = complaints(tmp_path, BASE + text)
    assert line.startswith("none, venue.funding.settlement_seconds = 300.0: venue.funding.settlement_seconds: unknown key")
