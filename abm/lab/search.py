"""Where an answer changes, and where it is worst: a threshold along one factor, and the worst case within declared ranges.

Both work on any function, and on configurations of a sweep through `abm.lab.evaluation`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.lab.errors import InputError
from abm.lab.evaluation import Evaluator, Settings, settings_at
from abm.lab.factors import Factor
from abm.lab.outcome_columns import unit_of
from abm.lab.sensitivity import complaint
from abm.lab.statistics.bisection import Threshold, bisect_probability
from abm.lab.statistics.interval import CONFIDENCE, Interval, Values
from abm.lab.statistics.mean import mean_bootstrap
from abm.lab.statistics.paired import PairedDifference, paired_difference

Optimiser = Literal["evolution", "optuna"]
LEAST_POPULATION = 8  # of an evolution; SciPy wants 5
GENERATIONS = 8  # in which an evolution spends its evaluations, about
_EVENT = re.compile(r"\s*(?P<outcome>[^\s<>=]+)\s*(?P<sign><=|>=|<|>)\s*(?P<level>\S+)\s*")
_SIGNS: dict[str, Callable[[Any, float], Any]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def find_threshold(
    happened: Callable[[float], ArrayLike],
    low: float,
    high: float,
    *,
    probability: float = 0.5,
    tolerance: float = 0.01,
    logarithmic: bool = False,
    integer: bool = False,
    confidence: float = CONFIDENCE,
) -> Threshold:
    """Where between `low` and `high` the probability of an event crosses `probability`.

    happened: from a value to whether it happened in each of the same worlds. See `abm.lab.statistics.bisection`.
    """

    def trials(value: float) -> tuple[int, int]:
        answers = np.asarray(happened(value), dtype=bool)
        return int(answers.sum()), answers.size

    return bisect_probability(
        trials, low, high, target=probability, tolerance=tolerance, logarithmic=logarithmic, integer=integer, confidence=confidence
    )


@dataclass(frozen=True)
class Event:
    """Something that happens in a run or does not: an outcome above or below a level. An undefined outcome: it has not happened."""

    outcome: str
    sign: str
    level: float

    def happened(self, values: Values) -> NDArray[np.bool_]:
        """In which runs."""
        return np.asarray(_SIGNS[self.sign](values, self.level) & np.isfinite(values))

    def __str__(self) -> str:
        return f"{self.outcome} {self.sign} {self.level:g}"


def read_event(text: str) -> Event:
    """An event from words such as "bad_debt > 0". Raises InputError for any others."""
    match = _EVENT.fullmatch(text)
    try:
        if match is not None:
            event = Event(match["outcome"], match["sign"], float(match["level"]))
            if np.isfinite(event.level):
                return event
    except ValueError:
        pass
    raise InputError(f'--event {text!r}: expected an outcome, <, <=, > or >=, and a number, such as "bad_debt > 0"')


@dataclass(frozen=True)
class FoundThreshold:
    """Where along a factor the probability of an event crosses a level. undefined: runs in which the outcome did not exist."""

    sweep: str
    variant: str
    factor: Factor
    unit: str
    event: Event
    threshold: Threshold
    replications: int
    runs: int
    failed: int
    undefined: int


def threshold_along(
    evaluator: Evaluator,
    factor: Factor,
    event: Event,
    seeds: Sequence[int],
    *,
    probability: float = 0.5,
    tolerance: float = 0.01,
    confidence: float = CONFIDENCE,
    unit: str = "",
) -> FoundThreshold:
    """The threshold of an event along a factor of a sweep, all else as the file has it, in the worlds of `seeds`."""
    undefined = 0

    def happened(value: float) -> NDArray[np.bool_]:
        nonlocal undefined
        level: Any = round(value) if factor.integer else value
        values = evaluator.values([dict(factor.settings(level))], seeds)[0]
        undefined += int(np.isnan(values).sum())
        return event.happened(values)

    found = find_threshold(
        happened, factor.low, factor.high, probability=probability, tolerance=tolerance, logarithmic=factor.log,
        integer=factor.integer, confidence=confidence,
    )  # fmt: skip
    subject = evaluator.subject
    return FoundThreshold(
        subject.sweep.name, subject.variant, factor, unit, event, found, len(seeds), evaluator.runs, evaluator.failed,
        undefined - evaluator.failed,
    )  # fmt: skip


@dataclass(frozen=True)
class Worst:
    """The highest value that a search has found. point: in the ranges it was given; path: highest value after each evaluation."""

    point: Values
    value: float
    points: Values
    values: Values

    @property
    def path(self) -> Values:
        """The highest value so far, after each evaluation."""
        return np.asarray(np.maximum.accumulate(np.where(np.isfinite(self.values), self.values, -np.inf)))


def worst_case(
    function: Callable[[Values], ArrayLike],
    ranges: Sequence[tuple[float, float]],
    evaluations: int = 64,
    *,
    optimiser: Optimiser = "evolution",
    seed: int = 1,
) -> Worst:
    """The highest value of `function`, from points (points, factors) to a value each, that at most `evaluations` points find.

    Values that are not finite are never the highest. evolution: differential evolution of SciPy, whole generations at once
    (Storn and Price 1997). optuna: a tree-structured Parzen estimator, if optuna is installed.
    Raises InputError when it is not, or the evaluations do not suffice for two generations, and ValueError when no value is finite.
    """
    least = 2 * LEAST_POPULATION
    if evaluations < least:
        raise InputError(f"--evaluations {evaluations}: expected at least {least}, two generations")
    low, high = np.asarray(ranges, dtype=np.float64).T
    tried: list[Values] = []
    found: list[Values] = []

    def evaluate(places: Values) -> Values:
        points = low + places * (high - low)
        values = np.asarray(function(points), dtype=np.float64)
        tried.append(points)
        found.append(values)
        return np.where(np.isfinite(values), values, -np.inf)

    {"evolution": _evolve, "optuna": _sample}[optimiser](evaluate, len(ranges), evaluations, seed)
    points, values = np.concatenate(tried), np.concatenate(found)
    if not np.isfinite(values).any():
        raise ValueError("the outcome is undefined at every point tried")
    best = int(np.nanargmax(np.where(np.isfinite(values), values, np.nan)))
    return Worst(points[best], float(values[best]), points, values)


def population_of(evaluations: int) -> int:
    """Points of a generation."""
    return max(LEAST_POPULATION, evaluations // GENERATIONS)


def _evolve(evaluate: Callable[[Values], Values], factors: int, evaluations: int, seed: int) -> None:
    from scipy.optimize import differential_evolution
    from scipy.stats import qmc

    population = population_of(evaluations)
    generator = np.random.default_rng(seed)
    first = qmc.LatinHypercube(factors, rng=generator).random(population)
    differential_evolution(
        lambda places: -evaluate(places.T),
        [(0.0, 1.0)] * factors,
        init=first,
        maxiter=evaluations // population - 1,
        tol=0.0,
        atol=0.0,
        rng=generator,
        polish=False,
        updating="deferred",
        vectorized=True,
    )


def _sample(evaluate: Callable[[Values], Values], factors: int, evaluations: int, seed: int) -> None:
    try:
        optuna: Any = importlib.import_module("optuna")
    except ModuleNotFoundError:
        raise InputError('--optimiser optuna: optuna is not installed; install it, or use "evolution"') from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=LEAST_POPULATION))
    left = evaluations
    while left > 0:
        trials = [study.ask() for _ in range(min(LEAST_POPULATION, left))]
        places = np.array([[trial.suggest_float(f"x{factor}", 0.0, 1.0) for factor in range(factors)] for trial in trials])
        for trial, value in zip(trials, evaluate(places), strict=True):
            if np.isfinite(value):
                study.tell(trial, float(value))
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
        left -= len(trials)


@dataclass(frozen=True)
class FoundWorst:
    """The worst configuration found within declared ranges.

    settings: what it sets. searched: its outcome in the worlds of the search, which flatters the search; fresh: in worlds that the
    search has not seen, with its interval; harm: fresh, how much higher than in the file's own configuration, pair by pair. sign: 1
    when the highest outcome was searched, -1 for the lowest.
    """

    sweep: str
    variant: str
    outcome: str
    unit: str
    sign: int
    settings: Settings
    searched: float
    fresh: Interval
    harm: PairedDifference | None
    worst: Worst
    replications: int
    fresh_seeds: tuple[int, ...]
    runs: int
    failed: int


def worst_within(
    evaluator: Evaluator,
    factors: Sequence[Factor],
    seeds: Sequence[int],
    fresh_seeds: Sequence[int],
    *,
    evaluations: int = 64,
    lowest: bool = False,
    optimiser: Optimiser = "evolution",
    seed: int = 1,
) -> FoundWorst:
    """Searches the ranges of `factors` for the highest (or `lowest`) mean outcome over `seeds`, and tries the winner in fresh worlds.

    Raises InputError when the outcome is defined nowhere.
    """
    sign = -1 if lowest else 1

    def function(places: Values) -> Values:
        return sign * evaluator.means([settings_at(factors, place) for place in places], seeds)

    with complaint(f"{evaluator.folder}: {evaluator.outcome}: "):
        worst = worst_case(function, [(0.0, 1.0)] * len(factors), evaluations, optimiser=optimiser, seed=seed)
    settings = settings_at(factors, worst.point)
    own = evaluator.values([settings], fresh_seeds)[0]
    plain = evaluator.values([{}], fresh_seeds)[0]
    both = np.isfinite(own) & np.isfinite(plain)
    subject = evaluator.subject
    return FoundWorst(
        sweep=subject.sweep.name,
        variant=subject.variant,
        outcome=evaluator.outcome,
        unit=unit_of(evaluator.outcome),
        sign=sign,
        settings=settings,
        searched=sign * worst.value,
        fresh=mean_bootstrap(own[np.isfinite(own)]),
        harm=paired_difference(plain[both], own[both], shares=()) if both.any() else None,
        worst=worst,
        replications=len(seeds),
        fresh_seeds=tuple(fresh_seeds),
        runs=evaluator.runs,
        failed=evaluator.failed,
    )
