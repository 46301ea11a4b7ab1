"""Experiment files: what they may say, what they mean, and one clear line for everything that is wrong with them."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tomllib
import types
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from abm.agents.base import Group, Strategy, View
from abm.distributions import Distribution, LogNormal, Pareto
from abm.lab.config import Experiment, Run, digest, load, read_experiment, resolved
from abm.lab.errors import InputError
from abm.lab.json_schema import experiment_schema
from abm.lab.kinds import kinds
from abm.lab.merging import merged, overrides_table
from abm.lab.plain import plain
from abm.lab.population import keys_of
from abm.lab.schema import INSTEAD, Entries, Table, Variant, is_required, shapes_of
from abm.lab.shapes import Choice, ListOf, Number, OneOf, Row, Shape, Text
from abm.lab.toml_text import dump_toml
from abm.mechanisms.funding import NoFunding
from abm.mechanisms.guards import CircuitBreaker, OpenInterestCap
from abm.mechanisms.margin import FlatMargin, OpenInterestMargin
from abm.mechanisms.mark import LastTradeMark, Mark
from abm.mechanisms.oracle import MeanOracle, MedianOracle
from abm.mechanisms.rule import Rule
from abm.parameters import Parameters, parameter
from abm.worlds.replay import Replay
from abm.worlds.world import World

TEXT = """
title = "Two markets"

[run]
seconds = 600
seed = 7

[venue]
insurance_fund = 1e6

[[venue.listings]]
symbol = "BTC"
tick = 1
lot = 0.001
highest_price = 200_000

[[venue.listings]]
symbol = "ETH"
tick = 0.1
lot = 0.01
highest_price = 20_000

[venue.oracle]
kind = "MedianOracle"
lag_blocks = 3

[venue.margin]
kind = "FlatMargin"
initial_margin_fraction = [0.05, 0.1]

[venue.guards.breaker]
kind = "CircuitBreaker"
threshold = 0.1

[venue.guards.cap]
kind = "OpenInterestCap"
caps = 1e6

[venue.ordering]
kind = "RandomOrdering"
[venue.clearing]
kind = "ContinuousBook"
[venue.mark]
kind = "OracleMark"
[venue.funding]
kind = "NoFunding"
[venue.fees]
kind = "FlatFees"
maker = 0.0001
taker = 0.0005
[venue.liquidation]
kind = "PartialLiquidation"
[venue.enforcement]
kind = "KeeperEnforcement"
[venue.deleveraging]
kind = "RandomDeleveraging"

[world]
kind = "Diffusion"
initial_price = [60_000, 3_000]
volatility = 0.5
correlation = 0.6
correlation_in_stress = 0.9
jump_scale = 0.001

[[world.crashes]]
start = 300

[population.flippers]
kind = "Flippers"
members = 20
capital = { kind = "Pareto", lowest = 1000, exponent = 1.1 }
leverage_limit = 10
horizon = { kind = "LogNormal", median = 600, sigma = 0.5 }

[population.sleepers]
kind = "Sleepers"
members = 3
"""


@dataclass(frozen=True, kw_only=True)
class Flippers(Strategy):
    """Buys and sells."""

    horizon: Distribution | float = parameter(60.0, unit="seconds", least=1.0)
    bias: float = parameter(0.0, unit="fraction", least=-1.0, most=1.0)
    sides: tuple[int, int] = parameter((1, -1), unit="sides", least=-1, most=1)

    def inconsistencies(self) -> list[str]:
        return ["Flippers.sides: both are the same"] if self.sides[0] == self.sides[1] else []

    def decide(self, view: View, memory: Any) -> None:
        """Nothing, in these tests."""


@dataclass(frozen=True, kw_only=True)
class Sleepers(Strategy):
    """Never wakes."""

    def decide(self, view: View, memory: Any) -> None:
        """Nothing, for ever."""


@dataclass(frozen=True, kw_only=True)
class LateOracle(MedianOracle):
    """An oracle somebody else wrote."""

    excuse: str = parameter("traffic", unit="text")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "two_markets.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def problems(path: Path, *overrides: str) -> list[str]:
    """The lines of the error, each without the file's name that must begin it."""
    with pytest.raises(InputError) as caught:
        load(path, overrides)
    assert all(line.startswith(f"{path}: ") for line in caught.value.messages)
    return [line.removeprefix(f"{path}: ") for line in caught.value.messages]


def write(path: Path, old: str, new: str) -> Path:
    """Replaces the only occurrence of `old` in the file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


# What a file means


def test_a_file_becomes_an_experiment(file):
    experiment = load(file)
    assert experiment.name == "two_markets"
    assert experiment.title == "Two markets"
    assert experiment.run == Run(seconds=600.0, seed=7)
    assert experiment.symbols == ("BTC", "ETH")
    assert experiment.blocks == 600
    assert experiment.venue.oracle == MedianOracle(lag_blocks=3)
    assert experiment.venue.margin == FlatMargin(initial_margin_fraction=(0.05, 0.1))
    assert experiment.venue.guards == (CircuitBreaker(threshold=0.1), OpenInterestCap(caps=1e6))
    assert [group.name for group in experiment.groups] == ["flippers", "sleepers"]
    assert experiment.groups[0] == Group(
        name="flippers",
        strategy=Flippers(horizon=LogNormal(median=600.0, sigma=0.5)),
        members=20,
        capital=Pareto(lowest=1000.0, exponent=1.1),
        leverage_limit=10.0,
    )


def test_a_whole_number_serves_as_any_number(file):
    assert type(load(file).venue.listings[0].tick) is float
    assert digest(load(file)) == digest(load(write(file, "tick = 1\n", "tick = 1.0\n")))


def test_guards_keep_their_order_and_may_be_a_list(file):
    named = load(file).venue.guards
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"\[venue\.guards\.\w+\]", "[[venue.guards]]", text)
    file.write_text(text, encoding="utf-8")
    assert load(file).venue.guards == named


def test_listings_may_be_named_tables(file):
    listed = load(file).venue.listings
    text = file.read_text(encoding="utf-8")
    text = re.sub(r'\[\[venue\.listings\]\]\nsymbol = "(\w+)"', r"[venue.listings.\1]", text)
    file.write_text(text, encoding="utf-8")
    assert load(file).venue.listings == listed


def test_a_last_block_that_is_not_whole_is_left_out(file):
    assert load(file, ["venue.seconds_per_block=0.7"]).blocks == 857
    assert load(file, ["venue.seconds_per_block=0.1"]).blocks == 6000
    assert load(file, ["venue.seconds_per_block=600"]).blocks == 1


def test_a_class_of_the_users_own_file(file):
    module = f"late_{abs(hash(str(file)))}"
    (file.parent / f"{module}.py").write_text(
        "from dataclasses import dataclass\n"
        "from abm.mechanisms.oracle import MedianOracle\n"
        "from abm.parameters import parameter\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class VeryLate(MedianOracle):\n"
        "    delay: int = parameter(2, unit='blocks', least=0)\n",
        encoding="utf-8",
    )
    experiment = load(file, [f"venue.oracle={{kind='{module}:VeryLate', delay=9, lag_blocks=1}}"])
    assert experiment.venue.oracle.delay == 9
    assert resolved(experiment)["venue"]["oracle"]["kind"] == f"{module}:VeryLate"
    assert problems(file, f"venue.oracle={{kind='{module}:VeryLat'}}") == [
        f"venue.oracle.kind: cannot import '{module}:VeryLat': module '{module}' has no 'VeryLat'; did you mean 'VeryLate'?"
    ]


def test_a_class_that_a_program_has_defined_is_found_by_its_name(file):
    experiment = load(file, ["venue.oracle={kind='LateOracle', excuse='rain'}"])
    assert experiment.venue.oracle == LateOracle(excuse="rain")


# What is wrong with a file


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("venue.oracle.lag_blok=3", "venue.oracle.lag_blok: unknown key; did you mean 'lag_blocks'?"),
        ("run.sed=3", "run.sed: unknown key; did you mean 'seed'?"),
        ("wrold.kind=Diffusion", "wrold: unknown key; did you mean 'world'?"),
        ("run.qqqqq=3", "run.qqqqq: unknown key; expected seconds, seed or check"),
        ("venue.funding.rate=1", "venue.funding.rate: unknown key; there are no keys here"),
        ("population.flippers.membrs=3", "population.flippers.membrs: unknown key; did you mean 'members'?"),
        ("population.flippers.horizn=3", "population.flippers.horizn: unknown key; did you mean 'horizon'?"),
        ("population.flippers.capital.low=3", "population.flippers.capital.low: unknown key; did you mean 'lowest'?"),
        ("venue.listings[1].tik=3", "venue.listings[1].tik: unknown key; did you mean 'tick'?"),
        ("venue.mark.kind=OracelMark", "venue.mark.kind: unknown kind 'OracelMark' of Mark; did you mean 'OracleMark'?"),
        ("world.kind=diffusion", "world.kind: unknown kind 'diffusion' of World; did you mean 'Diffusion'?"),
        ("world.kind=Zebra", "world.kind: unknown kind 'Zebra' of World; expected "),  # other tests may have added worlds
        ("world.kind=3", "world.kind: expected text (name of a World), got 3"),
        ("venue.guards.new.caps=1", "venue.guards.new.kind: missing; expected ChainHalt,"),
        ("venue.mark='OracleMark'", "venue.mark: expected a table with a kind of Mark ("),
        ("venue.mark.kind='nowhere_at_all:M'", "venue.mark.kind: cannot import 'nowhere_at_all:M': there is no module"),
        ("venue.mark.kind='math:pi'", "venue.mark.kind: 'math:pi' is not a dataclass below abm.mechanisms.mark.Mark"),
        ("venue.mark.kind='abm.mechanisms.mark:Mark'", "venue.mark.kind: 'abm.mechanisms.mark:Mark' is abstract: it lacks"),
        ("venue.margin.maintenance_fraction_of_initial=5",
         "venue.margin.maintenance_fraction_of_initial: 5 is not in [0, 1] (fraction)"),
        ("venue.margin.initial_margin_fraction=[0.1,1.5]",
         "venue.margin.initial_margin_fraction[1]: 1.5 is not in [1e-06, 1] (fraction of notional)"),
        ("venue.margin.initial_margin_fraction='0.05'",
         "venue.margin.initial_margin_fraction: expected a number in [1e-06, 1] (fraction of notional) or a list of them, "
         'got "0.05"'),
        ("venue.margin.initial_margin_fraction=true",
         "venue.margin.initial_margin_fraction: expected a number in [1e-06, 1] (fraction of notional) or a list of them, "
         "got true"),
        ("venue.oracle.lag_blocks=2.5", "venue.oracle.lag_blocks: expected a whole number in [0, 1e+06] (blocks), got 2.5"),
        ("venue.oracle.lag_blocks=false", "venue.oracle.lag_blocks: expected a whole number in [0, 1e+06] (blocks), got false"),
        ("venue.oracle.lag_blocks=-1", "venue.oracle.lag_blocks: -1 is not in [0, 1e+06] (blocks)"),
        ("run.seconds=nan", "run.seconds: nan is not in [0.001, 3.16224e+08] (seconds)"),
        ("run.seconds=inf", "run.seconds: inf is not in [0.001, 3.16224e+08] (seconds)"),
        ("venue.insurance_fund=nan", "venue.insurance_fund: nan is not in [0, inf] (USD)"),
        ("world.volatility=[0.5,nan]", "world.volatility[1]: nan is not in [0, 50] (per square root of a year)"),
        ("run.seed=abc", 'run.seed: expected a whole number in [0, 9223372036854775807], got "abc"'),
        ("run.check=1", "run.check: expected true or false, got 1"),
        ("title=3", "title: expected text (text), got 3"),
        ("run=3", "run: expected a table of Run, got 3"),
        ("venue.listings=3", "venue.listings: expected a list of tables, or named tables, each a table of Listing, got 3"),
        ("population.flippers.margin=crss", 'population.flippers.margin: "crss" is not "cross" or "isolated"; did you mean'),
        ("population.flippers.sides=[1]", "population.flippers.sides: expected a list of 2:"),
        ("population.flippers.sides=[1,2]", "population.flippers.sides[1]: 2 is not in [-1, 1] (sides)"),
        ("population.flippers.members=0", "population.flippers.members: 0 is not in [1, 1e+07] (traders)"),
        ("population.flippers.capital=[1]", "population.flippers.capital: expected a table with a kind of Distribution ("),
        ("population.flippers.latency.lowest=3", "population.flippers.latency.kind: missing; expected Constant, LogNormal,"),
        ("population.flippers.capital=-3", "population.flippers.capital: -3 is not in [0, inf] (USD per trader)"),
    ],
)  # fmt: skip
def test_each_problem_has_its_line(file, override, line):
    (found,) = problems(file, override)
    assert found.startswith(line)


def test_missing_keys(file):
    write(file, "highest_price = 20_000\n", "")
    write(file, '[venue.mark]\nkind = "OracleMark"\n', "")
    write(file, "members = 3\n", "")
    assert problems(file) == [
        "venue.listings[1].highest_price: missing; expected a number in [1e-12, inf] (USD per coin)",
        f"venue.mark: missing; expected a table with a kind of Mark ({', '.join(kinds(Mark))})",
        "population.sleepers.members: missing; expected a whole number in [1, 1e+07] (traders)",
    ]


def test_an_empty_file_lacks_three_tables(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text("", encoding="utf-8")
    assert [line.split(":")[0] for line in problems(path)] == ["venue", "world", "population"]


def test_all_problems_are_told_at_once(file):
    found = problems(
        file, "run.sed=1", "venue.oracle.lag_blocks=-1", "venue.guards.cap.kind=Hat", "world.drift='up'", "gas.base=nan",
        "population.flippers.bias=2", "population.flippers.capital.exponent=true", "spot.fee=1",
    )  # fmt: skip
    assert sorted(line.split(":")[0] for line in found) == [
        "gas.base",
        "population.flippers.bias",
        "population.flippers.capital.exponent",
        "run.sed",
        "spot.fee",
        "venue.guards.cap.kind",
        "venue.oracle.lag_blocks",
        "world.drift",
    ]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("population.flippers.sides=[1,1]", "population.flippers.sides: both are the same"),
        (
            "venue.listings.BTC.tick=1e-6",
            "venue.listings[0]: Listing BTC: tick 1e-06 gives more than 262144 price levels",
        ),
        ("venue.listings.ETH.symbol=BTC", "venue.listings: BTC is listed twice"),
        ("run.seconds=0.5", "run: 0.5 seconds are less than a block of 1 seconds"),
        (
            "population.flippers.horizon={kind='Uniform',low=9,high=3}",
            "population.flippers.horizon: low 9 is above high 3",
        ),
        ("world.initial_price=[1,2,3]", "world.initial_price: 3 values for 2 markets"),
        ("world.crashes[0].depth=[0.1,0.2,0.3]", "world: Crash.depth: 3 values for 2 markets"),
    ],
)
def test_contradictions_are_told_at_their_place(file, override, line):
    (found,) = problems(file, override)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("horizon", "told"),
    [
        ("{kind='Uniform',low=-5,high=9}", "one draw in a million is -5 or less, which is not in [1, inf] (seconds)"),
        ("{kind='Constant',value=0.5}", "one draw in a million is 0.5 or less, which is not in [1, inf] (seconds)"),
        ("{kind='LogNormal',median=20,sigma=2}", "one draw in a million is 0.00149 or less, which is not in [1, inf] (seconds)"),
    ],
)  # fmt: skip
def test_a_distribution_must_stay_where_its_parameter_may_be(file, horizon, told):
    assert problems(file, f"population.flippers.horizon={horizon}") == [f"population.flippers.horizon: {told}"]


def test_nobody_trades(file):
    file.write_text(TEXT.partition("[population")[0] + "[population]\n", encoding="utf-8")
    assert problems(file) == ["population: nobody trades; expected at least one group"]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("[run]\nseed = = 3\n", "line 2, column 8", "invalid value"),
        ("[run]\nseed\n", "line 2, column 5", "expected '=' after a key in a key/value pair"),
        ("[run]\nseed = 1\nseed = 2\n", "line 3, column 9", "cannot overwrite a value"),
        ('title = "open\n', "line 1, column 14", "illegal character"),
        ("a = [1,", "end of document", "invalid value"),
    ],
)
def test_broken_toml_names_the_line(tmp_path, text, place, what):
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    (line,) = problems(path)
    assert line.startswith(f"{place}: {what}")


def test_unreadable_files(tmp_path, file):
    (tmp_path / "bytes.toml").write_bytes(b"# fine\ntitle = '\xff'\n")
    assert problems(tmp_path / "bytes.toml") == ["line 2: not UTF-8 text"]
    assert problems(tmp_path / "two_market.toml") == ["no such file; did you mean 'two_markets.toml'?"]
    assert problems(tmp_path / "nowhere" / "x.toml") == ["no such file"]
    assert problems(tmp_path) == ["cannot be read (Is a directory)"]


def test_a_strategy_may_not_rename_what_every_group_has():
    @dataclass(frozen=True, kw_only=True)
    class Clashing(Parameters):  # no Strategy: it would be found as one by everything that runs after this test
        capital: float = parameter(1.0, unit="USD")

    with pytest.raises(TypeError, match="Clashing: capital is a key of every group"):
        keys_of(Clashing)


# Overrides


def test_overrides_replace_single_values(file):
    experiment = load(
        file,
        [
            "run.seed=11",
            "run.seed=12",
            "title=No quotes needed",
            "venue.oracle.lag_blocks = 5",
            "venue.listings.ETH.tick=0.2",
            "venue.listings[0].tick=2",
            "venue.guards.cap.caps=2e6",
            "world.initial_price[1]=2000",
            "world.crashes.0.depth=0.5",
            "population.flippers.capital.exponent=2",
            'population."flippers".members=5',
            "population.sleepers.capital={kind='Uniform',low=1,high=2}",
        ],
    )
    assert experiment.run.seed == 12
    assert experiment.title == "No quotes needed"
    assert experiment.venue.oracle == MedianOracle(lag_blocks=5)
    assert [listing.tick for listing in experiment.venue.listings] == [2.0, 0.2]
    assert experiment.venue.guards == (CircuitBreaker(threshold=0.1), OpenInterestCap(caps=2e6))
    assert experiment.world.initial_price == (60_000.0, 2_000.0)
    assert [crash.depth for crash in experiment.world.crashes] == [0.5]
    assert experiment.groups[0].capital == Pareto(lowest=1000.0, exponent=2.0)
    assert experiment.groups[0].members == 5


def test_another_kind_replaces_the_whole_table_whatever_comes_first(file):
    for overrides in (
        ["venue.oracle.kind=MeanOracle", "venue.oracle.sources=3"],
        ["venue.oracle.sources=3", "venue.oracle.kind=MeanOracle"],
    ):
        assert load(file, overrides).venue.oracle == MeanOracle(sources=3)
    assert load(file, ["venue.oracle.kind=MedianOracle"]).venue.oracle == MedianOracle(lag_blocks=3)


def test_an_override_can_add_a_guard_and_a_market(file):
    experiment = load(
        file,
        [
            "venue.guards.second={kind='CircuitBreaker',threshold=0.3}",
            "venue.listings.SOL={tick=0.01,lot=0.1,highest_price=1000}",
            "world.initial_price=100",
            "venue.margin.initial_margin_fraction=0.1",
        ],
    )
    assert experiment.venue.guards[2] == CircuitBreaker(threshold=0.3)
    assert experiment.symbols == ("BTC", "ETH", "SOL")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("run.seed", "expected key=value, such as run.seed=2"),
        ("=3", "expected key=value, such as run.seed=2"),
        ("a b=3", "expected key=value, such as run.seed=2"),
        ("a..b=3", "expected key=value, such as run.seed=2"),
        ("run.seed=", "'' is not a TOML value; text with signs needs quotes"),
        ("run.seed=[1", "'[1' is not a TOML value; text with signs needs quotes"),
        ("run.seed=1\nrun.check=true", "'1 run.check=true' is not a TOML value"),
        ("title=50 % off", "'50 % off' is not a TOML value; text with signs needs quotes"),
    ],
)
def test_an_override_that_is_none(file, override, told):
    with pytest.raises(InputError) as caught:
        load(file, [override])
    (line,) = caught.value.messages
    assert line.startswith("--set ")
    assert told in line.replace("\\n", " ")


def test_all_wrong_overrides_are_told_at_once():
    with pytest.raises(InputError) as caught:
        overrides_table(["a", "b=1", "c=["])
    assert len(caught.value.messages) == 2


def test_merging_does_not_change_what_it_merges():
    base = {"a": {"kind": "X", "b": 1}, "c": [{"symbol": "BTC", "tick": 1}]}
    before = repr(base)
    assert merged(base, {"a": {"b": 2}, "c": {"BTC": {"tick": 2}}}) == {
        "a": {"kind": "X", "b": 2},
        "c": [{"symbol": "BTC", "tick": 2}],
    }
    assert repr(base) == before


# Presets


@pytest.fixture
def presets(monkeypatch, file):
    """A registry with one venue, that of the file, as `plain`."""
    venue = load(file).venue
    module = types.ModuleType("abm.mechanisms.presets")
    module.PRESETS = {"plain": lambda: venue}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = file.read_text(encoding="utf-8")
    start, end = text.index("[venue]"), text.index("[world]")
    file.write_text(f'{text[:start]}[venue]\npreset = "plain"\n{text[end:]}', encoding="utf-8")
    return venue


def test_a_preset_is_the_whole_venue(file, presets):
    assert load(file).venue == presets


def test_own_keys_replace_single_fields_of_a_preset(file, presets):
    venue = load(
        file,
        [
            "venue.insurance_fund=5",
            "venue.oracle.sources=3",
            "venue.mark.kind=LastTradeMark",
            "venue.margin={kind='OpenInterestMargin'}",
            "venue.guards.open_interest_cap.caps=9",
            "venue.listings.ETH.lot=0.5",
        ],
    ).venue
    assert venue == dataclasses.replace(
        presets,
        insurance_fund=5.0,
        oracle=MedianOracle(lag_blocks=3, sources=3),
        mark=LastTradeMark(),
        margin=OpenInterestMargin(),
        guards=(CircuitBreaker(threshold=0.1), OpenInterestCap(caps=9.0)),
        listings=(presets.listings[0], dataclasses.replace(presets.listings[1], lot=0.5)),
    )


def test_a_table_under_a_preset_merges_as_an_override_does(file, presets):
    write(
        file,
        'preset = "plain"\n',
        'preset = "plain"\n[venue.oracle]\nsources = 3\n[[venue.guards]]\nkind = "CircuitBreaker"\n',
    )
    venue = load(file).venue
    assert venue.oracle == MedianOracle(lag_blocks=3, sources=3)
    assert venue.guards == (CircuitBreaker(),)


def test_an_unknown_preset_is_one_problem_beside_the_others(file, presets):
    assert problems(file, "venue.preset=plan", "run.sed=3") == [
        "venue.preset: unknown preset \"plan\"; did you mean 'plain'?",
        "run.sed: unknown key; did you mean 'seed'?",
    ]
    assert problems(file, "venue.preset=3") == ["venue.preset: unknown preset 3; expected plain"]


def test_a_preset_is_resolved(file, presets):
    assert "preset" not in resolved(load(file))["venue"]


# The whole configuration, and its identity


def reread(experiment: Experiment, path: Path) -> Experiment:
    """The experiment after a journey through a file with another name."""
    path.write_text(dump_toml(resolved(experiment)), encoding="utf-8")
    return load(path)


def test_the_resolved_configuration_is_the_same_experiment(file, tmp_path):
    experiment = load(file)
    again = reread(experiment, tmp_path / "again.toml")
    assert again == experiment
    assert digest(again) == digest(experiment)
    assert resolved(again) == resolved(experiment)


def test_the_resolved_configuration_has_all_defaults(file):
    table = resolved(load(file))
    assert table["gas"].keys() == shapes_of(type(load(file).gas)).keys()
    assert table["venue"]["oracle"].keys() == {"kind", *shapes_of(MedianOracle)}
    assert table["population"]["flippers"].keys() == {"kind", *keys_of(Flippers)}
    assert list(table["venue"]["guards"]) == ["circuit_breaker", "open_interest_cap"]


@pytest.mark.parametrize(
    "override",
    [
        "run.seed=8",
        "run.seconds=601",
        "record.every_seconds=20",
        "venue.oracle.sources=3",
        "gas.base=0.2",
        "population.flippers.members=21",
        "population.sleepers.capital=1",
    ],
)
def test_what_decides_the_numbers_decides_the_identity(file, override):
    assert digest(load(file, [override])) != digest(load(file))


def test_the_order_of_groups_is_part_of_the_identity(file):
    experiment = load(file)
    assert digest(dataclasses.replace(experiment, groups=experiment.groups[::-1])) != digest(experiment)


def test_words_are_no_part_of_the_identity(file, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(TEXT, encoding="utf-8")
    same = load(other, ["title=Other", "question=Why", "description=Because", "run.check=true"])
    assert same != load(file)
    assert digest(same) == digest(load(file))
    assert re.fullmatch("[0-9a-f]{32}", digest(same))


def test_an_experiment_made_in_python_is_told_what_is_wrong(file):
    with pytest.raises(ValueError, match=r"Experiment\.groups: nobody trades"):
        dataclasses.replace(load(file), groups=())


VARIANTS = [
    (family, name, cls)
    for family in (Rule, World, Distribution)
    for name, cls in {**kinds(family), **INSTEAD.get(family, {})}.items()
    if cls not in (Rule, Replay)
]


def something(shape: Shape) -> Any:
    """A value that `shape` accepts."""
    match shape:
        case Number(bounds=bounds):
            return min(max(1, bounds.least), bounds.most)
        case Text():
            return "text"
        case Choice(choices=choices):
            return choices[0]
        case ListOf(item=item) | Entries(item=item):
            return [something(item)]
        case Row(items=items):
            return [something(item) for item in items]
        case OneOf(members=members):
            return something(members[0])
        case Table(cls=cls):
            return {key: something(inner) for key, (field, inner) in shapes_of(cls).items() if is_required(field)}
        case _:
            raise NotImplementedError(shape)


# What fits together with other values only.
MEANINGFUL = {"Waypoints": {"points": [[0.0, 100.0], [60.0, 90.0]]}}


@pytest.mark.parametrize(("family", "name", "cls"), VARIANTS, ids=[name for _, name, _ in VARIANTS])
def test_every_variant_can_be_written_and_read(family, name, cls):
    table = {"kind": name, **something(Table(cls)), **MEANINGFUL.get(name, {})}
    value = Variant(family).validate(table)
    assert type(value) is cls
    assert Variant(family).validate(tomllib.loads(dump_toml({"x": plain(value)}))["x"]) == value


STRATEGIES = list(kinds(Strategy).items())


@pytest.mark.parametrize(("name", "cls"), STRATEGIES, ids=[name for name, _ in STRATEGIES])
def test_every_strategy_can_be_a_group(file, name, cls):
    assert set(shapes_of(cls)) < set(keys_of(cls))
    experiment = load(file, [f"population.added={{kind='{cls.__module__}:{cls.__name__}', members=2}}"])
    assert type(experiment.groups[-1].strategy) is cls


# Real bars


@pytest.fixture
def bars(tmp_path, file):
    """Ten minutes of two symbols in a file beside the experiment, which replays them."""
    start = datetime(2022, 11, 8, tzinfo=UTC)
    rows = [
        {"ts": start + timedelta(minutes=minute), "symbol": symbol, "open": price, "high": price * 1.01,
         "low": price * 0.99, "close": price, "volume": 1.0}
        for symbol, price in (("BTCUSDT", 20_000.0), ("ETHUSDT", 1_500.0))
        for minute in range(10)
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(tmp_path / "crash.parquet")
    text = file.read_text(encoding="utf-8")
    start_of, end = text.index("[world]"), text.index("[population.flippers]")
    world = '[world]\nkind = "Replay"\nbars = "crash.parquet"\nsymbols = {BTC = "BTCUSDT", ETH = "ETHUSDT"}\n\n'
    file.write_text(text[:start_of] + world + text[end:], encoding="utf-8")
    return tmp_path / "crash.parquet"


def test_real_bars_become_the_world(file, bars):
    world = load(file).outside()
    assert isinstance(world, Replay)
    assert world.symbols == ("BTC", "ETH")
    assert world.close.shape == (10, 2)
    assert world.close[0].tolist() == [20_000.0, 1_500.0]


def test_a_part_of_the_bars(file, bars):
    for day in ("2022-11-08T00:02", "'2022-11-08T00:02'", "2022-11-08T00:02:00Z"):
        experiment = load(file, [f"world.from={day}", "world.to=2022-11-08T00:06:00", "run.seconds=240"])
        assert experiment.outside().close.shape == (4, 2)
    assert load(file, ["world.to=2022-11-08T00:06:00Z", "run.seconds=60"]).outside().close.shape == (6, 2)


def test_replayed_bars_survive_the_journey_and_name_the_data(file, bars, tmp_path):
    experiment = load(file, ["world.from=2022-11-08T00:02:00", "run.seconds=60"])
    (tmp_path / "elsewhere").mkdir()
    again = reread(experiment, tmp_path / "elsewhere" / "x.toml")
    assert again == experiment
    moved = tmp_path / "elsewhere" / "moved.parquet"
    moved.write_bytes(bars.read_bytes())
    assert digest(load(file, ["world.bars=elsewhere/moved.parquet"])) == digest(load(file))
    frame = pl.read_parquet(bars).with_columns(volume=pl.lit(2.0))
    frame.write_parquet(moved)
    assert digest(load(file, ["world.bars=elsewhere/moved.parquet"])) != digest(load(file))


def test_bars_in_the_data_folder_keep_their_name(file, bars, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    bars.rename(tmp_path / "data" / bars.name)
    monkeypatch.setenv("ABM_DATA", str(tmp_path / "data"))
    experiment = load(file)
    assert resolved(experiment)["world"]["bars"] == "crash.parquet"
    assert experiment.outside().symbols == ("BTC", "ETH")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("world.bars=crsh.parquet", "world.bars: no 'crsh.parquet' beside the experiment, nor in "),
        ("world.bar=crsh.parquet", "world.bar: unknown key; did you mean 'bars'?"),
        ("world.symbols.BTC=BTCUSD", "world: "),
        ("world.symbols.SOL=SOLUSDT", "world: symbols: SOL is not a market of the venue, which lists BTC, ETH"),
        ("world.gaps=hld", 'world.gaps: "hld" is not "refuse" or "hold"; did you mean \'hold\'?'),
        ("world.from=yesterday", "world: start is 'yesterday', expected an ISO date or time"),
        ("world.from=3", "world.from: expected a date or time (UTC, such as 2022-11-08 or 2022-11-08T14:30), got 3"),
        ("run.seconds=1000", "world: the run lasts 1,000 s from 0 s on, the bars last 600 s"),
    ],
)
def test_bars_that_cannot_serve(file, bars, monkeypatch, override, line):
    monkeypatch.setenv("ABM_DATA", str(bars.parent))
    (found,) = problems(file, override)
    assert found.startswith(line)


def test_unsound_bars_are_refused_with_their_row(file, bars):
    frame = pl.read_parquet(bars)
    frame.with_columns(close=pl.when(pl.col("ts").dt.minute() == 4).then(float("nan")).otherwise("close")).write_parquet(bars)
    found = problems(file)
    assert len(found) == 2
    assert all(line.startswith("world: ") and "close" in line and "finite" in line for line in found)


# TOML and JSON


_SCALARS = some.one_of(
    some.booleans(),
    some.integers(-(2**63), 2**63 - 1),
    some.floats(allow_nan=False),
    some.text(some.characters(exclude_categories=["Cs"])),
)
_KEYS = some.text(some.characters(exclude_categories=["Cs"]), max_size=8)
_TABLES = some.recursive(
    some.dictionaries(_KEYS, _SCALARS, max_size=4),
    lambda inner: some.dictionaries(
        _KEYS, some.one_of(_SCALARS, inner, some.lists(_SCALARS, max_size=3), some.lists(inner, max_size=3)), max_size=4
    ),
    max_leaves=12,
)


@given(_TABLES)
def test_toml_written_is_read_back(table):
    read = tomllib.loads(dump_toml(table))
    assert read == table
    assert _tables_in_order(read) == _tables_in_order(table)


def _tables_in_order(table: Any) -> Any:
    """The keys below which there are tables, in their order: TOML puts plain values first, but must not mix up the rest."""
    if isinstance(table, list):
        return [_tables_in_order(item) for item in table]
    if not isinstance(table, dict):
        return None
    return [(key, _tables_in_order(item)) for key, item in table.items() if isinstance(item, dict)]


def test_toml_has_no_nothing():
    with pytest.raises(TypeError, match="TOML has no NoneType"):
        dump_toml({"a": None})
    assert math.isnan(tomllib.loads(dump_toml({"a": math.nan}))["a"])


def test_the_schema_knows_kinds_units_and_ranges(presets):
    schema = experiment_schema()
    definitions = schema["$defs"]
    assert set(schema["required"]) == {"venue", "world", "population"}
    assert definitions["Run"]["properties"]["seconds"]["minimum"] == 0.001
    assert "[seconds]" in definitions["Run"]["properties"]["seconds"]["description"]
    assert definitions["MedianOracle"]["properties"]["kind"]["const"] == "MedianOracle"
    assert definitions["MedianOracle"]["additionalProperties"] is False
    assert "required" not in definitions["MedianOracle"]
    assert definitions["Venue"]["properties"]["preset"]["enum"] == ["plain"]
    assert {"from", "to", "bars"} <= definitions["RecordedBars"]["properties"].keys()
    groups = schema["properties"]["population"]["additionalProperties"]["anyOf"]
    assert len(groups) == len(kinds(Strategy))


def test_a_table_read_without_a_file(file):
    table = tomllib.loads(TEXT)
    assert read_experiment(table, name="two_markets") == load(file)
    with pytest.raises(InputError, match=r"^experiment: run\.seed: missing|^experiment: run\.seed: expected"):
        read_experiment({**table, "run": {"seed": "x"}})


def test_no_funding_is_a_class(file):
    assert load(file).venue.funding == NoFunding()
    assert isinstance(load(file).venue, Parameters)
