"""TOML in and out: files and single values read with messages that name the place, dictionaries written to be read."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from abm.lab.errors import InputError, nearest

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_TEXT = re.compile(r"[A-Za-z_][\w./:@ -]*|\d{4}-\d\d-\d\d[T ]\d\d:\d\d")  # a time without seconds is not TOML
_POSITION = re.compile(r"(?P<what>.*) \((?:at )?(?P<where>line \d+, column \d+|end of document)\)", re.DOTALL)
_WIDTH = 110  # longest inline table or list
_INLINE_DEPTH = 3  # tables below a table of a section, such as a distribution, may stand on one line
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def read_toml(path: str | Path) -> dict[str, Any]:
    """The file as a dictionary. Raises InputError when it cannot be read or is not TOML, naming the line."""
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        beside = [other.name for other in file.parent.iterdir()] if file.parent.is_dir() else []
        guess = nearest(file.name, beside)
        raise InputError(f"{path}: no such file" + (f"; {guess}" if guess else "")) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        match = _POSITION.fullmatch(str(error))
        where, what = (match["where"], match["what"]) if match else ("not valid TOML", str(error))
        raise InputError(f"{path}: {where}: {what[:1].lower()}{what[1:]}") from error


def read_value(text: str) -> Any:
    """One TOML value; a word that is no TOML value stands for itself, so that names need no quotes.

    Raises ValueError for what is neither.
    """
    if "\n" not in text:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            if _BARE_TEXT.fullmatch(text.strip()):
                return text.strip()
    raise ValueError(f"{text!r} is not a TOML value")


def dump_toml(table: Mapping[str, Any]) -> str:
    """`table` as TOML text that `tomllib` reads back to the same values.

    Raises TypeError for a value that TOML does not have.
    """
    lines: list[str] = []
    _write_table(lines, (), table)
    return "\n".join(lines).strip("\n") + "\n"


def key_text(parts: Sequence[str]) -> str:
    """A dotted key."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else _text(part) for part in parts)


def value_text(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key_text([key])} = {value_text(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(item) for item in value)}]"
    raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")


def _text(value: str) -> str:
    escaped = "".join(_ESCAPES.get(character, character) for character in value)
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def _write_table(lines: list[str], path: tuple[str, ...], table: Mapping[str, Any]) -> None:
    on_one_line = _on_one_line(path, table)
    for key in on_one_line:
        lines.append(f"{key_text([key])} = {_wrapped(table[key])}")
    for key, value in table.items():
        inner = (*path, key)
        if key in on_one_line:
            continue
        if isinstance(value, Mapping):
            if not value or _on_one_line(inner, value):
                lines += ["", f"[{key_text(inner)}]"]
            _write_table(lines, inner, value)
        else:
            for item in value:
                lines += ["", f"[[{key_text(inner)}]]"]
                _write_table(lines, inner, item)


def _on_one_line(path: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    """Keys whose values stand behind an equals sign: what holds no tables, and short tables far down.

    Tables in one table all stand the same way, because those behind an equals sign come first and their order may matter.
    """
    holding = [key for key, value in table.items() if _holds_tables(value)]
    short = len(path) + 1 >= _INLINE_DEPTH and all(
        len(value_text(part)) <= _WIDTH
        for key in holding
        for part in (table[key] if isinstance(table[key], list | tuple) else [table[key]])
    )
    return [key for key in table if short or key not in holding]


def _holds_tables(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping)


def _wrapped(value: Any) -> str:
    text = value_text(value)
    if len(text) <= _WIDTH or not isinstance(value, list | tuple):
        return text
    return "[\n" + "".join(f"    {value_text(item)},\n" for item in value) + "]"
