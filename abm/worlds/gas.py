"""The price of a transaction, which rises when everybody wants to trade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.parameters import Parameters, parameter
from abm.state import Table, empty_table

GAS_TERMS = np.dtype(
    [
        ("calm", "f8"),  # USD per keeper transaction in calm times
        ("elasticity", "f8"),
        ("most", "f8"),  # largest multiple of the base
    ],
    align=True,
)


@dataclass(frozen=True, kw_only=True)
class Gas(Parameters):
    """Gas price = base x (volatility now / usual volatility)^elasticity, between the base and a multiple of it.

    On 12 March 2020 gas on Ethereum rose about sixfold while prices fell by half, and liquidation keepers stopped bidding.
    """

    base: float = parameter(0.1, unit="USD per keeper transaction", least=0.0)
    elasticity: float = parameter(1.0, unit="dimensionless", least=0.0, most=10.0, about="0: gas does not react to volatility")
    most_multiple: float = parameter(20.0, unit="multiple of the base", least=1.0)

    def terms(self) -> Table:
        """One record of GAS_TERMS."""
        terms = empty_table(1, GAS_TERMS)
        terms["calm"] = self.base
        terms["elasticity"] = self.elasticity
        terms["most"] = self.most_multiple
        return terms
