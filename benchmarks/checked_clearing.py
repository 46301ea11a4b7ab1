"""Clearing with all checks: time of one transaction through the venue's own kernels.

Blocks of 20,000 transactions from 1,000 accounts in 4 markets: 50 % limit orders around the mid, 35 % that take at once, 15 % that
cancel all resting orders of an account in a market. Each match checks the collateral of both sides and books fees, positions, cost
basis and open interest. Arranging the block (a random priority per account, then a sort) is timed apart.
"""

from __future__ import annotations

import numpy as np
from measuring import Figure, clock, show

from abm.kernels.clearing import clear_transactions
from abm.kernels.ordering import DIGITS, arrange_transactions
from abm.state import CANCEL_ALL, IMMEDIATE_OR_CANCEL, LIQUIDATION_TERMS, NEVER, PLACE, Capacity, State

ACCOUNTS = 1_000
MARKETS = 4
TRANSACTIONS = 20_000  # per block
BLOCKS = 20
MID = 20_000  # ticks


def funded_venue() -> State:
    state = State(ACCOUNTS, [f"M{k}" for k in range(MARKETS)], [1 << 17] * MARKETS, 1.0, Capacity())
    state.accounts["collateral"] = 1e6
    state.accounts["equity"] = 1e6
    state.accounts["taker_fee"] = 5e-4
    state.accounts["maker_fee"] = 1e-4
    state.markets["tick"] = 1.0
    state.markets["lot"] = 0.001
    state.markets["unit"] = 0.001
    for price in ("mark", "oracle", "index"):
        state.markets[price] = MID
    state.margin_tiers["initial"] = 0.05
    state.margin_tiers["maintenance"] = 0.03
    return state


def write_block(state: State, block: int, n: int, chance: np.random.Generator) -> None:
    transactions = state.transactions[:n]
    kind = chance.random(n)
    takes = kind < 0.35
    side = np.where(chance.random(n) < 0.5, 1, -1)
    transactions["kind"] = np.where(kind > 0.85, CANCEL_ALL, PLACE)
    transactions["account"] = chance.integers(0, state.n_accounts, n)
    transactions["market"] = chance.integers(0, state.n_markets, n)
    transactions["side"] = side
    transactions["tick"] = np.where(takes, MID + 20 * side, MID - side * chance.integers(-5, 30, n))
    transactions["lots"] = chance.integers(1, 100, n)
    transactions["flags"] = np.where(takes, IMMEDIATE_OR_CANCEL, 0)
    transactions["expires"] = NEVER
    transactions["arrives"] = block
    state.venue["transactions"] = n
    state.venue["block"] = block


def measure(n: int = TRANSACTIONS, blocks: int = BLOCKS) -> list[Figure]:
    state = funded_venue()
    chance = np.random.default_rng(1)
    terms = np.zeros(1, LIQUIDATION_TERMS)
    histogram = np.zeros(DIGITS, np.int64)
    arranging, clearing = [], []
    fills = 0
    for block in range(blocks + 3):
        write_block(state, block, n, chance)
        start = clock()
        count = arrange_transactions(
            state.venue, state.transactions, state.sequence, state.sort_keys, histogram, np.uint64(1), False, False
        )
        arranged = clock()
        clear_transactions(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidated_lots, state.order_limits, terms, np.uint64(3), count,
        )  # fmt: skip
        cleared = clock()
        if block >= 3:  # the book has filled up, the code is loaded
            arranging.append(arranged - start)
            clearing.append(cleared - arranged)
            fills += int(state.venue["fills"][0])
        state.venue["fills"] = state.venue["ended_orders"] = 0
    if state.positions["lots"].sum() != 0:
        raise AssertionError("positions do not add up to zero")
    note = f"{fills / n / blocks:.2f} fills a transaction; median block {np.median(clearing) / n * 1e9:.0f}"
    return [
        Figure("checked clearing", min(clearing) / n * 1e9, "ns per transaction", 125.0, note=note),
        Figure("arranging a block", min(arranging) / n * 1e9, "ns per transaction"),
    ]


if __name__ == "__main__":
    show(measure())
