"""The files of a sensitivity analysis: the indices, and the points that they and their figures are made of."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from abm.lab.analysis_files import POINTS, SENSITIVITY, interval_of, interval_table, malformed, read_json, read_table, write_json
from abm.lab.comparison_table import finite
from abm.lab.part_files import parquet, write_whole
from abm.lab.sensitivity import FactorIndex, Sensitivity

MEANINGS = {
    "first": "share of the outcome's variance that comes from this factor alone",
    "total": "share of the outcome's variance that comes from this factor alone or together with others",
    "mean": "mean change of the outcome per whole range of the factor, in the outcome's unit",
    "size": "mean absolute change of the outcome per whole range of the factor, in the outcome's unit",
    "deviation": "standard deviation of that change over places: large where the factor acts together with others, or not in a line",
}
LISTED = ("factors", "records", "table")


def write_sensitivity(found: Sensitivity, folder: Path) -> Path:
    """Writes points.parquet and sensitivity.json; returns the latter. Raises InputError when they cannot be written."""
    indices = {name: MEANINGS[name] for name in (*found.factors[0].indices, *(["deviation"] if found.method == "morris" else []))}
    own = {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name not in LISTED}
    contents = {**own, "indices": indices, "factors": [_plain(each) for each in found.factors], "records": list(found.records)}
    write_whole(folder / POINTS, parquet(found.table))
    return write_json(folder / SENSITIVITY, contents)


def read_sensitivity(folder: Path) -> Sensitivity:
    """What `write_sensitivity` has written. Raises InputError where there is none."""
    path = folder / SENSITIVITY
    table = read_json(path)
    try:
        own = {field.name: table[field.name] for field in dataclasses.fields(Sensitivity) if field.name not in LISTED}
        factors = tuple(_index(each, tuple(table["indices"])) for each in table["factors"])
        return Sensitivity(**own, factors=factors, records=tuple(table["records"]), table=read_table(folder / POINTS))
    except (KeyError, TypeError) as error:
        raise malformed(path, error) from error


def _plain(each: FactorIndex) -> dict[str, Any]:
    indices = {name: interval_table(interval) for name, interval in each.indices.items()}
    deviation = {} if each.deviation is None else {"deviation": finite(each.deviation)}
    return {"factor": each.factor, "range": each.range, **indices, **deviation}


def _index(table: dict[str, Any], names: tuple[str, ...]) -> FactorIndex:
    indices = {name: interval_of(table[name]) for name in names if name != "deviation"}
    deviation = table["deviation"] if "deviation" in names else None
    unknown = "deviation" in names and deviation is None
    return FactorIndex(table["factor"], table["range"], indices, math.nan if unknown else deviation)
