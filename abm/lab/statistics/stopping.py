"""When there are enough replications."""

from __future__ import annotations

from numpy.typing import ArrayLike

from abm.lab.statistics.interval import CONFIDENCE
from abm.lab.statistics.mean import mean_t


def half_width(values: ArrayLike, *, confidence: float = CONFIDENCE) -> float:
    """Half the width of the t interval of the mean, in the unit of `values`; infinite for fewer than two values.

    Replications that stop at the first n at which it falls below a limit end a little early: the variance looks small by luck at
    that n. A least number of replications keeps that small (ten: coverage falls from 95 % to about 93 %; Chow and Robbins, 1965,
    prove that it vanishes as the limit goes to zero). Equal values have width 0, so an event too rare for the least number stops
    at once: choose that number by the event.
    """
    return mean_t(values, confidence=confidence).half_width
