"""Real bars that many runs of one process need: read and hashed once, and again when their files change."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

from abm.lab.recorded_bars import RecordedBars
from abm.lab.toml_text import read_value, value_text
from abm.worlds.replay import Replay

MOST_HELD = 4  # bars of a week of three markets are 1 MB; a sweep rarely compares more than a few worlds


def world_of(bars: RecordedBars, listed: Sequence[str]) -> Replay:
    """As `RecordedBars.world`. A world is never written to, so that runs can share it."""
    return _world(value_text(bars.plain()), tuple(listed), _stamps(bars))


def content_of(bars: RecordedBars) -> str:
    """As `RecordedBars.content`."""
    return _content(value_text(bars.plain()), _stamps(bars))


@functools.lru_cache(maxsize=MOST_HELD)
def _world(table: str, listed: tuple[str, ...], stamps: str) -> Replay:
    return _bars(table).world(listed)


@functools.lru_cache(maxsize=MOST_HELD)
def _content(table: str, stamps: str) -> str:
    return _bars(table).content()


def _bars(table: str) -> RecordedBars:
    from abm.lab.schema import Table

    bars: RecordedBars = Table(RecordedBars).validate({key: item for key, item in read_value(table).items() if key != "kind"})
    return bars


def _stamps(bars: RecordedBars) -> str:
    """Name, size and time of every file that the bars are read from."""
    path = bars.path()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path] if path.exists() else []
    return json.dumps([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])
