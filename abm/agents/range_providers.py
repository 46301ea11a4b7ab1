"""Range providers: they put liquidity into a range of prices around the oracle price, re-centre it when the price leaves, and withdraw
after losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import take, waiting_time
from abm.kernels.compiled import kernel
from abm.kernels.random import two_uniforms
from abm.kernels.transactions import submit_add_range, submit_remove_ranges
from abm.parameters import market_weights, parameter
from abm.state import NOBODY, RANGED, REDUCE_ONLY, Table

RANGE_PROVIDER = [
    ("worth", "f8"),  # USD of liquidity per USD of equity
    ("width", "f8"),  # fraction of the price from the middle of a range to its edges
    ("threshold", "f8"),  # part of the width that the price may move before the range is put around it anew
    ("loss_limit", "f8"),  # fall of equity from its highest at which it withdraws
    ("review", "f8"),  # mean blocks between looks
    ("rest", "i8"),  # blocks it stays away after a loss
    ("back", "i8"),  # block from which it provides again
    ("highest", "f8"),  # USD, highest equity it has seen since it came back
]


@kernel
def decide_range_providers(
    venue, accounts, positions, markets, ranges, transactions, members, wakes, busy, weights, closed_share, reach, key
):
    """Each member that wakes provides a range where it has none, moves one that the price has left, or withdraws after a loss.

    busy (n, m): block until which a member's last word on a market is under way. What a range has bought or sold stays as a position
    when it is removed; `closed_share` of it is closed when a range is moved, all of it after a withdrawal.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        u, _ = two_uniforms(key, block, j, 0)
        wakes[j] = block + waiting_time(u, members[j].review)
        stride = members[j].stride
        latency = members[j].latency
        equity = 0.0
        for k in range(markets.shape[0] if stride != 0 else 1):
            equity += accounts[members[j].row + k * stride].equity
        members[j].highest = max(members[j].highest, equity)
        if block >= members[j].back and equity < members[j].highest * (1.0 - members[j].loss_limit):
            members[j].back = block + members[j].rest
            members[j].highest = 0.0
        away = block < members[j].back
        for k in range(markets.shape[0]):
            if busy[j, k] > block:
                continue
            i = members[j].row + k * stride
            middle = 0.0
            for r in range(ranges.shape[0]):
                if ranges[r].account == i and ranges[r].market == k:
                    middle = math.sqrt(ranges[r].lowest * ranges[r].highest)
            price = markets[k].oracle
            lots = positions[i, k].lots
            moved = middle > 0.0 and abs(math.log(price / middle)) > members[j].threshold * math.log(1.0 + members[j].width)
            if middle > 0.0 and (away or moved):
                submit_remove_ranges(venue, transactions, i, k, latency)
                busy[j, k] = block + latency + 1
                if moved and not away:
                    lots = int(closed_share * lots)
            if lots != 0 and (away or moved):
                take(venue, transactions, markets, i, k, -lots, reach, REDUCE_ONLY, latency)
                busy[j, k] = block + latency + 1
            if not away and (moved or middle == 0.0):
                amount = members[j].worth * (equity * weights[k] if stride == 0 else accounts[i].equity)
                low = math.floor(price / (1.0 + members[j].width) / markets[k].tick)
                high = math.ceil(price * (1.0 + members[j].width) / markets[k].tick)
                if amount > 0.0 and low >= 1 and high < markets[k].ticks:
                    submit_add_range(venue, transactions, i, k, low, high, amount, latency)
                    busy[j, k] = block + latency + 1


class RangeProviderMemory(NamedTuple):
    """Members, when they look next, until when their word is under way (n, m), market weights (m,), and their stream."""

    members: Table
    wakes: NDArray[np.int64]
    busy: NDArray[np.int64]
    weights: NDArray[np.float64]
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class RangeProviders(Strategy):
    """Liquidity in ranges around the oracle price; where the venue takes no ranges the money stays idle.

    A member looks at random times. A range goes from price / (1 + `width`) to price x (1 + `width`) and is worth `share` x `leverage`
    of its equity. Once the price has moved by `rebalance` of the width from its middle the range is removed, `closed_share` of what
    it has bought or sold is closed, and a new one is put around the price. When equity has fallen by `loss_limit` from its highest, the
    member withdraws, closes what it holds, and stays away for `rest_seconds`.
    """

    share: Distribution | float = parameter(0.9, unit="fraction of equity that stands behind ranges", least=0.0, most=1.0)
    leverage: Distribution | float = parameter(Uniform(low=1.0, high=4.0), unit="liquidity per USD behind it", least=0.0)
    width: Distribution | float = parameter(
        LogNormal(median=0.08, sigma=0.6, highest=0.9), unit="fraction of the price from the middle to an edge", least=1e-4
    )
    rebalance: Distribution | float = parameter(Uniform(low=0.4, high=1.0), unit="fraction of the width", least=0.0)
    closed_share: float = parameter(0.5, unit="fraction of the position, when a range is moved", least=0.0, most=1.0)
    loss_limit: Distribution | float = parameter(Uniform(low=0.05, high=0.25), unit="fraction of the highest equity", least=0.0, most=1.0)
    review_seconds: Distribution | float = parameter(LogNormal(median=120.0, sigma=0.8), unit="seconds between looks, mean", least=0.0)
    rest_seconds: float = parameter(14_400.0, unit="seconds", least=0.0, about="away after a loss")
    reach: float = parameter(
        0.02, unit="fraction beyond the best price", least=0.0, most=1.0, about="of the orders that close what it holds"
    )
    market_shares: tuple[float, ...] = parameter((), unit="shares of the money, one per market; empty = equal", least=0.0)

    def init(self, recruits: Recruits) -> RangeProviderMemory:
        state = recruits.state
        table = recruits.table(RANGE_PROVIDER)
        table["worth"] = recruits.draw("share", self.share) * recruits.draw("leverage", self.leverage)
        table["width"] = recruits.draw("width", self.width)
        table["threshold"] = recruits.draw("rebalance", self.rebalance)
        table["loss_limit"] = recruits.draw("loss limit", self.loss_limit)
        table["review"] = recruits.draw("review", self.review_seconds) / state.seconds_per_block
        table["rest"] = state.blocks(self.rest_seconds)
        weights = np.array(market_weights(self.market_shares, state.n_markets, "RangeProviders.market_shares"))
        return RangeProviderMemory(
            table,
            np.zeros(recruits.members, np.int64),
            np.full((recruits.members, state.n_markets), NOBODY, np.int64),
            weights / weights.sum(),
            recruits.key("range providers"),
        )

    def decide(self, view: View, memory: RangeProviderMemory) -> None:
        if not view.offers(RANGED):
            return
        state = view.state
        decide_range_providers(
            state.venue, state.accounts, state.positions, state.markets, state.ranges, state.transactions, memory.members, memory.wakes,
            memory.busy, memory.weights, self.closed_share, self.reach, memory.key,
        )  # fmt: skip
