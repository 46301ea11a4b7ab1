"""Final settlement by hand-made examples: whoever holds what, nobody is left below zero and no money is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.settlement import SET_PRICE, settle_finally
from abm.state import SETTLED
from tests.kernels.exchange import Exchange


def settle(exchange: Exchange, price: float, matches_off: bool, market: int = 0) -> None:
    """Closes a market at `price` USD and assesses the accounts."""
    s = exchange.state
    scratch = np.zeros((2, s.n_accounts))
    settle_finally(
        s.venue, s.accounts, s.positions, s.markets, s.margin_tiers, s.funds, s.levels, s.bitmap, s.orders, s.expiry, s.conditionals,
        s.ended_orders, s.liquidations, s.deleveragings, market, SET_PRICE, price, matches_off, np.uint64(7), scratch[0], scratch[1],
    )  # fmt: skip
    exchange.assess()


@given(
    trades=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 40), st.integers(60, 140)), min_size=1, max_size=12),
    capital=st.lists(st.integers(150, 2000), min_size=6, max_size=6),
    price=st.integers(1, 255),
    fund=st.sampled_from((0.0, 100.0, 1e6)),
    matches_off=st.booleans(),
)
def test_nobody_is_left_below_zero(
    trades: list[tuple[int, int, int, int]], capital: list[int], price: int, fund: float, matches_off: bool
) -> None:
    exchange = Exchange(capital=[float(amount) for amount in capital], fund=fund)
    for buyer, seller, lots, tick in trades:
        if buyer != seller:
            exchange.place(seller, -1, tick, lots)
            exchange.place(buyer, 1, tick, lots)
    money = exchange.state.accounts["collateral"].sum() + exchange.state.funds["balance"].sum()
    exchange.set_price(float(price))
    settle(exchange, float(price), matches_off)
    exchange.check()
    state = exchange.state
    assert state.markets["status"][0] == SETTLED
    assert not state.positions["lots"].any()
    assert (state.accounts["collateral"] >= 0.0).all()
    assert state.venue["orders_live"][0] == 0
    assert state.accounts["collateral"].sum() + state.funds["balance"].sum() == pytest.approx(money, rel=1e-12)


def test_holders_bear_a_deficit_in_proportion_to_size() -> None:
    """A long of 30 lots lacks 900; shorts of 10 and 20 lots pay 300 and 600."""
    exchange = Exchange(accounts=3, capital=(600.0, 5000.0, 5000.0))
    exchange.trade(0, 1, 10, 100)
    exchange.trade(0, 2, 20, 100)
    exchange.set_price(50.0)
    settle(exchange, 50.0, matches_off=False)
    assert exchange.state.accounts["socialised"].tolist() == pytest.approx([900.0, -300.0, -600.0])
    assert [exchange.collateral(i) for i in range(3)] == pytest.approx([0.0, 5200.0, 5400.0])


def test_who_has_too_little_pays_what_it_has_and_others_the_rest() -> None:
    """Both shorts of 20 lots owe half of 1,360; the poorer one has only 230."""
    exchange = Exchange(accounts=3, capital=(640.0, 500.0, 5000.0))
    exchange.trade(0, 1, 20, 100)
    exchange.trade(0, 2, 20, 100)
    exchange.state.accounts["collateral"][1] -= 1270.0  # as if lost elsewhere
    exchange.state.accounts["collateral"][2] += 1270.0
    exchange.set_price(50.0)
    settle(exchange, 50.0, matches_off=False)
    assert exchange.state.accounts["socialised"].tolist() == pytest.approx([1360.0, -230.0, -1130.0])
    assert exchange.collateral(1) == 0.0


def test_a_bankrupt_account_is_closed_at_its_bankruptcy_price() -> None:
    """600 USD on 30 coins bought at 100: nothing is left at 80, and at 80 it is closed, though the market is settled at 50."""
    exchange = Exchange(accounts=3, capital=(600.0, 5000.0, 5000.0))
    exchange.trade(0, 1, 10, 100)
    exchange.trade(0, 2, 20, 100)
    exchange.set_price(50.0)
    settle(exchange, 50.0, matches_off=True)
    records = exchange.state.deleveragings[: int(exchange.state.venue["deleveragings"][0])]
    assert records["price"].tolist() == pytest.approx([80.0, 80.0])
    assert records["lots"].sum() == 30
    assert [exchange.collateral(i) for i in range(3)] == pytest.approx([0.0, 5200.0, 5400.0])
