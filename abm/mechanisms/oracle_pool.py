"""Clearing against pools that trade at the oracle price and belong to whoever pays into them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from abm.kernels.pool_market import POOL_TERMS, clear_in_pools, show_pools
from abm.mechanisms.clearing import Clearing
from abm.parameters import parameter, per_market
from abm.state import POOLED, State, Table, empty_table
from abm.streams import stream_key

DAY = 86_400.0  # seconds
YEAR = 365.0 * DAY

PerMarket = float | tuple[float, ...]


class PoolMemory(NamedTuple):
    """The rule in the form that the kernel takes, and the stream for the position that a liquidation closes."""

    terms: Table  # (m,)
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class Pool(Clearing):
    """Everybody trades with a pool of the market at the oracle price; the pool belongs to those who have shares of it.

    An order is executed as a whole or not at all, `delay_seconds` after it was sent, and never rests; post-only orders are refused.
    Positions of a side stay within `reserve_factor` of the side's pool, which is half of the pool. A share costs and brings its part
    of the pool's value at mark; nobody leaves before `stay_seconds`, nor while what is left would not cover reserves and profits.
    """

    house: ClassVar[str] = "pool"

    initial_liquidity: PerMarket = parameter(
        10e6, unit="USD in the pool at the start, the venue's own; one number, or one per market", least=1.0
    )
    reserve_factor: PerMarket = parameter(0.95, unit="fraction of a side's pool; one number, or one per market", least=0.0, most=100.0)
    delay_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=DAY, about="between an order and its price")
    stay_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=366 * DAY, about="between joining the pool and leaving it")
    liquidation_fee: float = parameter(0.002, unit="fraction of notional, to the pool", least=0.0, most=1.0)
    quote_levels: int = parameter(40, unit="price levels a side", least=1, most=1000)

    @abstractmethod
    def fill(self, terms: Table, state: State) -> None:
        """Writes to `terms` (m,) what the price of a trade depends on."""

    def init(self, state: State, seed: int) -> PoolMemory:
        m = state.n_markets
        name = type(self).__name__
        state.offers = frozenset({POOLED})
        terms = empty_table(m, POOL_TERMS)
        terms["reserve_factor"] = per_market(self.reserve_factor, m, f"{name}.reserve_factor")
        terms["max_profit"] = terms["max_profit_leaving"] = 1.0
        terms["liquidation_fee"] = self.liquidation_fee
        terms["delay"] = state.blocks(self.delay_seconds) if self.delay_seconds > 0.0 else 0
        terms["stay"] = state.blocks(self.stay_seconds) if self.stay_seconds > 0.0 else 0
        terms["levels"] = self.quote_levels
        self.fill(terms, state)
        money = np.array(per_market(self.initial_liquidity, m, f"{name}.initial_liquidity"))
        houses = state.markets["house"]
        for field in ("collateral", "equity", "net_deposits"):
            state.accounts[field][houses] += money
        state.venue["net_deposits"] += money.sum()
        state.shares["shares"][houses, np.arange(m)] = state.pools["shares"] = money
        state.shares["paid"][houses, np.arange(m)] = money
        show_pools(
            state.venue, state.accounts, state.positions, state.markets, state.levels, state.bitmap, state.orders, state.expiry,
            state.pools, terms,
        )  # fmt: skip
        return PoolMemory(terms, stream_key(seed, "liquidated position"))

    def clear(self, state: State, memory: PoolMemory, count: int) -> None:
        clear_in_pools(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidation_terms, state.pools, state.shares, memory.terms, memory.key, count,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OraclePool(Pool):
    """A pool with price impact and capped profits (GMX v2).

    - a trade pays `negative_impact` x d1^`exponent` - d0^`exponent` USD for raising |long - short open interest| from d0 to d1 USD, and
      is paid the same with `positive_impact` for lowering it, within fractions of its notional; what is paid is set aside for those who
      are paid, and given to the shares at `impact_release` per day
    - traders of a side are paid their profit up to `max_profit` of the side's pool, then pro rata
    - borrowing fees rise with the usage u of the reserve: `base_fee` x u a year, steeper above `optimal_usage`, to `above_fee`; the side
      with less open interest pays none; a part goes to the venue, the rest to the pool

    Source: gmx-io/gmx-synthetics `config/markets.ts`, `contracts/market/MarketUtils.sol`, `contracts/pricing/`. With both impacts zero
    it is GMX v1: trades of any size at the oracle price.
    """

    positive_impact: PerMarket = parameter(3e-11, unit="USD per USD^exponent; one number, or one per market", least=0.0)
    negative_impact: PerMarket = parameter(9e-11, unit="USD per USD^exponent; one number, or one per market", least=0.0)
    exponent: float = parameter(2.0, unit="dimensionless", least=1.0, most=4.0)
    max_positive_impact: float = parameter(0.004, unit="fraction of notional", least=0.0, most=1.0)
    max_negative_impact: float = parameter(0.005, unit="fraction of notional", least=0.0, most=1.0)
    impact_release: float = parameter(0.0, unit="fraction of what is set aside, per day", least=0.0, most=1e3)
    max_profit: float = parameter(0.9, unit="fraction of a side's pool", least=0.0, most=1e6)
    max_profit_leaving: float = parameter(0.7, unit="fraction of a side's pool, above which nobody leaves", least=0.0, most=1e6)
    least_left: float = parameter(1.0, unit="USD that must be left in a position", least=0.0)
    least_fraction: float = parameter(0.005, unit="fraction of notional that must be left in a position", least=0.0, most=1.0)
    optimal_usage: float = parameter(0.85, unit="fraction of the reserve", least=0.0, most=1.0)
    base_fee: float = parameter(0.45, unit="fraction of notional per year", least=0.0, most=100.0)
    above_fee: float = parameter(0.9, unit="fraction of notional per year", least=0.0, most=100.0)
    receiver_share: float = parameter(0.37, unit="of borrowing fees, to the venue", least=0.0, most=1.0)
    skip_smaller_side: bool = parameter(True, unit="yes or no")
    borrowing_seconds: float = parameter(600.0, unit="seconds between charges", least=1e-3, most=30 * DAY)

    def inconsistencies(self) -> list[str]:
        if np.any(np.asarray(self.positive_impact) > np.asarray(self.negative_impact)):
            return ["OraclePool.positive_impact: must not exceed negative_impact, or going in and out is paid for"]
        return []

    def fill(self, terms: Table, state: State) -> None:
        m = state.n_markets
        terms["positive_factor"] = per_market(self.positive_impact, m, "OraclePool.positive_impact")
        terms["negative_factor"] = per_market(self.negative_impact, m, "OraclePool.negative_impact")
        terms["max_positive"] = self.max_positive_impact
        terms["max_negative"] = self.max_negative_impact
        terms["skip_smaller"] = self.skip_smaller_side
        for field in (
            "exponent", "max_profit", "max_profit_leaving", "least_left", "least_fraction", "optimal_usage", "base_fee", "above_fee",
            "receiver_share",
        ):  # fmt: skip
            terms[field] = getattr(self, field)
        terms["charge_blocks"] = blocks = state.blocks(self.borrowing_seconds)
        terms["year_share"] = blocks * state.seconds_per_block / YEAR
        terms["impact_release"] = min(self.impact_release * state.seconds_per_block / DAY, 1.0)


@dataclass(frozen=True, kw_only=True)
class SkewedPool(Pool):
    """A pool whose price moves with the skew: price x (1 + (skew + size / 2) / `skew_scale`) (Synthetix Perps V3).

    Skew is what traders hold long less what they hold short, in coins, so a trade that raises it pays a premium to the pool, and one
    that lowers it gets a discount; in and out again at one oracle price costs nothing. `skew_scale` is given as USD at the prices of the
    start: the notional at which the premium is 100 %.

    Source: Synthetixio/synthetix-v3 `markets/perps-market/contracts/storage/AsyncOrder.sol`, `PerpsMarket.sol`.
    """

    skew_scale: PerMarket = parameter(2e9, unit="USD at the first price; one number, or one per market", least=1.0)

    def fill(self, terms: Table, state: State) -> None:
        scale = np.array(per_market(self.skew_scale, state.n_markets, "SkewedPool.skew_scale"))
        terms["skew_scale"] = scale / state.markets["index"]
