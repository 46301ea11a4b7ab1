"""The book: spread, depth near the mid, how far depth falls in the largest move and when it is back; trading and halts."""

from __future__ import annotations

from functools import partial

import polars as pl

from abm.lab.episodes import MINUTE
from abm.lab.market_summary import RECOVERED
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.looks import DAY, market_looks, moves, venue_looks
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome


def depth_minutes(many: ManyRuns) -> pl.DataFrame:
    """Depth averaged over each minute, by run, market and `minute` (its start in seconds).

    `earlier`: the minute was over when the largest move of the first market's index began; `later`: it began after that.
    """
    minute = (pl.col("seconds") // MINUTE * MINUTE).alias("minute")
    rows = by_group(many.make(market_looks), ["run", "market", minute], [pl.col("depth_10bp", "depth_50bp").mean()])
    rows = rows.sort("run", "market", "minute").join(many.make(moves), on="run", how="left", maintain_order="left")
    return rows.with_columns(
        earlier=(pl.col("minute") + MINUTE <= pl.col("moved")).fill_null(False),
        later=(pl.col("minute") >= pl.col("moved")).fill_null(False),
    )


def usual(depth: str) -> pl.Expr:
    """Median of the minutes before the move."""
    return pl.col(depth).filter(pl.col("earlier")).median()


def worst(depth: str) -> pl.Expr:
    """Lowest minute from the beginning of the move on."""
    return pl.col(depth).filter(pl.col("later")).min()


def recovery(depth: str) -> pl.Expr:
    """Seconds from the worst minute to the first that has `RECOVERED` of the usual depth again."""
    lowest = pl.col("minute").filter(pl.col("later") & (pl.col(depth) == worst(depth))).first()
    again = pl.col("minute").filter(pl.col("later") & (pl.col("minute") >= lowest) & (pl.col(depth) >= RECOVERED * usual(depth))).first()
    return again - lowest


looked = partial(Outcome, rows=market_looks, split="market", tables=("markets",), source="markets", exercised_by="always")
quoted = partial(looked, together="mean", source="markets: best_bid, best_ask, mid", exercised_by="a book with two sides", better="less")
moved = partial(
    Outcome,
    rows=depth_minutes,
    split="market",
    together="mean",
    tables=("markets",),
    exercised_by="a move of the index after a minute or more",
)
days = (pl.col("seconds").last() - pl.col("seconds").first()) / DAY
QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}

OUTCOMES = (
    *(
        quoted(
            name=f"spread_{name}",
            detail=name == "p05",
            unit="fraction of the mid",
            definition=f"{quantile:.0%} quantile over the looks of best ask less best bid, looks with an empty side left out",
            value=pl.col("spread").quantile(quantile, "linear"),
        )
        for name, quantile in QUANTILES.items()
    ),
    looked(
        name="empty_side_share",
        unit="fraction of the looks",
        definition="at which there was no bid or no ask",
        source="markets: best_bid, best_ask",
        together="mean",
        better="less",
        value=pl.col("spread").is_null().mean(),
    ),
    *(
        looked(
            name=f"depth_{width}_{name}",
            detail=name == "p95" or width == "5bp",
            unit="USD",
            definition=f"{quantile:.0%} quantile over the looks of what rests within {width.removesuffix('bp')} / 10,000 of the mid on "
            "both sides together",
            source=f"markets: bid_depth_{width}, ask_depth_{width}",
            together="sum",
            better="more",
            value=pl.col(f"depth_{width}").quantile(quantile, "linear"),
        )
        for width in ("5bp", "10bp", "50bp")
        for name, quantile in QUANTILES.items()
    ),
    *(
        moved(
            name=f"depth_{width}_worst",
            unit="fraction of the usual depth",
            definition=f"lowest minute of depth within {width.removesuffix('bp')} / 10,000 of the mid from the beginning of the largest "
            "move of the first market's index on, over the median of the minutes before",
            source=f"markets: bid_depth_{width}, ask_depth_{width}",
            better="more",
            value=worst(f"depth_{width}") / usual(f"depth_{width}"),
        )
        for width in ("10bp", "50bp")
    ),
    *(
        moved(
            name=f"depth_{width}_recovery",
            unit="seconds",
            definition=f"from that worst minute to the first with {RECOVERED:.0%} of the usual depth within "
            f"{width.removesuffix('bp')} / 10,000 of the mid again; null where the run ends before",
            source=f"markets: bid_depth_{width}, ask_depth_{width}",
            better="less",
            value=recovery(f"depth_{width}"),
        )
        for width in ("10bp", "50bp")
    ),
    looked(
        name="volume",
        unit="USD",
        definition="traded",
        together="sum",
        better="more",
        value=pl.col("volume").last(),
    ),
    looked(
        name="trades",
        detail=True,
        unit="fills",
        definition="trades",
        together="sum",
        better="more",
        value=pl.col("trades").last(),
    ),
    looked(
        name="open_interest",
        unit="USD",
        definition="one side, at the index, mean over the looks",
        source="markets: open_interest, index",
        together="sum",
        better="more",
        value=pl.col("interest").mean(),
    ),
    looked(
        name="open_interest_change",
        detail=True,
        unit="fraction",
        definition="open interest in coins at the last look over its highest at any look, less one",
        source="markets: open_interest",
        together="mean",
        exercised_by="a position",
        value=pl.col("open_interest").last() / pl.col("open_interest").max() - 1.0,
    ),
    looked(
        name="turnover",
        detail=True,
        unit="per day",
        definition="volume of a day over the mean open interest",
        source="markets: volume, open_interest, index",
        together="mean",
        exercised_by="a position",
        value=pl.col("volume").last() / days / pl.col("interest").mean(),
    ),
    Outcome(
        name="fees",
        unit="USD",
        definition="trading fees kept by the venue, net of rebates",
        source="venue: fees",
        exercised_by="always",
        better="more",
        rows=venue_looks,
        value=pl.col("fees").last(),
        tables=("venue",),
    ),
    looked(
        name="halted_seconds",
        unit="seconds",
        definition="during which trading was halted: looks that saw it, times the time between looks",
        source="markets: status",
        together="largest",
        better="less",
        value=((pl.col("status") != 0) * pl.col("spacing")).sum(),
    ),
)
