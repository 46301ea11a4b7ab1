"""The order sheet: how a strategy in plain NumPy, or a single trader, writes transactions for many members at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.state import (
    ADD_RANGE,
    CANCEL_ALL,
    CANCEL_CONDITIONALS,
    CONDITIONAL,
    DEPOSIT,
    IMMEDIATE_OR_CANCEL,
    LIQUIDATE,
    NEVER,
    NOBODY,
    PLACE,
    POST_ONLY,
    REDUCE_ONLY,
    REMOVE_RANGE,
    TRIGGER_ABOVE,
    TRIGGER_ON_MARK,
    WITHDRAW,
    State,
)
from abm.units import lots_within, ticks_above, ticks_below

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64] | float
REACH = 0.1  # how far beyond the mark price a market order may go


class OrderSheet:
    """Writes the orders of a cohort. `who` is a mask (n,) of members; other arguments are one value for all or one per member (n,).

    Sizes are in coins and are rounded down to lots, prices in USD and are rounded to ticks away from the market (bids down, asks up).
    A size that rounds to nothing sends nothing.
    """

    __slots__ = ("_state", "_rows", "_stride", "_latency")

    def __init__(self, state: State, rows: NDArray[np.int64], stride: int, latency: NDArray[np.int64]) -> None:
        self._state = state
        self._rows = rows
        self._stride = stride
        self._latency = latency

    def market(self, who: Mask, market: int, side: Numbers, size: Numbers, *, reduce_only: bool = False) -> None:
        """Takes what the book offers at once, up to 10 % beyond the mark price."""
        sides = self._sides(side)
        limit = np.float64(self._state.markets["mark"][market]) * (1.0 + REACH * sides)
        flags = IMMEDIATE_OR_CANCEL | (REDUCE_ONLY if reduce_only else 0)
        self._write(who, PLACE, market, sides, size, limit, flags, NEVER, 0.0)

    def limit(
        self,
        who: Mask,
        market: int,
        side: Numbers,
        size: Numbers,
        price: Numbers,
        *,
        post_only: bool = False,
        reduce_only: bool = False,
        immediate_or_cancel: bool = False,
        blocks: int | None = None,
    ) -> None:
        """Buys or sells at `price` or better; what is left rests for `blocks` blocks, or until cancelled."""
        flags = POST_ONLY * post_only | REDUCE_ONLY * reduce_only | IMMEDIATE_OR_CANCEL * immediate_or_cancel
        expires = NEVER if blocks is None else int(self._state.venue["block"][0]) + blocks
        self._write(who, PLACE, market, self._sides(side), size, price, flags, expires, 0.0)

    def conditional(
        self,
        who: Mask,
        market: int,
        side: Numbers,
        size: Numbers,
        trigger: Numbers,
        *,
        above: bool,
        on_mark: bool = False,
        reduce_only: bool = True,
    ) -> None:
        """A market order that waits until the oracle (or mark) price is at or `above` / below `trigger` USD: a stop or a take-profit."""
        sides = self._sides(side)
        limit: NDArray[np.float64] = np.asarray(trigger, np.float64) * (1.0 + REACH * sides)
        flags = IMMEDIATE_OR_CANCEL | REDUCE_ONLY * reduce_only | TRIGGER_ABOVE * above | TRIGGER_ON_MARK * on_mark
        self._write(who, CONDITIONAL, market, sides, size, limit, flags, NEVER, trigger)

    def cancel_all(self, who: Mask, market: int | None = None) -> None:
        """Cancels all resting orders in a market, or in all markets (cross margin)."""
        k = NOBODY if market is None else market
        self._append(self._members(who), CANCEL_ALL, k, 0, 0, 0, 0, NEVER, 0.0, NOBODY, 0.0)

    def cancel_conditionals(self, who: Mask, market: int) -> None:
        """Cancels all waiting conditional orders in a market."""
        self._append(self._members(who), CANCEL_CONDITIONALS, market, 0, 0, 0, 0, NEVER, 0.0, NOBODY, 0.0)

    def liquidate(self, who: Mask, target: int, fee: float = 0.0) -> None:
        """Asks the venue to liquidate account `target`, at `fee` USD of gas."""
        self._append(self._members(who), LIQUIDATE, NOBODY, 0, 0, 0, 0, NEVER, 0.0, target, fee)

    def add_range(self, who: Mask, market: int, low: Numbers, high: Numbers, amount: Numbers) -> None:
        """Provides liquidity worth `amount` USD between the prices `low` and `high` (USD), where the venue takes ranges."""
        row = self._state.markets[market]
        members = self._members(who)
        values = [np.broadcast_to(np.asarray(value, np.float64), self._rows.shape)[members] for value in (low, high, amount)]
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError("prices and amounts must be finite")
        tick, highest = float(row["tick"]), int(row["ticks"]) - 1
        lows = np.array([min(max(ticks_below(price, tick), 1), highest) for price in values[0].tolist()], np.int64)
        highs = np.array([min(max(ticks_above(price, tick), 1), highest) for price in values[1].tolist()], np.int64)
        self._append(members, ADD_RANGE, market, 0, 0, lows, 0, NEVER, values[2], NOBODY, 0.0, highs)

    def remove_ranges(self, who: Mask, market: int) -> None:
        """Takes all liquidity in ranges of a market back; what it has bought or sold stays as a position."""
        self._append(self._members(who), REMOVE_RANGE, market, 0, 0, 0, 0, NEVER, 0.0, NOBODY, 0.0)

    def deposit(self, who: Mask, amount: Numbers) -> None:
        """Pays `amount` USD from outside into the account (isolated margin: into the first market's)."""
        self._money(who, DEPOSIT, amount)

    def withdraw(self, who: Mask, amount: Numbers) -> None:
        """Takes `amount` USD out, if margin and the venue's withdrawal gate allow."""
        self._money(who, WITHDRAW, amount)

    def spot(self, who: Mask, market: int, size: Numbers) -> None:
        """Buys `size` coins (> 0) or sells them (< 0) on the outside market before the next block; sizes are not rounded."""
        members = self._members(who)
        sizes = np.broadcast_to(np.asarray(size, np.float64), self._rows.shape)[members]
        if not np.isfinite(sizes).all():
            raise ValueError("sizes must be finite")
        state = self._state
        first = int(state.venue["spot_orders"][0])
        state.venue["spot_orders"] = first + len(members)
        if first + len(members) > len(state.spot_orders):
            return
        rows = state.spot_orders[first : first + len(members)]
        rows["account"] = self._rows[members] + market * self._stride
        rows["market"] = market
        rows["size"] = sizes

    def _money(self, who: Mask, kind: int, amount: Numbers) -> None:
        members = self._members(who)
        amounts = np.broadcast_to(np.asarray(amount, np.float64), self._rows.shape)[members]
        if not np.isfinite(amounts).all() or (amounts < 0.0).any():
            raise ValueError("an amount of money must be finite and not negative")
        self._append(members, kind, NOBODY, 0, 0, 0, 0, NEVER, amounts, NOBODY, 0.0)

    def _sides(self, side: Numbers) -> NDArray[np.int64]:
        sides = np.broadcast_to(np.asarray(side), self._rows.shape)
        return np.where(sides > 0, 1, -1).astype(np.int64)

    def _members(self, who: Mask) -> NDArray[np.int64]:
        mask = np.asarray(who)
        if mask.shape != self._rows.shape or mask.dtype != np.bool_:
            raise ValueError(f"who must be a mask of {len(self._rows)} truth values, one per member")
        return np.flatnonzero(mask)

    def _write(
        self, who: Mask, kind: int, market: int, sides: NDArray[np.int64], size: Numbers, price: Numbers, flags: int,
        expires: int, amount: Numbers,
    ) -> None:  # fmt: skip
        row = self._state.markets[market]
        sizes = np.broadcast_to(np.asarray(size, np.float64), self._rows.shape)
        prices = np.broadcast_to(np.asarray(price, np.float64), self._rows.shape)
        members = self._members(who)
        if not (np.isfinite(sizes[members]).all() and np.isfinite(prices[members]).all()):
            raise ValueError("sizes and prices must be finite")
        tick, lot, highest = float(row["tick"]), float(row["lot"]), int(row["ticks"]) - 1
        lots = np.array([lots_within(abs(s), lot) for s in sizes[members].tolist()], np.int64)
        members, lots = members[lots > 0], lots[lots > 0]
        chosen = zip(sides[members].tolist(), prices[members].tolist(), strict=True)
        ticks = [min(max((ticks_below if s > 0 else ticks_above)(p, tick), 1), highest) for s, p in chosen]
        amounts = np.broadcast_to(np.asarray(amount, np.float64), self._rows.shape)[members]
        self._append(members, kind, market, sides[members], flags, np.array(ticks, np.int64), lots, expires, amounts, NOBODY, 0.0)

    def _append(
        self, members: NDArray[np.int64], kind: int, market: int, side: Any, flags: int, tick: Any, lots: Any, expires: int,
        amount: Any, target: int, fee: float, handle: Any = 0,
    ) -> None:  # fmt: skip
        state = self._state
        first = int(state.venue["transactions"][0])
        last = first + len(members)
        state.venue["transactions"] = last
        if last > len(state.transactions):
            return
        block = int(state.venue["block"][0])
        rows = state.transactions[first:last]
        rows["kind"] = kind
        rows["account"] = self._rows[members] + max(market, 0) * self._stride
        rows["market"] = market
        rows["side"] = side
        rows["flags"] = flags
        rows["target"] = target
        rows["tick"] = tick
        rows["lots"] = lots
        rows["expires"] = expires
        rows["handle"] = handle
        rows["amount"] = amount
        rows["fee"] = fee
        rows["submitted"] = block
        rows["arrives"] = block + self._latency[members]
