"""What a venue promises of one order, one liquidation, one deleveraging: done and checked from all sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from abm.kernels.margin import account_risk_after, open_interest_change, transition_result
from abm.mechanisms.deleveraging import Deleveraging, RandomDeleveraging, RankedDeleveraging, SocialisedLoss
from abm.mechanisms.margin import FlatMargin, Margin, OpenInterestMargin
from abm.state import (
    ACTIVE,
    FUND_EXHAUSTED,
    IMMEDIATE_OR_CANCEL,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
    POST_ONLY,
    REDUCE_ONLY,
    REDUCE_ONLY_DROPPED,
    State,
)
from tests.kernels.exchange import Exchange, Outcome, Resting

Risk = tuple[float, float, float]  # equity, initial margin, maintenance margin in USD


def slack(*amounts: float) -> float:
    """USD that floating-point sums of such amounts may be off by."""
    return 1e-9 * (1.0 + sum(abs(amount) for amount in amounts))


class Promises:
    """Acts on an `Exchange` and holds it to what it promises. Subclasses set the attributes."""

    exchange: Exchange
    margin: Margin
    deleveraging: Deleveraging

    @property
    def state(self) -> State:
        return self.exchange.state

    @property
    def everybody(self) -> range:
        return range(self.state.n_accounts)

    @property
    def books(self) -> range:
        return range(self.state.n_markets)

    # orders

    def place_order(self, account: int, market: int, side: int, tick: int, lots: int, flags: int, expires: int) -> Outcome:
        """Places one order and checks everything that is promised of one."""
        state = self.state
        queue = self.exchange.queue(-side, market)
        reduces = {order.row for order in queue if int(state.orders["flags"][order.row]) & REDUCE_ONLY}
        positions = state.positions["lots"][:, market].copy()
        risks = [self.exchange.risk(i) for i in self.everybody]
        own = int(state.accounts["open_orders"][account])
        dead = expires <= self.exchange.block
        outcome = self.exchange.place(account, side, tick, lots, flags, market, expires)
        filled = sum(fill.lots for fill in outcome.fills)
        assert filled <= lots
        if state.markets["status"][market] != ACTIVE:
            assert outcome == ([], [], "market_halted")
        assert not (flags & POST_ONLY and outcome.fills), "a post-only order took"
        assert not (dead and outcome.fills), "an order that had expired traded"
        for fill in outcome.fills:
            assert fill.taker == account != fill.maker
            assert fill.side == side
            assert fill.lots > 0
            assert fill.tick <= tick if side > 0 else fill.tick >= tick, "traded through the limit"
        self.in_priority(queue, reduces, positions.copy(), outcome)
        if flags & REDUCE_ONLY:
            assert filled <= max(-side * int(positions[account]), 0), "a reduce-only order opens or flips"
        # Where margin rises with open interest, later fills of the order may lift what earlier makers must hold.
        makers = [fill.maker for fill in outcome.fills][-1 if isinstance(self.margin, OpenInterestMargin) else 0 :]
        for i in {account, *makers} if outcome.fills else ():
            self.margin_kept(risks[i], self.exchange.risk(i))
        rests = int(state.accounts["open_orders"][account]) - own + sum(who == account for who, _ in outcome.ended)
        assert rests in (0, 1)
        if rests:
            assert outcome.reason == "filled"
            assert not flags & IMMEDIATE_OR_CANCEL
            assert not dead
            mine = [order for order in self.exchange.queue(side, market) if order.account == account and order.tick == tick]
            assert mine[-1].lots <= lots - filled
        return outcome

    def in_priority(self, queue: list[Resting], reduces: set[int], positions: Any, outcome: Outcome) -> None:
        """Fills go down the queue by price and time: nobody ahead of the last to trade still waits in full."""
        live = {order.handle: order.lots for side in (1, -1) for k in self.books for order in self.exchange.queue(side, k)}
        place = 0
        for number, fill in enumerate(outcome.fills):
            while queue[place].account != fill.maker or queue[place].tick != fill.tick or queue[place].lots < fill.lots:
                assert queue[place].handle not in live, "an order ahead in the queue was passed over"
                place += 1
            order = queue[place]
            before = int(positions[order.account])
            positions[order.account] -= fill.side * fill.lots
            if order.row in reduces:
                after = int(positions[order.account])
                assert abs(after) < abs(before), "a resting reduce-only order opens"
                assert after * before >= 0, "a resting reduce-only order flips"
            last = number == len(outcome.fills) - 1
            assert order.handle not in live or last
            if order.handle in live:
                assert live[order.handle] == order.lots - fill.lots
            place += 1

    def margin_kept(self, before: Risk, after: Risk) -> None:
        """Initial margin is met after a trade, or the account had none to lose and is not worse off."""
        equity, initial, maintenance = after
        if equity >= initial - slack(equity, initial):
            return
        assert before[0] < before[1], "a trade leaves an account below initial margin that was not"
        assert maintenance <= before[2] + slack(before[2])
        rounding = slack(equity * before[2], before[0] * maintenance, before[2] * maintenance)
        assert equity * before[2] >= before[0] * maintenance - rounding

    # liquidations

    def liquidate_account(self, victim: int, keeper: int, market: int) -> None:
        """One attempt at one account, healthy or not."""
        state = self.state
        equity, _, maintenance = self.exchange.risk(victim)
        held = [self.exchange.lots(victim, k) for k in self.books]
        fund = float(state.funds["balance"][0])
        with self.no_new_shortfall():
            records = self.exchange.liquidate(victim, keeper, market, fee=2.0)
        assert len(records) >= 1
        closed = dict.fromkeys(self.books, 0)
        for record in records:
            k = int(record["market"])
            if k != NOBODY:
                closed[k] += int(record["side"]) * int(record["lots"])
                assert record["lots"] <= record["lots_wanted"] <= abs(held[k])
                assert state.markets["status"][k] == ACTIVE or record["lots"] == 0
        for k in self.books:
            left = self.exchange.lots(victim, k)
            assert left == held[k] + closed[k]
            assert left * held[k] >= 0, "a liquidation flips a position"
            assert abs(left) <= abs(held[k]), "a liquidation grows a position"
        if not (maintenance > 0.0 and maintenance > equity):
            assert not any(closed.values())
            assert fund == state.funds["balance"][0]
            assert [int(record["result"]) for record in records] == [NOT_LIQUIDATABLE], "somebody healthy was liquidated"

    @contextmanager
    def no_new_shortfall(self) -> Iterator[None]:
        """What accounts owe does not grow: in sum, and one by one where a loss is not shared out."""
        before = np.array([min(self.exchange.risk(i)[0], 0.0) for i in self.everybody])
        scale = max(abs(equity) + maintenance for equity, _, maintenance in map(self.exchange.risk, self.everybody))
        yield
        after = np.array([min(self.exchange.risk(i)[0], 0.0) for i in self.everybody])
        assert after.sum() >= before.sum() - slack(scale), f"shortfalls {before} became {after}"
        if not isinstance(self.deleveraging, SocialisedLoss):
            assert (after >= before - slack(scale)).all(), f"shortfalls {before} became {after}"

    # deleveraging

    def deleverage(self) -> None:
        """Deleverages, and checks that only opposite positions shrink and that nothing was left that could be closed."""
        state = self.state
        before = state.positions["lots"].copy()
        failed = {
            (int(row["account"]), int(row["market"]))
            for row in state.liquidations[: int(state.venue["liquidations"][0])]
            if row["market"] != NOBODY and row["result"] in (NO_LIQUIDITY, FUND_EXHAUSTED, REDUCE_ONLY_DROPPED)
        }
        bankrupt = {(i, k) for i, k in failed if self.exchange.risk(i)[0] < 0.0}
        with self.no_new_shortfall():
            records = self.exchange.deleverage()
        after = state.positions["lots"]
        assert (after * before >= 0).all(), "deleveraging flips a position"
        assert (np.abs(after) <= np.abs(before)).all(), "deleveraging grows a position"
        for record in records:
            i, j, k = int(record["liquidated"]), int(record["counterparty"]), int(record["market"])
            assert (i, k) in bankrupt
            assert before[i, k] * before[j, k] < 0
            assert record["lots"] > 0
        unlimited = isinstance(self.deleveraging, RankedDeleveraging) or self.deleveraging == RandomDeleveraging()
        if unlimited and isinstance(self.margin, FlatMargin):
            for i, k in bankrupt:
                if after[i, k] != 0 and self.exchange.risk(i)[0] < -slack(1e3) and state.markets["status"][k] == ACTIVE:
                    self.nobody_could(i, k)

    def nobody_could(self, i: int, k: int) -> None:
        """Nobody on the other side could take more at the bankruptcy price without failing a collateral test, its own or i's."""
        s = self.state
        equity, _, maintenance = self.exchange.risk(i)
        held = self.exchange.lots(i, k)
        lot, price = float(s.markets["lot"][k]), float(s.markets["mark"][k])
        own = float(s.margin_tiers["maintenance"][k, 0]) * abs(held) * lot * price
        bankruptcy = price - equity * own / maintenance / (held * lot)
        for j in self.everybody:
            other = self.exchange.lots(j, k)
            if j == i or other * held >= 0:
                continue
            change = min(abs(held), abs(other)) * (1 if held > 0 else -1)  # of j
            interest = int(s.markets["open_interest"][k]) + open_interest_change(held, -change, other, change)
            cash = change * lot * bankruptcy
            passes = []
            for account, lots, amount in ((i, -change, cash), (j, change, -cash)):
                risk = account_risk_after(s.accounts, s.positions, s.markets, s.margin_tiers, account, k, lots, amount, interest)
                nearly = account == j and abs(risk[0] - risk[1]) <= slack(*risk)
                passes.append(transition_result(*self.exchange.risk(account), *risk) == 0 and not nearly)
            assert not all(passes), f"account {j} could have taken {abs(change)} lots of account {i} in market {k}"
