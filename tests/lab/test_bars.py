"""One-minute bars: read faithfully in every layout, refused with one line per defect, counted by the check."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abm.lab.bars import check_bars, data_folder, read_bars, time_range
from abm.lab.errors import InputError, nearest

START = datetime(2022, 11, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minute_bars(symbol="BTCUSDT", minutes=6, price=100.0, start=START):
    """Sound bars whose every value tells its row: open = price + row, close half above, range one around."""
    row = np.arange(minutes, dtype=float)
    return pl.DataFrame(
        {
            "ts": [start + k * MINUTE for k in range(minutes)],
            "symbol": [symbol] * minutes,
            "open": price + row,
            "high": price + row + 1.0,
            "low": price + row - 1.0,
            "close": price + row + 0.5,
            "volume": 10.0 + row,
        },
        schema_overrides={"ts": pl.Datetime("ms", "UTC")},
    )


def changed(table, row, **values):
    """The table with some values of one row (counted from 1) replaced."""
    at = pl.int_range(pl.len()) == row - 1
    return table.with_columns(pl.when(at).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in values.items())


def without(table, *rows):
    return table.filter(~(pl.int_range(pl.len()) + 1).is_in(rows))


@pytest.fixture
def parquet(tmp_path):
    def write(*tables, name="bars.parquet"):
        path = tmp_path / name
        pl.concat(tables).write_parquet(path)
        return path

    return write


def kline_text(table, unit=1000, header=None):
    """Archive rows of the table: open time in ms (`unit` 1000) or µs (`unit` 1)."""
    lines = [] if header is None else [header]
    for row in table.iter_rows(named=True):
        opened = round(row["ts"].timestamp() * 1e6) // unit
        closed = opened + 60_000_000 // unit - 1
        values = ",".join(f"{row[name]:.8f}" for name in ("open", "high", "low", "close", "volume"))
        lines.append(f"{opened},{values},{closed},1.0,5,0.5,0.5,0")
    return "\n".join(lines) + "\n"


HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"


def messages(path, *args, **options):
    with pytest.raises(InputError) as refused:
        read_bars(path, *args, **options)
    assert all("\n" not in message for message in refused.value.messages)
    return refused.value.messages


# reading


def test_parquet_becomes_arrays_in_the_order_of_the_symbols(parquet):
    path = parquet(minute_bars("BTCUSDT", price=100.0), minute_bars("ETHUSDT", price=50.0))
    bars = read_bars(path, ["ETHUSDT", "BTCUSDT"])
    assert bars.symbols == ("ETHUSDT", "BTCUSDT")
    assert (bars.start, bars.end, bars.minutes, bars.interval_seconds) == (START, START + 6 * MINUTE, 6, 60)
    assert bars.open.shape == (6, 2)
    assert bars.open.dtype == np.float64
    np.testing.assert_array_equal(bars.open[:, 0], 50.0 + np.arange(6))
    np.testing.assert_array_equal(bars.high[:, 1], 101.0 + np.arange(6))
    np.testing.assert_array_equal(bars.low[:, 1], 99.0 + np.arange(6))
    np.testing.assert_array_equal(bars.close[:, 1], 100.5 + np.arange(6))
    np.testing.assert_array_equal(bars.volume[:, 0], 10.0 + np.arange(6))
    assert (bars.filled_minutes, bars.unsorted_rows) == (0, 0)


def test_all_symbols_in_alphabetical_order_by_default(parquet):
    assert read_bars(parquet(minute_bars("SOLUSDT"), minute_bars("BTCUSDT"))).symbols == ("BTCUSDT", "SOLUSDT")


def test_times_of_other_zones_are_converted_and_naive_ones_are_utc(parquet):
    table = minute_bars()
    tokyo = parquet(table.with_columns(pl.col("ts").dt.convert_time_zone("Asia/Tokyo")), name="tokyo.parquet")
    naive = parquet(table.with_columns(pl.col("ts").dt.replace_time_zone(None)), name="naive.parquet")
    assert read_bars(tokyo).start == START
    assert read_bars(naive).start == START


@pytest.mark.parametrize("unit", [1000, 1], ids=["ms", "µs"])
@pytest.mark.parametrize("header", [None, HEADER], ids=["bare", "header"])
@pytest.mark.parametrize("zipped", [False, True], ids=["csv", "zip"])
def test_klines_read_the_same_in_every_spelling(tmp_path, parquet, unit, header, zipped):
    table = minute_bars()
    path = tmp_path / "BTCUSDT-1m-2022-11-08.csv"
    text = kline_text(table, unit, header)
    if zipped:
        path = path.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("BTCUSDT-1m-2022-11-08.csv", text)
    else:
        path.write_text(text)
    bars, expected = read_bars(path), read_bars(parquet(table))
    assert (bars.symbols, bars.start) == (expected.symbols, expected.start)
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(bars, name), getattr(expected, name))


def test_a_csv_of_another_system_reads_the_same(tmp_path):
    path = tmp_path / "BTCUSDT-1m-2022-11-08.csv"
    header = "Open time,Open,High,Low,Close,Volume,Close time,Quote volume,Count,Taker,Taker quote,Ignore"
    path.write_bytes(b"\xef\xbb\xbf" + kline_text(minute_bars(), header=header).replace("\n", "\r\n").encode())
    np.testing.assert_array_equal(read_bars(path).volume[:, 0], 10.0 + np.arange(6))


def test_a_folder_joins_days_and_symbols(tmp_path):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for day in (8, 9):
            table = minute_bars(symbol, 1440, price=100.0 * day, start=datetime(2022, 11, day, tzinfo=UTC))
            folder = tmp_path / "spot"
            folder.mkdir(exist_ok=True)
            (folder / f"{symbol}-1m-2022-11-{day:02}.csv").write_text(kline_text(table))
    (tmp_path / "README.md").write_text("not bars")
    (tmp_path / ".BTCUSDT-1m-2022-11-10.csv").write_text("left over")
    bars = read_bars(tmp_path)
    assert bars.symbols == ("BTCUSDT", "ETHUSDT")
    assert bars.minutes == 2880
    assert bars.open[0, 0] == 800.0
    assert bars.open[1440, 1] == 900.0
    assert read_bars(tmp_path, ["ETHUSDT"], "2022-11-09").minutes == 1440


def test_files_of_symbols_that_are_not_wanted_stay_closed(tmp_path):
    (tmp_path / "BTCUSDT-1m-2022-11-08.csv").write_text(kline_text(minute_bars()))
    (tmp_path / "ETHUSDT-1m-2022-11-08.csv").write_text("spoilt")
    assert read_bars(tmp_path, ["BTCUSDT"]).minutes == 6
    assert "did you mean 'ETHUSDT'?" in messages(tmp_path, ["ETHUSD"])[0]


def test_unsorted_rows_are_sorted_and_counted(parquet):
    table = minute_bars()
    bars = read_bars(parquet(table[[0, 2, 1, 3, 5, 4]]))
    np.testing.assert_array_equal(bars.open[:, 0], 100.0 + np.arange(6))
    assert bars.unsorted_rows == 2


@pytest.mark.parametrize(
    ("start", "end", "first", "minutes"),
    [
        (None, None, 0, 2880),
        ("2022-11-08", "2022-11-08", 0, 1440),
        (date(2022, 11, 9), None, 1440, 1440),
        ("2022-11-08T00:10", "2022-11-08T00:20", 10, 10),
        (datetime(2022, 11, 8, 1), datetime(2022, 11, 8, 3, tzinfo=UTC), 60, 120),
        ("2022-11-08T09:00+09:00", "2022-11-08T00:05Z", 0, 5),
    ],
)
def test_selection_by_time(parquet, start, end, first, minutes):
    bars = read_bars(parquet(minute_bars(minutes=2880)), None, start, end)
    assert (bars.start, bars.minutes) == (START + first * MINUTE, minutes)
    assert bars.open[0, 0] == 100.0 + first


def test_only_the_selected_rows_are_judged(parquet):
    path = parquet(changed(minute_bars(minutes=20), 3, close=-1.0))
    assert "close is -1.0" in messages(path)[0]
    assert read_bars(path, start="2022-11-08T00:10").minutes == 10


# refusing


@pytest.mark.parametrize(
    ("row", "values", "expected"),
    [
        (2, {"close": float("nan")}, "BTCUSDT row 2 (2022-11-08 00:01): close is nan, expected a finite number"),
        (3, {"volume": None}, "BTCUSDT row 3 (2022-11-08 00:02): volume is nan, expected a finite number"),
        (6, {"high": float("inf")}, "row 6 (2022-11-08 00:05): high is inf, expected a finite number"),
        (1, {"low": 0.0}, "row 1 (2022-11-08 00:00): low is 0.0, expected a price above zero"),
        (4, {"open": -5.0, "low": -6.0}, "row 4 (2022-11-08 00:03): open is -5.0, expected a price above zero"),
        (4, {"volume": -1.0}, "row 4 (2022-11-08 00:03): volume is -1.0, expected zero or more"),
        (1, {"high": 98.0}, "row 1 (2022-11-08 00:00): high is 98.0, expected at or above the low, 99.0"),
        (1, {"open": 101.5}, "row 1 (2022-11-08 00:00): open is 101.5, expected between low 99.0 and high 101.0"),
        (2, {"close": 99.5}, "row 2 (2022-11-08 00:01): close is 99.5, expected between low 100.0 and high 102.0"),
        (2, {"ts": START + 90 * timedelta(seconds=1)}, "ts is 2022-11-08 00:01:30+00:00, expected a whole minute"),
    ],
)
def test_a_broken_row_is_named(parquet, row, values, expected):
    path = parquet(changed(minute_bars(), row, **values))
    found = messages(path)
    assert any(expected in message for message in found)
    assert all(message.startswith(f"{path}: BTCUSDT") for message in found)


def test_every_defect_is_told_at_once_with_its_number_of_rows(parquet):
    btc = changed(changed(minute_bars(), 2, close=float("nan")), 5, close=float("nan"))
    found = messages(parquet(btc, changed(minute_bars("ETHUSDT"), 1, volume=-1.0)))
    assert len(found) == 2
    assert "BTCUSDT row 2" in found[0]
    assert "(2 such rows)" in found[0]
    assert "ETHUSDT row 7" in found[1]


def test_duplicates_name_both_rows(parquet):
    table = minute_bars()
    path = parquet(table, table[[2]])
    (found,) = messages(path)
    assert found == (f"{path}: BTCUSDT row 7 (2022-11-08 00:02): duplicate of {path} row 3, expected every minute once")


def test_duplicates_across_files_name_both_files(tmp_path):
    table = minute_bars()
    for name in ("BTCUSDT-1m-2022-11-08.csv", "BTCUSDT-1m-2022-11.csv"):
        (tmp_path / name).write_text(kline_text(table))
    (found,) = messages(tmp_path)
    assert "BTCUSDT-1m-2022-11-08.csv" in found
    assert "BTCUSDT-1m-2022-11.csv" in found
    assert "(6 such rows)" in found


def test_gaps_are_refused_with_the_first_and_the_total(parquet):
    path = parquet(without(minute_bars(minutes=12), 4, 5, 9))
    (found,) = messages(path)
    assert found == (
        f"{path}: BTCUSDT row 3 (2022-11-08 00:02): the first gap follows, 2 minutes; "
        "3 minutes missing in 2 gaps in all; expected every minute, or gaps = 'hold'"
    )


def test_held_gaps_repeat_the_last_close_without_volume(parquet):
    bars = read_bars(parquet(without(minute_bars(minutes=12), 4, 5, 9), minute_bars("ETHUSDT", 12)), gaps="hold")
    assert (bars.minutes, bars.filled_minutes) == (12, 3)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(bars, name)[[3, 4, 8], 0], [102.5, 102.5, 107.5])
    np.testing.assert_array_equal(bars.volume[[3, 4, 8], 0], 0.0)
    np.testing.assert_array_equal(bars.open[[0, 5, 11], 0], [100.0, 105.0, 111.0])
    np.testing.assert_array_equal(bars.volume[:, 1], 10.0 + np.arange(12))


def test_holding_gaps_does_not_excuse_other_defects(parquet):
    path = parquet(changed(without(minute_bars(minutes=12), 4), 2, close=-1.0))
    assert "close is -1.0" in messages(path, gaps="hold")[0]


def test_symbols_of_different_times_are_refused_with_the_common_range(parquet):
    path = parquet(minute_bars("BTCUSDT", 6), minute_bars("ETHUSDT", 6, start=START + 2 * MINUTE))
    (found,) = messages(path)
    assert "BTCUSDT 2022-11-08 00:00 to 2022-11-08 00:05; ETHUSDT 2022-11-08 00:02 to 2022-11-08 00:07" in found
    assert found.endswith("select start 2022-11-08T00:02 and end 2022-11-08T00:06")
    assert read_bars(path, None, "2022-11-08T00:02", "2022-11-08T00:06").minutes == 4


def test_symbols_without_a_common_minute_say_so(parquet):
    path = parquet(minute_bars("BTCUSDT", 6), minute_bars("ETHUSDT", 6, start=START + 60 * MINUTE))
    assert messages(path)[0].endswith("none in common")


def test_a_selection_that_the_data_do_not_cover_is_refused(parquet):
    path = parquet(minute_bars(minutes=60))
    found = messages(path, None, "2022-11-07", "2022-11-08")
    assert found == (
        f"{path}: BTCUSDT begins 2022-11-08 00:00, expected bars from 2022-11-07 00:00",
        f"{path}: BTCUSDT ends 2022-11-08 00:59, expected bars up to 2022-11-08 23:59",
    )


def test_an_empty_selection_says_what_there_is(parquet):
    path = parquet(minute_bars())
    assert messages(path, None, "2023-01-01", "2023-01-02") == (
        f"{path}: BTCUSDT has no bars from 2023-01-01 to 2023-01-02; it has 2022-11-08 00:00 to 2022-11-08 00:05",
    )


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        (["BTCUSTD"], "no symbol 'BTCUSTD'; did you mean 'BTCUSDT'?"),
        (["DOGE"], "no symbol 'DOGE'; it has BTCUSDT, ETHUSDT"),
        (["BTCUSDT", "BTCUSDT"], "symbols names 'BTCUSDT' twice"),
        ([], "symbols is [], expected a list such as ['BTCUSDT', 'ETHUSDT']"),
        ("BTCUSDT", "symbols is 'BTCUSDT', expected a list"),
    ],
)
def test_wrong_symbols(parquet, symbols, expected):
    assert expected in messages(parquet(minute_bars(), minute_bars("ETHUSDT")), symbols)[0]


def test_missing_columns_with_the_nearest_name(parquet):
    path = parquet(minute_bars().rename({"close": "clsoe", "volume": "traded"}))
    assert messages(path) == (
        f"{path}: column close is missing; did you mean 'clsoe'?",
        f"{path}: column volume is missing; found ts, symbol, open, high, low, clsoe, traded",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (pl.col("close").cast(pl.String), "column close is of type String, expected a number"),
        (pl.col("ts").dt.epoch("ms"), "column ts is of type Int64, expected a datetime"),
        (pl.lit(1).alias("symbol"), "column symbol is of type Int32, expected text"),
        (pl.lit(None, dtype=pl.String).alias("symbol"), "row 1: symbol is empty, expected text"),
        (pl.lit(None, dtype=pl.Datetime("ms", "UTC")).alias("ts"), "row 1: ts is empty, expected a datetime"),
        (pl.lit(10**15).cast(pl.Datetime("ms")).alias("ts"), "expected a market's time"),
    ],
)
def test_wrong_types(parquet, change, expected):
    path = parquet(minute_bars().with_columns(change))
    (found,) = messages(path)
    assert found.startswith(f"{path}: ")
    assert expected in found


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("BTCUSDT-1m-2022-11-08.csv", "", "empty, expected one-minute bars"),
        ("BTCUSDT-1m-2022-11-08.csv", HEADER + "\n", "no rows, expected one-minute bars"),
        ("BTCUSDT-1m-2022-11-08.csv", "1,2,3\n", "3 columns without a header, expected 12"),
        (
            "BTCUSDT-1m-2022-11-08.csv",
            HEADER.replace("close,", "clse,") + "\n",
            "close is missing; did you mean 'clse'?",
        ),
        ("BTCUSDT-1h-2022-11-08.csv", "", "bars of 1h, expected one-minute bars (1m)"),
        ("bitcoin.csv", "", "no symbol in the name, expected a name like BTCUSDT-1m-2022-11-08.csv"),
        ("BTCUSDT-1m-2022-11-08.zip", "no zip", "not readable"),
        ("bars.parquet", "no parquet", "not a readable Parquet file"),
        ("bars.feather", "", "file type is '.feather', expected .parquet, .csv or .zip"),
    ],
)
def test_unreadable_files(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text)
    (found,) = messages(path)
    assert found.startswith(f"{path}: ")
    assert expected in found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("103.00000000", "abc", "BTCUSDT row 3: high is 'abc', expected a number"),
        ("1667865720000", "1667865720", "BTCUSDT row 3: open_time is '1667865720', expected ms or µs since 1970"),
        (
            "1667865720000",
            "1667865720000000000",
            "BTCUSDT row 3: open_time is '1667865720000000000', expected ms or µs",
        ),
        ("1667865720000", "", "BTCUSDT row 3: open_time is None, expected ms or µs since 1970"),
        ("103.00000000", "", "BTCUSDT row 3 (2022-11-08 00:02): high is nan, expected a finite number"),
        ("102.00000000", "102.00000000,7", "not a readable CSV file"),
    ],
)
def test_a_spoilt_kline_is_named(tmp_path, old, new, expected):
    path = tmp_path / "BTCUSDT-1m-2022-11-08.csv"
    text = kline_text(minute_bars())
    path.write_text(text.replace(old, new, 1))
    (found,) = messages(path)
    assert found.startswith(f"{path}: ")
    assert expected in found


def test_a_broken_off_last_line_is_refused(tmp_path):
    path = tmp_path / "BTCUSDT-1m-2022-11-08.csv"
    path.write_text(kline_text(minute_bars())[:-80])
    assert "row 6" in messages(path)[0]


def test_missing_paths(tmp_path, parquet):
    path = parquet(minute_bars())
    assert messages(tmp_path / "bras.parquet") == (f"{tmp_path / 'bras.parquet'}: no such file or folder; did you mean '{path.name}'?",)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no .parquet, .csv or .zip file in it" in messages(empty)[0]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("8 November", None, "start is '8 November', expected an ISO date or time"),
        (None, "2022-13-01", "end is '2022-13-01', expected an ISO date or time"),
        (5, None, "start is 5, expected an ISO date or time"),
        ("2022-11-08T00:00:30", None, "start is 2022-11-08T00:00:30, expected a whole minute"),
        ("2022-11-08", "2022-11-07", "end is 2022-11-07, expected after start, 2022-11-08"),
        ("2022-11-08T10:00", "2022-11-08T10:00", "expected after start"),
    ],
)
def test_wrong_times(start, end, expected):
    with pytest.raises(InputError, match=expected):
        time_range(start, end)


def test_wrong_gaps_option(parquet):
    assert messages(parquet(minute_bars()), gaps="holds") == ("gaps is 'holds', expected 'refuse' or 'hold'; did you mean 'hold'?",)


# the check


def test_the_check_counts_every_kind_of_defect(parquet):
    spoilt = minute_bars(minutes=30)
    spoilt = changed(spoilt, 2, close=float("nan"))
    spoilt = changed(changed(spoilt, 4, low=-1.0), 5, volume=-1.0)
    spoilt = changed(changed(changed(spoilt, 7, high=1.0), 8, open=1e6), 9, close=1e6)
    spoilt = pl.concat([without(spoilt, 12, 13, 20), spoilt[[29]], spoilt[[24]]])
    path = parquet(minute_bars("ETHUSDT", 30), spoilt)
    check = check_bars(path)
    btc, eth = check.symbols
    assert (btc.symbol, btc.rows, btc.first, btc.last) == ("BTCUSDT", 29, START, START + 29 * MINUTE)
    assert (btc.gaps, btc.missing_minutes, btc.duplicates, btc.unsorted_rows) == (2, 3, 2, 1)
    assert (btc.not_finite, btc.not_positive, btc.bad_range, btc.off_minute) == (1, 2, 3, 0)
    assert btc.biggest_move == pytest.approx(1e6 / 107.5 - 1.0)
    assert btc.biggest_move_at == START + 8 * MINUTE
    assert (btc.sound, eth.sound, check.sound) == (False, True, False)
    lines = check.render()
    assert len(lines) == 4
    assert lines[0].split()[:2] == ["symbol", "rows"]
    told = " ".join(lines[1].split())
    assert told == "BTCUSDT 29 2022-11-08 00:00 2022-11-08 00:29 2 3 2 1 2 3 1 +930,132.56% 2022-11-08 00:08"
    assert "minutes missing" in lines[0]
    assert "off minute" not in lines[0], "only what was found has a column"
    assert lines[-1] == f"{path}: not usable as it is: defects in BTCUSDT"


def test_the_biggest_move_is_between_adjoining_minutes_and_keeps_its_sign(parquet):
    table = without(changed(minute_bars(minutes=10, price=1000.0), 4, close=1002.2, low=900.0), 7, 8)
    table = changed(table, 4, close=902.0, low=900.0)
    check = check_bars(parquet(table)).symbols[0]
    assert check.biggest_move == pytest.approx(1004.5 / 902.0 - 1.0)
    assert check.biggest_move_at == START + 4 * MINUTE
    single = check_bars(parquet(minute_bars(minutes=1), name="one.parquet")).symbols[0]
    assert (single.biggest_move, single.biggest_move_at) == (0.0, None)


def test_the_check_mentions_symbols_of_different_times(parquet):
    path = parquet(minute_bars("BTCUSDT", 6), minute_bars("ETHUSDT", 5))
    check = check_bars(path)
    assert check.sound
    assert check.render()[-1] == f"{path}: sound; the symbols cover different times, select common ones"


def test_off_minute_bars_are_counted(parquet):
    check = check_bars(parquet(minute_bars(start=START + timedelta(seconds=1))))
    assert check.symbols[0].off_minute == 6


# laws


@settings(max_examples=40, deadline=None)
@given(data=st.data(), minutes=st.integers(2, 60))
def test_reading_does_not_depend_on_the_order_of_rows(tmp_path_factory, data, minutes):
    table = pl.concat([minute_bars("BTCUSDT", minutes), minute_bars("ETHUSDT", minutes, price=7.0)])
    order = data.draw(st.permutations(range(table.height)))
    folder = tmp_path_factory.mktemp("order")
    table.write_parquet(folder / "sorted.parquet")
    table[list(order)].write_parquet(folder / "shuffled.parquet")
    expected, bars = read_bars(folder / "sorted.parquet"), read_bars(folder / "shuffled.parquet")
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(bars, name), getattr(expected, name))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), minutes=st.integers(3, 60))
def test_holding_fills_exactly_what_is_missing(tmp_path_factory, data, minutes):
    table = minute_bars(minutes=minutes)
    missing = data.draw(st.sets(st.integers(2, minutes - 1), min_size=1))
    path = tmp_path_factory.mktemp("gaps") / "bars.parquet"
    without(table, *missing).write_parquet(path)
    bars = read_bars(path, gaps="hold")
    assert (bars.minutes, bars.filled_minutes) == (minutes, len(missing))
    present = np.array([row + 1 not in missing for row in range(minutes)])
    whole = table["close"].to_numpy()
    np.testing.assert_array_equal(bars.close[present, 0], whole[present])
    np.testing.assert_array_equal(bars.volume[:, 0] == 0.0, ~present)
    np.testing.assert_array_equal(bars.open[~present], bars.close[np.flatnonzero(~present) - 1])
    assert check_bars(path).symbols[0].missing_minutes == len(missing)
    assert f"{len(missing)} minute" in messages(path)[0]


@settings(max_examples=60, deadline=None)
@given(
    row=st.integers(1, 6),
    column=st.sampled_from(["open", "high", "low", "close", "volume"]),
    value=st.floats(allow_nan=True, allow_infinity=True),
)
def test_the_check_and_the_reader_agree(tmp_path_factory, row, column, value):
    path = tmp_path_factory.mktemp("agree") / "bars.parquet"
    changed(minute_bars(), row, **{column: value}).write_parquet(path)
    check = check_bars(path)
    if check.sound:
        assert read_bars(path).minutes == 6
    else:
        assert messages(path)[0].startswith(f"{path}: BTCUSDT row {row} ")


# errors and the data folder


def test_input_error_keeps_each_message_on_one_line():
    error = InputError("price is\n-1", "size is 0")
    assert error.messages == ("price is -1", "size is 0")
    assert str(error) == "price is -1\nsize is 0"
    assert error.exit_code == 2
    with pytest.raises(TypeError):
        InputError()


def test_nearest_ignores_case_and_distant_names():
    assert nearest("btcustd", ["ETHUSDT", "BTCUSDT"]) == "did you mean 'BTCUSDT'?"
    assert nearest("x", ["price", "size"]) == ""


def test_data_folder_prefers_the_argument_then_the_environment(tmp_path, monkeypatch):
    named, other = tmp_path / "named", tmp_path / "other"
    named.mkdir()
    other.mkdir()
    monkeypatch.setenv("ABM_DATA", str(other))
    assert data_folder(named) == named
    assert data_folder() == other
    monkeypatch.setenv("ABM_DATA", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"ABM_DATA is .*none.*expected an existing folder"):
        data_folder()
    with pytest.raises(InputError, match=r"data folder is .*gone"):
        data_folder(tmp_path / "gone")


def test_without_any_data_folder_the_message_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.delenv("ABM_DATA", raising=False)
    monkeypatch.setattr("abm.lab.bars.__file__", str(tmp_path / "project" / "abm" / "lab" / "bars.py"))
    with pytest.raises(InputError, match="abm data fetch"):
        data_folder()
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert data_folder() == tmp_path / "shared" / "data"


# real data


def real(name: str) -> Path:
    try:
        path = data_folder() / name
    except InputError as error:
        pytest.skip(str(error))
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the data folder")
    return path


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "first", "days"),
    [
        ("crash_2022_05_luna.parquet", datetime(2022, 5, 5, tzinfo=UTC), 11),
        ("crash_2022_06.parquet", datetime(2022, 6, 10, tzinfo=UTC), 10),
        ("crash_2022_11_ftx.parquet", datetime(2022, 11, 4, tzinfo=UTC), 11),
        ("spot_1m_calm_2023_09.parquet", datetime(2023, 9, 1, tzinfo=UTC), 30),
        ("spot_1m_active_2024_03.parquet", datetime(2024, 3, 1, tzinfo=UTC), 31),
    ],
)
def test_real_spot_bars_cover_every_minute(name, first, days):
    bars = read_bars(real(name))
    assert bars.symbols == ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert (bars.start, bars.minutes) == (first, days * 1440)
    assert (bars.filled_minutes, bars.unsorted_rows) == (0, 0)


@pytest.mark.data
def test_real_crash_of_november_2022():
    bars = read_bars(real("crash_2022_11_ftx.parquet"), ["BTCUSDT", "SOLUSDT"], "2022-11-08", "2022-11-09")
    assert bars.minutes == 2880
    np.testing.assert_array_equal(bars.low.min(axis=0), [15588.0, 12.37])
    np.testing.assert_array_equal(bars.high.max(axis=0), [20700.88, 31.72])


@pytest.mark.data
def test_real_perpetuals_begin_at_different_minutes():
    path = real("perp_1m_2025_05.parquet")
    assert "select start 2025-05-04T15:37 and end 2025-06-03T15:32" in messages(path)[0]
    bars = read_bars(path, None, "2025-05-04T15:37", "2025-06-03T15:32")
    assert (len(bars.symbols), bars.minutes) == (8, 43195)
    assert check_bars(path).sound


@pytest.mark.data
def test_real_funding_is_not_bars():
    assert "columns open, high, low, close, volume are missing" in messages(real("funding_multi_2020_2023.parquet"))[0]
