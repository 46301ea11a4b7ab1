"""A random life of a small venue: every kind of transaction, price jumps, funding, liquidations and halts.

After each step everything that must hold is checked, and the venue's books are compared with a second set kept from its records.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from abm.mechanisms.deleveraging import (
    Deleveraging,
    NoDeleveraging,
    ProRataDeleveraging,
    RandomDeleveraging,
    RankedDeleveraging,
    SocialisedLoss,
)
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.funding import pay_funding
from abm.mechanisms.liquidation import FullLiquidation, Liquidation, PartialLiquidation
from abm.mechanisms.margin import FlatMargin, Margin, OpenInterestMargin, TieredMargin
from abm.mechanisms.ordering import Ordering, PriorityFeeOrdering, RandomOrdering
from abm.mechanisms.portfolio_margin import PortfolioMargin
from abm.mechanisms.skew_margin import SkewMargin
from abm.state import (
    ACTIVE,
    CANCEL_CONDITIONALS,
    CONDITIONAL,
    DEPOSIT,
    HALTED,
    IMMEDIATE_OR_CANCEL,
    NEVER,
    NOBODY,
    PLACE,
    POST_ONLY,
    REDUCE_ONLY,
    TRIGGER_ABOVE,
    TRIGGER_ON_MARK,
    WITHDRAW,
)
from tests.kernels.exchange import Exchange, Resting
from tests.kernels.ledger import Ledger
from tests.model.promises import Promises, slack

ACCOUNTS = 7
MARKETS = 2
TICKS = 96
TICK = 0.5
LOT = 0.1
PRICE = 20.0

accounts = st.integers(0, ACCOUNTS - 1)
markets = st.sampled_from([0, 0, 0, 1])  # most of it in one market, so that traders meet
sides = st.sampled_from([1, -1])
lots = st.one_of(st.integers(1, 60), st.integers(1, 2000))
distances = st.integers(-8, 8)  # ticks beyond the mark price
flags = st.sampled_from([0, 0, 0, 0, POST_ONLY, IMMEDIATE_OR_CANCEL, REDUCE_ONLY, REDUCE_ONLY | IMMEDIATE_OR_CANCEL])
lives = st.sampled_from([NEVER] * 8 + [5, 2, 1, 0])  # blocks until an order expires
ratios = st.sampled_from([0.7, 0.9, 0.97, 1.0, 1.03, 1.1, 1.4])
prices = st.sampled_from([PRICE] * 6 + [0.6, 5.0, 10.0, 14.0, 18.0, 19.3, 20.7, 22.0, 28.0, 40.0, 47.9, 60.0])  # the grid: to 47.5

MARGINS: tuple[Margin, ...] = (
    FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5),
    FlatMargin(initial_margin_fraction=(0.05, 0.2), maintenance_fraction_of_initial=(1.0, 0.01)),
    OpenInterestMargin(initial_margin_fraction=0.05, maintenance_fraction_of_initial=0.6, lower_cap=500.0, upper_cap=4_000.0),
    TieredMargin(tiers=(((0.0, 20.0), (400.0, 10.0), (1_500.0, 4.0)),)),
    PortfolioMargin(initial_shock=(0.1, 0.2), lowest_correlation=0.5, highest_correlation=1.0),
    PortfolioMargin(initial_shock=0.05, maintenance_fraction_of_initial=0.6, lowest_correlation=1.0, gross_floor=0.005),
    SkewMargin(skew_scale=2_000.0, size_fraction=0.5, least_fraction=0.05, liquidation_reward=0.01, least_margin=1.0),
)
LIQUIDATIONS: tuple[Liquidation, ...] = (
    PartialLiquidation(),
    PartialLiquidation(max_position_portion=0.5, min_position_notional=50.0, max_notional_per_block=300.0, max_insurance_per_block=40.0),
    PartialLiquidation(max_position_portion=1.0, cancels_orders=True, spread_to_maintenance_margin=10.0),
    FullLiquidation(),
    FullLiquidation(cancels_orders=False, penalty=0.05),
)
DELEVERAGINGS: tuple[Deleveraging, ...] = (
    NoDeleveraging(),
    RandomDeleveraging(),
    RandomDeleveraging(attempts_per_block=1, accounts_scanned=3),
    RankedDeleveraging(),
    RankedDeleveraging(rank="mark to entry"),
    ProRataDeleveraging(),
    ProRataDeleveraging(weight="size"),
    SocialisedLoss(),
)
ORDERINGS: tuple[Ordering, ...] = (
    RandomOrdering(),
    RandomOrdering(cancels_first=True),
    PriorityFeeOrdering(cancels_first=True),
)


class VenueMachine(Promises, RuleBasedStateMachine):
    """What traders, keepers and the world may do to a venue, in any order."""

    @initialize(
        margin=st.sampled_from(MARGINS),
        liquidation=st.sampled_from(LIQUIDATIONS),
        deleveraging=st.sampled_from(DELEVERAGINGS),
        ordering=st.sampled_from(ORDERINGS),
        maker_fee=st.sampled_from([0.0, 0.0002, -0.0001]),
        fund=st.sampled_from([0.0, 5.0, 1e4]),
        reward=st.sampled_from([(0.0, 0.0), (0.01, 0.5)]),
        limits=st.sampled_from([(), (), ((20.0, 2.0), (100.0, 6.0))]),
        isolated_accounts=st.sampled_from([0, 0, 0, 2]),
        isolated_market=st.sampled_from([False, False, False, True]),
        cap=st.sampled_from([math.inf, math.inf, 1_500.0]),
        leverage=st.sampled_from([0.0, 0.25]),
    )
    def open(
        self,
        margin: Margin,
        liquidation: Liquidation,
        deleveraging: Deleveraging,
        ordering: Ordering,
        maker_fee: float,
        fund: float,
        reward: tuple[float, float],
        limits: tuple[tuple[float, float], ...],
        isolated_accounts: int,
        isolated_market: bool,
        cap: float,
        leverage: float,
    ) -> None:
        capital = [0.0, 30.0, 100.0, 100.0, 300.0, 1_000.0, 50_000.0]
        self.exchange = Exchange(
            ACCOUNTS,
            MARKETS,
            ticks=TICKS,
            tick=TICK,
            lot=LOT,
            price=PRICE,
            capital=capital,
            margin=margin,
            liquidation=liquidation,
            deleveraging=deleveraging,
            ordering=ordering,
            order_limits=limits,
            trigger_band=0.05,
            maker_fee=maker_fee,
            taker_fee=0.0005,
            fund=fund,
            reward=reward,
        )
        self.state.positions["least_margin_fraction"][4] = leverage
        for account in range(1, 1 + isolated_accounts):
            self.state.accounts["isolated_market"][account] = account % MARKETS
        self.state.markets["isolated_only"][1] = isolated_market
        self.state.venue["isolated_markets"] = int(isolated_market)
        self.state.markets["open_interest_cap"][0] = cap
        self.enforcement = ProtocolEnforcement(lag_blocks=0, attempts_per_block=5)
        self.enforcement_memory = self.enforcement.init(self.state, 1)
        self.margin = margin
        self.deleveraging = deleveraging
        self.ledger = Ledger(self.exchange)

    # what everybody may do

    @rule(account=accounts, market=markets, side=sides, distance=distances, lots=lots, flags=flags, life=lives)
    def place(self, account: int, market: int, side: int, distance: int, lots: int, flags: int, life: int) -> None:
        """One order, looked at from all sides."""
        self.place_order(account, market, side, self.near(market, side * distance), lots, flags, self.until(life))

    @rule(account=accounts, market=markets, side=sides, tick=st.sampled_from([0, 1, 2, TICKS - 2, TICKS - 1, TICKS]), lots=lots)
    def place_at_the_edge(self, account: int, market: int, side: int, tick: int, lots: int) -> None:
        """At the ends of the price grid and beyond."""
        outcome = self.place_order(account, market, side, tick, lots, 0, NEVER)
        if not 1 <= tick < TICKS:
            assert outcome.reason in ("out_of_range", "market_halted")

    @rule(account=st.sampled_from([5, 6, 6]), market=markets, lots=lots, distance=st.integers(-3, 3), width=st.integers(1, 6))
    def quote(self, account: int, market: int, lots: int, distance: int, width: int) -> None:
        """Someone with money on both sides of the mark price."""
        self.place_order(account, market, 1, self.near(market, distance - width), lots, POST_ONLY, NEVER)
        self.place_order(account, market, -1, self.near(market, distance + width), lots, POST_ONLY, NEVER)

    @rule(
        account=st.integers(1, 5),
        market=markets,
        side=sides,
        share=st.sampled_from([0.3, 0.9, 0.99, 1.01]),
        maker=st.sampled_from([3, 4, 5, 6, 6]),
    )
    def lever_up(self, account: int, market: int, side: int, share: float, maker: int) -> None:
        """A share of what initial margin allows, at the mark price, from whoever can take the other side."""
        equity, initial, _ = self.exchange.risk(account)
        tick = self.near(market, 0)
        fraction = float(self.state.margin_tiers["initial"][market, 0])
        lots = math.floor(share * max(equity - initial, 0.0) / (fraction * LOT * self.mark(market)))
        if lots > 0:
            self.exchange.cancel_all(account, market)
            self.place_order(maker, market, -side, tick, lots, 0, NEVER)
            self.place_order(account, market, side, tick, lots, IMMEDIATE_OR_CANCEL, NEVER)

    @rule(account=accounts, market=markets)
    def close(self, account: int, market: int) -> None:
        """Out at any price."""
        held = self.exchange.lots(account, market)
        if held:
            side = -1 if held > 0 else 1
            tick = 1 if side < 0 else TICKS - 1
            self.place_order(account, market, side, tick, abs(held), REDUCE_ONLY | IMMEDIATE_OR_CANCEL, NEVER)

    @rule(account=accounts, market=markets, side=sides, which=st.integers(0, 30), stale=st.booleans())
    def cancel(self, account: int, market: int, side: int, which: int, stale: bool) -> None:
        """One order by its handle: only its owner can, and only this order."""
        queue = self.exchange.queue(side, market)
        if not queue:
            assert self.exchange.cancel(account, (1 << 60) | which).reason == "out_of_range"
            return
        order = queue[which % len(queue)]
        handle = order.handle - (1 << 32) if stale else order.handle
        before = self.resting()
        outcome = self.exchange.cancel(account, handle)
        if order.account == account and not stale:
            assert outcome.reason == "filled"
            assert before - self.resting() == {order.handle}
        else:
            assert outcome.reason == "out_of_range"
            assert before == self.resting()

    @rule(account=accounts, market=st.sampled_from([NOBODY, 0, 1]))
    def cancel_everything(self, account: int, market: int) -> None:
        """All resting orders and, in one market, all waiting ones; nobody else's."""
        others = {order.handle for order in self.orders() if order.account != account}
        self.exchange.cancel_all(account, market)
        assert {order.handle for order in self.orders() if order.account != account} == others
        if market == NOBODY:
            assert self.state.accounts["open_orders"][account] == 0
            return
        waiting = self.state.conditionals[: int(self.state.venue["conditionals"][0])]
        others = np.count_nonzero((waiting["account"] != account) | (waiting["market"] != market))
        self.exchange.execute(CANCEL_CONDITIONALS, account, market)
        waiting = waiting[: int(self.state.venue["conditionals"][0])]
        assert len(waiting) == others
        assert not ((waiting["account"] == account) & (waiting["market"] == market)).any()

    @rule(
        account=accounts,
        market=markets,
        side=sides,
        distance=distances,
        lots=lots,
        flags=flags,
        above=st.booleans(),
        mark=st.booleans(),
        trigger=ratios,
        life=lives,
    )
    def wait(
        self,
        account: int,
        market: int,
        side: int,
        distance: int,
        lots: int,
        flags: int,
        above: bool,
        mark: bool,
        trigger: float,
        life: int,
    ) -> None:
        """A conditional order."""
        self.exchange.execute(
            CONDITIONAL,
            account,
            market,
            side=side,
            tick=self.near(market, side * distance),
            lots=lots,
            flags=flags | TRIGGER_ABOVE * above | TRIGGER_ON_MARK * mark,
            amount=trigger * self.mark(market),
            expires=self.until(life),
        )

    @rule(account=accounts, amount=st.sampled_from([0.0, 1e-6, 10.0, 250.0]), rescue=st.booleans())
    def deposit(self, account: int, amount: float, rescue: bool) -> None:
        """Some money, or as much more as brings the account back above zero."""
        amount += max(-self.exchange.risk(account)[0], 0.0) if rescue else 0.0
        assert self.exchange.execute(DEPOSIT, account, NOBODY, amount=amount).reason == "filled"
        self.ledger.pay(account, amount)

    @rule(
        account=accounts,
        share=st.sampled_from([0.1, 0.5, 1.0, 1.000001, 3.0]),
        gate=st.sampled_from(["open", "open", "blocked", "empty"]),
    )
    def withdraw(self, account: int, share: float, gate: str) -> None:
        """A share of what is free above initial margin; never more than all of it, and nothing past a closed gate."""
        equity, initial, _ = self.exchange.risk(account)
        amount = share * max(equity - initial, 1.0)
        self.state.venue["withdrawals_blocked_until"] = self.exchange.block + (gate == "blocked")
        self.state.venue["withdrawal_capacity"] = 0.0 if gate == "empty" else math.inf
        outcome = self.exchange.execute(WITHDRAW, account, NOBODY, amount=amount)
        if gate != "open":
            assert outcome.reason == "gated"
        if outcome.reason == "filled":
            self.ledger.pay(account, -amount)
            equity, initial, _ = self.exchange.risk(account)
            assert equity >= initial - slack(equity, initial, amount)
        else:
            assert gate != "open" or share >= 1.0 or equity - initial < 1.0

    # what happens to them

    @rule(market=markets, price=prices, oracle=ratios)
    def jump(self, market: int, price: float, oracle: float) -> None:
        """The mark price jumps, also to where the grid of the book does not reach; the oracle agrees or not."""
        self.exchange.set_price(price, market)
        self.state.markets["oracle"][market] = price * oracle

    @rule(
        account=st.integers(1, 5),
        market=markets,
        side=sides,
        far=st.sampled_from([0.0, 0.001, 0.05, 0.3]),
        depth=lots,
        gap=st.integers(0, 4),
        keeper=st.integers(NOBODY, ACCOUNTS - 1),
        times=st.integers(0, 2),
    )
    def squeeze(self, account: int, market: int, side: int, far: float, depth: int, gap: int, keeper: int, times: int) -> None:
        """Somebody with leverage is driven below maintenance margin, a little or far, while somebody else quotes there."""
        if self.exchange.lots(account, market) == 0:
            self.lever_up(account, market, side, 0.99, 6)
        held = self.exchange.lots(account, market)
        side = 1 if held >= 0 else -1
        for _ in range(60):
            equity, _, maintenance = self.exchange.risk(account)
            if equity < maintenance:
                break
            self.exchange.set_price(self.mark(market) * (1.0 - 0.01 * side), market)
        self.exchange.set_price(self.mark(market) * (1.0 - far * side), market)
        self.place_order(6, market, side, self.near(market, -side * gap), depth, 0, NEVER)
        if times:
            self.liquidate(account, keeper, NOBODY, times)
            self.enforce()

    @rule(market=markets, per_coin=st.sampled_from([-3.0, -0.01, 1e-9, 0.01, 0.7]))
    def settle_funding(self, market: int, per_coin: float) -> None:
        due = np.arange(MARKETS) == market
        index = float(self.state.markets["funding_index"][market])
        pay_funding(self.state, per_coin, per_coin / PRICE, interval_seconds=3600.0, due=due)
        self.ledger.fund(market, (index + per_coin) - index)

    @rule(market=markets, account=accounts, side=sides, lasts=st.sampled_from([False, False, False, True]))
    def halt(self, market: int, account: int, side: int, lasts: bool) -> None:
        """No trading, until the next block at the latest; orders can be cancelled."""
        self.state.markets["status"][market] = HALTED
        trades = int(self.state.markets["trades"][market])
        self.place_order(account, market, side, self.near(market, 5 * side), 10, 0, NEVER)
        self.liquidate(account, NOBODY, market, 1)
        self.cancel_everything(account, market)
        assert self.state.markets["trades"][market] == trades
        if not lasts:
            self.state.markets["status"][market] = ACTIVE

    @rule(victim=accounts, keeper=st.integers(NOBODY, ACCOUNTS - 1), market=st.sampled_from([NOBODY, 0, 1]), times=st.integers(1, 3))
    def liquidate(self, victim: int, keeper: int, market: int, times: int) -> None:
        """Keepers, one after the other in the same block; the target itself may be one of them."""
        weak = [i for i in range(ACCOUNTS) if self.exchange.risk(i)[0] < self.exchange.risk(i)[2]]
        victim = weak[victim % len(weak)] if weak else victim
        for _ in range(times):
            self.liquidate_account(victim, keeper, market)

    @rule()
    def enforce(self) -> None:
        """The protocol liquidates and then deleverages what is left."""
        self.exchange.assess()
        self.enforcement.enforce(self.state, self.enforcement_memory)
        with self.no_new_shortfall():
            self.exchange.clear()
        self.deleverage()

    @rule()
    def next_block(self) -> None:
        """Trading resumes, orders expire and trigger; all that has arrived is executed."""
        self.state.markets["status"] = ACTIVE
        self.exchange.next_block()
        self.exchange.clear()

    @rule(data=st.data(), count=st.integers(1, 12))
    def crowd(self, data: st.DataObject, count: int) -> None:
        """Many transactions of many accounts under way at once, with different latencies and fees."""
        for _ in range(min(count, 100 - int(self.state.venue["transactions"][0]))):
            market = data.draw(markets)
            side = data.draw(sides)
            self.exchange.submit(
                PLACE,
                data.draw(accounts),
                market,
                side=side,
                tick=self.near(market, data.draw(distances)),
                lots=data.draw(lots),
                flags=data.draw(flags),
                expires=self.until(data.draw(lives)),
                latency=data.draw(st.integers(0, 3)),
                fee=data.draw(st.sampled_from([0.0, 0.1, 5.0])),
            )
        self.exchange.clear()

    # what must hold

    @precondition(lambda self: hasattr(self, "exchange"))
    @invariant()
    def books_agree(self) -> None:
        self.exchange.assess()
        self.ledger.read_records()
        self.exchange.check()
        self.ledger.compare()

    # looking

    def mark(self, market: int) -> float:
        return float(self.state.markets["mark"][market])

    def near(self, market: int, distance: int) -> int:
        """A tick inside the grid, `distance` from the mark price."""
        return min(max(round(self.mark(market) / TICK) + distance, 1), TICKS - 1)

    def until(self, life: int) -> int:
        return NEVER if life == NEVER else self.exchange.block + life

    def orders(self) -> list[Resting]:
        return [order for k in range(MARKETS) for side in (1, -1) for order in self.exchange.queue(side, k)]

    def resting(self) -> set[int]:
        return {order.handle for order in self.orders()}


def test_a_short_life() -> None:
    run_state_machine_as_test(VenueMachine, settings=settings(max_examples=60, stateful_step_count=40))


@pytest.mark.slow
def test_a_long_life() -> None:
    run_state_machine_as_test(VenueMachine, settings=settings(max_examples=600, stateful_step_count=120))
