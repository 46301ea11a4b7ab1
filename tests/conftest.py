"""Settings of every test: no deadline for Hypothesis (a first call compiles), no window for a figure, no model that outlives its test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import mesa
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples at every run: a check that gates a change must not fail for the luck of the draw.
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def forgotten_models() -> Iterator[None]:
    """Empties Mesa's table of agent numbers, which keeps every model of the process alive: gigabytes after some thousand tests."""
    yield
    getattr(mesa.Agent, "_ids", {}).clear()
