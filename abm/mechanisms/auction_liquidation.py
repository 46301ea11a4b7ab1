"""Liquidation by Dutch auction, and the gate on withdrawals while insolvent accounts are under auction."""

from __future__ import annotations

import math
from dataclasses import dataclass

from abm.kernels.account_auction import gate_withdrawals
from abm.mechanisms.guards import Guard
from abm.mechanisms.liquidation import Liquidation
from abm.parameters import parameter
from abm.state import LIQUIDATION_TERMS, State, Table, empty_table


@dataclass(frozen=True, kw_only=True)
class AuctionLiquidation(Liquidation):
    """A bidder takes a share of the whole account, positions and money, at a price that falls as time passes (Derive).

    - the auction begins in the block in which equity falls below maintenance margin, and ends when it is back above
    - the bidder of a share f pays f x d x (equity - reserved): d falls from `start` to `turn` in `fast_seconds`, then to 0 in
      `slow_seconds`; reserved is what earlier bidders of the auction have paid
    - f is at most BM / (BM - equity x d - reserved x (1 - d)), BM = equity - (1 + `buffer`) x maintenance margin
    - an account below zero, or one whose slow phase is over, is insolvent: the bidder takes it with its debt and is paid from -equity (0
      above zero) to maintenance margin - equity, linear in `insolvent_seconds`; the insurance fund pays, what it cannot pay everybody with
      money on the venue pays in proportion
    - a bidder needs initial margin for what it then holds, and takes half as much as often as needed; where the protocol liquidates by
      itself nobody takes anything. Positions move at the mark in whole lots, rounded up

    Source: derivexyz/v2-core `src/liquidation/DutchAuction.sol` and its tests.
    """

    start: float = parameter(1.0, unit="part of the account's value", least=0.0, most=1.0)
    turn: float = parameter(0.8, unit="part of the account's value", least=0.0, most=1.0)
    fast_seconds: float = parameter(600.0, unit="seconds", least=0.0, most=1e9)
    slow_seconds: float = parameter(7_200.0, unit="seconds", least=0.0, most=1e9)
    buffer: float = parameter(0.1, unit="fraction of maintenance margin", least=0.0, most=10.0)
    insolvent_seconds: float = parameter(600.0, unit="seconds", least=0.0, most=1e9)
    cancels_orders: bool = parameter(True, unit="yes or no", about="the account's resting orders are cancelled first")

    def inconsistencies(self) -> list[str]:
        if self.turn <= self.start:
            return []
        return [f"AuctionLiquidation.turn: {self.turn:g} is more than start {self.start:g}; the price of an auction falls"]

    def terms(self) -> Table:
        terms = empty_table(1, LIQUIDATION_TERMS)
        terms["taken_by_keeper"] = 1
        terms["auctioned"] = 1
        terms["auction_start"] = self.start
        terms["auction_turn"] = self.turn
        terms["auction_fast"] = self.fast_seconds
        terms["auction_slow"] = self.slow_seconds
        terms["auction_buffer"] = self.buffer
        terms["auction_insolvent"] = self.insolvent_seconds
        terms["max_portion"] = 1.0
        terms["max_notional_per_block"] = math.inf
        terms["max_insurance_per_block"] = math.inf
        terms["all_markets"] = 1
        terms["cancels_orders"] = self.cancels_orders
        return terms


@dataclass(frozen=True, kw_only=True)
class InsolventAuctionGate(Guard):
    """Nobody withdraws while insolvent accounts together lack more to their maintenance margins than the insurance fund has (Derive).

    Counted are accounts below zero as last assessed: sum of maintenance margin - equity. Source: derivexyz/v2-core
    `src/liquidation/DutchAuction.sol`, getIsWithdrawBlocked.
    """

    def watch(self, state: State, memory: None) -> None:
        if state.somebody_to_liquidate:
            gate_withdrawals(state.venue, state.accounts, state.funds)
