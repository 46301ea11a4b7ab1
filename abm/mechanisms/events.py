"""What happens to a venue at a known time: votes that change a rule or close a market, and thefts."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from abm.kernels import settlement as kernels
from abm.mechanisms.deleveraging import Deleveraging
from abm.mechanisms.enforcement import Enforcement
from abm.mechanisms.fees import Fees
from abm.mechanisms.funding import Funding
from abm.mechanisms.guards import Guard, IsolatedMarkets, OpenInterestCap
from abm.mechanisms.halts import ChainHalt
from abm.mechanisms.liquidation import Liquidation
from abm.mechanisms.margin import Margin
from abm.mechanisms.mark import Mark
from abm.mechanisms.names import cohort_number, market_number
from abm.mechanisms.oracle import Oracle
from abm.mechanisms.ordering import Ordering
from abm.mechanisms.rule import Rule
from abm.parameters import parameter, per_market
from abm.state import NOBODY, State
from abm.streams import stream_key

PriceOf = Literal["oracle", "mark", "set", "affordable"]
Changes = Mapping[str, Rule | tuple[Guard, ...]]


@dataclass(frozen=True, kw_only=True)
class Event(Rule):
    """Something that happens to the venue once: proposed at a time, in force after the vote, with a probability that it passes.

    Until then, and if it is rejected, everything stays as it is. The draw depends on the seed and the event's place in the list.
    """

    at_seconds: float = parameter(3600.0, unit="seconds since the start", least=0.0, most=1e12, about="of the proposal")
    vote_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=1e12, about="from the proposal to its effect")
    acceptance: float = parameter(1.0, unit="probability", least=0.0, most=1.0, about="that it passes")

    def due(self, state: State) -> int:
        """The block in which it takes effect."""
        return round((self.at_seconds + self.vote_seconds) / state.seconds_per_block)

    @abstractmethod
    def happen(self, state: State, memory: Any) -> Changes:
        """Called in one block, after the guards have looked. Returns rules that are in force from now on, by field of the venue; `guards`
        are added, or come in the place of guards of the same kind."""


@dataclass(frozen=True, kw_only=True)
class RuleChange(Event):
    """A vote that replaces rules of the venue by others: margin fractions, fee rates, funding, terms of liquidation, oracle, guards, caps.

    What is not named stays. A new rule begins with an empty memory, and in its first block nothing jumps because of that: a new oracle
    leaves the price in force until it publishes one of its own, a new mark the mark until the next block, and what either averages is
    the price in force before it began. `guards` come in the place of the venue's guards of the same kind, or beside all others.
    `open_interest_cap` is of every market or of each. Positions and orders stay; who is below the new maintenance margin can be
    liquidated in the same block.

    How orders meet cannot be voted on: whose orders rest, against whom positions are held, the venue's own accounts and the money in
    curves, pools and ranges are made for one kind of clearing. Nor can isolation, for which funds and accounts are divided, nor a halt
    of the chain.
    """

    margin: Margin | None = parameter(None, unit="rule")
    fees: Fees | None = parameter(None, unit="rule")
    funding: Funding | None = parameter(None, unit="rule")
    liquidation: Liquidation | None = parameter(None, unit="rule")
    enforcement: Enforcement | None = parameter(None, unit="rule")
    deleveraging: Deleveraging | None = parameter(None, unit="rule")
    oracle: Oracle | None = parameter(None, unit="rule")
    mark: Mark | None = parameter(None, unit="rule")
    ordering: Ordering | None = parameter(None, unit="rule")
    guards: tuple[Guard, ...] = parameter((), unit="rules")
    open_interest_cap: float | tuple[float, ...] | None = parameter(None, unit="USD, one side", least=0.0)

    def inconsistencies(self) -> list[str]:
        problems = [
            f"RuleChange.guards: {type(guard).__name__} cannot be voted on; it holds from the start of a run or not at all"
            for guard in self.guards
            if isinstance(guard, IsolatedMarkets | ChainHalt)
        ]
        if self.open_interest_cap is not None and any(isinstance(guard, OpenInterestCap) for guard in self.guards):
            problems.append("RuleChange.open_interest_cap: OpenInterestCap among the guards sets it too; choose one")
        return problems

    def rules(self) -> dict[str, Rule]:
        """The new rules by field of the venue, guards left out."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: rule for name, rule in values.items() if isinstance(rule, Rule)}

    def init(self, state: State, seed: int) -> list[float]:
        cap = self.open_interest_cap
        return [] if cap is None else per_market(cap, state.n_markets, "RuleChange.open_interest_cap")

    def happen(self, state: State, memory: list[float]) -> Changes:
        if memory:
            state.markets["open_interest_cap"] = memory
        if self.margin is not None:
            # A margin rule that scales with open interest writes these; one that does not must find them off.
            state.markets["open_interest_lower_cap"] = 0.0
            state.markets["open_interest_upper_cap"] = 0.0
        if self.enforcement is not None:
            state.venue["reward_covers_gas"] = 0
        return {**self.rules(), "guards": self.guards}


class DelistingMemory(NamedTuple):
    """The market, the stream of the draw, and scratch space for sizes and debts."""

    market: int
    key: np.uint64
    held: NDArray[np.float64]
    owed: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Delisting(Event):
    """A market is closed for good: orders are cancelled, new ones refused, and every position is closed at one price.

    `price_of` that price: the last "oracle" price (dYdX v4, final settlement), the "mark" (Hyperliquid's builder-deployed markets), a
    price that is "set" by the vote (`price`; Hyperliquid's validators and JELLY, 26 March 2025, 0.0095 USD), or the one at which winners
    can be paid, "affordable" (Drift v2, expiry price; it differs from the oracle price only where traders meet the venue's own account).

    What accounts below zero lack is paid by the insurance fund; then "counterparties" lose it, closed from a random one on at the
    bankruptcy price (dYdX v4), or "everybody" who holds the market, in proportion to size (Drift v2). What neither can place is borne by
    all accounts in proportion to equity; on a curve or a pool by the venue's own account.
    """

    symbol: str = parameter("", unit="market name, empty = the first market")
    price_of: PriceOf = parameter("oracle", unit="price")
    price: float = parameter(0.0, unit="USD", least=0.0, about="when it is set")
    losses_to: Literal["counterparties", "everybody"] = parameter("counterparties", unit="who bears them")

    def inconsistencies(self) -> list[str]:
        problems = []
        if self.price_of not in get_args(PriceOf):
            problems.append(f"Delisting.price_of: {self.price_of!r} is not one of {', '.join(get_args(PriceOf))}")
        if self.losses_to not in ("counterparties", "everybody"):
            problems.append(f"Delisting.losses_to: {self.losses_to!r} is not one of counterparties, everybody")
        if (self.price_of == "set") != (self.price > 0.0):
            problems.append(f'Delisting.price: {self.price:g}; a price above zero goes with price_of = "set", and only with it')
        return problems

    def init(self, state: State, seed: int) -> DelistingMemory:
        market = market_number(self.symbol, state.symbols, "Delisting.symbol") if self.symbol else 0
        return DelistingMemory(market, stream_key(seed, "final settlement"), np.zeros(state.n_accounts), np.zeros(state.n_accounts))

    def happen(self, state: State, memory: DelistingMemory) -> Changes:
        kernels.settle_finally(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.ended_orders, state.liquidations, state.deleveragings,
            memory.market, get_args(PriceOf).index(self.price_of), self.price, self.losses_to == "counterparties", memory.key,
            memory.held, memory.owed,
        )  # fmt: skip
        return {}


@dataclass(frozen=True, kw_only=True)
class Drain(Event):
    """Money is stolen from a contract: a share of what it holds leaves the venue and nobody gets it back.

    From the "insurance fund" (all of them, if there are several), from the venue's own accounts, which are its "pool" or curve, or from
    the accounts of a "cohort", such as a resident vault. Cohort and pool book it as a loss under `liquidation`.
    """

    source: Literal["insurance fund", "pool", "cohort"] = parameter("insurance fund", unit="whose money")
    share: float = parameter(1.0, unit="fraction of its cash", least=0.0, most=1.0)
    cohort: str = parameter("", unit="cohort name", about="when it is a cohort's money")

    def inconsistencies(self) -> list[str]:
        if self.source not in ("insurance fund", "pool", "cohort"):
            return [f"Drain.source: {self.source!r} is not one of insurance fund, pool, cohort"]
        if (self.source == "cohort") != bool(self.cohort):
            return [f'Drain.cohort: {self.cohort!r}; the name of a cohort goes with source = "cohort", and only with it']
        return []

    def init(self, state: State, seed: int) -> int:
        """The cohort's number; NOBODY where it is not a cohort's money."""
        return cohort_number(self.cohort, state.cohorts, "Drain.cohort") if self.cohort else NOBODY

    def happen(self, state: State, memory: int) -> Changes:
        if self.source == "insurance fund":
            kernels.drain_fund(state.venue, state.funds, self.share)
        else:
            kernels.drain_accounts(state.venue, state.accounts, memory, self.share)
        return {}
