"""How a sweep was made and what its numbers mean, in words."""

from __future__ import annotations

import json

from abm.lab.design import WORDS
from abm.lab.statistics.interval import CONFIDENCE
from abm.lab.statistics.resampling import DRAWS
from abm.lab.sweep_effects import LEAST_RESAMPLED
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_store import TIMINGS
from abm.lab.wording import count, duration, names, percent, plural


def design_text(results: SweepResults) -> str:
    """What was combined with what, in which worlds, and how many runs that makes."""
    plan = results.plan
    seeds = plan.seeds
    cells = plural(len(plan.cells), "configuration")
    if len(plan.variants) > 1 and plan.factors:
        cells = f"{plural(len(plan.variants), 'variant')} at each of {plural(plan.points, 'point')}, {cells}"
    elif len(plan.variants) > 1:
        cells = plural(len(plan.variants), "variant")
    worlds = "in one world" if len(seeds) == 1 else f"each in the same {count(len(seeds))} worlds"
    if plan.until:
        worlds = (
            f"each in the same worlds, {count(plan.until['least'])} to {count(plan.until['most'])} of them, until {plan.until['until']}"
        )
    text = f"{cells}, {worlds} (seeds {_seeds(seeds)}): {'at most ' if plan.until else ''}{plural(plan.runs, 'run')}."
    if plan.factors:
        text += f" Values of the factors are combined as {WORDS[plan.design]}."
    return text


def _seeds(seeds: list[int]) -> str:
    if len(seeds) == 1:
        return str(seeds[0])
    if seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return names([*map(str, seeds[:6])]) if len(seeds) <= 6 else f"{', '.join(map(str, seeds[:6]))}, ..."


def ran_text(results: SweepResults) -> str:
    """How many runs ended well, failed, or are missing."""
    failed, plan = results.failures.height, results.plan
    done = results.ended - failed
    missing = plan.runs - results.ended
    text = f"{plural(done, 'run')} ended well" if failed or missing else f"All {plural(done, 'run')} ended well"
    if failed:
        text += f", {plural(failed, 'run')} failed"
    if missing and plan.until:
        text += f"; of at most {count(plan.runs)}, {count(missing)} were not needed or have not been made yet"
    elif missing:
        text += f"; {count(missing)} of {count(plan.runs)} have not been made yet, `abm sweep` makes them"
    seconds = _seconds(results)
    return f"{text}.{f' They took {duration(seconds)} of computing.' if seconds else ''}"


def _seconds(results: SweepResults) -> float:
    """Of all parts together, as they were noted; 0 where they were not."""
    try:
        lines = (results.stored.folder / TIMINGS).read_text(encoding="utf-8").splitlines()
        return float(sum(json.loads(line).get("seconds", 0.0) for line in lines))
    except (OSError, ValueError):
        return 0.0


def methods_texts(results: SweepResults) -> list[tuple[str, str]]:
    """How differences, intervals, bands and tests are made: (what, how)."""
    worlds = plural(results.seeds, "world")
    level = percent(CONFIDENCE)
    entries = [
        (
            "Pairing",
            "Runs of equal seed live in the same world: the same outside prices, the same traders with the same inclinations, whatever the "
            "configuration. Every difference is taken between such twins, so that what makes one world worse than another cancels out.",
        ),
        (
            "What counts as one observation",
            f"A world. Runs of one world at several points are not independent; they are averaged first, and intervals are over {worlds}."
            if results.seeds > 1
            else "There is one world only, so intervals are over points, and hold for this world.",
        ),
        (
            "Intervals of differences",
            f"{level} intervals of the mean difference by a percentile-t bootstrap with {count(DRAWS)} resamples, and by Student's t. "
            "Shown is the bootstrap, which follows skewed differences; where the t interval alone contains zero, that one. Something "
            f"is called an effect only when neither contains zero. Of fewer than {LEAST_RESAMPLED} worlds there is too little to resample, "
            "and the t interval stands alone.",
        ),
        (
            "Bands and means",
            f"Student's {level} interval of the mean over worlds; of a share of runs, Wilson's. Quantiles are Harrell and Davis's.",
        ),
        (
            "Detectable",
            "The mean difference that a sweep of this size would find in four of five repetitions, from the spread of the differences.",
        ),
    ]
    if results.comparison:
        entries.append(
            (
                "p and pairing",
                "p is that of the exact sign test over worlds, corrected after Holm for all outcomes and variants of the table. Pairing "
                "says how many times as many unpaired runs would be needed for the same precision.",
            )
        )
    if results.dimensions and results.crossed:
        entries.append(
            (
                "Effect of a factor",
                "From its lowest to its highest value, all other factors and the world being equal; averaged over the other factors.",
            )
        )
    elif results.drawn:
        entries.append(
            (
                "Effect of a factor",
                "The straight line through all runs (of the logarithm, where the scale is one), times the distance from the lowest to the "
                "highest value; with three worlds or more a line for each world, else one line with errors that allow for unequal "
                "spread (HC3). Curves are means over bins with about the same number of points.",
            )
        )
    entries.append(
        (
            "Not tested",
            "An outcome that a run does not have, such as the delay of liquidations where nobody was liquidated, is left out and counted. "
            "An outcome that is zero in every run shows that its cause never came about, not that it cannot.",
        )
    )
    return entries
