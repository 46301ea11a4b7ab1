"""Deleveraging: who takes over what at which price when neither the book nor the fund can."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.mechanisms.deleveraging import (
    Deleveraging,
    NoDeleveraging,
    ProRataDeleveraging,
    RandomDeleveraging,
    RankedDeleveraging,
)
from abm.mechanisms.liquidation import FullLiquidation
from abm.state import HALTED
from tests.kernels.exchange import Exchange
from tests.kernels.ledger import Ledger

RULES: tuple[Deleveraging, ...] = (
    RandomDeleveraging(),
    RankedDeleveraging(),
    RankedDeleveraging(rank="mark to entry"),
    ProRataDeleveraging(),
    ProRataDeleveraging(weight="size"),
)
every_rule = pytest.mark.parametrize(
    "rule", RULES, ids=lambda rule: f"{type(rule).__name__}-{getattr(rule, 'rank', getattr(rule, 'weight', ''))}"
)


def bankrupt(rule: Deleveraging, others: list[int], price: float = 88.0, entries: list[int] | None = None, **settings: object) -> Exchange:
    """Account 0 is long as much as accounts 1, 2, ... are short; at `price` it is below zero and nobody bids."""
    lots = sum(others)
    capital = [10.0 * lots, *(1e6 for _ in others), 1e6]
    exchange = Exchange(len(capital), capital=capital, deleveraging=rule, liquidation=FullLiquidation(), **settings)  # type: ignore[arg-type]
    for number, size in enumerate(others, start=1):
        exchange.trade(0, number, size, entries[number - 1] if entries else 100)
    exchange.set_price(price)
    exchange.next_block()
    return exchange


@every_rule
def test_the_whole_position_goes_at_the_bankruptcy_price(rule):
    exchange = bankrupt(rule, [30, 70])
    ledger = Ledger(exchange)
    exchange.liquidate(0)
    records = exchange.deleverage()
    assert exchange.state.positions["lots"].tolist() == [[0]] * 4
    assert records["price"].tolist() == pytest.approx([90.0] * len(records))
    assert records["haircut"].sum() == pytest.approx(200.0)  # what account 0 owed at 88
    assert exchange.collateral(0) == 0.0
    assert exchange.collateral(3) == 1e6
    assert exchange.state.accounts["deleveraging"].sum() == pytest.approx(0.0, abs=1e-9)
    ledger.read_records()
    ledger.compare()
    exchange.next_block()
    exchange.check()
    assert exchange.state.funds["bad_debt"][0] == 0.0


def test_the_top_of_the_queue_is_emptied_before_the_next():
    exchange = bankrupt(RankedDeleveraging(), [40, 40, 40], entries=[100, 104, 96])
    exchange.state.positions["lots"][0, 0] -= 50  # half of the longs belong to somebody solvent
    exchange.state.positions["lots"][4, 0] += 50
    exchange.state.accounts["collateral"][0] += 5000.0
    exchange.state.accounts["collateral"][4] -= 5000.0
    exchange.set_price(80.0)
    exchange.next_block()
    exchange.liquidate(0)
    records = exchange.deleverage()
    assert [(int(r["counterparty"]), int(r["lots"])) for r in records] == [(2, 40), (1, 30)]  # the higher entry gained most


@pytest.mark.parametrize(("weight", "shares"), [("size", [50, 30, 20]), ("profit", [40, 33, 27])])
def test_pro_rata_shares_are_in_proportion(weight, shares):
    exchange = bankrupt(ProRataDeleveraging(weight=weight), [100, 60, 40], price=80.0, entries=[96, 98, 101])
    exchange.state.positions["lots"][0, 0] -= 100
    exchange.state.positions["lots"][4, 0] += 100
    exchange.state.accounts["collateral"][0] += 8000.0
    exchange.state.accounts["collateral"][4] -= 8000.0
    exchange.next_block()
    assert exchange.risk(0)[0] < 0.0
    exchange.liquidate(0)
    exchange.deleverage()
    left = exchange.state.positions["lots"][1:4, 0]
    taken = np.array([100, 60, 40]) + left
    if weight == "profit":
        profit = np.array([100 * 16, 60 * 18, 40 * 21])
        shares = 100 * profit / profit.sum()
    assert taken.sum() == 100
    assert np.abs(taken - shares).max() <= 3  # whole lots, the rest to the largest


@every_rule
def test_without_a_failed_liquidation_nobody_is_deleveraged(rule):
    exchange = bankrupt(rule, [50, 50])
    assert len(exchange.deleverage()) == 0


@every_rule
def test_above_zero_nobody_is_deleveraged(rule):
    exchange = bankrupt(rule, [50, 50], price=90.01)  # one dollar is left
    assert exchange.risk(0)[0] == pytest.approx(1.0)
    exchange.liquidate(0)
    assert len(exchange.deleverage()) == 0
    assert exchange.lots(0) == 100


@every_rule
def test_a_halted_market_deleverages_nobody(rule):
    exchange = bankrupt(rule, [50, 50])
    exchange.liquidate(0)
    exchange.state.markets["status"] = HALTED
    assert len(exchange.deleverage()) == 0


@every_rule
def test_what_the_book_could_close_is_closed_there_first(rule):
    exchange = bankrupt(rule, [50, 50])
    exchange.place(3, 1, 90, 40)
    exchange.liquidate(0)
    records = exchange.deleverage()
    assert records["lots"].sum() == 60
    assert exchange.lots(3) == 40


def test_no_deleveraging_leaves_the_debt():
    exchange = bankrupt(NoDeleveraging(), [50, 50])
    exchange.liquidate(0)
    assert len(exchange.deleverage()) == 0
    exchange.next_block()
    assert exchange.state.funds["bad_debt"][0] == pytest.approx(200.0)
    exchange.check()


@every_rule
def test_a_counterparty_that_is_liquidatable_itself_may_still_be_closed_out(rule):
    """Account 1 is short, below maintenance margin for another reason, and gains by the close: its ratio does not fall."""
    exchange = bankrupt(rule, [100], price=88.0)
    exchange.state.accounts["collateral"][1] -= 1e6 + 1100.0
    exchange.state.accounts["net_deposits"][1] -= 1e6 + 1100.0
    exchange.state.venue["net_deposits"] -= 1e6 + 1100.0
    exchange.next_block()
    equity, _, maintenance = exchange.risk(1)
    assert 0.0 < equity < maintenance
    exchange.liquidate(0)
    records = exchange.deleverage()
    # 100 USD of equity less 2 USD a coin would leave it below zero: it stays, and so does the debt
    assert len(records) == 0
    exchange.state.accounts["collateral"][1] += 150.0
    exchange.state.accounts["net_deposits"][1] += 150.0
    exchange.state.venue["net_deposits"] += 150.0
    exchange.next_block()
    exchange.liquidate(0)
    assert exchange.deleverage()["lots"].tolist() == [100]
    assert exchange.collateral(1) == pytest.approx(50.0)
    exchange.next_block()
    exchange.check()


@every_rule
def test_two_bankrupt_accounts_cannot_pay_each_other(rule):
    exchange = bankrupt(rule, [100], price=88.0)
    exchange.state.accounts["collateral"][1] -= 1e6 + 1500.0
    exchange.state.accounts["net_deposits"][1] -= 1e6 + 1500.0
    exchange.state.venue["net_deposits"] -= 1e6 + 1500.0
    exchange.next_block()
    assert exchange.risk(0)[0] < 0.0
    assert exchange.risk(1)[0] < 0.0
    exchange.liquidate(0)
    exchange.liquidate(1)
    assert len(exchange.deleverage()) == 0
    exchange.check()


def test_attempts_and_accounts_scanned_are_limited():
    exchange = bankrupt(RandomDeleveraging(accounts_scanned=2), [10] * 8)
    exchange.liquidate(0)
    assert len(exchange.deleverage()) == 2
    exchange = Exchange(
        4, capital=[500.0, 500.0, 1e6, 1e6], liquidation=FullLiquidation(), deleveraging=RandomDeleveraging(attempts_per_block=1)
    )
    exchange.trade(0, 2, 50, 100)
    exchange.trade(1, 2, 50, 100)
    exchange.set_price(85.0)
    exchange.next_block()
    exchange.liquidate(0)
    exchange.liquidate(1)
    assert len(exchange.deleverage()) == 1


def test_whoever_is_drawn_is_drawn_at_random():
    """Over many seeds each account on the other side is first about equally often; bystanders never are."""
    first = [0, 0, 0, 0, 0]
    for seed in range(90):
        exchange = bankrupt(RandomDeleveraging(), [50, 50, 50], seed=seed)
        exchange.liquidate(0)
        first[int(exchange.deleverage()["counterparty"][0])] += 1
    assert first[0] == first[4] == 0
    assert min(first[1:4]) > 15


@given(
    rule=st.sampled_from(RULES),
    others=st.lists(st.integers(1, 400), min_size=1, max_size=6),
    poor=st.sets(st.integers(1, 6)),
    fall=st.integers(60, 89),
)
def test_nobody_flips_nobody_without_a_position_pays_and_debts_do_not_grow(rule, others, poor, fall):
    exchange = bankrupt(rule, others, price=float(fall))
    for account in poor:
        if account <= len(others):
            amount = 1e6 + others[account - 1] * (100.0 - fall) * 0.9
            exchange.state.accounts["collateral"][account] -= amount
            exchange.state.accounts["net_deposits"][account] -= amount
            exchange.state.venue["net_deposits"] -= amount
    exchange.next_block()
    before = exchange.state.positions["lots"][:, 0].copy()
    owed = [min(exchange.risk(i)[0], 0.0) for i in range(len(before))]
    ledger = Ledger(exchange)
    exchange.liquidate(0)
    exchange.deleverage()
    after = exchange.state.positions["lots"][:, 0]
    assert (after * before >= 0).all()
    assert (np.abs(after) <= np.abs(before)).all()
    assert exchange.collateral(len(others) + 1) == 1e6
    now = [min(exchange.risk(i)[0], 0.0) for i in range(len(before))]
    assert (np.array(now) >= np.array(owed) - 1e-6).all()
    ledger.read_records()
    ledger.compare()
    exchange.next_block()
    exchange.check()
