"""A venue of a few accounts and orders, built from the plain numbers of a reference row.

Rows speak of prices in USD and sizes in coins; tables hold whole ticks and lots. Tick and lot are chosen so that
every number of the row is a whole number of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numba
import numpy as np

from abm.kernels.book import rest_order
from abm.kernels.margin import account_risk, position_margin
from abm.state import MOST_TICKS, NEVER, Capacity, State

CAPACITY = Capacity(orders=1 << 10, conditionals=1, transactions=1, records=8)
PLENTY = 1e12  # USD: collateral of a maker who can carry any order
TABLES = ("accounts", "positions", "markets", "margin_tiers", "funds", "venue", "levels", "orders", "deleveragings")


def common_step(values: Iterable[float]) -> float:
    """The largest number that all values are whole multiples of, as they are written in decimal; 1 when there is
    none."""
    fractions = [abs(Fraction(repr(float(value)))) for value in values if value != 0]
    if not fractions:
        return 1.0
    denominator = math.lcm(*(fraction.denominator for fraction in fractions))
    return float(Fraction(math.gcd(*(int(fraction * denominator) for fraction in fractions)), denominator))


def price_step(prices: Sequence[float]) -> float:
    """A tick that makes every price a level of the book.

    Where the common step of the prices is too fine for a book of that height, the tick that comes closest to having
    them all.
    """
    step = common_step(prices)
    if max(prices) / step < MOST_TICKS - 2:
        return step
    steps = max(prices) / np.arange(MOST_TICKS // 2, MOST_TICKS - 2)
    ratios = np.asarray(prices)[:, np.newaxis] / steps
    return float(steps[np.argmin(np.abs(ratios - np.round(ratios)).max(axis=0))])


def empty_venue(n_accounts: int, symbols: Sequence[str], levels: int = 4) -> State:
    """Accounts without money and markets without prices."""
    state = State(n_accounts, symbols, [levels] * len(symbols), 1.0, CAPACITY)
    if numba.config.DISABLE_JIT:
        for name in TABLES:
            setattr(state, name, getattr(state, name).view(np.recarray))
    return state


def one_market(initial: float, maintenance: float, *, lower_cap: float | None = 0.0, upper_cap: float | None = 0.0) -> State:
    """One market with its margin fractions and open-interest caps in USD, and no accounts."""
    state = empty_venue(0, ["COIN"])
    state.margin_tiers["initial"] = initial
    state.margin_tiers["maintenance"] = maintenance
    state.markets["open_interest_lower_cap"] = lower_cap or 0.0
    state.markets["open_interest_upper_cap"] = upper_cap or 0.0
    return state


def margin_of(state: State, notional: float, open_interest: float = 0.0) -> tuple[float, float]:
    """(initial, maintenance) margin in USD of a position of `notional` USD in the first market."""
    initial, maintenance = position_margin(state.markets, state.margin_tiers, 0, float(notional), float(open_interest), 0.0)
    return initial, maintenance


def set_positions(
    state: State,
    account: int,
    sizes: Mapping[int, float],
) -> None:
    """Gives the account positions of so many coins by market; open interest becomes the sum of longs."""
    for market, size in sizes.items():
        lot = float(state.markets["lot"][market])
        lots = round(size / lot)
        assert math.isclose(lots * lot, size, rel_tol=1e-12), f"{size} coins are not a whole number of lots of {lot}"
        state.positions["lots"][account, market] = lots
        state.positions["entry_value"][account, market] = size * state.markets["mark"][market]
    state.markets["open_interest"] = np.maximum(state.positions["lots"], 0).sum(axis=0)


def one_account(quote_balance: float, positions: Sequence[Mapping[str, float]]) -> State:
    """One cross-margined account; each position {size, price, mmf, imf?} in a market of its own.

    A row without initial margin fraction does not depend on it; the maintenance fraction stands for it.
    """
    state = empty_venue(1, [f"COIN{k}" for k in range(max(1, len(positions)))])
    state.accounts["collateral"] = quote_balance
    state.markets["lot"] = 1.0
    for k, position in enumerate(positions):
        state.markets["lot"][k] = common_step([position["size"]])
        state.markets["mark"][k] = state.markets["oracle"][k] = position["price"]
        state.margin_tiers["maintenance"][k] = position["mmf"]
        state.margin_tiers["initial"][k] = position.get("imf", position["mmf"])
    set_positions(state, 0, {k: position["size"] for k, position in enumerate(positions)})
    return state


def risk_of(state: State, account: int = 0) -> tuple[float, float, float]:
    """(equity, initial margin, maintenance margin) in USD."""
    risk: tuple[float, float, float] = account_risk(state.accounts, state.positions, state.markets, state.margin_tiers, account)
    return risk


def book_of(
    bids: Sequence[Sequence[Any]],
    asks: Sequence[Sequence[Any]],
    impact_notional: float,
    oracle: float,
) -> State:
    """One market with a book; each level (price, size, whether its maker can carry the order) is an order of its own
    account."""
    levels = [(1, *level) for level in bids] + [(-1, *level) for level in asks]
    tick = price_step([float(price) for _, price, *_ in levels]) if levels else 1.0
    lot = common_step(float(size) for _, _, size, *_ in levels)
    highest = max((round(price / tick) for _, price, *_ in levels), default=1)
    state = empty_venue(max(1, len(levels)), ["COIN"], highest + 2)
    state.markets["tick"] = tick
    state.markets["lot"] = lot
    state.markets["unit"] = tick * lot
    state.markets["mark"] = state.markets["oracle"] = oracle
    state.markets["impact_notional"] = impact_notional
    state.margin_tiers["initial"] = 1.0
    state.margin_tiers["maintenance"] = 1.0
    for account, (side, price, size, *carried) in enumerate(levels):
        state.accounts["collateral"][account] = PLENTY if all(carried) else 0.0
        rest_order(
            state.venue,
            state.accounts,
            state.markets,
            state.levels,
            state.bitmap,
            state.orders,
            state.expiry,
            account,
            0,
            side,
            round(price / tick),
            round(size / lot),
            0,
            NEVER,
        )
    return state
