"""The summary of a run for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from abm.lab.market_summary import MarketSummary
from abm.lab.profit import PARTS
from abm.lab.summary import Summary, headline
from abm.lab.wording import DASH, change, clock, compact, count, duration, percent, plural, usd

WIDTH = 116
NARROWEST = 100  # narrower tables cannot be read
LEAST_SHARE = 0.001  # of the largest part of profit; what is smaller for everybody is not shown
ARROW = "\u2192"


def print_summary(summary: Summary, origin: datetime | None = None, console: Console | None = None) -> None:
    """Prints what happened: the finding, the key numbers, one table of markets, one of who won and lost, and what was not tested.

    origin: when the run begins in UTC, if its prices are real ones.
    """
    (console or Console()).print(rendered(summary, origin))


def summary_lines(summary: Summary, origin: datetime | None = None, width: int = WIDTH) -> list[str]:
    """The same as plain lines of at most `width` characters."""
    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(rendered(summary, origin))
    return [line.rstrip() for line in captured.get().splitlines()]


def rendered(summary: Summary, origin: datetime | None = None) -> RenderableType:
    """The summary as something that rich can print."""
    untested = [item.name for item in summary.mechanisms if not item.exercised]
    parts: list[RenderableType] = [
        Text(headline(summary), style="bold"),
        Text(),
        _facts(key_numbers(summary, origin)),
        Text(),
        _markets(summary.markets),
        Text(),
        _cohorts(summary),
    ]
    if untested:
        parts += [Text(), Text(f"Not exercised, so not tested: {', '.join(untested)}.", style="yellow")]
    return Group(*parts)


def key_numbers(summary: Summary, origin: datetime | None = None) -> list[tuple[str, str]]:
    """The numbers that a reader wants first, as (what, how much)."""
    fund, adl, keepers, closed = summary.insurance, summary.deleveraging, summary.keepers, summary.withdrawals
    return [
        *_liquidation_numbers(summary, origin),
        ("funding", _funding_text(summary)),
        (
            "deleveraging",
            f"{usd(adl.notional)} of {plural(adl.counterparties, 'counterparty', 'counterparties')}, haircut {usd(adl.haircut)}"
            if adl.count
            else "none",
        ),
        ("insurance fund", f"{usd(fund.start)} {ARROW} {usd(fund.end)}, lowest {usd(fund.lowest)}"),
        ("bad debt", f"highest {usd(fund.debt_highest)}, {usd(fund.debt_end)} at the end" if fund.debt_highest else "none"),
        (
            "keepers",
            f"{plural(keepers.succeeded, 'liquidation')}, {count(keepers.failed)} in vain, gas {usd(keepers.gas)}, "
            f"rewards {usd(keepers.rewards)}"
            if keepers.keepers
            else "none: the protocol liquidates by itself",
        ),
        ("withdrawals", f"blocked for {duration(closed.blocked)}" if closed.blocked else "never blocked"),
        ("lost most", _losers_text(summary)),
        ("traded", f"{usd(summary.volume)}, fees {usd(summary.fees)}"),
    ]


def _liquidation_numbers(summary: Summary, origin: datetime | None) -> list[tuple[str, str]]:
    liquidations, cascades = summary.liquidations, summary.cascades
    failures = ", ".join(f"{reason.replace('_', ' ')} {count(number)}" for reason, number in liquidations.failures.items())
    rows = [("failed liquidations", f"{count(liquidations.failed)}: {failures}")] if liquidations.failed else []
    if liquidations.count == 0:
        return [("liquidations", "none"), *rows]
    rows = [
        (
            "liquidations",
            f"{plural(liquidations.accounts, 'account')}, {plural(liquidations.count, 'transaction')}, "
            f"{usd(liquidations.notional)}, {percent(liquidations.long_share)} of it longs",
        ),
        ("of open interest before", percent(liquidations.of_open_interest)),
        ("peak minute", f"{usd(liquidations.peak_notional)} from {clock(liquidations.peak_minute, origin)}"),
        ("largest liquidation", f"{usd(liquidations.largest)} in one transaction"),
        ("breach to execution", f"median {duration(liquidations.delay_median)}, longest {duration(liquidations.delay_longest)}"),
        *rows,
    ]
    if cascades.count:
        largest = f"{usd(cascades.largest_notional)} of {plural(cascades.largest_accounts or 0, 'account')}"
        rows.append(("cascades", f"{count(cascades.count)}, the largest {largest} in {duration(cascades.largest_seconds)}"))
    return rows


def _losers_text(summary: Summary) -> str:
    ranked = sorted((cohort.total, name) for name, cohort in summary.cohorts.items() if cohort.total < 0.0)
    return ", ".join(f"{name} {usd(-total)}" for total, name in ranked[:3]) or "nobody lost"


def _funding_text(summary: Summary) -> str:
    funding = [market.funding for market in summary.markets.values()]
    flips = sum(each.flips for each in funding)
    after = [each.first_flip_after for each in funding if each.first_flip_after is not None]
    text = f"{plural(sum(each.settlements for each in funding), 'settlement')}, {plural(flips, 'flip')}"
    return text + (f", the first {duration(min(after))} after the move began" if after else "")


def market_columns(market: MarketSummary) -> list[tuple[str, str]]:
    """One market as (column, cell); amounts in USD."""
    depth = market.depth["50bp"]
    return [
        ("index", change(market.index_move) if market.index_move else "no move"),
        ("within", duration(market.index_move_seconds, short=True)),
        ("perp to index", change(market.gap_lowest if -market.gap_lowest > market.gap_highest else market.gap_highest)),
        ("liquidated", compact(market.liquidated)),
        ("open interest", compact(market.open_interest_before)),
        ("at the end", compact(market.open_interest_end)),
        ("depth 0.5 %", compact(depth.before)),
        ("at worst", compact(depth.worst)),
        (
            "half back",
            duration(depth.recovered_after, short=True) if depth.recovered_after is not None else "never" if depth.before else DASH,
        ),
        ("flips", count(market.funding.flips)),
    ]


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def _markets(markets: dict[str, MarketSummary]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("in USD", no_wrap=True)
    for column, _ in market_columns(next(iter(markets.values()))):
        table.add_column(column, justify="right")
    for symbol, market in markets.items():
        table.add_row(symbol, *(cell for _, cell in market_columns(market)))
    return table


def shown_parts(summary: Summary) -> list[str]:
    """The parts of profit that matter for anybody."""
    largest = {part: max((abs(getattr(cohort, part)) for cohort in summary.cohorts.values()), default=0.0) for part in PARTS}
    return [part for part in PARTS if largest[part] > LEAST_SHARE * max(largest.values())]


def _cohorts(summary: Summary) -> Table:
    parts = shown_parts(summary)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    table.add_column("who, in USD", no_wrap=True)
    for column in ("paid in", "total", *("ADL" if part == "deleveraging" else part for part in parts), "accounts liquidated"):
        table.add_column(column, justify="right", min_width=max(map(len, column.split())))
    for name, cohort in summary.cohorts.items():
        table.add_row(
            name,
            compact(cohort.deposits),
            Text(gain_text(cohort.total), style="green" if cohort.total > 0 else "red"),
            *(gain_text(getattr(cohort, part)) for part in parts),
            count(cohort.liquidated_accounts) if cohort.liquidated_accounts else "",
        )
    fund = summary.insurance.end - summary.insurance.start
    blank = [""] * len(parts)
    table.add_row("insurance fund", compact(summary.insurance.start), gain_text(fund), *blank, "")
    table.add_row("fees of the venue", "", gain_text(summary.fees), *blank, "")
    return table


def gain_text(amount: float) -> str:
    """An amount with its sign, rounded to the cent."""
    amount = round(amount, 2)
    return ("+" if amount > 0 else "") + compact(amount)
