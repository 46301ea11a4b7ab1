"""The rules, worlds and strategies of an experiment in words: what each is, and every parameter with its unit and value."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Sequence
from typing import Any

from abm.agents.base import Group
from abm.lab.config import Experiment
from abm.lab.kinds import kind_name
from abm.lab.plain import plain
from abm.lab.recorded_bars import RecordedBars
from abm.lab.toml_text import value_text
from abm.mechanisms.venue import Venue
from abm.parameters import Parameters


def described(experiment: Experiment) -> list[dict[str, Any]]:
    """One entry for each rule, the world, and each group of traders.

    Keys of an entry: section ("venue", "world" or "population"; of a second venue "beside" and "beside population"; and "across"),
    name, kind, about (the first paragraph of its docstring), and parameters: a list of {name, value, words, unit, about}, values as an
    experiment file writes them and in words.
    """
    entries = _described_venue(experiment.venue, "venue")
    entries += [
        _entry("world", name, _kind(part), part, _parameters(part))
        for name, part in (("outside prices", experiment.world), ("spot market", experiment.spot), ("gas", experiment.gas))
    ]
    entries += _described_groups(experiment.groups, "population")
    if experiment.beside is not None:
        entries += _described_venue(experiment.beside.venue, "beside")
        entries += _described_groups(experiment.beside.groups, "beside population")
        entries += _described_groups(experiment.beside.across, "across")
    return entries


def _described_venue(venue: Venue, section: str) -> list[dict[str, Any]]:
    own = [row for row in _parameters(venue) if row["name"] in ("seconds_per_block", "insurance_fund")]
    entries = [_entry(section, "venue", type(venue).__name__, venue, own)]
    for field in dataclasses.fields(venue):
        rule = getattr(venue, field.name)
        if field.name == "listings":
            entries += [_entry(section, f"market {listing.symbol}", "Listing", listing, _parameters(listing)) for listing in rule]
        elif field.name == "guards":
            entries += [_entry(section, "guard", kind_name(type(guard)), guard, _parameters(guard)) for guard in rule]
        elif field.name == "events":
            entries += [_entry(section, "event", kind_name(type(event)), event, _parameters(event)) for event in rule]
        elif isinstance(rule, Parameters):
            entries.append(_entry(section, field.name, kind_name(type(rule)), rule, _parameters(rule)))
    return entries


def _described_groups(groups: Sequence[Group], section: str) -> list[dict[str, Any]]:
    entries = []
    for group in groups:
        shared = [row for row in _parameters(group) if row["name"] not in ("name", "strategy")]
        strategy = group.strategy
        entries.append(_entry(section, group.name, kind_name(type(strategy)), strategy, shared + _parameters(strategy)))
    return entries


def _kind(part: Parameters) -> str:
    return "Replay" if isinstance(part, RecordedBars) else kind_name(type(part))


def _entry(section: str, name: str, kind: str, part: Parameters, parameters: list[dict[str, str]]) -> dict[str, Any]:
    about = " ".join(inspect.cleandoc(type(part).__doc__ or "").split("\n\n")[0].split())
    return {"section": section, "name": name, "kind": kind, "about": about, "parameters": parameters}


def _parameters(part: Parameters) -> list[dict[str, str]]:
    rows = []
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if value is None or not field.init:
            continue
        metadata = field.metadata
        rows.append(
            {
                "name": str(metadata.get("key", field.name)),
                "value": value_text(plain(value)),
                "words": words(plain(value)),
                "unit": str(metadata.get("unit", "")),
                "about": str(metadata.get("about", "")),
            }
        )
    return rows


def words(value: Any) -> str:
    """A value of an experiment file for a reader: a distribution as its name and its parameters."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key.replace('_', ' ')} {words(item)}" for key, item in value.items() if key != "kind")
        return f"{value['kind']}: {inner}" if "kind" in value else inner
    if isinstance(value, list):
        return "; ".join(words(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1e4 and math.isfinite(value) else f"{value:g}"
    return str(value)
