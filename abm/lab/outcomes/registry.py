"""All outcomes by name, family by family."""

from __future__ import annotations

from abm.lab.outcomes import basis, cascades, depth, funding, inequality, keepers, liquidity_provision, populations, solvency
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
