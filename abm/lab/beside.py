"""The second of two venues in an experiment file: its rules, who trades on it, and who trades on both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from abm.agents.base import Group
from abm.lab.population import Population, plain_population
from abm.mechanisms.venue import Venue
from abm.parameters import Parameters, parameter


@dataclass(frozen=True, kw_only=True)
class Beside(Parameters):
    """A second venue on the same outside market, with the same markets and the same length of a block."""

    venue: Venue = parameter(unit="venue")
    groups: tuple[Group, ...] = dataclasses.field(
        default=(), metadata={"key": "population", "shape": Population(), "plain": plain_population, "about": "who trades on it alone"}
    )
    across: tuple[Group, ...] = dataclasses.field(
        default=(),
        metadata={
            "shape": Population(),
            "plain": plain_population,
            "about": "who trades on both: each member has an account on either venue, opened with the group's capital",
        },
    )


def cohort_names(venue: Venue, groups: Iterable[Group]) -> tuple[str, ...]:
    """What the record calls the cohorts of a venue: its groups, and its own accounts where it trades itself."""
    house = venue.clearing.house
    return (*(group.name for group in groups), *((house,) if house else ()))
