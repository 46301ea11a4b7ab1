"""What happened, as numbers: each definition on a record made by hand whose answer is known."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console

from abm.lab.episodes import cascades, funding_flips, largest_move, liquidations_by_minute
from abm.lab.profit import PARTS, wealth_changes
from abm.lab.run import RunResult
from abm.lab.summary import Summary, headline, summarise
from abm.lab.summary_table import print_summary, summary_lines
from abm.lab.wording import DASH, change, clock, compact, duration, names, percent, plural, price, usd

Record = dict[str, pl.DataFrame]
SYMBOLS, PEOPLE = ("BTC", "ETH"), ("takers", "keepers")


def fall(second: float) -> float:
    """100 until second 600, then down in a straight line to 80 at second 1,200, then 90 from second 2,400 on."""
    if second <= 600:
        return 100.0
    if second <= 1200:
        return 100.0 - 20.0 * (second - 600) / 600
    return 80.0 if second < 2400 else 90.0


def market_rows() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for second in range(0, 3601, 60):
        index = fall(second)
        near = 100.0 if second < 900 else 10.0 if second < 1500 else 60.0
        rows.append(
            {
                "block": second, "market": "BTC", "index": index, "mark": index,
                "oracle": index * (1.02 if second == 1080 else 1.0),
                "mid": index * (0.95 if second == 1200 else 1.01 if second == 300 else 1.0),
                "open_interest": 10.0 if second < 900 else 4.0, "bid_depth_10bp": near, "ask_depth_10bp": near,
                "bid_depth_50bp": 5 * near, "ask_depth_50bp": 4 * near, "volume": 10.0 * second, "trades": second,
                "status": 1 if second in (1260, 1320) else 0,
            }
        )  # fmt: skip
        still = {"block": second, "market": "ETH", "volume": 100.0, "open_interest": 50.0}
        rows.append(still | dict.fromkeys(("index", "oracle", "mark", "mid"), 10.0))
    return rows


def liquidation_rows() -> list[dict[str, object]]:
    listed = [
        # second, account, keeper, market, side, coins, USD, to the fund, below maintenance since, result, leverage
        (700, 1, 8, "BTC", "sell", 1.0, 95.0, 2.0, 690, "filled", 30.0),
        (760, 1, 9, "BTC", "sell", 2.0, 180.0, 3.0, 690, "filled", 40.0),
        (770, 2, 8, "BTC", "sell", 1.0, 90.0, -7.0, 769, "no_liquidity", -5.0),
        (790, 3, -1, "ETH", "buy", 3.0, 35.0, 0.0, 789, "filled", 50.0),
        (800, 4, 9, "BTC", "sell", 0.0, 0.0, 0.0, 799, "no_liquidity", 20.0),
        (805, 4, 9, "none", "none", 0.0, 0.0, 0.0, -1, "not_liquidatable", 0.0),
        (2000, 5, -1, "BTC", "sell", 1.0, 80.0, 0.0, 1999, "filled", 60.0),
    ]
    fields = (
        "block",
        "account",
        "keeper",
        "market",
        "side",
        "size",
        "notional",
        "fund_delta",
        "trigger_block",
        "result",
        "leverage_before",
    )
    return [{**dict(zip(fields, row, strict=True)), "cohort": "takers", "reward": 0.5 if row[2] >= 0 and row[5] else 0.0} for row in listed]


@pytest.fixture
def record(make_record: Callable[..., Record]) -> Record:
    """An hour of BTC and ETH, looked at every minute; BTC falls by a fifth, ETH stands still."""
    venue = [
        {
            "block": second, "insurance_fund": 50.0 if second < 720 else 40.0 if second < 1800 else 48.0, "fees": second / 100.0,
            "bad_debt": 5.0 if second == 1500 else 1e-12 if second > 1500 else 0.0, "below_zero": 2 if second == 1500 else 0,
            "withdrawals_open": 0 if 1500 <= second < 1800 else 1, "failed_gas": 0.25,
        }
        for second in range(0, 3601, 60)
    ]  # fmt: skip
    cohorts = [
        {"block": 0, "cohort": "takers", "collateral": 1000.0, "net_deposits": 1000.0},
        {"block": 0, "cohort": "keepers", "collateral": 10.0, "net_deposits": 10.0},
        {
            "block": 3600, "cohort": "takers", "collateral": 500.0, "long_notional": 700.0, "short_notional": 300.0,
            "net_deposits": 1000.0,
            "fees": -20.0, "funding": -4.0, "liquidation": -30.0, "deleveraging": -6.0, "socialised": -1.0, "outside": 15.0,
        },
        {"block": 3600, "cohort": "keepers", "collateral": 14.0, "net_deposits": 10.0, "gas": 1.5, "rewards": 4.0},
    ]  # fmt: skip
    deleveragings = [
        {
            "block": 860, "market": "BTC", "liquidated": 2, "counterparty": counterparty, "size": 2.0, "price": 85.0,
            "haircut": haircut,
            "counterparty_leverage": leverage,
        }
        for counterparty, haircut, leverage in ((6, 5.0, 0.2), (7, 1.0, 0.4))
    ]  # fmt: skip
    funding = [
        {"block": block, "market": market, "rate_per_day": rate, "paid": 3.0}
        for block, market, rate in (
            (900, "BTC", 0.01), (1800, "BTC", 0.0), (2700, "BTC", -0.02), (3600, "BTC", 0.005),
            (900, "ETH", 0.0), (1800, "ETH", -0.01), (2700, "ETH", -0.01),
        )
    ]  # fmt: skip
    tables = {"markets": market_rows(), "venue": venue, "cohorts": cohorts, "liquidations": liquidation_rows()}
    return make_record(SYMBOLS, PEOPLE, tables | {"deleveragings": deleveragings, "funding": funding})


@pytest.fixture
def summary(record: Record) -> Summary:
    return summarise(record)


def test_liquidations(summary: Summary) -> None:
    found = summary.liquidations
    assert (found.count, found.accounts, found.failed) == (5, 4, 2)
    assert found.failures == {"no_liquidity": 1, "not_liquidatable": 1}
    assert found.notional == pytest.approx(480.0)
    assert found.long_share == pytest.approx(445.0 / 480.0)
    assert found.largest == 180.0
    assert (found.first, found.last) == (700.0, 2000.0)
    assert (found.peak_minute, found.peak_notional) == (720.0, pytest.approx(180.0 + 90.0))  # 12 minutes in: 760 and 770
    assert (found.delay_median, found.delay_longest) == (1.0, 70.0)  # 10, 70, 1, 1, 1
    assert found.leverage_median == 45.0  # 30, 40, 50, 60: the one under water has none
    # the move begins at second 660: 10 coins at 98 and 50 at 10
    assert found.of_open_interest == pytest.approx(480.0 / 1480.0)


def test_largest_move_of_index_and_mark(summary: Summary) -> None:
    market = summary.markets["BTC"]
    # Nine tenths of ln(100 / 80) are 0.2008: from 98 (second 660) to 80 (second 1,200) it is 0.2029, from 96 no longer enough.
    assert market.index_move == pytest.approx(80.0 / 98.0 - 1.0)
    assert (market.index_move_start, market.index_move_seconds) == (660.0, 540.0)
    assert market.mark_move == market.index_move
    assert summary.markets["ETH"].index_move is None
    assert (market.index_start, market.index_end) == (100.0, 90.0)


def test_market(summary: Summary) -> None:
    btc, eth = summary.markets["BTC"], summary.markets["ETH"]
    assert (btc.gap_lowest, btc.gap_lowest_time) == (pytest.approx(-0.05), 1200.0)
    assert (btc.gap_highest, btc.gap_highest_time) == (pytest.approx(0.01), 300.0)
    assert btc.oracle_gap == pytest.approx(0.02)
    assert (btc.volume, btc.trades, eth.volume) == (36_000.0, 3600, 100.0)
    assert summary.volume == 36_100.0
    assert (btc.liquidated, eth.liquidated) == (445.0, 35.0)
    assert (btc.liquidated_long_share, eth.liquidated_long_share) == (1.0, 0.0)
    assert btc.deleveraged == 2 * 2.0 * 85.0
    assert (btc.open_interest_before, btc.open_interest_lowest, btc.open_interest_end) == (980.0, 320.0, 360.0)
    assert eth.open_interest_before == eth.open_interest_end == 500.0
    assert (btc.halted, eth.halted) == (120.0, 0.0)


def test_depth_before_at_worst_and_recovered(summary: Summary) -> None:
    near, far = (summary.markets["BTC"].depth[name] for name in ("10bp", "50bp"))
    assert (near.within, far.within) == (0.001, 0.005)
    assert (near.before, near.worst, near.worst_time, near.recovered_after) == (200.0, 20.0, 900.0, 600.0)
    assert (far.before, far.worst) == (900.0, 90.0)
    nothing = summary.markets["ETH"].depth["10bp"]
    assert (nothing.before, nothing.worst, nothing.recovered_after) == (0.0, 0.0, 0.0)


def test_funding_of_markets(summary: Summary) -> None:
    btc, eth = summary.markets["BTC"].funding, summary.markets["ETH"].funding
    assert (btc.settlements, btc.flips, btc.lowest, btc.highest, btc.paid) == (4, 2, -0.02, 0.01, 12.0)
    assert btc.first_flip_after == 2700.0 - 660.0
    assert (eth.settlements, eth.flips, eth.first_flip_after) == (3, 0, None)


def test_flips_ignore_zero_rates_and_know_how_long_they_lasted(record: Record) -> None:
    flips = funding_flips(record["funding"]).drop("market")
    assert flips.rows() == [(2700.0, 0.01, -0.02, 900.0), (3600.0, -0.02, 0.005, None)]


def test_cascades_end_with_a_pause(record: Record, summary: Summary) -> None:
    found = cascades(record["liquidations"], quiet_seconds=300.0, least_accounts=3)
    assert found.height == 1  # the liquidation at 2,000 stands alone
    row = found.row(0, named=True)
    assert (row["start"], row["end"], row["liquidations"], row["accounts"], row["markets"]) == (700.0, 790.0, 4, 3, 2)
    assert (row["notional"], row["long_share"]) == (400.0, pytest.approx(365.0 / 400.0))
    assert (row["peak_minute"], row["peak_notional"]) == (760.0, 305.0)  # minutes are counted from second 700
    assert cascades(record["liquidations"], quiet_seconds=50.0, least_accounts=1)["start"].to_list() == [700.0, 760.0, 2000.0]
    assert (summary.cascades.count, summary.cascades.largest_notional) == (0, None)  # no five accounts


def test_liquidations_by_minute(record: Record) -> None:
    minutes = liquidations_by_minute(record["liquidations"])
    rows = [(row["seconds"], str(row["market"]), row["longs"], row["shorts"], row["accounts"]) for row in minutes.to_dicts()]
    assert rows == [
        (660.0, "BTC", 95.0, 0.0, 1),
        (720.0, "BTC", 270.0, 0.0, 2),
        (780.0, "ETH", 0.0, 35.0, 1),
        (1980.0, "BTC", 80.0, 0.0, 1),
    ]
    assert minutes["notional"].sum() == 480.0


def test_deleveraging(summary: Summary) -> None:
    found = summary.deleveraging
    assert (found.count, found.accounts, found.counterparties) == (2, 1, 2)
    assert (found.notional, found.haircut, found.first_after) == (340.0, 6.0, 160.0)
    assert found.leverage_median == pytest.approx(0.3)


def test_insurance_fund_and_debt(summary: Summary) -> None:
    fund = summary.insurance
    assert (fund.start, fund.lowest, fund.lowest_time, fund.end) == (50.0, 40.0, 720.0, 48.0)
    assert (fund.received, fund.payments, fund.paid, fund.rewards) == (5.0, 1, 7.0, 1.5)
    assert (fund.debt_highest, fund.debt_end, fund.under_water) == (5.0, 0.0, 2)  # 1e-12 USD is rounding
    assert fund.socialised == 1.0


def test_keepers_and_protocol(summary: Summary) -> None:
    found = summary.keepers
    assert (found.keepers, found.succeeded, found.failed, found.by_protocol) == (2, 3, 2, 2)
    assert (found.rewards, found.gas, found.failed_gas) == (1.5, 1.5, 0.25)


def test_withdrawals(summary: Summary) -> None:
    assert (summary.withdrawals.blocked, summary.withdrawals.first_blocked) == (300.0, 1500.0)


def test_profit_parts_add_up_to_the_change_of_wealth(summary: Summary) -> None:
    takers, keepers = summary.cohorts["takers"], summary.cohorts["keepers"]
    # 500 of collateral, 700 long and 300 short at mark: 900 on the venue of 1,000 paid in, and 15 won outside
    assert (takers.deposits, takers.equity, takers.total) == (1000.0, 900.0, -85.0)
    assert takers.price == pytest.approx(-85.0 - (-20.0 - 4.0 - 30.0 - 6.0 - 1.0 + 15.0))
    assert (keepers.total, keepers.rewards, keepers.gas, keepers.price) == (2.5, 4.0, -1.5, 0.0)
    assert (takers.liquidated_accounts, takers.liquidated) == (4, 480.0)
    for cohort in (takers, keepers):
        assert sum(getattr(cohort, part) for part in PARTS) == pytest.approx(cohort.total, abs=1e-9)


def test_profit_of_a_real_run_adds_up_at_every_look_and_leaves_nothing(small_run: RunResult) -> None:
    frames = small_run.stored().frames
    changes = wealth_changes(frames["cohorts"])
    assert changes.select((pl.sum_horizontal(PARTS) - pl.col("total")).abs().max()).item() < 1e-6
    on_venue = changes.group_by("seconds").agg((pl.col("equity") - pl.col("net_deposits")).sum()).sort("seconds")["equity"]
    venue = frames["venue"]
    elsewhere = venue["insurance_fund"] - venue["insurance_fund"][0] + venue["fees"]
    assert (on_venue + elsewhere).abs().max() < 1e-6  # type: ignore[operator]
    price = changes.group_by("seconds").agg(pl.col("price").sum())["price"]
    assert price.abs().max() < 1e-6  # type: ignore[operator]


def test_a_real_run_exercises_what_it_was_made_for(small_run: RunResult) -> None:
    acted = {item.name: item.exercised for item in small_run.summary.mechanisms}
    assert acted["liquidation"]
    assert acted["deleveraging"]
    assert acted["funding"]
    assert not acted["keepers"]
    assert not acted["trading halt"]


def test_mechanisms_that_never_acted_are_said_not_to_be_tested(make_record: Callable[..., Record], summary: Summary) -> None:
    acted = {item.name: item for item in summary.mechanisms}
    assert [name for name, item in acted.items() if not item.exercised] == ["insurance fund exhausted"]
    calm = summarise(calm_record(make_record))
    assert not any(item.exercised for item in calm.mechanisms)
    assert all(item.finding.endswith("not tested") for item in calm.mechanisms)


def calm_record(make_record: Callable[..., Record]) -> Record:
    """One look at a market in which nothing ever happened."""
    tables = {
        "markets": [{"market": "BTC", "index": 100.0, "oracle": 100.0, "mark": 100.0, "mid": 100.0}],
        "venue": [{"withdrawals_open": 1}],
        "cohorts": [{"cohort": "takers", "collateral": 10.0, "net_deposits": 10.0}],
    }
    return make_record(("BTC",), ("takers",), tables)


def test_nothing_happened(make_record: Callable[..., Record]) -> None:
    calm = summarise(calm_record(make_record))
    assert (calm.liquidations.count, calm.liquidations.peak_minute, calm.liquidations.of_open_interest) == (0, None, None)
    assert (calm.deleveraging.count, calm.deleveraging.first_after, calm.markets["BTC"].index_move) == (0, None, None)
    assert headline(calm) == "BTC did not move; nobody was liquidated."
    assert json.loads(calm.json())["markets"]["BTC"]["funding"]["flips"] == 0
    assert any("liquidations" in line and "none" in line for line in summary_lines(calm))


def test_a_record_without_looks_is_refused(make_record: Callable[..., Record]) -> None:
    with pytest.raises(ValueError, match="at least one block"):
        summarise(make_record(("BTC",), ("takers",), {}))


def test_json_has_numbers_units_and_definitions(summary: Summary) -> None:
    table = json.loads(summary.json())
    assert table["liquidations"]["notional"] == 480.0
    assert table["definitions"]["liquidations.notional"]["unit"] == "USD"
    assert table["definitions"].keys() == summary.flat().keys()
    assert all(entry["unit"] and entry["about"] for entry in table["definitions"].values())
    assert {item["name"]: item["exercised"] for item in table["mechanisms"]}["funding"] is True


def test_a_number_that_is_not_finite_is_an_error_and_not_written(summary: Summary) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dataclasses.replace(summary, fees=float("nan")).json()


def test_headline(summary: Summary) -> None:
    assert headline(summary).replace("\u00a0", " ") == (
        "BTC fell 18 % in 9 minutes; 4 accounts lost 480 USD of positions to liquidation (32 % of open interest). "
        "340 USD were deleveraged. The insurance fund shrank from 50.0 USD to 48.0 USD."
    )


def test_terminal_summary_holds_the_findings_and_fits(summary: Summary) -> None:
    lines = summary_lines(summary, width=100)
    text = "\n".join(lines).replace("\u00a0", " ")
    assert max(len(line) for line in lines) <= 100
    for expected in (
        "4 accounts, 5 transactions, 480 USD",
        "270 USD from 0:12",
        "takers 85.0 USD",
        "Not exercised, so not tested:",
    ):
        assert expected in text
    assert "8 Nov 12:12" in "\n".join(summary_lines(summary, datetime(2022, 11, 8, 12, tzinfo=UTC))).replace("\u00a0", " ")


def test_summary_is_printed_to_a_terminal(summary: Summary) -> None:
    file = io.StringIO()
    print_summary(summary, console=Console(file=file, width=120))
    assert "BTC" in file.getvalue()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_largest_move_is_the_larger_of_fall_and_rise(sign: float) -> None:
    prices = [2.718281828 ** (sign * level) for level in (0.0, 0.1, -0.3, 0.0)]
    move = largest_move([0.0, 10.0, 20.0, 50.0], prices, share=1.0)
    assert move is not None
    assert (move.start, move.end) == (10.0, 20.0)
    assert (move.change > 0.0) == (sign < 0.0)


@given(some.lists(some.floats(0.1, 10.0), min_size=2, max_size=30), some.floats(0.3, 1.0))
def test_largest_move_is_the_shortest_that_is_large_enough(prices: list[float], share: float) -> None:
    """Against all pairs, one by one."""
    pairs = [(i, j) for i in range(len(prices)) for j in range(i + 1, len(prices))]
    fall_, rise = (max(max(s * math.log(prices[j] / prices[i]) for i, j in pairs), 0.0) for s in (-1.0, 1.0))
    move = largest_move(range(len(prices)), prices, share)
    if max(fall_, rise) == 0.0:
        assert move is None
        return
    assert move is not None
    sign, height = (1.0, rise) if rise > fall_ * (1 + 1e-12) else (-1.0, fall_)
    enough = [j - i for i, j in pairs if sign * math.log(prices[j] / prices[i]) >= share * height * (1 - 1e-9)]
    assert min(enough) == pytest.approx(move.seconds)
    assert abs(math.log1p(move.change)) >= share * height * (1 - 1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (usd(1_234_567.0), "1.23 M USD"),
        (usd(999.9), "1.00 k USD"),
        (usd(-12.0), "\u221212.0 USD"),
        (usd(2e-10), "0 USD"),
        (compact(999_960.0), "1.00 M"),
        (compact(0.5), "0.5"),
        (percent(0.2068), "21 %"),
        (percent(1.234), "123 %"),
        (change(-0.0123), "\u22121.2 %"),
        (change(0.5), "+50 %"),
        (duration(40 * 60.0), "40 minutes"),
        (duration(60.0), "60 seconds"),
        (duration(5400.0), "1.5 hours"),
        (duration(86_400.0), "24 hours"),
        (duration(1.0), "1 second"),
        (duration(150.0, short=True), "2.5 min"),
        (clock(2 * 3600.0 + 5 * 60), "2:05"),
        (clock(3600.0, datetime(2022, 11, 8, 23, tzinfo=UTC)), "9 Nov 00:00"),
        (names(["BTC"]), "BTC"),
        (names(["BTC", "ETH", "SOL"]), "BTC, ETH and SOL"),
        (plural(1, "account"), "1 account"),
        (plural(1234, "account"), "1,234 accounts"),
        (price(20_123.4), "20,123"),
        (price(0.01234), "0.01234"),
        (usd(None), DASH),
    ],
)  # fmt: skip
def test_words(text: str, expected: str) -> None:
    assert text.replace("\u00a0", " ") == expected
