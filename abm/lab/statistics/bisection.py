"""Where along a factor a probability crosses a level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from abm.lab.statistics.interval import CONFIDENCE, Interval, fraction
from abm.lab.statistics.proportion import wilson


@dataclass(frozen=True)
class Evaluation:
    """`successes` of `trials` at one value of the factor, with the interval of their probability."""

    value: float
    successes: int
    trials: int
    probability: Interval


@dataclass(frozen=True)
class Threshold:
    """The value of a factor at which a probability crosses `target`.

    value: its interval; an end lies at minus or plus infinity when the crossing may lie outside of the range, and the estimate is NaN
    when the probability stays on one side of the target. rising: whether the probability grows with the factor. evaluations: every
    value tried, ascending. consistent: whether the probabilities found are monotone but for chance; a threshold of one that goes up
    and down again is one of several.
    """

    value: Interval
    target: float
    rising: bool
    evaluations: tuple[Evaluation, ...]
    consistent: bool


Trials = Callable[[float], tuple[int, int]]
"""From a value of the factor to successes and trials; always the same trials (seeds), whatever the value."""


def bisect_probability(
    trials: Trials,
    low: float,
    high: float,
    *,
    target: float = 0.5,
    tolerance: float = 0.01,
    logarithmic: bool = False,
    integer: bool = False,
    confidence: float = CONFIDENCE,
) -> Threshold:
    """Bisection between `low` and `high` on the number of successes of a fixed set of trials.

    With n trials the same at every value (common random numbers), each trial has a value at which it turns, and the threshold is
    the target-quantile of those values. Its interval ends where the number of successes passes the two order statistics between
    which that quantile lies with probability `confidence`, whatever the curve; three bisections find the three crossings, and share
    what they evaluated. Where trials do not turn just once, the interval is that in which a binomial test does not tell the
    probability from the target.

    tolerance: width at which bisection ends, as a fraction of the range; the reported ends are the outer ones. logarithmic: halve
    ratios. integer: values are whole numbers, and bisection ends at neighbours.
    Raises ValueError for an empty range, or trials whose number changes.
    """
    fraction(target, "target")
    fraction(confidence, "confidence")
    fraction(tolerance, "tolerance")
    if not low < high:
        raise ValueError(f"range: expected low < high, got {low} to {high}")
    if logarithmic and low <= 0.0:
        raise ValueError(f"range: expected values above 0 for a logarithmic scale, got {low}")
    search = _Bisection(trials, float(low), float(high), tolerance, logarithmic, integer)
    first, last = search.at(search.low), search.at(search.high)
    size = first.trials
    rising = last.successes >= first.successes
    fewer, more = _order_statistics(size, target if rising else 1.0 - target, confidence)
    needed = math.ceil(size * (target if rising else 1.0 - target) - 1e-9)
    # Counted so that it rises: successes, or failures where the probability falls.
    lower = search.crossing(fewer, rising)
    estimate = search.crossing(max(needed, 1), rising)
    upper = search.crossing(more, rising)
    value = Interval(
        estimate=math.nan if math.isinf(estimate[0]) or math.isinf(estimate[1]) else search.between(*estimate),
        low=lower[0],
        high=upper[1],
        confidence=confidence,
        method="order statistics of common trials",
    )
    evaluations = tuple(
        Evaluation(each, count.successes, count.trials, wilson(count.successes, count.trials, confidence=confidence))
        for each, count in sorted(search.known.items())
    )
    return Threshold(value, target, rising, evaluations, _monotone(evaluations, rising, confidence))


@dataclass(frozen=True)
class _Count:
    successes: int
    trials: int


class _Bisection:
    """Evaluations so far, and the search for the value at which a count is reached."""

    def __init__(self, trials: Trials, low: float, high: float, tolerance: float, logarithmic: bool, integer: bool) -> None:
        self.trials, self.logarithmic, self.integer = trials, logarithmic, integer
        self.low, self.high = (float(math.ceil(low)), float(math.floor(high))) if integer else (low, high)
        self.tolerance = tolerance * (math.log(high / low) if logarithmic else high - low)
        self.known: dict[float, _Count] = {}

    def at(self, value: float) -> _Count:
        if value not in self.known:
            count = _Count(*self.trials(value))
            if not 0 <= count.successes <= count.trials or count.trials == 0:
                raise ValueError(f"trials: expected successes of one trial or more, got {count.successes} of {count.trials}")
            if any(count.trials != other.trials for other in self.known.values()):
                raise ValueError(f"trials: expected the same number at every value, got {count.trials} at {value}")
            self.known[value] = count
        return self.known[value]

    def crossing(self, needed: int, rising: bool) -> tuple[float, float]:
        """Neighbours between which the count comes to `needed`; infinite where that is outside of the range."""

        def reached(value: float) -> bool:
            count = self.at(value)
            return (count.successes if rising else count.trials - count.successes) >= needed

        if reached(self.low):
            return -math.inf, self.low
        if not reached(self.high):
            return self.high, math.inf
        values = sorted(self.known)
        above = next(value for value in values if reached(value))
        below = max(value for value in values if value < above)
        while self.divisible(below, above):
            middle = self.between(below, above)
            below, above = (below, middle) if reached(middle) else (middle, above)
        return below, above

    def divisible(self, below: float, above: float) -> bool:
        if self.integer:
            return above - below > 1
        return (math.log(above / below) if self.logarithmic else above - below) > self.tolerance

    def between(self, below: float, above: float) -> float:
        middle = math.sqrt(below * above) if self.logarithmic else 0.5 * (below + above)
        return float(min(max(round(middle), below + 1), above)) if self.integer else middle


def _order_statistics(size: int, share: float, confidence: float) -> tuple[int, int]:
    """(j, k): of `size` values, the `share`-quantile lies between the j-th and the k-th smallest with at least `confidence`.

    j = 0 or k = size + 1 when even the smallest or largest is not safe.
    """
    tail = 0.5 - 0.5 * confidence
    counts = np.arange(size + 1)
    below = binom.cdf(counts, size, share)  # P(values below the quantile <= counts)
    fewer = int(np.count_nonzero(below <= tail))
    more = int(np.count_nonzero(1.0 - below > tail)) + 1
    return fewer, more


def _monotone(evaluations: tuple[Evaluation, ...], rising: bool, confidence: float) -> bool:
    """Whether no probability is lower than one before it by more than both intervals allow (higher, where it falls)."""
    ordered = evaluations if rising else evaluations[::-1]
    highest_low = -math.inf
    for each in ordered:
        if each.probability.high < highest_low:
            return False
        highest_low = max(highest_low, each.probability.low)
    return True
