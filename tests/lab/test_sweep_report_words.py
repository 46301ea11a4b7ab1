"""How a report says names, amounts and intervals."""

from __future__ import annotations

import math

import pytest

from abm.lab.outcomes import OUTCOMES
from abm.lab.statistics.interval import Interval
from abm.lab.sweep_words import amount, cell_words, difference, factor_names, interval_text, level_text, outcome_words, range_text, verb_of


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bad_debt", "bad debt"),
        ("bad_debt_highest", "highest bad debt"),
        ("liquidated", "liquidated notional"),
        ("liquidated.BTC", "liquidated notional in BTC"),
        ("profit.takers", "profit of takers"),
        ("liquidation_delay_median", "median liquidation delay"),
        ("basis_p99", "99 % quantile of basis"),
        ("insolvent", "probability of insolvency"),
    ],
)
def test_outcomes_are_called_by_nouns(name: str, words: str) -> None:
    assert plain(outcome_words(name)) == words


def test_no_two_outcomes_are_called_alike() -> None:
    words = [outcome_words(name) for name in OUTCOMES]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("key", "unit", "words"),
    [
        ("venue.oracle.lag_blocks", "blocks", "oracle lag"),
        ("venue.insurance_fund", "USD", "insurance fund"),
        ("population.takers.leverage.median", "times equity", "median leverage of takers"),
        ("population.takers.members", "traders", "members of takers"),
        ('"funding rule"', "", "funding rule"),
        ("maximum_leverage", "", "maximum leverage"),
    ],
)
def test_factors_are_called_by_what_they_set(key: str, unit: str, words: str) -> None:
    assert factor_names([{"name": key, "unit": unit}]) == {key: words}


def test_factors_that_would_be_called_alike_keep_their_keys() -> None:
    keys = ["venue.oracle.lag_blocks", "run.oracle.lag"]
    assert factor_names([{"name": key, "unit": "blocks"} for key in keys]) == {key: key for key in keys}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234_567.0, "USD", "1.23 M USD"),
        (0.123, "fraction", "12 %"),
        (0.5, "fraction of open interest", "50 %"),
        (0.001, "fraction per day", "0.1 % per day"),
        (0.25, "0 or 1", "25 %"),
        (2_400.0, "seconds", "40 minutes"),
        (1.0, "cascades", "1 cascade"),
        (1.5, "cascades", "1.50 cascades"),
        (0.7, "correlation", "0.7"),
        (None, "USD", "\u2013"),
        (math.nan, "USD", "\u2013"),
    ],
)
def test_amounts_have_their_units(value: float | None, unit: str, text: str) -> None:
    assert plain(amount(value, unit)) == text


def test_differences_have_signs_and_shares_differ_by_points() -> None:
    assert plain(difference(2_000.0, "USD")) == "+2.00 k USD"
    assert plain(difference(-0.031, "fraction of open interest")) == "-3.10 percentage points"
    assert plain(difference(-90.0, "seconds")) == "-1.5 minutes"
    assert plain(difference(0.0, "USD")) == "0 USD"


@pytest.mark.parametrize(
    ("low", "high", "unit", "text"),
    [
        (1_200.0, 3_400.0, "USD", "+1.20 to +3.40 k USD"),
        (-20.0, 3_400.0, "USD", "-20.0 USD to +3.40 k USD"),
        (-0.01, 0.02, "fraction", "-1.00 to +2.00 percentage points"),
        (0.0, 0.0, "USD", "0 USD to 0 USD"),
    ],
)
def test_ranges_say_a_common_unit_once(low: float, high: float, unit: str, text: str) -> None:
    assert plain(range_text(Interval(0.0, low, high), unit, signs=True)) == text


def test_an_interval_without_ends_is_none() -> None:
    assert "too few worlds" in interval_text(Interval(1.0, -math.inf, math.inf), "USD")
    assert plain(interval_text(Interval(1.0, 0.0, 2.0, 0.9), "settlements")) == "90 % interval 0 to 2 settlements"


def test_levels_are_written_as_a_reader_writes_them() -> None:
    texts = [level_text(value) for value in (0, 10.0, 2.5, 100_000, 0.0025, 0.00001, True, "clamped")]
    assert texts == ["0", "10", "2.5", "100,000", "0.0025", "1e\u221205", "yes", "clamped"]
    assert cell_words("new", {"a": 3, "b": "x"}, {"a": "lag", "b": "rule"}) == "new, lag 3, rule x"


def test_verbs_agree_with_their_nouns() -> None:
    assert verb_of("highest bad debt", "rises") == "rises"
    assert verb_of("payments of the insurance fund", "rises") == "rise"
    assert verb_of("accounts below zero", "is") == "are"
    assert verb_of("99 % quantile of basis", "falls") == "falls"
