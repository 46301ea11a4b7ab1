"""The model: one venue, one world, one population, block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import mesa
import numpy as np

from abm.agents.base import Cohort, Group, enlist, open_accounts
from abm.invariants import check_invariants
from abm.kernels.assessment import open_block
from abm.kernels.halts import discard_paused
from abm.kernels.options import trade_options
from abm.kernels.spot import move_shared_world, move_world
from abm.mechanisms.calendar import Calendar
from abm.mechanisms.succession import ORACLE_FIELDS, begin_guards, begin_rule
from abm.mechanisms.venue import Venue
from abm.parameters import ParameterError
from abm.recorder import Recorder, Recording
from abm.state import FUND, MOST_BLOCKS, NOBODY, Capacity, State, empty_table
from abm.worlds.gas import Gas
from abm.worlds.spot import Spot
from abm.worlds.world import Setting, World

if TYPE_CHECKING:
    import polars as pl

STRETCH = 4096  # blocks of outside prices made at a time


class BlockByBlock(mesa.Model):
    """A model whose `step` is one block, from block -1 (nothing has happened yet) to block `blocks` - 1."""

    blocks: int
    block: int

    def run(self, blocks: int | None = None, progress: Callable[[int], None] | None = None, every: int = 1000) -> Self:
        """Steps `blocks` blocks (default: to the end of the run); `progress` is told the number of blocks done every `every` blocks."""
        last = self.blocks if blocks is None else self.block + 1 + blocks
        step = self.step
        while self.block + 1 < last:
            for _ in range(min(every, last - self.block - 1)):
                step()
            if progress is not None:
                progress(self.block + 1)
        return self


class PerpModel(BlockByBlock):
    """A perpetual-futures venue with its traders.

    venue: the rules. world: outside prices. population: groups of traders, in the order of their account rows. blocks: length of the
    run that the world is prepared for. seed: of everything random. spare_accounts: empty accounts for scripted `Trader`s.
    check: conservation and the book's own consistency are verified after every block (slow).

    Raises ParameterError where rules, world and population do not fit together.
    """

    def __init__(
        self,
        venue: Venue,
        world: World,
        population: Sequence[Group],
        *,
        blocks: int,
        seed: int = 0,
        spot: Spot = Spot(),
        gas: Gas = Gas(),
        recording: Recording = Recording(),
        spare_accounts: int = 0,
        check: bool = False,
        capacity: Capacity | None = None,
    ) -> None:
        super().__init__(rng=seed)
        self.venue = venue
        self.world = world
        self.blocks = blocks
        self.seed = seed
        self.check = check
        self.block = -1
        n_markets = len(venue.listings)
        names = [group.name for group in population]
        if len(set(names)) != len(names):
            raise ParameterError([f"population: two cohorts are called {name}" for name in set(names) if names.count(name) > 1])
        n_accounts = sum(group.accounts(n_markets) for group in population) + spare_accounts
        if n_accounts == 0:
            raise ParameterError(["population: nobody trades; add a cohort or spare_accounts"])
        if not 0 < blocks <= MOST_BLOCKS:
            raise ParameterError([f"PerpModel.blocks: {blocks:,} is not in [1, {MOST_BLOCKS:,}]"])
        houses = venue.clearing.houses(n_markets)
        self._traders = n_accounts
        self.state = State(
            n_accounts + houses,
            [listing.symbol for listing in venue.listings],
            [listing.ticks for listing in venue.listings],
            venue.seconds_per_block,
            capacity or roomy(n_accounts),
        )
        self._open_world(world, spot, gas)
        self.state.accounts["cohort"] = NOBODY  # spare accounts belong to none
        first = 0
        for number, group in enumerate(population):
            self.state.accounts["cohort"][first : first + group.accounts(n_markets)] = number
            first += group.accounts(n_markets)
        if houses:
            names = [*names, self._open_houses(venue.clearing.house, names)]
        self.state.cohorts = tuple(names)
        self._open_venue(venue)
        self.cohorts: list[Cohort] = []
        row = 0
        for number, group in enumerate(population):
            recruits = enlist(self.state, group, number, row, seed)
            self.cohorts.append(Cohort(self, group, number, recruits))
            row += group.accounts(n_markets)
        self._options = len(self.state.options) > 0
        self._next_spare = row
        self._scripted: list[Any] = []
        self.recorder = Recorder(self.state, recording, names, blocks)
        self.rules.fees.update(self.state, self.memory["fees"])

    def _open_world(self, world: World, spot: Spot, gas: Gas) -> None:
        state, venue = self.state, self.venue
        setting = Setting(state.symbols, venue.seconds_per_block, self.blocks, self.seed)
        self._world_memory = world.init(setting)
        self._stretch = world.stretch(self._world_memory, 0, min(STRETCH, self.blocks))
        self._stretch_from = 0
        for field in ("tick", "lot"):
            state.markets[field] = [getattr(listing, field) for listing in venue.listings]
        state.markets["unit"] = state.markets["tick"] * state.markets["lot"]
        state.markets["isolated_only"] = [listing.isolated_only for listing in venue.listings]
        first = self._stretch.prices[0]
        for listing, price in zip(venue.listings, first, strict=True):
            if not listing.tick <= price < listing.highest_price:
                raise ParameterError(
                    [f"Listing {listing.symbol}: the outside price {price:g} is not in [{listing.tick:g}, {listing.highest_price:g}]"]
                )
        for field in ("index", "exogenous", "oracle", "mark"):
            state.markets[field] = first
        state.markets["volatility"] = self._stretch.volatility[0]
        self._impact = np.zeros(state.n_markets)
        self._spot_terms = spot.terms(state.n_markets, venue.seconds_per_block)
        self._option_terms = spot.options.terms(venue.seconds_per_block)
        for field in ("variance_now", "variance_usual"):
            state.markets[field] = self._stretch.volatility[0] ** 2
        self._gas = gas.terms()
        state.venue["gas_price"] = gas.base

    def _open_houses(self, name: str, names: Sequence[str]) -> str:
        """The venue's own accounts, one per market, in the last rows; they are recorded as a cohort of that name."""
        if name in names:
            raise ParameterError([f"population: a cohort is called {name}, as the venue's own account"])
        state = self.state
        state.accounts["house"][self._traders :] = 1
        state.accounts["cohort"][self._traders :] = len(names)
        state.markets["house"] = self._traders + np.arange(state.n_markets)
        return name

    def _open_venue(self, venue: Venue) -> None:
        state = self.state
        self.rules = venue
        kinds = ("margin", "ordering", "clearing", "oracle", "mark", "funding", "fees", "liquidation", "enforcement", "deleveraging")
        self.memory = {kind: getattr(venue, kind).init(state, self.seed) for kind in kinds}
        self._guards = [(guard, guard.init(state, self.seed)) for guard in venue.guards]
        self._open_funds(venue)
        self._write_liquidation_terms()
        self._calendar = Calendar(venue.events, state, self.seed)
        self._next_event = self._calendar.next_block
        # Almost no block has a halt or a pause: they are looked for in a way that costs next to nothing.
        self._halted = self._frozen = False
        self._halt_until = state.venue["halt_until"].item
        self._paused = state.venue["paused"].item

    def _write_liquidation_terms(self) -> None:
        terms = self.state.liquidation_terms
        terms[:] = self.rules.liquidation.terms_among(self.state.cohorts)
        terms["reward"], terms["fixed_reward"] = self.rules.enforcement.reward()

    def _open_funds(self, venue: Venue) -> None:
        """One fund for all cross-margined markets, and one for each market that may only be held alone (dYdX v4)."""
        state = self.state
        alone = np.flatnonzero(state.markets["isolated_only"])
        state.venue["isolated_markets"] = len(alone)
        state.funds = empty_table(1 + len(alone), FUND)
        state.markets["fund"][alone] = 1 + np.arange(len(alone))
        state.funds["balance"][0] = venue.insurance_fund
        state.funds["balance"][1:] = [venue.listings[k].insurance_fund for k in alone]
        state.venue["net_deposits"] += state.funds["balance"].sum()

    def open_account(self, capital: float, latency: int = 0, leverage_limit: float = 0.0) -> int:
        """Opens one of the spare accounts with `capital` USD for a scripted trader; returns its row.

        Raises ValueError when none is left or an argument is out of range.
        """
        if self._next_spare >= self._traders:
            raise ValueError("no spare account left: create the model with spare_accounts=... for scripted traders")
        if not (np.isfinite(capital) and capital >= 0.0 and latency >= 0 and leverage_limit >= 0.0):
            raise ValueError(f"capital {capital}, latency {latency} and leverage_limit {leverage_limit} must be finite and not negative")
        row = self._next_spare
        self._next_spare += 1
        fraction = 1.0 / leverage_limit if leverage_limit > 0.0 else 0.0
        open_accounts(self.state, np.array([row]), np.array([capital]), np.array([latency]), np.array([fraction]))
        return row

    def register_agent(self, agent: Any) -> None:
        """Mesa's hook: scripted traders are stepped after the cohorts, in the order in which they were made."""
        super().register_agent(agent)  # type: ignore[no-untyped-call]
        if not isinstance(agent, Cohort):
            if not hasattr(self, "_scripted"):
                self._scripted = []
            self._scripted.append(agent)

    def step(self) -> None:
        """One block: the world moves, traders act, the venue clears, the weak are closed."""
        self.block += 1
        self.state.venue["block"] = self.block
        self.move_world()
        self.publish_oracle()
        self.update_mark()
        self.settle_funding()
        self.assess()
        self.collect_orders()
        self.sequence()
        self.clear()
        self.absorb_losses()
        self.record()

    def outside_row(self) -> int:
        """The row of this block in the stretch of outside prices at hand, which is made when the one before is used up."""
        row = self.block - self._stretch_from
        if row >= len(self._stretch.prices):
            self._stretch_from += len(self._stretch.prices)
            row = 0
            left = max(self.blocks - self.block, 1)
            self._stretch = self.world.stretch(self._world_memory, self.block, min(STRETCH, left))
        return row

    def move_world(self) -> None:
        """Spot prices and gas outside the venue; outside orders of the last block are executed."""
        row = self.outside_row()
        state = self.state
        self._look_for_halt()
        move_world(
            state.venue, state.markets, state.outside, state.spot_orders, self._stretch.prices, self._stretch.volatility, row,
            self._impact, self._spot_terms, self._gas,
        )  # fmt: skip
        if self._options:
            self._trade_options()

    def move_shared_world(self, beside: PerpModel) -> None:
        """As `move_world`, for this venue and the one beside it, whose outside orders meet in one market: this model's."""
        row = self.outside_row()
        state, other = self.state, beside.state
        self._look_for_halt()
        beside._look_for_halt()
        move_shared_world(
            state.venue, state.markets, state.outside, state.spot_orders, other.venue, other.markets, other.outside, other.spot_orders,
            self._stretch.prices, self._stretch.volatility, row, self._impact, self._spot_terms, self._gas,
        )  # fmt: skip
        for model in (self, beside):
            if model._options:
                model._trade_options()

    def _trade_options(self) -> None:
        """Options outside are paid out, bought and valued at the prices of this block."""
        state = self.state
        trade_options(state.venue, state.markets, state.outside, state.options, self._option_terms)

    def _look_for_halt(self) -> None:
        """Whether the chain stands still, or its oracle does, in this block."""
        if self._halt_until():
            self._halted, self._frozen = self.state.chain_halted, self.state.oracle_frozen

    def publish_oracle(self) -> None:
        """What the chain is told, late and imperfect."""
        if self._frozen:
            # Outside the chain sources go on seeing prices; none of them arrives.
            kept = self.state.markets[ORACLE_FIELDS].copy()
            self.rules.oracle.publish(self.state, self.memory["oracle"])
            for field in ORACLE_FIELDS:
                self.state.markets[field] = kept[field]
        else:
            self.rules.oracle.publish(self.state, self.memory["oracle"])

    def update_mark(self) -> None:
        """What positions are valued at; guards look, and what was voted comes into force."""
        self.rules.mark.update(self.state, self.memory["mark"])
        for guard, memory in self._guards:
            guard.watch(self.state, memory)
        if self.block >= self._next_event and not self._halted:
            self._let_events_happen()

    def _let_events_happen(self) -> None:
        """Every event that is due, also those that a halt of the chain has held up; a rule that one brings starts from nothing."""
        for due in self._calendar.take(self.block):
            changes: dict[str, Any] = dict(due.event.happen(self.state, due.memory))
            guards = changes.pop("guards", ())
            if guards:
                self._guards = begin_guards(self._guards, guards, self.state, self.seed)
                self.rules = replace(self.rules, guards=tuple(guard for guard, _ in self._guards), events=())
            self.rules = replace(self.rules, **changes, events=())
            for kind, rule in changes.items():
                self.memory[kind] = begin_rule(kind, rule, self.state, self.seed)
            if changes:
                self._write_liquidation_terms()
        self._next_event = self._calendar.next_block

    def settle_funding(self) -> None:
        """Samples the premium; in a funding block longs and shorts settle."""
        self.rules.funding.settle(self.state, self.memory["funding"])

    def assess(self) -> None:
        """Orders expire, conditional orders trigger, and every account is valued at mark."""
        state = self.state
        self.rules.margin.update(state, self.memory["margin"])
        open_block(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.ended_orders, state.conditionals, state.transactions,
        )  # fmt: skip

    def collect_orders(self) -> None:
        """Everyone decides on the same view; keepers and the protocol send their liquidations."""
        for cohort in self.cohorts:
            cohort.step()
        for trader in self._scripted:
            trader.step()
        self.rules.enforcement.enforce(self.state, self.memory["enforcement"])

    def sequence(self) -> None:
        """Who goes first in this block, of what is carried out at all."""
        state = self.state
        if self._paused():
            discard_paused(state.venue, state.transactions, state.ended_orders)
        self._count = self.rules.ordering.arrange(self.state, self.memory["ordering"])

    def clear(self) -> None:
        """Fills, fees, liquidations: one transaction after another."""
        if self._halted:
            return
        self.rules.clearing.clear(self.state, self.memory["clearing"], self._count)

    def absorb_losses(self) -> None:
        """Accounts below zero that neither the book nor the fund could close are deleveraged; fee tiers follow volume."""
        if not self._halted:
            self.rules.deleveraging.absorb(self.state, self.memory["deleveraging"])
        self.rules.fees.update(self.state, self.memory["fees"])

    def record(self) -> None:
        """Facts only."""
        if self.check:
            check_invariants(self.state)
        self.recorder.record(self.block)

    def frames(self) -> dict[str, pl.DataFrame]:
        """The record so far, one Polars frame per table."""
        return self.recorder.frames()

    def release(self) -> None:
        """Gives the model's memory back at once; it cannot be used afterwards. For those who run many in one process: without it a
        model waits for Python's collector, which counts objects and not megabytes."""
        vars(self).clear()


def roomy(n_accounts: int) -> Capacity:
    """Room for a population of this size in which everybody may act in every block. Small populations get small tables: thousands
    of short runs would otherwise spend more on cleaning memory than on their first hundred blocks."""
    small = 1 << 12
    some = min(64 * n_accounts, 1 << 16)
    return Capacity(
        orders=max(small, some, 16 * n_accounts),
        conditionals=max(small, 4 * n_accounts),
        transactions=max(small, some // 2, 8 * n_accounts),
        records=max(4 * small, some, 8 * n_accounts),
    )
