"""Comparisons on tables of runs made by hand, whose differences are known, and one on real runs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from abm.lab import analysis_cli
from abm.lab.comparison import Comparison, compare
from abm.lab.comparison_table import frame, meanings, write_comparison
from abm.lab.comparison_text import comparison_lines, finding, remarks
from abm.lab.errors import InputError

SEEDS = range(1, 21)
LAG = "venue.oracle.lag_blocks"
OUTCOMES = ("bad_debt", "liquidated_share", "profit.takers", "profit.keepers")


@dataclass
class Stored:
    """What a comparison reads of the results of a sweep."""

    table: pl.DataFrame
    baseline: str = "today"
    points: int = 2
    asked: tuple[str, ...] = ("bad_debt", "liquidated_share")
    folder: Path = Path("made-by-hand")

    @property
    def runs(self) -> pl.LazyFrame:
        return self.table.lazy().with_row_index("run")

    @property
    def plan(self) -> SimpleNamespace:
        variants = self.table["variant"].unique(maintain_order=True).to_list()
        points = [{"point": point, "values": {LAG: 10 * point}} for point in range(self.points)]
        cells = [{"variant": variant, **point} for variant in variants for point in points]
        return SimpleNamespace(
            name="hand",
            variants=variants,
            baseline=self.baseline,
            cells=cells,
            outcomes=list(self.asked),
            symbols=["BTC"],
            cohorts=["takers", "keepers"],
            cohorts_beside=[],
            tables=["markets", "venue", "cohorts"],
        )

    @property
    def outcomes(self) -> list[str]:
        return [name for name in self.table.columns if name in OUTCOMES]

    @property
    def factors(self) -> list[str]:
        return [LAG]


def worlds(seed: int) -> float:
    return float(np.random.default_rng(seed).gamma(2.0, 1_000.0))


def row(variant: str, point: int, seed: int, **changes: Any) -> dict[str, Any]:
    """Bad debt: the world's, 100 more at the second point, a tenth less with the new rule."""
    debt = worlds(seed) + 100.0 * point
    debt *= 0.9 if variant == "new" else 1.0
    values = {"bad_debt": debt, "liquidated_share": 0.01 * (seed % 7), "profit.takers": -debt, "profit.keepers": 0.1 * debt}
    return {"variant": variant, "point": point, "seed": seed, "status": "done", LAG: 10 * point} | values | changes


def table_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(OUTCOMES, pl.Float64), orient="row", infer_schema_length=None)


def full(variants: tuple[str, ...] = ("today", "new"), points: int = 2) -> list[dict[str, Any]]:
    return [row(variant, point, seed) for variant in variants for point in range(points) for seed in SEEDS]


@pytest.fixture(scope="module")
def simple() -> Comparison:
    return compare(Stored(table_of(full())), draws=200)  # type: ignore[arg-type]


def test_pairs_of_equal_seed_and_point(simple: Comparison) -> None:
    debt, share = simple.differences
    means = np.array([worlds(seed) + 50.0 for seed in SEEDS])
    assert (debt.count.pairs, debt.count.exercised, debt.found.units) == (40, 40, 20)
    assert debt.found.t.estimate == pytest.approx(-0.1 * means.mean())
    assert debt.found.correlation == pytest.approx(1.0)
    assert debt.found.variance_ratio == pytest.approx((1.0 + 0.81) / 0.01)
    assert (debt.found.signs.lower, debt.verdict) == (20, "better")
    assert (simple.baseline, simple.by, simple.units) == ("today", "variant", "seeds")
    assert share.identical
    assert not debt.identical


def test_p_values_are_corrected_for_what_was_tested(simple: Comparison) -> None:
    """One of two outcomes never differs, so nothing is corrected for it; the two populations are a family of their own."""
    debt, share = simple.differences
    assert (debt.p, debt.p_holm) == (pytest.approx(2.0 / 2**20), pytest.approx(2.0 / 2**20))
    assert (share.p, share.p_holm) == (1.0, 1.0)
    assert [each.p_holm for each in simple.populations] == pytest.approx([2 * 2.0 / 2**20] * 2)


def test_who_gains_and_who_pays(simple: Comparison) -> None:
    takers, keepers = simple.populations
    assert (takers.outcome, takers.verdict, keepers.verdict) == ("profit.takers", "better", "worse")
    assert takers.found.t.estimate == pytest.approx(-simple.differences[0].found.t.estimate)


def test_a_null_is_counted_and_never_dropped_silently() -> None:
    rows = full(points=1)
    for each in rows:
        seed, new = each["seed"], each["variant"] == "new"
        if (seed in (1, 2) and new) or (seed == 3 and not new) or seed in (4, 5, 6, 7):
            each["bad_debt"] = None
        if seed == 8 and new:
            each |= {"status": "failed", "bad_debt": None}
    rows = [each for each in rows if not (each["seed"] == 9 and each["variant"] == "today")]
    found = compare(Stored(table_of(rows), points=1), draws=50)  # type: ignore[arg-type]
    count = found.differences[0].count
    assert (count.pairs, count.only_baseline, count.only_other, count.neither, count.failed, count.missing) == (20, 2, 1, 4, 1, 1)
    assert count.exercised == found.differences[0].found.pairs == 11
    text = " ".join(" ".join(comparison_lines(found)).split())
    assert "1 pair left out: a run failed." in text
    assert "1 pair left out: a run has not been made" in text
    assert "bad_debt: exercised in 11 of 20 pairs; 2 in the baseline only, 1 with new only, 4 on neither side." in text


def test_an_outcome_that_is_never_exercised() -> None:
    rows = [{**each, "bad_debt": None} for each in full(points=1)]
    found = compare(Stored(table_of(rows), points=1), draws=50)  # type: ignore[arg-type]
    main = found.differences[0]
    assert not main.identical
    assert main.p_holm == 1.0
    assert "not exercised in any of 20\u00a0pairs" in finding(main, found)
    assert "Not exercised, so not compared: bad_debt." in remarks(found.differences)


def test_a_rule_that_never_acted() -> None:
    rows = full(("today",), 1) + [{**each, "variant": "same"} for each in full(("today",), 1)]
    found = compare(Stored(table_of(rows), points=1), draws=50)  # type: ignore[arg-type]
    assert all(each.identical for each in (*found.differences, *found.populations))
    assert finding(found.differences[0], found) == ("same: bad_debt is identical in all 20\u00a0pairs of runs: the rule never acted.")
    assert "Every outcome is identical in all pairs: the rule never acted in these worlds." in comparison_lines(found)


def test_seeds_and_not_pairs_are_independent() -> None:
    """Many points in few worlds: the interval is as wide as few worlds make it."""
    generator = np.random.default_rng(1)
    effect = dict(zip(SEEDS, generator.standard_normal(20), strict=True))
    rows = [
        row(variant, point, seed, bad_debt=(effect[seed] if variant == "new" else 0.0))
        for variant in ("today", "new")
        for point in range(10)
        for seed in list(SEEDS)[:5]
    ]
    main = compare(Stored(table_of(rows), points=10), draws=50).differences[0]  # type: ignore[arg-type]
    assert (main.count.pairs, main.found.units) == (50, 5)
    spread = np.std([effect[seed] for seed in list(SEEDS)[:5]], ddof=1)
    assert main.found.t.half_width == pytest.approx(2.7764451051977987 * spread / math.sqrt(5.0))


def test_of_one_world_the_points_are_what_varies() -> None:
    rows = [row(variant, point, 1) for variant in ("today", "new") for point in range(8)]
    found = compare(Stored(table_of(rows), points=8), draws=50)  # type: ignore[arg-type]
    assert (found.units, found.differences[0].found.units) == ("points", 8)
    assert "one world, 8\u00a0points" in comparison_lines(found)[0]


@pytest.mark.parametrize("baseline", [0, "0", f"{LAG}=0", f"{LAG} = 0.0"])
def test_points_are_compared_with_a_point(baseline: str | int) -> None:
    found = compare(Stored(table_of(full(points=3)), points=3), baseline, ["bad_debt"], draws=50)  # type: ignore[arg-type]
    assert (found.by, found.baseline) == ("point", f"{LAG} = 0")
    assert [each.contrast.label for each in found.differences] == [
        f"{variant}, {LAG} = {lag}" for variant in ("today", "new") for lag in (10, 20)
    ]
    assert [each.found.t.estimate for each in found.differences] == pytest.approx([100.0, 200.0, 90.0, 180.0])
    assert all(each.found.deviation == pytest.approx(0.0, abs=1e-9) for each in found.differences)


def test_points_of_a_sweep_without_variants() -> None:
    stored = Stored(table_of([{**each, "variant": ""} for each in full(("today",))]), baseline="")
    found = compare(stored, outcomes=["bad_debt"], draws=50)  # type: ignore[arg-type]
    assert [(each.contrast.label, round(each.found.t.estimate, 6)) for each in found.differences] == [(f"{LAG} = 10", 100.0)]
    with pytest.raises(InputError, match="no variants; expected a point as the baseline"):
        compare(stored, "today")  # type: ignore[arg-type]


def test_variants_at_each_point() -> None:
    found = compare(Stored(table_of(full())), outcomes=["bad_*"], by="cell", draws=50)  # type: ignore[arg-type]
    mean = np.mean([worlds(seed) for seed in SEEDS])
    assert [each.found.t.estimate for each in found.differences] == pytest.approx([-0.1 * mean, -0.1 * (mean + 100.0)])
    assert [each.count.pairs for each in found.differences] == [20, 20]


@pytest.mark.parametrize(
    ("baseline", "outcomes", "by", "words"),
    [
        ("todya", None, "", "there is no variant 'todya'; did you mean 'today'?"),
        (7, None, "", "there is no point 7; expected 0 to 1"),
        (f"{LAG}=5", None, "", f"no point has {LAG}=5; expected one, such as {LAG}=0"),
        ("venue.oracle.lag=5", None, "", f"is no factor of the sweep; did you mean '{LAG}'"),
        ("", ["bad_dept", "cosmic"], "", "there is no outcome 'bad_dept'; did you mean 'bad_debt'?"),
        ("", ["cosmic"], "", "outcome 'cosmic' is unknown"),
        ("", ["liquidation_hill"], "", "outcome 'liquidation_hill' needs the table 'liquidations', which the sweep has not kept"),
        (1, None, "cell", "is a point, and cannot be compared by cell"),
    ],
)
def test_what_the_sweep_does_not_have_is_told(baseline: Any, outcomes: list[str] | None, by: Any, words: str) -> None:
    with pytest.raises(InputError) as told:
        compare(Stored(table_of(full())), baseline, outcomes, by)  # type: ignore[arg-type]
    assert words in str(told.value)
    assert str(told.value).startswith("made-by-hand: ")


def test_one_variant_alone_and_one_point_alone() -> None:
    with pytest.raises(InputError, match="'today' is the only variant"):
        compare(Stored(table_of(full(("today",)))), draws=50)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one point only"):
        compare(Stored(table_of(full(points=1)), points=1), 0, draws=50)  # type: ignore[arg-type]


def test_the_table_and_its_files(simple: Comparison, tmp_path: Path) -> None:
    table = frame(simple)
    assert table.height == 4
    assert table["population"].to_list() == [False, False, True, True]
    assert table.columns == list(meanings([0.1, 0.5, 0.9]))
    assert table.select(pl.selectors.float().is_nan().any()).row(0) == (False,) * len(table.select(pl.selectors.float()).columns)
    assert table["variance_ratio"].null_count() == 1  # identical
    written = write_comparison(simple, tmp_path / "compare")
    assert pl.read_parquet(written[0]).equals(table)
    contents = json.loads(written[1].read_text(encoding="utf-8"))
    assert contents["rows"] == table.to_dicts()
    assert set(contents["columns"]) == set(table.columns)
    again = write_comparison(compare(Stored(table_of(full())), draws=200), tmp_path / "again")  # type: ignore[arg-type]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_the_finding_in_one_sentence(simple: Comparison) -> None:
    debt = simple.differences[0]
    text = finding(debt, simple).replace("\u00a0", " ")
    assert text.startswith(f"new: bad_debt is {-debt.found.t.estimate:.0f} USD lower on average (95 % interval \u2212")
    assert text.endswith("lower in 20 of 20 worlds.")
    assert all(len(line) <= 140 for line in comparison_lines(simple))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abm.lab.sweep_store.open_sweep", lambda folder: Stored(table_of(full()), folder=folder))
    told = CliRunner().invoke(analysis_cli.compare, [str(tmp_path), "--outcomes", "bad_debt, liquidated*"], catch_exceptions=False)
    assert told.exit_code == 0
    assert "lower in 20 of 20" in told.output
    assert (tmp_path / "compare" / "comparison.parquet").is_file()
    quiet = CliRunner().invoke(analysis_cli.compare, [str(tmp_path), "--quiet", "--out", str(tmp_path / "else")], catch_exceptions=False)
    assert quiet.output == ""
    assert (tmp_path / "else" / "comparison.json").is_file()
