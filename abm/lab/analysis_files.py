"""What the files of sensitivity and searches have in common: JSON without infinities, intervals in it, and how it is read back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from abm.lab.comparison_table import finite
from abm.lab.errors import InputError
from abm.lab.part_files import write_whole
from abm.lab.provenance import MADE_BY
from abm.lab.statistics.interval import Interval

SENSITIVITY, POINTS = "sensitivity.json", "points.parquet"
THRESHOLD = "threshold.json"
WORST, WORST_FILE, EVALUATIONS = "worst.json", "worst.toml", "evaluations.parquet"
ANALYSES = {"sensitivity": SENSITIVITY, "threshold": THRESHOLD, "worst": WORST}
"""The file that says that a folder holds the results of a command."""


def interval_table(interval: Interval) -> dict[str, Any]:
    """An interval as JSON has it; null for what is not a finite number."""
    return {
        "estimate": finite(interval.estimate),
        "low": finite(interval.low),
        "high": finite(interval.high),
        "confidence": interval.confidence,
        "method": interval.method,
    }


def interval_of(table: Mapping[str, Any]) -> Interval:
    """The interval that `interval_table` has written; ends that are null are infinite."""
    estimate, low, high = (table[name] for name in ("estimate", "low", "high"))
    return Interval(
        math.nan if estimate is None else estimate,
        -math.inf if low is None else low,
        math.inf if high is None else high,
        table["confidence"],
        table["method"],
    )


def write_json(path: Path, contents: Mapping[str, Any]) -> Path:
    """Writes a table with who made it. Raises InputError when it cannot be written."""
    text = json.dumps({"made_by": MADE_BY, **contents}, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())
    return path


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` has written. Raises InputError where there is nothing of this program."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(table, dict) and table.get("made_by") == MADE_BY:
            return table
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError:
        pass
    raise InputError(f"{path}: was not written by this program; the command that made the folder writes it again")


def read_table(path: Path) -> pl.DataFrame:
    """A Parquet table beside such a file. Raises InputError where there is none that can be read."""
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read; the command that made the folder writes it again") from error


def malformed(path: Path, error: Exception) -> InputError:
    """Of a file of an earlier version, or one that was changed by hand."""
    return InputError(f"{path}: is not of this version ({type(error).__name__}: {error}); the command that made it writes it again")
