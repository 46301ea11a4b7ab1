"""A sweep written down: all defaults filled in, as a file that reads back to the same plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from abm.lab.config import FACTORS, SWEEP, TEXTS, VARIANTS, digest, read_experiment
from abm.lab.errors import InputError
from abm.lab.merging import KIND, merged
from abm.lab.plain import plain_fields
from abm.lab.plan import Plan
from abm.lab.sweep import Sweep
from abm.lab.toml_text import key_text, value_text

NO_PART = ("outcomes", "expectations", "budget", "cluster", "baseline")  # of what is run: they may change in a folder with results
LONGEST = 20  # list of changes


def resolved_sweep(plan: Plan) -> dict[str, Any]:
    """The tables of a file with all defaults; `abm.lab.plan.load_plan` makes an equal plan of it.

    Raises InputError for a variant that no table can say over the resolved base.
    """
    sweep, table = plan.sweep, plan.sweep.table
    if not table.seeds:
        table = dataclasses.replace(table, replications=table.replications or 1, first_seed=plan.seeds[0])
    own = {key: value for key, value in plain_fields(table).items() if value not in ("", [], {})}
    contents = {**sweep.base.plain(), SWEEP: own}
    if sweep.factors:
        contents[FACTORS] = {factor.name: factor.plain() for factor in plan.factors}
    if plan.variants != ("",):
        contents[VARIANTS] = {name: _change(sweep, name, change) for name, change in sweep.changes.items()}
    return {key: value for key, value in contents.items() if value != ""}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two resolved sweeps, one line for each key: key: old -> new. Texts and what may change are left out."""
    before, after = dict(_leaves(_of_runs(old), ())), dict(_leaves(_of_runs(new), ()))
    keys = dict.fromkeys([*before, *after])
    lines = [
        f"{key_text(key)}: {before.get(key, 'not there')} -> {after.get(key, 'not there')}"
        for key in keys
        if before.get(key) != after.get(key)
    ]
    more = len(lines) - LONGEST
    return lines[:LONGEST] + ([f"and {more} more"] if more > 0 else [])


def _of_runs(table: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in table.items() if key not in TEXTS}
    kept[SWEEP] = {key: value for key, value in table.get(SWEEP, {}).items() if key not in NO_PART}
    return kept


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    else:
        yield path, value_text(value)


def _change(sweep: Sweep, name: str, change: Mapping[str, Any]) -> Any:
    """What makes the variant of the resolved base: the file's own words if they still do, else whatever differs."""
    base = sweep.base.plain()
    if not change:
        return {}
    wanted = sweep.variants[name]
    for candidate in (change, _difference(base, wanted.plain())):
        try:
            if digest(read_experiment(merged(base, candidate), folder=sweep.folder)) == digest(wanted):
                return candidate
        except InputError:
            continue
    raise InputError(f"{sweep.source}: variants.{name}: takes away what the base has; write the base without it, and variants that add it")


def _difference(base: Any, wanted: Any) -> Any:
    """The smallest change that `merged` turns `base` into `wanted` with; lists are replaced whole."""
    if not isinstance(base, Mapping) or not isinstance(wanted, Mapping) or base.get(KIND) != wanted.get(KIND):
        return wanted
    if any(key not in wanted for key in base) and all(isinstance(item, Mapping) for item in (*base.values(), *wanted.values())):
        return list(wanted.values())  # named entries, of which some are gone
    return {key: _difference(base.get(key), item) for key, item in wanted.items() if base.get(key) != item}
