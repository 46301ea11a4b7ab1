"""A venue is a bundle of rules. A variant of a venue is the same bundle with one rule replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace

from abm.mechanisms.clearing import Clearing
from abm.mechanisms.deleveraging import Deleveraging
from abm.mechanisms.enforcement import Enforcement
from abm.mechanisms.events import Event, RuleChange
from abm.mechanisms.fees import Fees
from abm.mechanisms.funding import Funding
from abm.mechanisms.guards import Guard
from abm.mechanisms.liquidation import Liquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import Margin
from abm.mechanisms.mark import Mark
from abm.mechanisms.oracle import Oracle
from abm.mechanisms.ordering import Ordering
from abm.mechanisms.succession import succeeded
from abm.mechanisms.twap_funding import DivergenceFunding
from abm.parameters import ParameterError, Parameters, parameter


@dataclass(frozen=True, kw_only=True)
class Venue(Parameters):
    """A perpetual-futures venue: its markets, its clock, and one rule of each kind."""

    listings: tuple[Listing, ...] = parameter(unit="markets")
    ordering: Ordering = parameter(unit="rule")
    clearing: Clearing = parameter(unit="rule")
    oracle: Oracle = parameter(unit="rule")
    mark: Mark = parameter(unit="rule")
    margin: Margin = parameter(unit="rule")
    funding: Funding = parameter(unit="rule")
    fees: Fees = parameter(unit="rule")
    liquidation: Liquidation = parameter(unit="rule")
    enforcement: Enforcement = parameter(unit="rule")
    deleveraging: Deleveraging = parameter(unit="rule")
    guards: tuple[Guard, ...] = parameter((), unit="rules")
    events: tuple[Event, ...] = parameter((), unit="rules", about="votes and accidents, each at its time")
    seconds_per_block: float = parameter(1.0, unit="seconds", least=1e-3, most=86_400.0)
    insurance_fund: float = parameter(0.0, unit="USD", least=0.0, about="what the fund holds at the start")

    def inconsistencies(self) -> list[str]:
        symbols = [listing.symbol for listing in self.listings]
        problems = [] if symbols else ["Venue.listings: a venue needs at least one market"]
        if {"WithdrawalGate", "DepositOutflowLimit"} <= {type(guard).__name__ for guard in self.guards}:
            problems.append("Venue.guards: WithdrawalGate and DepositOutflowLimit both set how much may be withdrawn; choose one")
        if type(self.clearing).__name__ == "BatchAuction" and self.liquidation.terms()["taken_by_keeper"][0] != 0:
            problems.append(
                f"Venue.liquidation: {type(self.liquidation).__name__} hands positions to keepers one by one, and BatchAuction closes them "
                "in its batches; choose another of the two"
            )
        if self.clearing.house and isinstance(self.funding, DivergenceFunding) and self.funding.counterparty_cohorts:
            problems.append(
                f"Venue.funding: DivergenceFunding.counterparty_cohorts stands for an account that {type(self.clearing).__name__} has of "
                "its own, and which is the counterparty; leave it out"
            )
        problems += [f"Venue.listings: {symbol} is listed twice" for symbol in sorted(set(symbols)) if symbols.count(symbol) > 1]
        return problems + [f"Venue.events: after the vote, {each}" for each in self._problems_after_votes() if each not in problems]

    def _problems_after_votes(self) -> list[str]:
        """What would be inconsistent once votes have passed, each by itself: said before a run, not in the middle of one."""
        problems = []
        for event in self.events:
            if isinstance(event, RuleChange):
                try:
                    replace(self, **event.rules(), guards=tuple(succeeded(self.guards, event.guards)), events=())  # type: ignore[arg-type]
                except ParameterError as error:
                    problems += error.problems
        return problems
