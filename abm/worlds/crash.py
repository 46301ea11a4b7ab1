"""A crash that is scripted on top of any price path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.kernels.prices import SCRIPTED_CRASH
from abm.parameters import Parameters, parameter, per_market


@dataclass(frozen=True, kw_only=True)
class Crash(Parameters):
    """A fall by exactly `depth`, followed by a partial rebound that stays: a deterministic factor on every price.

    While it falls the factor is (1 - depth)^s(x), where x is the elapsed fraction of `duration` and s an S-curve from 0
    to 1, steepest in the middle: s(x) = (1 + tanh(k (x - 1/2)) / tanh(k/2)) / 2 with k = `steepness`. Afterwards it is
    1 - depth (1 - rebound (1 - 2^(-t / rebound_half_life))), t seconds after the end of the fall.

    Volatility is multiplied too: the multiplier is reached when half the fall is done, and decays back to one with the
    half-life of the rebound once the fall is over.

    The defaults are a fast crash; the falls of Bitcoin in March 2020 and in May, June and November 2022 took 17 to 52
    per cent in 8 to 31 hours, a third to two thirds of it in the worst hour, and regained 7 to 55 per cent within the
    hour that followed.
    """

    start: float = parameter(unit="seconds from the beginning of the run", least=0.0)
    duration: float = parameter(3600.0, unit="seconds", least=1e-3)
    depth: float | tuple[float, ...] = parameter(
        0.2, unit="fraction of the price", least=0.0, most=0.999, about="one number for all markets, or one per market"
    )
    steepness: float = parameter(
        6.0,
        unit="dimensionless",
        least=0.0,
        most=200.0,
        about="0 falls at a constant pace; at 6 half falls in a fifth of the time",
    )
    rebound: float = parameter(0.3, unit="fraction of the fall", least=0.0, most=1.0)
    rebound_half_life: float = parameter(1800.0, unit="seconds", least=1e-3)
    volatility_multiplier: float = parameter(3.0, unit="multiple of the volatility without the crash", least=1.0, most=100.0)


def crash_tables(crashes: Sequence[Crash], n_markets: int) -> tuple[np.recarray, NDArray[np.float64]]:
    """The rows of `SCRIPTED_CRASH`, and the depths (crashes, markets), that the compiled functions read.

    Raises ParameterError when a crash has depths for another number of markets.
    """
    rows = np.zeros(len(crashes), SCRIPTED_CRASH).view(np.recarray)
    depths = np.zeros((len(crashes), n_markets))
    for number, crash in enumerate(crashes):
        rows[number] = tuple(getattr(crash, name) for name in SCRIPTED_CRASH.names or ())
        depths[number] = per_market(crash.depth, n_markets, "Crash.depth")
    return rows, depths
