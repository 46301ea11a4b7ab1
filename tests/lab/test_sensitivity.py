"""Sensitivity of functions whose indices are known, through factors with ranges, levels and scales."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from abm.lab.comparison_text import plain_lines
from abm.lab.errors import InputError
from abm.lab.factors import Factor
from abm.lab.plan_record import factor_record
from abm.lab.sensitivity import Sensitivity, given_data_sensitivity, sensitivity
from abm.lab.sensitivity_store import MEANINGS, read_sensitivity, write_sensitivity
from abm.lab.sensitivity_text import headline, sensitivity_text

A, B = 7.0, 0.1
VARIANCE = A**2 / 8 + B * math.pi**4 / 5 + B**2 * math.pi**8 / 18 + 0.5
FIRST = {"a": 0.5 * (1 + B * math.pi**4 / 5) ** 2 / VARIANCE, "b": A**2 / 8 / VARIANCE, "c": 0.0}
BOTH = 8 * B**2 * math.pi**8 / 225 / VARIANCE
ANGLES = tuple(Factor(name, (f"angle.{name}",), low=-math.pi, high=math.pi) for name in "abc")


def ishigami(a: Any, b: Any, c: Any) -> Any:
    return np.sin(a) + A * np.sin(b) ** 2 + B * c**4 * np.sin(a)


@dataclass
class Function:
    """In place of runs."""

    of: Any
    outcome: str = "bad_debt"
    folder: Path = Path("nowhere")
    failed: int = 0

    @property
    def subject(self) -> SimpleNamespace:
        return SimpleNamespace(sweep=SimpleNamespace(name="function"), variant="")

    def values(self, points: Sequence[dict[str, float]], seeds: Sequence[int]) -> np.ndarray:
        found = [self.of(**{key.partition(".")[2]: value for key, value in point.items()}) for point in points]
        return np.repeat(np.array(found)[:, None], len(seeds), axis=1)


def found(method: Any, function: Any, factors: Sequence[Factor], samples: int) -> Sensitivity:
    return sensitivity(Function(function), factors, method, samples, (1, 2), draws=300)  # type: ignore[arg-type]


def test_sobol_orders_factors_by_their_total_index() -> None:
    told = found("sobol", ishigami, ANGLES, 1024)
    assert [each.factor for each in told.factors] == ["a", "b", "c"]
    total = {"a": FIRST["a"] + BOTH, "b": FIRST["b"], "c": BOTH}
    for each in told.factors:
        assert each.indices["first"].contains(FIRST[each.factor])
        assert each.indices["total"].contains(total[each.factor])
    assert (told.points, told.replications, told.dropped) == (5 * 1024, 2, 0)


def test_morris_knows_what_does_not_matter() -> None:
    told = found("morris", lambda a, b, c: 5.0 * a + 0.0 * b - c, ANGLES, 10)
    assert [each.factor for each in told.factors] == ["a", "c", "b"]
    assert told.factors[0].indices["size"].estimate == pytest.approx(10.0 * math.pi)
    assert told.factors[1].indices["mean"].estimate == pytest.approx(-2.0 * math.pi)
    assert "b cannot be told from no effect" in headline(told)


def test_factors_are_drawn_as_their_ranges_say() -> None:
    """A logarithmic range, whole numbers and levels: the variances of their contributions are known."""
    factors = (
        Factor("fund", ("x.fund",), low=1.0, high=100.0, log=True),
        Factor("lag", ("x.lag",), low=0, high=4, integer=True),
        Factor("rule", ("x.rule",), levels=("queue", "random")),
    )
    told = found("sobol", lambda fund, lag, rule: math.log(fund) + lag + (rule == "random"), factors, 512)
    parts = {"fund": math.log(100.0) ** 2 / 12.0, "lag": 2.0, "rule": 0.25}
    for each in told.factors:
        assert each.indices["first"].estimate == pytest.approx(parts[each.factor] / sum(parts.values()), abs=0.03)


def test_undefined_outcomes_are_left_out_and_counted() -> None:
    told = found("morris", lambda a, b, c: math.nan if a > 3.0 and b > 3.0 else a, ANGLES, 40)
    assert 0 < told.dropped < 40
    assert told.points < 160
    assert f"{told.dropped}\u00a0walk" in " ".join(plain_lines(sensitivity_text(told)))


def test_where_nothing_matters_no_factor_is_named() -> None:
    told = given_data_sensitivity(stored(of=lambda a, b, c: np.random.default_rng(4).standard_normal(len(a))))
    assert headline(told) == "bad_debt: no factor can be told from one without effect."


def test_what_cannot_be_answered_is_told() -> None:
    with pytest.raises(InputError, match="--samples: expected a power of two from 2 on, got 6"):
        found("sobol", ishigami, ANGLES, 6)
    with pytest.raises(InputError, match="nowhere: bad_debt: outcomes: all are equal"):
        found("sobol", lambda a, b, c: 1.0, ANGLES, 8)
    with pytest.raises(InputError, match="at least 2 walks"):
        found("morris", lambda a, b, c: math.nan, ANGLES, 4)


def test_the_file_of_indices(tmp_path: Path) -> None:
    for method in ("sobol", "morris"):
        told = found(method, ishigami, ANGLES, 16)
        contents = json.loads(write_sensitivity(told, tmp_path / method).read_text(encoding="utf-8"))
        assert [each["factor"] for each in contents["factors"]] == [each.factor for each in told.factors]
        assert set(contents["indices"]) <= set(MEANINGS)
        assert contents["factors"][0][told.main]["estimate"] == told.factors[0].indices[told.main].estimate
        assert all(len(line) <= 140 for line in plain_lines(sensitivity_text(told)))
        again = read_sensitivity(tmp_path / method)
        assert again == told
        assert again.table.equals(told.table)


def test_the_table_holds_every_point_with_its_outcome_and_its_worlds() -> None:
    for method, groups in (("sobol", 16), ("morris", 16)):
        table = found(method, lambda a, b, c: math.nan if a > 2.0 else a + b, ANGLES, 16).table
        assert table.columns == ["point", "group", "a", "b", "c", "bad_debt", "worlds"]
        assert table["group"].n_unique() == groups
        known = table.drop_nulls()
        assert known["bad_debt"].to_list() == pytest.approx((known["a"] + known["b"]).to_list())
        assert table.filter(pl.col("bad_debt").is_null())["a"].min() > 2.0  # type: ignore[operator]
        assert table["worlds"].to_list() == [0 if a > 2.0 else 2 for a in table["a"]]
    walks = found("morris", lambda a, b, c: a, ANGLES, 16).table.partition_by("group")
    assert all(sum((walk[name].diff().fill_null(0.0) != 0.0).sum() for name in "abc") == 3 for walk in walks)


def test_files_of_another_version_are_refused(tmp_path: Path) -> None:
    path = write_sensitivity(found("morris", ishigami, ANGLES, 4), tmp_path)
    contents = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: value for key, value in contents.items() if key != "records"}), encoding="utf-8")
    with pytest.raises(InputError, match="is not of this version"):
        read_sensitivity(tmp_path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="was not written by this program"):
        read_sensitivity(tmp_path)


def stored(design: str = "latin_hypercube", of: Any = ishigami, **changes: Any) -> Any:
    """Results at 600 drawn points in two worlds."""
    generator = np.random.default_rng(1)
    points = generator.uniform(-math.pi, math.pi, (600, 3))
    names = ["angle.a", "angle.b", "angle.c"]
    frames = [
        pl.DataFrame(
            {"variant": "", "point": np.arange(600), "seed": seed, "status": "done"}
            | dict(zip(names, points.T, strict=True))
            | {"bad_debt": of(*points.T) + sign * 0.5}
        )
        for seed, sign in ((1, 1.0), (2, -1.0))
    ]
    table = pl.concat(frames).with_columns(pl.when(pl.col("point") < 20).then(None).otherwise(pl.col("bad_debt")).alias("bad_debt"))
    plan = {"name": "drawn", "design": design, "variants": [""], "baseline": "", "outcomes": ["bad_debt"],
            "factors": [factor_record(Factor(name, (name,), low=-math.pi, high=math.pi)) for name in names]} | changes  # fmt: skip
    return SimpleNamespace(
        folder=Path("drawn"), plan=SimpleNamespace(**plan), runs=table.lazy().with_row_index("run"), outcomes=["bad_debt"], factors=names
    )


def test_indices_from_results_that_are_there() -> None:
    told = given_data_sensitivity(stored())
    assert (told.method, told.points, told.replications, told.dropped) == ("given data", 580, 2, 20)
    for each in told.factors:
        assert each.indices["first"].estimate == pytest.approx(FIRST[each.factor[-1]], abs=0.08)
    assert headline(told).startswith("bad_debt: angle.b alone accounts for 0.4")
    assert "angle.c cannot be told from no effect" in headline(told)


def test_results_of_a_grid_or_of_another_variant_are_refused() -> None:
    with pytest.raises(InputError, match="drawn: design grid was not drawn; expected random, latin_hypercube, sobol"):
        given_data_sensitivity(stored("grid"))
    with pytest.raises(InputError, match="there is no variant 'x'"):
        given_data_sensitivity(stored(), variant="x")
    with pytest.raises(InputError, match="drawn: names no outcome; expected one, such as bad_debt"):
        given_data_sensitivity(stored(outcomes=[]))
