"""The outside market for options: how dear they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.parameters import Parameters, parameter
from abm.state import Table, empty_table

YEAR_SECONDS = 365.0 * 86_400.0

OPTION_TERMS = np.dtype(
    [
        ("markup", "f8"),  # implied over usual volatility
        ("skew", "f8"),  # implied volatility per unit of ln(strike / index) / sqrt(years)
        ("rate", "f8"),  # interest, per year
        ("fee", "f8"),  # fraction of the index per coin
        ("block_years", "f8"),  # length of a block
    ],
    align=True,
)


@dataclass(frozen=True, kw_only=True)
class OptionMarket(Parameters):
    """European options on each market's index, sold in any amount at the price of Black and Scholes; there is nothing to exercise early.

    At the money their volatility is `markup` times the usual one (the long average of squared returns that `Spot` keeps), beyond it
    markup x usual + `skew` ln(strike / index) / sqrt(years left): a negative skew makes puts below the index dear. Their trade does not
    move the index. The fee is that of deribit.com/kb/fees; markup and skew are chosen.
    """

    markup: float = parameter(1.1, unit="implied over usual volatility", least=0.0, most=100.0)
    skew: float = parameter(-0.1, unit="implied volatility per unit of ln(strike / index) / sqrt(years)", least=-10.0, most=10.0)
    rate: float = parameter(0.0, unit="interest per year", least=-1.0, most=10.0)
    fee: float = parameter(0.0003, unit="fraction of the index per coin", least=0.0, most=1.0)

    def terms(self, seconds_per_block: float) -> Table:
        """One record of OPTION_TERMS."""
        terms = empty_table(1, OPTION_TERMS)
        for field in ("markup", "skew", "rate", "fee"):
            terms[field] = getattr(self, field)
        terms["block_years"] = seconds_per_block / YEAR_SECONDS
        return terms
