"""Settings of every test: no deadline for Hypothesis (a first call compiles), no window for a figure, no model that outlives its test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from abm.agents.numbering import Participant

MOST_MODELS = 8

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples at every run: a check that gates a change must not fail for the luck of the draw.
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def collected_models() -> Iterator[None]:
    """Frees models that no test uses any more: they hold themselves in circles, and arrays do not count as garbage that piles up."""
    yield
    if len(Participant._ids) > MOST_MODELS:
        gc.collect()
