"""What the numbers of a sensitivity analysis or a search mean, in words."""

from __future__ import annotations

from collections.abc import Mapping

from abm.lab.search import FoundThreshold
from abm.lab.search_store import StoredWorst
from abm.lab.sensitivity import Sensitivity
from abm.lab.statistics.resampling import DRAWS
from abm.lab.wording import count, percent

INDICES = {
    "sobol": (
        "Variance-based indices after Saltelli et al. (2010), the total one after Jansen (1999). Intervals: bootstrap (BCa) over base "
        "samples with {draws} resamples, a little wide because Sobol's sequence fills space more evenly than chance."
    ),
    "morris": (
        "Walks that move each factor once, by two of the three steps between its four values (Morris 1991); mean of absolute effects after "
        "Campolongo, Cariboni and Saltelli (2007). Interval of the mean: Student's over walks; of absolute effects: percentile-t bootstrap "
        "over walks with {draws} resamples."
    ),
    "given data": (
        "First-order index from points that were drawn for another purpose: the share of variance between bins of a factor, less what "
        "chance alone puts there (epsilon squared). Intervals: bootstrap over points with {draws} resamples. Factors are taken to be "
        "drawn independently of each other, as they are in random, Latin hypercube and Sobol designs."
    ),
}


WORLDS = (
    "A world is a seed: outside prices and traders with their inclinations. All points are run in the same worlds, so that they "
    "differ by their settings only. What is found holds for the mean over these worlds."
)
CURVES = (
    "Partial dependence: means of the outcome over points at a value, or in a bin, of the factor. The part of the other factors that "
    "lies on straight lines is taken out by least squares before, so that a bin with larger values of another factor does not bend "
    "the curve. Bands: Student's {level} interval over groups of points that share coordinates (base samples, walks), each averaged "
    "first, with one spread for all values where there are few."
)
THRESHOLD = (
    "Every world turns at a value of its own; the threshold is the quantile of these values. Bisection finds it and the two order "
    "statistics between which it lies with probability {level}, whatever the curve. Bars at single values are Wilson's intervals of a "
    "share."
)
WORST = (
    "The search is a differential evolution that starts from a Latin hypercube, unless its command names another. The interval in "
    "fresh worlds is a percentile-t bootstrap of the mean; the difference from the file's own configuration is taken world by world. A "
    "search proves that it can be this bad, never that it cannot be worse."
)


def methods_of(found: Mapping[str, Sensitivity | FoundThreshold | StoredWorst]) -> list[tuple[str, str]]:
    """How indices, curves, thresholds and worst cases are made: (what, how)."""
    entries = [("Worlds", WORLDS)]
    for each in found.values():
        if isinstance(each, Sensitivity):
            entries.append(("Indices", INDICES[each.method].format(draws=count(DRAWS))))
            entries.append(("Curves along a factor", CURVES.format(level=percent(each.confidence))))
        elif isinstance(each, FoundThreshold):
            entries.append(("Threshold", THRESHOLD.format(level=percent(each.threshold.value.confidence))))
        else:
            entries.append(("Worst case", WORST))
    return entries
