"""Hedgers: they own coins elsewhere and short the perp against them, in several markets under one margin, while funding allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import open_at_index, take, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.kernels.transactions import submit
from abm.parameters import market_weights, parameter
from abm.state import DEPOSIT, NEVER, NOBODY, REDUCE_ONLY, Table

HEDGER = [
    ("ratio", "f8"),  # share of the exposure to be hedged
    ("reduced_ratio", "f8"),  # share while funding is too dear
    ("band", "f8"),  # fraction of the exposure that may be off before it trades
    ("tolerance", "f8"),  # fraction of notional per day it pays for its hedge
    ("wait", "f8"),  # mean blocks between looks
    ("order_notional", "f8"),  # USD of one order
    ("reserve", "f8"),  # USD outside, for topping up margin
    ("top_up_at", "f8"),  # equity / initial margin below which it tops up
    ("reduced", "i8"),  # 1 while it hedges less because of funding
    ("opening", "i8"),  # 1: the hedge is to be in place from the start
]


@kernel
def decide_hedgers(venue, accounts, positions, outside, markets, transactions, members, wakes, usual_funding, key, reach, memory):
    """Each member that wakes tops up its margin if needed and trades each market towards its hedge, one order at a time.

    usual_funding (m,): running average of the funding per day, moved by `memory` of the distance a block.
    """
    block = venue[0].block
    for k in range(markets.shape[0]):
        usual_funding[k] += (markets[k].funding_per_day - usual_funding[k]) * memory
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        u0, _, _, _ = four_uniforms(key, block, j, 0)
        unfinished = False
        for k in range(markets.shape[0]):
            i = members[j].row + k * members[j].stride
            if k == 0 or members[j].stride > 0:
                missing = members[j].top_up_at * accounts[i].initial_margin - accounts[i].equity
                if missing > 0.0 and members[j].reserve > 0.0:
                    amount = min(2.0 * missing, members[j].reserve)
                    members[j].reserve -= amount
                    submit(venue, transactions, DEPOSIT, i, NOBODY, 0, 0, NOBODY, 0, 0, NEVER, 0, amount, 0.0, members[j].latency)
            exposure = outside[members[j].row, k].size
            if exposure == 0.0:
                continue
            side = -1.0 if exposure > 0.0 else 1.0
            cost = side * usual_funding[k]
            if cost > members[j].tolerance:
                members[j].reduced = 1
            elif cost < 0.5 * members[j].tolerance:
                members[j].reduced = 0
            ratio = members[j].reduced_ratio if members[j].reduced != 0 else members[j].ratio
            held = positions[i, k].lots
            target = int(-ratio * exposure / markets[k].lot)
            gap = target - held
            if abs(gap) <= members[j].band * abs(exposure) / markets[k].lot:
                continue
            if members[j].opening != 0:
                open_at_index(venue, transactions, markets, i, k, gap)
                continue
            most = max(whole_lots(markets, k, members[j].order_notional), 1)
            lots = min(max(gap, -most), most)
            reduces = (held > 0) != (lots > 0) and held != 0 and abs(lots) <= abs(held)
            take(venue, transactions, markets, i, k, lots, reach, REDUCE_ONLY if reduces else 0, members[j].latency)
            unfinished = unfinished or lots != gap
        members[j].opening = 0
        wakes[j] = block + waiting_time(u0, members[j].wait * (0.2 if unfinished else 1.0))


@dataclass(frozen=True, kw_only=True)
class Hedgers(Strategy):
    """Miners, treasuries and funds with coins elsewhere. They pay for their hedge up to a tolerance and hedge less beyond it."""

    exposure: Distribution | float = parameter(Uniform(low=0.5, high=2.5), unit="USD of coins per USD of capital", least=0.0)
    long_share: float = parameter(0.85, unit="share of members that own coins; the others owe them", least=0.0, most=1.0)
    ratio: Distribution | float = parameter(Uniform(low=0.6, high=1.0), unit="share of the exposure", least=0.0, most=1.0)
    reduced_ratio: Distribution | float = parameter(0.4, unit="share of the exposure while funding is too dear", least=0.0, most=1.0)
    band: Distribution | float = parameter(0.05, unit="fraction of the exposure", least=0.0, most=10.0)
    funding_tolerance: Distribution | float = parameter(LogNormal(median=0.001, sigma=0.7), unit="fraction of notional per day", least=0.0)
    funding_memory_seconds: float = parameter(28_800.0, unit="seconds", least=1e-3, about="half-life of the funding taken for usual")
    look_seconds: Distribution | float = parameter(300.0, unit="seconds between looks, mean", least=0.0)
    order_notional: Distribution | float = parameter(
        LogNormal(median=2_000.0, sigma=0.8, highest=50_000.0), unit="USD per order", least=0.0
    )
    opening_share: float = parameter(1.0, unit="share of members whose hedge is in place from the first block", least=0.0, most=1.0)
    reserve: Distribution | float = parameter(0.5, unit="USD outside per USD of capital", least=0.0)
    top_up_at: Distribution | float = parameter(1.5, unit="equity over initial margin", least=0.0)
    market_shares: tuple[float, ...] = parameter(
        (), unit="shares of the exposure, one per market; empty = equal", about="below zero: owed where the member owns the others"
    )
    reach: float = parameter(0.0002, unit="fraction beyond the best price of the other side", least=0.0, most=0.5)

    def init(self, recruits: Recruits) -> tuple[Table, NDArray[np.int64], NDArray[np.float64], np.uint64, float]:
        state = recruits.state
        wait = recruits.draw("look", self.look_seconds) / state.seconds_per_block
        table = recruits.table(HEDGER)
        for field in ("ratio", "reduced_ratio", "band", "order_notional", "top_up_at"):
            table[field] = recruits.draw(field, getattr(self, field))
        table["tolerance"] = recruits.draw("tolerance", self.funding_tolerance)
        table["wait"] = wait
        table["reserve"] = recruits.capital * recruits.draw("reserve", self.reserve)
        table["opening"] = recruits.uniforms("opening") < self.opening_share
        wakes = np.where(table["opening"] > 0, 0, recruits.wakes(wait))
        sides = np.where(recruits.uniforms("side") < self.long_share, 1.0, -1.0)
        shares = np.array(market_weights(self.market_shares, state.n_markets, "Hedgers.market_shares"))
        worth = recruits.capital * recruits.draw("exposure", self.exposure) * sides
        for k, share in enumerate(shares / np.abs(shares).sum()):
            index = float(state.markets["index"][k])
            state.outside["size"][recruits.rows, k] = worth * share / index
            state.outside["endowment"][recruits.rows, k] = worth * share
        weight = 1.0 - 0.5 ** (state.seconds_per_block / self.funding_memory_seconds)
        return table, wakes, np.zeros(state.n_markets), recruits.key("hedgers"), weight

    def decide(self, view: View, memory: tuple[Table, NDArray[np.int64], NDArray[np.float64], np.uint64, float]) -> None:
        state = view.state
        members, wakes, usual_funding, key, weight = memory
        decide_hedgers(
            state.venue, state.accounts, state.positions, state.outside, state.markets, state.transactions, members, wakes,
            usual_funding, key, self.reach, weight,
        )  # fmt: skip
