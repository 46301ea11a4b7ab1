"""Resident vaults: pooled capital that quotes around the oracle price by a published formula and skews by its own leverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from abm.agents.base import Recruits, Strategy, View
from abm.kernels import vault
from abm.kernels.compiled import kernel
from abm.kernels.transactions import submit_cancel_all, submit_order
from abm.kernels.vault import vault_spread, write_vault_quotes
from abm.parameters import parameter
from abm.state import BOOK, POST_ONLY, Table, empty_table

VAULT_MARKET = np.dtype(
    [
        ("oracle", "f8"),  # USD when last quoted, 0 = never
        ("lots", "i8"),  # inventory when last quoted
        ("due", "i8"),  # block at which its quotes expire
    ],
    align=True,
)


@kernel
def decide_vaults(
    venue, accounts, positions, markets, transactions, members, quoted, quotes, layers, least_spread, buffer, min_change, skew_factor,
    size_fraction, lifetime, least_equity,
):  # fmt: skip
    """Each vault renews its quotes in a market when the oracle price or its inventory changed, or when they expire."""
    block = venue[0].block
    for j in range(members.shape[0]):
        for k in range(markets.shape[0]):
            i = members[j].row + k * members[j].stride
            lots = positions[i, k].lots
            oracle = markets[k].oracle
            if block < quoted[j, k].due and oracle == quoted[j, k].oracle and lots == quoted[j, k].lots:
                continue
            quoted[j, k].oracle = oracle
            quoted[j, k].lots = lots
            quoted[j, k].due = block + lifetime
            submit_cancel_all(venue, transactions, i, k, members[j].latency)
            equity = accounts[i].equity
            if equity < least_equity:
                continue
            spread = vault_spread(least_spread, buffer, min_change)
            count = write_vault_quotes(
                quotes, equity, lots, oracle, layers, spread, skew_factor, size_fraction, markets[k].tick, markets[k].lot, False
            )
            for q in range(count):
                if quotes[q].tick < markets[k].ticks:
                    submit_order(
                        venue, transactions, i, k, quotes[q].side, quotes[q].tick, quotes[q].lots,
                        POST_ONLY if quotes[q].post_only != 0 else 0, block + members[j].latency + lifetime, members[j].latency,
                    )  # fmt: skip


class VaultMemory(NamedTuple):
    """Members, what they last quoted (members, m), and room for one market's quotes."""

    members: Table
    quoted: Table
    quotes: Table
    lifetime: int


@dataclass(frozen=True, kw_only=True)
class ResidentVaults(Strategy):
    """dYdX v4's MegaVault: a few layers on each side of the oracle price, wider and asymmetric the more it is levered.

    On the chain each market has a sub-vault of its own: use `margin = "isolated"`. Under cross margin every market is quoted with the
    whole equity. Defaults: `protocol/x/vault/types/params.go`.
    """

    layers: int = parameter(2, unit="layers per side", least=1, most=100)
    least_spread: float = parameter(0.01, unit="fraction of the oracle price", least=0.0, most=1.0)
    spread_buffer: float = parameter(0.0015, unit="fraction, above the oracle's threshold", least=0.0, most=1.0)
    oracle_threshold: float = parameter(0.001, unit="fraction, the oracle's minimum change", least=0.0, most=1.0)
    skew_factor: float = parameter(2.0, unit="spreads per unit of leverage", least=0.0, most=1000.0)
    order_size: float = parameter(0.1, unit="fraction of equity per order", least=0.0, most=1.0)
    expiry_seconds: float = parameter(60.0, unit="seconds", least=1e-3)
    activation: float = parameter(1_000.0, unit="USD of equity below which it does not quote", least=0.0)

    def init(self, recruits: Recruits) -> VaultMemory:
        state = recruits.state
        return VaultMemory(
            recruits.table([]),
            empty_table((recruits.members, state.n_markets), VAULT_MARKET),
            empty_table(2 * self.layers, vault.QUOTE),
            state.blocks(self.expiry_seconds),
        )

    def decide(self, view: View, memory: VaultMemory) -> None:
        if not view.offers(BOOK):
            return
        state = view.state
        decide_vaults(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, memory.members, memory.quoted,
            memory.quotes, self.layers, self.least_spread, self.spread_buffer, self.oracle_threshold, self.skew_factor, self.order_size,
            memory.lifetime, self.activation,
        )  # fmt: skip
