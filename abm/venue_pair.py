"""Two venues side by side: one outside world, a population on each, and traders with an account on both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from abm.agents.base import Group
from abm.invariants import InvariantError
from abm.mechanisms.venue import Venue
from abm.model import BlockByBlock, PerpModel
from abm.parameters import ParameterError
from abm.recorder import Recording
from abm.state import Capacity
from abm.worlds.gas import Gas
from abm.worlds.spot import Spot
from abm.worlds.world import World

if TYPE_CHECKING:
    import polars as pl

BESIDE = "beside_"  # what the names of the second venue's tables begin with


class VenuePair(BlockByBlock):
    """Two venues with the same markets, block by block, on one outside market that hedges and arbitrage of both push.

    venues: the rules of both. world, spot, gas: outside, shared. populations: groups of traders on the first and on the second venue.
    across: groups whose members have an account on each venue, opened with the group's capital there; their strategy is asked once a
    block and finds the second venue in `view.beside`. blocks, recording, spare_accounts, capacity: of each venue, as for `PerpModel`.
    seed: of both: traders who are called the same on both venues draw the same numbers, and so do the same things as far as the venues
    let them; other names give other draws. check: what must hold on each venue, and between them, is verified after every block.

    Where nobody trades across and outside prices are exogenous (infinite `spot.depth`), each venue does byte for byte what it does
    alone. A block is the same length on both: make one slow with latency, order delay and oracle lag.

    Raises ParameterError where the two do not fit together, or rules, world and population of one of them do not.
    """

    def __init__(
        self,
        venues: tuple[Venue, Venue],
        world: World,
        populations: tuple[Sequence[Group], Sequence[Group]],
        across: Sequence[Group] = (),
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
        problems = mismatches(*venues)
        if problems:
            raise ParameterError([f"VenuePair.{problem}" for problem in problems])
        self.check = check
        self.blocks = blocks
        self.block = -1
        first, second = (
            PerpModel(
                venue, world, [*population, *across], blocks=blocks, seed=seed, spot=spot, gas=gas, recording=recording,
                spare_accounts=spare_accounts, check=check, capacity=capacity,
            )
            for venue, population in zip(venues, populations, strict=True)
        )  # fmt: skip
        self.models = first, second
        self._across = list(zip(first.cohorts[len(populations[0]) :], second.cohorts[len(populations[1]) :], strict=True))
        for here, there in self._across:
            here.view.beside = there.view  # only one side decides: the other has no venue beside it
        self._brought = self._paid_in()

    def _paid_in(self) -> list[float]:
        """What each cohort that trades across has paid in less what it has taken out, USD over both venues."""
        return [
            sum(float(side.state.accounts["net_deposits"][side.accounts_from : side.accounts_to].sum()) for side in sides)
            for sides in self._across
        ]

    def step(self) -> None:
        """One block of both venues: the world moves once, then each step of `PerpModel.step` on the one and on the other.

        Everybody on both venues decides before either of them clears.
        """
        self.block += 1
        for model in self.models:
            model.block = self.block
            model.state.venue["block"] = self.block
        self.models[0].move_shared_world(self.models[1])
        for model in self.models:
            model.publish_oracle()
            model.update_mark()
            model.settle_funding()
            model.assess()
        for model in self.models:
            model.collect_orders()
        for model in self.models:
            model.sequence()
            model.clear()
            model.absorb_losses()
            model.record()
        if self.check:
            self._check_transfers()

    def _check_transfers(self) -> None:
        """Money that left one venue and has not reached the other is missing on both; more than was brought there can never be."""
        for (cohort, _), brought, paid_in in zip(self._across, self._brought, self._paid_in(), strict=True):
            if not paid_in <= brought + 1e-9 * max(abs(brought), 1.0):
                raise InvariantError(
                    f"what a cohort has paid in on both venues is at most what it brought (USD): does not hold in block {self.block}, "
                    f"cohort {cohort.name}: found {paid_in:.17g}, expected at most {brought:.17g}"
                )

    def frames(self) -> dict[str, pl.DataFrame]:
        """The record so far: the tables of the first venue by their names, those of the second by the same with `beside_` before."""
        first, second = (model.frames() for model in self.models)
        return {**first, **{f"{BESIDE}{name}": frame for name, frame in second.items()}}

    def release(self) -> None:
        """Gives the memory of both models back; neither they nor the pair can be used afterwards."""
        for model in self.models:
            model.release()
        vars(self).clear()


def mismatches(first: Venue, second: Venue) -> list[str]:
    """One line for each reason why two venues cannot stand side by side; none where they can."""
    problems = []
    if first.seconds_per_block != second.seconds_per_block:
        problems.append(
            f"seconds_per_block: {first.seconds_per_block:g} on the first venue and {second.seconds_per_block:g} on the second; expected "
            "the same on both: latency, order delay and oracle lag make one of them slow"
        )
    symbols = [[listing.symbol for listing in venue.listings] for venue in (first, second)]
    if symbols[0] != symbols[1]:
        problems.append(
            f"listings: {', '.join(symbols[0])} on the first venue and {', '.join(symbols[1])} on the second; expected the same markets in "
            "the same order"
        )
    return problems
