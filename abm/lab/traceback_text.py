"""Tracebacks that are the same wherever they happen."""

from __future__ import annotations

import re
import sys
import traceback
from pathlib import Path

PACKAGES = re.compile(r".*[/\\](?:site|dist)-packages[/\\]|.*[/\\]lib[/\\]python[\d.]+[/\\]")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def traceback_text(error: BaseException, folder: Path) -> str:
    """The traceback without anything that depends on where it happened: paths relative, no addresses, no carets."""
    lines = traceback.TracebackException.from_exception(error, compact=True)
    for part in _chain(lines):
        part.stack = traceback.StackSummary.from_list(
            [(_relative(frame.filename, folder), frame.lineno or 0, frame.name, frame.line) for frame in part.stack]
        )
    return ADDRESS.sub("", "".join(lines.format())).rstrip("\n")


def _chain(part: traceback.TracebackException | None) -> list[traceback.TracebackException]:
    return [] if part is None else [part, *_chain(part.__cause__), *_chain(part.__context__)]


def _relative(file: str, folder: Path) -> str:
    """A source file below the experiment's folder, this package or an installed one; else its name."""
    package = Path(sys.modules["abm"].__file__ or "").parent
    for root in (folder.resolve(), package.parent):
        if Path(file).is_absolute() and Path(file).is_relative_to(root):
            return Path(file).relative_to(root).as_posix()
    return PACKAGES.sub("", file).replace("\\", "/") if PACKAGES.match(file) else Path(file).name
