"""The law of the ledger: no dollar and no coin appears or disappears, whatever happens.

Double-entry bookkeeping: what accounts, insurance fund and fee box hold is what was paid in; positions and funding sum to zero.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from abm.agents.arbitrageurs import Arbitrageurs
from abm.agents.base import Group
from abm.agents.hedgers import Hedgers
from abm.agents.keepers import Keepers
from abm.agents.liquidity_providers import LiquidityProviders
from abm.agents.passive import Holders, SteadyDepth
from abm.agents.scalpers import Scalpers
from abm.agents.takers import Takers
from abm.agents.vaults import ResidentVaults
from abm.agents.whales import Whales
from abm.distributions import Pareto, Uniform
from abm.mechanisms.deleveraging import ProRataDeleveraging, RandomDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement
from abm.mechanisms.funding import PremiumVoteFunding
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.state import State
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from abm.worlds.spot import Spot

LEDGER = 1e-9  # of the sum of |equity|
DEPTH = (5e6, 3e6, 1e6)  # USD per percent of the outside price
FAST_FUNDING = PremiumVoteFunding(sample_seconds=10.0, sample_offset_seconds=0.0, settlement_seconds=120.0)


def everybody() -> list[Group]:
    """Every kind of trader there is, and enough leverage for a cascade that no fund survives.

    Amounts are not round, so that no size is a whole number of lots by accident and another unit of price rounds alike.
    """
    return [
        Group(name="takers", strategy=Takers(idle_seconds=60.0), members=60, capital=Pareto(lowest=500.0, exponent=1.1, highest=1e5)),
        Group(name="scalpers", strategy=Scalpers(), members=30, capital=5_000.0),
        Group(name="hedgers", strategy=Hedgers(look_seconds=30.0), members=10, capital=50_000.0),
        Group(name="makers", strategy=LiquidityProviders(), members=5, capital=100_000.0),
        Group(name="isolated makers", strategy=LiquidityProviders(), members=3, capital=50_000.0, margin="isolated"),
        Group(name="arbitrageurs", strategy=Arbitrageurs(), members=5, capital=100_000.0),
        Group(name="whales", strategy=Whales(), members=2, capital=500_000.0),
        Group(name="vault", strategy=ResidentVaults(), members=1, capital=200_000.0, margin="isolated"),
        Group(name="keepers", strategy=Keepers(), members=3, capital=1_000.0),
        Group(name="longs", strategy=Holders(leverage=Uniform(low=8.0, high=18.0)), members=80, capital=4_003.0),
        Group(name="shorts", strategy=Holders(leverage=2.03, long_share=0.0), members=80, capital=30_017.0),
        Group(name="depth", strategy=SteadyDepth(density=20_011.0, reach=0.0303, levels=10), members=1, capital=2e6),
    ]


def venues() -> dict[str, Venue]:
    """The default venue with a fund that cannot last, and one where keepers must be paid."""
    dydx = replace(PRESETS["dydx_v4"](), insurance_fund=2_000.0, funding=FAST_FUNDING)
    return {
        "protocol liquidates": replace(dydx, deleveraging=RandomDeleveraging(attempts_per_block=1000)),
        "keepers liquidate": replace(
            dydx, enforcement=KeeperEnforcement(reward_each=2.0), liquidation=FullLiquidation(), deleveraging=ProRataDeleveraging()
        ),
    }


@pytest.mark.parametrize("name", venues().keys())
def test_ledger(name: str) -> None:
    """Sum of equity + fund + fees - net deposits = 0 and sum of funding = 0 to 1e-9 of the sum of |equity| in every block; sum of
    positions = 0 exactly. With outside legs included, the sum is the profit of the outside legs."""
    blocks = 900
    crash = Crash(start=300.0, duration=240.0, depth=(0.3, 0.35, 0.45), rebound=0.3)
    world = Diffusion(crashes=(crash,))
    spot = Spot(depth=DEPTH, fee=0.0, financing_rate=0.0)
    model = PerpModel(venues()[name], world, everybody(), blocks=blocks, seed=11, spot=spot, check=True)
    state = model.state
    outside_profit = 0.0
    residuals, scales, funds = np.zeros(blocks), np.zeros(blocks), np.zeros(blocks)
    for block in range(blocks):
        index = state.markets["index"].copy()
        outside_profit -= cost_of_outside_orders(state)
        model.step()
        outside_profit += float((state.outside["size"] * (state.markets["index"] - index)).sum())
        value = state.positions["lots"] * (state.markets["lot"] * state.markets["mark"])
        equity = state.accounts["collateral"] + value.sum(axis=1)
        scale = float(np.abs(equity).sum())
        fund, fees, deposits = (
            float(state.funds["balance"].sum()),
            float(state.venue["fees"][0]),
            float(state.venue["net_deposits"][0]),
        )
        outside = state.outside["cash"] + state.outside["size"] * state.markets["index"] - state.outside["endowment"]
        residuals[block] = equity.sum() + fund + fees - deposits
        scales[block], funds[block] = scale, fund
        assert abs(residuals[block]) <= LEDGER * scale
        assert equity.sum() + outside.sum() + fund + fees - deposits == pytest.approx(outside_profit, abs=LEDGER * scale)
        assert (state.positions["lots"].sum(axis=0) == 0).all()
        assert (np.maximum(state.positions["lots"], 0).sum(axis=0) == state.markets["open_interest"]).all()
        assert abs(state.accounts["funding"].sum()) <= LEDGER * scale
        assert abs(state.accounts["deleveraging"].sum()) <= LEDGER * scale
        assert fees == pytest.approx(-state.accounts["fees"].sum(), abs=LEDGER * scale)
        penalties = -state.accounts["liquidation"].sum() - state.accounts["rewards"].sum()
        assert fund == pytest.approx(2_000.0 + penalties, abs=LEDGER * scale)
    exercised(model, funds)
    late, early = np.abs(residuals / scales)[-blocks // 3 :].max(), np.abs(residuals / scales)[: blocks // 3].max()
    assert late <= max(10.0 * early, 1e-3 * LEDGER), "the error of the ledger grows with time"


def cost_of_outside_orders(state: State) -> float:
    """USD above the index that the orders waiting for the outside market will pay there: each pays half of its own push."""
    cost = 0.0
    for order in state.spot_orders[: int(state.venue["spot_orders"][0])]:
        market, size = int(order["market"]), float(order["size"])
        price = float(state.markets["index"][market])
        cost += size * price * math.expm1(0.5 * size * price / (100.0 * DEPTH[market]))
    return cost


def exercised(model: PerpModel, funds: NDArray[np.float64]) -> None:
    """The run must have used what the law is about: funding, liquidations in every market, an empty fund, deleveraging."""
    frames = model.frames()
    assert set(frames["liquidations"]["market"].unique()) >= set(model.state.symbols)
    assert not frames["funding"].is_empty()
    assert frames["funding"]["paid"].sum() > 0.0
    assert funds.min() < 500.0
    assert not frames["deleveragings"].is_empty()
    assert float(np.abs(model.state.outside["size"]).sum()) > 0.0
