"""Quotes of the resident vault."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels import vault as kernels
from abm.state import empty_table

TICK, LOT = 0.001, 1e-6
SETTINGS = {
    "layers": 3,
    "least_spread": 0.003,
    "buffer": 0.0085,
    "min_change_fraction": 0.00005,
    "skew_factor": 0.9,
    "size_fraction": 0.2,
    "tick": TICK,
    "lot": LOT,
}


def quotes(equity: float, lots: int, oracle: float = 3000.0, close_only: bool = False, **settings: float) -> np.ndarray:
    chosen = {**SETTINGS, **settings}
    table = empty_table(2 * chosen["layers"], kernels.QUOTE)
    count = kernels.vault_quotes(table, equity, lots, oracle, *chosen.values(), close_only)
    return table[:count]


def readable(table: np.ndarray) -> list[tuple[str, float, float, bool]]:
    sides = {kernels.BUY: "buy", kernels.SELL: "sell"}
    return [(sides[int(side)], round(tick * TICK, 9), round(lots * LOT, 9), bool(post_only)) for tick, lots, side, post_only in table]


def test_short_vault_bids_above_the_oracle() -> None:
    # x/vault/keeper/orders_test.go::TestGetVaultClobOrders: 2000 USD and -0.5 coins at 3000: equity 500, leverage -3
    assert readable(quotes(500.0, -500_000)) == [
        ("sell", 3351.149, 0.033333, True),
        ("buy", 3043.605, 0.033333, False),
        ("sell", 3386.146, 0.033333, True),
        ("buy", 3038.988, 0.033333, False),
        ("sell", 3422.805, 0.033333, True),
        ("buy", 3034.371, 0.033333, False),
    ]


def test_asks_are_rounded_up_and_bids_down() -> None:
    # the same test: 1000 USD, no coins, at 50, in steps of 0.0005
    table = quotes(
        1000.0,
        0,
        oracle=50.0,
        layers=2,
        least_spread=0.003123,
        buffer=0.0015,
        skew_factor=0.554321,
        size_fraction=0.1,
        tick=0.0005,
        lot=1e-9,
    )
    assert (table["tick"] * 0.0005).tolist() == pytest.approx([50.1565, 49.8435, 50.165, 49.826], abs=1e-9)
    assert (table["lots"] * 1e-9).tolist() == pytest.approx([2.0] * 4)


def test_leverage_is_known_to_a_millionth() -> None:
    assert kernels.vault_leverage(3.0, 1.0, 1.0) == pytest.approx(0.333334, abs=1e-12)
    assert kernels.vault_leverage(3.0, -1.0, 1.0) == pytest.approx(-0.333333, abs=1e-12)
    assert kernels.vault_leverage(500.0, -0.5, 3000.0) == -3.0


def test_close_only_vault_sells_no_more_than_it_holds() -> None:
    # the same test: 1000 USD and 0.5 coins at 3000
    table = quotes(2500.0, 500_000, close_only=True, layers=2, least_spread=0.007654, buffer=0.0029, skew_factor=1.234, size_fraction=0.5)
    assert readable(table) == [("sell", 3005.961, 0.416666, False), ("sell", 3020.129, 0.083334, False)]


@pytest.mark.parametrize(
    ("equity", "lots", "close_only"),
    [(1000.0, 0, True), (0.0, 10, False), (-5.0, 10, False), (1e-4, 0, False)],
    ids=["flat and close-only", "no equity", "below zero", "size rounds to nothing"],
)
def test_no_quotes(equity: float, lots: int, close_only: bool) -> None:
    assert len(quotes(equity, lots, close_only=close_only)) == 0


def test_flat_vault_quotes_symmetrically() -> None:
    ask, bid = quotes(1000.0, 0, layers=1)["tick"] * TICK
    assert ask - 3000.0 == pytest.approx(3000.0 - bid, abs=2 * TICK)
    assert ask == pytest.approx(3000.0 * (1 + 0.00855), abs=TICK)  # buffer + minimum change exceed the least spread


def test_spread_is_at_least_its_minimum() -> None:
    assert kernels.vault_spread(0.01, 0.0015, 0.001) == 0.01
    assert kernels.vault_spread(0.001, 0.0015, 0.001) == pytest.approx(0.0025)


@given(st.floats(100.0, 1e6), st.integers(-(10**7), 10**7), st.floats(1.0, 1e5), st.booleans())
def test_invariants(equity: float, lots: int, oracle: float, close_only: bool) -> None:
    table = quotes(equity, lots, oracle, close_only)
    asks, bids = table[table["side"] < 0], table[table["side"] > 0]
    assert (table["tick"] >= 1).all()
    assert (table["lots"] > 0).all()
    assert (np.diff(asks["tick"]) >= 0).all()  # deeper layers are farther away
    assert (np.diff(bids["tick"]) <= 0).all()
    # what adds to the inventory never takes; leverage is known to a millionth
    leverage = kernels.vault_leverage(equity, lots * LOT, oracle)
    assert -1e-9 <= leverage - lots * LOT * oracle / equity <= 1.000001e-6
    assert asks["post_only"].tolist() == [leverage <= 0] * len(asks)
    assert bids["post_only"].tolist() == [leverage >= 0] * len(bids)
    if close_only:
        assert (table["side"] * lots < 0).all()
        assert table["lots"].sum() <= abs(lots)
    elif len(table):
        assert len(table) == 6
        assert asks["tick"][0] >= bids["tick"][0]


@given(st.integers(1, 10**6))
def test_inventory_moves_both_sides_against_it(lots: int) -> None:
    flat, long, short = quotes(5000.0, 0), quotes(5000.0, lots), quotes(5000.0, -lots)
    assert (long["tick"] <= flat["tick"]).all()
    assert (short["tick"] >= flat["tick"]).all()
