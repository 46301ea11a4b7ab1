"""Laws of margin and liquidation: the price at which it comes, how often and how late it comes, and what a partial one heals.

Sources: dYdX documentation, margin (liquidation price); the reflection principle with the continuity correction of Broadie,
Glasserman and Kou, "A continuity correction for discrete barrier options", Mathematical Finance 7 (1997); overshoot at Poisson
times from the Wiener-Hopf factors of Brownian motion; Warmuz, Chaudhary and Pinna, "Toxic liquidation spirals" (2022), for partial
liquidation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from abm.agents.base import Group
from abm.agents.keepers import Keepers
from abm.agents.passive import FixedSlippage
from abm.kernels.margin import liquidation_price
from abm.mechanisms.enforcement import CostCoveringEnforcement, Enforcement, KeeperEnforcement, ProtocolEnforcement
from abm.mechanisms.liquidation import PartialLiquidation
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.recorder import Recording
from abm.state import Capacity
from abm.worlds.gas import Gas
from tests.model.small_worlds import (
    EXACT,
    OnePerMarket,
    listing,
    makers,
    path,
    plain_diffusion,
    plain_venue,
    scripted,
)

BLOCK_YEARS = 1.0 / (365.0 * 86_400.0)
CONTINUITY = 0.5826  # -zeta(1/2) / sqrt(2 pi)
TICK = 0.1
START = 1000.0
MARKETS = 64
PER_BLOCK = 0.003  # standard deviation of a block's return where that is free
Numbers = NDArray[Any]
QUIET = Recording(every_seconds=1e7, book_every_seconds=1e7, positions_every_seconds=1e7)

normal_cdf: Callable[[float], float] = NormalDist().cdf


def margin(maintenance: float, initial: float = 1e-4) -> FlatMargin:
    """A maintenance margin fraction; the initial one is no higher than it must be."""
    initial = max(initial, maintenance)
    return FlatMargin(initial_margin_fraction=initial, maintenance_fraction_of_initial=maintenance / initial)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("leverage", "maintenance"), [(1.5, 0.05), (3.0, 0.1), (5.0, 0.03), (12.0, 0.03), (20.0, 0.03), (40.0, 0.0125)])
def test_liquidation_price(side: int, leverage: float, maintenance: float) -> None:
    """Long P0 (1 - 1/L) / (1 - m), short P0 (1 + 1/L) / (1 + m), to 1e-9: nothing happens before it, and beyond it it does."""
    entry = START + (TICK if side > 0 else 0.0)  # the ask of the only maker is one tick above its bid
    size = 2.0
    law = entry * (1.0 - side / leverage) / (1.0 - side * maintenance)
    assert liquidation_price(size * entry / leverage, side * size, entry, maintenance, 0.0) == pytest.approx(law, rel=EXACT)
    before, beyond = law * (1.0 + side * EXACT), law * (1.0 - side * EXACT)
    script = {0: lambda trader: trader.buy("BTC", size) if side > 0 else trader.sell("BTC", size)}
    model, (trader,) = scripted(
        plain_venue(listing(price=START, tick=TICK), margin=margin(maintenance)), path(START, before, beyond),
        [(size * entry / leverage, script)], 3, [makers(FixedSlippage(notional=1e6, priority_fee=1.0))],
    )  # fmt: skip
    model.run(1)
    assert trader.position("BTC") == pytest.approx(side * size)
    model.run(1)
    assert trader.account["below_maintenance_since"] == -1
    model.run(1)
    assert trader.account["below_maintenance_since"] == 2
    liquidations = model.frames()["liquidations"].filter(account=trader.row)
    assert liquidations["trigger_block"].to_list() == [2]
    assert trader.position("BTC") == 0.0


def fates(venue: Venue, groups: list[Group], blocks: int, volatility: float, seed: int, **options: Any) -> PerpModel:
    """Runs groups of one position per market over independent markets with one maker who never moves a price."""
    population = [makers(FixedSlippage(notional=1e7, priority_fee=1.0), capital=1e10), *groups]
    capacity = Capacity(orders=1 << 12, conditionals=16, transactions=1 << 14, records=1 << 14)
    world = plain_diffusion(volatility=volatility)
    return PerpModel(venue, world, population, blocks=blocks, seed=seed, recording=QUIET, capacity=capacity, **options).run()


def many_markets(highest: float = 2.0) -> list[Any]:
    """Independent markets that all start at the same price."""
    return [listing(f"M{k}", START, TICK, 1e-4, highest) for k in range(MARKETS)]


def touch_probability(barrier: float, deviation: float, drift: float) -> float:
    """P(a Brownian motion with this drift and standard deviation at the end has touched `barrier` < 0 by then)."""
    below = normal_cdf((barrier - drift) / deviation)
    return below + math.exp(2.0 * drift * barrier / deviation**2) * normal_cdf((barrier + drift) / deviation)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds_per_block", "blocks", "annual_volatility"), [(60.0, 100, 5.0), (600.0, 20, 5.0)], ids=["100 looks", "20 looks"]
)
def test_liquidation_barrier(seconds_per_block: float, blocks: int, annual_volatility: float) -> None:
    """P(liquidated within T) under a geometric diffusion that is looked at once a block, to 0.012.

    Phi((b - nu T) / sigma sqrt(T)) + exp(2 nu b / sigma^2) Phi((b + nu T) / sigma sqrt(T)) with nu = -sigma^2 / 2 and
    b = ln((1 - 1/L) / (1 - m)) - 0.5826 sigma sqrt(block); for shorts the mirror image.
    """
    maintenance = 0.02
    cases = [(1, 9.0), (1, 14.0), (-1, 9.0), (-1, 14.0)]
    per_block = annual_volatility * math.sqrt(seconds_per_block * BLOCK_YEARS)
    deviation = per_block * math.sqrt(blocks)
    venue = plain_venue(*many_markets(), margin=margin(maintenance), seconds_per_block=seconds_per_block)
    groups = [
        Group(name=f"{side} {leverage}", strategy=OnePerMarket(leverage=leverage, side=side), members=MARKETS, capital=1e4)
        for side, leverage in cases
    ]
    seeds = 250
    liquidated = np.zeros(len(cases))
    for seed in range(seeds):
        frame = fates(venue, groups, blocks + 1, annual_volatility, seed).frames()["liquidations"]
        rows = frame.unique("account")["account"].to_numpy() - 1
        liquidated += np.bincount(rows // MARKETS, minlength=len(cases))
    for (side, leverage), count in zip(cases, liquidated, strict=True):
        entry = math.log1p(TICK / START) if side > 0 else 0.0
        barrier = entry + math.log((1.0 - side / leverage) / (1.0 - side * maintenance)) - side * CONTINUITY * per_block
        law = touch_probability(side * barrier, deviation, -side * 0.5 * deviation**2)
        assert 0.1 < law < 0.9
        assert count / (seeds * MARKETS) == pytest.approx(law, abs=0.012), (side, leverage)


def overshoots(
    enforcement: Enforcement, *, distance: float, maintenance: float, blocks: int, seeds: int, markets: int = MARKETS,
    keepers: Sequence[Group] = (),
) -> tuple[Numbers, Numbers]:  # fmt: skip
    """ln(trigger price / mark at execution) of every liquidation (n,), and whether the account was below zero by then (n,).

    Longs start `distance` above their trigger price; distances are in standard deviations of a block's return.
    """
    trigger = START * math.exp(-distance * PER_BLOCK)
    leverage = 1.0 / (1.0 - trigger * (1.0 - maintenance) / (START + TICK))
    listings = many_markets()[:markets]
    venue = plain_venue(*listings, margin=margin(maintenance), enforcement=enforcement, insurance_fund=1e9)
    groups = [Group(name="longs", strategy=OnePerMarket(leverage=leverage), members=markets, capital=1e4), *keepers]
    late, broke = [], []
    for seed in range(seeds):
        model = fates(venue, groups, blocks, PER_BLOCK / math.sqrt(BLOCK_YEARS), seed, gas=Gas(base=1e-6))
        frame = model.frames()["liquidations"].filter(pl.col("fills") > 0)
        assert frame["account"].is_unique().all()
        late.append(np.log(trigger / frame["mark"].to_numpy()) / PER_BLOCK)
        broke.append(frame["equity_before"].to_numpy() < 0.0)
    return np.concatenate(late), np.concatenate(broke)


def keepers_of(number: int, mean_blocks: float) -> tuple[KeeperEnforcement, list[Group]]:
    """So many keepers that scan independently with this mean waiting time, and are paid enough to take everything."""
    strategy = Keepers(scan_seconds=mean_blocks, most_per_scan=1e6, profit_margin=0.0)
    return KeeperEnforcement(reward_each=1.0), [Group(name="keepers", strategy=strategy, members=number)]


@pytest.mark.parametrize(
    ("rule", "gas", "comes"),
    [
        (KeeperEnforcement(reward_fraction=0.001), 0.5, True),
        (KeeperEnforcement(reward_fraction=0.001), 2.0, False),
        (CostCoveringEnforcement(reward_fraction=0.001, least_reward=0.0), 2.0, True),
        (CostCoveringEnforcement(reward_fraction=0.0, least_reward=0.0, profit=0.0, most_reward=1.0), 2.0, False),
    ],
)  # fmt: skip
def test_a_keeper_reckons_with_the_reward_that_it_would_get(rule: Enforcement, gas: float, comes: bool) -> None:
    """A position of 1000 USD is worth 1 USD of reward: too little for 2 USD of gas, unless the reward covers them up to its limit."""
    keepers = Group(name="keepers", strategy=Keepers(scan_seconds=0.0, profit_margin=0.0), members=1, capital=100.0)
    venue = plain_venue(listing(price=START, tick=TICK), margin=margin(0.1), enforcement=rule, insurance_fund=100.0)
    model, (trader,) = scripted(
        venue, path(START, 0.94 * START), [(150.0, {0: lambda trader: trader.buy("BTC", 1000.0 / START)})], 6,
        [makers(FixedSlippage(notional=1e6, priority_fee=1.0)), keepers], gas=Gas(base=gas, elasticity=0.0),
    )  # fmt: skip
    model.run()
    assert (trader.position("BTC") == 0.0) is comes
    assert len(model.frames()["liquidations"]) == int(comes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "mean_blocks", "maintenance"),
    [("protocol", 50.0, 0.010), ("protocol", 200.0, 0.03), ("one keeper", 50.0, 0.015), ("five keepers", 50.0, 0.015)],
)
def test_overshoot_past_the_trigger_with_poisson_detection(who: str, mean_blocks: float, maintenance: float) -> None:
    """Overshoot ~ Exp with mean sigma / sqrt(2 lambda), to 6 %; P(bad debt | liquidation) = exp(-m' sqrt(2 lambda) / sigma),
    m' = -ln(1 - m); n keepers of rate lambda are one of n lambda."""
    mean = math.sqrt(0.5 * mean_blocks)
    options: dict[str, Any] = {"distance": 3.0, "maintenance": maintenance, "blocks": int(20 * mean_blocks)}
    if who == "protocol":
        enforcement = ProtocolEnforcement(lag_blocks=0, attempts_per_block=1000, scan_seconds=mean_blocks, scans="random")
        late, broke = overshoots(enforcement, seeds=60 if mean_blocks < 100 else 50, **options)
    else:
        number = 5 if who == "five keepers" else 1
        keeper_rule, keepers = keepers_of(number, number * mean_blocks)
        late, broke = overshoots(keeper_rule, seeds=150, markets=24, keepers=keepers, **options)
    assert len(late) > 2500
    assert late.min() > 0.0
    assert late.mean() == pytest.approx(mean, rel=0.06)
    assert late.std() == pytest.approx(mean, rel=0.1)
    law = math.exp(math.log(1.0 - maintenance) / (PER_BLOCK * mean))
    assert 0.1 < law < 0.9
    assert broke.mean() == pytest.approx(law, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("grid", [1, 16])
def test_overshoot_past_the_trigger_on_a_fixed_grid(grid: int) -> None:
    """Detection on a fixed grid: the mean overshoot is 0.5826 sigma sqrt(grid), to 6 %."""
    enforcement = ProtocolEnforcement(lag_blocks=0, attempts_per_block=1000, scan_seconds=float(grid))
    seeds = 120 // math.isqrt(grid)
    late, _ = overshoots(enforcement, distance=6.0 * math.sqrt(grid), maintenance=0.02, blocks=150 * grid, seeds=seeds)
    assert len(late) > 1000
    assert late.mean() == pytest.approx(CONTINUITY * math.sqrt(grid), rel=0.06)


def liquidated_once(equity: float, fee: float, slippage: float, portion: float, maintenance: float) -> float:
    """Equity over notional after one partial liquidation of a long whose equity was `equity` of its notional."""
    price, size, tick = 800.0, 3.0, 0.01
    entry = max(START * (1.0 + slippage), START + tick)
    capital = size * (equity * price - price + entry)
    rule = PartialLiquidation(
        max_fee=fee, min_position_notional=0.0, max_position_portion=portion, max_notional_per_block=math.inf,
        max_insurance_per_block=math.inf, spread_to_maintenance_margin=1000.0,
    )  # fmt: skip
    market = listing(price=START, tick=tick, lot=1e-10)
    venue = plain_venue(market, margin=margin(maintenance), liquidation=rule, insurance_fund=1e9)
    depth = makers(FixedSlippage(notional=1e6, slippage=slippage, priority_fee=1.0))
    model, (trader,) = scripted(venue, path(START, price), [(capital, {0: lambda trader: trader.buy("BTC", size)})], 2, [depth])
    model.run()
    bids = model.frames()["fills"].filter(pl.col("liquidation") == 1)
    assert bids["price"].to_list() == pytest.approx([price * (1.0 - slippage)], rel=EXACT)
    value = trader.position("BTC") * price
    assert value == pytest.approx(size * price * (1.0 - portion), abs=size * price * EXACT)
    return float((trader.account["collateral"] + value) / value)


@pytest.mark.parametrize("portion", [0.1, 0.25, 0.7])
@pytest.mark.parametrize(("fee", "slippage"), [(0.0, 0.0), (0.01, 0.0), (0.0, 0.02), (0.005, 0.01), (0.015, 0.02)])
def test_partial_liquidation_heals_iff_equity_exceeds_its_cost(portion: float, fee: float, slippage: float) -> None:
    """Closing f at a fixed cost per notional: e' = (e - cost f) / (1 - f), which is above e iff e > cost.

    The cost is slippage + fee, the fee being charged on the proceeds. Below it the penalty is what is left above the bankruptcy
    price, and the fund pays what is missing, so closing costs e itself and heals nothing.
    """
    cost = slippage + fee * (1.0 - slippage)
    for equity in (cost + 0.012, cost + 0.003):
        after = liquidated_once(equity, fee, slippage, portion, maintenance=0.06)
        assert after == pytest.approx((equity - cost * portion) / (1.0 - portion), rel=EXACT, abs=EXACT)
        assert after > equity
    if cost > 0.006:
        after = liquidated_once(cost - 0.004, fee, slippage, portion, maintenance=0.06)
        assert after == pytest.approx(cost - 0.004, rel=EXACT, abs=EXACT)


@pytest.mark.parametrize("target", [0.03, 0.04, 0.08])
@pytest.mark.parametrize(("equity", "fee", "slippage"), [(0.025, 0.01, 0.005), (0.02, 0.0, 0.01), (0.015, 0.01, 0.0)])
def test_portion_that_restores_a_target(target: float, equity: float, fee: float, slippage: float) -> None:
    """f* = (m* - e) / (m* - cost) brings equity back to exactly m* of notional."""
    cost = slippage + fee * (1.0 - slippage)
    portion = (target - equity) / (target - cost)
    assert liquidated_once(equity, fee, slippage, portion, maintenance=0.03) == pytest.approx(target, rel=EXACT)
