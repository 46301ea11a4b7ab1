"""Two venues side by side: what they share, what they do not, and what arbitrage between them does and costs."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

import abm
from abm.agents.base import Group, Strategy, View
from abm.agents.cross_venue import CrossVenueArbitrageurs
from abm.agents.liquidity_providers import LiquidityProviders
from abm.agents.passive import FixedSlippage, SteadyDepth
from abm.agents.takers import Takers
from abm.invariants import InvariantError
from abm.kernels.transactions import submit_spot_order
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.mark import MedianMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.oracle_pool import OraclePool
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.parameters import ParameterError
from abm.venue_pair import BESIDE, VenuePair
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from abm.worlds.spot import Spot
from abm.worlds.world import World
from tests.model.small_worlds import EVERY_BLOCK, SMALL, Script, frames_equal, listing, makers, path, plain_diffusion, plain_venue

ROOT = Path(__file__).resolve().parents[2]
CRASH = Diffusion(crashes=(Crash(start=60.0, duration=120.0, depth=0.15),))


def people(prefix: str = "") -> list[Group]:
    """Makers and takers of a book."""
    return [
        Group(name=f"{prefix}makers", strategy=LiquidityProviders(), members=8, capital=100_000.0),
        Group(name=f"{prefix}takers", strategy=Takers(idle_seconds=60.0), members=60, capital=3_000.0),
    ]


def arbitrageurs(members: int = 6, capital: float = 20_000.0, **changes: Any) -> Group:
    """Members with an account on each venue."""
    return Group(name="across", strategy=CrossVenueArbitrageurs(**changes), members=members, capital=capital)


def market_pair(**options: Any) -> VenuePair:
    """A DEX beside a fast exchange in a crash, with arbitrage between them that moves its margin."""
    settings: dict[str, Any] = {"blocks": 400, "seed": 3, "check": True, "spot": Spot(depth=3e6), "recording": EVERY_BLOCK, **options}
    venues = replace(PRESETS["dydx_v4"](), seconds_per_block=1.0), PRESETS["binance_like"]()
    across = [
        arbitrageurs(
            capital=2_000.0, least_share=0.48, transfer_seconds=5.0, look_seconds=1.0, exit_share=0.0, edge=0.0, order_notional=4_000.0
        )
    ]
    return VenuePair(venues, CRASH, (people(), people("fast ")), across, **settings)


def quiet_pair(
    worlds: World, strategies: tuple[Sequence[Group], Sequence[Group]], across: Sequence[Group] = (),
    venues: tuple[Venue, Venue] | None = None, **options: Any,
) -> VenuePair:  # fmt: skip
    """Two frictionless venues, checked and recorded in every block."""
    settings: dict[str, Any] = {"capacity": SMALL, "recording": EVERY_BLOCK, "check": True, **options}
    return VenuePair(venues or (plain_venue(), plain_venue()), worlds, strategies, across, **settings)


def test_without_a_connection_each_venue_does_what_it_does_alone():
    venues = replace(PRESETS["hyperliquid"](), seconds_per_block=1.0), PRESETS["binance_like"]()
    populations = people(), people("fast ")
    pair = VenuePair(venues, CRASH, populations, blocks=300, seed=3, recording=EVERY_BLOCK).run()
    for model, venue, population in zip(pair.models, venues, populations, strict=True):
        alone = PerpModel(venue, CRASH, population, blocks=300, seed=3, recording=EVERY_BLOCK).run().frames()
        assert alone["fills"].height > 0
        assert frames_equal(model.frames(), alone) == []


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, again, other = (market_pair(seed=seed, blocks=150).run().frames() for seed in (3, 3, 4))
    assert frames_equal(first, again) == []
    assert frames_equal(first, other) != []
    assert {name.removeprefix(BESIDE) for name in first} == {name for name in first if not name.startswith(BESIDE)}


def test_plain_python_computes_the_same():
    code = (
        "from tests.model.test_venue_pair import market_pair\n"
        "for name, frame in sorted(market_pair(blocks=25).run().frames().items()):\n"
        "    print(name, frame.height, *[repr(frame[c].sum()) for c in frame.columns if frame[c].dtype.is_float()])\n"
    )
    results = []
    for setting in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": setting, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
        environment.pop("NUMBA_BOUNDSCHECK", None)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
        results.append(done.stdout)
    assert results[0] == results[1]


def test_both_venues_push_one_price():
    """An outside order from either venue moves the index of both, by the same factor as on a single venue of that depth."""

    def indices(from_first: float, from_second: float) -> list[float]:
        pair = quiet_pair(path(1000.0), ([], []), blocks=3, spot=Spot(depth=1e5, half_life_seconds=1e9), spare_accounts=1)
        for model, size in zip(pair.models, (from_first, from_second), strict=True):
            Script(model, 1e6, {0: lambda trader, size=size: send_outside(trader, size)})  # type: ignore[misc]
        pair.run()
        return [float(model.state.markets["index"][0]) for model in pair.models]

    for from_first, from_second in ((300.0, 0.0), (0.0, 300.0), (100.0, 200.0)):
        pushed = indices(from_first, from_second)
        assert pushed[0] == pushed[1] == pytest.approx(1000.0 * math.exp(300.0 * 1000.0 / (100.0 * 1e5)), rel=1e-6)


def send_outside(trader: Script, size: float) -> None:
    """Buys on the outside market."""
    submit_spot_order(trader.state.venue, trader.state.spot_orders, trader.row, 0, size)


def test_money_moves_between_venues_and_none_is_made():
    pair = market_pair()
    brought = 6 * 2 * 2_000.0
    deposits: list[tuple[float, float]] = []
    for _ in range(pair.blocks):
        pair.step()  # conservation on each venue and between them is checked
        rows = [model.state.accounts[model.cohorts[-1].rows]["net_deposits"].sum() for model in pair.models]
        deposits.append((float(rows[0]), float(rows[1])))
    table = np.array(deposits)
    total = table.sum(axis=1)
    assert (total <= brought * (1 + 1e-12)).all()
    assert (total < brought - 1.0).any()  # some of it was under way
    assert (np.diff(table, axis=0) > 1.0).any()  # and arrived
    assert table.max() > brought / 2 + 1.0
    positions = [model.state.positions["lots"][model.cohorts[-1].rows] * model.state.markets["lot"] for model in pair.models]
    assert np.abs(positions).sum() > 0.0


def test_money_from_nowhere_is_found():
    pair = market_pair(blocks=5)
    pair.step()
    state = pair.models[1].state
    row = pair.models[1].cohorts[-1].rows[0]
    for table, field in ((state.accounts[row : row + 1], "collateral"), (state.accounts[row : row + 1], "net_deposits")):
        table[field] += 500.0
    state.venue["net_deposits"] += 500.0  # each venue by itself is in order
    with pytest.raises(InvariantError, match=r"paid in on both venues.*cohort across"):
        pair.run()


@pytest.mark.parametrize("margin", ["cross", "isolated"])
def test_every_kind_of_account_trades_across_in_a_crash(margin: Literal["cross", "isolated"]):
    """Three markets, latencies of their own, liquidations: conservation is checked in every block, and pairs offset each other."""
    crossing = CrossVenueArbitrageurs(leverage=12.0, least_share=0.45, transfer_seconds=10.0, look_seconds=1.0, edge=0.0, exit_share=0.0)
    group = Group(name="across", strategy=crossing, members=5, capital=3_000.0, margin=margin, latency=abm.Uniform(low=0.0, high=2.0))
    venues = replace(PRESETS["dydx_v4"](), seconds_per_block=1.0), PRESETS["binance_like"]()
    pair = VenuePair(venues, CRASH, (people(), people("fast ")), [group], blocks=300, seed=5, check=True, spot=Spot(depth=3e6)).run()
    cohorts = [model.cohorts[-1] for model in pair.models]
    held = [
        sum(cohort.state.positions["lots"][row] * cohort.state.markets["lot"] for row in range(cohort.accounts_from, cohort.accounts_to))
        for cohort in cohorts
    ]
    fills = pair.frames()
    assert all((fills[f"{prefix}fills"]["taker_cohort"] == "across").sum() > 20 for prefix in ("", BESIDE))
    traded = sum(fills["fills"].filter(pl.col("taker_cohort") == "across")["size"])
    assert np.abs(held[0] + held[1]).sum() < 0.05 * traded


Ladder = Callable[[Script], None]


def ladder(middle: float, half_spread: float, step: float = 0.05, levels: int = 400, size: float = 0.5) -> Ladder:
    """Resting orders on both sides of `middle`, `size` coins every `step` USD."""

    def quote(trader: Script) -> None:
        for level in range(levels):
            for side in (1, -1):
                trader._order("BTC", side, size, middle - side * (half_spread + level * step))

    return quote


@pytest.mark.parametrize(("fee", "half_spread", "apart"), [(0.0, 0.1, 10.0), (0.0005, 0.05, 8.0), (0.001, 0.5, -12.0), (0.002, 0.2, 3.0)])
def test_arbitrage_without_limits_keeps_the_gap_within_fees_and_half_spreads(fee: float, half_spread: float, apart: float):
    """Mid gap <= fees of both legs + half-spreads, and arbitrage stops there: it goes no further than a level beyond."""
    step = 0.05
    venue = plain_venue(fees=FlatFees(maker=0.0, taker=fee))
    unlimited = arbitrageurs(
        members=1, capital=1e9, edge=0.0, exit_share=0.0, leverage=10.0, order_notional=1e6, reach=0.1, look_seconds=0.001,
        legs_seconds=1.0, funding_hours=0.0,
    )  # fmt: skip
    pair = quiet_pair(path(1000.0), ([], []), [unlimited], (venue, venue), blocks=60, spare_accounts=1)
    for model, middle in zip(pair.models, (1000.0, 1000.0 + apart), strict=True):
        Script(model, 1e9, {0: ladder(middle, half_spread, step)})
    pair.run()
    markets = [model.state.markets[0] for model in pair.models]
    mids = [0.5 * (row["best_bid"] + row["best_ask"]) * row["tick"] for row in markets]
    halves = [0.5 * (row["best_ask"] - row["best_bid"]) * row["tick"] for row in markets]
    allowed = 2.0 * fee * 1000.0 + sum(halves)
    gap = abs(mids[1] - mids[0])
    assert gap <= allowed + 1e-6
    if abs(apart) > 2.0 * (fee * 1000.0 + half_spread):
        assert gap >= allowed - 4.0 * step  # the last pair of levels that paid has been taken, none that did not
        held = [model.state.positions["lots"][model.cohorts[-1].rows[0], 0] for model in pair.models]
        assert held[0] == -held[1] != 0
        assert (held[0] > 0) == (apart > 0)
    else:
        assert gap == pytest.approx(abs(apart))


def stale_edge(lag: int, blocks: int = 40_000) -> tuple[float, float]:
    """A pool with an oracle `lag` blocks late beside a book that follows the index: mean distance of their mids, and mean distance
    between the two legs of pairs that were traded. Fractions, at a volatility of one per square root of a year."""
    pool = OraclePool(initial_liquidity=1e9, negative_impact=0.0, positive_impact=0.0)
    market = listing(tick=0.01, lot=1e-4)
    slow = plain_venue(market, clearing=pool, oracle=MedianOracle(lag_blocks=lag, sources=1, min_change=0.0))
    across = arbitrageurs(
        members=1, capital=1e8, edge=0.0, exit_share=0.0, leverage=5.0, order_notional=1_000.0, look_seconds=0.001, legs_seconds=1.0,
        funding_hours=0.0, least_share=0.0, reach=0.2,
    )  # fmt: skip
    pair = quiet_pair(
        plain_diffusion(volatility=1.0), ([], [makers(FixedSlippage(slippage=1e-6))]), [across], (slow, plain_venue(market)),
        blocks=blocks, seed=11, check=False,
    )  # fmt: skip
    frames = pair.run().frames()
    gap = (frames["markets"]["mid"] / frames["beside_markets"]["mid"] - 1.0).abs().mean()
    legs = [frames[f"{prefix}fills"].filter(pl.col("taker_cohort") == "across").select("block", "side", "price") for prefix in ("", BESIDE)]
    both = legs[0].join(legs[1], on="block", suffix="_beside").filter(pl.col("side") != pl.col("side_beside"))
    assert both.height > blocks / 8
    sign = pl.when(pl.col("side") == "buy").then(1.0).otherwise(-1.0)
    edge = both.select((sign * (pl.col("price_beside") / pl.col("price") - 1.0)).mean()).item()
    return float(gap), float(edge)  # type: ignore[arg-type]


def test_the_edge_on_a_stale_oracle_grows_with_the_root_of_its_lag():
    """A late oracle is off by the move since: E|move| = sqrt(2 / pi) sigma sqrt(lag), and that is what pairs earn. Those that come about
    earn a little more, less so for long lags: small gaps are often gone before both legs are filled."""
    lags = 16, 49, 144
    found = np.array([stale_edge(lag) for lag in lags])
    sigma = 1.0 / math.sqrt(365.0 * 86_400.0)  # per block of a second
    law = math.sqrt(2.0 / math.pi) * sigma * np.sqrt(lags)
    assert found[:, 0] == pytest.approx(law, rel=0.12)
    assert (found[:, 1] > found[:, 0]).all()
    assert (found[:, 1] < 1.35 * law).all()
    gaps, edges = (np.polyfit(np.log(lags), np.log(column), 1)[0] for column in found.T)
    assert gaps == pytest.approx(0.5, abs=0.04)
    assert edges == pytest.approx(0.5, abs=0.08)


def gap_and_profit(**changes: Any) -> tuple[float, float]:
    """Mean distance of the mids in a pair of books of which one stays one percent above the other, and the arbitrageurs' profit."""
    populations = (
        [makers(SteadyDepth(density=50_000.0, reach=0.03, levels=20))],
        [makers(SteadyDepth(density=50_000.0, reach=0.03, levels=20, premium=0.01))],
    )
    pair = quiet_pair(plain_diffusion(), populations, [arbitrageurs(**changes)], blocks=300, seed=2)
    frames = pair.run().frames()
    profit = sum(
        frames[f"{prefix}cohorts"].filter((pl.col("cohort") == "across") & (pl.col("block") == 299)).select(
            pl.col("equity") - pl.col("net_deposits")
        ).item()
        for prefix in ("", BESIDE)
    )  # fmt: skip
    return float((frames["beside_markets"]["mid"] / frames["markets"]["mid"] - 1.0).mean()), float(profit)  # type: ignore[arg-type]


def test_capital_is_finite():
    """More of it takes more of the same gap; none is lost where both legs are sure."""
    few, many = (gap_and_profit(capital=capital, edge=0.0, look_seconds=1.0)[1] for capital in (2_000.0, 20_000.0))
    assert 0.0 < few < many / 5.0


def test_a_leg_without_the_other_is_traded_away():
    """The other venue is halted between decision and arrival: what was bought on the first is sold again."""
    populations = (
        [makers(FixedSlippage(slippage=1e-4))],
        [makers(SteadyDepth(density=1e6, reach=0.02, levels=20, premium=0.01))],
    )
    pair = quiet_pair(path(1000.0), populations, [replace(arbitrageurs(members=1, look_seconds=0.001), latency=2.0)], blocks=40)
    row, there = (model.cohorts[-1].rows[0] for model in pair.models)
    for _ in range(3):  # the quotes of block 0 are seen in block 1, and the orders on them arrive in block 3
        pair.step()
    pair.models[1].state.markets["status"] = abm.state.HALTED
    pair.models[1].state.markets["halted_until"] = 10_000
    held = []
    for _ in range(30):
        pair.step()
        held.append(pair.models[0].state.positions["lots"][row, 0] + pair.models[1].state.positions["lots"][there, 0])
    assert max(abs(lots) for lots in held) > 0
    assert held[-1] == 0


@dataclass(frozen=True, kw_only=True)
class Mirrored(Strategy):
    """A user's strategy: buys on the first venue and sells on the other in block 1."""

    def decide(self, view: View, memory: None) -> None:
        if view.block == 1 and view.beside is not None:
            everybody = np.ones(len(view.rows), bool)
            view.orders.market(everybody, 0, 1, 0.5)
            view.beside.orders.market(everybody, 0, -1, 0.5)


def test_a_strategy_in_numpy_trades_on_both():
    quotes = [makers(FixedSlippage())]
    pair = quiet_pair(path(1000.0), (quotes, quotes), [Group(name="both", strategy=Mirrored(), members=3, capital=5_000.0)], blocks=4)
    pair.run()
    assert [list(model.cohorts[-1].view.size(0)) for model in pair.models] == [[0.5] * 3, [-0.5] * 3]


@pytest.mark.parametrize("looks", [False, True])
def test_a_mark_can_listen_to_the_venue_beside(looks: bool):
    """Median of oracle + basis (1000), of the book (1000), and of the mid beside (1010) or of the book's own past: 1000 either way, until
    the own book leaves; then the venue beside decides between the two that are left."""
    venue = plain_venue(mark=MedianMark(looks_outside=looks))
    populations = [makers(FixedSlippage(slippage=1e-4, reference="index"))], [makers(FixedSlippage(slippage=1e-4, premium=0.01))]
    pair = quiet_pair(path(1000.0), populations, venues=(venue, plain_venue()), blocks=10, spare_accounts=1)
    pair.run(5)
    assert pair.models[0].state.markets["outside_mid"][0] == pytest.approx(1010.0, abs=0.02)
    assert pair.models[1].state.markets["outside_mid"][0] == pytest.approx(1000.0, abs=0.02)
    assert pair.models[0].state.markets["mark"][0] == pytest.approx(1000.0, abs=0.02)
    pair.models[0].state.markets["last_tick"] = round(1020.0 / 0.01)  # of the three prices of the book one is off
    pair.models[0].state.markets["best_bid"] = 0
    pair.models[0].update_mark()
    book = 0.5 * (1020.0 + float(pair.models[0].state.markets["best_ask"][0]) * 0.01)
    expected = min(book, 1010.0) if looks else 1000.0
    assert pair.models[0].state.markets["mark"][0] == pytest.approx(expected, abs=1.5)


def test_providers_can_quote_around_the_other_venue():
    def mid(share: float) -> float:
        quoting = LiquidityProviders(beside_share=share, premium_share=0.0, half_spread=0.001, risk_aversion=0.0)
        populations = [Group(name="makers", strategy=quoting, members=3, capital=1e5)], [makers(FixedSlippage(premium=0.01))]
        pair = quiet_pair(path(1000.0), populations, blocks=10).run()
        return pair.models[0].cohorts[0].view.mid(0)

    assert mid(0.0) == pytest.approx(1000.0, abs=0.2)
    assert mid(0.5) == pytest.approx(1005.0, abs=0.2)
    assert mid(1.0) == pytest.approx(1010.0, abs=0.2)


def test_what_does_not_fit_together_is_told():
    slow = replace(plain_venue(), seconds_per_block=2.0)
    with pytest.raises(ParameterError, match=r"VenuePair.seconds_per_block: 1 on the first venue and 2 on the second; expected the same"):
        VenuePair((plain_venue(), slow), path(1000.0), ([], []), [arbitrageurs()], blocks=5)
    with pytest.raises(ParameterError, match=r"VenuePair.listings: BTC on the first venue and ETH on the second; expected the same"):
        VenuePair((plain_venue(), plain_venue(listing("ETH"))), path(1000.0), ([], []), [arbitrageurs()], blocks=5)
    with pytest.raises(ParameterError, match="two cohorts are called across"):
        VenuePair((plain_venue(), plain_venue()), path(1000.0), ([arbitrageurs()], []), [arbitrageurs()], blocks=5)
