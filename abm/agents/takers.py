"""Takers: retail traders who hold leveraged positions for hours, build them in small orders, and hope."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal
from abm.kernels.behaviour import costs_more_than, open_at_index, take, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.parameters import market_weights, parameter
from abm.state import REDUCE_ONLY, Table

TAKER = [
    ("market", "i8"),  # the one this member trades now
    ("target", "i8"),  # lots it wants to hold
    ("closes", "i8"),  # block at which it has had enough
    ("leverage", "f8"),
    ("order_notional", "f8"),  # USD of one order
    ("holding", "f8"),  # mean blocks a position is held
    ("idle", "f8"),  # mean blocks between two positions
    ("long_share", "f8"),  # probability that a new position is long while funding is zero
    ("tolerance", "f8"),  # fraction of notional per day paid at most
    ("opening", "i8"),  # 2: is to hold a position from the start, 1: has asked for it, 0: lives on
]


@kernel
def decide_takers(
    venue,
    accounts,
    positions,
    markets,
    transactions,
    members,
    wakes,
    usual_funding,
    weights,
    key,
    between_orders,
    reach,
    most_premium,
    tilt,
    memory,
    review,
):
    """Each member that wakes trades one order towards its target, or chooses a new target when it is done.

    usual_funding (m,): running average of the funding per day, moved by `memory` of the distance a block. weights (m,): cumulative
    shares of the markets. between_orders: mean blocks between two orders of the same trade. most_premium: fraction of the oracle
    price beyond which nobody adds to a position. tilt: by how much the probability of going long falls per unit of funding per day.
    review: mean blocks between two looks at what a position costs.
    """
    block = venue[0].block
    for k in range(markets.shape[0]):
        usual_funding[k] += (markets[k].funding_per_day - usual_funding[k]) * memory
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        u0, u1, u2, u3 = four_uniforms(key, block, j, 0)
        k = members[j].market
        i = members[j].row + k * members[j].stride
        held = positions[i, k].lots
        if members[j].opening == 1:
            # What the opening did not give is not chased.
            members[j].opening = 0
            members[j].target = held
            if held != 0:
                wakes[j] = min(block + waiting_time(u0, review), members[j].closes)
            else:
                wakes[j] = block + waiting_time(u0, members[j].idle)
                members[j].closes = wakes[j]
            continue
        if held * usual_funding[k] > abs(held) * members[j].tolerance:
            # Too dear to hold.
            members[j].closes = block
        if members[j].closes <= block:
            if members[j].target != 0:
                members[j].target = 0
            elif held == 0:
                k = 0
                while k + 1 < markets.shape[0] and u1 >= weights[k]:
                    k += 1
                members[j].market = k
                i = members[j].row + k * members[j].stride
                held = positions[i, k].lots
                side = 1 if u2 < members[j].long_share - tilt * usual_funding[k] else -1
                lots = whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage)
                members[j].target = side * lots
                members[j].closes = block + waiting_time(u3, members[j].holding)
                if members[j].opening == 2 and lots > 0:
                    open_at_index(venue, transactions, markets, i, k, side * lots)
                    members[j].opening = 1
                    wakes[j] = block + 1
                    continue
        gap = members[j].target - held
        if gap == 0:
            wakes[j] = min(block + waiting_time(u0, review), max(members[j].closes, block + 1))
            if members[j].target == 0:
                wakes[j] = block + waiting_time(u0, members[j].idle)
                members[j].closes = wakes[j]
            continue
        most = max(whole_lots(markets, k, members[j].order_notional), 1)
        lots = min(max(gap, -most), most)
        reduces = held != 0 and (held > 0) != (lots > 0)
        if reduces:
            lots = min(max(lots, -abs(held)), abs(held))
        elif members[j].target != 0 and (held == 0 or (held > 0) == (members[j].target > 0)):
            # No more than the account can carry now: a target set before a loss may be out of reach.
            room = whole_lots(markets, k, max(accounts[i].equity, 0.0) * members[j].leverage) - abs(held)
            if room <= 0:
                members[j].target = held
                wakes[j] = max(members[j].closes, block + 1)
                continue
            lots = min(max(lots, -room), room)
            if costs_more_than(markets, k, lots, most_premium):
                wakes[j] = block + waiting_time(u0, 10.0 * between_orders)
                continue
        take(venue, transactions, markets, i, k, lots, reach, REDUCE_ONLY if reduces else 0, members[j].latency)
        wakes[j] = block + waiting_time(u0, between_orders)


class TakerMemory(NamedTuple):
    """Members, when they act next, usual funding (m,), cumulative market shares (m,), their random stream, times in blocks."""

    members: Table
    wakes: NDArray[np.int64]
    usual_funding: NDArray[np.float64]
    weights: NDArray[np.float64]
    key: np.uint64
    between_orders: float
    funding_weight: float
    review: float


@dataclass(frozen=True, kw_only=True)
class Takers(Strategy):
    """Retail position takers: heavy-tailed leverage, a bias to the long side, no stops.

    They are the fuel of cascades: positions built near each other's prices with little margin, closed by others.
    """

    leverage: Distribution | float = parameter(LogNormal(median=4.7, sigma=0.7, highest=18.0), unit="times equity", least=0.0)
    leverage_capital: float = parameter(3_000.0, unit="USD", least=1e-9, about="capital above which leverage falls")
    leverage_power: float = parameter(
        0.2, unit="dimensionless", least=0.0, most=2.0, about="leverage falls with (capital / leverage_capital)^-power"
    )
    long_share: Distribution | float = parameter(0.67, unit="probability, while funding is zero", least=0.0, most=1.0)
    mood: float = parameter(
        0.08, unit="probability", least=0.0, most=1.0,
        about="standard deviation of a part of long_share that all members share: one draw a run",
    )  # fmt: skip
    funding_tilt: float = parameter(
        50.0,
        unit="probability per fraction of notional a day",
        least=0.0,
        most=1e6,
        about="by which funding deters from going long",
    )
    funding_tolerance: Distribution | float = parameter(
        LogNormal(median=0.004, sigma=0.8), unit="fraction of notional per day", least=0.0, about="beyond it a position is closed"
    )
    funding_memory_seconds: float = parameter(14_400.0, unit="seconds", least=1e-3, about="half-life of the funding taken for usual")
    review_seconds: float = parameter(1_800.0, unit="seconds, mean", least=0.0, about="between looks at what a position costs")
    holding_seconds: Distribution | float = parameter(
        LogNormal(median=345_600.0, sigma=0.8, highest=2_592_000.0), unit="seconds", least=1.0
    )
    idle_seconds: Distribution | float = parameter(7_200.0, unit="seconds", least=1.0)
    opening_share: float = parameter(
        0.85, unit="share of members that hold a position from the first block", least=0.0, most=1.0,
        about="they trade it with each other and with others who do, at the index",
    )  # fmt: skip
    order_notional: Distribution | float = parameter(LogNormal(median=500.0, sigma=1.0, highest=20_000.0), unit="USD per order", least=0.0)
    between_orders_seconds: float = parameter(6.0, unit="seconds", least=0.0, about="mean, while a position is built or closed")
    market_shares: tuple[float, ...] = parameter((), unit="shares, one per market; empty = equal", least=0.0)
    most_premium: float = parameter(0.003, unit="fraction of the oracle price", least=0.0, about="beyond which nobody enters but waits")
    reach: float = parameter(0.0002, unit="fraction beyond the best price of the other side", least=0.0, most=0.5)

    def init(self, recruits: Recruits) -> TakerMemory:
        state = recruits.state
        idle = recruits.draw("idle", self.idle_seconds) / state.seconds_per_block
        table = recruits.table(TAKER)
        size = np.maximum(recruits.capital / self.leverage_capital, 1.0)
        table["leverage"] = recruits.draw("leverage", self.leverage) * size**-self.leverage_power
        mood = self.mood * NormalDist().inv_cdf(min(max(float(recruits.uniforms("mood")[0]), 1e-12), 1.0 - 1e-12))
        table["long_share"] = np.clip(recruits.draw("long share", self.long_share) + mood, 0.0, 1.0)
        table["holding"] = recruits.draw("holding", self.holding_seconds) / state.seconds_per_block
        table["order_notional"] = recruits.draw("order notional", self.order_notional)
        table["idle"] = idle
        table["opening"] = np.where(recruits.uniforms("opening") < self.opening_share, 2, 0)
        shares = np.array(market_weights(self.market_shares, state.n_markets, "Takers.market_shares"))
        table["tolerance"] = recruits.draw("funding tolerance", self.funding_tolerance)
        return TakerMemory(
            table,
            np.where(table["opening"] > 0, 0, recruits.wakes(idle)),
            np.zeros(state.n_markets),
            np.cumsum(shares / shares.sum()),
            recruits.key("takers"),
            self.between_orders_seconds / state.seconds_per_block,
            1.0 - 0.5 ** (state.seconds_per_block / self.funding_memory_seconds),
            self.review_seconds / state.seconds_per_block,
        )

    def decide(self, view: View, memory: TakerMemory) -> None:
        state = view.state
        decide_takers(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, memory.members, memory.wakes,
            memory.usual_funding, memory.weights, memory.key, memory.between_orders, self.reach, self.most_premium, self.funding_tilt,
            memory.funding_weight, memory.review,
        )  # fmt: skip
