"""Bundles of rules as real venues run them. Each preset is a function that returns a `Venue`."""

from __future__ import annotations

from collections.abc import Callable

from abm.mechanisms.presets.binance_like import binance_like
from abm.mechanisms.presets.derive import derive
from abm.mechanisms.presets.drift_v2 import drift_v2
from abm.mechanisms.presets.dydx_v4 import dydx_v4
from abm.mechanisms.presets.gmx_v2 import gmx_v2
from abm.mechanisms.presets.hyperliquid import hyperliquid
from abm.mechanisms.presets.perp_v1 import perp_v1
from abm.mechanisms.presets.perp_v2 import perp_v2
from abm.mechanisms.presets.synthetix_v3 import synthetix_v3
from abm.mechanisms.venue import Venue

PRESETS: dict[str, Callable[[], Venue]] = {
    "dydx_v4": dydx_v4,
    "gmx_v2": gmx_v2,
    "perp_v1": perp_v1,
    "perp_v2": perp_v2,
    "synthetix_v3": synthetix_v3,
    "hyperliquid": hyperliquid,
    "binance_like": binance_like,
    "drift_v2": drift_v2,
    "derive": derive,
}
