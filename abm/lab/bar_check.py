"""Every kind of defect in a file of bars, counted per symbol: what a person wants to know before trusting it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from abm.lab.bar_table import REQUIREMENTS, minute_text, minutes_since_previous, read_table, unsorted_rows


@dataclass(frozen=True)
class SymbolCheck:
    """What is right and wrong with one symbol's bars; counts of rows unless said otherwise."""

    symbol: str
    rows: int
    first: datetime
    last: datetime
    gaps: int
    """Places where minutes are missing."""
    missing_minutes: int
    duplicates: int
    off_minute: int
    not_finite: int
    not_positive: int
    bad_range: int
    unsorted_rows: int
    biggest_move: float
    """Close over the close a minute before, minus one, where its size is largest; zero when no two minutes adjoin."""
    biggest_move_at: datetime | None

    @property
    def sound(self) -> bool:
        """Whether `read_bars` accepts these rows; unsorted ones it sorts."""
        defects = (self.gaps, self.duplicates, self.off_minute, self.not_finite, self.not_positive, self.bad_range)
        return not any(defects)


@dataclass(frozen=True)
class BarsCheck:
    """The state of a file or folder of bars, symbol by symbol."""

    path: Path
    symbols: tuple[SymbolCheck, ...]

    @property
    def sound(self) -> bool:
        """Whether every symbol's bars are sound; their time ranges may still differ."""
        return all(symbol.sound for symbol in self.symbols)

    def render(self) -> list[str]:
        """Plain text lines: a table with one row per symbol and a column per kind of defect found, then the verdict."""
        counts = {
            "gaps": [check.gaps for check in self.symbols],
            "minutes missing": [check.missing_minutes for check in self.symbols],
            "duplicate": [check.duplicates for check in self.symbols],
            "off minute": [check.off_minute for check in self.symbols],
            "not finite": [check.not_finite for check in self.symbols],
            "not positive": [check.not_positive for check in self.symbols],
            "bad range": [check.bad_range for check in self.symbols],
            "unsorted": [check.unsorted_rows for check in self.symbols],
        }
        found = {name: values for name, values in counts.items() if any(values)}
        cells: list[tuple[str, ...]] = [("symbol", "rows", "first", "last", *found, "biggest move", "at")]
        for number, check in enumerate(self.symbols):
            defects = (f"{values[number]:,}" for values in found.values())
            moved_at = "-" if check.biggest_move_at is None else minute_text(check.biggest_move_at)
            period = minute_text(check.first), minute_text(check.last)
            cells.append((check.symbol, f"{check.rows:,}", *period, *defects, f"{check.biggest_move:+,.2%}", moved_at))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        unsound = [check.symbol for check in self.symbols if not check.sound]
        if unsound:
            return [*lines, f"{self.path}: not usable as it is: defects in {', '.join(unsound)}"]
        differ = len({(check.first, check.last) for check in self.symbols}) > 1
        return [
            *lines,
            f"{self.path}: sound" + ("; the symbols cover different times, select common ones" if differ else ""),
        ]


def check_bars(path: str | Path) -> BarsCheck:
    """Counts of every kind of defect per symbol, without refusing any of them.

    Raises InputError where there is nothing to count: unreadable file, missing column, text in place of a number.
    """
    table = read_table(Path(path)).rows
    checks = []
    for symbol in table["symbol"].unique().sort():
        rows = table.filter(pl.col("symbol") == symbol)
        ordered = rows.sort("ts", maintain_order=True)
        steps = minutes_since_previous(ordered)
        defects = dict.fromkeys((requirement.defect for requirement in REQUIREMENTS), 0)
        for defect in defects:
            broken = [requirement.broken for requirement in REQUIREMENTS if requirement.defect == defect]
            defects[defect] = ordered.filter(pl.any_horizontal(broken)).height
        before = pl.col("close").shift(1)
        moves = ordered.with_columns(step=steps, before=before, move=pl.col("close") / before - 1.0).filter(
            pl.col("step") == 1, pl.col("close") > 0.0, pl.col("before") > 0.0, pl.col("move").is_finite()
        )
        largest = moves["move"].abs().arg_max()
        checks.append(
            SymbolCheck(
                symbol=symbol,
                rows=rows.height,
                first=ordered["ts"][0],
                last=ordered["ts"][-1],
                gaps=int((steps > 1).sum()),
                missing_minutes=int((steps.filter(steps > 1) - 1).sum()),
                duplicates=int((steps == 0).sum()),
                unsorted_rows=unsorted_rows(rows),
                biggest_move=0.0 if largest is None else moves["move"][largest],
                biggest_move_at=None if largest is None else moves["ts"][largest],
                **defects,
            )
        )
    return BarsCheck(Path(path), tuple(checks))
