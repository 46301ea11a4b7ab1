"""A second venue in experiment files, in the folder of a run and in sweeps: read, checked, kept, summarised, reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from abm.lab.config import Experiment, digest, load, read_experiment, resolved
from abm.lab.errors import InputError
from abm.lab.outcomes import OUTCOMES, PAIR_OUTCOMES, compute, find
from abm.lab.pair_summary import frames_beside, summarise_pair
from abm.lab.plan import Plan, plan_of
from abm.lab.report import write_report
from abm.lab.run import run_experiment
from abm.lab.runner import run_sweep
from abm.lab.store import open_run
from abm.lab.summary import summarise
from abm.lab.sweep import read_sweep
from abm.lab.sweep_words import factor_words, outcome_words
from abm.model import PerpModel
from abm.venue_pair import BESIDE, VenuePair

TABLE: dict[str, Any] = {
    "name": "two",
    "title": "Two venues",
    "question": "Who pays?",
    "run": {"seconds": 240.0, "seed": 3},
    "record": {"every_seconds": 1.0, "book_every_seconds": 60.0, "positions_every_seconds": 60.0},
    "world": {"kind": "Diffusion", "volatility": 2.0},
    "venue": {
        "preset": "gmx_v2",
        "oracle": {"lag_blocks": 20},
        "fees": {"kind": "FlatFees", "maker": 0.0, "taker": 0.0001},
    },
    "population": {"providers": {"kind": "PoolProviders", "members": 3, "capital": 200_000.0}},
    "beside": {
        "venue": {"preset": "binance_like"},
        "population": {
            "makers": {"kind": "LiquidityProviders", "members": 5, "capital": 200_000.0},
            "takers": {"kind": "Takers", "members": 40, "idle_seconds": 30.0, "capital": 5_000.0},
        },
        "across": {"carriers": {"kind": "CrossVenueArbitrageurs", "members": 4, "capital": 50_000.0, "exit_share": 0.0}},
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    """The file with some tables of the venue beside replaced."""
    return {**TABLE, "beside": {**TABLE["beside"], **changes}}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(TABLE)


@pytest.fixture(scope="module")
def folder(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_experiment(experiment, tmp_path_factory.mktemp("runs") / "two", check=True).folder


def test_a_file_describes_both_venues(experiment: Experiment) -> None:
    assert isinstance(experiment.model(), VenuePair)
    assert experiment.cohorts == ("providers", "carriers", "pool")
    assert experiment.cohorts_beside == ("makers", "takers", "carriers")
    again = read_experiment(resolved(experiment))
    assert again == experiment
    assert digest(again) == digest(experiment)
    assert digest(read_experiment(TABLE, ["beside.across.carriers.members=5"])) != digest(experiment)
    assert "beside" not in resolved(read_experiment({key: item for key, item in TABLE.items() if key != "beside"}))


def test_values_and_presets_of_the_venue_beside_can_be_replaced() -> None:
    other = read_experiment(TABLE, ["beside.venue.preset=dydx_v4", "beside.venue.seconds_per_block=1.0", "beside.venue.insurance_fund=5"])
    assert other.beside is not None
    assert other.beside.venue.insurance_fund == 5.0
    assert type(other.beside.venue.liquidation).__name__ == "PartialLiquidation"
    assert type(other.venue.clearing).__name__ == "OraclePool"


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (changed(venue={"preset": "binance_lik"}), "beside.venue.preset: unknown preset \"binance_lik\"; did you mean 'binance_like'?"),
        (
            changed(venue={"preset": "binance_like", "seconds_per_block": 2.0}),
            "beside: venue.seconds_per_block: 1 on the first venue and 2",
        ),
        (changed(population={"providers": TABLE["beside"]["population"]["makers"]}), "beside: a group is called providers on both venues"),
        (changed(population={}, across={}), "beside: nobody trades there"),
        (changed(popolation={}), "beside.popolation: unknown key; did you mean 'population'?"),
        (
            changed(across={"carriers": {"kind": "CrossVenueArbitrageurs", "members": 4, "exit_share": 2.0}}),
            "beside.across.carriers.exit_share: ",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(table: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        read_experiment(table, source="two.toml")
    assert any(message.startswith(f"two.toml: {line}") for message in caught.value.messages), caught.value.messages
    assert len(caught.value.messages) == 1


def test_a_run_keeps_both_venues_and_says_what_happened_between_them(folder: Path, experiment: Experiment) -> None:
    run = open_run(folder)
    names = set(run.frames)
    assert {name.removeprefix(BESIDE) for name in names if name.startswith(BESIDE)} == {n for n in names if not n.startswith(BESIDE)}
    frames = experiment.model().run().frames()
    for name in frames:
        assert_frame_equal(run.frames[name], frames[name])
    assert run.pair is not None
    assert run.pair.beside == summarise(frames_beside(frames))
    gap = (frames["markets"]["mid"] / frames["beside_markets"]["mid"] - 1.0).abs()
    assert run.pair.numbers["gap_largest"] == pytest.approx(gap.max())
    written = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert written["pair"] == dict(run.pair.numbers)
    assert written["beside"]["cohorts"].keys() == {"makers", "takers", "carriers"}
    assert written["pair_definitions"].keys() == written["pair"].keys()
    columns = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    assert columns["beside_markets"] == columns["markets"]
    assert load(folder / "experiment.toml") == run_without_check(experiment)


def run_without_check(experiment: Experiment) -> Experiment:
    return read_experiment(resolved(experiment), ["run.check=true"])


def test_the_report_shows_both(folder: Path) -> None:
    page = write_report(folder).read_text(encoding="utf-8")
    for text in ('id="beside"', 'id="figure-gap"', "median gap between the venues", "Rules of the venue beside", "Traders on both venues"):
        assert text in page
    assert '<a href="#cascades">Cascades</a><a href="#beside">The venue beside</a><a href="#methods">' in page
    assert (folder / "figures" / "gap.svg").stat().st_size > 1000
    assert summarise_pair({name: frame for name, frame in open_run(folder).frames.items() if not name.startswith(BESIDE)}) is None


def test_money_between_venues_is_counted_once(experiment: Experiment) -> None:
    pair = experiment.model().run()
    assert isinstance(pair, VenuePair)
    numbers = summarise_pair(pair.frames())
    assert numbers is not None
    wealth = 0.0
    for model in pair.models:
        rows = next(cohort for cohort in model.cohorts if cohort.name == "carriers").rows
        state = model.state
        value = (state.positions["lots"][rows] * (state.markets["lot"] * state.markets["mark"])).sum()
        wealth += state.accounts["collateral"][rows].sum() + value - state.accounts["net_deposits"][rows].sum()
    assert numbers.numbers["across_profit"] == pytest.approx(wealth, rel=1e-9)
    assert numbers.numbers["across_return"] == pytest.approx(wealth / (2 * 4 * 50_000.0), rel=1e-9)


@pytest.fixture(scope="module")
def plan() -> Plan:
    table = {
        **TABLE,
        "run": {"seconds": 120.0, "seed": 1},
        "sweep": {
            "replications": 2, "every_seconds": 1.0, "outcomes": ["gap_p99", "across_profit", "beside_profit.makers", "profit.pool"],
            "design": "grid",
        },
        "factors": {"venue.oracle.lag_blocks": [0, 30], "beside.across.carriers.members": [1, 4]},
    }  # fmt: skip
    return plan_of(read_sweep(table, name="two"))


def test_a_sweep_keeps_both_venues(plan: Plan, tmp_path: Path) -> None:
    stored = run_sweep(plan, tmp_path / "two").stored()
    runs = stored.runs.collect()
    assert runs.height == 8
    assert (runs["status"] == "done").all(), runs["error"].drop_nulls().to_list()
    assert set(stored.tables) == {*plan.sweep.table.tables, *(f"{BESIDE}{name}" for name in plan.sweep.table.tables)}
    late = pl.col("venue.oracle.lag_blocks") == 30
    assert runs.filter(late)["gap_p99"].min() > 1.5 * runs.filter(~late)["gap_p99"].max()  # type: ignore[operator]
    single = plan.experiment(0).model().run()
    frames = {name: frame.with_columns(run=pl.lit(0)) for name, frame in single.frames().items()}
    names = ["gap_p99", "across_profit", "beside_profit.makers", "profit.pool", "gap_half_life", "beside_volume"]
    alone = compute(frames, pl.Series("run", [0]), names)
    assert_frame_equal(runs.head(1).select(names), alone.select(names), check_exact=True)
    assert stored.columns["runs"]["beside_profit.makers"]["about"].startswith("on the venue beside: change of wealth")
    again = run_sweep(plan, tmp_path / "two").tally
    assert (again.found, again.done) == (8, 8)
    page = write_report(tmp_path / "two").read_text(encoding="utf-8")
    assert "profit of makers on the venue beside" in page


def test_outcomes_of_the_pair_need_a_pair() -> None:
    table = {key: item for key, item in TABLE.items() if key != "beside"} | {"sweep": {"replications": 2, "outcomes": ["gap_p99"]}}
    with pytest.raises(InputError, match="outcome 'gap_p99' needs a second venue"):
        plan_of(read_sweep(table, name="one"))
    single = read_experiment({key: item for key, item in TABLE.items() if key != "beside"}, ["run.seconds=5"]).model()
    assert isinstance(single, PerpModel)
    frames = {name: frame.with_columns(run=pl.lit(0)) for name, frame in single.run().frames().items()}
    assert not set(compute(frames, pl.Series("run", [0]), "*").columns) & PAIR_OUTCOMES.keys()
    assert compute(frames, pl.Series("run", [0]), ["gap_p99", "beside_volume"]).row(0) == (0, None, None)


def test_every_outcome_exists_for_the_venue_beside() -> None:
    for name, outcome in OUTCOMES.items():
        beside = find(f"{BESIDE}{name}.*" if not outcome.plain else f"{BESIDE}{name}")
        assert beside.beside
        assert beside.unit == outcome.unit
        assert beside.tables == tuple(f"{BESIDE}{table}" for table in outcome.tables)
    with pytest.raises(InputError, match="no cohort is called 'providers'; expected makers"):
        find("beside_profit.providers", cohorts=["providers"], cohorts_beside=["makers"])
    words = [outcome_words(name) for name in (*OUTCOMES, *PAIR_OUTCOMES)]
    assert len(set(words)) == len(words)
    assert factor_words({"name": "beside.venue.oracle.lag_blocks", "unit": "blocks"}) == "oracle lag beside"
    assert factor_words({"name": "beside.across.carriers.members", "unit": "traders"}) == "members of carriers"
