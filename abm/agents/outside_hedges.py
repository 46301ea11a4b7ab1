"""Hedges outside the venue, for any group: what its members hold on it, in positions or in a pool, is offset with spot or options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Hedge, Recruits, View
from abm.distributions import Distribution
from abm.kernels.behaviour import waiting_time
from abm.kernels.compiled import inline, kernel
from abm.kernels.random import uniform
from abm.kernels.transactions import submit_spot_order
from abm.parameters import parameter
from abm.state import NOBODY, OPTION, Table, empty_table

FORMS = {"protection": 0, "straddle": 1}

HEDGED = [
    ("share", "f8"),  # of the inventory, or of the stake
    ("wait", "f8"),  # mean blocks between looks
]


@inline
def venue_inventory(positions, markets, pools, shares, i, k):
    """Coins that account i holds on the venue: its position, and its part of what the market's pool holds."""
    lots = 1.0 * positions[i, k].lots
    if pools[k].shares > 0.0 and markets[k].house != NOBODY and markets[k].house != i:
        lots += positions[markets[k].house, k].lots * shares[i, k].shares / pools[k].shares
    return lots * markets[k].lot


@inline
def stake(accounts, markets, pools, shares, i, k, stride):
    """USD that account i has at stake in market k: its equity (under cross margin an equal part for each market) and its pool shares."""
    own = max(accounts[i].equity, 0.0) / (markets.shape[0] if stride == 0 else 1)
    if pools[k].shares > 0.0 and markets[k].house != i:
        own += max(pools[k].value, 0.0) * shares[i, k].shares / pools[k].shares
    return own


@kernel
def hedge_with_spot(
    venue, accounts, positions, outside, markets, pools, shares, spot_orders, members, wakes, endowed, band, key
):  # fmt: skip
    """Each member that wakes sells outside its share of what it holds on the venue, where more than `band` of its stake is off.

    endowed (n, m): coins outside from the start, which are no hedge.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        wakes[j] = block + waiting_time(uniform(key, block, j, 0), members[j].wait)
        row = members[j].row
        for k in range(markets.shape[0]):
            i = row + k * members[j].stride
            gap = -members[j].share * venue_inventory(positions, markets, pools, shares, i, k) - (outside[row, k].size - endowed[j, k])
            worth = abs(gap) * markets[k].index
            if worth > band * stake(accounts, markets, pools, shares, i, k, members[j].stride) and abs(gap) >= markets[k].lot:
                submit_spot_order(venue, spot_orders, row, k, gap)


@kernel
def hedge_with_options(
    venue, accounts, positions, outside, markets, pools, shares, options, first, members, wakes, straddle, moneyness, lifetime, key
):  # fmt: skip
    """Each member that wakes orders new contracts where its last have expired; its contracts begin at row `first`, market by market."""
    block = venue[0].block
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        wakes[j] = block + waiting_time(uniform(key, block, j, 0), members[j].wait)
        row = members[j].row
        for k in range(markets.shape[0]):
            r = first + j * markets.shape[0] + k
            if options[r].puts + options[r].calls > 0.0 or options[r].lifetime > 0:
                continue
            i = row + k * members[j].stride
            if straddle:
                coins = members[j].share * stake(accounts, markets, pools, shares, i, k, members[j].stride) / markets[k].index
                options[r].wanted_puts = coins
                options[r].wanted_calls = coins
                options[r].moneyness = 1.0
            else:
                coins = members[j].share * (venue_inventory(positions, markets, pools, shares, i, k) + outside[row, k].size)
                options[r].wanted_puts = max(coins, 0.0)
                options[r].wanted_calls = max(-coins, 0.0)
                options[r].moneyness = moneyness if coins > 0.0 else 1.0 / moneyness
            if abs(coins) >= markets[k].lot:
                options[r].lifetime = lifetime


class SpotHedgeMemory(NamedTuple):
    """Members, when they look next (n,), coins they had outside from the start (n, m), and their stream."""

    members: Table
    wakes: NDArray[np.int64]
    endowed: NDArray[np.float64]
    key: np.uint64


class OptionHedgeMemory(NamedTuple):
    """Members, when they look next (n,), the row of their first contract, blocks until a contract expires, and their stream."""

    members: Table
    wakes: NDArray[np.int64]
    first: int
    lifetime: int
    key: np.uint64


def hedged(recruits: Recruits, share: Distribution | float, look_seconds: Distribution | float) -> tuple[Table, NDArray[np.int64]]:
    """The members' table and when each of them looks first."""
    table = recruits.table(HEDGED)
    table["share"] = recruits.draw("hedged share", share)
    table["wait"] = recruits.draw("hedge look", look_seconds) / recruits.state.seconds_per_block
    return table, np.zeros(recruits.members, np.int64)


@dataclass(frozen=True, kw_only=True)
class SpotHedge(Hedge):
    """Sells outside what it holds on the venue, and buys what it is short; a pool's inventory counts by its share of the pool."""

    share: Distribution | float = parameter(1.0, unit="fraction of the inventory", least=0.0, most=1.0)
    band: float = parameter(0.01, unit="fraction of the stake in a market that may be off before it trades", least=0.0, most=10.0)
    look_seconds: Distribution | float = parameter(30.0, unit="seconds between looks, mean", least=0.0)

    def init(self, recruits: Recruits) -> SpotHedgeMemory:
        members, wakes = hedged(recruits, self.share, self.look_seconds)
        return SpotHedgeMemory(members, wakes, recruits.state.outside["size"][recruits.rows].copy(), recruits.key("spot hedge"))

    def decide(self, view: View, memory: SpotHedgeMemory) -> None:
        state = view.state
        hedge_with_spot(
            state.venue, state.accounts, state.positions, state.outside, state.markets, state.pools, state.shares, state.spot_orders,
            memory.members, memory.wakes, memory.endowed, self.band, memory.key,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OptionHedge(Hedge):
    """Options held until they expire, then new ones. Premium and payoff go through the member's cash outside.

    "protection": puts for `share` of the coins it owns, on the venue and outside, or calls where it is short of them. "straddle": a put
    and a call at the money for each coin that `share` of its stake is worth, against the loss that providing liquidity makes of any
    large move. Sizes are those of the moment of buying.
    """

    form: Literal["protection", "straddle"] = parameter("protection", unit="name")
    share: Distribution | float = parameter(1.0, unit="fraction of the inventory, or of the stake for a straddle", least=0.0, most=10.0)
    expiry_seconds: float = parameter(86_400.0, unit="seconds", least=1e-3, most=366 * 86_400.0, about="from buying to expiry")
    moneyness: float = parameter(1.0, unit="strike of a put over the index; of a call the inverse", least=0.01, most=100.0)
    look_seconds: Distribution | float = parameter(60.0, unit="seconds between looks, mean", least=0.0)

    def inconsistencies(self) -> list[str]:
        return [] if self.form in FORMS else [f"OptionHedge.form: {self.form!r} is not one of {', '.join(FORMS)}"]

    def init(self, recruits: Recruits) -> OptionHedgeMemory:
        state = recruits.state
        members, wakes = hedged(recruits, self.share, self.look_seconds)
        first = len(state.options)
        options = empty_table(first + recruits.members * state.n_markets, OPTION)
        options[:first] = state.options
        options["account"][first:] = np.repeat(recruits.rows, state.n_markets)
        options["market"][first:] = np.tile(np.arange(state.n_markets), recruits.members)
        state.options = options
        return OptionHedgeMemory(members, wakes, first, state.blocks(self.expiry_seconds), recruits.key("option hedge"))

    def decide(self, view: View, memory: OptionHedgeMemory) -> None:
        state = view.state
        hedge_with_options(
            state.venue, state.accounts, state.positions, state.outside, state.markets, state.pools, state.shares, state.options,
            memory.first, memory.members, memory.wakes, FORMS[self.form] == FORMS["straddle"], self.moneyness, memory.lifetime, memory.key,
        )  # fmt: skip
