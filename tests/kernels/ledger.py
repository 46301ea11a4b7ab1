"""A second set of books, kept from the records alone in plain Python, to hold the venue's own against."""

from __future__ import annotations

import numpy as np

from tests.kernels.exchange import Exchange

EXACT = 1e-9  # relative to all that went through an account


class Ledger:
    """Follows an `Exchange` from now on: what every account must own by the records of what happened."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        state = exchange.state
        self.cash = state.accounts["collateral"].astype(float).copy()
        self.gross = np.abs(self.cash)
        self.lots = state.positions["lots"].astype(np.int64).copy()
        self.cost = state.positions["entry_value"].astype(float).copy()
        self.realised = np.zeros_like(self.cash)
        self.socialised = state.accounts["socialised"].astype(float).copy()
        self.before = self.cash + self.cost.sum(axis=1) - self.streams()
        exchange.drain()

    def streams(self) -> np.ndarray:
        """USD (n,) of every account that did not come from prices."""
        accounts = self.exchange.state.accounts
        return sum(accounts[name] for name in ("net_deposits", "fees", "funding", "liquidation", "rewards", "socialised"))

    def read_records(self) -> None:
        """Books everything recorded since the last call, and drains the records."""
        state = self.exchange.state
        unit, lot = state.markets["unit"], state.markets["lot"]
        for row in state.fills[: int(state.venue["fills"][0])]:
            k, taker, maker = int(row["market"]), int(row["taker"]), int(row["maker"])
            change = int(row["side"]) * int(row["lots"])
            value = float(row["lots"] * row["tick"]) * float(unit[k])
            self.trade(taker, k, change, value)
            self.trade(maker, k, -change, value)
            self.pay(taker, -float(row["taker_fee"]))
            self.pay(maker, -float(row["maker_fee"]))
        for row in state.liquidations[: int(state.venue["liquidations"][0])]:
            self.pay(int(row["account"]), -float(row["fund_delta"]))
            if row["reward"] != 0.0:
                self.pay(int(row["keeper"]), float(row["reward"]))
        for row in state.deleveragings[: int(state.venue["deleveragings"][0])]:
            k = int(row["market"])
            change = int(row["side"]) * int(row["lots"])
            value = float(row["lots"]) * float(lot[k]) * float(row["price"])
            self.trade(int(row["liquidated"]), k, change, value)
            self.trade(int(row["counterparty"]), k, -change, value)
        for account, borne in enumerate(state.accounts["socialised"]):  # leaves no record of its own
            self.pay(account, float(borne) - float(self.socialised[account]))
            self.socialised[account] = borne
        self.exchange.drain()

    def trade(self, account: int, market: int, change: int, value: float) -> None:
        """`change` lots bought (> 0) or sold for `value` USD; cost basis at the average entry price."""
        self.pay(account, -value if change > 0 else value)
        held = int(self.lots[account, market])
        closed = min(abs(change), abs(held)) if held * change < 0 else 0
        if closed:
            entry = self.cost[account, market] / held
            price = value / abs(change)
            self.realised[account] += (1 if held > 0 else -1) * closed * (price - entry)
            self.cost[account, market] -= entry * closed * (1 if held > 0 else -1)
        opened = abs(change) - closed
        if opened:
            self.cost[account, market] += (1 if change > 0 else -1) * value * opened / abs(change)
        self.lots[account, market] = held + change

    def pay(self, account: int, amount: float) -> None:
        self.cash[account] += amount
        self.gross[account] += abs(amount)

    def fund(self, market: int, per_coin: float) -> None:
        """Longs pay `per_coin` USD."""
        lot = float(self.exchange.state.markets["lot"][market])
        for account in range(len(self.cash)):
            self.pay(account, -int(self.lots[account, market]) * lot * per_coin)

    def compare(self) -> None:
        """Positions to the lot, money to 1e-9, and each account's profit and loss statement, equity explained stream by stream."""
        state = self.exchange.state
        accounts = state.accounts
        assert (state.positions["lots"] == self.lots).all(), (state.positions["lots"], self.lots)
        off = np.abs(accounts["collateral"] - self.cash)
        assert (off <= EXACT * (1.0 + self.gross)).all(), f"collateral {accounts['collateral']}, by the records {self.cash}"
        scale = EXACT * (1.0 + self.gross)[:, None]
        assert (np.abs(state.positions["entry_value"] - self.cost) <= scale).all(), (state.positions["entry_value"], self.cost)
        worth = accounts["collateral"] + (self.lots * (state.markets["lot"] * state.markets["mark"])).sum(axis=1)
        unrealised = (self.lots * (state.markets["lot"] * state.markets["mark"]) - self.cost).sum(axis=1)
        explained = self.before + self.streams() + self.realised + unrealised
        assert (np.abs(worth - explained) <= EXACT * (1.0 + self.gross) + 1e-12 * np.abs(worth)).all(), (worth, explained)
