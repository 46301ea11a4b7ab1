"""Outside prices through given points: how a path is built from the few prices that were published of an event."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from abm.kernels.random import fill_normals
from abm.parameters import ParameterError, parameter, per_market
from abm.streams import stream_key
from abm.worlds.world import Setting, Stretch, World

SECONDS_PER_YEAR = 365.0 * 86_400.0  # markets that never close


@dataclass(frozen=True)
class WaypointMemory:
    """The whole path, and the volatility that traders reckon with."""

    prices: NDArray[np.float64]  # (blocks, m), USD
    volatility: NDArray[np.float64]  # (m,), fraction per square root of a block


@dataclass(frozen=True, kw_only=True)
class Waypoints(World):
    """Prices that pass through given points at given times, with Brownian bridges between them.

    `points` are rows of (seconds, price of every market), in rising order from 0. Between two points the log price is the straight line
    plus W(t) less the straight line through W at both points, W a Brownian motion of `volatility`, so that whatever the seed the path
    meets every point in the block nearest to its time. After the last point its price holds but for a bridge to the end of the run.
    `straight` leaves out the bridges; the volatility is then only what is reported to traders.

    Raises ParameterError for times that do not rise from 0, prices that are not finite and positive, and rows of another length.
    """

    points: tuple[tuple[float, ...], ...] = parameter(unit="rows of (seconds, USD of every market)", least=0.0)
    volatility: float | tuple[float, ...] = parameter(0.8, unit="per square root of a year", least=1e-6, most=50.0)
    straight: bool = parameter(False, unit="yes or no", about="no noise between the points")

    def inconsistencies(self) -> list[str]:
        if not self.points:
            return ["Waypoints.points: expected at least one row of (seconds, prices)"]
        times = [row[0] if row else -1.0 for row in self.points]
        if times[0] != 0.0 or any(later <= earlier for earlier, later in pairwise(times)):
            return [f"Waypoints.points: times must rise from 0, not {times}"]
        if any(not 0.0 < price < np.inf for row in self.points for price in row[1:]):
            return ["Waypoints.points: prices must be finite and positive"]
        return []

    def init(self, setting: Setting) -> WaypointMemory:
        m = len(setting.symbols)
        for row in self.points:
            if len(row) != 1 + m:
                markets = ", ".join(setting.symbols)
                raise ParameterError([f"Waypoints.points: {list(row)} is not a time and a price for each of {markets}"])
        points = np.array(self.points)
        annual = np.array(per_market(self.volatility, m, "Waypoints.volatility"))
        per_block = annual * np.sqrt(setting.seconds_per_block / SECONDS_PER_YEAR)
        blocks = np.arange(setting.blocks, dtype=np.float64)
        ends = np.rint(points[:, 0] / setting.seconds_per_block)
        logs = np.column_stack([np.interp(blocks, ends, np.log(points[:, 1 + k])) for k in range(m)])
        if not self.straight:
            logs += self._bridges(setting, blocks, ends, per_block)
        return WaypointMemory(np.exp(logs), per_block)

    def stretch(self, memory: WaypointMemory, first_block: int, blocks: int) -> Stretch:
        prices = memory.prices[first_block : first_block + blocks].copy()
        return Stretch(prices, np.broadcast_to(memory.volatility, prices.shape).copy())

    def _bridges(
        self, setting: Setting, blocks: NDArray[np.float64], ends: NDArray[np.float64], per_block: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Noise (blocks, m) in logs, zero at the points; after the last of them a motion that comes back at the end of the run."""
        steps = np.zeros((setting.blocks, len(setting.symbols)))
        fill_normals(stream_key(setting.seed, "world/waypoints"), 0, steps)
        steps[0] = 0.0
        motion = np.cumsum(steps * per_block, axis=0)
        inside = ends[ends < setting.blocks]
        fixed = np.unique(np.append(inside, setting.blocks - 1)).astype(np.int64)
        lines = [np.interp(blocks, fixed.astype(np.float64), motion[fixed, k]) for k in range(motion.shape[1])]
        noise: NDArray[np.float64] = motion - np.column_stack(lines)
        return noise
