"""A small run is what it was. If a change is meant: `python -m tests.golden.refresh`, and say in the changelog why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.golden.pinned_run import PINNED, outcome, platform_class

REFRESH = "if this change is meant, run: python -m tests.golden.refresh"


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return outcome()


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PINNED.read_text(encoding="utf-8"))
    return read


def test_key_numbers(now: dict[str, Any], pinned: dict[str, Any]) -> None:
    """On every platform, to a millionth."""
    assert now["numbers"].keys() == pinned["numbers"].keys(), REFRESH
    different = {
        name: (value, now["numbers"][name])
        for name, value in pinned["numbers"].items()
        if now["numbers"][name] != pytest.approx(value, rel=1e-6, abs=1e-6)
    }
    assert not different, f"(pinned, now): {different}; {REFRESH}"


def test_every_bit(now: dict[str, Any], pinned: dict[str, Any]) -> None:
    """On the platform class on which it was pinned."""
    if pinned["platform"] != platform_class():
        pytest.skip(f"pinned on {pinned['platform']}, this is {platform_class()}: only the key numbers are compared")
    different = [name for name, value in pinned["digests"].items() if now["digests"].get(name) != value]
    assert not different, f"tables that differ: {', '.join(different)}; {REFRESH}"


def test_the_pinned_run_uses_what_it_pins(pinned: dict[str, Any]) -> None:
    """A run in which nothing happens would pin nothing."""
    for name, value in pinned["numbers"].items():
        if name != "bad debt, highest":
            assert value != 0.0, name
