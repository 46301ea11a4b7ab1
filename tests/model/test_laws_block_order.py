"""The order of a block: what stands in `PerpModel.step` is what happens, and what `docs/the-block.md` says."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from abm.agents.base import Group, Recruits, Strategy, View
from abm.agents.passive import FixedSlippage
from abm.kernels.transactions import submit_spot_order
from abm.mechanisms.deleveraging import RandomDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.funding import ClampedPremiumFunding
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.mark import LastTradeMark
from abm.mechanisms.oracle import MedianOracle
from abm.model import PerpModel
from abm.worlds.spot import Spot
from tests.model.small_worlds import EVERY_BLOCK, Idle, Script, listing, makers, path, plain_venue, scripted

STORY = [
    "move_world", "publish_oracle", "update_mark", "settle_funding", "assess", "collect_orders", "sequence", "clear",
    "absorb_losses", "record",
]  # fmt: skip
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "the-block.md"


def test_the_code_the_document_and_the_run_agree() -> None:
    """The calls in the source of `step`, the rows of the document's table, its headings, and the calls of a running model."""
    source = ast.parse(textwrap.dedent(inspect.getsource(PerpModel.step)))
    calls = [node.value.func for node in ast.walk(source) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    assert [call.attr for call in calls if isinstance(call, ast.Attribute)] == STORY
    document = DOCUMENT.read_text(encoding="utf-8")
    assert re.findall(r"^\| \d+ \| `(\w+)` \|", document, re.MULTILINE) == STORY
    assert re.findall(r"^### \d+\. `(\w+)`", document, re.MULTILINE) == STORY

    called: list[str] = []

    def watched(name: str) -> Callable[[PerpModel], None]:
        def call(model: PerpModel) -> None:
            called.append(name)
            getattr(PerpModel, name)(model)

        return call

    model_class = type("WatchedModel", (PerpModel,), {name: watched(name) for name in STORY})
    model = model_class(plain_venue(), path(1000.0), [Group(name="idle", strategy=Idle(), members=1)], blocks=3)
    model.run()
    assert called == STORY * 3


@dataclass(frozen=True, kw_only=True)
class Eyes(Strategy):
    """Keeps what it sees."""

    def init(self, recruits: Recruits) -> list[dict[str, float]]:
        return []

    def decide(self, view: View, memory: list[dict[str, float]]) -> None:
        row = view.state.markets[0]
        seen = {what: view.price(0, what) for what in ("index", "oracle", "mark")}  # type: ignore[arg-type]
        memory.append({**seen, "bid": float(row["best_bid"] * row["tick"]), "ask": float(row["best_ask"] * row["tick"])})


def test_agents_see_the_prices_of_this_block_and_the_book_of_the_last() -> None:
    prices = (1000.0, 1010.0, 990.0, 1005.0, 1005.0)
    book = makers(FixedSlippage(slippage=0.01, notional=1e4))
    eyes = Group(name="eyes", strategy=Eyes(), members=1)
    venue = plain_venue(listing(tick=0.1), oracle=MedianOracle(lag_blocks=1, sources=1, min_change=0.0))
    for population in ([book, eyes], [eyes, book]):  # whoever decides first, nobody sees the decisions of this block
        model = PerpModel(venue, path(*prices), population, blocks=len(prices), check=True).run()
        seen = model.cohorts[population.index(eyes)].memory
        assert [row["index"] for row in seen] == list(prices)
        assert [row["oracle"] for row in seen] == [prices[0], *prices[:-1]]
        assert [row["mark"] for row in seen] == [prices[0], *prices[:-1]]
        assert [row["bid"] for row in seen[1:]] == pytest.approx([price * 0.99 for price in prices[:-1]], abs=0.1)
        assert [row["ask"] for row in seen[1:]] == pytest.approx([price * 1.01 for price in prices[:-1]], abs=0.1)


def test_the_mark_listens_to_the_book_of_the_last_block() -> None:
    """A trade in block 2 moves the mark in block 3."""
    people = [
        (1e5, {0: lambda trader: trader.buy("BTC", 1.0, 950.0)}),
        (1e5, {2: lambda trader: trader.sell("BTC", 0.5)}),
    ]
    model, _ = scripted(plain_venue(mark=LastTradeMark()), path(1000.0), people, 5)
    marks = []
    for _ in range(5):
        model.step()
        marks.append(float(model.state.markets["mark"][0]))
    assert marks == [1000.0, 1000.0, 1000.0, 950.0, 950.0]


@pytest.mark.parametrize("latency", [0, 1, 4])
def test_a_decision_arrives_after_its_latency_and_trades_in_that_block(latency: int) -> None:
    population = [makers(FixedSlippage(priority_fee=1.0))]
    model = PerpModel(plain_venue(), path(1000.0), population, blocks=10, spare_accounts=1, check=True)
    Script(model, 1e5, {3: lambda trader: trader.buy("BTC", 1.0)}, latency=latency)
    model.run()
    assert model.frames()["fills"]["block"].to_list() == [3 + latency]


@pytest.mark.parametrize(("lifetime", "filled"), [(2, False), (3, True)])
def test_an_order_ends_before_anybody_trades_in_the_block_it_expires_in(lifetime: int, filled: bool) -> None:
    def rest(trader: Script) -> None:
        trader.buy("BTC", 1.0, 990.0, blocks=lifetime)  # type: ignore[arg-type]

    people = [(1e5, {1: rest}), (1e5, {3: lambda trader: trader.sell("BTC", 1.0)})]
    model, (first, _) = scripted(plain_venue(), path(1000.0), people, 5)
    model.run()
    assert (first.position("BTC") == 1.0) is filled


def test_a_stop_triggers_on_the_price_of_this_block_and_trades_in_it() -> None:
    def stop(trader: Script) -> None:
        trader.buy("BTC", 1.0)
        trader._orders.conditional(trader._mine, 0, -1, 1.0, 960.0, above=False)

    model, (trader,) = scripted(
        plain_venue(), path(1000.0, 970.0, 961.0, 959.0, 900.0), [(1e4, {0: stop})], 5, [makers(FixedSlippage(priority_fee=1.0))]
    )
    model.run()
    fills = model.frames()["fills"]
    assert fills["block"].to_list() == [0, 3]
    assert fills["price"].to_list() == pytest.approx([1000.0, 959.0], abs=0.02)
    assert trader.position("BTC") == 0.0


def test_funding_settles_before_accounts_are_valued() -> None:
    """A funding payment in block 10 alone brings the account below maintenance margin, in block 10."""
    funding = ClampedPremiumFunding(sample_seconds=10.0, settlement_seconds=10.0, rate_seconds=10.0, interest=0.02, band=0.03)
    people = [(1_060.0, {0: lambda trader: trader.buy("BTC", 10.0)})]
    venue = plain_venue(funding=funding, margin=FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.9))
    model, (trader,) = scripted(venue, path(1000.0), people, 12, [makers(FixedSlippage(priority_fee=1.0))])
    model.run()
    liquidations = model.frames()["liquidations"].filter(pl.col("account") == trader.row)
    assert liquidations.select("trigger_block", "submitted_block", "block").rows()[0] == (10, 10, 10)
    assert float(trader.account["funding"]) == pytest.approx(-200.0)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_liquidation_is_sent_after_its_lag_and_executed_in_the_same_block(lag: int) -> None:
    venue = plain_venue(enforcement=ProtocolEnforcement(lag_blocks=lag))
    people = [(1_000.0, {0: lambda trader: trader.buy("BTC", 10.0)})]
    model, _ = scripted(venue, path(1000.0, 1000.0, 925.0), people, 8, [makers(FixedSlippage(priority_fee=1.0))])
    model.run()
    row = model.frames()["liquidations"].select("trigger_block", "submitted_block", "block").rows()[0]
    assert row == (2, 2 + lag, 2 + lag)


def test_what_clearing_could_not_close_is_deleveraged_in_the_same_block() -> None:
    people = [
        (1_000.0, {0: lambda trader: trader.buy("BTC", 10.0, 1000.0)}),
        (1e5, {0: lambda trader: trader.sell("BTC", 10.0, 1000.0)}),
    ]
    model, (long, short) = scripted(plain_venue(deleveraging=RandomDeleveraging()), path(1000.0, 1000.0, 850.0), people, 4)
    model.run()
    frames = model.frames()
    assert frames["liquidations"].select("block", "result").rows() == [(2, "no_liquidity")]
    assert frames["deleveragings"]["block"].to_list() == [2]
    assert (long.position("BTC"), short.position("BTC")) == (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class SpotBuyer(Strategy):
    """Buys one coin on the outside market in block 1."""

    def decide(self, view: View, memory: None) -> None:
        if view.block == 1:
            submit_outside(view)


def submit_outside(view: View) -> None:
    """One coin for the first account, through the function that the built-in strategies call."""
    submit_spot_order(view.state.venue.view(np.recarray), view.state.spot_orders.view(np.recarray), int(view.rows[0]), 0, 1.0)


def test_outside_orders_are_executed_when_the_next_block_begins_at_the_old_index() -> None:
    group = Group(name="buyer", strategy=SpotBuyer(), members=1)
    model = PerpModel(
        plain_venue(),
        path(1000.0, 1100.0, 1200.0),
        [group],
        blocks=3,
        spot=Spot(fee=0.01, financing_rate=0.0),
        recording=EVERY_BLOCK,
    )
    model.run(2)
    assert float(model.state.outside["size"][0, 0]) == 0.0
    model.run(1)
    assert float(model.state.outside["size"][0, 0]) == 1.0
    assert float(model.state.outside["cash"][0, 0]) == pytest.approx(-1100.0 * 1.01)
