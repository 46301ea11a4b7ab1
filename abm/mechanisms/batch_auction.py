"""Orders that meet in batches, at one price for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.auction import BATCH_ORDER, clear_by_auction
from abm.kernels.random import fill_uniforms
from abm.mechanisms.clearing import DYDX_ORDER_LIMITS, Clearing, ContinuousBook
from abm.parameters import parameter
from abm.state import NOT_YET, State, Table, empty_table
from abm.streams import stream_key


class AuctionMemory(NamedTuple):
    """Streams of liquidated positions and of batch times, and scratch space."""

    key: np.uint64
    times: np.uint64
    draw: NDArray[np.float64]  # (1, 1)
    batch: Table
    keys: NDArray[np.int64]
    cancelled: NDArray[np.int64]  # (accounts, markets, 2)


@dataclass(frozen=True, kw_only=True)
class BatchAuction(Clearing):
    """Frequent batch auctions: orders wait for the next batch, and meet the book and each other at one price per market.

    The price is the one at which most trades, of several the one with the least imbalance, then the one nearest to the mark. Better limits
    trade first; at the last price orders share "pro rata" or by "time" (resting ones before new ones). Nobody trades worse than its limit;
    the order that came later pays the taker's fee. An order whose account could not carry it whole is left out before the price is made,
    and both sides are checked again at each trade, as in `ContinuousBook`; the next in line trades instead.

    An immediate-or-cancel order ends after its batch, any other rests. A post-only order is refused if it crosses what rests before the
    batch, and may trade in it. Reduce-only holds at the trade. Liquidations are orders at their limit, one position per transaction.
    Cancellations work at once, between batches too, and one of all orders takes back what waits. Conditional orders trigger as always and
    join the next batch.

    A batch is in every `interval_blocks`-th block, or, with `interval` "poisson", after a random time with that mean, rounded up to
    whole blocks. Source: Budish, Cramton and Shim 2015, "The high-frequency trading arms race".
    """

    interval_blocks: float = parameter(1.0, unit="blocks", least=1.0, most=1e6)
    interval: Literal["fixed", "poisson"] = parameter("fixed", unit="how batches follow one another")
    margin_of_price: Literal["pro rata", "time"] = parameter("pro rata", unit="who trades at the last price")
    order_limits: tuple[tuple[float, float], ...] = parameter(DYDX_ORDER_LIMITS, unit="(USD of equity, orders)", about="dYdX equity tiers")
    trigger_band: float = parameter(
        0.005, unit="fraction of the oracle price", least=0.0, most=1.0,
        about="conditional orders also trigger on trades, clamped to this distance from the oracle; 0: on the oracle alone",
    )  # fmt: skip

    def inconsistencies(self) -> list[str]:
        problems = []
        equities = [row[0] for row in self.order_limits]
        if equities != sorted(equities):
            problems.append("BatchAuction.order_limits: equities must rise from row to row")
        for name, value, known in (
            ("interval", self.interval, ("fixed", "poisson")),
            ("margin_of_price", self.margin_of_price, ("pro rata", "time")),
        ):
            if value not in known:
                problems.append(f"BatchAuction.{name}: {value!r} is not one of {', '.join(known)}")
        if self.interval == "fixed" and self.interval_blocks != round(self.interval_blocks):
            problems.append(f"BatchAuction.interval_blocks: {self.interval_blocks:g} must be a whole number where the interval is fixed")
        return problems

    def init(self, state: State, seed: int) -> AuctionMemory:
        key = ContinuousBook(order_limits=self.order_limits, trigger_band=self.trigger_band).init(state, seed)
        room = len(state.orders) + len(state.transactions)
        return AuctionMemory(
            key=key,
            times=stream_key(seed, "batches"),
            draw=np.zeros((1, 1)),
            batch=empty_table(room, BATCH_ORDER),
            keys=np.zeros((room, 2), np.int64),
            cancelled=np.full((state.n_accounts, state.n_markets, 2), NOT_YET, np.int64),
        )

    def is_batch(self, state: State, memory: AuctionMemory) -> bool:
        """Whether the orders that wait meet in this block."""
        block = state.venue["block"].item()
        if self.interval == "fixed":
            return bool(block % int(self.interval_blocks) == 0)
        fill_uniforms(memory.times, block, memory.draw)
        return bool(memory.draw[0, 0] < -math.expm1(-1.0 / self.interval_blocks))

    def clear(self, state: State, memory: AuctionMemory, count: int) -> None:
        if count == 0:
            return
        clear_by_auction(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidated_lots, state.order_limits, state.liquidation_terms, memory.key, count, memory.batch,
            memory.keys, memory.cancelled, self.is_batch(state, memory), self.margin_of_price == "pro rata",
        )  # fmt: skip
