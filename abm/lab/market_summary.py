"""What happened in one market, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from abm.lab.aggregates import highest, highest_at, lowest, lowest_at, number, total
from abm.lab.episodes import MINUTE, Move, closing, funding_flips, largest_move, symbols
from abm.lab.quantities import quantity

DEPTHS = {"10bp": 0.001, "50bp": 0.005}
RECOVERED = 0.5  # of the depth before


@dataclass(frozen=True, kw_only=True)
class DepthSummary:
    """Orders resting near the mid on both sides together, averaged over each minute."""

    within: float = quantity("fraction of the mid", "how near, on either side")
    before: float | None = quantity("USD", "median over all minutes before the largest move of the first market's index")
    worst: float | None = quantity("USD", "lowest minute from the beginning of that move on")
    worst_time: float | None = quantity("seconds since the start", "beginning of that minute")
    recovered_after: float | None = quantity("seconds", "from the worst minute to the first that has half the depth before again")


@dataclass(frozen=True, kw_only=True)
class FundingSummary:
    """Funding of one market."""

    settlements: int = quantity("settlements", "in which a rate was set, zero included")
    flips: int = quantity("settlements", "with another sign than the last rate that was not zero")
    first_flip_after: float | None = quantity(
        "seconds", "from the beginning of the largest move of the first market's index to the first flip that follows"
    )
    lowest: float | None = quantity("fraction per day", "lowest settled rate; negative: shorts pay longs")
    highest: float | None = quantity("fraction per day", "highest settled rate")
    paid: float = quantity("USD", "that changed hands")


@dataclass(frozen=True, kw_only=True)
class MarketSummary:
    """One market over the whole run."""

    index_start: float = quantity("USD", "outside price at the first look")
    index_end: float = quantity("USD", "outside price at the last look")
    index_move: float | None = quantity("fraction", "nine tenths of the largest fall or rise of the index, in the shortest time it took")
    index_move_start: float | None = quantity("seconds since the start", "when that move began")
    index_move_seconds: float | None = quantity("seconds", "how long it took")
    mark_move: float | None = quantity("fraction", "the same for the mark price")
    mark_move_start: float | None = quantity("seconds since the start", "when that move began")
    mark_move_seconds: float | None = quantity("seconds", "how long it took")
    gap_lowest: float = quantity("fraction of the index", "mid of the book over the index, less one: the perp at its cheapest")
    gap_lowest_time: float = quantity("seconds since the start", "when")
    gap_highest: float = quantity("fraction of the index", "the same at its dearest")
    gap_highest_time: float = quantity("seconds since the start", "when")
    oracle_gap: float = quantity("fraction of the index", "largest distance of the oracle price from the index, either way")
    volume: float = quantity("USD", "traded")
    trades: int = quantity("fills", "trades")
    liquidated: float = quantity("USD", "of positions closed by liquidation, at the prices of the fills")
    liquidated_long_share: float | None = quantity("fraction of that notional", "from long positions")
    deleveraged: float = quantity("USD", "of positions closed by deleveraging")
    open_interest_before: float | None = quantity("USD", "one side, at the index, when the largest move of the first market's index began")
    open_interest_lowest: float | None = quantity("USD", "lowest from then on")
    open_interest_end: float = quantity("USD", "at the last look")
    halted: float = quantity("seconds", "during which trading was halted")
    funding: FundingSummary
    depth: dict[str, DepthSummary]


def market_summaries(frames: Mapping[str, pl.DataFrame], move: Move | None) -> dict[str, MarketSummary]:
    """Every market, dated by `move`, the largest move of the first market's index."""
    return {symbol: _market_summary(frames, symbol, move) for symbol in symbols(frames)}


def _market_summary(frames: Mapping[str, pl.DataFrame], symbol: str, move: Move | None) -> MarketSummary:
    mine = pl.col("market") == symbol
    looks = frames["markets"].filter(mine).sort("seconds")
    seconds = looks["seconds"]
    index, mark = (largest_move(seconds, looks[name]) for name in ("index", "mark"))
    gap = looks["mid"] / looks["index"] - 1.0
    closed = closing(frames["liquidations"]).filter(mine)
    liquidated = total(closed["notional"])
    closings = frames["deleveragings"].filter(mine)
    interest = looks["open_interest"] * looks["index"]
    later = seconds >= move.start if move else None
    return MarketSummary(
        index_start=float(looks["index"][0]),
        index_end=float(looks["index"][-1]),
        index_move=index.change if index else None,
        index_move_start=index.start if index else None,
        index_move_seconds=index.seconds if index else None,
        mark_move=mark.change if mark else None,
        mark_move_start=mark.start if mark else None,
        mark_move_seconds=mark.seconds if mark else None,
        gap_lowest=lowest(gap),
        gap_lowest_time=float(seconds[lowest_at(gap)]),
        gap_highest=highest(gap),
        gap_highest_time=float(seconds[highest_at(gap)]),
        oracle_gap=highest((looks["oracle"] / looks["index"] - 1.0).abs()),
        volume=float(looks["volume"][-1]),
        trades=int(looks["trades"][-1]),
        liquidated=liquidated,
        liquidated_long_share=total(closed.filter(pl.col("side") == "sell")["notional"]) / liquidated if liquidated else None,
        deleveraged=total(closings["size"] * closings["price"]),
        open_interest_before=float(interest.filter(seconds <= move.start)[-1]) if move else None,
        open_interest_lowest=lowest(interest.filter(later)) if later is not None else None,
        open_interest_end=float(interest[-1]),
        halted=total(looks["status"] != 0) * look_spacing(looks),
        funding=_funding_summary(frames["funding"].filter(mine), move),
        depth={name: _depth_summary(looks, name, move) for name in DEPTHS},
    )


def look_spacing(looks: pl.DataFrame) -> float:
    """Seconds between two looks of a table with one row per look; 0 when there was only one."""
    return float(looks["seconds"][1] - looks["seconds"][0]) if looks.height > 1 else 0.0


def depth_by_minute(looks: pl.DataFrame, name: str, width: float = MINUTE) -> pl.DataFrame:
    """USD resting within `name` ("10bp", "50bp") of the mid on both sides, averaged over intervals of `width` seconds.

    Columns: seconds (start of the interval), market, depth.
    """
    return (
        looks.group_by((pl.col("seconds") // width * width).alias("seconds"), "market")
        .agg((pl.col(f"bid_depth_{name}") + pl.col(f"ask_depth_{name}")).mean().alias("depth"))
        .sort("seconds", "market")
    )


def relative_depth(frames: Mapping[str, pl.DataFrame], name: str, before: float) -> pl.DataFrame | None:
    """Depth of all markets together in each minute, as a fraction of its median in the minutes that were over at second `before`.

    Columns: seconds, relative. None when nothing rested then, or nothing was recorded.
    """
    minutes = depth_by_minute(frames["markets"], name).group_by("seconds").agg(pl.col("depth").sum()).sort("seconds")
    usual = number(minutes.filter(pl.col("seconds") + MINUTE <= before)["depth"].median())
    return minutes.select("seconds", (pl.col("depth") / usual).alias("relative")) if usual else None


def _depth_summary(looks: pl.DataFrame, name: str, move: Move | None) -> DepthSummary:
    before = worst = worst_time = recovered = None
    if move is not None:
        minutes = depth_by_minute(looks, name)
        earlier = minutes.filter(pl.col("seconds") + MINUTE <= move.start)
        later = minutes.filter(pl.col("seconds") >= move.start)
        before = number(earlier["depth"].median())
        if later.height:
            at = lowest_at(later["depth"])
            worst, worst_time = float(later["depth"][at]), float(later["seconds"][at])
            if before is not None:
                again = later.filter((pl.col("seconds") >= worst_time) & (pl.col("depth") >= RECOVERED * before))
                recovered = float(again["seconds"][0]) - worst_time if again.height else None
    return DepthSummary(within=DEPTHS[name], before=before, worst=worst, worst_time=worst_time, recovered_after=recovered)


def _funding_summary(funding: pl.DataFrame, move: Move | None) -> FundingSummary:
    flips = funding_flips(funding)
    after = flips.filter(pl.col("seconds") >= move.start) if move else flips.clear()
    rates = funding["rate_per_day"]
    return FundingSummary(
        settlements=funding.height,
        flips=flips.height,
        first_flip_after=float(after["seconds"][0]) - move.start if move and after.height else None,
        lowest=lowest(rates) if funding.height else None,
        highest=highest(rates) if funding.height else None,
        paid=total(funding["paid"]),
    )
