"""Hedges outside the venue: what they hold, what they pay, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abm.agents.base import Group, Hedge, NoHedge
from abm.agents.hedgers import Hedgers
from abm.agents.outside_hedges import OptionHedge, SpotHedge
from abm.agents.passive import SteadyDepth
from abm.agents.pool_providers import PoolProviders
from abm.agents.takers import Takers
from abm.mechanisms.presets import PRESETS
from abm.model import PerpModel
from abm.parameters import ParameterError
from abm.testing.comparison import changed_fields, tables_of
from abm.venue_pair import VenuePair
from abm.worlds.diffusion import Diffusion
from abm.worlds.options import OptionMarket
from abm.worlds.spot import Spot
from tests.model.small_worlds import EVERY_BLOCK, SMALL, Idle, OnePerMarket, listing, makers, path, plain_diffusion, plain_venue

FREE = Spot(fee=0.0, financing_rate=0.0, options=OptionMarket(markup=1.0, skew=0.0, fee=0.0))
OWNERS = Hedgers(exposure=1.0, long_share=1.0, ratio=0.0, reduced_ratio=0.0, reserve=0.0)


def run(world, groups, blocks, spot=FREE, venue=None, **options):
    model = PerpModel(
        venue or plain_venue(), world, groups, blocks=blocks, spot=spot, check=True, capacity=SMALL, recording=EVERY_BLOCK, **options
    )
    return model.run()


def outside(model, cohort="owners"):
    """USD gained outside, at every look."""
    rows = model.frames()["cohorts"]
    return rows.filter(rows["cohort"] == cohort)["outside"].to_numpy()


@pytest.mark.parametrize(("last", "share", "moneyness"), [(900.0, 1.0, 1.0), (900.0, 0.5, 1.0), (900.0, 1.0, 0.95), (1100.0, 1.0, 1.0)])
def test_a_put_pays_what_the_index_is_below_its_strike(last, share, moneyness):
    """Coins worth 1,000 at 1,000 USD; without volatility the put costs its fee alone; then the index jumps, and the put expires."""
    hedge = OptionHedge(share=share, moneyness=moneyness, expiry_seconds=20.0, look_seconds=0.0)
    spot = replace(FREE, options=replace(FREE.options, fee=0.001))
    model = run(
        path(*[1000.0] * 10, *[last] * 20), [Group(name="owners", strategy=OWNERS, members=1, capital=1000.0, hedge=hedge)], 22, spot
    )
    payoff = share * max(1000.0 * moneyness - last, 0.0)
    assert outside(model)[-1] == pytest.approx(last - 1000.0 + payoff - share * 1.0, abs=1e-9)
    assert outside(model)[5] == pytest.approx(-share, abs=1e-9)
    assert (model.state.outside["options"] == 0.0).all()


def test_a_premium_is_paid_for_what_is_then_held_and_a_new_contract_follows_the_last():
    """A purchase at the model's price changes wealth by its fee alone; contracts follow one another without end."""
    world = plain_diffusion(volatility=1.0)
    groups = [
        Group(name="owners", strategy=Idle(), members=3, capital=1000.0, hedge=OptionHedge(form="straddle", share=2.0, expiry_seconds=50.0))
    ]
    model = PerpModel(plain_venue(), world, groups, blocks=500, spot=FREE, check=True, capacity=SMALL, recording=EVERY_BLOCK)
    bought = 0
    for _ in range(500):
        before = model.state.options.copy()
        cash = model.state.outside["cash"].copy()
        model.step()
        for row, was in zip(model.state.options, before, strict=True):
            if was["lifetime"] > 0:
                bought += 1
                assert row["puts"] == row["calls"] == was["wanted_puts"] > 0.0
                assert row["strike"] == model.state.markets["index"][0]
                paid = cash[row["account"], 0] - model.state.outside["cash"][row["account"], 0]
                assert paid == pytest.approx(model.state.outside["options"][row["account"], 0], abs=1e-9)
                assert paid > 0.0
            if was["puts"] > 0.0 and model.block == was["expires"]:
                move = model.state.markets["index"][0] - was["strike"]
                paid = model.state.outside["cash"][row["account"], 0] - cash[row["account"], 0]
                assert paid == pytest.approx(was["puts"] * abs(move), abs=1e-9)
    assert bought > 12


@pytest.mark.parametrize("markup", [1.0, 2.0])
def test_straddles_cost_their_markup(markup):
    """At the volatility that there is they cost nothing on average; at twice that, half of the premium is lost."""
    spot = replace(FREE, options=replace(FREE.options, markup=markup))
    world = plain_diffusion(initial_price=1000.0, volatility=1.0)
    symbols = tuple(listing(f"M{number}") for number in range(10))
    hedge = OptionHedge(form="straddle", share=1.0, expiry_seconds=20.0, look_seconds=0.0)
    groups = [Group(name="owners", strategy=Idle(), members=1, capital=1000.0, hedge=hedge)]
    model = PerpModel(plain_venue(*symbols), world, groups, blocks=8_000, spot=spot, capacity=SMALL, recording=EVERY_BLOCK)
    gains, premiums = [], []
    for _ in range(8_000):
        before, cash = model.state.options.copy(), model.state.outside["cash"][0].copy()
        model.step()
        change = model.state.outside["cash"][0] - cash
        premiums += list(-change[before["lifetime"] > 0])
        gains += list(change[(before["puts"] > 0.0) & (before["expires"] == model.block)])
    ratio = np.array(gains) / np.mean(premiums)
    error = ratio.std() / np.sqrt(len(ratio))
    assert len(ratio) > 2_000
    assert ratio.mean() == pytest.approx(1.0 / markup, abs=4.0 * error)
    assert 4.0 * error < 0.1


def test_a_spot_hedge_offsets_a_position_to_the_coin():
    venue = plain_venue(listing(), listing("ETH"))
    holders = Group(
        name="holders",
        strategy=OnePerMarket(leverage=3.0),
        members=2,
        capital=1000.0,
        latency=1.0,
        hedge=SpotHedge(band=0.0, look_seconds=0.0),
    )
    model = run(plain_diffusion(), [makers(SteadyDepth(density=1e6, reach=0.03, levels=10)), holders], 60, venue=venue)
    held = model.state.positions["lots"][1:] * model.state.markets["lot"]
    assert (held != 0.0).sum() == 2
    assert model.state.outside["size"][1:] == pytest.approx(-held, abs=1e-6)
    total = outside(model, "holders") + [
        row["equity"] - row["net_deposits"] for row in model.frames()["cohorts"].to_dicts() if row["cohort"] == "holders"
    ]
    assert total[10:] == pytest.approx(total[10], abs=1.0)  # of 6,000 USD of positions, whatever the price does


def test_a_hedge_of_pool_shares_offsets_their_part_of_the_pool():
    providers = Group(
        name="providers",
        strategy=PoolProviders(loss_limit=1.0, review_seconds=5.0),
        members=5,
        capital=1e6,
        hedge=SpotHedge(band=0.0, look_seconds=0.0),
    )
    takers = Group(name="takers", strategy=Takers(), members=60, capital=20_000.0)
    model = run(Diffusion(), [providers, takers], 400, venue=PRESETS["gmx_v2"]())
    state = model.state
    house = state.positions["lots"][state.markets["house"], np.arange(3)] * state.markets["lot"]
    part = state.shares["shares"][:5] / state.pools["shares"]
    assert (part > 0.0).all()
    assert (house != 0.0).all()
    lag = 0.05 * np.abs(house).max(axis=0)  # what was traded in the last blocks
    assert (np.abs(state.outside["size"][:5] + part * house) <= lag * part + state.markets["lot"]).all()


@pytest.mark.parametrize(
    "hedge", [SpotHedge(look_seconds=0.0), OptionHedge(look_seconds=0.0), OptionHedge(form="straddle", look_seconds=0.0)]
)
@pytest.mark.parametrize("margin", ["cross", "isolated"])
def test_a_hedge_writes_orders_and_nothing_else(hedge: Hedge, margin):
    groups = [
        makers(SteadyDepth(density=1e6, reach=0.03, levels=10)),
        Group(name="takers", strategy=Takers(), members=40, capital=20_000.0, margin=margin, hedge=hedge),
    ]
    model = PerpModel(PRESETS["dydx_v4"](), Diffusion(), groups, blocks=60, spot=FREE, check=True)
    allowed = {"spot_orders": None, "options": {"wanted_puts", "wanted_calls", "moneyness", "lifetime"}, "venue": {"spot_orders"}}
    wrote = set()
    cohort = model.cohorts[1]
    decide = hedge.decide

    def watched(view, memory):
        before = tables_of(model.state)
        decide(view, memory)
        after = tables_of(model.state)
        for name, table in after.items():
            if name == "spot_orders":
                continue
            changed = set(changed_fields(before[name], table))
            assert changed <= (allowed.get(name) or set()), name
            wrote.update(changed)

    class Watching:
        decide = staticmethod(watched)

    cohort.hedge = Watching()
    model.run()
    assert wrote


@pytest.mark.parametrize("hedge", [SpotHedge(), OptionHedge(form="straddle")])
def test_the_same_seed_gives_the_same_bytes_and_no_hedge_changes_nothing_on_the_venue(hedge):
    def records(chosen):
        groups = [
            makers(SteadyDepth(density=1e6, reach=0.03, levels=10)),
            Group(name="takers", strategy=Takers(), members=30, capital=20_000.0, hedge=chosen),
        ]
        return PerpModel(PRESETS["dydx_v4"](), Diffusion(), groups, blocks=120, seed=3).run().frames()

    first, second, without = records(hedge), records(hedge), records(NoHedge())
    assert all(first[name].equals(second[name], null_equal=True) for name in first)
    assert first["fills"].equals(without["fills"])  # the outside market is infinitely deep here: a hedge is nobody's business
    assert not first["cohorts"].equals(without["cohorts"])


def test_beside_each_other_both_venues_have_their_hedges():
    def owners(name):
        return [Group(name=name, strategy=OWNERS, members=2, capital=1000.0, hedge=OptionHedge(expiry_seconds=20.0, look_seconds=0.0))]

    venue = plain_venue()
    world = path(*[1000.0] * 10, *[900.0] * 20)
    pair = VenuePair((venue, venue), world, (owners("here"), owners("there")), blocks=22, spot=FREE, check=True, recording=EVERY_BLOCK)
    for model, name in zip(pair.run().models, ("here", "there"), strict=True):
        assert (model.state.options["strike"] == 1000.0).all()
        assert (model.state.outside["size"] == 1.0).all()
        assert outside(model, name)[-1] == pytest.approx(0.0, abs=1e-9)


def test_a_form_that_is_unknown_is_refused():
    with pytest.raises(ParameterError, match="OptionHedge.form: 'collar' is not one of protection, straddle"):
        OptionHedge(form="collar")


def test_reversion_keeps_the_price_near_where_it_began():
    """Variance of the log price of an Ornstein-Uhlenbeck process: v^2 (1 - exp(-2 k t)) / (2 k)."""
    pull, years = 20.0, 1.0 / 365.0
    groups = [Group(name="owners", strategy=Idle(), members=1, capital=1.0)]
    ends = []
    for seed in range(12):
        world = plain_diffusion(volatility=1.0, reversion=pull, initial_price=1000.0)
        symbols = tuple(listing(f"M{number}") for number in range(20))
        venue = plain_venue(*symbols, seconds_per_block=60.0)
        model = PerpModel(venue, world, groups, blocks=1440, seed=seed, capacity=SMALL, recording=EVERY_BLOCK).run()
        ends += list(np.log(model.state.markets["index"] / 1000.0))
    variance = (years / (2.0 * pull)) * (1.0 - np.exp(-2.0 * pull))
    assert np.var(ends) == pytest.approx(variance, rel=4.0 * np.sqrt(2.0 / len(ends)))
    assert variance < 0.1 * years  # of what it would be without
