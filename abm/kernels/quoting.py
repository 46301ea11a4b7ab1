"""Where a market maker quotes: reservation price and spread of Avellaneda and Stoikov.

"High-frequency trading in a limit order book", Quantitative Finance 8 (2008). Any consistent unit of price will do; the strategy
uses fractions of the index, so variance is that of returns and risk aversion is per unit of inventory and of return.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline


@inline
def reservation_price(price, inventory, risk_aversion, variance_left):
    """Price at which the maker is indifferent: s - q gamma sigma^2 (T - t), the variance of the time left given as one number."""
    return price - inventory * risk_aversion * variance_left


@inline
def optimal_spread(risk_aversion, variance_left, arrival_decay):
    """Full spread around the reservation price: gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma / k).

    arrival_decay k: how fast the rate of incoming orders falls with distance, per unit of price. At gamma = 0 it is 2 / k.
    """
    if risk_aversion <= 0.0:
        return 2.0 / arrival_decay
    return risk_aversion * variance_left + 2.0 / risk_aversion * math.log1p(risk_aversion / arrival_decay)
