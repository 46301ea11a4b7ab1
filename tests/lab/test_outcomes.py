"""Outcomes: one row per run and one column per outcome; nothing where there is nothing to say, and zero where that is the truth."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from abm.lab.columns import COLUMNS
from abm.lab.config import Experiment
from abm.lab.errors import InputError
from abm.lab.outcomes import FAMILIES, OUTCOMES, columns, compute, find
from abm.lab.profit import PARTS
from abm.lab.summary import Summary, summarise

DOCS = Path(__file__).resolve().parents[2] / "docs"
Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def records(make_experiment: Callable[..., Experiment]) -> list[Tables]:
    """Two crashes, one of which another time would end in calm, and a quarter of an hour without one."""
    settings = ((1, True, 900.0), (2, True, 600.0), (3, False, 600.0))
    return [make_experiment(seed=seed, seconds=seconds, crash=crash).model().run().frames() for seed, crash, seconds in settings]


@pytest.fixture(scope="module")
def tables(records: list[Tables]) -> Tables:
    """As a sweep keeps them: the runs have numbers 10, 11 and 12."""
    numbered = [
        {name: frame.with_columns(pl.lit(number, pl.Int32).alias("run")).select("run", *frame.columns) for name, frame in record.items()}
        for number, record in enumerate(records, start=10)
    ]
    return {name: pl.concat([each[name] for each in numbered]) for name in records[0]}


RUNS = pl.Series("run", [10, 11, 12])


def test_one_row_per_run_in_the_order_asked_for_and_one_float_column_per_outcome(tables: Tables) -> None:
    found = compute(tables, RUNS)
    assert found["run"].to_list() == [10, 11, 12]
    assert found.schema["run"] == pl.Int32
    assert set(found.drop("run").dtypes) == {pl.Float64}
    assert found.columns == ["run", *columns(tables, RUNS)]
    assert found.width > 150
    assert_frame_equal(compute(tables, RUNS.reverse()), found.reverse())
    assert_frame_equal(compute({name: frame.lazy() for name, frame in tables.items()}, RUNS.to_frame()), found)


def test_a_run_has_the_same_outcomes_alone_and_among_others_in_memory_and_stored(
    tables: Tables, records: list[Tables], tmp_path: Path
) -> None:
    together = compute(tables, RUNS, "*")
    for name, frame in tables.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    stored = {name: pl.scan_parquet(tmp_path / f"{name}.parquet") for name in tables}
    assert_frame_equal(compute(stored, RUNS, "*"), together, check_exact=True)
    for number, record in enumerate(records, start=10):
        alone = {name: frame.with_columns(run=pl.lit(number)) for name, frame in record.items()}
        assert_frame_equal(compute(alone, pl.Series([number]), "*"), together.filter(pl.col("run") == number), check_exact=True)


def test_no_digit_depends_on_the_number_of_threads(tables: Tables, tmp_path: Path) -> None:
    many = range(20)
    for name, frame in tables.items():
        pl.concat([frame.with_columns(pl.col("run") + 3 * copy) for copy in many]).write_parquet(tmp_path / f"{name}.parquet")
    script = (
        "import sys, polars as pl; from pathlib import Path; from abm.lab.outcomes import OUTCOMES, compute\n"
        f"tables = {{path.stem: pl.scan_parquet(path) for path in Path({str(tmp_path)!r}).glob('*.parquet')}}\n"
        "whole = compute(tables, pl.Series(range(10, 70)), '*')\n"
        "few = compute(tables, pl.Series(range(10, 70)), ['liquidated', 'deleveraged', 'volume'])\n"
        "sys.stdout.write(f'{pl.thread_pool_size()} {(whole.to_numpy().tobytes() + few.to_numpy().tobytes()).hex()}')"
    )
    path = os.pathsep.join([str(DOCS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"POLARS_MAX_THREADS": threads, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for threads in ("1", "3")
    ]
    assert [threads for threads, _ in said] == ["1", "3"]
    assert said[0][1] == said[1][1]


def test_rows_may_come_in_any_order(tables: Tables) -> None:
    mixed = {name: frame.sample(fraction=1.0, shuffle=True, seed=1) for name, frame in tables.items()}
    # Of liquidations at the same second nobody knows the order once it is lost.
    unordered = [name for name in columns(tables, RUNS, "*") if not name.startswith("cascade_move")]
    assert_frame_equal(compute(mixed, RUNS, unordered), compute(tables, RUNS, unordered))


def test_no_number_is_not_a_number(tables: Tables) -> None:
    values = compute(tables, RUNS, "*").drop("run")
    assert values.select(pl.all().is_nan().any() | pl.all().is_infinite().any()).row(0).count(True) == 0


def test_a_run_without_rows_has_nothing_but_nulls(tables: Tables) -> None:
    found = compute(tables, pl.Series([12, 99]), "*")
    assert found["run"].to_list() == [12, 99]
    assert set(found.drop("run").row(1)) == {None}
    assert set(compute({name: frame.clear() for name, frame in tables.items()}, RUNS).drop("run").row(0)) == {None}


def test_the_calm_run_counts_nothing_and_knows_no_delays(tables: Tables) -> None:
    calm = compute(tables, RUNS, "*").row(2, named=True)
    assert calm["liquidated"] == calm["cascade_count"] == calm["deleveraged"] == calm["bad_debt"] == calm["liquidated_accounts"] == 0.0
    assert calm["liquidated.BTC"] == calm["deleveraged.ETH"] == calm["liquidated_notional.takers"] == calm["liquidated_share"] == 0.0
    unknown = (
        "cascade_notional",
        "peak_minute_share",
        "liquidation_delay_median",
        "deleveraged_top_share",
        "overshoot_mean",
        "liquidation_discount_mean",
        "liquidation_hill",
    )
    assert [calm[name] for name in unknown] == [None] * len(unknown)


def test_a_zero_has_no_sign(tables: Tables) -> None:
    values = compute(tables, RUNS, "*").drop("run").to_numpy()
    assert (values == 0.0).any()
    assert not (np.signbit(values) & (values == 0.0)).any()


def test_runs_asked_for_twice_come_twice(tables: Tables) -> None:
    found = compute(tables, pl.Series([11, 10, 11]), ["volume"])
    assert found["run"].to_list() == [11, 10, 11]
    assert found["volume"][0] == found["volume"][2] != found["volume"][1]


def test_names_choose_columns(tables: Tables) -> None:
    found = compute(tables, RUNS, ["profit.*", "bad_debt", "basis_p99.ETH", "bad_debt"])
    assert found.columns == ["run", "profit.takers", "profit.providers", "bad_debt", "basis_p99.ETH"]
    everything = compute(tables, RUNS, "*")
    assert_frame_equal(found, everything.select(found.columns))
    details = {name.split(".")[0] for name in set(everything.columns) - set(compute(tables, RUNS).columns)}
    assert details == {outcome.name for outcome in OUTCOMES.values() if outcome.detail}


def test_what_was_not_kept_is_null_when_asked_for_and_left_out_otherwise(tables: Tables) -> None:
    without = {name: frame for name, frame in tables.items() if name not in ("fills", "positions")}
    assert "markout_60s" not in columns(without, RUNS, "*")
    assert compute(without, RUNS, ["markout_60s", "position_gini", "volume"]).null_count().row(0) == (0, 3, 3, 0)
    assert columns({"venue": tables["venue"]}, RUNS, "*") == [name for name, each in OUTCOMES.items() if each.tables == ("venue",)]
    assert compute({"liquidations": tables["liquidations"]}, RUNS, ["liquidation_count"])["liquidation_count"][2] == 0.0


def test_markets_and_cohorts_that_these_runs_lack_are_null(tables: Tables) -> None:
    assert compute(tables, RUNS, ["basis_p99.SOL", "profit.nobody"]).drop("run").null_count().row(0) == (3, 3)


def test_a_market_that_only_some_runs_have_is_null_in_the_others(tables: Tables) -> None:
    fewer = {
        name: frame.filter((pl.col("run") != 11) | (pl.col("market") != "ETH")) if "market" in frame.columns else frame
        for name, frame in tables.items()
    }
    both, found = compute(tables, RUNS, "*"), compute(fewer, RUNS, "*")
    assert both["liquidated.ETH"][1] is not None
    assert both["liquidated.ETH"][1] > 0.0
    assert found["liquidated.ETH"].to_list() == [both["liquidated.ETH"][0], None, 0.0]
    assert found["basis_sd"][1] == found["basis_sd.BTC"][1] == both["basis_sd.BTC"][1]


def test_names_of_markets_may_be_plain_text(tables: Tables) -> None:
    plain = {
        name: frame.with_columns(pl.col(column).cast(pl.String) for column, dtype in frame.schema.items() if isinstance(dtype, pl.Enum))
        for name, frame in tables.items()
    }
    assert_frame_equal(compute(plain, RUNS, "*"), compute(tables, RUNS, "*"), check_column_order=False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bad_dept", "'bad_dept' is unknown; did you mean 'bad_debt'?"),
        ("xyz", "'xyz' is unknown; they are listed in docs/outcomes.md"),
        ("bad_debt.BTC", "one number per run only, expected 'bad_debt'"),
        ("profit", "there is one for each cohort, expected 'profit.NAME' or 'profit.*'"),
    ],
)
def test_an_unknown_name_is_an_error_that_says_what_is_right(tables: Tables, name: str, said: str) -> None:
    with pytest.raises(InputError, match="outcome") as raised:
        compute(tables, RUNS, [name])
    assert said in str(raised.value)
    with pytest.raises(InputError):
        find(name)


def test_find_knows_outcomes_by_their_columns_and_checks_suffixes_where_it_can() -> None:
    assert find("funding_flips.BTC") is find("funding_flips") is OUTCOMES["funding_flips"]
    assert find("profit.anybody") is find("profit.*", cohorts=["takers"]) is OUTCOMES["profit"]
    with pytest.raises(InputError, match="no cohort is called 'scalper'; did you mean 'scalpers'?"):
        find("profit.scalper", cohorts=["scalpers", "takers"])
    with pytest.raises(InputError, match="no market is called 'DOGE'; expected BTC, ETH"):
        find("volume.DOGE", markets=["BTC", "ETH"])
    with pytest.raises(InputError, match="no leverage is called 'above_2'"):
        find("liquidation_probability_by_leverage.above_2")


def numbers_of(summary: Summary) -> dict[str, float | None]:
    """What the summary of a single run says in other words."""
    liquidations, fund, keepers, markets = summary.liquidations, summary.insurance, summary.keepers, summary.markets
    attempts = liquidations.count + liquidations.failed
    numbers = {
        "cascade_count": summary.cascades.count,
        "cascade_notional": summary.cascades.largest_notional,
        "cascade_seconds": summary.cascades.largest_seconds,
        "cascade_accounts": summary.cascades.largest_accounts,
        "liquidated": liquidations.notional,
        "liquidation_count": liquidations.count,
        "liquidated_accounts": liquidations.accounts,
        "liquidated_share": liquidations.of_open_interest,
        "liquidated_long_share": liquidations.long_share,
        "peak_minute_share": liquidations.peak_notional / liquidations.notional if liquidations.peak_notional else None,
        "liquidation_delay_median": liquidations.delay_median,
        "liquidation_delay_longest": liquidations.delay_longest,
        "leverage_when_liquidated": liquidations.leverage_median,
        "liquidation_failure_share": liquidations.failed / attempts if attempts else None,
        "empty_book_share": liquidations.failures.get("no_liquidity", 0) / attempts if attempts else None,
        "bad_debt": fund.debt_end,
        "bad_debt_highest": fund.debt_highest,
        "fund_change": fund.end - fund.start,
        "fund_paid": fund.paid,
        "below_zero_accounts": fund.under_water,
        "socialised": fund.socialised,
        "deleveraged": summary.deleveraging.notional,
        "deleveraging_haircut": summary.deleveraging.haircut,
        "deleveraged_counterparties": summary.deleveraging.counterparties,
        "deleveraging_delay": summary.deleveraging.first_after,
        "withdrawals_blocked_seconds": summary.withdrawals.blocked,
        "failed_gas": keepers.failed_gas,
        "volume": summary.volume,
        "fees": summary.fees,
        "funding_settlements": sum(market.funding.settlements for market in markets.values()),
        "funding_flips": sum(market.funding.flips for market in markets.values()),
    }
    for symbol, market in markets.items():
        numbers |= {
            f"liquidated.{symbol}": market.liquidated,
            f"deleveraged.{symbol}": market.deleveraged,
            f"volume.{symbol}": market.volume,
            f"trades.{symbol}": market.trades,
            f"oracle_gap.{symbol}": market.oracle_gap,
            f"halted_seconds.{symbol}": market.halted,
            f"basis_largest.{symbol}": max(-market.gap_lowest, market.gap_highest),
            f"funding_flips.{symbol}": market.funding.flips,
            f"funding_paid.{symbol}": market.funding.paid,
        }
        for width in ("10bp", "50bp"):
            depth = market.depth[width]
            numbers[f"depth_{width}_recovery.{symbol}"] = depth.recovered_after if depth.before else None
            numbers[f"depth_{width}_worst.{symbol}"] = depth.worst / depth.before if depth.before and depth.worst is not None else None
    for name, cohort in summary.cohorts.items():
        numbers |= {f"profit.{name}": cohort.total, f"liquidated_notional.{name}": cohort.liquidated}
        numbers |= {f"profit_{part}.{name}": getattr(cohort, part) for part in PARTS}
        numbers[f"liquidated_accounts.{name}"] = cohort.liquidated_accounts
        numbers[f"return.{name}"] = cohort.total / cohort.deposits
    return numbers


def test_outcomes_agree_with_the_summaries_of_single_runs(tables: Tables, records: list[Tables]) -> None:
    found = compute(tables, RUNS, "*")
    for number, record in enumerate(records):
        expected = numbers_of(summarise(record))
        row = {name: found[name][number] for name in expected}
        known = {name: value for name, value in expected.items() if value is not None}
        assert {name for name, value in row.items() if value is not None} == known.keys()
        assert {name: row[name] for name in known} == pytest.approx(known, rel=1e-9, abs=1e-9)
        assert len(expected) > 60
    assert found["liquidation_count"][0] > 50
    assert found["deleveraged"][0] > 0.0


def test_parts_add_up(tables: Tables) -> None:
    found = compute(tables, RUNS, "*")
    for cohort in ("takers", "providers"):
        for whole in ("profit", "return"):
            parts = found.select(f"{whole}_{part}.{cohort}" for part in PARTS).sum_horizontal()
            assert parts.to_list() == pytest.approx(found[f"{whole}.{cohort}"].to_list(), rel=1e-9)
        split = found[f"return_quoting.{cohort}"] + found[f"return_inventory.{cohort}"]
        assert split.to_list() == pytest.approx(found[f"return_price.{cohort}"].to_list(), rel=1e-9)
    assert (found["liquidated.BTC"] + found["liquidated.ETH"]).to_list() == pytest.approx(found["liquidated"].to_list())


def test_every_outcome_says_what_it_is() -> None:
    assert len(OUTCOMES) == sum(map(len, FAMILIES.values()))
    for name, outcome in OUTCOMES.items():
        assert outcome.name == name
        assert outcome.unit
        assert outcome.definition
        assert outcome.exercised_by
        assert outcome.source
        assert set(outcome.tables) <= COLUMNS.keys()
        assert outcome.tables
        assert not (outcome.together and not outcome.split)
        assert not outcome.definition.endswith(".")
        named = outcome.source.split(". ")[0].replace(":", ",").split(", ")
        assert named[0] in outcome.tables
        known = {column for table in outcome.tables for column in COLUMNS[table]} | set(outcome.tables)
        assert not [word for word in named if word.isidentifier() and word not in known], name


def test_outcomes_name_exactly_the_tables_that_they_read(tables: Tables) -> None:
    for outcome in OUTCOMES.values():
        grid = {"market": ["markets"], "cohort": ["cohorts"]}.get(outcome.split, [])
        enough = {name: tables[name] for name in {*outcome.tables, *grid}}
        assert compute(enough, RUNS, outcome.name if outcome.plain else f"{outcome.name}.*").width > 1, outcome.name
        for left_out in outcome.tables:
            fewer = {name: tables[name] for name in tables if name != left_out}
            if outcome.plain:
                assert compute(fewer, RUNS, outcome.name)[outcome.name].null_count() == 3, (outcome.name, left_out)


def test_the_table_of_outcomes_is_fresh() -> None:
    """`python docs/outcome_table.py` writes it anew."""
    namespace: dict[str, object] = {"__name__": "outcome_table", "__file__": str(DOCS / "outcome_table.py")}
    exec(compile((DOCS / "outcome_table.py").read_text(encoding="utf-8"), "outcome_table.py", "exec"), namespace)
    fresh = namespace["with_fresh_tables"]
    text = (DOCS / "outcomes.md").read_text(encoding="utf-8")
    assert callable(fresh)
    assert fresh(text) == text, "run: python docs/outcome_table.py"
    assert [name for name in OUTCOMES if f"| `{name}" not in text] == []


def test_outcomes_are_values_that_compare_by_what_they_say() -> None:
    outcome = OUTCOMES["bad_debt"]
    assert dataclasses.replace(outcome) == outcome
    assert outcome.meaning == outcome.definition
    assert OUTCOMES["volume"].meaning == "traded; without a suffix: sum over the markets"
