"""Intervals of a probability from a number of successes."""

from __future__ import annotations

import math

from scipy.special import betaincinv, ndtri

from abm.lab.statistics.interval import CONFIDENCE, Interval, fraction


def wilson(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval: all p that a normal test of `successes` in `trials` would not reject. Never leaves 0 to 1.

    Wilson (1927), JASA 22, 209. Its coverage swings around the nominal one with p, as that of every interval of a count must.
    """
    share = _share(successes, trials, confidence)
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0, confidence, "Wilson")
    z = float(ndtri(0.5 + 0.5 * confidence))
    shrink = 1.0 + z * z / trials
    middle = (share + z * z / (2.0 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    low = 0.0 if successes == 0 else middle - half  # rounding must not leave a probability below 0 or above 1
    high = 1.0 if successes == trials else middle + half
    return Interval(share, low, high, confidence, "Wilson")


def jeffreys(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Quantiles of Beta(successes + 1/2, failures + 1/2); the end is 0 or 1 where there was no success or no failure.

    Brown, Cai and DasGupta (2001), Statistical Science 16, 101.
    """
    share = _share(successes, trials, confidence)
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0, confidence, "Jeffreys")
    a, b = successes + 0.5, trials - successes + 0.5
    low = 0.0 if successes == 0 else float(betaincinv(a, b, 0.5 - 0.5 * confidence))
    high = 1.0 if successes == trials else float(betaincinv(a, b, 0.5 + 0.5 * confidence))
    return Interval(share, low, high, confidence, "Jeffreys")


def _share(successes: int, trials: int, confidence: float) -> float:
    fraction(confidence, "confidence")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes: expected 0 to {trials}, the number of trials, got {successes}")
    return successes / trials if trials else math.nan
