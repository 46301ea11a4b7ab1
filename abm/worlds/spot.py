"""The outside spot market that hedges and arbitrage go to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from abm.parameters import Parameters, parameter, per_market
from abm.state import Table, empty_table
from abm.worlds.options import OptionMarket

YEAR_SECONDS = 365.0 * 86_400.0
FINANCING_SECONDS = 3600.0

SPOT_TERMS = np.dtype(
    [
        ("depth", "f8"),  # USD that move the price by one percent; infinite: the venue never moves the outside price
        ("fee", "f8"),  # fraction of notional, half the spread included
        ("keep", "f8"),  # share of the push that is left after one block
        ("now_weight", "f8"),  # of one block in the short average of squared returns
        ("usual_weight", "f8"),  # of one block in the long one
        ("financing_rate", "f8"),  # fraction per financing period
        ("financing_blocks", "i8"),  # length of that period
    ],
    align=True,
)


@dataclass(frozen=True, kw_only=True)
class Spot(Parameters):
    """Outside depth and costs, and how fast everybody's estimate of volatility follows.

    An infinite depth makes outside prices exogenous: nothing on the venue can move them. Impact is linear in size and decays
    exponentially, the simplest form in which hedging a cascade costs something and feeds back.
    """

    depth: float | tuple[float, ...] = parameter(math.inf, unit="USD per percent of price", least=1.0)
    half_life_seconds: float = parameter(60.0, unit="seconds", least=1e-3, about="of the push that an order leaves")
    fee: float | tuple[float, ...] = parameter(0.0002, unit="fraction of notional", least=0.0, most=0.1)
    financing_rate: float = parameter(0.06, unit="fraction per year", least=0.0, most=10.0, about="on borrowed cash and coins")
    volatility_seconds: float = parameter(300.0, unit="seconds", least=1e-3, about="half-life of the short volatility estimate")
    usual_volatility_seconds: float = parameter(21_600.0, unit="seconds", least=1e-3, about="half-life of the long one")
    options: OptionMarket = parameter(OptionMarket(), unit="", about="what options on the index cost")

    def terms(self, n_markets: int, seconds_per_block: float) -> Table:
        """One record of SPOT_TERMS per market."""
        terms = empty_table(n_markets, SPOT_TERMS)
        terms["depth"] = per_market(self.depth, n_markets, "Spot.depth")
        terms["fee"] = per_market(self.fee, n_markets, "Spot.fee")
        terms["keep"] = 0.5 ** (seconds_per_block / self.half_life_seconds)
        terms["now_weight"] = 1.0 - 0.5 ** (seconds_per_block / self.volatility_seconds)
        terms["usual_weight"] = 1.0 - 0.5 ** (seconds_per_block / self.usual_volatility_seconds)
        blocks = max(1, round(FINANCING_SECONDS / seconds_per_block))
        terms["financing_blocks"] = blocks
        terms["financing_rate"] = self.financing_rate * blocks * seconds_per_block / YEAR_SECONDS
        return terms
