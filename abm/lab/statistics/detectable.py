"""What a number of pairs can and cannot see."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import nct

from abm.lab.statistics.interval import fraction

POWER = 0.8
SIGNIFICANCE = 0.05


def power_of(effect: float, deviation: float, pairs: int, *, significance: float = SIGNIFICANCE) -> float:
    """Probability that a two-sided t test of `pairs` normal differences with mean `effect` and standard `deviation` rejects zero."""
    if deviation == 0.0:
        return 1.0 if effect else significance
    limit = float(stdtrit(pairs - 1, 1.0 - 0.5 * significance))
    shift = abs(effect) / deviation * math.sqrt(pairs)
    # The far tail matters only where the near one is almost as small; there nct is sound. For large shifts it may round to NaN.
    far = float(nct.cdf(-limit, pairs - 1, shift)) if shift < 5.0 else 0.0
    return float(nct.sf(limit, pairs - 1, shift)) + far


def minimum_detectable_effect(deviation: float, pairs: int, *, power: float = POWER, significance: float = SIGNIFICANCE) -> float:
    """The mean difference that a t test of `pairs` differences with standard `deviation` finds with probability `power`.

    Infinite for fewer than two pairs. In the unit of `deviation`.
    """
    _check(power, significance)
    if pairs < 2:
        return math.inf
    return deviation * _standardised(pairs, power, significance)


def pairs_needed(effect: float, deviation: float, *, power: float = POWER, significance: float = SIGNIFICANCE) -> int:
    """The least number of pairs whose t test finds a mean difference of `effect` with probability `power`.

    Raises ValueError for an effect of zero, which no number of pairs finds.
    """
    _check(power, significance)
    if effect == 0.0:
        raise ValueError("effect: expected a difference other than 0")
    if deviation == 0.0:
        return 2
    least, most = 2, 4
    while minimum_detectable_effect(deviation, most, power=power, significance=significance) > abs(effect):
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        enough = minimum_detectable_effect(deviation, middle, power=power, significance=significance) <= abs(effect)
        least, most = (least, middle) if enough else (middle, most)
    first = minimum_detectable_effect(deviation, least, power=power, significance=significance) <= abs(effect)
    return least if first else most


def _standardised(pairs: int, power: float, significance: float) -> float:
    """The effect in standard deviations."""
    highest = 1.0
    while power_of(highest, 1.0, pairs, significance=significance) < power:
        highest *= 2.0
    return float(brentq(lambda effect: power_of(effect, 1.0, pairs, significance=significance) - power, 0.0, highest, xtol=1e-10))


def _check(power: float, significance: float) -> None:
    fraction(significance, "significance")
    if not significance < fraction(power, "power"):
        raise ValueError(f"power: expected more than the significance, {significance}, got {power}")
