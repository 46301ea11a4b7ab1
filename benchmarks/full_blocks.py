"""Full blocks: every trader sends an order in every block, and the venue does all it has to do.

1,000 and 10,000 traders, 4 markets, dYdX v4 rules: margin of every account, fees, premium votes and funding, the scan for
liquidations, clearing with the collateral of both sides. Half of the orders rest near the mid and expire after five blocks, half
take at once; about six in ten trade. Recording is reduced to a look at the start.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from measuring import Figure, best_seconds, show

from abm.agents.base import Group, Recruits, Strategy, View
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.kernels.transactions import submit_order
from abm.mechanisms.listing import Listing
from abm.mechanisms.presets import PRESETS
from abm.model import PerpModel
from abm.parameters import parameter
from abm.recorder import Recording
from abm.state import IMMEDIATE_OR_CANCEL
from abm.worlds.diffusion import Diffusion

MARKETS = 4


@kernel
def decide_busy(venue, markets, transactions, members, key, lifetime):
    """Every member sends one order in a market of its choice: in or behind the best price, or across it and at once."""
    block = venue[0].block
    for j in range(members.shape[0]):
        u0, u1, u2, u3 = four_uniforms(key, block, j, 0)
        k = int(u0 * markets.shape[0])
        side = 1 if u1 < 0.5 else -1
        oracle = int(markets[k].oracle / markets[k].tick)
        lots = 1 + int(u3 * 100.0)
        if u2 < 0.5:
            tick = oracle - side * (1 + int(u2 * 80.0))
            submit_order(venue, transactions, members[j].row, k, side, tick, lots, 0, block + lifetime, 0)
        else:
            submit_order(venue, transactions, members[j].row, k, side, oracle + side * 25, lots, IMMEDIATE_OR_CANCEL, block + lifetime, 0)


@dataclass(frozen=True, kw_only=True)
class BusyTraders(Strategy):
    """Zero intelligence, every block."""

    lifetime_blocks: int = parameter(5, unit="blocks", least=1, about="after which a resting order ends")

    def init(self, recruits: Recruits) -> tuple[Any, np.uint64]:
        return recruits.table([]), recruits.key("busy")

    def decide(self, view: View, memory: tuple[Any, np.uint64]) -> None:
        state = view.state
        decide_busy(state.venue, state.markets, state.transactions, memory[0], memory[1], self.lifetime_blocks)


def busy_model(traders: int, blocks: int, seed: int = 1) -> PerpModel:
    listings = tuple(Listing(symbol=f"M{k}", tick=1.0, lot=0.0001, highest_price=100_000.0) for k in range(MARKETS))
    return PerpModel(
        replace(PRESETS["dydx_v4"](), listings=listings),
        Diffusion(initial_price=20_000.0, volatility=0.5, correlation=0.6, correlation_in_stress=0.9, jump_scale=0.001),
        [Group(name="busy", members=traders, strategy=BusyTraders(), capital=1e6)],
        blocks=blocks,
        seed=seed,
        recording=Recording(every_seconds=3600.0, book_every_seconds=86_400.0, positions_every_seconds=86_400.0, fills=False),
    )


def measure(traders: tuple[int, ...] = (1_000, 10_000), steps: int = 500_000, repeats: int = 20) -> list[Figure]:
    figures = []
    for n in traders:
        blocks = max(steps // n, 5)
        model = busy_model(n, blocks * (repeats + 1))
        model.run(blocks)
        before = model.state.venue["transactions_executed"][0]
        traded = int(model.state.markets["trades"].sum())
        seconds = best_seconds(lambda model=model, blocks=blocks: model.run(blocks), repeats)
        executed = model.state.venue["transactions_executed"][0] - before
        if executed != n * blocks * repeats:
            raise AssertionError(f"{executed} transactions from {n} traders in {blocks * repeats} blocks")
        traded = int(model.state.markets["trades"].sum()) - traded
        note = (
            f"{traded / executed:.2f} fills a step; {model.state.venue['orders_live'][0]:,} rest; {seconds / blocks * 1e6:,.0f} us a block"
        )
        figures.append(
            Figure(f"full blocks, {n:,} traders x {MARKETS} markets", n * blocks / seconds / 1e6, "million agent-steps/s", 6.0, True, note)
        )
    return figures


if __name__ == "__main__":
    sizes = tuple(int(a) for a in sys.argv[1:] if a.isdigit())
    show(measure(sizes or (1_000, 10_000)))
