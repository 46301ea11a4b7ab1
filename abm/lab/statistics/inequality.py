"""How unequally something is shared."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from abm.lab.statistics.interval import finite_values


def gini(values: ArrayLike) -> float:
    """Gini index of amounts that are not negative: 0 all equal, (n - 1) / n one has all. NaN when there is nothing to share.

    Σ (2i - n - 1) x_i / (n Σ x) over the sorted amounts. Raises ValueError for a negative amount.
    """
    sample = np.sort(finite_values(values))
    if len(sample) and sample[0] < 0.0:
        raise ValueError(f"values: expected amounts of 0 or more, got {sample[0]}")
    total = float(sample.sum())
    if total == 0.0:
        return math.nan
    weights = 2.0 * np.arange(1, len(sample) + 1) - len(sample) - 1.0
    return float(weights @ sample) / (len(sample) * total)
