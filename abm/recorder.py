"""The recorder: append-only columns of facts, handed out as Polars frames.

Markets, venue, cohorts, book and positions are looked at every so many blocks; fills, liquidations, deleveragings and funding
payments are kept one by one. Nothing here is computed that could be computed later from the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abm.kernels.observation import EARNED, LAST_LOOK, observe_book, observe_cohorts, observe_markets
from abm.parameters import Parameters, parameter
from abm.state import REASONS, State, Table, empty_table

DISTANCES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02)  # of the mid, within which depth is summed
SIDES = {1: "buy", -1: "sell", 0: "none"}

MARKET_ROW = np.dtype(
    [
        ("block", "i8"), ("market", "i4"), ("index", "f8"), ("exogenous", "f8"), ("oracle", "f8"), ("oracle_age", "i4"), ("mark", "f8"),
        ("mid", "f8"), ("best_bid", "f8"), ("best_ask", "f8"), ("last", "f8"), ("open_interest", "f8"), ("premium", "f8"),
        ("funding_rate", "f8"), ("funding_index", "f8"), ("volume", "f8"), ("liquidated", "f8"), ("deleveraged", "f8"),
        ("trades", "i8"), ("status", "i4"), ("bid_depth", "f8", (len(DISTANCES),)), ("ask_depth", "f8", (len(DISTANCES),)),
    ],
    align=True,
)  # fmt: skip
VENUE_ROW = np.dtype(
    [
        ("block", "i8"), ("insurance_fund", "f8"), ("bad_debt", "f8"), ("fees", "f8"), ("net_deposits", "f8"), ("gas_price", "f8"),
        ("withdrawals_open", "i4"), ("resting_orders", "i4"), ("below_maintenance", "i4"), ("below_maintenance_notional", "f8"),
        ("below_zero", "i4"), ("failed_gas", "f8"),
    ],
    align=True,
)  # fmt: skip
COHORT_ROW = np.dtype(
    [
        ("block", "i8"), ("cohort", "i4"), ("equity", "f8"), ("collateral", "f8"), ("net_deposits", "f8"), ("paid_to_pools", "f8"),
        ("pool_shares", "f8"), ("unrealised", "f8"), ("fees", "f8"), ("funding", "f8"), ("liquidation", "f8"), ("deleveraging", "f8"),
        ("socialised", "f8"), ("gas", "f8"), ("rewards", "f8"), ("outside", "f8"), ("rebalancing", "f8"), ("impermanent", "f8"),
        ("long_notional", "f8"), ("short_notional", "f8"), ("below_maintenance", "i4"),
    ],
    align=True,
)  # fmt: skip


Rows = dict[str, list[Table]]


@dataclass(frozen=True, kw_only=True)
class Recording(Parameters):
    """What is kept of a run, and how often it is looked at."""

    every_seconds: float = parameter(10.0, unit="seconds", least=1e-3, about="between looks at markets, venue and cohorts")
    book_every_seconds: float = parameter(60.0, unit="seconds", least=1e-3, about="between pictures of the whole book")
    positions_every_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, about="between pictures of all positions")
    book_span: float = parameter(0.04, unit="fraction of the index", least=1e-4, most=1.0, about="how far from the index, each way")
    book_slices: int = parameter(160, unit="slices of the span", least=2, most=4096)
    orders: bool = parameter(False, unit="yes or no", about="keep every order that ended without trading")
    fills: bool = parameter(True, unit="yes or no")


class Recorder:
    """Collects the facts of one run. `frames()` gives them as Polars frames, one per table."""

    def __init__(self, state: State, recording: Recording, cohorts: Sequence[str], blocks: int) -> None:
        self.state = state
        self.recording = recording
        self.cohorts = tuple(cohorts)
        self.every = state.blocks(recording.every_seconds)
        self._last = blocks - 1
        self.book_every = state.blocks(recording.book_every_seconds)
        self.positions_every = state.blocks(recording.positions_every_seconds)
        self._drain_every = 1 if state.n_accounts > 4096 else 16
        self._next_drain = 0
        self._distances = np.array(DISTANCES)
        self._width = 2.0 * recording.book_span / recording.book_slices
        m = state.n_markets
        book_row = np.dtype([("block", "i8"), ("market", "i4"), ("index", "f8"), ("resting", "f8", (recording.book_slices,))], align=True)
        rows = min(blocks // self.every + 2, 8192)
        self._markets: Table = empty_table((rows, m), MARKET_ROW)
        self._venue: Table = empty_table(rows, VENUE_ROW)
        self._cohort_rows: Table = empty_table((rows, max(len(cohorts), 1)), COHORT_ROW)
        self._last_look: Table = empty_table(m, LAST_LOOK)
        self._earned: Table = empty_table((max(len(cohorts), 1), m), EARNED)
        self._book: Table = empty_table((min(blocks // self.book_every + 2, 2048), m), book_row)
        self._row = 0
        self._book_row = 0
        self._kept: dict[str, list[Table]] = {name: [] for name in ("markets", "venue", "cohorts", "book", "positions", *EVENTS)}

    def record(self, block: int) -> None:
        """Called at the end of every block. The last block of the run is looked at whatever the interval."""
        state = self.state
        if block % self.every == 0 or block == self._last:
            observe_markets(
                state.venue, state.accounts, state.positions, state.markets, state.funds, state.levels, state.bitmap,
                self._distances, self._markets, self._venue, self._row,
            )  # fmt: skip
            observe_cohorts(
                state.venue, state.accounts, state.positions, state.outside, state.markets, state.pools, state.shares, state.ranges,
                self._last_look, self._earned, self._cohort_rows, self._row,
            )  # fmt: skip
            self._row += 1
            if self._row == len(self._venue):
                self._keep_looks()
        if block % self.book_every == 0:
            observe_book(state.venue, state.markets, state.levels, state.bitmap, self._width, self._book, self._book_row)
            self._book_row += 1
            if self._book_row == len(self._book):
                self._keep_book()
        if block % self.positions_every == 0:
            self.record_positions(block)
        if block >= self._next_drain:
            self.drain()
            self._next_drain = block + self._drain_every

    def record_positions(self, block: int) -> None:
        """Keeps a picture of all open positions."""
        state = self.state
        account, market = np.nonzero(state.positions["lots"])
        rows = empty_table(len(account), POSITION_ROW)
        held = state.positions[account, market]
        rows["block"] = block
        rows["account"] = account
        rows["cohort"] = state.accounts["cohort"][account]
        rows["market"] = market
        rows["size"] = held["lots"] * state.markets["lot"][market]
        rows["entry_value"] = held["entry_value"]
        rows["mark"] = state.markets["mark"][market]
        rows["equity"] = state.accounts["equity"][account]
        rows["maintenance_margin"] = state.accounts["maintenance_margin"][account]
        notional = np.abs(state.positions["lots"]) * (state.markets["lot"] * state.markets["mark"])
        rows["account_notional"] = notional.sum(axis=1)[account]
        self._kept["positions"].append(rows)

    def drain(self) -> None:
        """Moves what the venue wrote into the record; raises RuntimeError if it wrote more than its tables hold."""
        state = self.state
        for name in EVENTS:
            count = int(state.venue[name][0])
            if count == 0:
                continue
            table = getattr(state, name)
            if count > len(table):
                raise RuntimeError(f"{name}: {count} rows in {self._drain_every} blocks, but room for {len(table)}; raise Capacity.records")
            if self._keeps(name):
                self._kept[name].append(table[:count].copy())
            state.venue[name] = 0

    def _keeps(self, name: str) -> bool:
        return (name != "ended_orders" or self.recording.orders) and (name != "fills" or self.recording.fills)

    def _keep_looks(self) -> None:
        self._kept["markets"].append(self._markets[: self._row].ravel().copy())
        self._kept["venue"].append(self._venue[: self._row].copy())
        self._kept["cohorts"].append(self._cohort_rows[: self._row, : len(self.cohorts)].ravel().copy())
        self._cohort_rows[:] = empty_table(1, COHORT_ROW)
        self._row = 0

    def _keep_book(self) -> None:
        self._kept["book"].append(self._book[: self._book_row].ravel().copy())
        self._book["resting"] = 0.0
        self._book_row = 0

    def rows(self) -> Rows:
        """The record so far as the venue wrote it: pieces of each table, in ticks, lots and numbers."""
        self._keep_looks()
        self._keep_book()
        self.drain()
        return {name: list(pieces) for name, pieces in self._kept.items()}

    def frames(self, rows: Rows | None = None) -> dict[str, pl.DataFrame]:
        """All tables so far: markets, venue, cohorts, book, positions, fills, liquidations, deleveragings, funding, and orders if kept.

        rows: to be read instead of the recorder's own; those of several runs that differ in nothing but what happened.
        """
        kept = self.rows() if rows is None else rows
        tables = {name: _joined(kept.get(name, ()), dtype) for name, dtype in {**LOOKS, "book": self._book.dtype}.items()}
        frames = {
            "markets": self._with_depth(_frame(tables["markets"])),
            "venue": _frame(tables["venue"]),
            "cohorts": _frame(tables["cohorts"]),
            "book": self._book_frame(tables["book"]),
            "positions": _frame(tables["positions"]),
        }
        for name, label in EVENTS.items():
            if self._keeps(name):
                frames[label] = self._in_units(_frame(_joined(kept.get(name, ()), getattr(self.state, name).dtype)))
        return {name: self._named(frame) for name, frame in frames.items()}

    def _with_depth(self, frame: pl.DataFrame) -> pl.DataFrame:
        names = {
            f"{side}_depth_{d}": f"{side}_depth_{round(distance * 1e4)}bp"
            for side in ("bid", "ask")
            for d, distance in enumerate(DISTANCES)
        }
        return frame.rename({old: new for old, new in names.items() if old in frame.columns})

    def _book_frame(self, table: Table) -> pl.DataFrame:
        """Long form: one row per block, market and slice that holds orders; `distance` is the slice's middle as a fraction of the index."""
        row, piece = np.nonzero(table["resting"])
        slices = self.recording.book_slices
        return pl.DataFrame(
            {
                "block": table["block"][row],
                "market": table["market"][row],
                "index": table["index"][row],
                "distance": (piece + 0.5 - slices / 2) * self._width,
                "resting": table["resting"][row, piece],
            }
        )

    def _in_units(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Ticks to USD, lots to coins, numbers to names."""
        market = pl.col("market").clip(0)
        ticks = pl.Series("tick_size", self.state.markets["tick"])
        lots = pl.Series("lot_size", self.state.markets["lot"])
        if "tick" in frame.columns:
            price = frame["tick"].to_numpy() * ticks.to_numpy()[frame.select(market).to_series().to_numpy()]
            frame = frame.with_columns(pl.Series("price", price, pl.Float64)).drop("tick")
        for column, size in (("lots", "size"), ("lots_wanted", "size_wanted"), ("open_interest", "open_interest")):
            if column in frame.columns:
                coins = frame[column].to_numpy() * lots.to_numpy()[frame.select(market).to_series().to_numpy()]
                frame = frame.with_columns(pl.Series(size, coins, pl.Float64))
                frame = frame.drop(column) if column != size else frame
        if "trigger_block" in frame.columns:
            frame = frame.with_columns(pl.when(pl.col("trigger_block") >= 0).then(pl.col("trigger_block")).alias("trigger_block"))
        if "side" in frame.columns:
            frame = frame.with_columns(pl.col("side").replace_strict(SIDES, return_dtype=pl.Enum(list(SIDES.values()))))
        for column in ("result", "reason"):
            if column in frame.columns:
                frame = frame.with_columns(pl.col(column).replace_strict(dict(enumerate(REASONS)), return_dtype=pl.Enum(REASONS)))
        cohort = self.state.accounts["cohort"]
        for column in ("account", "taker", "maker", "keeper", "liquidated", "counterparty"):
            if column in frame.columns and frame.height >= 0:
                number = frame[column].to_numpy()
                owner = np.where(number >= 0, cohort[np.clip(number, 0, None)], -1)
                label = "cohort" if column == "account" else f"{column}_cohort"
                frame = frame.with_columns(pl.Series(label, owner.astype(np.int32)))
        return frame

    def _named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Market and cohort numbers to names, and `seconds` since the start beside `block`."""
        symbols = pl.Enum(["none", *self.state.symbols])
        people = pl.Enum(["none", *self.cohorts])
        market_names = {-1: "none", **dict(enumerate(self.state.symbols))}
        cohort_names = {-1: "none", **dict(enumerate(self.cohorts))}
        changes = [(pl.col("block") * self.state.seconds_per_block).alias("seconds")]
        for column in frame.columns:
            if column == "market":
                changes.append(pl.col(column).replace_strict(market_names, return_dtype=symbols))
            elif column == "cohort" or column.endswith("_cohort"):
                changes.append(pl.col(column).replace_strict(cohort_names, return_dtype=people))
        return frame.with_columns(changes)


POSITION_ROW = np.dtype(
    [
        ("block", "i8"), ("account", "i4"), ("cohort", "i4"), ("market", "i4"), ("size", "f8"), ("entry_value", "f8"), ("mark", "f8"),
        ("equity", "f8"), ("maintenance_margin", "f8"), ("account_notional", "f8"),
    ],
    align=True,
)  # fmt: skip

LOOKS = {"markets": MARKET_ROW, "venue": VENUE_ROW, "cohorts": COHORT_ROW, "positions": POSITION_ROW}

# Tables that the venue writes row by row, and the frame they become.
EVENTS = {
    "fills": "fills",
    "liquidations": "liquidations",
    "deleveragings": "deleveragings",
    "funding_payments": "funding",
    "ended_orders": "orders",
}


def _joined(pieces: Sequence[Table], dtype: np.dtype[Any]) -> Table:
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype)


def _frame(table: Table) -> pl.DataFrame:
    columns = {field: np.ascontiguousarray(table[field]) for field in table.dtype.names or ()}
    return pl.DataFrame({field: values for field, values in columns.items() if values.ndim == 1} | _split(columns))


def _split(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {
        f"{field}_{d}": np.ascontiguousarray(values[:, d])
        for field, values in columns.items()
        if values.ndim == 2
        for d in range(values.shape[1])
    }
