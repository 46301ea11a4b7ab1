"""Laws of symmetry: a mirrored world, another unit of price, and a bystander change nothing that matters.

The contract of a linear perpetual is odd in price and position and homogeneous in price x size; a venue may not break that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from abm.agents.base import Group, Recruits, Strategy, View
from abm.agents.keepers import Keepers
from abm.mechanisms.deleveraging import Deleveraging, ProRataDeleveraging, RandomDeleveraging, RankedDeleveraging
from abm.mechanisms.enforcement import Enforcement, KeeperEnforcement, ProtocolEnforcement
from abm.mechanisms.funding import ClampedPremiumFunding
from abm.mechanisms.liquidation import FullLiquidation, Liquidation, PartialLiquidation
from abm.mechanisms.ordering import RandomOrdering
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.parameters import parameter
from abm.recorder import Recording
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from abm.worlds.spot import Spot
from tests.model.small_worlds import EVERY_BLOCK, EXACT, DollarMargin, Idle, Script, listing, plain_diffusion, plain_venue
from tests.model.test_laws_ledger import FAST_FUNDING, everybody

START = (1000.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class MirrorMaker(Strategy):
    """Quotes a bid and an ask at a distance in USD from the oracle price plus a slow wave; with `sign` -1 its own mirror image."""

    sign: float = parameter(1.0, unit="sign", least=-1.0, most=1.0)
    size: float = parameter(8.0, unit="coins per side and block", least=0.0)

    def decide(self, view: View, memory: None) -> None:
        everybody = np.ones(len(view.rows), dtype=bool)
        for k, start in enumerate(START[: view.state.n_markets]):
            centre = view.price(k, "oracle") + self.sign * 0.003 * start * math.sin(view.block / 37.0)
            view.orders.cancel_all(everybody, k)
            for side in (1, -1):
                view.orders.limit(everybody, k, side, self.size * START[0] / start, centre - side * 0.0005 * start, post_only=True)


@dataclass(frozen=True, kw_only=True)
class Levered(Strategy):
    """Member j trades (1 + j / 7) x 1000 USD worth of coins at the start price, alternating sides and markets, in block 3 + j."""

    sign: int = parameter(1, unit="sign", least=-1, most=1)

    def init(self, recruits: Recruits) -> None:
        assert recruits.stride == 0

    def decide(self, view: View, memory: None) -> None:
        j = view.block - 3
        if 0 <= j < len(view.rows):
            market = (j // 2) % view.state.n_markets
            who = np.arange(len(view.rows)) == j
            view.orders.market(who, market, self.sign * (1 - 2 * (j % 2)), round((1 + j / 7) * 1000.0 / START[market], 3))


def mirrored_run(
    sign: int, markets: int, enforcement: Enforcement, liquidation: Liquidation, deleveraging: Deleveraging, seed: int
) -> PerpModel:
    """The same world and people, or (sign -1) the reflected world with all sides flipped."""
    listings = [listing("BTC", START[0], tick=0.01, lot=1e-6), listing("ETH", START[1], tick=0.001, lot=1e-5)]
    venue = plain_venue(
        *listings[:markets],
        ordering=RandomOrdering(),
        margin=DollarMargin(initial=40.0, maintenance=25.0),
        funding=ClampedPremiumFunding(
            sample_seconds=10.0, settlement_seconds=10.0, interest=0.0, band=0.0, cap=math.inf, impact_notional=0.0
        ),
        liquidation=liquidation,
        enforcement=enforcement,
        deleveraging=deleveraging,
        insurance_fund=10.0,
    )
    world = plain_diffusion(
        form="arithmetic", mirrored=sign < 0, initial_price=START[:markets], volatility=6.0, correlation=0.3,
        correlation_in_stress=0.3, jump_rate=2000.0, jump_scale=0.004, jump_limit=0.05,
    )  # fmt: skip
    people = [
        Group(name="makers", strategy=MirrorMaker(sign=float(sign)), members=2, capital=1e5),
        Group(name="levered", strategy=Levered(sign=sign), members=60, capital=100.0),
        Group(name="keepers", strategy=Keepers(scan_seconds=3.0), members=3, capital=10.0),
    ]
    return PerpModel(venue, world, people, blocks=900, seed=seed, recording=EVERY_BLOCK, check=True).run()


@pytest.mark.parametrize(
    ("markets", "enforcement", "liquidation", "deleveraging"),
    [
        (
            1,
            ProtocolEnforcement(lag_blocks=1),
            PartialLiquidation(
                max_fee=1.0, min_position_notional=0.0, max_position_portion=0.25, max_notional_per_block=math.inf,
                max_insurance_per_block=20.0,
            ),
            RandomDeleveraging(),
        ),
        (
            2,
            KeeperEnforcement(reward_fraction=0.0, reward_each=1.0),
            FullLiquidation(penalty=0.0),
            ProRataDeleveraging(weight="size"),
        ),
    ],
    ids=["protocol, partial", "keepers, full"],
)  # fmt: skip
@pytest.mark.parametrize("seed", [1, 2])
def test_mirror(markets: int, enforcement: Enforcement, liquidation: Liquidation, deleveraging: Deleveraging, seed: int) -> None:
    """Path 2 S0 - S and flipped sides, interest 0: every profit, liquidation time and funding payment is the same, to 1e-9.

    Margins are in USD per position here, because a margin that is a fraction of the mark price is itself not symmetric. For the
    same reason fees, rewards per notional and the clamp are off, the premium is sampled when it is settled, over one price, and the
    protocol, which ranks positions by distances relative to their prices, has one market only.
    """
    one, other = (mirrored_run(sign, markets, enforcement, liquidation, deleveraging, seed) for sign in (1, -1))
    for field in ("index", "exogenous", "oracle", "mark"):
        assert one.state.markets[field] + other.state.markets[field] == pytest.approx(2.0 * np.array(START[:markets]), rel=EXACT)
    assert (one.state.positions["lots"] == -other.state.positions["lots"]).all()
    assert profits(one) == pytest.approx(profits(other), rel=EXACT, abs=EXACT * 1000.0)
    for field in ("funding", "liquidation", "deleveraging", "rewards"):
        assert one.state.accounts[field] == pytest.approx(other.state.accounts[field], rel=EXACT, abs=EXACT * 1000.0), field
    assert one.state.funds["balance"] == pytest.approx(other.state.funds["balance"], rel=EXACT, abs=EXACT * 1000.0)
    here, there = one.frames(), other.frames()
    same = ("block", "trigger_block", "submitted_block", "account", "keeper", "market", "size", "size_wanted", "result", "fills")
    assert here["liquidations"].select(same).equals(there["liquidations"].select(same))
    for field in ("fund_delta", "reward", "equity_before", "maintenance_margin_before"):
        assert here["liquidations"][field].to_numpy() == pytest.approx(there["liquidations"][field].to_numpy(), rel=EXACT, abs=1e-7), field
    assert here["deleveragings"]["haircut"].to_numpy() == pytest.approx(there["deleveragings"]["haircut"].to_numpy(), rel=EXACT)
    assert here["funding"]["per_coin"].to_numpy() == pytest.approx(-there["funding"]["per_coin"].to_numpy(), rel=EXACT, abs=1e-12)
    assert here["funding"]["paid"].to_numpy() == pytest.approx(there["funding"]["paid"].to_numpy(), rel=EXACT, abs=1e-9)
    assert here["liquidations"]["account"].n_unique() > 10
    assert not here["deleveragings"].is_empty()
    assert set(np.sign(here["funding"]["per_coin"].to_numpy())) >= {1.0, -1.0}


def profits(model: PerpModel) -> NDArray[np.float64]:
    """(n,) USD of every account since the start, at mark."""
    value = model.state.positions["lots"] * (model.state.markets["lot"] * model.state.markets["mark"])
    profit: NDArray[np.float64] = model.state.accounts["collateral"] + value.sum(axis=1) - model.state.accounts["net_deposits"]
    return profit


PRICES = {
    "index", "exogenous", "oracle", "mark", "mid", "best_bid", "best_ask", "last", "price", "fillable_price", "bankruptcy_price",
    "funding_index", "per_coin",
}  # fmt: skip
SIZES = {"open_interest", "size", "size_wanted"}


def in_units(venue: Venue, world: Diffusion, factor: float) -> tuple[Venue, Diffusion]:
    """The same markets with coins of `factor` times the value."""
    listings = tuple(
        replace(old, tick=old.tick * factor, lot=old.lot / factor, highest_price=old.highest_price * factor) for old in venue.listings
    )
    prices = tuple(price * factor for price in world.initial_price)  # type: ignore[union-attr]
    return replace(venue, listings=listings), replace(world, initial_price=prices)


def stressed(venue: Venue, world: Diffusion, population: list[Group], blocks: int = 600, **options: Any) -> PerpModel:
    """Everybody in a crash."""
    spot = Spot(depth=(5e6, 3e6, 1e6))
    return PerpModel(venue, world, population, blocks=blocks, seed=5, spot=spot, recording=Recording(every_seconds=1.0), **options)


def crashing_world() -> Diffusion:
    return Diffusion(crashes=(Crash(start=200.0, duration=150.0, depth=(0.3, 0.35, 0.45), rebound=0.3),))


def thin_venue(**changes: Any) -> Venue:
    return replace(PRESETS["dydx_v4"](), insurance_fund=2_000.0, funding=FAST_FUNDING, **changes)


@pytest.mark.parametrize("factor", [1024.0, 1000.0, 1e-2])
def test_units(factor: float) -> None:
    """Price x k, size / k, tick and lot alike: every dimensionless result and every dollar is the same, to 1e-9."""
    venue, world = thin_venue(), crashing_world()
    plain = stressed(venue, world, everybody()).run().frames()
    scaled = stressed(*in_units(venue, world, factor), everybody()).run().frames()
    assert not plain["liquidations"].is_empty()
    for name, frame in plain.items():
        assert frame.height == scaled[name].height, name
        for column in frame.columns:
            left, right = frame[column], scaled[name][column]
            if left.dtype != pl.Float64:
                assert left.equals(right), (name, column)
                continue
            scale = factor if column in PRICES else 1.0 / factor if column in SIZES else 1.0
            size = np.abs(left.to_numpy()).max() if frame.height else 0.0
            assert right.to_numpy() / scale == pytest.approx(left.to_numpy(), rel=EXACT, abs=EXACT * size), (name, column)


def without_bystanders(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """All facts but those about idle cohorts and the money they paid in."""
    kept = {}
    for name, frame in frames.items():
        plain = frame.with_columns(pl.col(pl.Enum).cast(pl.String)) if name != "x" else frame
        if name == "cohorts":
            plain = plain.filter(~pl.col("cohort").str.starts_with("idle"))
        kept[name] = plain.drop("net_deposits") if name == "venue" else plain
    return kept


@pytest.mark.parametrize(
    "changes",
    [
        {"deleveraging": RandomDeleveraging(attempts_per_block=1000)},
        {"deleveraging": RankedDeleveraging()},
        {"enforcement": KeeperEnforcement(reward_each=2.0), "deleveraging": ProRataDeleveraging()},
    ],
    ids=["random deleveraging", "ranked deleveraging", "keepers"],
)
def test_isolation(changes: dict[str, Any]) -> None:
    """An agent that never trades changes nothing, to the last bit, even where counterparties and the keepers' work are drawn."""
    venue, world = thin_venue(**changes), crashing_world()
    alone = stressed(venue, world, everybody()).run().frames()
    idle = [
        Group(name="idle", strategy=Idle(), members=37, capital=1_234.5),
        Group(name="idle isolated", strategy=Idle(), members=3, capital=10.0, margin="isolated"),
    ]
    crowded = stressed(venue, world, [*everybody(), *idle], spare_accounts=2)
    Script(crowded, 500.0, {})
    together = crowded.run().frames()
    assert not alone["deleveragings"].is_empty()
    left, right = without_bystanders(alone), without_bystanders(together)
    assert left.keys() == right.keys()
    for name, frame in left.items():
        assert frame.equals(right[name]), name
