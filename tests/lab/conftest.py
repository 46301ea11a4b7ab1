"""Records for the lab's tests: tables made by hand with known answers, and a small real run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import abm.lab.kinds
from abm.agents.base import Group
from abm.agents.liquidity_providers import LiquidityProviders
from abm.agents.takers import Takers
from abm.distributions import LogNormal, Pareto
from abm.lab.columns import COLUMNS
from abm.lab.config import Experiment, Run
from abm.lab.run import RunResult, run_experiment
from abm.mechanisms.presets import PRESETS
from abm.recorder import Recording
from abm.state import REASONS
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion

WHOLE = {
    "block", "oracle_age", "trades", "status", "withdrawals_open", "resting_orders", "below_maintenance", "below_zero", "account",
    "taker", "maker", "keeper", "maker_age", "trigger_block", "submitted_block", "fills", "counterparty", "kind", "age",
}  # fmt: skip
Rows = Sequence[Mapping[str, Any]]

# Other tests define rules and strategies of their own, some wrong on purpose; in the same process they would count as a user's.
OTHERS = ("conformance", "test_laws")
_every_subclass = abm.lab.kinds._subclasses
abm.lab.kinds._subclasses = lambda family: [cls for cls in _every_subclass(family) if not any(name in cls.__module__ for name in OTHERS)]


def column_type(table: str, column: str, symbols: Sequence[str], people: Sequence[str]) -> pl.DataType:
    """As the recorder makes them."""
    if column == "market":
        return pl.Enum(["none", *symbols])
    if column == "cohort" or column.endswith("_cohort"):
        return pl.Enum(["none", *people])
    if column == "side":
        return pl.Enum(["buy", "sell", "none"])
    if column in ("result", "reason"):
        return pl.Enum(REASONS)
    whole = column in WHOLE or (table, column) in (
        ("deleveragings", "liquidated"),
        ("fills", "liquidation"),
        ("cohorts", "below_maintenance"),
    )
    return pl.Int64() if whole else pl.Float64()


@pytest.fixture(scope="session")
def make_record() -> Callable[..., dict[str, pl.DataFrame]]:
    """A function that makes the tables of a record from rows; what a row does not name is 0, "none" or "filled"."""

    def make(symbols: Sequence[str], people: Sequence[str], tables: Mapping[str, Rows]) -> dict[str, pl.DataFrame]:
        frames = {}
        for name, columns in COLUMNS.items():
            schema = {column: column_type(name, column, symbols, people) for column in columns}
            blank = {
                column: ("filled" if column in ("result", "reason") else "none") if isinstance(dtype, pl.Enum) else 0
                for column, dtype in schema.items()
            }
            rows = [{**blank, **row} for row in tables.get(name, ())]
            for row in rows:
                assert row.keys() == blank.keys(), f"{name}: {row.keys() - blank.keys()}"
                row["seconds"] = row["seconds"] or float(row["block"])
            frames[name] = pl.DataFrame(rows, schema=schema, orient="row")
        del frames["orders"]
        return frames

    return make


def small_experiment(seed: int, seconds: float, crash: bool) -> Experiment:
    """Minutes on two markets with traders at high leverage, a fall by a third in the middle, and funding every five minutes."""
    venue = PRESETS["dydx_v4"]()
    fall = Crash(start=0.4 * seconds, duration=0.25 * seconds, depth=0.33, rebound=0.3, rebound_half_life=60.0)
    return Experiment(
        name="small",
        title="A small <crash>",
        question="Who pays & why?",
        run=Run(seconds=seconds, seed=seed),
        record=Recording(every_seconds=5.0, book_every_seconds=20.0, positions_every_seconds=60.0),
        venue=replace(venue, listings=venue.listings[:2], insurance_fund=2_000.0, funding=replace(venue.funding, settlement_seconds=300.0)),
        world=Diffusion(
            initial_price=(20_000.0, 1_500.0),
            volatility=(0.5, 0.7),
            correlation=(0.6, 0.6),
            correlation_in_stress=(0.9, 0.9),
            jump_scale=(0.001, 0.001),
            crashes=(fall,) if crash else (),
        ),
        groups=(
            Group(
                name="takers",
                members=60,
                strategy=Takers(leverage=LogNormal(median=10.0, sigma=0.5, highest=18.0), idle_seconds=20.0, between_orders_seconds=5.0),
                capital=Pareto(lowest=1_000.0, exponent=1.2, highest=1e5),
            ),
            Group(name="providers", members=6, strategy=LiquidityProviders(), capital=200_000.0),
        ),
    )


@pytest.fixture(scope="session")
def make_experiment() -> Callable[..., Experiment]:
    """A function of seed, length and whether there is a crash."""

    def make(seed: int = 1, seconds: float = 900.0, crash: bool = True) -> Experiment:
        return small_experiment(seed, seconds, crash)

    return make


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run with everything it leaves behind. Not to be changed by a test."""
    return run_experiment(small_experiment(1, 900.0, True), tmp_path_factory.mktemp("runs") / "small", check=True)


@pytest.fixture(scope="session")
def small_folder(small_run: RunResult) -> Path:
    """Its folder."""
    return small_run.folder


@pytest.fixture(autouse=True)
def _own_modules_of_one_test(monkeypatch):
    """Files called alike in the folders of several tests are several modules."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("traps", None)
