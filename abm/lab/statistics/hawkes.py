"""Events that cause events: the branching ratio of a Hawkes process, the mean number of direct followers of an event.

Below 1 the cascades end; of all events, this share was caused by others. Hawkes (1971), Biometrika 58, 83.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit, ndtri

from abm.lab.statistics.interval import CONFIDENCE, Interval, Values, finite_values, fraction, unbounded
from abm.lab.statistics.resampling import DRAWS, bca

_LARGEST_EXPONENT = 500.0  # of e, safely below where doubles overflow
_HIGHEST_RATIO = 0.9999


@dataclass(frozen=True)
class HawkesFit:
    """λ(t) = baseline + Σ ratio · decay · e^{-decay (t - t_i)} over earlier events.

    ratio: branching ratio with its interval. baseline: events per unit of time that nobody caused. decay: per unit of time.
    log_likelihood: of the fit; poisson_log_likelihood: of a constant rate, for comparison.
    """

    ratio: Interval
    baseline: float
    decay: float
    log_likelihood: float
    poisson_log_likelihood: float


def fano_factor(counts: ArrayLike) -> float:
    """Variance over mean of the numbers of events in equal windows; 1 for a Poisson process. NaN when there are no events."""
    return float(_fano(finite_values(counts, "counts")[None])[0])


def branching_from_counts(counts: ArrayLike, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0) -> Interval:
    """1 - 1/√(Fano factor) of counts in windows much wider than the memory of the process; a bootstrap interval over windows.

    Of narrow windows it is too low, of a changing outside rate too high. Below zero: more regular than chance.
    """
    sample = finite_values(counts, "counts")
    if len(sample) < 3 or np.ptp(sample) == 0.0:
        return unbounded(math.nan, confidence, "Fano factor")
    interval = bca(sample, lambda samples: 1.0 - 1.0 / np.sqrt(_fano(samples)), confidence=confidence, draws=draws, seed=seed)
    return Interval(interval.estimate, interval.low, interval.high, confidence, "Fano factor, bootstrap (BCa)")


def _fano(samples: Values) -> Values:
    means = samples.mean(axis=-1)
    factors = samples.var(axis=-1, ddof=1) / np.where(means > 0.0, means, 1.0)
    return np.where((means > 0.0) & (factors > 0.0), factors, np.nan)


def untied(times: ArrayLike, tick: float) -> Values:
    """Event times that a clock rounded down to `tick`, spread evenly over their tick: k events at 1/2k, 3/2k, ... of it.

    A continuous model takes events of the same instant for causes of each other.
    """
    sample = np.sort(finite_values(times, "times"))
    if tick <= 0.0:
        raise ValueError(f"tick: expected a length of time above 0, got {tick}")
    starts = np.floor(sample / tick + 1e-9)
    _, first, sizes = np.unique(starts, return_index=True, return_counts=True)
    place = np.arange(len(sample)) - np.repeat(first, sizes)
    return (starts + (place + 0.5) / np.repeat(sizes, sizes)) * tick


def fit_hawkes(times: ArrayLike, duration: float, *, confidence: float = CONFIDENCE) -> HawkesFit:
    """Maximum likelihood of a Hawkes process with an exponential kernel, seen from time 0, quiet before, to `duration`.

    times: distinct event times in [0, duration]; see `untied`. The interval of the ratio comes from the curvature of the
    likelihood in its logit. Raises ValueError for fewer than 10 events or times outside. Ozaki (1979), Annals of the Institute of
    Statistical Mathematics 31, 145.
    """
    events = np.sort(finite_values(times, "times"))
    fraction(confidence, "confidence")
    if len(events) < 10:
        raise ValueError(f"times: expected at least 10 events, got {len(events)}")
    if events[0] < 0.0 or events[-1] > duration:
        outside = events[0] if events[0] < 0.0 else events[-1]
        raise ValueError(f"times: expected 0 to {duration}, got {outside}")
    rate = len(events) / duration

    def cost(parameters: Values) -> float:
        return -_log_likelihood(events, duration, rate, parameters) / len(events)

    gap = float(np.median(np.diff(events))) or 1.0 / rate
    decays = {math.log(0.3 * rate), math.log(rate), math.log(max(0.5 / gap, 1e-3 * rate))}
    starts = [np.array([math.log(0.5 * rate), 0.0, decay]) for decay in sorted(decays)]
    fits = [minimize(cost, start, method="Nelder-Mead", options={"maxiter": 400, "xatol": 1e-4, "fatol": 1e-9}) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun)).x
    ratio = float(expit(best[1]))
    z = float(ndtri(0.5 + 0.5 * confidence))
    error = _error_of_second(lambda parameters: -cost(parameters) * len(events), best)
    method = "maximum likelihood"
    if math.isfinite(error):
        interval = Interval(ratio, float(expit(best[1] - z * error)), float(expit(best[1] + z * error)), confidence, method)
    else:
        interval = Interval(ratio, 0.0, 1.0, confidence, method)
    poisson = len(events) * math.log(rate) - len(events)
    return HawkesFit(interval, math.exp(best[0]), math.exp(best[2]), -float(cost(best)) * len(events), poisson)


def _log_likelihood(events: Values, duration: float, rate: float, parameters: Values) -> float:
    log_baseline, logit_ratio, log_decay = (float(each) for each in parameters)
    if abs(log_baseline - math.log(rate)) > 30.0 or abs(log_decay - math.log(rate)) > 30.0 or abs(logit_ratio) > 30.0:
        return -1e300
    baseline, ratio, decay = math.exp(log_baseline), float(expit(logit_ratio)), math.exp(log_decay)
    intensities = baseline + ratio * decay * _memory(events, decay)
    expected = baseline * duration - ratio * float(np.expm1(-decay * (duration - events)).sum())
    return float(np.log(intensities).sum()) - expected


def _memory(events: Values, decay: float) -> Values:
    """Σ e^{-decay (t_i - t_j)} over j < i, for every i, by running sums over stretches short enough for e^{decay · stretch}."""
    stretch = np.floor((events - events[0]) * (decay / _LARGEST_EXPONENT)).astype(np.int64)
    _, starts = np.unique(stretch, return_index=True)
    memory = np.empty_like(events)
    carried, since = 0.0, float(events[0])
    for first, end in zip(starts, [*starts[1:], len(events)], strict=True):
        part = events[first:end]
        carried *= math.exp(-decay * (float(part[0]) - since))  # what all events before are worth at the first of this stretch
        grown = np.exp(decay * (part - part[0]))
        sums = carried + np.concatenate([[0.0], np.cumsum(grown)])
        memory[first:end] = sums[:-1] / grown
        carried, since = float(sums[-1] / grown[-1]), float(part[-1])
    return memory


def _error_of_second(log_likelihood: Callable[[Values], float], at: Values, step: float = 1e-2) -> float:
    """Standard error of the second of three parameters from the curvature of the log likelihood; NaN where it is no maximum."""
    moves = step * np.eye(3)
    curvature = np.empty((3, 3))
    for i in range(3):
        for j in range(i, 3):
            corners = [
                sign_i * sign_j * log_likelihood(at + sign_i * moves[i] + sign_j * moves[j]) for sign_i in (1, -1) for sign_j in (1, -1)
            ]
            curvature[i, j] = curvature[j, i] = sum(corners) / (4.0 * step * step)
    try:
        variance = float(np.linalg.inv(-curvature)[1, 1])
    except np.linalg.LinAlgError:
        return math.nan
    return math.sqrt(variance) if variance > 0.0 else math.nan
