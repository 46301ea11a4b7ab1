"""What happened to the venue as a whole, as numbers: liquidations, deleveraging, the insurance fund, keepers, withdrawals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from abm.lab.aggregates import highest, lowest, lowest_at, number, total
from abm.lab.episodes import MINUTE, Move, cascades, closing
from abm.lab.market_summary import look_spacing
from abm.lab.quantities import quantity

CENT = 0.01  # USD; less than that is rounding, not debt


@dataclass(frozen=True, kw_only=True)
class LiquidationSummary:
    """Positions closed because margin had run out."""

    count: int = quantity("transactions", "that closed at least a part of a position; a large position takes many")
    accounts: int = quantity("accounts", "of which something was liquidated")
    notional: float = quantity("USD", "closed, at the prices of the fills")
    of_open_interest: float | None = quantity(
        "fraction", "notional over the open interest of all markets when the largest move of the first market's index began"
    )
    long_share: float | None = quantity("fraction of the notional", "from long positions")
    largest: float | None = quantity("USD", "closed by a single transaction")
    first: float | None = quantity("seconds since the start", "when the first was executed")
    last: float | None = quantity("seconds since the start", "when the last was executed")
    peak_minute: float | None = quantity("seconds since the start", "beginning of the clock minute with the largest notional")
    peak_notional: float | None = quantity("USD", "liquidated in that minute")
    delay_median: float | None = quantity("seconds", "from falling below maintenance margin to execution")
    delay_longest: float | None = quantity("seconds", "the longest such delay")
    leverage_median: float | None = quantity("times equity", "notional of all positions over equity before, where equity was left")
    failed: int = quantity("transactions", "that closed nothing")
    failures: dict[str, int] = quantity("transactions", "that closed nothing, by reason")


@dataclass(frozen=True, kw_only=True)
class CascadeSummary:
    """Liquidations that follow each other with pauses of at most five minutes, of at least five accounts."""

    count: int = quantity("cascades", "in all markets together")
    longest: float | None = quantity("seconds", "from the first to the last liquidation of the longest")
    largest_start: float | None = quantity("seconds since the start", "first liquidation of the one with the largest notional")
    largest_seconds: float | None = quantity("seconds", "how long that one lasted")
    largest_notional: float | None = quantity("USD", "liquidated in it")
    largest_accounts: int | None = quantity("accounts", "liquidated in it")


@dataclass(frozen=True, kw_only=True)
class DeleveragingSummary:
    """Positions of bankrupt accounts closed against traders on the other side."""

    count: int = quantity("closings", "pairs of a bankrupt account and a counterparty")
    accounts: int = quantity("accounts", "bankrupt ones")
    counterparties: int = quantity("accounts", "whose positions were closed against their will")
    notional: float = quantity("USD", "closed, at the price of the closing")
    haircut: float = quantity("USD", "counterparties received less than at the mark price")
    first_after: float | None = quantity("seconds", "from the first liquidation to the first deleveraging")
    leverage_median: float | None = quantity("times equity", "of the counterparties before")


@dataclass(frozen=True, kw_only=True)
class InsuranceSummary:
    """The insurance fund and what it could not cover."""

    start: float = quantity("USD", "in the fund at the first look")
    lowest: float = quantity("USD", "lowest at any look")
    lowest_time: float = quantity("seconds since the start", "when")
    end: float = quantity("USD", "at the last look")
    received: float = quantity("USD", "of penalties from liquidations, summed over transactions that brought money")
    payments: int = quantity("transactions", "liquidations that cost the fund money")
    paid: float = quantity("USD", "for losses below bankruptcy, summed over transactions that cost money")
    rewards: float = quantity("USD", "to keepers")
    debt_highest: float = quantity("USD", "largest sum of negative equity at any look")
    debt_end: float = quantity("USD", "negative equity left at the last look")
    under_water: int = quantity("accounts", "most with negative equity at any look")
    socialised: float = quantity("USD", "of losses taken from everybody")


@dataclass(frozen=True, kw_only=True)
class KeeperSummary:
    """Liquidation transactions sent by keepers, as against those of the protocol itself."""

    keepers: int = quantity("accounts", "that sent at least one liquidation")
    succeeded: int = quantity("transactions", "of keepers that closed something")
    failed: int = quantity("transactions", "of keepers that closed nothing")
    by_protocol: int = quantity("transactions", "of the protocol itself that closed something")
    rewards: float = quantity("USD", "paid to keepers")
    gas: float = quantity("USD", "of gas paid by all cohorts")
    failed_gas: float = quantity("USD", "of it burnt by liquidations that closed nothing")


@dataclass(frozen=True, kw_only=True)
class WithdrawalSummary:
    """The withdrawal gate."""

    blocked: float = quantity("seconds", "during which nobody could withdraw")
    first_blocked: float | None = quantity("seconds since the start", "when that began")


def summarise_liquidations(frames: Mapping[str, pl.DataFrame], move: Move | None) -> LiquidationSummary:
    """All liquidation transactions of a record."""
    rows = frames["liquidations"]
    closed = closing(rows)
    failed = rows.filter(pl.col("size") <= 0.0)
    notional = total(closed["notional"])
    minutes = closed.group_by((pl.col("seconds") // MINUTE * MINUTE).alias("minute")).agg(pl.col("notional").sum())
    peak = minutes.sort("notional", "minute", descending=[True, False]).head(1)
    per_block = _seconds_per_block(rows)
    delays = (closed["block"] - closed["trigger_block"]).filter(closed["trigger_block"] >= 0) * per_block
    leverage = closed["leverage_before"].filter(closed["leverage_before"] > 0.0)
    interest = _open_interest(frames["markets"], move.start) if move else None
    return LiquidationSummary(
        count=closed.height,
        accounts=closed["account"].n_unique(),
        notional=notional,
        of_open_interest=notional / interest if interest else None,
        long_share=total(closed.filter(pl.col("side") == "sell")["notional"]) / notional if notional else None,
        largest=number(closed["notional"].max()),
        first=number(closed["seconds"].min()),
        last=number(closed["seconds"].max()),
        peak_minute=number(peak["minute"].max()),
        peak_notional=number(peak["notional"].max()),
        delay_median=number(delays.median()),
        delay_longest=number(delays.max()),
        leverage_median=number(leverage.median()),
        failed=failed.height,
        failures={str(reason): int(many) for reason, many in failed.group_by("result").len().sort("result").iter_rows()},
    )


def summarise_cascades(frames: Mapping[str, pl.DataFrame]) -> CascadeSummary:
    """The cascades of a record."""
    found = cascades(frames["liquidations"]).with_columns((pl.col("end") - pl.col("start")).alias("lasted"))
    if not found.height:
        return CascadeSummary(count=0, longest=None, largest_start=None, largest_seconds=None, largest_notional=None, largest_accounts=None)
    largest = found.sort("notional", "start", descending=[True, False]).row(0, named=True)
    return CascadeSummary(
        count=found.height,
        longest=number(found["lasted"].max()),
        largest_start=largest["start"],
        largest_seconds=largest["lasted"],
        largest_notional=largest["notional"],
        largest_accounts=largest["accounts"],
    )


def summarise_deleveraging(frames: Mapping[str, pl.DataFrame]) -> DeleveragingSummary:
    """All deleveragings of a record."""
    rows = frames["deleveragings"]
    liquidated = closing(frames["liquidations"])["seconds"]
    first, began = number(rows["seconds"].min()), number(liquidated.min())
    return DeleveragingSummary(
        count=rows.height,
        accounts=rows["liquidated"].n_unique(),
        counterparties=rows["counterparty"].n_unique(),
        notional=total(rows["size"] * rows["price"]),
        haircut=total(rows["haircut"]),
        first_after=first - began if first is not None and began is not None else None,
        leverage_median=number(rows["counterparty_leverage"].median()),
    )


def summarise_insurance(frames: Mapping[str, pl.DataFrame]) -> InsuranceSummary:
    """The fund and the debt, from the looks at the venue and the liquidations."""
    venue, liquidations = frames["venue"].sort("seconds"), frames["liquidations"]
    fund, debt, delta = venue["insurance_fund"], venue["bad_debt"], liquidations["fund_delta"]
    socialised = frames["cohorts"].filter(pl.col("seconds") == pl.col("seconds").max())["socialised"]
    return InsuranceSummary(
        start=float(fund[0]),
        lowest=lowest(fund),
        lowest_time=float(venue["seconds"][lowest_at(fund)]),
        end=float(fund[-1]),
        received=total(delta.filter(delta > 0.0)),
        payments=delta.filter(delta < 0.0).len(),
        paid=0.0 - total(delta.filter(delta < 0.0)),
        rewards=total(liquidations["reward"]),
        debt_highest=_to_the_cent(highest(debt)),
        debt_end=_to_the_cent(float(debt[-1])),
        under_water=int(highest(venue["below_zero"])),
        socialised=_to_the_cent(0.0 - total(socialised.filter(socialised < 0.0))),
    )


def summarise_keepers(frames: Mapping[str, pl.DataFrame]) -> KeeperSummary:
    """Who liquidated."""
    rows = frames["liquidations"]
    sent = rows.filter(pl.col("keeper") >= 0)
    succeeded = closing(sent).height
    last = frames["cohorts"].filter(pl.col("seconds") == pl.col("seconds").max())
    return KeeperSummary(
        keepers=sent["keeper"].n_unique(),
        succeeded=succeeded,
        failed=sent.height - succeeded,
        by_protocol=closing(rows).height - succeeded,
        rewards=total(sent["reward"]),
        gas=total(last["gas"]),
        failed_gas=float(frames["venue"]["failed_gas"][-1]),
    )


def summarise_withdrawals(frames: Mapping[str, pl.DataFrame]) -> WithdrawalSummary:
    """When the gate was shut."""
    venue = frames["venue"]
    shut = venue.filter(pl.col("withdrawals_open") == 0)
    return WithdrawalSummary(blocked=shut.height * look_spacing(venue), first_blocked=number(shut["seconds"].min()))


def _open_interest(markets: pl.DataFrame, seconds: float) -> float:
    """USD of all markets, one side, at the index, at the last look not after `seconds`."""
    looks = markets.filter(pl.col("seconds") <= seconds)
    looks = looks.filter(pl.col("seconds") == pl.col("seconds").max())
    return total(looks["open_interest"] * looks["index"])


def _seconds_per_block(rows: pl.DataFrame) -> float:
    late = rows.filter(pl.col("block") > 0)
    return float(late["seconds"][0] / late["block"][0]) if late.height else 0.0


def _to_the_cent(amount: float) -> float:
    return amount if amount >= CENT else 0.0
