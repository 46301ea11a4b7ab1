"""Outside prices from a file of real bars, as an experiment file names them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from abm.lab.bars import data_folder, read_bars
from abm.lab.errors import InputError, nearest
from abm.lab.plain import plain_fields
from abm.lab.shapes import Shape
from abm.parameters import Parameters, parameter
from abm.worlds.replay import Replay


@dataclass(frozen=True)
class Time(Shape):
    """A date or time: TOML's own, or text in the same form."""

    @property
    def expected(self) -> str:
        return "a date or time (UTC, such as 2022-11-08 or 2022-11-08T14:30)"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str | date)

    def read(self, value: Any) -> Any:
        return value if isinstance(value, str) else value.isoformat()

    def schema_type(self) -> Any:
        return date | datetime | str


PASSED_ON = ("start_offset", "volatility_half_life", "initial_volatility")


def _moment(key: str, about: str) -> Any:
    return dataclasses.field(default="", metadata={"unit": "UTC", "about": about, "key": key, "shape": Time()})


def _of_replay(name: str) -> Any:
    """A parameter that is passed on to the world as it is, declared there."""
    field = next(field for field in dataclasses.fields(Replay) if field.name == name)
    return dataclasses.field(default=field.default, metadata=field.metadata)


@dataclass(frozen=True, kw_only=True)
class RecordedBars(Parameters):
    """Real one-minute bars: where they are, which of them, and how they become the prices of a run."""

    bars: str = parameter(unit="file or folder", about="beside the experiment file, or in the data folder")
    symbols: dict[str, str] = dataclasses.field(
        default_factory=dict,
        metadata={"unit": "names", "about": "symbol in the file for each market of the venue; empty: the same names"},
    )
    start: str = _moment("from", "first minute; the first that the file has unless given")
    end: str = _moment("to", "minute after the last; a bare date includes that day")
    gaps: Literal["refuse", "hold"] = parameter("refuse", unit="what missing minutes do")
    start_offset: float = _of_replay("start_offset")
    volatility_half_life: float = _of_replay("volatility_half_life")
    initial_volatility: float | tuple[float, ...] = _of_replay("initial_volatility")

    def plain(self) -> dict[str, Any]:
        """The table of an experiment file."""
        table = {"kind": Replay.__name__, **plain_fields(self)}
        return {key: value for key, value in table.items() if value not in ("", {})}

    def located(self, folder: Path) -> RecordedBars:
        """The same with `bars` found: a whole path when it lies below `folder` or the working folder, and as it is when it
        lies in the data folder, so that the experiment means the same on another machine.

        Raises InputError when neither has it.
        """
        for place in (folder, Path()):
            if (place / self.bars).exists():
                return dataclasses.replace(self, bars=str((place / self.bars).resolve()))
        path = self.path()
        if path.exists():
            return self
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        guess = nearest(path.name, beside)
        raise InputError(f"no {path.name!r} beside the experiment, nor in {path.parent}" + (f"; {guess}" if guess else ""))

    def path(self) -> Path:
        """Where the bars are: from the working folder, else in the data folder. Raises InputError when there is none."""
        path = Path(self.bars).expanduser()
        return path if path.is_absolute() or path.exists() else data_folder() / path

    def content(self) -> str:
        """Hash of the file's bytes, or of all files of the folder: what the prices depend on, wherever it lies."""
        path = self.path()
        digest = hashlib.blake2b(digest_size=16)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(hashlib.blake2b(file.read_bytes()).digest())
        return digest.hexdigest()

    def world(self, listed: Sequence[str]) -> Replay:
        """The prices of the `listed` markets. Raises InputError when the bars are missing or not sound."""
        unlisted = [symbol for symbol in self.symbols if symbol not in listed]
        if unlisted:
            raise InputError(f"symbols: {', '.join(unlisted)} is not a market of the venue, which lists {', '.join(listed)}")
        bars = read_bars(
            self.path(),
            [self.symbols.get(symbol, symbol) for symbol in listed],
            self.start or None,
            self.end or None,
            self.gaps,
        )
        return Replay(
            symbols=tuple(listed),
            open=bars.open,
            high=bars.high,
            low=bars.low,
            close=bars.close,
            interval_seconds=float(bars.interval_seconds),
            **{name: getattr(self, name) for name in PASSED_ON},
        )
