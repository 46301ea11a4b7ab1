"""What must hold after every block, and what is said when it does not.

Money is conserved: collateral of all accounts + insurance funds + the venue's fees = what was paid in less what was paid out.
Of each account the tables keep

    collateral = net deposits + fees + funding + liquidation + rewards + socialised + realised price profit - entry value,

and so equity = net deposits + those streams + realised + unrealised price profit. Realised profit has no field of its own. As
every other stream is paid by somebody to somebody (fees to the venue, funding and socialised losses between accounts, liquidation
and rewards by the funds), their sums over all accounts verify that price profits sum to zero at every mark price.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels import inspection as laws
from abm.kernels.book_inspection import inspect_book
from abm.kernels.inspection import HOLDS, inspect_money, inspect_pools, inspect_positions, inspect_waiting
from abm.state import NOBODY, State, Table, empty_table

LAWS = {
    laws.FINITE_ACCOUNT: "every number of an account is finite",
    laws.FINITE_MARKET: "every number of a market is finite",
    laws.FINITE_VENUE: "every number of the venue and its funds is finite",
    laws.MONEY_CONSERVED: "collateral + funds + venue fees = net deposits (USD)",
    laws.FEES_SUM_TO_ZERO: "fees of all accounts + venue fees + rewards paid out of fees = 0 (USD)",
    laws.FUNDING_SUMS_TO_ZERO: "funding of all accounts sums to zero (USD)",
    laws.FUND_BALANCE_EXPLAINED: "funds = contributions - liquidation - rewards of all accounts + rewards paid out of fees (USD)",
    laws.DELEVERAGING_SUMS_TO_ZERO: "deleveraging gains of all accounts sum to zero (USD)",
    laws.SOCIALISED_SUMS_TO_ZERO: "socialised losses of all accounts sum to zero (USD)",
    laws.FUND_NOT_NEGATIVE: "an insurance fund is never negative (USD)",
    laws.POSITIONS_SUM_TO_ZERO: "positions of a market sum to zero (lots)",
    laws.OPEN_INTEREST_IS_SUM_OF_LONGS: "open interest is the sum of long positions (lots)",
    laws.NO_COST_WITHOUT_POSITION: "without a position there is no cost basis (USD)",
    laws.ENTRY_PRICE_ON_THE_GRID: "the average entry price lies inside the price grid (ticks)",
    laws.ISOLATED_ACCOUNT_HOLDS_ITS_MARKET: "an isolated account holds only its own market",
    laws.ISOLATED_MARKET_HELD_ALONE: "an isolated-only market is held alone (positions)",
    laws.NO_DEBT_WITHOUT_POSITION: "a trader's account without positions is never below zero (USD)",
    laws.MAINTENANCE_CLOCK: "below_maintenance_since is set exactly for accounts assessed below maintenance margin (block)",
    laws.ZERO_CLOCK: "below_zero_since is set only for accounts assessed below zero, and not in the future (block)",
    laws.LIQUIDATABLE_COUNTED: "the venue counts the accounts assessed below maintenance margin",
    laws.BITMAP_OF_LEVELS: "the bitmap marks exactly the levels that hold orders",
    laws.BITMAP_OF_WORDS: "the bitmap's upper words mark exactly the words below that are not empty",
    laws.EMPTY_LEVEL_HAS_NO_LOTS: "a level without orders holds nothing (lots)",
    laws.LINK_IN_RANGE: "links between orders lead to rows of the pool and end",
    laws.QUEUE_LINKS: "neighbours in the queue of a level name each other (row)",
    laws.ORDER_IN_ITS_LEVEL: "a resting order lies in the level of its own market and price (tick)",
    laws.ORDER_HAS_LOTS: "a resting order has something left (lots)",
    laws.ORDER_NOT_EXPIRED: "no resting order has expired (block)",
    laws.ORDER_HAS_GENERATION: "a resting order has a generation from 1 on",
    laws.ONE_SIDE_PER_LEVEL: "a level holds bids or asks, not both (side)",
    laws.LEVEL_LOTS: "a level's lots are the sum of its orders (lots)",
    laws.NOT_CROSSED: "the book is not crossed at rest (tick)",
    laws.BEST_BID: "best_bid is the highest level with bids (tick)",
    laws.BEST_ASK: "best_ask is the lowest level with asks (tick)",
    laws.LIVE_ORDERS_COUNTED: "the venue counts its resting orders",
    laws.ACCOUNT_CHAIN: "an account's chain holds its own resting orders, linked both ways (row)",
    laws.OPEN_ORDERS_COUNTED: "an account counts its resting orders",
    laws.EXPIRY_CHAIN: "every order that expires is in the chain of its block, linked both ways (row)",
    laws.FREE_ROW_IS_EMPTY: "a free row of the pool holds no order (lots)",
    laws.FREE_ROWS_COUNTED: "every row of the pool is free or resting (rows)",
    laws.WAITING_IN_RANGE: "conditional orders and transactions fit their tables and name what exists",
    laws.PENDING_ARRIVES_LATER: "a transaction that has arrived does not stay pending (block)",
    laws.SHARES_ADD_UP: "the shares of all accounts are the pool's shares",
    laws.PAYMENTS_ADD_UP: "what all accounts paid into a pool is what its own account received (USD)",
    laws.IMPACT_NOT_NEGATIVE: "what a pool has set aside for price impact is never negative (USD)",
}


class InvariantError(AssertionError):
    """Something that must hold after every block does not: the message names it, where, and by how much."""


def check_invariants(state: State) -> None:
    """Verifies money, positions, book and waiting orders as a block leaves them.

    Sums of money hold within 1e-9 of the sum of the absolute amounts in them, which does not grow with time. Raises InvariantError
    naming the first law that does not hold, where, what was found and what was expected.
    """
    finding = empty_table(1, laws.FINDING)
    level_words = np.asarray(state.levels).view(np.int64)
    law = (
        inspect_money(state.venue, state.accounts, state.markets, state.funds, finding)
        or inspect_positions(state.accounts, state.positions, state.markets, finding)
        or inspect_book(
            state.venue, state.accounts, state.markets, state.levels, level_words, state.bitmap, state.orders, state.expiry, finding
        )
        or inspect_waiting(state.venue, state.accounts, state.markets, state.conditionals, state.transactions, finding)
        or inspect_pools(state.accounts, state.markets, state.pools, state.shares, finding)
    )
    if law != HOLDS:
        raise InvariantError(describe(state, law, finding))


def describe(state: State, law: int, finding: Table) -> str:
    """One line: the law, the block, the place, and the numbers."""
    market, account, place = (int(finding[field][0]) for field in ("market", "account", "place"))
    where = [f"block {int(state.venue['block'][0])}"]
    if market != NOBODY:
        where.append(f"market {state.symbols[market]}" if 0 <= market < state.n_markets else f"market {market}")
    if account != NOBODY:
        where.append(f"account {account}")
    if place != NOBODY:
        where.append(f"row {place}" if law not in IN_TICKS else f"level {place}")
    if law in FINITE:
        return f"{LAWS[law]}: does not hold in {', '.join(where)}: {', '.join(not_finite(state, law, market, account))}"
    seen, expected, tolerance = (float(finding[field][0]) for field in ("found", "expected", "tolerance"))
    numbers = f"found {seen:.17g}, expected {expected:.17g}, off by {seen - expected:.3g}"
    return f"{LAWS[law]}: does not hold in {', '.join(where)}: {numbers}" + (f", tolerance {tolerance:.3g}" if tolerance else "")


IN_TICKS = (laws.BITMAP_OF_LEVELS, laws.EMPTY_LEVEL_HAS_NO_LOTS, laws.LEVEL_LOTS, laws.NOT_CROSSED)
FINITE = (laws.FINITE_ACCOUNT, laws.FINITE_MARKET, laws.FINITE_VENUE)


def not_finite(state: State, law: int, market: int, account: int) -> list[str]:
    """`field = value` of every number that is not finite in the row that was found."""
    rows = {
        laws.FINITE_ACCOUNT: [state.accounts[account : account + 1]],
        laws.FINITE_MARKET: [state.markets[market : market + 1]],
        laws.FINITE_VENUE: [state.venue, state.funds],
    }[law]
    may_be_infinite = ("open_interest_cap", "withdrawal_capacity", "open_interest_upper_cap", "open_interest_lower_cap", "insurance_left")
    return [
        f"{field} = {float(row[field][0])}"
        for row in rows
        for field in row.dtype.names or ()
        if np.issubdtype(row.dtype[field], np.floating) and field not in may_be_infinite and not math.isfinite(float(row[field][0]))
    ]
