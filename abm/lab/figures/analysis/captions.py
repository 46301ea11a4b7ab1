"""How to read each figure of a sensitivity analysis or a search."""

from __future__ import annotations

CAPTIONS: dict[str, str] = {
    "indices-sobol": (
        "How much of the outcome's variance over the ranges comes from each factor: alone (open), and together with others (filled). "
        "A gap between the two is an interaction: what the factor does depends on another one. Bars are intervals; a filled dot whose "
        "bar touches zero is a factor that may be left where it is."
    ),
    "indices-morris": (
        "How far the outcome moves when a factor goes through its whole range, at places drawn in the ranges of the others. Filled: "
        "mean of the distances, whatever their direction. Open: mean with the direction; where it is nearer to zero than the filled "
        "one, the factor helps at some places and harms at others. On the right how much the move differs from place to place: a long "
        "bar is a factor that acts together with others, or not in a straight line."
    ),
    "indices-given data": (
        "How much of the outcome's variance over the drawn points goes with each factor alone. Bars are intervals; one that touches "
        "zero is a factor that cannot be told from one without effect."
    ),
    "dependence": (
        "Each panel is a factor, the most important first; all have the same vertical axis. The line is the mean outcome at a value of "
        "that factor, averaged over the ranges of all others; the band covers that mean with 95 % probability, over points that might "
        "have been drawn, in these worlds. A flat line is a factor that on its own does nothing."
    ),
    "threshold": (
        "Each dot is a value at which all worlds were run: in which share of them the event happened, with its binomial interval. The "
        "vertical line is where that share crosses the dashed level, the band the interval of that place. Values are tried more densely "
        "where the search has come close; where that is a small part of the range, the second panel enlarges it."
    ),
    "worst": (
        "First panel: every point the search has tried, in the order in which it did, and the worst so far. Others: the same points over "
        "each factor, the later the darker. The diamond is the winner in worlds that the search has not seen, with its interval: where "
        "it lies below the best dot, the search has flattered itself. The dotted line is what the file itself has."
    ),
}
