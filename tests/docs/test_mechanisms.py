"""The table of mechanisms is fresh, has every mechanism with published numbers, and names rules that run its formulas."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

import abm
from abm.mechanisms.rule import Rule

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "mechanisms.md"


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "mechanism_table.py"), run_name="mechanism_table")


def test_it_is_fresh(table):
    text = DOCUMENT.read_text(encoding="utf-8")
    assert table["with_fresh_tables"](text) == text, "run: python docs/mechanism_table.py"


def test_it_has_every_published_mechanism(table):
    paths = (ROOT / "tests" / "reference").glob("*.json")
    published = {row["mechanism"] for path in paths for row in json.loads(path.read_text(encoding="utf-8"))}
    assert table["RULES"].keys() == table["formulas"]().keys()
    assert table["RULES"].keys() <= published


def test_the_package_calls_the_formulas_of_every_mechanism_with_a_rule(table):
    formulas = table["formulas"]()
    with_rules = {mechanism: rules for mechanism, rules in table["RULES"].items() if not isinstance(rules, str)}
    assert all(issubclass(getattr(abm, rule.split(".")[0]), Rule) for rules in with_rules.values() for rule in rules)
    dead = [name for name in with_rules if formulas[name] and not any(table["runs"](formula) for formula in formulas[name])]
    assert not dead


def test_a_formula_that_nothing_calls_is_told_from_one_that_runs(table):
    assert table["runs"]("auction_prices.largest_bid_share")
    assert not table["runs"]("spot_collateral.asset_for_liability")
    assert table["runs"]("oracle.median_of_votes")  # there for tests, made of what the oracle rules call
