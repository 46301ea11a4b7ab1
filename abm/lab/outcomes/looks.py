"""Rows that several families share: looks at markets and venue, liquidations, and when the largest move began."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl

from abm.lab.episodes import largest_move
from abm.lab.outcomes.many_runs import ManyRuns

DAY = 86_400.0


def market_looks(many: ManyRuns) -> pl.DataFrame:
    """Looks at the markets by run, market and time, with what follows from each look alone and the falls so far.

    `basis` is mid over index less one; `spread` is null while a side of the book is empty; a fall is the distance below the
    highest price so far; `spacing` is what a look stands for in seconds: the time between the first two, 0 if there is one only.
    """
    rows = many.table("markets").sort("run", "market", "seconds")
    both = (pl.col("best_bid") > 0.0) & (pl.col("best_ask") > 0.0)
    by = ["run", "market"]
    return rows.with_columns(
        basis=pl.col("mid") / pl.col("index") - 1.0,
        spread=pl.when(both).then((pl.col("best_ask") - pl.col("best_bid")) / pl.col("mid")),
        oracle_gap=(pl.col("oracle") / pl.col("index") - 1.0).abs(),
        interest=pl.col("open_interest") * pl.col("index"),
        depth_5bp=pl.col("bid_depth_5bp") + pl.col("ask_depth_5bp"),
        depth_10bp=pl.col("bid_depth_10bp") + pl.col("ask_depth_10bp"),
        depth_50bp=pl.col("bid_depth_50bp") + pl.col("ask_depth_50bp"),
        mark_fall=1.0 - pl.col("mark") / pl.col("mark").cum_max().over(by),
        exogenous_fall=1.0 - pl.col("exogenous") / pl.col("exogenous").cum_max().over(by),
        spacing=(pl.col("seconds").slice(1, 1).first() - pl.col("seconds").first()).fill_null(0.0).over(by),
    )


def venue_looks(many: ManyRuns) -> pl.DataFrame:
    """Looks at the venue by run and time, with the `spacing` of `market_looks`."""
    rows = many.table("venue").sort("run", "seconds")
    return rows.with_columns(spacing=(pl.col("seconds").slice(1, 1).first() - pl.col("seconds").first()).fill_null(0.0).over("run"))


def attempts(many: ManyRuns) -> pl.DataFrame:
    """Liquidation transactions by run and time, also those that closed nothing.

    `delay` is the time in seconds from falling below maintenance margin to execution, null where that is not known.
    """
    rows = many.table("liquidations").sort("run", "seconds", maintain_order=True)
    seconds_per_block = pl.when(pl.col("block") > 0).then(pl.col("seconds") / pl.col("block"))
    waited = pl.when(pl.col("trigger_block") >= 0).then(pl.col("block") - pl.col("trigger_block"))
    return rows.with_columns(delay=waited * seconds_per_block)


def closings(many: ManyRuns) -> pl.DataFrame:
    """Those of the `attempts` that closed at least a part of a position."""
    return many.make(attempts).filter(pl.col("size") > 0.0)


def moves(many: ManyRuns) -> pl.DataFrame:
    """When the largest move of the first market's index began: `run`, `moved` (seconds, null where the index stood still).

    The move is that of `abm.lab.episodes.largest_move`.
    """
    looks = many.make(market_looks).select("run", "market", "seconds", "index")
    looks = looks.filter(pl.col("market") == pl.col("market").first().over("run"))
    run, seconds, index = (looks[name].to_numpy() for name in ("run", "seconds", "index"))
    bounds = np.append(np.flatnonzero(run[1:] != run[:-1]) + 1, len(run)) if len(run) else np.zeros(0, np.int64)
    found = [largest_move(seconds[a:b], index[a:b]) for a, b in itertools.pairwise([0, *bounds])]
    return pl.DataFrame(
        {"run": run[bounds - 1], "moved": [move.start if move else None for move in found]},
        schema={"run": pl.Int32, "moved": pl.Float64},
    )
