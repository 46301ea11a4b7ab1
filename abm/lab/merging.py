"""An experiment file before it is checked: presets filled in, single values replaced from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from abm.lab.errors import InputError, nearest
from abm.lab.kinds import listed
from abm.lab.plain import name_of_kind, plain
from abm.lab.toml_text import read_value, value_text
from abm.parameters import Parameters

KIND, PRESET = "kind", "preset"
LABELS = ("symbol", "name")
_INDEX = re.compile(r"\[(\d+)\]")
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_-]+)')


def overrides_table(overrides: Sequence[str]) -> dict[str, Any]:
    """`a.b.c=value` pairs as nested tables; of two for the same key the later one wins.

    Raises InputError, with one line for each pair that is not of that form.
    """
    table: dict[str, Any] = {}
    complaints: list[str] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key_parts(key.strip())
        if not equals or not parts:
            complaints.append(f"--set {override}: expected key=value, such as run.seed=2")
            continue
        try:
            value = read_value(text.strip())
        except ValueError:
            complaints.append(f"--set {override}: {text.strip()!r} is not a TOML value; text with signs needs quotes")
            continue
        for part in reversed(parts):
            value = {part: value}
        table = merged(table, value)
    if complaints:
        raise InputError(*complaints)
    return table


def merged(base: Any, change: Any) -> Any:
    """`base` with what `change` says replaced.

    Tables are merged key by key, except that a table of another `kind` replaces the whole table. Entries of a list are
    addressed by their `symbol` or `name`, else their kind in small letters, or by their number from 0; an unknown name
    adds an entry. Anything else is replaced.
    """
    if not isinstance(change, Mapping):
        return change
    if isinstance(base, list | tuple) and base:
        return _merged_list(list(base), change)
    if isinstance(base, Mapping) and (KIND not in change or KIND not in base or change[KIND] == base[KIND]):
        return {**base, **{key: merged(base.get(key), item) for key, item in change.items()}}
    return {key: merged(None, item) for key, item in change.items()}


def with_preset(table: Mapping[str, Any], presets: Mapping[str, Callable[[], Parameters]]) -> dict[str, Any]:
    """What the `preset` of a venue's table says wherever the table itself says nothing else.

    Raises InputError, without the place, for a name that is not among `presets`.
    """
    name = table[PRESET]
    if not isinstance(name, str) or name not in presets:
        guess = nearest(name, presets) if isinstance(name, str) else ""
        raise InputError(f"unknown preset {value_text(name)}; {guess or 'expected ' + listed(presets)}")
    own = {key: item for key, item in table.items() if key != PRESET}
    result: dict[str, Any] = merged(plain(presets[name]()), own)
    return result


def _merged_list(base: list[Any], change: Mapping[str, Any]) -> Any:
    result = list(base)
    names = [entry_name(item) for item in base]
    for key, item in change.items():
        if key in names:
            result[names.index(key)] = merged(result[names.index(key)], item)
        elif key.isdigit() and int(key) < len(base):
            result[int(key)] = merged(result[int(key)], item)
        elif isinstance(item, Mapping) and all(isinstance(entry, Mapping) for entry in base):
            label = next((label for label in LABELS if label in base[0]), None)
            result.append(merged({label: key} if label else {}, item))
        else:
            return dict(change)
    return result


def entry_name(item: Any) -> str:
    """What an entry of a list is addressed by: its label, or its kind in small letters."""
    if not isinstance(item, Mapping):
        return ""
    labels = [str(item[label]) for label in LABELS if label in item]
    return labels[0] if labels else name_of_kind(str(item.get(KIND, "")))


def key_parts(key: str) -> list[str]:
    """The parts of a dotted key; `a[0].b` is `a.0.b`. Empty when it is none."""
    parts: list[str] = []
    rest = _INDEX.sub(r".\1", key)
    while match := _PART.match(rest):
        parts.append(match[2] if match[1] is None else match[1])
        rest = rest[match.end() :]
        if not rest:
            return parts
        if not rest.startswith("."):
            return []
        rest = rest[1:]
    return []
