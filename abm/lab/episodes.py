"""What happened as events: minutes with liquidations, cascades, flips of the funding rate, the largest move of a price.

Tables in and out are those of `abm.recorder`; times are seconds since the start of the run, amounts USD.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

MINUTE = 60.0
QUIET_SECONDS = 300.0  # without a liquidation end a cascade
LEAST_ACCOUNTS = 5  # liquidated in one go are a cascade
SHARE_OF_MOVE = 0.9  # of the whole fall or rise that counts as the move: the long tails on both sides do not


@dataclass(frozen=True)
class Move:
    """A fall (`change` < 0) or rise of a price: from when to when, by what fraction, from which price to which."""

    start: float
    end: float
    change: float
    first: float
    last: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


def closing(liquidations: pl.DataFrame) -> pl.DataFrame:
    """The liquidation transactions that closed at least a part of a position."""
    return liquidations.filter(pl.col("size") > 0.0)


def liquidations_by_minute(liquidations: pl.DataFrame, width: float = MINUTE) -> pl.DataFrame:
    """USD liquidated in each interval of `width` seconds that saw any.

    Columns: seconds (start of the interval), market, longs and shorts (USD of long and of short positions closed, at the prices of
    the fills), notional (both), liquidations (transactions), accounts (different ones).
    """
    long = pl.col("side") == "sell"
    return (
        closing(liquidations)
        .group_by((pl.col("seconds") // width * width).alias("seconds"), "market")
        .agg(
            pl.col("notional").filter(long).sum().alias("longs"),
            pl.col("notional").filter(~long).sum().alias("shorts"),
            pl.col("notional").sum(),
            pl.len().cast(pl.Int64).alias("liquidations"),
            pl.col("account").n_unique().cast(pl.Int64).alias("accounts"),
        )
        .sort("seconds", "market")
    )


def cascades(liquidations: pl.DataFrame, quiet_seconds: float = QUIET_SECONDS, least_accounts: int = LEAST_ACCOUNTS) -> pl.DataFrame:
    """Liquidations that follow each other without a pause of more than `quiet_seconds`, in whatever market; at least
    `least_accounts` different accounts.

    Columns: start, end (seconds), liquidations, accounts, markets (how many), notional (USD), long_share (of the notional),
    peak_minute (start of the 60 seconds, counted from the first liquidation of the cascade, with the largest notional) and
    peak_notional.
    """
    rows = closing(liquidations).sort("seconds", maintain_order=True)
    rows = rows.with_columns((pl.col("seconds").diff().fill_null(0.0) > quiet_seconds).cum_sum().alias("cascade"))
    onset = pl.col("seconds").min().over("cascade")
    rows = rows.with_columns(((pl.col("seconds") - onset) // MINUTE * MINUTE + onset).alias("minute"))
    peaks = (
        rows.group_by("cascade", "minute")
        .agg(pl.col("notional").sum())
        .sort("cascade", "notional", "minute", descending=[False, True, False])
        .group_by("cascade", maintain_order=True)
        .first()
        .rename({"minute": "peak_minute", "notional": "peak_notional"})
    )
    return (
        rows.group_by("cascade")
        .agg(
            pl.col("seconds").min().alias("start"),
            pl.col("seconds").max().alias("end"),
            pl.len().cast(pl.Int64).alias("liquidations"),
            pl.col("account").n_unique().cast(pl.Int64).alias("accounts"),
            pl.col("market").n_unique().cast(pl.Int64).alias("markets"),
            pl.col("notional").sum(),
            (pl.col("notional").filter(pl.col("side") == "sell").sum() / pl.col("notional").sum()).alias("long_share"),
        )
        .join(peaks, on="cascade")
        .filter(pl.col("accounts") >= least_accounts)
        .sort("start")
        .drop("cascade")
    )


def funding_flips(funding: pl.DataFrame) -> pl.DataFrame:
    """Settlements whose rate has another sign than the last rate before that was not zero.

    Columns: market, seconds, before and after (rates, fraction per day), lasted (seconds to the next flip of the market; null when
    there is none).
    """
    settled = funding.filter(pl.col("rate_per_day") != 0.0).sort("market", "seconds")
    flips = settled.with_columns(pl.col("rate_per_day").shift(1).over("market").alias("before")).filter(
        pl.col("before") * pl.col("rate_per_day") < 0.0
    )
    return flips.select(
        "market",
        "seconds",
        "before",
        pl.col("rate_per_day").alias("after"),
        (pl.col("seconds").shift(-1).over("market") - pl.col("seconds")).alias("lasted"),
    )


def largest_move(seconds: ArrayLike, prices: ArrayLike, share: float = SHARE_OF_MOVE) -> Move | None:
    """The shortest interval in which a price made `share` of its largest fall or of its largest rise, whichever is larger in
    logarithms.

    The largest fall is the largest drop from any price to any later one. `share` keeps a slow drift before and after out of it.
    None when there are fewer than two prices or the price never moves.
    """
    times = np.asarray(seconds, float)
    path = np.log(np.asarray(prices, float))
    if len(path) < 2:
        return None
    fall = float(np.max(np.maximum.accumulate(path) - path))
    rise = float(np.max(path - np.minimum.accumulate(path)))
    if max(fall, rise) == 0.0:
        return None
    rose = rise > fall * (1.0 + 1e-12)  # of equal ones the fall, whatever rounding says
    start, end = _shortest_climb(times, path if rose else -path, share * max(fall, rise) * (1.0 - 1e-12))
    first, last = np.exp(path[start]), np.exp(path[end])
    return Move(float(times[start]), float(times[end]), float(last / first - 1.0), float(first), float(last))


def _shortest_climb(times: NDArray[np.float64], path: NDArray[np.float64], height: float) -> tuple[int, int]:
    """(i, j) with path[j] - path[i] >= height and times[j] - times[i] least; of equal ones the first.

    Candidates for i are kept with rising values: an earlier and higher one can never be better than a later and lower one.
    """
    candidates: deque[int] = deque()
    best, found = np.inf, (0, len(path) - 1)
    for j, value in enumerate(path.tolist()):
        while candidates and value - path[candidates[0]] >= height:
            i = candidates.popleft()
            if times[j] - times[i] < best:
                best, found = times[j] - times[i], (i, j)
        while candidates and path[candidates[-1]] >= value:
            candidates.pop()
        candidates.append(j)
    return found


def symbols(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    """Markets of a record in the order of the venue's listings."""
    dtype = frames["markets"].schema["market"]
    listed = dtype.categories.to_list() if isinstance(dtype, pl.Enum) else frames["markets"]["market"].unique().sort().to_list()
    return [name for name in listed if name != "none"]


def venue_move(frames: Mapping[str, pl.DataFrame]) -> Move | None:
    """The largest move of the first market's index: what a run is dated by."""
    first = frames["markets"].filter(pl.col("market") == symbols(frames)[0])
    return largest_move(first["seconds"], first["index"])
