"""Manipulators of the mid: quotes that are meant to be seen and not to be filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.parameters import parameter
from abm.state import BOOK


@dataclass(frozen=True, kw_only=True)
class Spoofers(Strategy):
    """Spoof the mid: large quotes on one side inside the spread, renewed while others look and cancelled at the end.

    Between `start_seconds` and `stop_seconds` a member keeps a resting order of `size` USD on `side`, at `share` of the way from the
    best price of its side to that of the other, always at least a tick short of it. The mid, impact prices and every mark and
    funding rule that listens to them move by half of what the spread narrows. Before that it takes a position of `position` USD on
    the side `stake`, which gains from the mark or from funding, and closes it at `stop_seconds`. The risk is that somebody trades with the
    quote: what that costs, with fees, is the `price` and `fees` profit of the cohort, and the gain its `funding`.
    """

    symbol: str = parameter("", unit="market name; empty = the first")
    side: int = parameter(1, unit="+1 bids, -1 offers", least=-1, most=1)
    size: float = parameter(100_000.0, unit="USD per quote", least=0.0)
    share: float = parameter(0.9, unit="fraction of the spread", least=0.0, most=1.0)
    position: float = parameter(10_000.0, unit="USD", least=0.0)
    stake: int = parameter(-1, unit="+1 long, -1 short", least=-1, most=1)
    reach: float = parameter(0.02, unit="fraction beyond the mark price", least=0.0, most=0.99)
    enter_seconds: float = parameter(0.0, unit="seconds since the start", least=0.0)
    start_seconds: float = parameter(600.0, unit="seconds since the start", least=0.0)
    stop_seconds: float = parameter(3_600.0, unit="seconds since the start", least=0.0)

    def inconsistencies(self) -> list[str]:
        return [f"{type(self).__name__}.side: must be +1 or -1"] if self.side == 0 else []

    def init(self, recruits: Recruits) -> NDArray[np.int64]:
        """Best price of its side without its own quote, as it last saw it (1,), in ticks."""
        return np.zeros(1, np.int64)

    def decide(self, view: View, clean: NDArray[np.int64]) -> None:
        if view.seconds < self.enter_seconds or not view.offers(BOOK):
            return
        market = view.market(self.symbol) if self.symbol else 0
        price = view.price(market)
        everybody = np.full(len(view.rows), True)
        if view.seconds >= self.stop_seconds:
            held = view.size(market)
            view.orders.cancel_all(everybody & (view.state.accounts["open_orders"][view.accounts(market)] > 0), market)
            view.orders.market(held != 0.0, market, -np.sign(held), np.abs(held), reduce_only=True)
            return
        if view.seconds < self.start_seconds:
            gap = self.stake * self.position / price - view.size(market)
            limit = price * (1.0 + self.stake * self.reach)
            view.orders.limit(gap * self.stake > 0.0, market, self.stake, np.abs(gap), limit, immediate_or_cancel=True)
            return
        row = view.state.markets[market]
        bid, ask, end = int(row["best_bid"]), int(row["best_ask"]), int(row["ticks"])
        if bid == 0 or ask == end:
            return
        mine = bool((view.state.accounts["open_orders"][view.accounts(market)] > 0).any())
        own, other = (bid, ask) if self.side > 0 else (ask, bid)
        # While its own quote is the best one, the price behind it is the one it saw before.
        if not mine or clean[0] == 0:
            clean[0] = own
        tick = clean[0] + self.side * int(self.share * abs(other - clean[0]))
        tick = min(tick, ask - 1) if self.side > 0 else max(tick, bid + 1)
        view.orders.cancel_all(everybody, market)
        view.orders.limit(everybody, market, self.side, self.size / price, tick * float(row["tick"]), post_only=True, blocks=2)
