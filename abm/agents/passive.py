"""Populations without a will of their own, simple enough that theory says what must come out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution
from abm.kernels.behaviour import whole_lots
from abm.kernels.compiled import inline, kernel
from abm.kernels.random import two_uniforms
from abm.kernels.transactions import market_limit, submit, submit_order, submit_taker
from abm.parameters import ParameterError, market_weights, parameter, per_market
from abm.state import BOOK, CANCEL_ALL, NEVER, NOBODY, PLACE, POST_ONLY, Table

Reference = Literal["index", "oracle", "mark"]
REFERENCES = ("index", "oracle", "mark")
MOST_ORDERS = 500.0  # mean per block and side that `poisson` can draw


@kernel
def post_steady_quotes(venue, markets, transactions, members, notional, reference, premium, nearest, step, levels, fee):
    """Every member takes back its quotes of the last block and posts `levels` new ones on each side of every market.

    Level l lies `nearest` + (l + 1/2) `step` (fractions of the centre) from the centre and holds `notional[k]` USD; what a level
    cannot hold in whole lots goes to the next. The centre is 1 + `premium[k]` times the reference price. Quotes that meet stale orders
    of others trade with them, so the book cannot be held away from its centre.
    """
    for j in range(members.shape[0]):
        latency = members[j].latency
        for k in range(markets.shape[0]):
            i = members[j].row + k * members[j].stride
            tick = markets[k].tick
            price = markets[k].index if reference == 0 else markets[k].oracle if reference == 1 else markets[k].mark
            centre = price * (1.0 + premium[k])
            submit(venue, transactions, CANCEL_ALL, i, k, 0, 0, NOBODY, 0, 0, 0, 0, 0.0, fee, latency)
            owed_bid = 0.0
            owed_ask = 0.0
            for level in range(levels):
                distance = nearest + (level + 0.5) * step
                bid = math.floor(centre * (1.0 - distance) / tick + 1e-9)
                ask = max(math.ceil(centre * (1.0 + distance) / tick - 1e-9), bid + 1)
                if bid >= 1:
                    owed_bid += notional[k] / (bid * markets[k].unit)
                    lots = int(owed_bid)
                    owed_bid -= lots
                    if lots > 0:
                        submit(
                            venue, transactions, PLACE, i, k, 1, 0, NOBODY, int(bid), lots, NEVER, 0, 0.0, fee, latency
                        )  # fmt: skip
                if ask < markets[k].ticks:
                    owed_ask += notional[k] / (ask * markets[k].unit)
                    lots = int(owed_ask)
                    owed_ask -= lots
                    if lots > 0:
                        submit(
                            venue, transactions, PLACE, i, k, -1, 0, NOBODY, int(ask), lots, NEVER, 0, 0.0, fee, latency
                        )  # fmt: skip


class QuoteMemory(NamedTuple):
    """Members, USD per level and the premium of every market (m,), and the column that quotes follow."""

    members: Table
    notional: NDArray[np.float64]
    premium: NDArray[np.float64]
    reference: int


@dataclass(frozen=True, kw_only=True)
class SteadyQuotes(Strategy):
    """Quotes around a reference price that are renewed in every block and never hedged.

    They need a capital that makes their inventory irrelevant. The centre is 1 + `premium` times the reference price.
    """

    premium: float | tuple[float, ...] = parameter(
        0.0, unit="fraction of the reference price; one number, or one per market", least=-0.9, most=9.0
    )
    reference: Reference = parameter("index", unit="index, oracle or mark")
    priority_fee: float = parameter(0.0, unit="USD per transaction", least=0.0, about="buys a place where blocks are sorted by fee")

    def inconsistencies(self) -> list[str]:
        if self.reference in REFERENCES:
            return []
        return [f"{type(self).__name__}.reference: {self.reference!r} is not one of {', '.join(map(repr, REFERENCES))}"]

    def _remember(self, recruits: Recruits, notional: list[float]) -> QuoteMemory:
        premium = per_market(self.premium, recruits.state.n_markets, f"{type(self).__name__}.premium")
        return QuoteMemory(recruits.table([]), np.array(notional), np.array(premium), REFERENCES.index(self.reference))


@dataclass(frozen=True, kw_only=True)
class SteadyDepth(SteadyQuotes):
    """A linear book: each member keeps `density` USD per percent of price resting on both sides, in `levels` slices out to `reach`.

    A market order of Q USD moves the price by Q / density percent and finds the book whole again in the next block.
    """

    density: float | tuple[float, ...] = parameter(1e6, unit="USD per percent and side; one number, or one per market", least=0.0)
    reach: float = parameter(0.05, unit="fraction of the centre", least=1e-6, most=0.99)
    levels: int = parameter(50, unit="price levels per side", least=1, most=100_000)

    def init(self, recruits: Recruits) -> QuoteMemory:
        slice_percent = 100.0 * self.reach / self.levels
        density = per_market(self.density, recruits.state.n_markets, "SteadyDepth.density")
        return self._remember(recruits, [slice_percent * amount for amount in density])

    def decide(self, view: View, memory: QuoteMemory) -> None:
        if not view.offers(BOOK):
            return
        state = view.state
        post_steady_quotes(
            state.venue, state.markets, state.transactions, memory.members, memory.notional, memory.reference, memory.premium,
            0.0, self.reach / self.levels, self.levels, self.priority_fee,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FixedSlippage(SteadyQuotes):
    """Depth without end at one price: each member buys and sells `notional` USD per block at `slippage` from the centre.

    With a `notional` that nobody exhausts, every trade costs the same fraction whatever its size. Prices are rounded to the grid
    away from the centre, and the ask is at least one tick above the bid.
    """

    slippage: float = parameter(0.0, unit="fraction of the centre", least=0.0, most=0.99)
    notional: float | tuple[float, ...] = parameter(1e8, unit="USD per side; one number, or one per market", least=0.0)

    def init(self, recruits: Recruits) -> QuoteMemory:
        return self._remember(recruits, per_market(self.notional, recruits.state.n_markets, "FixedSlippage.notional"))

    def decide(self, view: View, memory: QuoteMemory) -> None:
        if not view.offers(BOOK):
            return
        state = view.state
        post_steady_quotes(
            state.venue, state.markets, state.transactions, memory.members, memory.notional, memory.reference, memory.premium,
            self.slippage, 0.0, 1, self.priority_fee,
        )  # fmt: skip


@inline
def poisson(mean, uniform):
    """A Poisson number by inversion of its distribution function, for means up to MOST_ORDERS."""
    probability = math.exp(-mean)
    total = probability
    count = 0
    while uniform > total and probability > 0.0:
        count += 1
        probability *= mean / count
        total += probability
    return count


@kernel
def trade_without_intelligence(venue, markets, transactions, members, lots, limit_rate, market_rate, cancel_rate, window, key):
    """One block of Poisson order flow in every market, rates per block.

    The first member sends the market orders and the others the limit orders in turn, so that no order meets one of its own account.
    Each limit order draws its lifetime when it is sent: cancelled at a constant rate and exponentially distributed lifetime are the
    same thing.
    """
    block = venue[0].block
    makers = members.shape[0] - 1
    for k in range(markets.shape[0]):
        middle = max(markets[k].last_tick, 1) if markets[k].last_tick > 0 else int(markets[k].mark / markets[k].tick)
        draw = 0
        for side in (1, -1):
            first, second = two_uniforms(key, block, k, draw)
            draw += 1
            if side > 0:
                opposite = markets[k].best_ask if markets[k].best_ask < markets[k].ticks else middle + 1
            else:
                opposite = markets[k].best_bid if markets[k].best_bid > 0 else middle - 1
            for _ in range(poisson(limit_rate * window, first)):
                place, age = two_uniforms(key, block, k, draw)
                draw += 1
                tick = opposite - side * (1 + int(place * window))
                if tick < 1 or tick >= markets[k].ticks:
                    continue
                life = math.ceil(-math.log(1.0 - age) / cancel_rate)
                j = 1 + (block + draw) % makers
                submit_order(
                    venue, transactions, members[j].row + k * members[j].stride, k, side, tick, lots[k], POST_ONLY,
                    block + members[j].latency + max(int(life), 1), members[j].latency,
                )  # fmt: skip
            for _ in range(poisson(market_rate, second)):
                limit = 1 if side < 0 else markets[k].ticks - 1
                submit_taker(venue, transactions, members[0].row + k * members[0].stride, k, side, limit, lots[k], 0, members[0].latency)


class FlowMemory(NamedTuple):
    """Members, the size of an order in lots (m,), rates per block, and the random stream."""

    members: Table
    lots: NDArray[np.int64]
    limit_rate: float
    market_rate: float
    cancel_rate: float
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class ZeroIntelligence(Strategy):
    """Unit orders at random: the continuous double auction of Smith, Farmer, Gillemot and Krishnamurthy.

    In every market and on each side limit orders arrive at `limit_rate` per tick, anywhere from one tick behind the opposite best
    price to `window_ticks` behind it; market orders arrive at `market_rate`; each resting order is cancelled at `cancel_rate`.
    Rates are those of the whole cohort. A block should be short against 1 / rate: what arrives in it is decided on one book.

    "Statistical theory of the continuous double auction", Quantitative Finance 3 (2003). The first member sends the market
    orders, all others the limit orders. Raises ParameterError for a cohort of one.
    """

    limit_rate: float = parameter(0.002, unit="orders per tick, side and second", least=0.0, most=1e3)
    market_rate: float = parameter(0.05, unit="orders per side and second", least=0.0, most=1e3)
    cancel_rate: float = parameter(0.001, unit="per resting order and second", least=1e-9, most=1e3)
    window_ticks: int = parameter(200, unit="ticks", least=1, most=262_144)
    size: float | tuple[float, ...] = parameter(0.01, unit="coins per order; one number, or one per market", least=0.0)

    def init(self, recruits: Recruits) -> FlowMemory:
        state = recruits.state
        if recruits.members < 2:
            raise ParameterError([f"population.{recruits.name}.members: ZeroIntelligence needs at least 2, one for market orders"])
        if self.limit_rate * self.window_ticks * state.seconds_per_block > MOST_ORDERS:
            raise ParameterError([f"ZeroIntelligence.limit_rate: more than {MOST_ORDERS:g} orders per block and side"])
        sizes = np.array(per_market(self.size, state.n_markets, "ZeroIntelligence.size"))
        seconds = state.seconds_per_block
        return FlowMemory(
            recruits.table([]),
            np.maximum(np.rint(sizes / state.markets["lot"]), 1).astype(np.int64),
            self.limit_rate * seconds,
            self.market_rate * seconds,
            self.cancel_rate * seconds,
            recruits.key("orders"),
        )

    def decide(self, view: View, memory: FlowMemory) -> None:
        state = view.state
        trade_without_intelligence(
            state.venue, state.markets, state.transactions, memory.members, memory.lots, memory.limit_rate, memory.market_rate,
            memory.cancel_rate, self.window_ticks, memory.key,
        )  # fmt: skip


HOLDER = [
    ("market", "i8"),
    ("side", "i8"),
    ("leverage", "f8"),
    ("enters", "i8"),  # block of the first order
    ("gives_up", "i8"),  # block after which it keeps what it has
    ("target", "i8"),  # lots, 0 before the first order
    ("settled", "i8"),  # 1: it has its position, or has given up
]


@kernel
def decide_holders(venue, accounts, positions, markets, transactions, members, patience, reach):
    """Each member whose block has come buys or sells until it holds its target, then never trades again."""
    block = venue[0].block
    for j in range(members.shape[0]):
        if members[j].settled != 0 or block < members[j].enters:
            continue
        k = members[j].market
        i = members[j].row + k * members[j].stride
        if members[j].target == 0:
            members[j].gives_up = block + patience
            members[j].target = members[j].side * whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage)
        gap = members[j].target - positions[i, k].lots
        if gap == 0 or block > members[j].gives_up:
            members[j].settled = 1
            continue
        if (block - members[j].enters) % (members[j].latency + 1) == 0:
            side = 1 if gap > 0 else -1
            submit_taker(venue, transactions, i, k, side, market_limit(markets, k, side, reach), abs(gap), 0, members[j].latency)


class HolderMemory(NamedTuple):
    """Members, and how many blocks they try."""

    members: Table
    patience: int


@dataclass(frozen=True, kw_only=True)
class Holders(Strategy):
    """Buy and hold with leverage: each member opens one position at market, and leaves the rest to fate and to the venue.

    Its notional is `leverage` times equity at the moment of the first order, rounded down to lots. Where the book is too thin it
    tries again for `patience_seconds`.
    """

    leverage: Distribution | float = parameter(5.0, unit="times equity", least=0.0)
    long_share: float = parameter(1.0, unit="probability", least=0.0, most=1.0)
    enter_seconds: Distribution | float = parameter(0.0, unit="seconds since the start", least=0.0)
    patience_seconds: float = parameter(60.0, unit="seconds", least=0.0, most=1e9)
    market_shares: tuple[float, ...] = parameter((), unit="shares of members, one per market; empty = equal", least=0.0)
    reach: float = parameter(0.05, unit="fraction beyond the mark price", least=0.0, most=0.99)

    def init(self, recruits: Recruits) -> HolderMemory:
        state = recruits.state
        shares = np.array(market_weights(self.market_shares, state.n_markets, "Holders.market_shares"))
        table = recruits.table(HOLDER)
        edges = np.cumsum(shares / shares.sum())[:-1]
        table["market"] = np.searchsorted(edges, recruits.uniforms("market"), side="right")
        table["side"] = np.where(recruits.uniforms("side") < self.long_share, 1, -1)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["enters"] = np.rint(recruits.draw("enter", self.enter_seconds) / state.seconds_per_block)
        return HolderMemory(table, round(self.patience_seconds / state.seconds_per_block))

    def decide(self, view: View, memory: HolderMemory) -> None:
        state = view.state
        decide_holders(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, memory.members, memory.patience,
            self.reach,
        )  # fmt: skip
