"""All outcomes by name, family by family."""

from __future__ import annotations

from abm.lab.outcomes import basis, cascades, depth, funding, inequality, keepers, liquidity_provision, populations, solvency, two_venues
from abm.lab.outcomes.outcome import Outcome

FAMILIES: dict[str, tuple[Outcome, ...]] = {
    "Liquidations and cascades": cascades.OUTCOMES,
    "Solvency": solvency.OUTCOMES,
    "Execution of liquidations": keepers.OUTCOMES,
    "Funding": funding.OUTCOMES,
    "Basis and oracle": basis.OUTCOMES,
    "Book and trading": depth.OUTCOMES,
    "Liquidity provision": liquidity_provision.OUTCOMES,
    "Populations": populations.OUTCOMES,
    "Inequality": inequality.OUTCOMES,
}

OUTCOMES: dict[str, Outcome] = {outcome.name: outcome for family in FAMILIES.values() for outcome in family}

PAIR_FAMILIES: dict[str, tuple[Outcome, ...]] = {"Two venues": two_venues.OUTCOMES}
"""Of runs with a second venue beside the first; those have each of OUTCOMES twice."""

BESIDE_OUTCOMES: dict[str, Outcome] = {each.name: each for each in (outcome.on_the_venue_beside for outcome in OUTCOMES.values())}
PAIR_OUTCOMES: dict[str, Outcome] = {
    **{outcome.name: outcome for family in PAIR_FAMILIES.values() for outcome in family},
    **BESIDE_OUTCOMES,
}
"""What a run with two venues has beyond OUTCOMES."""
