"""Pool providers: they pay money into the pool that is the traders' other side, and take it out after losses or when others do better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import waiting_time
from abm.kernels.compiled import kernel
from abm.kernels.random import two_uniforms
from abm.kernels.transactions import submit
from abm.parameters import market_weights, parameter
from abm.state import JOIN_POOL, LEAVE_POOL, NEVER, NOBODY, POOLED, Table

POOL_PROVIDER = [
    ("share", "f8"),  # of equity that it puts into pools
    ("loss_limit", "f8"),  # fall of a share's value from its highest at which it leaves
    ("review", "f8"),  # mean blocks between looks
    ("rest", "i8"),  # blocks it stays away after a loss
    ("back", "i8"),  # block from which it joins again
]


@kernel
def decide_pool_providers(venue, accounts, markets, pools, shares, transactions, members, wakes, highest, weights, key):
    """Each member that wakes joins the pools it is not in, or leaves one whose share has lost more than its limit.

    highest (n, m): USD, the highest value of a share that the member has seen since it joined.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        u, _ = two_uniforms(key, block, j, 0)
        wakes[j] = block + waiting_time(u, members[j].review)
        for k in range(markets.shape[0]):
            i = members[j].row + k * members[j].stride
            if pools[k].shares <= 0.0:
                continue
            worth = pools[k].value / pools[k].shares
            held = shares[i, k].shares
            if held > 0.0:
                highest[j, k] = max(highest[j, k], worth)
                if worth < highest[j, k] * (1.0 - members[j].loss_limit):
                    submit(
                        venue, transactions, LEAVE_POOL, i, k, 0, 0, NOBODY, 0, 0, NEVER, 0, held, 0.0, members[j].latency
                    )  # fmt: skip
                    members[j].back = block + members[j].rest
            elif block >= members[j].back:
                amount = members[j].share * weights[k] * accounts[i].equity
                if members[j].stride != 0:
                    amount = members[j].share * accounts[i].equity
                if amount > 0.0:
                    submit(
                        venue, transactions, JOIN_POOL, i, k, 0, 0, NOBODY, 0, 0, NEVER, 0, amount, 0.0, members[j].latency
                    )  # fmt: skip
                    highest[j, k] = worth


class PoolProviderMemory(NamedTuple):
    """Members, when they look next, the highest share values they have seen (n, m), market weights (m,), and their stream."""

    members: Table
    wakes: NDArray[np.int64]
    highest: NDArray[np.float64]
    weights: NDArray[np.float64]
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class PoolProviders(Strategy):
    """Liquidity by deposit: money goes into the pools of all markets and comes out after a loss; where there is no pool it stays idle.

    A member looks at random times. It leaves a pool whose share has fallen by `loss_limit` from its highest, and stays away for
    `rest_seconds`. Leaving may fail while the pool needs the money; it tries again at its next look.
    """

    share: Distribution | float = parameter(0.9, unit="fraction of equity put into pools", least=0.0, most=1.0)
    market_shares: tuple[float, ...] = parameter((), unit="shares of the money, one per market; empty = equal", least=0.0)
    loss_limit: Distribution | float = parameter(
        Uniform(low=0.02, high=0.15), unit="fraction of a share's highest value", least=0.0, most=1.0
    )
    review_seconds: Distribution | float = parameter(LogNormal(median=600.0, sigma=0.8), unit="seconds between looks, mean", least=0.0)
    rest_seconds: float = parameter(14_400.0, unit="seconds", least=0.0, about="away after a loss")

    def init(self, recruits: Recruits) -> PoolProviderMemory:
        state = recruits.state
        review = recruits.draw("review", self.review_seconds) / state.seconds_per_block
        table = recruits.table(POOL_PROVIDER)
        table["share"] = recruits.draw("share", self.share)
        table["loss_limit"] = recruits.draw("loss limit", self.loss_limit)
        table["review"] = review
        table["rest"] = state.blocks(self.rest_seconds)
        weights = np.array(market_weights(self.market_shares, state.n_markets, "PoolProviders.market_shares"))
        return PoolProviderMemory(
            table,
            np.zeros(recruits.members, np.int64),
            np.zeros((recruits.members, state.n_markets)),
            weights / weights.sum(),
            recruits.key("pool providers"),
        )

    def decide(self, view: View, memory: PoolProviderMemory) -> None:
        if not view.offers(POOLED):
            return
        state = view.state
        decide_pool_providers(
            state.venue, state.accounts, state.markets, state.pools, state.shares, state.transactions, memory.members, memory.wakes,
            memory.highest, memory.weights, memory.key,
        )  # fmt: skip
