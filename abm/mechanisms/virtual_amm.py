"""Clearing against a virtual constant-product market maker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from abm.kernels.virtual_market import clear_on_curves
from abm.mechanisms.curve import CurveClearing
from abm.parameters import parameter
from abm.state import CURVE, State, Table
from abm.streams import stream_key

Profit = Literal["fund", "fee pool"]


class CurveMemory(NamedTuple):
    """The curves, the rule in the form that the kernel takes, and the stream for the position that a liquidation closes."""

    curves: Table  # (m,)
    terms: Table  # (1,)
    key: np.uint64


@dataclass(frozen=True, kw_only=True)
class VirtualAmm(CurveClearing):
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

    band: float = parameter(0.0, unit="fraction of the last block's price", least=0.0, most=1.0, about="0: no band")
    trade_limit: float = parameter(0.9, unit="fraction of a reserve", least=1e-6, most=0.999)
    oracle_gap: float = parameter(0.1, unit="fraction of the oracle price", least=0.0)
    profit: Profit = parameter("fund", unit="fund or fee pool", about="where the curve's fees, funding and spreads go")

    def inconsistencies(self) -> list[str]:
        if self.profit in get_args(Profit):
            return []
        return [f"VirtualAmm.profit: {self.profit!r} is not one of {', '.join(map(repr, get_args(Profit)))}"]

    def init(self, state: State, seed: int) -> CurveMemory:
        state.offers = frozenset({CURVE})
        curves, terms = self.open_curves(state)
        for field in ("band", "trade_limit", "oracle_gap"):
            terms[field] = getattr(self, field)
        terms["profit_to_fund"] = self.profit == "fund"
        return CurveMemory(curves, terms, stream_key(seed, "liquidated position"))

    def clear(self, state: State, memory: CurveMemory, count: int) -> None:
        clear_on_curves(
            state.venue, state.accounts, state.positions, state.markets, state.margin_tiers, state.funds, state.levels, state.bitmap,
            state.orders, state.expiry, state.conditionals, state.transactions, state.sequence, state.fills, state.ended_orders,
            state.liquidations, state.liquidation_terms, memory.curves, memory.terms, memory.key, count,
        )  # fmt: skip
