"""Bundles of rules as real venues run them. Each preset is a function that returns a `Venue`."""

from __future__ import annotations

from collections.abc import Callable

from abm.mechanisms.presets.dydx_v4 import dydx_v4
from abm.mechanisms.venue import Venue

PRESETS: dict[str, Callable[[], Venue]] = {"dydx_v4": dydx_v4}
