"""Laws of reproduction: the same seed gives the same bytes, and two variants of a rule live in the same world.

Common random numbers: Glasserman and Yao, "Some guidelines and guarantees for common random numbers", Management Science 38;
addressed draws as in Klein et al., "Noise-free comparison of stochastic agent-based simulations using common random numbers".
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import abm.model
from abm.agents.base import Group, Recruits, Strategy, View
from abm.agents.passive import Holders
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import NoDeleveraging, ProRataDeleveraging, RandomDeleveraging, RankedDeleveraging
from abm.mechanisms.enforcement import KeeperEnforcement, ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.funding import ClampedPremiumFunding, NoFunding, PremiumVoteFunding
from abm.mechanisms.guards import CircuitBreaker, OpenInterestCap, WithdrawalGate
from abm.mechanisms.liquidation import FullLiquidation, PartialLiquidation
from abm.mechanisms.margin import FlatMargin, OpenInterestMargin, TieredMargin
from abm.mechanisms.mark import LastTradeMark, MedianMark, OracleMark
from abm.mechanisms.oracle import MeanOracle, MedianOracle, ProposerOracle
from abm.mechanisms.ordering import PriorityFeeOrdering, RandomOrdering
from abm.mechanisms.skew_margin import SkewMargin
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.recorder import Recording
from abm.worlds.diffusion import Diffusion
from tests.model.small_worlds import frames_equal
from tests.model.test_laws_ledger import everybody
from tests.model.test_laws_symmetry import crashing_world, stressed, thin_venue

LOOK = Recording(every_seconds=1.0, positions_every_seconds=50.0, orders=True)


def as_parquet(frames: dict[str, pl.DataFrame]) -> dict[str, bytes]:
    """Each table as the bytes of a Parquet file."""
    files = {}
    for name, frame in frames.items():
        file = io.BytesIO()
        frame.write_parquet(file)
        files[name] = file.getvalue()
    return files


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (as_parquet(stressed(thin_venue(), crashing_world(), everybody()).run().frames()) for _ in range(2))
    assert first == second
    other = PerpModel(thin_venue(), crashing_world(), everybody(), blocks=600, seed=6).run().frames()
    assert as_parquet(other)["markets"] != first["markets"]


@pytest.mark.parametrize("stretch", [1, 97, 512])
def test_how_the_world_is_cut_into_stretches_does_not_matter(stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stressed(thin_venue(), crashing_world(), everybody()).run().frames()
    monkeypatch.setattr(abm.model, "STRETCH", stretch)
    cut = stressed(thin_venue(), crashing_world(), everybody()).run().frames()
    assert as_parquet(cut) == as_parquet(whole)


def test_how_a_run_is_cut_into_calls_does_not_matter() -> None:
    whole = stressed(thin_venue(), crashing_world(), everybody()).run().frames()
    model = stressed(thin_venue(), crashing_world(), everybody())
    for blocks in (1, 5, 250):
        model.run(blocks)
        model.frames()
    while model.block < model.blocks - 101:
        model.step()
    model.run(every=7)
    assert as_parquet(model.frames()) == as_parquet(whole)


@dataclass(frozen=True, kw_only=True)
class Witness(Strategy):
    """Sends one cancellation per member and block, and keeps what it draws."""

    def init(self, recruits: Recruits) -> list[tuple[bytes, bytes]]:
        return []

    def decide(self, view: View, memory: list[tuple[bytes, bytes]]) -> None:
        memory.append((view.uniforms(3).tobytes(), view.normals(2).tobytes()))
        view.orders.cancel_all(np.ones(len(view.rows), dtype=bool))


class WatchedModel(PerpModel):
    """Keeps the order in which the members of the last cohort were served, block by block."""

    def sequence(self) -> None:
        super().sequence()
        served = self.state.transactions["account"][self.state.sequence[0, : self._count]]
        self.__dict__.setdefault("served", []).append([row for row in served.tolist() if row in self.cohorts[-1].rows])


def exogenous(venue: Venue, blocks: int = 400) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """What no rule may touch (outside path, gas, the draws of a cohort, the random order of its members), and all tables."""
    population = [*everybody(), Group(name="witness", strategy=Witness(), members=4, capital=100.0)]
    model = WatchedModel(venue, crashing_world(), population, blocks=blocks, seed=21).run()
    frames = model.frames()
    shared = {
        "outside": frames["markets"].select("block", "market", "exogenous").rows(),
        "gas": frames["venue"]["gas_price"].to_list(),
        "draws": model.cohorts[-1].memory,
        "served": model.__dict__["served"],
    }
    return shared, frames


VARIANTS: dict[str, dict[str, Any]] = {
    "ordering": {"ordering": RandomOrdering(cancels_first=True)},
    "clearing": {"clearing": ContinuousBook(order_limits=((0.0, 3.0),))},
    "oracle": {"oracle": MedianOracle(lag_blocks=7, sources=9, noise=0.0005, min_change=0.0)},
    "oracle without votes": {"oracle": ProposerOracle(lag_blocks=2, min_change=0.002)},
    "mark": {"mark": MedianMark()},
    "last trade as mark": {"mark": LastTradeMark()},
    "margin": {"margin": FlatMargin(initial_margin_fraction=0.1)},
    "funding": {"funding": ClampedPremiumFunding(settlement_seconds=60.0)},
    "no funding": {"funding": NoFunding()},
    "fees": {"fees": FlatFees(maker=0.0, taker=0.002)},
    "liquidation": {"liquidation": FullLiquidation()},
    "enforcement": {"enforcement": KeeperEnforcement(reward_each=1.0)},
    "random scans": {"enforcement": ProtocolEnforcement(scan_seconds=20.0, scans="random")},
    "deleveraging": {"deleveraging": RankedDeleveraging()},
    "guards": {"guards": (CircuitBreaker(threshold=0.05, window_seconds=60.0, halt_seconds=30.0), OpenInterestCap(caps=1e5))},
    "fund": {"insurance_fund": 0.0},
}


@pytest.fixture(scope="module")
def base() -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    return exogenous(thin_venue())


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_a_rule_share_every_exogenous_draw(name: str, base: tuple[dict[str, Any], dict[str, pl.DataFrame]]) -> None:
    """Outside prices, gas, traders' draws and priorities are the same to the last bit, while the markets differ."""
    shared, frames = exogenous(replace(thin_venue(), **VARIANTS[name]))
    for what, values in shared.items():
        if what == "served" and name == "ordering":
            continue  # there the members' places are what the rule changes
        assert values == base[0][what], what
    assert frames_equal(frames, base[1])


FLAT = FlatMargin(initial_margin_fraction=0.05, maintenance_fraction_of_initial=0.6)
SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cap out of reach": ({"guards": ()}, {"guards": (OpenInterestCap(caps=1e15),)}),
    "breaker out of reach": ({"guards": ()}, {"guards": (CircuitBreaker(threshold=10.0),)}),
    "gate without withdrawals": ({"guards": ()}, {"guards": (WithdrawalGate(),)}),
    "nobody to liquidate": ({"liquidation": PartialLiquidation()}, {"liquidation": FullLiquidation(penalty=0.1)}),
    "nobody to find": ({"enforcement": ProtocolEnforcement(lag_blocks=1)}, {"enforcement": KeeperEnforcement(reward_each=9.0)}),
    "scans that find nobody": ({"enforcement": ProtocolEnforcement()}, {"enforcement": ProtocolEnforcement(scan_seconds=9.0)}),
    "nobody to deleverage": ({"deleveraging": NoDeleveraging()}, {"deleveraging": RandomDeleveraging()}),
    "no queue to empty": ({"deleveraging": RankedDeleveraging()}, {"deleveraging": ProRataDeleveraging()}),
    "open interest below the caps": ({"margin": FLAT}, {"margin": OpenInterestMargin(lower_cap=1e15, upper_cap=1e16)}),
    "positions in the first tier": (
        {"margin": FLAT},
        {"margin": TieredMargin(tiers=(((0.0, 20.0), (1e15, 2.0)),), maintenance_fraction_of_initial=0.6)},
    ),
    "positions that are nothing against the skew scale": (
        # Powers of two: products that no order of the factors rounds differently.
        {"margin": replace(FLAT, initial_margin_fraction=0.0625, maintenance_fraction_of_initial=0.5)},
        {"margin": SkewMargin(skew_scale=1e300, size_fraction=2.0, least_fraction=0.0625, maintenance_fraction_of_initial=0.5)},
    ),
    "funding within its cap": (
        {"funding": ClampedPremiumFunding(settlement_seconds=60.0, cap=math.inf)},
        {"funding": ClampedPremiumFunding(settlement_seconds=60.0, cap=0.5)},
    ),
    "premium within the band": (
        {"funding": ClampedPremiumFunding(settlement_seconds=60.0, band=10.0)},
        {"funding": ClampedPremiumFunding(settlement_seconds=60.0, band=20.0)},
    ),
    "votes within their clamp": (
        {"funding": PremiumVoteFunding(settlement_seconds=60.0, vote_clamp_factor=1e3, clamp_factor=1e3)},
        {"funding": PremiumVoteFunding(settlement_seconds=60.0, vote_clamp_factor=1e4, clamp_factor=1e4)},
    ),
    "sources that agree": ({"oracle": MedianOracle(sources=1)}, {"oracle": MedianOracle(sources=5)}),
    "median and mean of one": ({"oracle": MedianOracle(sources=1)}, {"oracle": MeanOracle(sources=1)}),
    "no fees to compare": ({"ordering": RandomOrdering()}, {"ordering": PriorityFeeOrdering()}),
    "orders within their limit": ({"clearing": ContinuousBook(order_limits=())}, {"clearing": ContinuousBook()}),
}


@pytest.mark.parametrize("name", SAME)
def test_where_a_rule_never_binds_nothing_differs(name: str) -> None:
    """Two variants in a calm market in which neither has anything to do give the same tables, to the last bit."""
    venue = thin_venue(mark=OracleMark())
    world = Diffusion(volatility=(0.3, 0.4, 0.5), jump_rate=0.0)
    people = [group for group in everybody() if group.name not in ("longs", "keepers", "takers", "scalpers")]
    people.append(Group(name="longs", strategy=Holders(leverage=3.0), members=40, capital=4_003.0))
    first, second = (
        PerpModel(replace(venue, **changes), world, people, blocks=400, seed=3, recording=LOOK, check=True).run() for changes in SAME[name]
    )
    left, right = first.frames(), second.frames()
    assert left["liquidations"].is_empty()
    assert left["fills"].height > 100
    assert frames_equal(left, right) == []
    for table in ("accounts", "positions", "markets", "funds"):
        without = {"open_interest_cap", "open_interest_lower_cap", "open_interest_upper_cap"}
        for field in set(getattr(first.state, table).dtype.names) - without:
            assert np.array_equal(getattr(first.state, table)[field], getattr(second.state, table)[field]), (table, field)
