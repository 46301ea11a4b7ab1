"""Clearing against a virtual constant-product market maker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from abm.kernels.virtual_market import CURVE, CURVE_TERMS, clear_on_curves, show_curves
from abm.mechanisms.clearing import Clearing
from abm.parameters import parameter, per_market
from abm.state import CURVE as OFFERS_CURVE
from abm.state import State, Table, empty_table
from abm.streams import stream_key

Profit = Literal["fund", "fee pool"]
DAY = 86_400.0  # seconds


class CurveMemory(NamedTuple):
    """The curves, the rule in the form that the kernel takes, and the stream for the position that a liquidation closes."""

    curves: Table  # (m,)
    terms: Table  # (1,)
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class VirtualAmm(Clearing):
    """Everybody trades with a curve quote x base = k of virtual dollars and coins (Perp v1), which may follow the oracle (Drift v2).

    - price = peg x quote / base; buying d coins costs peg x quote x d / (base - d), plus `half_spread`
    - an order takes what the curve gives up to its limit price and never rests; post-only orders are refused
    - one that would move the price beyond `band` from the last block's, or take more than `trade_limit` of a reserve, fails as a whole
    - positions are closed on the curve; a liquidation closes the rule's portion while the margin ratio on the curve is above the
      penalty, else everything; where the curve is more than `oracle_gap` from the oracle, the account must be short of margin at both
    - an account of the venue holds the other side. What it has beyond its debt to traders on the curve is the insurance fund's, which
      also pays what it lacks (Perp v1), or stays with it as a fee pool (Drift v2), as `profit` says
    - every `repeg_seconds` the peg goes to the oracle price, or as far as the fee pool pays, or at least to half of `repeg_spread` from
      it; then the reserves grow or shrink with what is left, within `scale_up` and `scale_down`; 0 leaves peg and k alone

    Sources: perpetual-protocol/perpetual-protocol `src/Amm.sol`, `src/ClearingHouse.sol`; drift-labs/protocol-v2
    `programs/drift/src/math/{amm,repeg,cp_curve}.rs`. The curve is shown to agents and recorder as resting quotes of its account, on
    `quote_levels` prices a side out to `quote_reach`; trades use the exact curve.
    """

    house: ClassVar[str] = "amm"

    quote_reserve: float | tuple[float, ...] = parameter(
        20e6, unit="virtual USD at the start; one number, or one per market", least=1.0, about="a trade of 0.5 % of it moves the price 1 %"
    )
    half_spread: float = parameter(0.0, unit="fraction of the curve's price", least=0.0, most=0.5)
    band: float = parameter(0.0, unit="fraction of the last block's price", least=0.0, most=1.0, about="0: no band")
    trade_limit: float = parameter(0.9, unit="fraction of a reserve", least=1e-6, most=0.999)
    oracle_gap: float = parameter(0.1, unit="fraction of the oracle price", least=0.0)
    profit: Profit = parameter("fund", unit="fund or fee pool", about="where the curve's fees, funding and spreads go")
    repeg_seconds: float = parameter(0.0, unit="seconds", least=0.0, most=30 * DAY, about="0: never")
    repeg_spread: float = parameter(0.05, unit="fraction of the oracle price", least=0.0, most=1.0)
    scale_up: float = parameter(1.001, unit="largest factor on the reserves per repeg", least=1.0, most=2.0)
    scale_down: float = parameter(0.978, unit="smallest factor on the reserves per repeg", least=0.5, most=1.0)
    quote_levels: int = parameter(40, unit="price levels a side", least=1, most=1000)
    quote_reach: float = parameter(0.05, unit="fraction of the price", least=1e-6, most=0.9)

    def inconsistencies(self) -> list[str]:
        if self.profit in get_args(Profit):
            return []
        return [f"VirtualAmm.profit: {self.profit!r} is not one of {', '.join(map(repr, get_args(Profit)))}"]

    def init(self, state: State, seed: int) -> CurveMemory:
        state.offers = frozenset({OFFERS_CURVE})
        price = state.markets["index"]
        depth = np.array(per_market(self.quote_reserve, state.n_markets, "VirtualAmm.quote_reserve"))
        curves = empty_table(state.n_markets, CURVE)
        # Reserves of equal numbers, so that the peg is the price; only peg x quote has a meaning.
        curves["flat_base"] = curves["sqrt_k"] = depth / price
        curves["peg"] = curves["reference"] = price
        terms = empty_table(1, CURVE_TERMS)
        for field in ("half_spread", "band", "trade_limit", "oracle_gap", "repeg_spread", "scale_up", "scale_down"):
            terms[field] = getattr(self, field)
        terms["repeg_blocks"] = state.blocks(self.repeg_seconds) if self.repeg_seconds > 0.0 else 0
        terms["profit_to_fund"] = self.profit == "fund"
        terms["levels"] = self.quote_levels
        terms["reach"] = self.quote_reach
        show_curves(
            state.venue, state.accounts, state.positions, state.markets, state.levels, state.bitmap, state.orders, state.expiry, curves,
            terms,
        )  # fmt: skip
        return CurveMemory(curves, terms, stream_key(seed, "liquidated position"))

    def clear(self, state: State, memory: CurveMemory, count: int) -> None:
        clear_on_curves(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidation_terms, memory.curves, memory.terms, memory.key, count,
        )  # fmt: skip
