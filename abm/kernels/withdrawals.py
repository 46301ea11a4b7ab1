"""How much may leave the venue: capacities that withdrawals use up and time restores (dYdX v4 `protocol/x/ratelimit/util`)."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline

LIMIT = np.dtype(
    [
        ("minimum", "f8"),  # USD, least baseline; infinite = no limit
        ("tvl_fraction", "f8"),  # of what is deposited, baseline above the minimum
        ("period", "f8"),  # seconds in which an empty capacity is restored
        ("capacity", "f8"),  # USD that may still leave
    ],
    align=True,
)


@inline
def withdrawal_baseline(tvl, minimum, tvl_fraction):
    """Capacity in USD to which a limit returns: max(minimum, fraction x value deposited on the venue)."""
    return max(minimum, tvl_fraction * tvl)


@inline
def withdrawal_capacity(tvl, minimum, tvl_fraction, period, capacity, elapsed):
    """Capacity in USD after `elapsed` seconds without a withdrawal.

    It moves toward the baseline by max(baseline, capacity - baseline) x elapsed/period and never crosses it: linearly
    from below, exponentially from above twice the baseline (dYdX `CalculateNewCapacityList`).
    """
    baseline = withdrawal_baseline(tvl, minimum, tvl_fraction)
    if math.isinf(baseline):
        return baseline
    excess = capacity - baseline
    step = max(baseline, excess) * (elapsed / period)
    if abs(excess) <= step:
        return baseline
    return capacity + step if excess < 0.0 else capacity - step
