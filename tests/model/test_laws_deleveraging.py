"""Laws of deleveraging: what a bankrupt account owes is what the others lose, and who they are.

Sources: dYdX v4 `protocol/x/clob/keeper/deleveraging.go` (random counterparties at the bankruptcy price); BitMEX and Hyperliquid
documentation, auto-deleveraging (queue by profit and leverage); Chitra et al., "Autodeleveraging" (2025), for pro rata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from abm.mechanisms.deleveraging import Deleveraging, NoDeleveraging, ProRataDeleveraging, RandomDeleveraging, RankedDeleveraging
from abm.mechanisms.margin import FlatMargin
from tests.model.small_worlds import EXACT, Script, listing, path, plain_venue, scripted

RULES = {
    "random": RandomDeleveraging(),
    "profit leverage": RankedDeleveraging(rank="profit leverage"),
    "mark to entry": RankedDeleveraging(rank="mark to entry"),
    "pro rata by profit": ProRataDeleveraging(weight="profit"),
    "pro rata by size": ProRataDeleveraging(weight="size"),
}
LOT = 1e-10  # so fine that whole lots do not show at 1e-9
FALL = 0.2
LEVERAGE = 10.0
# (price of entry, coins, USD of capital) of those who take the other side, one after another
OTHERS = [(1000.0, 3.0, 1_500.0), (1004.0, 1.0, 4_000.0), (996.0, 2.5, 600.0), (1002.0, 1.5, 3_000.0), (1000.0, 2.0, 450.0)]


class Outcome(NamedTuple):
    """What is left after the price has moved against a levered trader and nobody quotes any more."""

    debtor: Script
    others: list[Script]
    solvent: Script  # on the debtor's side
    bystander: Script  # without a position
    before: dict[int, tuple[float, float, float]]  # equity, coins and entry value of every trader by row, before deleveraging
    rows: pl.DataFrame  # deleveragings
    price: float  # mark


def trade(side: int, size: float, price: float) -> Callable[[Script], None]:
    return lambda trader: (trader.buy if side > 0 else trader.sell)("BTC", size, price)


def crash(rule: Deleveraging, side: int = 1, owed: float = 6.0, seed: int = 0) -> Outcome:
    """A trader with `owed` coins at ten times leverage on `side`, and a solvent one with the rest, face the OTHERS."""
    prices = [price for price, _, _ in OTHERS]
    total = sum(size for _, size, _ in OTHERS)
    final = 1000.0 * (1.0 - side * FALL)
    share = owed / total

    def enters(part: float) -> dict[int, Callable[[Script], None]]:
        return {block: trade(side, part * size, price) for block, (price, size, _) in enumerate(OTHERS)}

    traders: list[tuple[float, Any]] = [(1000.0 * owed / LEVERAGE, enters(share)), (1e6, enters(1.0 - share)), (1e6, {})]
    traders += [(capital, {block: trade(-side, size, price)}) for block, (price, size, capital) in enumerate(OTHERS)]
    venue = plain_venue(
        listing(lot=LOT, tick=0.1),
        deleveraging=rule,
        margin=FlatMargin(initial_margin_fraction=0.01, maintenance_fraction_of_initial=0.5),
    )
    model, (debtor, solvent, bystander, *others) = scripted(venue, path(*prices, prices[-1], final), traders, len(prices) + 2, seed=seed)
    model.run(len(prices) + 1)
    assert debtor.position("BTC") == pytest.approx(side * owed)
    positions, accounts = model.state.positions, model.state.accounts
    before = {
        row: (
            float(accounts["collateral"][row] + positions["lots"][row, 0] * LOT * final),
            float(positions["lots"][row, 0]) * LOT,
            float(positions["entry_value"][row, 0]),
        )
        for row in range(len(accounts))
    }
    model.run()
    return Outcome(debtor, others, solvent, bystander, before, model.frames()["deleveragings"], final)


@pytest.mark.parametrize("side", [1, -1], ids=["longs", "shorts"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_haircuts_add_up_to_the_deficit(rule: Deleveraging, side: int) -> None:
    """Haircuts add up to the deficit, to 1e-9; nobody without a position on the other side pays, and the account ends at zero."""
    outcome = crash(rule, side)
    deficit = -outcome.before[outcome.debtor.row][0]
    assert deficit > 100.0
    assert outcome.rows["haircut"].sum() == pytest.approx(deficit, rel=EXACT)
    assert (outcome.rows["haircut"] > 0.0).all()
    assert sum(float(other.account["deleveraging"]) for other in outcome.others) == pytest.approx(-deficit, rel=EXACT)
    assert outcome.debtor.position("BTC") == 0.0
    assert float(outcome.debtor.account["collateral"]) == pytest.approx(0.0, abs=EXACT * deficit)
    assert set(outcome.rows["counterparty"]) <= {other.row for other in outcome.others}
    for trader in (outcome.solvent, outcome.bystander):
        equity, coins, _ = outcome.before[trader.row]
        assert trader.position("BTC") == pytest.approx(coins, rel=EXACT)
        assert float(trader.account["collateral"]) == pytest.approx(equity - coins * outcome.price, rel=EXACT)
        assert trader.account["deleveraging"] == 0.0


@pytest.mark.parametrize("side", [1, -1], ids=["longs", "shorts"])
@pytest.mark.parametrize("weight", ["profit", "size"])
def test_pro_rata_haircuts_are_proportional(weight: Any, side: int) -> None:
    """Everybody's haircut over everybody's weight (unrealised profit, or size) is the same number, to 1e-9."""
    outcome = crash(ProRataDeleveraging(weight=weight), side)
    haircuts = outcome.rows.group_by("counterparty").agg(pl.col("haircut").sum()).sort("counterparty")["haircut"].to_numpy()
    weights = []
    for other in outcome.others:
        _, coins, entry_value = outcome.before[other.row]
        weights.append(coins * outcome.price - entry_value if weight == "profit" else abs(coins))
    ratios = haircuts / np.array(weights)
    assert len(haircuts) == len(OTHERS)
    assert ratios == pytest.approx(np.full(len(OTHERS), ratios.mean()), rel=EXACT)


@pytest.mark.parametrize("side", [1, -1], ids=["longs", "shorts"])
@pytest.mark.parametrize("rank", ["profit leverage", "mark to entry"])
@pytest.mark.parametrize("owed", [1.0, 4.0, 6.0, 9.0])
def test_a_queue_empties_the_top_first(rank: Any, side: int, owed: float) -> None:
    """Counterparties come in falling order of their score, each closed completely before the next, and the rest is untouched."""
    outcome = crash(RankedDeleveraging(rank=rank), side, owed)
    scores = {}
    for other in outcome.others:
        equity, coins, entry_value = outcome.before[other.row]
        entry = entry_value / coins
        leverage = abs(coins) * outcome.price / equity
        gain = (outcome.price - entry) / entry * (1 if coins > 0 else -1)
        ratio = outcome.price / entry if coins > 0 else entry / outcome.price
        scores[other.row] = gain * leverage if rank == "profit leverage" else ratio * leverage
    queue = sorted(scores, key=lambda row: -scores[row])
    called = outcome.rows["counterparty"].to_list()
    assert called == queue[: len(called)]
    sizes = dict(zip(called, outcome.rows["size"].to_list(), strict=True))
    for row in called[:-1]:
        assert sizes[row] == pytest.approx(abs(outcome.before[row][1]), rel=EXACT)
    assert sum(sizes.values()) == pytest.approx(owed, rel=EXACT)
    left = {other.row: abs(other.position("BTC")) for other in outcome.others}
    for row in queue[len(called) :]:
        assert left[row] == pytest.approx(abs(outcome.before[row][1]), rel=EXACT)


def test_random_counterparties_are_drawn_among_those_on_the_other_side() -> None:
    """Each of the five is first in about a fifth of the runs, whatever its profit: chi-square below its 99.9 % point."""
    runs = 150
    rows = [other.row for other in crash(RandomDeleveraging()).others]
    first = [crash(RandomDeleveraging(), seed=seed).rows["counterparty"][0] for seed in range(runs)]
    counts = np.array([first.count(row) for row in rows])
    assert counts.sum() == runs
    assert ((counts - runs / 5) ** 2 / (runs / 5)).sum() < 18.47


def test_without_deleveraging_the_deficit_stays_as_bad_debt() -> None:
    outcome = crash(NoDeleveraging())
    deficit = -outcome.before[outcome.debtor.row][0]
    assert outcome.rows.is_empty()
    assert outcome.debtor.position("BTC") == pytest.approx(6.0)
    assert float(outcome.debtor.state.funds["bad_debt"][0]) == pytest.approx(deficit, rel=EXACT)
