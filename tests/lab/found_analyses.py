"""Analyses of functions whose answers are known, as the commands find them in runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from abm.lab.factors import Factor
from abm.lab.plan_record import factor_record
from abm.lab.search import Event, FoundThreshold, find_threshold, worst_within
from abm.lab.search_store import StoredWorst, tried_points
from abm.lab.sensitivity import Sensitivity, sensitivity

FUND = Factor("venue.insurance_fund", ("venue.insurance_fund",), low=1e3, high=1e6, log=True)
LAG = Factor("venue.oracle.lag_blocks", ("venue.oracle.lag_blocks",), low=0, high=30, integer=True)
RULE = Factor("rule", ("venue.deleveraging",), levels=("queue", "random", "auction"))
FACTORS = (FUND, LAG, RULE)
RECORDS = tuple(factor_record(factor, unit) for factor, unit in zip(FACTORS, ("USD", "blocks", ""), strict=True))
RULES = {"queue": 0.0, "random": 1e5, "auction": 2e5}


def loss(point: dict[str, Any]) -> float:
    """Additive: 1.2 M USD less 100 k for each tenfold fund, 20 k for each block of lag, up to 200 k by the rule."""
    fund, lag, rule = (point.get(factor.keys[0], own) for factor, own in zip(FACTORS, (1e5, 2, "queue"), strict=True))
    return 1.2e6 - 1e5 * float(np.log10(fund / 1e3)) + 2e4 * lag + RULES[rule]


@dataclass
class Function:
    """In place of runs: an outcome that follows from the point, and is shifted by the world."""

    of: Callable[[dict[str, Any]], float] = loss
    outcome: str = "bad_debt"
    folder: Path = Path("nowhere")
    shift: float = 0.0
    runs: int = 0
    failed: int = 0
    subject: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(sweep=SimpleNamespace(name="losses"), variant=""))

    def values(self, points: Sequence[dict[str, Any]], seeds: Sequence[int]) -> np.ndarray:
        self.runs += len(points) * len(seeds)
        return np.array([[self.of(point) + self.shift * (seed % 5) for seed in seeds] for point in points])

    def means(self, points: Sequence[dict[str, Any]], seeds: Sequence[int]) -> np.ndarray:
        return np.asarray(self.values(points, seeds).mean(axis=1))


def found_sensitivity(method: Any = "sobol", samples: int = 64, of: Callable[[dict[str, Any]], float] = loss) -> Sensitivity:
    """Indices of `loss`."""
    return sensitivity(Function(of), FACTORS, method, samples, (1, 2), draws=300, records=RECORDS)  # type: ignore[arg-type]


def found_threshold(log: bool = True, rising: bool = True, turns: Sequence[float] | None = None) -> FoundThreshold:
    """Where the fund suffices in half of 40 worlds, each of which turns at its own fund; their median is near 8,000 USD."""
    places = np.random.default_rng(1).lognormal(9.0, 1.0, 40) if turns is None else np.asarray(turns)
    factor = Factor(FUND.name, FUND.keys, low=1e2, high=1e6, log=log)
    found = find_threshold(lambda value: (places <= value) == rising, factor.low, factor.high, tolerance=0.01, logarithmic=log)
    runs = found.evaluations[0].trials * len(found.evaluations)
    return FoundThreshold("losses", "late", factor, "USD", Event("bad_debt", ">", 0.0), found, len(places), runs, 0, 0)


def found_worst() -> StoredWorst:
    """The worst of `loss`, as the files have it."""
    found = worst_within(Function(shift=1e3), FACTORS, (1, 2), range(10, 20), evaluations=64)  # type: ignore[arg-type]
    tried = tried_points(found, FACTORS)
    best = int(tried["bad_debt"].arg_max() or 0)
    assert found.harm is not None
    return StoredWorst(
        sweep="losses", variant="", outcome="bad_debt", unit="USD", sign=1, searched=found.searched, fresh=found.fresh,
        baseline=found.harm.baseline, difference=found.harm.bootstrap, point={factor.name: tried[factor.name][best] for factor in FACTORS},
        own={FUND.name: 1e5, LAG.name: 2, RULE.name: "queue"}, records=RECORDS, replications=2, fresh_seeds=tuple(range(10, 20)),
        runs=148, failed=0, tried=tried,
    )  # fmt: skip
