"""Manipulators of a thin spot market: they take a position where the oracle price decides, push the spot, and get out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.agents.paper_profit import free_money
from abm.parameters import parameter
from abm.state import BOOK

Exit = Literal["close", "withdraw", "hold"]
RETRY = 10  # blocks between two orders towards the position: longer than any venue lets an order wait


class PumpMemory(NamedTuple):
    """Of each member (n,): coins it wants in this trip, and the outside price that it started from; and the trip it is in (1,)."""

    coins: NDArray[np.float64]
    start: NDArray[np.float64]
    trip: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class OraclePumpers(Strategy):
    """Pump the thin spot behind an oracle: open at the oracle price, move the spot by `target`, take the profit, sell the coins.

    From `enter_seconds` each member takes a position of `position` USD at the outside price. From `push_seconds` it buys `pace` USD of
    coins outside per block (sells, for a short) while the price is less than `target` away from where it started, and so holds it there.
    At `exit_seconds` it closes the position ("close"), or withdraws what the venue lets it withdraw against its paper profit
    ("withdraw"), or leaves the position alone ("hold"); what it holds outside is sold at `pace` from `sell_seconds` on. All times
    count from the beginning of a trip; there are `trips` of them, `trip_seconds` apart, with the other side each time if `alternates`.

    Where D USD move the spot by a fraction x = 1 and the push decays by itself, a position Q gains Q (x - 2 fee) and the D x of coins
    cost half the push each, D x^2 / 2 in all: it pays while x is below about 2 Q / D. Two cohorts with opposite `side` trade with each
    other where nobody else does, as in October 2022 at Mango Markets. Gain and cost are the cohort's `price` and `outside` profit.
    """

    symbol: str = parameter("", unit="market name; empty = the first")
    side: int = parameter(1, unit="+1 long, -1 short", least=-1, most=1)
    position: float = parameter(50_000.0, unit="USD, at the outside price when it enters", least=0.0)
    price: float = parameter(0.0, unit="USD, of its own limit order; 0: the outside price", least=0.0)
    reach: float = parameter(0.01, unit="fraction beyond that price", least=0.0, most=0.99)
    target: float = parameter(0.05, unit="fraction of the outside price, by which it is moved", least=0.0, most=1e3)
    pace: float = parameter(10_000.0, unit="USD of spot per block; 0: it does not push", least=0.0)
    enter_seconds: float = parameter(0.0, unit="seconds since the trip began", least=0.0)
    push_seconds: float = parameter(600.0, unit="seconds since the trip began", least=0.0)
    exit_seconds: float = parameter(1_800.0, unit="seconds since the trip began", least=0.0)
    sell_seconds: float = parameter(1_860.0, unit="seconds since the trip began", least=0.0)
    leaves: Exit = parameter("close", unit="close, withdraw or hold")
    trips: int = parameter(1, unit="trips", least=1, most=1_000_000)
    trip_seconds: float = parameter(3_600.0, unit="seconds from one trip to the next", least=1e-3)
    alternates: bool = parameter(False, unit="yes or no", about="every second trip has the other side")

    def inconsistencies(self) -> list[str]:
        name = type(self).__name__
        problems = []
        if self.side == 0:
            problems.append(f"{name}.side: must be +1 or -1")
        if self.leaves not in ("close", "withdraw", "hold"):
            problems.append(f"{name}.leaves: {self.leaves!r} is not one of 'close', 'withdraw', 'hold'")
        if not self.enter_seconds <= self.push_seconds <= self.exit_seconds <= self.sell_seconds:
            problems.append(f"{name}.push_seconds: enter, push, exit and sell must follow each other")
        return problems

    def init(self, recruits: Recruits) -> PumpMemory:
        n = recruits.members
        return PumpMemory(np.zeros(n), np.zeros(n), np.full(1, -1, np.int64))

    def decide(self, view: View, memory: PumpMemory) -> None:
        trip = int(view.seconds // self.trip_seconds)
        now = view.seconds - trip * self.trip_seconds
        if now < self.enter_seconds or (trip >= self.trips and memory.trip[0] < 0):
            return
        market = view.market(self.symbol) if self.symbol else 0
        index = view.price(market, "index")
        side = -self.side if self.alternates and trip % 2 else self.side
        if trip < self.trips and memory.trip[0] != trip:
            memory.trip[0] = trip
            memory.start[:] = index
            memory.coins[:] = side * self.position / index
        everybody = np.full(len(view.rows), True)
        held = view.size(market)
        outside = view.state.outside["size"][view.accounts(market), market]
        if trip >= self.trips or now >= self.exit_seconds:
            if self.leaves == "close":
                view.orders.market(everybody, market, -np.sign(held), np.abs(held), reduce_only=True)
            elif self.leaves == "withdraw":
                view.orders.withdraw(everybody, free_money(view))
            if now >= self.sell_seconds and np.any(outside != 0.0):
                view.orders.spot(outside != 0.0, market, -np.sign(outside) * np.minimum(np.abs(outside), self.pace / index))
            return
        if now < self.push_seconds:
            if int((now - self.enter_seconds) / view.state.seconds_per_block + 1e-9) % RETRY == 0:
                self._open(view, market, memory.coins - held, self.price or index)
            return
        if self.pace > 0.0:
            far = side * np.log(index / memory.start) < abs(np.log1p(side * min(self.target, 0.99 if side < 0 else self.target)))
            view.orders.spot(far, market, side * self.pace / index)

    def _open(self, view: View, market: int, gap: NDArray[np.float64], price: float) -> None:
        """One order towards the position; on a book the rest waits for the others until the next block."""
        sides = np.sign(gap)
        wants = sides != 0.0
        if view.offers(BOOK):
            view.orders.cancel_all(wants, market)
            view.orders.limit(wants, market, sides, np.abs(gap), price * (1.0 + self.reach * sides), blocks=RETRY)
        else:
            view.orders.limit(wants, market, sides, np.abs(gap), price * (1.0 + self.reach * sides), immediate_or_cancel=True)
