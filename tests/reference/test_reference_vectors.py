"""Numbers that the venues publish, through one table from the mechanism's name to the project's function.

The rows are read from the folder that the environment variable ABM_REFERENCE_VECTORS names, by default this one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from adapter import ADAPTERS
from tolerance import differences

COPIES = Path(__file__).parent
FOLDER = Path(os.environ.get("ABM_REFERENCE_VECTORS") or COPIES)


def read_rows(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(file and number, row) of every row in the folder's JSON files; raises ValueError that names the file of a
    broken one."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, list):
            raise ValueError(f"{path}: expected a list of rows")
        for number, row in enumerate(content):
            missing = {"mechanism", "inputs", "expected"} - set(row)
            if missing:
                raise ValueError(f"{path}: row {number} has no {', '.join(sorted(missing))}")
            rows.append((f"{path.stem}-{number}", row))
    if not rows:
        raise ValueError(f"{folder}: no reference vectors (*.json) there; see ABM_REFERENCE_VECTORS")
    return rows


ROWS = read_rows(FOLDER)


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{name}-{row['mechanism']}") for name, row in ROWS])
def test_reference_vector(row):
    mechanism = row["mechanism"]
    if mechanism not in ADAPTERS:
        pytest.fail(f"no adapter for {mechanism}; adapter.py has {', '.join(sorted(ADAPTERS))}")
    problems = differences(row["expected"], ADAPTERS[mechanism](row["inputs"]), row.get("tol"))
    assert not problems, "\n".join([f"{mechanism} ({row.get('source')})", str(row["inputs"]), *problems])


def test_copies_have_every_mechanism_of_the_table():
    assert {row["mechanism"] for _, row in read_rows(COPIES)} >= set(ADAPTERS)


@pytest.mark.parametrize("mechanism", sorted(ADAPTERS))
def test_a_changed_expectation_is_noticed(mechanism):
    row = next(row for _, row in read_rows(COPIES) if row["mechanism"] == mechanism)
    changed = {name: change(value) for name, value in row["expected"].items()}
    problems = differences(changed, ADAPTERS[mechanism](row["inputs"]), row.get("tol"))
    assert {problem.split(":")[0].split("[")[0].split(".")[0] for problem in problems} == set(changed)


def change(value: Any) -> Any:
    """Something of the same kind that differs by more than any tolerance."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 10.0 + abs(value)
    if isinstance(value, dict):
        return {name: change(item) for name, item in value.items()}
    if isinstance(value, list):
        return [*value, "another"]
    return f"not {value}"


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "agrees"),
    [
        ({"x": 1.0}, {"x": 1.0 + 0.9e-9}, None, True),
        ({"x": 1.0}, {"x": 1.0 + 2e-9}, None, False),
        ({"x": 1e6}, {"x": 1e6 + 9e-4}, None, True),
        ({"x": 1e6}, {"x": 1e6 + 2.0}, {"rel": 1e-6}, False),
        ({"x": 1e6}, {"x": 1e6 + 0.9}, {"rel": 1e-6}, True),
        ({"x": 0.0, "y": 0.0}, {"x": 0.05, "y": 0.0}, {"abs": 1e-6, "fields": {"x": {"abs": 0.1}}}, True),
        ({"x": 0.0, "y": 0.0}, {"x": 0.0, "y": 0.05}, {"abs": 1e-6, "fields": {"x": {"abs": 0.1}}}, False),
        ({"x": None}, {"x": None}, None, True),
        ({"x": None}, {"x": float("inf")}, None, True),
        ({"x": None}, {"x": 0.0}, None, False),
        ({"x": 1.0}, {"x": None}, None, False),
        ({"x": 1.0}, {"x": float("nan")}, None, False),
        ({"x": 1.0}, {"x": True}, None, False),
        ({"x": True}, {"x": 1}, None, False),
        ({"x": "valid"}, {"x": "valid"}, None, True),
        ({"x": "valid"}, {"x": "invalid"}, None, False),
        ({"x": [1, [2, "a"]]}, {"x": [1.0, [2.0, "a"]]}, None, True),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, None, False),
        ({"x": {"y": 1}}, {"x": {"y": 1, "z": 2}}, None, True),
        ({"x": {"y": 1}}, {"x": {"z": 1}}, None, False),
        ({"x": 1}, {}, None, False),
    ],
)
def test_tolerance(expected, got, tolerance, agrees):
    assert (not differences(expected, got, tolerance)) is agrees


def test_a_folder_without_vectors_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no reference vectors"):
        read_rows(tmp_path)


def test_a_row_without_mechanism_is_an_error(tmp_path):
    (tmp_path / "broken.json").write_text('[{"inputs": {}, "expected": {}}]', encoding="utf-8")
    with pytest.raises(ValueError, match="row 0 has no mechanism"):
        read_rows(tmp_path)
