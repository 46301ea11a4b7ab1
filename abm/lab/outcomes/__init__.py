"""Outcomes: what a run comes down to, one number each, computed for many runs at once from the tables that were kept."""

from abm.lab.outcomes.computation import columns, compute, find
from abm.lab.outcomes.outcome import Outcome
from abm.lab.outcomes.registry import FAMILIES, OUTCOMES, PAIR_FAMILIES, PAIR_OUTCOMES

__all__ = ["FAMILIES", "OUTCOMES", "PAIR_FAMILIES", "PAIR_OUTCOMES", "Outcome", "columns", "compute", "find"]
