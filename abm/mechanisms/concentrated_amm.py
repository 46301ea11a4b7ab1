"""Clearing against liquidity that providers put into ranges of prices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.concentrated_market import clear_in_ranges, show_ranges
from abm.kernels.range_pool import EDGE, RANGE_POOL
from abm.kernels.range_trading import RANGE_TERMS
from abm.kernels.ranges import GRAIN, TICK_RATIO, amounts, impermanent_loss, liquidity_worth, range_value
from abm.mechanisms.clearing import Clearing
from abm.parameters import parameter, per_market
from abm.state import NOBODY, RANGE, RANGED, State, Table, empty_table
from abm.streams import stream_key

DAY = 86_400.0  # seconds


class RangeMemory(NamedTuple):
    """The pools, their grids of edges, how many ranges each account has, the rule as the kernel takes it, and the stream for the
    position that a liquidation closes."""

    pools: Table  # (m,)
    edges: Table  # (m, edges)
    counts: NDArray[np.int32]  # (n, m)
    terms: Table  # (1,)
    key: np.uint64


PROVIDED = np.dtype(
    [
        ("account", "i8"),
        ("market", "i8"),
        ("lowest", "f8"),  # USD
        ("highest", "f8"),  # USD
        ("opened", "i8"),  # block
        ("coins", "f8"),  # in the range now
        ("money", "f8"),  # USD in the range now
        ("worth", "f8"),  # USD, both at the pool's price
        ("impermanent_loss", "f8"),  # USD by which that is less than what was put in would be worth now
        ("fees", "f8"),  # USD earned
    ]
)


def provided_ranges(state: State) -> Table:
    """One record of PROVIDED for each range of liquidity that there is, as the last block left it; none where a venue takes no ranges.

    Impermanent loss = coins then x price now + USD then - (coins now x price now + USD now) (Uniswap v3 whitepaper, section 6).
    """
    live = state.ranges[state.ranges["account"] != NOBODY]
    table = empty_table(len(live), PROVIDED)
    for field in ("account", "market", "lowest", "highest", "opened", "fees"):
        table[field] = live[field]
    for row, held in zip(table, live, strict=True):
        liquidity, root = float(held["liquidity"]), float(held["settled"])
        lower, upper = math.sqrt(held["lowest"]), math.sqrt(held["highest"])
        row["coins"], row["money"] = amounts(liquidity, root, lower, upper)
        row["worth"] = range_value(liquidity, root, lower, upper)
        row["impermanent_loss"] = impermanent_loss(liquidity, float(held["entry"]), root, lower, upper)
    return table


@dataclass(frozen=True, kw_only=True)
class ConcentratedAmm(Clearing):
    """Everybody trades with liquidity that providers put into ranges of prices, as in Uniswap v3 with virtual coins and dollars (Perp v2).

    - a range of liquidity L between the prices a and b holds L (1/sqrt P - 1/sqrt b) coins and L (sqrt P - sqrt a) USD; edges lie
      `tick_spacing` ticks of 1.0001 apart, and a range is widened to them
    - an order takes what the ranges give up to its limit price and never rests; post-only orders are refused. The taker's fee of the fees
      rule goes to the ranges it traded with, less `fund_share` for the insurance fund; the maker's fee of that rule plays no part
    - an order fails as a whole that would leave the price more than `most_ticks` from where it was at the start of the block that is at
      most `limit_seconds` old, or beyond `oracle_gap` from the oracle price and farther than before
    - what a range has bought and sold becomes its provider's position by the end of each block, in whole lots; so the provider's margin
      sees it, and it stays when the range is removed. Adding a range needs initial margin for what all the account's ranges hold
    - a liquidation removes the account's ranges first, then closes its position in the ranges, or as `TakeoverLiquidation` says
    - the price starts at the index; `initial_liquidity` USD lie in a range of the venue's own over all prices, for its own account

    Sources: perpetual-protocol/perp-curie-contract `contracts/{ClearingHouse,Exchange,OrderBook}.sol`; Uniswap v3 whitepaper and
    `UniswapV3Pool.sol`. The pool is shown to agents and recorder as resting quotes of the venue's account, on `quote_levels` prices a side
    out to `quote_reach`; trades use the exact pool.
    """

    house: ClassVar[str] = "amm"

    fund_share: float = parameter(0.1, unit="fraction of trading fees, to the insurance fund", least=0.0, most=1.0)
    tick_spacing: int = parameter(60, unit="ticks of 1.0001 between edges", least=1, most=10_000)
    most_ticks: int = parameter(1_000, unit="ticks of 1.0001", least=0, most=1_000_000, about="1,000 are 10.5 %; 0: no limit")
    limit_seconds: float = parameter(15.0, unit="seconds", least=0.0, most=DAY, about="age of the price from which ticks are counted")
    oracle_gap: float = parameter(0.1, unit="fraction of the oracle price", least=0.0)
    initial_liquidity: float | tuple[float, ...] = parameter(
        1e6, unit="USD, the venue's own; one number, or one per market", least=0.0, about="over all prices"
    )
    most_ranges: int = parameter(1_024, unit="ranges of all markets", least=1, most=1_000_000)
    quote_levels: int = parameter(40, unit="price levels a side", least=1, most=1000)
    quote_reach: float = parameter(0.05, unit="fraction of the price", least=1e-6, most=0.9)

    def init(self, state: State, seed: int) -> RangeMemory:
        m = state.n_markets
        state.offers = frozenset({RANGED})
        state.ranges = empty_table(self.most_ranges, RANGE)
        state.ranges["account"] = NOBODY
        markets = state.markets
        width = self.tick_spacing * math.log(TICK_RATIO)
        first = np.floor(np.log(markets["tick"]) / width).astype(np.int64)
        last = np.ceil(np.log(markets["tick"] * markets["ticks"]) / width).astype(np.int64)
        pools = empty_table(m, RANGE_POOL)
        pools["first"] = first
        pools["root"] = pools["reference"] = pools["settled"] = np.sqrt(markets["index"])
        edges = empty_table((m, int((last - first).max()) + 1), EDGE)
        for k in range(m):
            edges["root"][k] = [math.exp(0.5 * width * (int(first[k]) + slot)) for slot in range(edges.shape[1])]
            pools["slot"][k] = np.searchsorted(edges["root"][k], pools["root"][k], side="right") - 1
        terms = empty_table(1, RANGE_TERMS)
        terms["spacing"] = self.tick_spacing
        terms["fund_share"] = self.fund_share
        terms["root_limit"] = TICK_RATIO ** (0.5 * self.most_ticks) if self.most_ticks > 0 else 0.0
        terms["limit_blocks"] = state.blocks(self.limit_seconds)
        terms["oracle_gap"] = self.oracle_gap
        terms["levels"] = self.quote_levels
        terms["reach"] = self.quote_reach
        self._provide(state, pools, edges)
        show_ranges(state.venue, state.accounts, state.markets, state.levels, state.bitmap, state.orders, state.expiry, pools, edges, terms)
        return RangeMemory(pools, edges, np.zeros((state.n_accounts, m), np.int32), terms, stream_key(seed, "liquidated position"))

    def _provide(self, state: State, pools: Table, edges: Table) -> None:
        """Puts the venue's own money into a range over all prices of each market, beside the table of ranges: nobody removes it."""
        money = per_market(self.initial_liquidity, state.n_markets, "ConcentratedAmm.initial_liquidity")
        houses = state.markets["house"]
        for field in ("collateral", "equity", "net_deposits"):
            state.accounts[field][houses] += money
        state.venue["net_deposits"] += sum(money)
        for k, value in enumerate(money):
            liquidity = liquidity_worth(value, pools["root"][k], edges["root"][k, 0], edges["root"][k, -1])
            if liquidity >= GRAIN:
                pools["liquidity"][k] = edges["net"][k, 0] = liquidity
                edges["net"][k, -1] = -liquidity
                edges["ranges"][k, [0, -1]] = 1

    def clear(self, state: State, memory: RangeMemory, count: int) -> None:
        clear_in_ranges(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidation_terms, state.shares, memory.pools, memory.edges, state.ranges, memory.counts,
            memory.terms, memory.key, count,
        )  # fmt: skip
