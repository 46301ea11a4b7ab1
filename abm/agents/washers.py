"""Manipulators of the last trade: two accounts of one owner trade with each other at the price they want to be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.agents.base import Recruits, Strategy, View
from abm.parameters import parameter
from abm.state import BOOK


@dataclass(frozen=True, kw_only=True)
class Washers(Strategy):
    """Wash the last trade: one account offers inside the spread, the next one takes it, so that the last price is theirs.

    Members come in pairs (a last one without partner does nothing). Between `start_seconds` and `stop_seconds` the even member offers
    `size` USD at (1 + `target`) times the oracle price, or as near as the spread of the book lets it, and the odd member takes it a
    block later; on the next turn they change sides, so that positions stay flat. Where a mark price listens to the last trade
    it moves by what the spread is wide; each wash costs the fees of both sides, which is the cohort's whole loss. A median of which
    two parts come from the book, as Hyperliquid's, gives way to washing that goes on for longer than its averages; the oracle's price
    does not.
    """

    symbol: str = parameter("", unit="market name; empty = the first")
    target: float = parameter(0.02, unit="fraction of the oracle price, either sign", least=-0.9, most=9.0)
    size: float = parameter(1_000.0, unit="USD per wash", least=0.0)
    start_seconds: float = parameter(600.0, unit="seconds since the start", least=0.0)
    stop_seconds: float = parameter(3_600.0, unit="seconds since the start", least=0.0)
    every_blocks: int = parameter(4, unit="blocks from one wash to the next", least=2, most=1_000_000)

    def init(self, recruits: Recruits) -> None:
        """Nothing to remember: the positions say whose turn it is."""

    def decide(self, view: View, memory: None) -> None:
        if not self.start_seconds <= view.seconds < self.stop_seconds or not view.offers(BOOK):
            return
        phase = view.block % self.every_blocks
        if phase > 1:
            return
        market = view.market(self.symbol) if self.symbol else 0
        row = view.state.markets[market]
        tick = float(row["tick"])
        bid, ask, end = int(row["best_bid"]), int(row["best_ask"]), int(row["ticks"])
        numbers = np.arange(len(view.rows))
        paired = numbers < 2 * (len(numbers) // 2)
        # Whoever is long sells back; both flat, the even member sells first.
        held = view.size(market)[: 2 * (len(numbers) // 2) : 2]
        even_sells = np.repeat(held >= 0.0, 2)
        sells = np.zeros(len(numbers), bool)
        sells[paired] = np.where(numbers[paired] % 2 == 0, even_sells, ~even_sells)
        if phase == 0:
            wanted = round(view.price(market, "oracle") * (1.0 + self.target) / tick)
            lowest, highest = bid + 1, (ask if ask < end else end) - 1
            if lowest > highest:
                return
            price = min(max(wanted, lowest), highest) * tick
            view.orders.limit(paired & sells, market, -1, self.size / price, price, post_only=True, blocks=self.every_blocks)
        elif ask < end:
            # The best ask is their own if it is still there; the buyer asks for no more than was offered.
            price = ask * tick
            view.orders.limit(paired & ~sells, market, 1, self.size / price, price, immediate_or_cancel=True)
