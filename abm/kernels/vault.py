"""Quotes of a resident vault that skews by its own leverage: dYdX v4 MegaVault (`protocol/x/vault/keeper/orders.go`)."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel

BUY = 1
SELL = -1

# Rounding to a grid must not lose a step to the last bits of a division, in steps of the grid.
ROUNDING = 1e-6

QUOTE = np.dtype(
    [
        ("tick", "i8"),
        ("lots", "i8"),
        ("side", "i4"),
        ("post_only", "i4"),
    ],
    align=True,
)


@inline
def millionths_above(value):
    """The smallest multiple of 1e-6 at or above `value`: the chain keeps leverage and skew in parts per million."""
    return math.ceil(value * 1e6 - ROUNDING) / 1e6


@inline
def vault_spread(least_spread, buffer, min_change_fraction):
    """Distance of quotes without skew, fraction of the oracle price: max(least spread, buffer + minimum oracle change)."""
    return max(least_spread, buffer + min_change_fraction)


@inline
def vault_leverage(equity, inventory, oracle):
    """Signed leverage: `inventory` (coins, long > 0) at the oracle price over `equity` > 0 (USD)."""
    return millionths_above(inventory * oracle / equity)


@inline
def vault_skew(side, layer, leverage, size_fraction, skew_factor):
    """Skew of the quote of one side and layer (0 = nearest), fraction of the spread; positive moves both sides up.

    With x = skew factor x (leverage - side-signed layer x size): the side that reduces inventory moves by -x toward the
    oracle and beyond, the side that adds to it moves away quadratically, (x - 1)^2 - 1 for asks when short and 1 - (x +
    1)^2 for bids when not short.
    """
    scaled = millionths_above((leverage + side * layer * size_fraction) * skew_factor)
    if side == SELL and leverage < 0.0:
        return millionths_above((scaled - 1.0) ** 2) - 1.0
    if side == BUY and leverage >= 0.0:
        return 1.0 - millionths_above((scaled + 1.0) ** 2)
    return -scaled


@inline
def vault_price(side, oracle, spread, skew):
    """Quote in USD before rounding: oracle x (1 + (1 + skew) spread) to sell, oracle x (1 - (1 - skew) spread) to buy."""
    return oracle * (1.0 - side * (1.0 - side * skew) * spread)


@inline
def vault_tick(side, price, tick):
    """The price in ticks, asks rounded up and bids down, at least one tick."""
    steps = price / tick
    rounded = math.ceil(steps - ROUNDING) if side == SELL else math.floor(steps + ROUNDING)
    return max(1, int(rounded))


@inline
def vault_lots(equity, oracle, size_fraction, lot):
    """Size of every quote in lots: size fraction x equity / oracle price, rounded down; none without equity."""
    return max(0, int(math.floor(size_fraction * equity / oracle / lot + ROUNDING)))


@inline
def is_post_only(side, leverage):
    """Whether the quote may only add liquidity: when it would add to the inventory."""
    return side * leverage >= 0.0


@inline
def write_vault_quotes(quotes, equity, lots, oracle, layers, spread, skew_factor, size_fraction, tick, lot, close_only):
    """Writes the quotes, layer by layer the ask and then the bid, to the head of `quotes`; returns how many there are.

    `equity` in USD, `lots` the inventory (long > 0), `oracle` in USD, `spread` and `size_fraction` as fractions. A
    close-only vault quotes only the side that reduces its inventory, and no more than that in total. Without equity it
    does not quote.
    """
    if equity <= 0.0:
        return 0
    size = vault_lots(equity, oracle, size_fraction, lot)
    if size == 0:
        return 0
    leverage = vault_leverage(equity, lots * lot, oracle)
    closable = abs(lots)
    count = 0
    for layer in range(layers):
        for side in (SELL, BUY):
            quoted = size
            if close_only:
                if side * lots >= 0:
                    continue
                quoted = min(size, closable)
                closable -= quoted
            if quoted == 0:
                continue
            skew = vault_skew(side, layer, leverage, size_fraction, skew_factor)
            quotes[count].tick = vault_tick(side, vault_price(side, oracle, spread, skew), tick)
            quotes[count].lots = quoted
            quotes[count].side = side
            quotes[count].post_only = 1 if is_post_only(side, leverage) else 0
            count += 1
    return count


@kernel
def vault_quotes(
    quotes,
    equity,
    lots,
    oracle,
    layers,
    least_spread,
    buffer,
    min_change_fraction,
    skew_factor,
    size_fraction,
    tick,
    lot,
    close_only,
):
    """`write_vault_quotes` as Python calls it: writes to `quotes` (2 x layers,) and returns how many there are."""
    spread = vault_spread(least_spread, buffer, min_change_fraction)
    return write_vault_quotes(quotes, equity, lots, oracle, layers, spread, skew_factor, size_fraction, tick, lot, close_only)
