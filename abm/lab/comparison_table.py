"""A comparison as a tidy table, and the files it is kept in."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from abm.lab.comparison import Comparison, Difference
from abm.lab.part_files import parquet, write_whole
from abm.lab.provenance import MADE_BY

FOLDER, NAME = "compare", "comparison"


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes comparison.parquet, a row for each outcome and contrast, and comparison.json, the same with what its columns mean.

    Raises InputError when they cannot be written.
    """
    table = frame(comparison)
    units = {"units": comparison.units, "confidence": comparison.confidence, "by": comparison.by}
    contents = {
        "made_by": MADE_BY,
        "sweep": comparison.sweep,
        "baseline": comparison.baseline,
        **units,
        "columns": meanings(compared_shares(comparison)),
        "rows": table.to_dicts(),
    }
    text = json.dumps(contents, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    written = [(folder / f"{NAME}.parquet", parquet(table)), (folder / f"{NAME}.json", text.encode())]
    for path, content in written:
        write_whole(path, content)
    return [path for path, _ in written]


def frame(comparison: Comparison) -> pl.DataFrame:
    """A row for each outcome and contrast, populations last; what is not a finite number is null. `MEANINGS` says what columns are."""
    rows = [
        _row(comparison, each, population)
        for population, table in ((False, comparison.differences), (True, comparison.populations))
        for each in table
    ]
    return pl.DataFrame(rows, schema=_schema(comparison), orient="row")


def _row(comparison: Comparison, each: Difference, population: bool) -> dict[str, Any]:
    found = each.found
    row: dict[str, Any] = {
        "outcome": each.outcome,
        "unit": each.unit,
        "better": each.better,
        "population": population,
        "baseline": comparison.baseline,
        "variant": each.contrast.variant,
        "point": each.contrast.point,
        "contrast": each.contrast.label,
        **dataclasses.asdict(each.count),
        "identical": found.identical,
        "units": found.units,
        "baseline_mean": found.baseline,
        "mean": found.variant,
        "difference": found.t.estimate,
        "t_low": found.t.low,
        "t_high": found.t.high,
        "bootstrap_low": found.bootstrap.low,
        "bootstrap_high": found.bootstrap.high,
        "bootstrap": found.bootstrap.method,
        "deviation": found.deviation,
        "correlation": found.correlation,
        "variance_ratio": found.variance_ratio,
        "detectable": found.detectable,
        "lower": found.signs.lower,
        "equal": found.signs.equal,
        "higher": found.signs.higher,
        "p_sign": each.p,
        "p_holm": each.p_holm,
        "p_signed_rank": found.signed_rank_p,
        "verdict": each.verdict,
    }
    for quantile in found.quantiles:
        name = f"q{round(100 * quantile.share):02d}"
        row |= {
            f"{name}_baseline": quantile.baseline,
            f"{name}": quantile.variant,
            f"{name}_difference": quantile.t.estimate,
            f"{name}_t_low": quantile.t.low,
            f"{name}_t_high": quantile.t.high,
            f"{name}_bootstrap_low": quantile.bootstrap.low,
            f"{name}_bootstrap_high": quantile.bootstrap.high,
        }
    return {name: finite(value) for name, value in row.items()}


def finite(value: Any) -> Any:
    """None for a float that is infinite or NaN: what tables and JSON hold instead."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


MEANINGS: dict[str, tuple[Any, str]] = {
    "outcome": (pl.String, "name, with what it is of behind the dot"),
    "unit": (pl.String, "of the outcome and of all its means, differences and quantiles"),
    "better": (pl.String, "what the venue and its traders would rather have: less, more, or neither"),
    "population": (pl.Boolean, "whether this row is of the table of who gains and who pays"),
    "baseline": (pl.String, "that is compared with"),
    "variant": (pl.String, "that is compared"),
    "point": (pl.Int32, "that is compared; null for all points together"),
    "contrast": (pl.String, "variant and factor values in words"),
    "pairs": (pl.Int64, "runs with the same seed and point on both sides, begun on one side at least"),
    "exercised": (pl.Int64, "pairs with a number on both sides: those that are compared"),
    "only_baseline": (pl.Int64, "pairs with a number in the baseline only"),
    "only_other": (pl.Int64, "pairs with a number in what is compared only"),
    "neither": (pl.Int64, "pairs without a number on either side"),
    "failed": (pl.Int64, "pairs of which a run failed"),
    "missing": (pl.Int64, "pairs of which a run has not been made"),
    "identical": (pl.Int64, "exercised pairs whose difference is exactly zero"),
    "units": (pl.Int64, "independent observations: seeds, or points where there is one seed"),
    "baseline_mean": (pl.Float64, "mean of the baseline over units"),
    "mean": (pl.Float64, "mean of what is compared, over units"),
    "difference": (pl.Float64, "mean difference from the baseline"),
    "t_low": (pl.Float64, "lower end of its t interval"),
    "t_high": (pl.Float64, "upper end of its t interval"),
    "bootstrap_low": (pl.Float64, "lower end of its bootstrap interval"),
    "bootstrap_high": (pl.Float64, "upper end of its bootstrap interval"),
    "bootstrap": (pl.String, "kind of bootstrap interval"),
    "deviation": (pl.Float64, "standard deviation of the units' differences"),
    "correlation": (pl.Float64, "of the units' values on both sides"),
    "variance_ratio": (pl.Float64, "variance of an unpaired over that of the paired difference; null where all differences are equal"),
    "detectable": (pl.Float64, "mean difference that a t test of this many units finds with 80 % power at 5 %"),
    "lower": (pl.Int64, "units with a lower value than the baseline"),
    "equal": (pl.Int64, "units with an equal value"),
    "higher": (pl.Int64, "units with a higher value"),
    "p_sign": (pl.Float64, "two-sided p of the exact sign test of lower against higher"),
    "p_holm": (pl.Float64, "the same, corrected after Holm for all rows of its table"),
    "p_signed_rank": (pl.Float64, "two-sided p of Wilcoxon's signed-rank test"),
    "verdict": (pl.String, "better, worse, higher or lower when both intervals of the mean lie on one side of zero; else empty"),
}
QUANTILE_MEANINGS: dict[str, str] = {
    "_baseline": "quantile of the baseline's values over pairs",
    "": "quantile of the values compared",
    "_difference": "difference of the two quantiles",
    "_t_low": "lower end of its t interval",
    "_t_high": "upper end of its t interval",
    "_bootstrap_low": "lower end of its bootstrap interval",
    "_bootstrap_high": "upper end of its bootstrap interval",
}


def meanings(shares: Iterable[float]) -> dict[str, str]:
    """What the columns of `frame` are, for the quantiles compared."""
    named = {f"q{round(100 * share):02d}": share for share in shares}
    return {
        **{name: about for name, (_, about) in MEANINGS.items()},
        **{f"{name}{end}": f"{share:g}-{about}" for name, share in named.items() for end, about in QUANTILE_MEANINGS.items()},
    }


def _schema(comparison: Comparison) -> dict[str, Any]:
    names = meanings(compared_shares(comparison))
    return {name: MEANINGS[name][0] if name in MEANINGS else pl.Float64 for name in names}


def compared_shares(comparison: Comparison) -> list[float]:
    """The quantiles that any difference has."""
    return list(dict.fromkeys(quantile.share for each in comparison.differences for quantile in each.found.quantiles))
