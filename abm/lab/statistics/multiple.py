"""Corrections for asking many questions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.statistics.interval import Values, finite_values


def holm(p_values: ArrayLike) -> Values:
    """Holm's adjusted p values, in the order given: rejecting those below α is wrong anywhere with probability α at most.

    The i-th smallest of m is multiplied by m - i + 1, and no adjusted value is below one before it. Holm (1979), Scandinavian
    Journal of Statistics 6, 65.
    """
    p = _probabilities(p_values)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _restored(np.minimum(raised, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Values:
    """Benjamini and Hochberg's adjusted p values: of those rejected below α, a share of α is expected to be wrong.

    The i-th smallest of m is multiplied by m / i, and no adjusted value is above one after it. JRSS B 57 (1995), 289.
    """
    p = _probabilities(p_values)
    order = np.argsort(p, kind="stable")
    raised = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _restored(np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0), order)


def _probabilities(p_values: ArrayLike) -> Values:
    p = finite_values(p_values, "p values")
    if ((p < 0.0) | (p > 1.0)).any():
        raise ValueError(f"p values: expected 0 to 1, got {p[(p < 0.0) | (p > 1.0)][0]}")
    return p


def _restored(ordered: Values, order: NDArray[np.intp]) -> Values:
    restored = np.empty_like(ordered)
    restored[order] = ordered
    return restored
