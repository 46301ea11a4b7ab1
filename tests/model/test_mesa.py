"""The model as an ordinary Mesa model: agent sets, data collection, stepping by hand."""

from __future__ import annotations

import gc
import weakref

import mesa
import numpy as np
import pytest

import abm


class Holder(abm.Trader):
    """Buys one coin in its first block and keeps it."""

    def step(self) -> None:
        if self.position("BTC") == 0.0:
            self.buy("BTC", 0.1)


def small_model(blocks: int = 120, **options: object) -> abm.PerpModel:
    population = [
        abm.Group(name="takers", strategy=abm.Takers(idle_seconds=10.0), members=30, capital=5_000.0),
        abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=5, capital=100_000.0, margin="isolated"),
    ]
    return abm.PerpModel(abm.PRESETS["dydx_v4"](), abm.Diffusion(), population, blocks=blocks, seed=7, check=True, **options)


def test_cohorts_and_traders_are_agents_of_the_model() -> None:
    model = small_model(spare_accounts=2)
    trader = Holder(model, capital=20_000.0)
    assert isinstance(model, mesa.Model)
    assert len(model.agents) == 3
    assert set(model.agents_by_type) == {abm.Cohort, Holder}
    assert model.agents.select(agent_type=Holder).get("row") == [trader.row]
    assert model.agents_by_type[abm.Cohort].get("name") == ["takers", "makers"]


def test_the_data_collector_follows_cohorts_and_markets() -> None:
    model = small_model(spare_accounts=1)
    Holder(model, capital=20_000.0)
    collector = mesa.DataCollector(
        model_reporters={"mark": lambda m: float(m.state.markets["mark"][0])}, agent_reporters={"equity": "equity"}
    )
    for _ in range(20):
        model.step()
        collector.collect(model)
    assert model.steps == 20
    frame = collector.get_agent_vars_dataframe()
    assert len(frame) == 20 * 3
    assert collector.get_model_vars_dataframe()["mark"].iloc[-1] == model.state.markets["mark"][0]
    assert frame["equity"].sum() > 0.0


def test_a_scripted_trader_trades_closes_and_rests_orders() -> None:
    model = small_model(spare_accounts=1)
    trader = Holder(model, capital=20_000.0)
    model.run(40)
    assert trader.position("BTC") == pytest.approx(0.1)
    assert model.state.accounts["cohort"][trader.row] == -1
    assert trader.equity == pytest.approx(20_000.0, rel=0.01)
    trader.step = lambda: None  # type: ignore[method-assign]
    trader.close("BTC")
    model.step()
    assert trader.position("BTC") == 0.0
    trader.buy("ETH", 1.0, limit=trader.price("ETH") * 0.9, post_only=True)
    model.step()
    assert model.state.accounts["open_orders"][trader.row] == 1
    trader.cancel("ETH")
    model.step()
    assert model.state.accounts["open_orders"][trader.row] == 0


def test_running_in_pieces_is_running_at_once() -> None:
    at_once = small_model().run()
    in_pieces = small_model()
    for _ in range(4):
        in_pieces.run(30)
    assert np.array_equal(at_once.state.accounts, in_pieces.state.accounts)
    assert all(at_once.frames()[name].equals(frame) for name, frame in in_pieces.frames().items())


def test_wrong_use_says_what_was_expected() -> None:
    model = small_model(spare_accounts=1)
    trader = Holder(model)
    with pytest.raises(ValueError, match="no spare account left"):
        Holder(model)
    with pytest.raises(KeyError, match="no market 'DOGE'; there are BTC, ETH, SOL"):
        trader.buy("DOGE", 1.0)
    with pytest.raises(ValueError, match="positive number of coins"):
        trader.sell("BTC", -1.0)
    group = abm.Group(name="same", strategy=abm.Takers(), members=1)
    with pytest.raises(abm.ParameterError, match="two cohorts are called same"):
        abm.PerpModel(abm.PRESETS["dydx_v4"](), abm.Diffusion(), [group, group], blocks=1)
    with pytest.raises(abm.ParameterError, match="nobody trades"):
        abm.PerpModel(abm.PRESETS["dydx_v4"](), abm.Diffusion(), [], blocks=1)


def test_an_isolated_only_market_has_a_fund_of_its_own() -> None:
    from dataclasses import replace

    venue = abm.PRESETS["dydx_v4"]()
    listings = (*venue.listings[:2], replace(venue.listings[2], isolated_only=True, insurance_fund=5_000.0))
    group = abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=5, capital=100_000.0, margin="isolated")
    model = abm.PerpModel(replace(venue, listings=listings), abm.Diffusion(), [group], blocks=50, seed=1, check=True).run()
    assert model.state.funds["balance"].tolist() == [1_000_000.0, 5_000.0]
    assert model.state.markets["fund"].tolist() == [0, 0, 1]


def test_a_released_model_is_gone() -> None:
    model = small_model()
    model.run(2)
    reference = weakref.ref(model)
    model.release()
    del model
    gc.collect()
    assert reference() is None
