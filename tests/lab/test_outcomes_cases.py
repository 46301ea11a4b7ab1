"""Outcomes in cases of their own: makers seen block by block, a pool with a known law, where cascades begin and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from abm.lab.outcomes import compute

Tables = dict[str, pl.DataFrame]
Make = Callable[..., Tables]
SYMBOLS, PEOPLE = ("BTC", "ETH"), ("takers", "makers", "keepers")


def alone(make_record: Make, **rows: list[dict[str, Any]]) -> Tables:
    return {name: frame.with_columns(run=pl.lit(0)) for name, frame in make_record(SYMBOLS, PEOPLE, rows).items()}


def looks(mids: list[float], index: list[float] | None = None) -> list[dict[str, Any]]:
    """One look a second, at every block."""
    index = index or [100.0] * len(mids)
    return [
        {"block": second, "market": "BTC", "mid": mid, "index": index[second], "mark": mid, "exogenous": 100.0}
        for second, mid in enumerate(mids)
    ]


def test_what_a_maker_earns_and_loses_is_told_apart_where_every_block_is_looked_at(make_record: Make) -> None:
    """A maker buys 2 coins at 99 while the mid was 100; the mid falls to 98 at once, and the index to 97."""
    fill = {"block": 5, "market": "BTC", "side": "sell", "price": 99.0, "size": 2.0, "maker_cohort": "makers"}
    sold = {"block": 5, "market": "BTC", "side": "buy", "price": 100.0, "size": 1.0, "maker_cohort": "takers"}
    people = [{"block": 0, "cohort": cohort, "collateral": 1.0, "net_deposits": 1.0} for cohort in PEOPLE]
    record = alone(make_record, markets=looks([100.0] * 5 + [98.0] * 70, [100.0] * 5 + [97.0] * 70), fills=[fill, sold], cohorts=people)
    (row,) = compute(record, pl.Series([0]), "*").iter_rows(named=True)
    assert row["half_spread_earned.makers"] == pytest.approx(1.0 / 99.0)
    assert row["markout_60s.makers"] == row["markout_10s.makers"] == pytest.approx(-1.0 / 99.0)
    assert row["markout_300s.makers"] is None
    assert row["adverse_selection.makers"] == pytest.approx(2.0 / 99.0)
    # Two coins bought at 99 while they cost 97 outside; one sold at 100: a gain.
    assert row["loss_versus_rebalancing.makers"] == pytest.approx(2.0 * 2.0 / 198.0)
    assert row["loss_versus_rebalancing.takers"] == pytest.approx(-3.0 / 100.0)
    assert row["loss_versus_rebalancing"] == pytest.approx((4.0 - 3.0) / 298.0)


def test_loss_versus_rebalancing_of_a_constant_product_pool_is_that_of_milionis_et_al(make_record: Make) -> None:
    """A pool whose every trade is an arbitrageur's loses sigma^2 / 8 of its value per unit of time."""
    sigma, steps = 0.01, 4000
    price = 100.0 * np.exp(np.cumsum(sigma * np.random.default_rng(7).normal(size=steps + 1) - sigma**2 / 2))
    liquidity = 1000.0
    coins = liquidity / np.sqrt(price)
    bought, paid = np.diff(coins), -np.diff(liquidity * np.sqrt(price))
    trade = paid / bought
    fills = [
        {
            "block": second, "market": "BTC", "side": "sell" if size > 0 else "buy", "price": trade[second - 1], "size": abs(size),
            "maker_cohort": "makers",
        }
        for second, size in enumerate(bought, 1)
    ]  # fmt: skip
    people = [{"block": 0, "cohort": cohort} for cohort in PEOPLE]
    record = alone(make_record, markets=looks(price.tolist(), price.tolist()), fills=fills, cohorts=people)
    share = compute(record, pl.Series([0]), ["loss_versus_rebalancing.makers"])["loss_versus_rebalancing.makers"].item()
    lost = share * (np.abs(bought) * trade).sum()
    value = 2.0 * liquidity * np.sqrt(price[:-1])
    assert lost == pytest.approx((sigma**2 / 8.0 * value).sum(), rel=0.1)
    assert lost == pytest.approx((bought * (trade - price[1:])).sum())


def liquidations(times: list[int], accounts: int, side: str = "sell", notional: float = 10.0) -> list[dict[str, Any]]:
    return [
        {
            "block": time, "market": "BTC", "side": side, "size": 1.0, "notional": notional, "account": place % accounts,
            "mark": 100.0 + place, "cohort": "takers",
        }
        for place, time in enumerate(times)
    ]  # fmt: skip


def test_cascades_end_after_five_quiet_minutes_and_need_five_accounts(make_record: Make) -> None:
    both = [*range(0, 60, 10), *range(360, 420, 10)]
    cases = {
        "a pause of 310 s": (liquidations(both, 6), 2.0),
        "a pause of 300 s": (liquidations([time - 10 if time >= 360 else time for time in both], 6), 1.0),
        "four accounts": (liquidations(both, 4), 0.0),
        "five accounts in two halves": (liquidations([0, 10, 20, 400, 410], 5), 0.0),
    }
    runs = [
        {
            name: frame.with_columns(run=pl.lit(number))
            for name, frame in alone(make_record, markets=looks([1.0]), liquidations=rows).items()
        }
        for number, (rows, _) in enumerate(cases.values())
    ]
    tables = {name: pl.concat([each[name] for each in runs]) for name in ("markets", "liquidations")}
    values = compute(tables, pl.Series(range(len(runs))), ["cascade_count", "cascade_seconds"])
    assert values["cascade_count"].to_list() == [expected for _, expected in cases.values()]
    assert values["cascade_seconds"].to_list() == [50.0, 400.0, None, None]


def test_the_move_of_a_cascade_of_shorts_is_a_rise(make_record: Make) -> None:
    record = alone(make_record, markets=looks([1.0]), liquidations=liquidations(list(range(6)), 6, "buy"))
    assert compute(record, pl.Series([0]), "cascade_move")["cascade_move"].item() == pytest.approx(0.05)


def test_insolvency_is_debt_left_at_the_end(make_record: Make) -> None:
    venue = [{"block": 0}, {"block": 60, "bad_debt": 0.02}]
    record = alone(make_record, markets=looks([1.0, 1.0]), venue=venue)
    assert compute(record, pl.Series([0]), ["insolvent", "bad_debt"]).row(0) == (0, 1.0, 0.02)
    assert compute(record, pl.Series([0]), ["fund_drawdown_share"])["fund_drawdown_share"].item() is None
