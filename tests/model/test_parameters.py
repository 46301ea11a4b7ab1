"""Parameters hold the type that they declare, whoever wrote them."""

from __future__ import annotations

import pytest

import abm
from abm.parameters import ParameterError


def test_a_whole_number_for_a_float_is_a_float():
    rule = abm.OpenInterestCap(caps=100_000)
    assert type(rule.caps) is float
    assert repr(rule) == repr(abm.OpenInterestCap(caps=100_000.0))
    several = abm.OpenInterestCap(caps=(1, 2.5))
    assert several.caps == (1.0, 2.5)
    assert {type(cap) for cap in several.caps} == {float}


def test_a_float_without_fraction_is_a_whole_number_where_one_is_declared():
    rule = abm.ProtocolEnforcement(lag_blocks=3.0)
    assert type(rule.lag_blocks) is int
    with pytest.raises(ParameterError, match=r"ProtocolEnforcement.lag_blocks: 2.5 is not a whole number of blocks"):
        abm.ProtocolEnforcement(lag_blocks=2.5)


def test_truth_values_stay_what_they_are():
    assert abm.RandomOrdering(cancels_first=True).cancels_first is True


SHARED = [getattr(abm, name) for name in abm.__all__ if hasattr(getattr(abm, name), "market_shares")]


@pytest.mark.parametrize("strategy", SHARED, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(("shares", "message"), [((1.0, 1.0), "2 values for 3 markets"), ((0.0,) * 3, "at least one market needs a share")])
def test_shares_of_markets_fit_the_markets(strategy: type[abm.Strategy], shares: tuple[float, ...], message: str):
    group = abm.Group(name="group", strategy=strategy(market_shares=shares), members=2)
    with pytest.raises(ParameterError, match=rf"{strategy.__name__}.market_shares: {message}"):
        abm.PerpModel(abm.PRESETS["dydx_v4"](), abm.Diffusion(), [group], blocks=1)


def test_all_who_choose_among_markets_are_looked_at():
    assert {cls.__name__ for cls in SHARED} >= {
        "Scalpers",
        "Hedgers",
        "LiquidityProviders",
        "PoolProviders",
        "RangeProviders",
        "Takers",
        "Whales",
    }
