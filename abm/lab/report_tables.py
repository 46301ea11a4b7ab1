"""The tables of the report as pieces of HTML. Every text is escaped here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import polars as pl

from abm.lab.profit import MEANING
from abm.lab.quantities import flat
from abm.lab.summary import Summary
from abm.lab.summary_table import gain_text, key_numbers, market_columns, shown_parts
from abm.lab.wording import DASH, clock, compact, count, duration, percent, usd

LARGE = 1e6
ALIGNED = ' class="right"'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 1, last_is_total: bool = False, sentences: bool = False
) -> str:
    """A table of HTML cells; columns from `numbers_from` on are aligned to the right, the first names the row.

    sentences: the cells share the width, and words wrap.
    """
    body = [list(row) for row in rows]

    def cells(row: Sequence[str]) -> str:
        first = f'<th scope="row">{row[0]}</th>'
        return first + "".join(f"<td{ALIGNED if place >= numbers_from else ''}>{cell}</td>" for place, cell in enumerate(row[1:], start=1))

    heads = "".join(f'<th scope="col"{ALIGNED if place >= numbers_from else ""}>{escape(text)}</th>' for place, text in enumerate(head))
    lines = [f"<tr{' class=total' if last_is_total and place == len(body) - 1 else ''}>{cells(row)}</tr>" for place, row in enumerate(body)]
    top = f"<thead><tr>{heads}</tr></thead>" if head else ""
    kind = ' class="sentences"' if sentences else ""
    return f'<div class="scroll"><table{kind}>{top}<tbody>{"".join(lines)}</tbody></table></div>'


def numbers_table(summary: Summary, origin: datetime | None) -> str:
    """The key numbers."""
    return table((), ((escape(name), escape(text)) for name, text in key_numbers(summary, origin)), numbers_from=2)


def markets_table(summary: Summary) -> str:
    """One row per market."""
    columns = [name for name, _ in market_columns(next(iter(summary.markets.values())))]
    rows = ([escape(symbol), *(escape(cell) for _, cell in market_columns(market))] for symbol, market in summary.markets.items())
    return table(["USD", *columns], rows)


def money_table(summary: Summary) -> str:
    """Profit of each cohort by source, with the insurance fund and the venue."""
    parts = shown_parts(summary)
    rows = [
        [
            escape(name),
            compact(cohort.deposits),
            _coloured(cohort.total),
            *(_coloured(getattr(cohort, part)) for part in parts),
            count(cohort.liquidated_accounts) if cohort.liquidated_accounts else "",
        ]
        for name, cohort in summary.cohorts.items()
    ]
    fund = summary.insurance
    blank = [""] * (len(parts) + 1)
    rows.append(["insurance fund", compact(fund.start), _coloured(fund.end - fund.start), *blank])
    rows.append(["fees of the venue", "", _coloured(summary.fees), *blank])
    legend = "; ".join(f"<b>{part}</b>: {escape(MEANING[part])}" for part in parts)
    body = table(["", "paid in", "total", *parts, "accounts liquidated"], rows)
    return f'{body}<p class="note">{legend}.</p>'


def balance_text(summary: Summary) -> str:
    """Whether money is conserved: gains on the venue, the fund and the fees add up to nothing."""
    on_venue = sum(cohort.equity - cohort.deposits for cohort in summary.cohorts.values())
    left = on_venue + summary.insurance.end - summary.insurance.start + summary.fees
    if abs(left) < 1.0:
        return "On the venue, cohorts, fund and fees add up to zero."
    return f"On the venue, cohorts, fund and fees leave {usd(-left)} to accounts that belong to no cohort."


def tested_table(summary: Summary) -> str:
    """Which mechanisms acted."""
    rows = (
        (
            escape(item.name),
            '<span class="yes">yes</span>' if item.exercised else '<span class="no">not tested</span>',
            escape(item.finding.removesuffix(": not tested")),
        )
        for item in summary.mechanisms
    )
    return table(("mechanism", "exercised", "how often"), rows, numbers_from=3)


def cascades_table(found: pl.DataFrame, origin: datetime | None) -> str:
    """The ten largest cascades, in the order in which they happened."""
    if not found.height:
        return "<p>There were none.</p>"
    shown = found.sort("notional", descending=True).head(10).sort("start")
    rows = (
        (
            clock(row["start"], origin),
            duration(row["end"] - row["start"], short=True),
            usd(row["notional"]),
            percent(row["long_share"]),
            count(row["accounts"]),
            count(row["liquidations"]),
            f"{usd(row['peak_notional'])} from {clock(row['peak_minute'], origin)}",
        )
        for row in shown.iter_rows(named=True)
    )
    head = ("begins", "lasts", "liquidated", "of it longs", "accounts", "transactions", "worst minute")
    note = f'<p class="note">The ten largest of {count(found.height)}.</p>' if found.height > 10 else ""
    return table(head, rows) + note


def methods_list(entries: Iterable[Mapping[str, Any]]) -> str:
    """Each rule, world or group with its explanation and its parameters."""
    return "".join(
        f"<details><summary><b>{escape(entry['name'])}</b> <code>{escape(entry['kind'])}</code> "
        f"{_prose(_first_sentence(entry['about']))}</summary>"
        f"<p>{_prose(entry['about'])}</p>{_parameters(entry['parameters'])}</details>"
        for entry in entries
    )


def population_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """One row per group of traders."""
    keys = ("members", "capital", "latency", "margin")
    rows = []
    for entry in entries:
        values = {row["name"]: row["words"] for row in entry["parameters"]}
        rows.append([escape(entry["name"]), f"<code>{escape(entry['kind'])}</code>", *(escape(values.get(key, "")) for key in keys)])
    return table(("group", "strategy", "traders", "capital, USD each", "latency, blocks", "margin"), rows, numbers_from=9)


def definitions_table(summary: Summary) -> str:
    """Every number of the summary with unit and definition."""
    rows = ((f"<code>{escape(name)}</code>", _number(value), escape(unit), escape(about)) for name, value, unit, about in flat(summary))
    return table(("name", "value", "unit", "definition"), rows, numbers_from=9)


def provenance_table(provenance: Mapping[str, Any]) -> str:
    """Versions, code, machine class and time."""
    versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items() if version)
    code, machine, speed = provenance["code"], provenance["platform"], count(provenance["blocks_per_second"])
    commit = f", commit {code['commit'][:12]}{' with changes' if code['changed'] else ''}" if "commit" in code else ""
    rows = [
        ("experiment", f"identity {provenance['identity']}, seed {provenance['seed']}"),
        ("code", f"sources {code['sources']}{commit}"),
        ("versions", versions),
        ("machine", f"{machine['system']} {machine['machine']}, {machine['python']}, {machine['processors']} processors"),
        (
            "simulated",
            f"{provenance['started']}, {duration(provenance['simulation_seconds'])}, {speed} blocks a second",
        ),
    ]
    return table((), ((escape(name), escape(text)) for name, text in rows), numbers_from=2)


def _parameters(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return '<p class="note">No parameters.</p>'
    return table(
        ("parameter", "value", "unit", ""),
        (
            (
                f"<code>{escape(row['name'])}</code>",
                f"<code>{escape(row['value'])}</code>",
                escape(row["unit"]),
                escape(row["about"]),
            )
            for row in rows
        ),
        numbers_from=9,
    )


def _coloured(amount: float) -> str:
    kind = "gain" if amount > 0.005 else "loss" if amount < -0.005 else ""
    return f'<span class="{kind}">{gain_text(amount)}</span>' if kind else "0"


def _number(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, int):
        return count(value)
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:,.6g}"


def _prose(text: str) -> str:
    """Docstring text; names in backticks become code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _first_sentence(text: str) -> str:
    head, dot, _ = text.partition(". ")
    return head if dot else text.rstrip(".")
