"""What happened in a run, as numbers with units and definitions, from its tables alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from abm.lab.aggregates import total
from abm.lab.episodes import closing, venue_move
from abm.lab.exercised import Mechanism, mechanisms
from abm.lab.market_summary import MarketSummary, market_summaries
from abm.lab.profit import MEANING, PARTS, final_wealth_changes
from abm.lab.quantities import flat, quantity
from abm.lab.venue_summary import (
    CascadeSummary,
    DeleveragingSummary,
    InsuranceSummary,
    KeeperSummary,
    LiquidationSummary,
    WithdrawalSummary,
    summarise_cascades,
    summarise_deleveraging,
    summarise_insurance,
    summarise_keepers,
    summarise_liquidations,
    summarise_withdrawals,
)

_parts = {name: quantity("USD", MEANING[name]) for name in PARTS}


@dataclass(frozen=True, kw_only=True)
class CohortSummary:
    """One cohort: what it put in, what became of it and why. The parts from price to rewards add up to the total."""

    deposits: float = quantity("USD", "paid into the venue less paid out, money in pools included")
    equity: float = quantity("USD", "on the venue at the last look: collateral, positions at mark and shares of pools")
    total: float = quantity("USD", "change of wealth: equity less deposits, with outside positions and gas")
    price: float = _parts["price"]
    fees: float = _parts["fees"]
    funding: float = _parts["funding"]
    liquidation: float = _parts["liquidation"]
    deleveraging: float = _parts["deleveraging"]
    socialised: float = _parts["socialised"]
    outside: float = _parts["outside"]
    gas: float = _parts["gas"]
    rewards: float = _parts["rewards"]
    liquidated_accounts: int = quantity("accounts", "of which something was liquidated")
    liquidated: float = quantity("USD", "of its positions closed by liquidation")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What happened in one run."""

    seconds: float = quantity("seconds", "simulated, up to the last look")
    fees: float = quantity("USD", "of trading fees kept by the venue, net of rebates")
    volume: float = quantity("USD", "traded in all markets")
    liquidations: LiquidationSummary
    cascades: CascadeSummary
    deleveraging: DeleveragingSummary
    insurance: InsuranceSummary
    keepers: KeeperSummary
    withdrawals: WithdrawalSummary
    markets: dict[str, MarketSummary]
    cohorts: dict[str, CohortSummary]

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """What the run put to the test."""
        return mechanisms(self)

    def flat(self) -> dict[str, Any]:
        """Every number under its dotted name, such as markets.BTC.index_move."""
        return {name: value for name, value, _, _ in flat(self)}

    def plain(self) -> dict[str, Any]:
        """As JSON holds it: the numbers, which mechanisms were exercised, and the unit and definition of each number."""
        numbers = {name: (unit, about) for name, _, unit, about in flat(self)}
        return {
            **dataclasses.asdict(self),
            "mechanisms": [{**dataclasses.asdict(item), "exercised": item.exercised} for item in self.mechanisms],
            "definitions": {name: {"unit": unit, "about": about} for name, (unit, about) in numbers.items()},
        }

    def json(self) -> str:
        """`plain` as text; a number that is not finite is an error."""
        return json.dumps(self.plain(), indent=1, allow_nan=False) + "\n"


def summarise(frames: Mapping[str, pl.DataFrame]) -> Summary:
    """The summary of a record, as `PerpModel.frames` gives it or as a run's folder holds it.

    Raises ValueError when the record holds no look at the markets: nothing happened yet.
    """
    if not frames["markets"].height:
        raise ValueError("the record is empty: run the model for at least one block")
    move = venue_move(frames)
    markets = market_summaries(frames, move)
    return Summary(
        seconds=float(frames["venue"]["seconds"][-1]),
        fees=float(frames["venue"]["fees"][-1]),
        volume=sum(market.volume for market in markets.values()),
        liquidations=summarise_liquidations(frames, move),
        cascades=summarise_cascades(frames),
        deleveraging=summarise_deleveraging(frames),
        insurance=summarise_insurance(frames),
        keepers=summarise_keepers(frames),
        withdrawals=summarise_withdrawals(frames),
        markets=markets,
        cohorts=_cohort_summaries(frames),
    )


def _cohort_summaries(frames: Mapping[str, pl.DataFrame]) -> dict[str, CohortSummary]:
    closed = closing(frames["liquidations"])
    summaries = {}
    for row in final_wealth_changes(frames).iter_rows(named=True):
        mine = closed.filter(pl.col("cohort") == row["cohort"])
        summaries[str(row["cohort"])] = CohortSummary(
            deposits=row["net_deposits"],
            equity=row["equity"],
            total=row["total"],
            liquidated_accounts=mine["account"].n_unique(),
            liquidated=total(mine["notional"]),
            **{name: row[name] for name in PARTS},
        )
    return summaries


def headline(summary: Summary) -> str:
    """The finding of a run in one or two sentences."""
    from abm.lab.wording import duration, percent, plural, usd

    first = next(iter(summary.markets))
    market, liquidations, fund = summary.markets[first], summary.liquidations, summary.insurance
    if market.index_move is None or market.index_move_seconds is None:
        opening = f"{first} did not move"
    else:
        verb = "fell" if market.index_move < 0 else "rose"
        opening = f"{first} {verb} {percent(abs(market.index_move))} in {duration(market.index_move_seconds)}"
    if liquidations.count == 0:
        return f"{opening}; nobody was liquidated."
    share = f" ({percent(liquidations.of_open_interest)} of open interest)" if liquidations.of_open_interest else ""
    text = f"{opening}; {plural(liquidations.accounts, 'account')} lost {usd(liquidations.notional)} of positions "
    text += f"to liquidation{share}."
    if summary.deleveraging.count:
        text += f" {usd(summary.deleveraging.notional)} were deleveraged."
    else:
        text += " Nobody was deleveraged."
    verb = "grew" if fund.end > fund.start else "shrank"
    text += f" The insurance fund {verb} from {usd(fund.start)} to {usd(fund.end)}" if fund.end != fund.start else ""
    if fund.debt_end >= 1.0:
        text += f", and {usd(fund.debt_end)} of debt are left"
    return text.rstrip(".") + "."
