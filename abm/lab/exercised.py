"""Which mechanisms a run put to the test, and which it did not: a rule that never acted has not been shown to be safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abm.lab.wording import count, duration, percent, plural, usd

if TYPE_CHECKING:
    from abm.lab.summary import Summary

SMALL_GAP = 0.001  # of the index; an oracle that stays closer than this was not tested


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """One mechanism: whether it acted, and how often or how much in words."""

    name: str
    exercised: bool
    finding: str


def mechanisms(summary: Summary) -> tuple[Mechanism, ...]:
    """Every mechanism a reader may ask about, in the order in which losses travel through a venue."""
    liquidations, deleveraging, fund = summary.liquidations, summary.deleveraging, summary.insurance
    keepers, withdrawals, markets = summary.keepers, summary.withdrawals, summary.markets.values()
    settled = sum(market.funding.settlements for market in markets)
    flips = sum(market.funding.flips for market in markets)
    halted = max((market.halted for market in markets), default=0.0)
    gap = max((market.oracle_gap for market in markets), default=0.0)
    starved = liquidations.failures.get("no_liquidity", 0)
    exhausted = liquidations.failures.get("fund_exhausted", 0)
    closed = f"{plural(liquidations.count, 'transaction')} closed positions of {plural(liquidations.accounts, 'account')}"
    against = f"{plural(deleveraging.count, 'closing')} against {plural(deleveraging.counterparties, 'counterparty', 'counterparties')}"
    sent = f"{count(keepers.succeeded)} liquidations by {plural(keepers.keepers, 'keeper')}, {count(keepers.failed)} attempts in vain"
    rows: tuple[tuple[str, float, str, str], ...] = (
        ("oracle lag", gap > SMALL_GAP, f"the oracle was up to {percent(gap)} away from the index", "the oracle followed closely"),
        ("liquidation", liquidations.count, closed, "no account was liquidated"),
        (
            "liquidation into an empty book",
            starved,
            f"{plural(starved, 'attempt')} found nobody within the price limit",
            "every liquidation found somebody",
        ),
        (
            "insurance fund pays",
            fund.payments,
            f"{plural(fund.payments, 'time')}, {usd(fund.paid)} for losses below bankruptcy",
            "no liquidation cost the fund anything",
        ),
        (
            "insurance fund exhausted",
            exhausted,
            f"{plural(exhausted, 'attempt')} failed because the fund could not cover the loss",
            "the fund could cover every loss",
        ),
        (
            "deleveraging",
            deleveraging.count,
            f"{against}, {usd(deleveraging.notional)}",
            "no position was closed against a trader's will",
        ),
        (
            "bad debt",
            fund.debt_highest,
            f"up to {usd(fund.debt_highest)}, {usd(fund.debt_end)} at the end",
            "no account was left below zero",
        ),
        ("socialised loss", fund.socialised, f"{usd(fund.socialised)} taken from everybody", "no loss was shared out"),
        ("withdrawal gate", withdrawals.blocked, f"shut for {duration(withdrawals.blocked)}", "withdrawals were never blocked"),
        ("trading halt", halted, f"a market stood still for {duration(halted)}", "trading was never halted"),
        ("keepers", keepers.succeeded + keepers.failed, sent, "no keeper sent a liquidation"),
        ("funding", settled, f"{plural(settled, 'settlement')} in {plural(len(markets), 'market')}", "no funding was settled"),
        ("funding flip", flips, f"the rate changed sign {plural(flips, 'time')}", "the rate never changed sign"),
    )
    return tuple(
        Mechanism(name=name, exercised=acted > 0, finding=found if acted > 0 else f"{absent}: not tested")
        for name, acted, found, absent in rows
    )
