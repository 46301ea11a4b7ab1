"""The experiment file as a JSON schema, with which editors complete keys and explain them."""

from __future__ import annotations

import math
from typing import Any

from abm.lab.config import FACTORS, SWEEP, VARIANTS, Experiment
from abm.lab.factors import FactorTable
from abm.lab.kinds import kinds
from abm.lab.merging import PRESET
from abm.lab.schema import documented_model
from abm.lab.sweep import SweepTable
from abm.mechanisms.rule import Rule
from abm.mechanisms.venue import Venue

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def experiment_schema() -> dict[str, Any]:
    """The schema of an experiment file.

    It is more lenient than `load` in one point: a preset supplies what a venue's tables leave out, so none of their keys is
    required.
    """
    from abm.mechanisms.presets import PRESETS

    schema = documented_model(Experiment).model_json_schema(mode="validation")
    definitions = schema["$defs"]
    for name in (Venue.__name__, *kinds(Rule)):
        definitions.get(name, {}).pop("required", None)
    definitions[Venue.__name__]["properties"][PRESET] = {
        "title": PRESET,
        "description": "venue whose rules hold wherever this table says nothing else",
        "enum": list(PRESETS),
    }
    for key, (about, table) in _sweep_tables().items():
        definitions |= table.pop("$defs", {})
        schema["properties"][key] = {"title": key, "description": about, **table}
    finite: dict[str, Any] = _without_infinities({"$schema": DIALECT, **schema, "title": "Experiment"})
    return finite


def _sweep_tables() -> dict[str, tuple[str, dict[str, Any]]]:
    """Meaning and schema of the tables that make a sweep of an experiment."""
    design = documented_model(SweepTable).model_json_schema(mode="validation")
    long_form = documented_model(FactorTable).model_json_schema(mode="validation")
    factor = {"anyOf": [{"type": "array", "items": {}}, {key: long_form[key] for key in ("properties", "type")}]}
    return {
        SWEEP: ("makes a sweep of the experiment: many runs of it", design),
        FACTORS: ("what is varied: a dotted key, with a list of values or a range", {"type": "object", "additionalProperties": factor}),
        VARIANTS: ("what is replaced, by name", {"type": "object", "additionalProperties": {"type": "object"}}),
    }


def _without_infinities(value: Any) -> Any:
    """JSON has no infinity: a default that is infinite is told in no other way than by its absence."""
    if isinstance(value, dict):
        return {key: _without_infinities(item) for key, item in value.items() if not _is_infinite(item)}
    if isinstance(value, list):
        return [_without_infinities(item) for item in value]
    return value


def _is_infinite(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_infinite(item) for item in value)
    return isinstance(value, float) and not math.isfinite(value)
