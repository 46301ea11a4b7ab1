"""A book with a curve beside it, on which market orders are auctioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.auctioned_book import clear_beside_curves
from abm.kernels.order_auctions import AUCTION_TERMS, AUCTIONED_ORDER
from abm.mechanisms.clearing import DYDX_ORDER_LIMITS, ContinuousBook
from abm.mechanisms.curve import DAY, CurveClearing
from abm.mechanisms.names import accounts_of
from abm.parameters import parameter
from abm.state import BOOK, CURVE, State, Table, empty_table
from abm.streams import stream_key


class AuctionedMemory(NamedTuple):
    """The curves and their terms, orders in auction and how many, the terms of auctions, who fills, and the streams of liquidated
    positions and of fillers."""

    curves: Table  # (m,)
    curve_terms: Table  # (1,)
    auctions: Table  # rows of AUCTIONED_ORDER
    waiting: NDArray[np.int64]  # (1,)
    terms: Table  # (1,)
    fillers: NDArray[np.int64]
    key: np.uint64
    filler_key: np.uint64


@dataclass(frozen=True, kw_only=True)
class AuctionedBook(CurveClearing):
    """An order book, a curve whose account quotes in it, and an auction for every market order (Drift v2).

    - a market (immediate-or-cancel) order waits: over `auction_slots` its price moves from the oracle price to half a per cent worse, no
      further than its limit (a limit better than the oracle is approached from half a per cent better)
    - in each block resting orders that cross this price fill it, each at its own price. Just in time the curve takes a quarter of such a
      match, half of it where the curve is imbalanced, a quarter where the price is better than the oracle's; times `jit_intensity`, and
      only what brings its own inventory down
    - after the auction resting orders and the curve fill the rest up to the limit, whoever is better first; what is left then ends
    - limit orders and liquidations meet resting orders at once, among them the quotes that show the curve. Resting orders that the curve's
      price crosses are filled by it, at their prices
    - of the taker's fee min(`filler_fraction` of it, `filler_floor` x slots waited^(1/4)) goes to an account of `filler_cohort`, drawn anew
      for each match, and `fee_pool_share` of the rest, net of the rebate, to the curve's account as its fee pool
    - every `repeg_seconds` the peg goes to the oracle price, or as far as the fee pool pays, or at least to half of `repeg_spread` from it.
      Every `scale_seconds` its depth changes: half of the funding that the curve has received is spent on more, half of what funding has
      cost it beyond its fees is taken back, within `scale_up` and `scale_down`. What it lacks of its debt to traders the fund pays

    An order of an account that is liquidated meanwhile ends if the liquidation rule cancels orders; so does one that its owner takes back
    with all others. While a market is halted auctions run on without trades.

    Sources: drift-labs/protocol-v2 `programs/drift/src/math/{auction,fulfillment,matching,amm_jit,fees,repeg,cp_curve}.rs`,
    `controller/{orders,amm}.rs`. Not so there: the curve's spread is constant, auctioned orders do not meet each other, and a limit
    order takes the curve's quotes at once, with no reward to a filler.
    """

    half_spread: float = parameter(0.0005, unit="fraction of the curve's price", least=0.0, most=0.5)
    repeg_seconds: float = parameter(10.0, unit="seconds", least=0.0, most=30 * DAY, about="0: never")
    repeg_spread: float = parameter(0.05, unit="fraction of the oracle price", least=0.0, most=1e3)
    scale_seconds: float = parameter(3600.0, unit="seconds", least=0.0, most=30 * DAY, about="between changes of depth; 0: none")
    auction_slots: float = parameter(10.0, unit="slots", least=0.0, most=1e6, about="0: market orders trade at once")
    slot_seconds: float = parameter(0.4, unit="seconds", least=1e-3, most=DAY)
    jit_intensity: float = parameter(1.0, unit="fraction", least=0.0, most=1.0)
    concentration: float = parameter(
        1.4142, unit="factor on sqrt(k)", least=1.0001, most=100.0,
        about="the curve's reserve lies between this and its inverse; where it is off the middle the curve is imbalanced",
    )  # fmt: skip
    filler_fraction: float = parameter(0.1, unit="fraction of the taker's fee", least=0.0, most=1.0)
    filler_floor: float = parameter(0.01, unit="USD per fourth root of a slot", least=0.0)
    filler_cohort: str = parameter("", unit="cohort name", about="empty: nobody is rewarded")
    fee_pool_share: float = parameter(1.0, unit="fraction of the fees that are left", least=0.0, most=1.0)
    order_limits: tuple[tuple[float, float], ...] = parameter(DYDX_ORDER_LIMITS, unit="(USD of equity, orders)", about="dYdX equity tiers")
    trigger_band: float = parameter(
        0.0, unit="fraction of the oracle price", least=0.0, most=1.0,
        about="conditional orders also trigger on trades, clamped to this distance from the oracle; 0: on the oracle alone",
    )  # fmt: skip

    def inconsistencies(self) -> list[str]:
        equities = [row[0] for row in self.order_limits]
        return [] if equities == sorted(equities) else ["AuctionedBook.order_limits: equities must rise from row to row"]

    def init(self, state: State, seed: int) -> AuctionedMemory:
        key = ContinuousBook(order_limits=self.order_limits, trigger_band=self.trigger_band).init(state, seed)
        state.offers = frozenset({BOOK, CURVE})
        curves, curve_terms = self.open_curves(state)
        terms = empty_table(1, AUCTION_TERMS)
        terms["slots"] = self.auction_slots
        terms["slots_per_block"] = state.seconds_per_block / self.slot_seconds
        terms["intensity"] = self.jit_intensity
        terms["concentration"] = self.concentration
        terms["filler_fraction"] = self.filler_fraction
        terms["filler_floor"] = self.filler_floor
        terms["pool_share"] = self.fee_pool_share
        terms["scale_blocks"] = state.blocks(self.scale_seconds) if self.scale_seconds > 0.0 else 0
        named = (self.filler_cohort,) if self.filler_cohort else ()
        fillers = np.flatnonzero(accounts_of(named, state, "AuctionedBook.filler_cohort"))
        return AuctionedMemory(
            curves=curves,
            curve_terms=curve_terms,
            auctions=empty_table(len(state.transactions), AUCTIONED_ORDER),
            waiting=np.zeros(1, np.int64),
            terms=terms,
            fillers=fillers.astype(np.int64),
            key=key,
            filler_key=stream_key(seed, "fillers"),
        )

    def clear(self, state: State, memory: AuctionedMemory, count: int) -> None:
        clear_beside_curves(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidated_lots, state.order_limits, state.liquidation_terms, memory.key, count, memory.curves,
            memory.curve_terms, memory.auctions, memory.waiting, memory.terms, memory.fillers, memory.filler_key,
        )  # fmt: skip
