"""The examples run, are short, and show what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
MOST_LINES = 20


def output_of(name: str) -> str:
    """What an example prints; fails when it does."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(REPOSITORY / "examples" / name)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_examples_are_those_we_promise():
    assert [path.name for path in EXAMPLES] == ["custom_agent.py", "custom_rule.py", "quickstart.py", "two_venues.py"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_what_it_does(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert text.startswith('"""')


@pytest.mark.docs
def test_the_quickstart_prints_the_last_prices():
    table = output_of("quickstart.py")
    assert all(symbol in table for symbol in ("BTC", "ETH", "SOL"))
    assert re.search(r"\b35\d\d\.0\b", table)


@pytest.mark.docs
def test_the_custom_agent_bought_its_dip():
    found = re.search(r"holds ([\d.]+) BTC, equity ([\d,]+) USD", output_of("custom_agent.py"))
    assert found is not None
    assert float(found[1]) == 0.5
    assert 0 < float(found[2].replace(",", "")) < 40_000


@pytest.mark.docs
def test_the_custom_rule_settled_twice():
    table = output_of("custom_rule.py")
    settled = re.findall(r"([\d.]+)\s*┆ BTC\s*┆ (-?[\d.e-]+)\s*┆ ([\d.e-]+)", table)
    paid = {float(seconds): (float(rate), float(amount)) for seconds, rate, amount in settled}
    assert {600.0, 1200.0} <= paid.keys()
    assert any(rate != 0.0 and amount > 0.0 for rate, amount in paid.values())


@pytest.mark.docs
def test_the_two_venues_were_apart():
    found = re.search(r"mean gap ([\d.]+)%, profit across both venues (-?[\d,]+) USD", output_of("two_venues.py"))
    assert found is not None
    assert 0.01 < float(found[1]) < 1.0
    assert 0 < float(found[2].replace(",", "")) < 100_000
