"""How to read each kind of figure of a sweep."""

from __future__ import annotations

CAPTIONS: dict[str, str] = {
    "response": (
        "Each panel is an outcome, each dot its mean at one value of the factor on the horizontal axis. The band says how well that mean "
        "is known: with 95 % probability it covers the mean over all worlds that might have been drawn. Where lines of different colour "
        "are parallel the two factors add up; where they fan out, one makes the other worse."
    ),
    "phase": (
        "Each square, or disc, is a combination of two factors: the mean of the outcome, and beside it the share of runs in which "
        "something happened. Darker is more. The dark line parts the squares where that is at least as likely as not from the others: a "
        "venue should be run well away from it."
    ),
    "differences": (
        "Every run has a twin in the same world under the baseline's rules; shown is the mean difference between the twins, so whatever "
        "makes one world worse than another cancels out. A bar that does not touch the vertical line at zero is a difference that "
        "chance alone would hardly make. Identical in all pairs: what was replaced made no difference there."
    ),
    "gains": (
        "What the change is worth to each population, per run: profit on the venue and outside of it, after all fees, funding, penalties "
        "and closings. What one gains another pays; the venue's fees and the insurance fund are shown beside the populations."
    ),
    "examples": (
        "Three single runs, chosen by rank and not by looks: those at the 10 %, the 50 % and the 90 % quantile of the main outcome over "
        "all runs of the sweep. All columns share their axes, so heights can be compared."
    ),
}
