"""Liquidity providers: quote both sides in layers, lean against their inventory, widen with volatility, leave after losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.behaviour import stress, waiting_time, whole_lots
from abm.kernels.compiled import kernel
from abm.kernels.quoting import optimal_spread, reservation_price
from abm.kernels.random import uniform
from abm.kernels.transactions import submit_cancel_all, submit_order
from abm.parameters import market_weights, parameter
from abm.state import BOOK, POST_ONLY, Table, empty_table

PROVIDER = [
    ("risk_aversion", "f8"),  # per quoted unit of inventory and unit of return
    ("arrival_decay", "f8"),  # per unit of return: one over the calm half-spread
    ("notional", "f8"),  # USD quoted per side and market at full size
    ("loss_limit", "f8"),  # fraction of the highest equity that may be lost before leaving
    ("highest_equity", "f8"),
    ("away_until", "i8"),
    ("refresh", "f8"),  # mean blocks between two looks when nothing moves
]
QUOTE = np.dtype(
    [
        ("price", "f8"),  # index when last quoted, 0 = no quotes out
        ("lots", "i8"),  # inventory when last quoted
        ("due", "i8"),  # block at which quotes are renewed whatever happens
        ("premium", "f8"),  # running average of the market's own premium as this maker sees it
    ],
    align=True,
)


@kernel
def decide_providers(
    venue, accounts, positions, markets, transactions, members, quotes, weights, key,
    layers, layer_step, layer_growth, horizon, premium_share, requote_move, requote_share, requote_noise, inventory_limit,
    calm_power, rest, lifetime, premium_weight, beside_share,
):  # fmt: skip
    """Each member looks at every market and renews its quotes when the index or its inventory moved, or when they are due.

    quotes (members, m): records of QUOTE. horizon: blocks over which inventory is at risk. Quotes are renewed beyond the largest of
    requote_move (fraction of the index), requote_share (calm half-spreads of the member) and requote_noise (standard deviations of a
    block's return as measured now). inventory_limit: inventory / equity at which the adding side is no longer quoted. calm_power: how
    strongly quoted size falls with volatility. premium_share: how much of the usual premium a maker takes for fair. weights (m,):
    quoted size of each market, 1 on average. lifetime: blocks after which an order that nobody renewed ends by itself. beside_share: how
    much of the way from the index to the mid on the venue beside the price lies that is quoted around.
    """
    block = venue[0].block
    for j in range(members.shape[0]):
        if members[j].away_until > block:
            continue
        i = members[j].row
        equity = 0.0
        for k in range(markets.shape[0] if members[j].stride > 0 else 1):
            equity += accounts[i + k].equity
        if equity > members[j].highest_equity:
            members[j].highest_equity = equity
        if equity < members[j].highest_equity * (1.0 - members[j].loss_limit):
            # Losses beyond the limit: pull everything, come back later with what is left as the new mark.
            members[j].away_until = block + rest
            members[j].highest_equity = equity
            for k in range(markets.shape[0]):
                quotes[j, k].price = 0.0
                submit_cancel_all(venue, transactions, i + k * members[j].stride, k, members[j].latency)
            continue
        patience = max(requote_move, requote_share / members[j].arrival_decay)
        for k in range(markets.shape[0]):
            i = members[j].row + k * members[j].stride
            index = markets[k].index
            if beside_share > 0.0 and markets[k].outside_mid > 0.0:
                index += beside_share * (markets[k].outside_mid - index)
            held = positions[i, k].lots
            bid = markets[k].best_bid
            ask = markets[k].best_ask
            if bid > 0 and ask < markets[k].ticks:
                premium = 0.5 * (bid + ask) * markets[k].tick / index - 1.0
                quotes[j, k].premium += (min(max(premium, -0.02), 0.02) - quotes[j, k].premium) * premium_weight
            # Less than a usual block's move is no news.
            moved = abs(index - quotes[j, k].price) > max(patience, requote_noise * math.sqrt(markets[k].variance_now)) * index
            if not moved and held == quotes[j, k].lots and block < quotes[j, k].due:
                continue
            if held != quotes[j, k].lots and not moved and block < quotes[j, k].due:
                change = abs(held - quotes[j, k].lots) * markets[k].lot * index
                if change < 0.1 * members[j].notional * weights[k]:
                    continue
            quotes[j, k].price = index
            quotes[j, k].lots = held
            quotes[j, k].due = block + waiting_time(uniform(key, block, j, k), members[j].refresh)
            submit_cancel_all(venue, transactions, i, k, members[j].latency)
            quoted = members[j].notional * weights[k]
            unit = quoted / layers
            inventory = held * markets[k].lot * index / unit
            variance = markets[k].variance_now * horizon
            spread = optimal_spread(members[j].risk_aversion, variance, members[j].arrival_decay)
            centre = reservation_price(premium_share * quotes[j, k].premium, inventory, members[j].risk_aversion, variance)
            centre = min(max(centre, -0.05), 0.05)
            size = quoted * min(1.0, stress(markets, k) ** -calm_power)
            exposure = held * markets[k].lot * index / max(equity, 1.0)
            weight = 0.0
            for layer in range(layers):
                weight += layer_growth**layer
            for layer in range(layers):
                offset = 0.5 * spread * (1.0 + layer_step * layer * (1.0 + 0.5 * layer))
                lots = whole_lots(markets, k, size * layer_growth**layer / weight)
                if lots == 0:
                    continue
                if exposure < inventory_limit:
                    tick = int(index * (1.0 + centre - offset) / markets[k].tick)
                    if tick >= 1:
                        submit_order(
                            venue, transactions, i, k, 1, tick, lots, POST_ONLY, block + members[j].latency + lifetime,
                            members[j].latency,
                        )  # fmt: skip
                if exposure > -inventory_limit:
                    tick = int(index * (1.0 + centre + offset) / markets[k].tick) + 1
                    if tick < markets[k].ticks:
                        submit_order(
                            venue, transactions, i, k, -1, tick, lots, POST_ONLY, block + members[j].latency + lifetime,
                            members[j].latency,
                        )  # fmt: skip


class ProviderMemory(NamedTuple):
    """Members, their quotes (members, m), the markets' weights (m,), their random stream, and times in blocks."""

    members: Table
    quotes: Table
    weights: NDArray[np.float64]
    key: np.uint64
    horizon: float
    rest: int
    lifetime: int
    premium_weight: float


@dataclass(frozen=True, kw_only=True)
class LiquidityProviders(Strategy):
    """Market makers on a book: layered post-only quotes around the outside price plus the venue's usual premium.

    Centre and spread follow Avellaneda and Stoikov with the measured volatility of the last minutes; size falls with volatility;
    after a loss of `loss_limit` from its highest equity a maker pulls all quotes and rests.
    """

    half_spread: Distribution | float = parameter(
        LogNormal(median=0.00015, sigma=0.9, highest=0.002), unit="fraction of the index, when calm", least=1e-6
    )
    risk_aversion: Distribution | float = parameter(
        LogNormal(median=6.0, sigma=0.5), unit="per quoted unit of inventory and unit of return", least=0.0
    )
    quoted_share: Distribution | float = parameter(0.025, unit="of capital, per side and market, on average", least=0.0)
    market_shares: tuple[float, ...] = parameter((), unit="shares of what is quoted, one per market; empty = equal", least=0.0)
    layers: int = parameter(4, unit="price levels per side", least=1, most=100)
    layer_step: float = parameter(2.0, unit="half-spreads between layers, growing outward", least=0.0)
    layer_growth: float = parameter(1.4, unit="size of a layer over the one before", least=0.1, most=10.0)
    horizon_seconds: float = parameter(900.0, unit="seconds", least=0.0, about="over which inventory is thought to be at risk")
    requote_move: float = parameter(0.00005, unit="fraction of the index", least=0.0, most=1.0, about="quotes are renewed beyond it")
    requote_share: float = parameter(1.0, unit="of the member's calm half-spread", least=0.0, about="likewise; the largest counts")
    requote_noise: float = parameter(1.0, unit="standard deviations of a block's return now", least=0.0, about="likewise")
    refresh_seconds: Distribution | float = parameter(60.0, unit="seconds, mean", least=0.0)
    lifetime_seconds: float = parameter(300.0, unit="seconds", least=1e-3, about="after which an order nobody renewed ends")
    inventory_limit: float = parameter(2.5, unit="inventory over equity", least=0.0)
    calm_power: float = parameter(1.0, unit="dimensionless", least=0.0, most=10.0, about="quoted size falls with volatility^-power")
    loss_limit: Distribution | float = parameter(Uniform(low=0.03, high=0.15), unit="fraction of the highest equity", least=0.0, most=1.0)
    rest_seconds: float = parameter(300.0, unit="seconds", least=0.0, about="away after a loss")
    premium_share: float = parameter(0.8, unit="of the usual premium, taken for fair", least=0.0, most=1.0)
    premium_seconds: float = parameter(1800.0, unit="seconds", least=1e-3, about="half-life of the premium a maker takes for usual")
    beside_share: float = parameter(
        0.0, unit="fraction of the way from the index to the mid on the venue beside", least=0.0, most=1.0, about="quotes lie around it"
    )

    def init(self, recruits: Recruits) -> ProviderMemory:
        state = recruits.state
        refresh = recruits.draw("refresh", self.refresh_seconds) / state.seconds_per_block
        table = recruits.table(PROVIDER)
        table["risk_aversion"] = recruits.draw("risk aversion", self.risk_aversion)
        table["arrival_decay"] = 1.0 / recruits.draw("half spread", self.half_spread)
        table["notional"] = recruits.capital * recruits.draw("quoted share", self.quoted_share)
        table["loss_limit"] = recruits.draw("loss limit", self.loss_limit)
        table["highest_equity"] = recruits.capital
        table["refresh"] = refresh
        shares = np.array(market_weights(self.market_shares, state.n_markets, "LiquidityProviders.market_shares"))
        return ProviderMemory(
            table,
            empty_table((recruits.members, state.n_markets), QUOTE),
            shares / shares.mean(),
            recruits.key("quotes"),
            self.horizon_seconds / state.seconds_per_block,
            state.blocks(self.rest_seconds),
            state.blocks(self.lifetime_seconds),
            1.0 - 0.5 ** (state.seconds_per_block / self.premium_seconds),
        )

    def decide(self, view: View, memory: ProviderMemory) -> None:
        if not view.offers(BOOK):
            return
        state = view.state
        decide_providers(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, memory.members, memory.quotes,
            memory.weights, memory.key, self.layers, self.layer_step, self.layer_growth, memory.horizon, self.premium_share,
            self.requote_move, self.requote_share, self.requote_noise, self.inventory_limit, self.calm_power, memory.rest, memory.lifetime,
            memory.premium_weight, self.beside_share,
        )  # fmt: skip
