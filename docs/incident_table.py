"""Writes the table of docs/incidents.md from stored sweeps: `python docs/incident_table.py FOLDER`.

FOLDER holds one sweep per incident under the name of its file: `abm sweep experiments/incidents/NAME.toml --out FOLDER/NAME`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from abm.lab.sweep_store import StoredSweep, open_sweep

PAGE = Path(__file__).with_name("incidents.md")
BEGIN, END = "<!-- incidents:begin -->", "<!-- incidents:end -->"
MILLION = 1e6
AS_IT_WAS = "as_it_was"


@dataclass(frozen=True)
class Incident:
    """What was published of an incident, and where the same number stands in its sweep."""

    what: str
    historical: float
    """What was lost, as published, in `unit`."""
    about: str
    """Who lost it, and in which words it was published."""
    outcome: str
    sign: int
    """-1 where the outcome is a profit, so that a loss is positive."""
    guard: str
    """Variant with the guard."""
    rule: str
    determined: bool
    """Whether the published figures determine the loss; otherwise something was chosen for it."""
    unit: str = "USD"
    """USD, or a fraction."""
    scale: float = 1.0
    """Size of the simulated venue, as a fraction of the real one's."""


INCIDENTS = {
    "two_price_sources_2019": Incident(
        "one of two price sources wrong by 1000, Synthetix, 25 June 2019", 1000 * MILLION, "paper profit, “over $1b”", "profit.pool", -1,
        "median_of_three", "median of three sources", False,
    ),
    "black_thursday_2020": Incident(
        "twenty million of bids, BitMEX, 12 to 13 March 2020", 0.1, "below the outside price: 3,600 against 4,000",
        "liquidation_discount_largest", 1, "price_band", "nothing trades more than 1.5 % from the outside price", False, "fraction",
    ),
    "auctions_without_bids_2020": Incident(
        "nobody comes to liquidate, MakerDAO, 12 to 13 March 2020", 1462 / 3994, "of 3,994 auctions without a bid", "zero_bid_share", 1,
        "reward_covers_gas", "a reward that covers gas", False, "fraction",
    ),
    "unsettled_profit_2022": Incident(
        "profits paid before losses were, Drift v1, 11 May 2022", 14.55 * MILLION, "owed to traders and not there", "bad_debt", 1,
        "losses_first", "losses first: profits count when realised, what losers lack is spread", False,
    ),
    "price_floor_2022": Incident(
        "a feed stopped at its floor, Venus, 12 May 2022", 11.2 * MILLION, "the lending pool; others count 13.5 M", "profit.pool", -1,
        "freshness", "no new risk on a price older than 5 minutes", True,
    ),
    "virtual_amm_2022": Incident(
        "one position on a virtual AMM, Perp v1, 15 May 2022", 5.7 * MILLION, "users and fund, “exceeding $5.7m”", "bad_debt", 1,
        "capped", "cap of 1 M on open interest", False,
    ),
    "zero_impact_pool_2022": Incident(
        "no price impact over a thin spot, GMX v1, 18 Sep 2022", 0.565 * MILLION, "the pool, “~$565k”", "profit.pool", -1,
        "impact_of_the_outside_book", "price impact as of the outside book", False,
    ),
    "oracle_pump_2022": Incident(
        "paper profit of a pumped coin, Mango, 11 Oct 2022", 116 * MILLION, "depositors, withdrawn", "bad_debt", 1,
        "profit_does_not_count", "unrealised profit is no collateral", True,
    ),
    "concentrated_interest_2023": Incident(
        "pyramid of most of the open interest, dYdX v3 YFI, 17 Nov 2023", 9 * MILLION, "the insurance fund", "fund_paid", 1,
        "margin_by_open_interest", "initial margin rises with open interest", False,
    ),
    "whale_into_the_vault_2025": Incident(
        "margin withdrawn before liquidation, Hyperliquid ETH, 12 Mar 2025", 4 * MILLION, "the vault", "profit.vault", -1,
        "withdrawal_floor", "10 % of notional stays", False,
    ),
    "thin_coin_squeeze_2025": Incident(
        "a short in a thin coin inherited, Hyperliquid JELLY, 26 Mar 2025", 12 * MILLION, "the vault, unrealised", "profit.vault", -1,
        "open_interest_cap", "cap of 0.5 M on open interest", True,
    ),
    "deleveraging_2025": Incident(
        "winners closed within a minute, Hyperliquid, 10 Oct 2025", 2103 * MILLION, "positions closed by deleveraging", "deleveraged", 1,
        "half_the_leverage", "half the leverage", False, scale=0.01,
    ),
    "chain_halt_2025": Incident(
        "a chain restarts on stale prices, dYdX, 10 Oct 2025", 0.462 * MILLION, "27 longs, compensated", "profit.longs", -1,
        "waits_for_a_fresh_price", "no trade before a price from after the restart", False,
    ),
}  # fmt: skip


def loss(runs: pl.DataFrame, incident: Incident, variant: str) -> float:
    """What is lost in a variant, mean over the seeds, at the size of the real venue."""
    mean = runs.filter(pl.col("variant") == variant)[incident.outcome].mean()
    assert isinstance(mean, float)
    return incident.sign * mean / incident.scale + 0.0


def removed(runs: pl.DataFrame, incident: Incident) -> float:
    """Fraction of the loss that the guard removes; a gain counts as no loss."""
    return 1.0 - max(loss(runs, incident, incident.guard), 0.0) / loss(runs, incident, AS_IT_WAS)


def row(name: str, stored: StoredSweep) -> str:
    """One line of the table."""
    incident, runs = INCIDENTS[name], stored.runs.collect()
    found = loss(runs, incident, AS_IT_WAS)
    cells = (
        incident.what, f"{_amount(incident.historical, incident)} ({incident.about})", _amount(found, incident),
        f"{found / incident.historical - 1.0:+.0%}", "figures" if incident.determined else "chosen",
        incident.rule, f"{removed(runs, incident):.0%}",
        f"[{name}.toml](../experiments/incidents/{name}.toml)",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _amount(amount: float, incident: Incident) -> str:
    if incident.unit == "fraction":
        return f"{100.0 * amount:.3g} %"
    return f"{amount / MILLION:,.3g} M" if amount < 100 * MILLION else f"{amount / MILLION:,.0f} M"


def with_rows(page: str, rows: list[str]) -> str:
    """`page` with the rows between the marks."""
    before, rest = page.split(BEGIN)
    head = "| incident | lost (M: million USD) | simulated | differs by | size from | guard | removes | file |"
    line = "| --- | --- | ---: | ---: | --- | --- | ---: | --- |"
    return "\n".join([before + BEGIN, head, line, *rows, END + rest.split(END)[1]])


def main(folder: Path) -> None:
    """Writes the table from the sweeps in `folder`."""
    rows = [row(name, open_sweep(folder / name)) for name in INCIDENTS]
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
