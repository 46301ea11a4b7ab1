"""Tests on the signs and ranks of paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, wilcoxon

from abm.lab.statistics.interval import finite_values


@dataclass(frozen=True)
class SignTest:
    """How many differences are `lower`, `equal` and `higher` than zero, and the two-sided `p` that chance alone is as lopsided."""

    lower: int
    equal: int
    higher: int
    p: float


def sign_test(differences: ArrayLike) -> SignTest:
    """Exact test that a difference is as often above zero as below: binomial with 1/2 over the differences that are not zero.

    Supposes nothing about their distribution. p = 1 when all are zero.
    """
    sample = finite_values(differences, "differences")
    lower, higher = int(np.count_nonzero(sample < 0.0)), int(np.count_nonzero(sample > 0.0))
    moved = lower + higher
    p = min(1.0, 2.0 * float(binom.cdf(min(lower, higher), moved, 0.5))) if moved else 1.0
    return SignTest(lower, len(sample) - moved, higher, p)


def signed_rank_p(differences: ArrayLike) -> float:
    """Two-sided p of Wilcoxon's signed-rank test that differences are symmetric around zero; zeros are left out. 1 when all are zero.

    Exact up to 50 differences without ties, normal beyond.
    """
    sample = finite_values(differences, "differences")
    moved = sample[sample != 0.0]
    if len(moved) == 0:
        return 1.0
    tied = len(np.unique(np.abs(moved))) < len(moved)
    exact = len(moved) <= 50 and not tied
    return float(wilcoxon(moved, method="exact" if exact else "approx", correction=not exact).pvalue)
