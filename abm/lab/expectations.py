"""Whether the signs that a sweep's file expects came out: read off the interval, never off the estimate alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abm.lab.sweep_effects import Effect, factor_effect, variant_effect
from abm.lab.sweep_results import SweepResults, results_of
from abm.lab.sweep_store import StoredSweep

Verdict = Literal["held", "contradicted", "undecided", "not tested"]
SIGNS = {"+": 1, "-": -1, "0": 0}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An expectation and what became of it."""

    outcome: str
    factor: str
    """Dotted key; empty when it is about a variant."""
    variant: str
    sign: str
    about: str
    effect: Effect
    verdict: Verdict


def judge(stored: StoredSweep) -> list[Judged]:
    """Every expectation of the sweep, in the order of its file. Raises InputError when no run has ended."""
    return judged(results_of(stored))


def judged(results: SweepResults) -> list[Judged]:
    """Every expectation of the sweep, in the order of its file."""
    found = []
    for expected in results.plan.expectations:
        outcome, factor, variant = expected["outcome"], expected.get("factor", ""), expected.get("variant", "")
        effect = factor_effect(results, factor, outcome) if factor else variant_effect(results, variant, outcome)
        verdict: Verdict = "not tested" if results.idle(outcome) else _verdict(effect, SIGNS[expected["sign"]])
        found.append(
            Judged(
                outcome=outcome, factor=factor, variant=variant, sign=expected["sign"], about=expected.get("about", ""),
                effect=effect, verdict=verdict,
            )
        )  # fmt: skip
    return found


def _verdict(effect: Effect, sign: int) -> Verdict:
    if not effect.pairs:
        return "not tested"
    if sign == 0:  # no difference can be contradicted, and shown only by pairs without any
        return "held" if effect.unchanged else "contradicted" if effect.sign else "undecided"
    return "undecided" if effect.sign == 0 else "held" if effect.sign == sign else "contradicted"
