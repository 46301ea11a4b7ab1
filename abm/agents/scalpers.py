"""Scalpers: short horizons, high leverage, momentum or mean reversion, stops, an eye on funding and on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform, sample
from abm.kernels.behaviour import stress, take, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.random import four_uniforms
from abm.kernels.transactions import submit_cancel_conditionals, submit_conditional
from abm.parameters import market_weights, parameter
from abm.state import IMMEDIATE_OR_CANCEL, NEVER, REDUCE_ONLY, TRIGGER_ABOVE, TRIGGER_ON_MARK, Table
from abm.streams import stream_key

SCALPER = [
    ("market", "i8"),  # home market
    ("style", "f8"),  # +1 follows the trend, -1 fades it
    ("leverage", "f8"),
    ("wait", "f8"),  # mean blocks between looks
    ("horizon", "f8"),  # mean blocks a position is held
    ("closes", "i8"),  # block at which the position is closed
    ("stop", "f8"),  # distance of the stop from entry in standard deviations of the horizon; 0 = no stop
    ("stop_on_mark", "i8"),  # 1: the stop triggers on the mark price, 0: on the oracle
    ("threshold", "f8"),  # signal needed to enter
    ("funding_tolerance", "f8"),  # fraction of notional per day paid at most
    ("herding", "f8"),  # weight of what neighbours do
    ("entered", "i8"),  # side of the position it believes it has, 0 when flat
]
REACH = 0.001  # how far a scalper's own order goes beyond the best price of the other side
STOP_REACH = 0.05  # how far a triggered stop goes


@kernel
def decide_scalpers(venue, accounts, positions, markets, transactions, members, wakes, trend, trend_weight, neighbours, first, key):
    """Each member that wakes looks at trend, neighbours and funding, and enters, holds or leaves its home market.

    trend (m,): running average of the mark price. neighbours, first: the herd's graph as adjacency lists, member j's neighbours
    being neighbours[first[j]:first[j + 1]]. Signal = style x (log distance of mark from trend, in standard deviations) + herding x
    mean side of the neighbours; position size falls with volatility above usual.
    """
    block = venue[0].block
    for k in range(markets.shape[0]):
        trend[k] += (markets[k].mark - trend[k]) * trend_weight
    for j in range(members.shape[0]):
        if wakes[j] > block:
            continue
        u0, u1, u2, _ = four_uniforms(key, block, j, 0)
        wakes[j] = block + waiting_time(u0, members[j].wait)
        k = members[j].market
        i = members[j].row + k * members[j].stride
        held = positions[i, k].lots
        side = 0
        if held > 0:
            side = 1
        elif held < 0:
            side = -1
        deviation = (markets[k].variance_now / trend_weight) ** 0.5
        signal = 0.0
        if deviation > 0.0:
            signal = members[j].style * (markets[k].mark / trend[k] - 1.0) / deviation
        if first[j + 1] > first[j] and members[j].herding > 0.0:
            crowd = 0.0
            for n in range(first[j], first[j + 1]):
                lots = positions[members[neighbours[n]].row + k * members[neighbours[n]].stride, k].lots
                if lots > 0:
                    crowd += 1.0
                elif lots < 0:
                    crowd -= 1.0
            signal += members[j].herding * crowd / (first[j + 1] - first[j])
        if side == 0:
            if members[j].entered != 0:
                # The stop or a liquidation closed it: clear what is left of the stop.
                submit_cancel_conditionals(venue, transactions, i, k, members[j].latency)
                members[j].entered = 0
            if abs(signal) < members[j].threshold:
                continue
            wanted = 1 if signal > 0.0 else -1
            if wanted * markets[k].funding_per_day > members[j].funding_tolerance:
                continue
            notional = max(accounts[i].equity, 0.0) * members[j].leverage / max(stress(markets, k), 1.0)
            lots = whole_lots(markets, k, notional)
            if lots == 0:
                continue
            take(venue, transactions, markets, i, k, wanted * lots, REACH, 0, members[j].latency)
            members[j].entered = wanted
            members[j].closes = block + waiting_time(u1, members[j].horizon)
            if members[j].stop > 0.0:
                distance = members[j].stop * (markets[k].variance_now * members[j].horizon) ** 0.5
                distance = min(max(distance, 0.001), 0.5)
                trigger = markets[k].mark * (1.0 - wanted * distance)
                tick = int(trigger * (1.0 - wanted * STOP_REACH) / markets[k].tick)
                tick = min(max(tick, 1), markets[k].ticks - 1)
                flags = REDUCE_ONLY | IMMEDIATE_OR_CANCEL
                if wanted < 0:
                    flags |= TRIGGER_ABOVE
                if members[j].stop_on_mark != 0:
                    flags |= TRIGGER_ON_MARK
                submit_conditional(venue, transactions, i, k, -wanted, trigger, tick, lots, flags, NEVER, members[j].latency)
        else:
            pays_too_much = side * markets[k].funding_per_day > members[j].funding_tolerance
            reversed_signal = side * signal < -members[j].threshold
            if block >= members[j].closes or pays_too_much or reversed_signal:
                take(venue, transactions, markets, i, k, -held, REACH * (1.0 + 3.0 * u2), REDUCE_ONLY, members[j].latency)
                submit_cancel_conditionals(venue, transactions, i, k, members[j].latency)


class ScalperMemory(NamedTuple):
    """Members, when they look next, the trend everybody follows, the herd's graph, and the random stream."""

    members: Table
    wakes: NDArray[np.int64]
    trend: NDArray[np.float64]
    trend_weight: float
    neighbours: NDArray[np.int64]
    first: NDArray[np.int64]
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class Scalpers(Strategy):
    """Short-term traders with high leverage who imitate their neighbours on a graph and protect themselves with stops.

    A stop is a conditional order: when it triggers it takes what the book offers and slips like any order.
    """

    leverage: Distribution | float = parameter(LogNormal(median=8.0, sigma=0.5, highest=18.0), unit="times equity", least=0.0)
    momentum_share: float = parameter(0.6, unit="share of members that follow the trend; the others fade it", least=0.0, most=1.0)
    look_seconds: Distribution | float = parameter(LogNormal(median=120.0, sigma=0.6), unit="seconds between looks, mean", least=0.0)
    horizon_seconds: Distribution | float = parameter(LogNormal(median=1_800.0, sigma=0.8), unit="seconds held, mean", least=0.0)
    trend_seconds: float = parameter(300.0, unit="seconds", least=1e-3, about="half-life of the trend")
    threshold: Distribution | float = parameter(Uniform(low=1.5, high=3.5), unit="standard deviations", least=0.0)
    herding: Distribution | float = parameter(0.8, unit="standard deviations when all neighbours agree", least=0.0)
    graph: Literal["none", "small world", "scale free"] = parameter("small world", unit="name")
    neighbours: int = parameter(6, unit="neighbours per member, mean", least=0, most=1000)
    stop_share: float = parameter(0.7, unit="share of members that use stops", least=0.0, most=1.0)
    stop: Distribution | float = parameter(Uniform(low=1.0, high=2.5), unit="standard deviations of the horizon", least=0.0)
    stop_on_mark_share: float = parameter(0.5, unit="share of stops that trigger on mark; the others on the oracle", least=0.0, most=1.0)
    funding_tolerance: Distribution | float = parameter(LogNormal(median=0.002, sigma=0.8), unit="fraction of notional per day", least=0.0)
    market_shares: tuple[float, ...] = parameter((), unit="shares, one per market; empty = equal", least=0.0)

    def init(self, recruits: Recruits) -> ScalperMemory:
        state = recruits.state
        seconds = state.seconds_per_block
        wait = recruits.draw("look", self.look_seconds) / seconds
        table = recruits.table(SCALPER)
        shares = np.array(market_weights(self.market_shares, state.n_markets, "Scalpers.market_shares"))
        table["market"] = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], recruits.uniforms("market"), side="right")
        table["style"] = np.where(recruits.uniforms("style") < self.momentum_share, 1.0, -1.0)
        table["leverage"] = recruits.draw("leverage", self.leverage)
        table["wait"] = wait
        table["horizon"] = recruits.draw("horizon", self.horizon_seconds) / seconds
        stops = sample(self.stop, recruits.uniforms("stop"))
        table["stop"] = np.where(recruits.uniforms("uses stops") < self.stop_share, stops, 0.0)
        table["stop_on_mark"] = recruits.uniforms("stop on mark") < self.stop_on_mark_share
        table["threshold"] = recruits.draw("threshold", self.threshold)
        table["funding_tolerance"] = recruits.draw("funding tolerance", self.funding_tolerance)
        table["herding"] = recruits.draw("herding", self.herding)
        neighbours, first = herd(self.graph, recruits.members, self.neighbours, recruits.seed, recruits.name)
        weight = 1.0 - 0.5 ** (seconds / self.trend_seconds)
        return ScalperMemory(table, recruits.wakes(wait), state.markets["mark"].copy(), weight, neighbours, first, recruits.key("scalpers"))

    def decide(self, view: View, memory: ScalperMemory) -> None:
        state = view.state
        decide_scalpers(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, memory.members, memory.wakes,
            memory.trend, memory.trend_weight, memory.neighbours, memory.first, memory.key,
        )  # fmt: skip


def herd(kind: str, members: int, degree: int, seed: int, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Adjacency lists (neighbours, first) of the graph on which members imitate each other.

    "small world": Watts-Strogatz with a tenth of the edges rewired; "scale free": Barabasi-Albert; "none": no edges.
    """
    graph_seed = int(stream_key(seed, f"{name}/graph") & np.uint64(0x7FFFFFFF))
    half = max(degree // 2, 1)
    graph: Any = nx.empty_graph(members)
    if degree > 0 and members > degree + 1:
        if kind == "small world":
            graph = nx.watts_strogatz_graph(members, 2 * half, 0.1, seed=graph_seed)
        elif kind == "scale free":
            graph = nx.barabasi_albert_graph(members, half, seed=graph_seed)
    lists = [sorted(graph.neighbors(j)) for j in range(members)]
    first = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return np.array([n for one in lists for n in one], np.int64), first
