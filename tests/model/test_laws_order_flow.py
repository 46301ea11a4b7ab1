"""Laws of the order book: what random orders do to it, what a linear book costs, and where a risk-averse maker quotes.

Sources: Smith, Farmer, Gillemot and Krishnamurthy, "Statistical theory of the continuous double auction", Quantitative Finance 3
(2003); Farmer, Patelli and Zovko, "The predictive power of zero intelligence in financial markets", PNAS 102 (2005); Avellaneda and
Stoikov, "High-frequency trading in a limit order book", Quantitative Finance 8 (2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from abm.agents.base import Group, Strategy, View
from abm.agents.liquidity_providers import LiquidityProviders
from abm.agents.passive import SteadyDepth, ZeroIntelligence
from abm.kernels.quoting import optimal_spread, reservation_price
from abm.mechanisms.listing import Listing
from abm.mechanisms.ordering import RandomOrdering
from abm.model import PerpModel
from abm.parameters import ParameterError, parameter
from abm.recorder import Recording
from abm.state import Capacity
from tests.model.small_worlds import EXACT, listing, makers, path, plain_diffusion, plain_venue, scripted

RARE = Recording(every_seconds=1e7, book_every_seconds=1e7, positions_every_seconds=1e7, fills=False)
TICKS = 60_000
LOOK = 20  # blocks between two looks


class Flow(NamedTuple):
    """Rates per block: market orders per side, cancellations per order, limit orders per tick and side; placement window."""

    market: float
    cancel: float
    limit: float
    window: int

    @property
    def typical_distance(self) -> float:
        """mu / alpha, ticks."""
        return self.market / self.limit


def zero_intelligence(flow: Flow, blocks: int, markets: int, seed: int = 0) -> PerpModel:
    """A venue on which nobody trades but zero intelligence, in independent markets; not yet run."""
    listings = [Listing(symbol=f"M{k}", tick=0.01, lot=1.0, highest_price=0.01 * TICKS) for k in range(markets)]
    strategy = ZeroIntelligence(limit_rate=flow.limit, market_rate=flow.market, cancel_rate=flow.cancel, window_ticks=flow.window, size=1.0)
    world = plain_diffusion(initial_price=0.005 * TICKS, volatility=0.0)
    return PerpModel(
        plain_venue(*listings, ordering=RandomOrdering()), world, [Group(name="flow", strategy=strategy, members=3, capital=1e12)],
        blocks=blocks, seed=seed, recording=RARE, capacity=Capacity(orders=1 << 18, transactions=1 << 14, records=1 << 16),
    )  # fmt: skip


def quotes(flow: Flow, blocks: int, markets: int = 64) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spread and mid in ticks (looks, markets) every LOOK blocks, once the first orders have long been cancelled."""
    model = zero_intelligence(flow, blocks, markets)
    model.run(int(10 / flow.cancel))
    bids, asks = [], []
    while model.block < blocks - LOOK:
        model.run(LOOK)
        bids.append(model.state.markets["best_bid"].copy())
        asks.append(model.state.markets["best_ask"].copy())
    bid, ask = np.array(bids, np.float64), np.array(asks, np.float64)
    assert bid.min() > 0
    assert ask.max() < TICKS
    return ask - bid, 0.5 * (bid + ask)


def diffusion(mid: NDArray[np.float64], flow: Flow) -> float:
    """Variance of the mid's change per block over ten lifetimes of an order, ticks squared."""
    looks = int(10 / flow.cancel / LOOK)
    changes = mid[looks:] - mid[:-looks]
    return float(changes.var() / (looks * LOOK))


@pytest.mark.slow
def test_spread_and_long_run_diffusion_of_zero_intelligence() -> None:
    """s alpha / mu depends on delta / mu alone, to 5 %; the mid's long-run diffusion goes with mu^(3/2) delta^(3/2) alpha^-2, each
    exponent to 5 %."""
    base = Flow(0.1, 0.0025, 0.001, 400)
    runs = {
        "base": (base, 160_000),
        "cancel x 4": (base._replace(cancel=0.01), 60_000),
        "market / 4": (base._replace(market=0.025, window=150), 160_000),
        "limit / 4": (base._replace(limit=0.00025, window=1600), 100_000),
    }
    spread, speed = {}, {}
    for name, (flow, blocks) in runs.items():
        gap, mid = quotes(flow, blocks)
        spread[name] = gap.mean() / flow.typical_distance
        speed[name] = diffusion(mid, flow)
    assert spread["limit / 4"] == pytest.approx(spread["base"], rel=0.05)
    assert spread["market / 4"] == pytest.approx(spread["cancel x 4"], rel=0.05)
    assert spread["cancel x 4"] > 1.15 * spread["base"]

    def exponent(name: str, factor: float) -> float:
        return math.log(speed[name] / speed["base"]) / math.log(factor)

    assert exponent("cancel x 4", 4.0) == pytest.approx(1.5, rel=0.05)
    assert exponent("market / 4", 0.25) == pytest.approx(1.5, rel=0.05)
    assert exponent("limit / 4", 0.25) == pytest.approx(-2.0, rel=0.05)


@pytest.mark.parametrize("flow", [Flow(0.1, 0.01, 0.001, 2000), Flow(0.05, 0.02, 0.002, 1000), Flow(0.02, 0.005, 0.0005, 1000)])
def test_depth_far_from_the_mid(flow: Flow) -> None:
    """alpha / delta orders rest at each tick where no market order comes, to 5 %."""
    blocks = int(120 / flow.cancel)
    model = zero_intelligence(flow, blocks, markets=16)
    model.run(int(10 / flow.cancel))
    depth = []
    while model.block + int(5 / flow.cancel) < blocks:
        model.run(int(5 / flow.cancel))
        markets, levels = model.state.markets, model.state.levels["lots"]
        for k in range(16):
            bid, ask = int(markets["best_bid"][k]), int(markets["best_ask"][k])
            near, far = int(0.4 * flow.window), int(0.8 * flow.window)
            depth += [levels[k, ask - far : ask - near].mean(), levels[k, bid + near : bid + far].mean()]
    assert np.mean(depth) == pytest.approx(flow.limit / flow.cancel, rel=0.05)


def test_zero_intelligence_needs_two_members() -> None:
    group = Group(name="flow", strategy=ZeroIntelligence(), members=1)
    with pytest.raises(ParameterError, match="at least 2"):
        PerpModel(plain_venue(), plain_diffusion(), [group], blocks=10)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("density", "share"), [(1e5, 0.37), (1e6, 0.9), (3e4, 0.05)])
def test_a_linear_book_moves_in_proportion_to_what_is_taken(side: int, density: float, share: float) -> None:
    """Q USD against a density of D USD per percent move the price by Q / D percent, at half of that on average."""
    reach = 0.02
    book = makers(SteadyDepth(density=density, reach=reach, levels=4000, priority_fee=1.0), capital=1e12)
    notional = share * density * 100.0 * reach
    size = notional / 1000.0

    def take(trader: object) -> None:
        trader._order("BTC", side, size, None)  # type: ignore[attr-defined]

    capacity = Capacity(orders=1 << 15, conditionals=16, transactions=1 << 15, records=1 << 14)
    model, (trader,) = scripted(plain_venue(listing(tick=0.01, lot=1e-6)), path(1000.0), [(1e12, {1: take})], 2, [book], capacity=capacity)
    model.run()
    fills = model.frames()["fills"]
    moved = side * (fills["price"][-1] / 1000.0 - 1.0)
    paid = (fills["price"] * fills["size"]).sum()
    assert trader.position("BTC") == pytest.approx(side * size)
    assert moved == pytest.approx(paid / density / 100.0, abs=2e-5)
    assert side * (paid / size / 1000.0 - 1.0) == pytest.approx(0.5 * moved, rel=0.02)


@pytest.mark.parametrize("gamma", [1e-9, 0.01, 0.5, 8.0])
@pytest.mark.parametrize("arrival_decay", [0.3, 20.0])
@pytest.mark.parametrize(("sigma", "time_left"), [(0.002, 900.0), (2.0, 0.5), (0.0, 1.0)])
def test_reservation_price_and_spread(gamma: float, arrival_decay: float, sigma: float, time_left: float) -> None:
    """r = s - q gamma sigma^2 (T - t) and spread = gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma / k), to 1e-9."""
    variance = sigma**2 * time_left
    for price in (0.0, 100.0):
        for inventory in (-3.0, 0.0, 0.5, 10.0):
            law = price - inventory * gamma * sigma**2 * time_left
            assert reservation_price(price, inventory, gamma, variance) == pytest.approx(law, rel=EXACT)
    law = gamma * sigma**2 * time_left + (2.0 / gamma) * math.log1p(gamma / arrival_decay)
    assert optimal_spread(gamma, variance, arrival_decay) == pytest.approx(law, rel=EXACT)


def test_without_risk_aversion_the_spread_is_that_of_the_arrivals_alone() -> None:
    """The limit gamma -> 0 is 2 / k, and it is approached continuously."""
    assert optimal_spread(0.0, 4.0, 25.0) == pytest.approx(2.0 / 25.0, rel=EXACT)
    assert optimal_spread(1e-12, 4.0, 25.0) == pytest.approx(2.0 / 25.0, rel=1e-9)


@dataclass(frozen=True, kw_only=True)
class CoinTossers(Strategy):
    """Each member trades `notional` USD with probability one in ten per block, on a side that a coin decides.

    It goes no further from the index than an exponential distance of mean 1 / `arrival_decay`: the arrivals of Avellaneda and Stoikov.
    """

    notional: float = parameter(5_000.0, unit="USD per order", least=0.0)
    arrival_decay: float = parameter(2_000.0, unit="per fraction of the index", least=1e-9)

    def decide(self, view: View, memory: None) -> None:
        uniforms = view.uniforms(3)
        index = view.price(0, "index")
        side = np.where(uniforms[:, 1] < 0.5, 1.0, -1.0)
        limit = index * (1.0 - side * np.log(1.0 - uniforms[:, 2]) / self.arrival_decay)
        view.orders.limit(uniforms[:, 0] < 0.1, 0, side, self.notional / index, limit, immediate_or_cancel=True)


def test_inventory_falls_in_risk_aversion() -> None:
    """The standard deviation of a maker's inventory falls as its risk aversion rises, at each step."""
    deviations = []
    for gamma in (0.01, 3.0, 30.0, 300.0):
        maker = LiquidityProviders(half_spread=0.0005, risk_aversion=gamma, loss_limit=1.0, inventory_limit=1e6)
        population = [
            makers(maker, capital=1e6),
            Group(name="tossers", strategy=CoinTossers(), members=6, capital=1e8),
        ]
        world = plain_diffusion(volatility=0.6)
        model = PerpModel(plain_venue(listing(tick=0.01)), world, population, blocks=4000, seed=9, recording=RARE)
        inventory = []
        while model.block < model.blocks - 1:
            model.run(5)
            inventory.append(int(model.state.positions["lots"][0, 0]) * 1e-6)
        deviations.append(float(np.std(inventory)))
    assert deviations[-1] > 0.0
    assert all(calm < bold for bold, calm in pairwise(deviations)), deviations
