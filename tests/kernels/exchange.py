"""A small venue driven by hand, one transaction or one block at a time, without agents, oracle or world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from abm.invariants import check_invariants
from abm.kernels.book import expire_orders
from abm.kernels.conditionals import trigger_conditionals
from abm.kernels.margin import account_risk, assess_accounts
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import Deleveraging, NoDeleveraging
from abm.mechanisms.liquidation import Liquidation, PartialLiquidation
from abm.mechanisms.margin import FlatMargin, Margin
from abm.mechanisms.ordering import Ordering, RandomOrdering
from abm.state import (
    CANCEL,
    CANCEL_ALL,
    FILLED,
    LIQUIDATE,
    NEVER,
    NOBODY,
    PLACE,
    REASONS,
    Capacity,
    State,
)

COHORTS = tuple(f"cohort {number}" for number in range(8))
CAPACITY = Capacity(orders=256, conditionals=32, transactions=128, records=512)
TEN_AND_FIVE_PERCENT = FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5)
PARTIAL = PartialLiquidation()
NOBODY_TAKES_OVER = NoDeleveraging()
AT_RANDOM = RandomOrdering()


class Resting(NamedTuple):
    """One order in the book."""

    row: int
    account: int
    side: int
    tick: int
    lots: int
    handle: int


class Fill(NamedTuple):
    taker: int
    maker: int
    side: int
    tick: int
    lots: int


class Outcome(NamedTuple):
    """What one transaction did: its fills, the reasons of all orders that ended, and what it says of itself."""

    fills: list[Fill]
    ended: list[tuple[int, str]]  # (account, reason) of resting orders that it removed
    reason: str  # why the transaction failed or stopped; "filled" when it did what it could


class Exchange:
    """Accounts 0 .. n-1 with the same capital; every market of tick and lot 1 unless said otherwise, at `price` USD."""

    def __init__(
        self,
        accounts: int = 6,
        markets: int = 1,
        *,
        ticks: int = 256,
        tick: float = 1.0,
        lot: float = 1.0,
        price: float = 100.0,
        capital: float | Sequence[float] = 1e6,
        margin: Margin = TEN_AND_FIVE_PERCENT,
        liquidation: Liquidation = PARTIAL,
        deleveraging: Deleveraging = NOBODY_TAKES_OVER,
        ordering: Ordering = AT_RANDOM,
        order_limits: tuple[tuple[float, float], ...] = (),
        trigger_band: float = 0.0,
        maker_fee: float = 0.0,
        taker_fee: float = 0.0,
        reward: tuple[float, float] = (0.0, 0.0),
        fund: float = 0.0,
        seed: int = 1,
        capacity: Capacity = CAPACITY,
    ) -> None:
        state = self.state = State(accounts, [f"COIN{k}" for k in range(markets)], [ticks] * markets, 1.0, capacity)
        state.cohorts = COHORTS
        state.accounts["collateral"] = state.accounts["net_deposits"] = state.accounts["equity"] = capital
        state.accounts["maker_fee"] = maker_fee
        state.accounts["taker_fee"] = taker_fee
        state.markets["tick"] = tick
        state.markets["lot"] = lot
        state.markets["unit"] = tick * lot
        state.funds["balance"] = fund
        state.venue["net_deposits"] = state.accounts["net_deposits"].sum() + fund
        for market in range(markets):
            self.set_price(price, market)
        self.clearing = ContinuousBook(order_limits=order_limits, trigger_band=trigger_band)
        self.deleveraging = deleveraging
        self.ordering = ordering
        margin.init(state, seed)
        self._clearing_memory = self.clearing.init(state, seed)
        self._deleveraging_memory = deleveraging.init(state, seed)
        self._ordering_memory = ordering.init(state, seed)
        state.liquidation_terms[:] = liquidation.terms_among(state.cohorts)
        state.liquidation_terms["reward"], state.liquidation_terms["fixed_reward"] = reward

    # the block

    @property
    def block(self) -> int:
        return int(self.state.venue["block"][0])

    def next_block(self) -> None:
        """The next block begins: orders expire, conditional orders trigger, accounts are assessed."""
        s = self.state
        s.venue["block"] += 1
        expire_orders(s.venue, s.accounts, s.markets, s.levels, s.bitmap, s.orders, s.expiry, s.ended_orders)
        trigger_conditionals(s.venue, s.markets, s.conditionals, s.transactions)
        self.assess()

    def assess(self) -> None:
        s = self.state
        assess_accounts(s.venue, s.accounts, s.positions, s.markets, s.margin_tiers, s.funds)

    def clear(self) -> int:
        """Executes what has arrived; returns how many transactions that were."""
        count = self.ordering.arrange(self.state, self._ordering_memory)
        self.clearing.clear(self.state, self._clearing_memory, count)
        return count

    def deleverage(self) -> np.ndarray:
        """Deleverages what liquidations of this block left; returns the records."""
        before = int(self.state.venue["deleveragings"][0])
        self.deleveraging.absorb(self.state, self._deleveraging_memory)
        return self.state.deleveragings[before : int(self.state.venue["deleveragings"][0])]

    def set_price(self, price: float, market: int = 0) -> None:
        for field in ("index", "oracle", "mark"):
            self.state.markets[field][market] = price

    def check(self) -> None:
        check_invariants(self.state)

    def drain(self) -> None:
        """Forgets the records."""
        for name in ("fills", "liquidations", "deleveragings", "funding_payments", "ended_orders"):
            self.state.venue[name] = 0

    # transactions

    def submit(
        self, kind: int, account: int, market: int = 0, *, side: int = 0, tick: int = 0, lots: int = 0, flags: int = 0,
        target: int = NOBODY, expires: int = NEVER, handle: int = 0, amount: float = 0.0, fee: float = 0.0, latency: int = 0,
    ) -> None:  # fmt: skip
        """Writes one transaction that arrives `latency` blocks from now."""
        n = int(self.state.venue["transactions"][0])
        self.state.venue["transactions"] = n + 1
        self.state.transactions[n] = (
            kind, account, market, side, flags, target, tick, lots, expires, handle, amount, fee, self.block, self.block + latency,
        )  # fmt: skip

    def execute(self, kind: int, account: int, market: int = 0, **fields: Any) -> Outcome:
        """Submits one transaction and clears at once."""
        venue = self.state.venue
        fills, ended, failed = (int(venue[name][0]) for name in ("fills", "ended_orders", "transactions_failed"))
        self.submit(kind, account, market, **fields)
        self.clear()
        rows = self.state.ended_orders[ended : int(venue["ended_orders"][0])]
        reasons = [(int(row["account"]), REASONS[int(row["reason"])]) for row in rows]
        reason = REASONS[FILLED]
        if int(venue["transactions_failed"][0]) > failed and kind != LIQUIDATE:
            reason = reasons.pop()[1]
        return Outcome(self.fills(fills), reasons, reason)

    def place(self, account: int, side: int, tick: int, lots: int, flags: int = 0, market: int = 0, expires: int = NEVER) -> Outcome:
        return self.execute(PLACE, account, market, side=side, tick=tick, lots=lots, flags=flags, expires=expires)

    def trade(self, buyer: int, seller: int, lots: int, tick: int, market: int = 0) -> None:
        """The buyer takes an offer that the seller has just made; the book must be out of the way."""
        self.place(seller, -1, tick, lots, market=market)
        outcome = self.place(buyer, 1, tick, lots, market=market)
        assert outcome.fills == [Fill(buyer, seller, 1, tick, lots)], outcome

    def cancel(self, account: int, handle: int) -> Outcome:
        return self.execute(CANCEL, account, handle=handle)

    def cancel_all(self, account: int, market: int = NOBODY) -> Outcome:
        return self.execute(CANCEL_ALL, account, market)

    def liquidate(self, target: int, keeper: int = NOBODY, market: int = NOBODY, fee: float = 0.0) -> np.ndarray:
        """Submits a liquidation and clears at once; returns its records."""
        before = int(self.state.venue["liquidations"][0])
        self.submit(LIQUIDATE, keeper, market, target=target, fee=fee)
        self.clear()
        return self.state.liquidations[before : int(self.state.venue["liquidations"][0])]

    # looking

    def fills(self, first: int = 0) -> list[Fill]:
        """Fills from record number `first` on."""
        rows = self.state.fills[first : int(self.state.venue["fills"][0])]
        return [Fill(*(int(row[name]) for name in Fill._fields)) for row in rows]

    def queue(self, side: int, market: int = 0) -> list[Resting]:
        """Resting orders of one side, the first to trade first."""
        levels, orders = self.state.levels[market], self.state.orders
        ticks = np.flatnonzero(levels["first"])
        found = []
        for tick in ticks[::-1] if side > 0 else ticks:
            row = int(levels["first"][tick]) - 1
            while row != NOBODY:
                order = orders[row]
                if int(order["side"]) == side:
                    handle = (int(order["generation"]) << 32) | row
                    found.append(Resting(row, int(order["account"]), side, int(order["tick"]), int(order["lots"]), handle))
                row = int(order["next"])
        return found

    def lots(self, account: int, market: int = 0) -> int:
        return int(self.state.positions["lots"][account, market])

    def collateral(self, account: int) -> float:
        return float(self.state.accounts["collateral"][account])

    def risk(self, account: int) -> tuple[float, float, float]:
        """(equity, initial margin, maintenance margin) in USD, now."""
        s = self.state
        equity, initial, maintenance = account_risk(s.accounts, s.positions, s.markets, s.margin_tiers, account)
        return float(equity), float(initial), float(maintenance)
