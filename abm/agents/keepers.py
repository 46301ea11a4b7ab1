"""Keepers: they look for accounts to liquidate, weigh the reward against gas and rivals, and stay away when it does not pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from abm.agents.base import Recruits, Strategy, View
from abm.distributions import Distribution, LogNormal, Uniform
from abm.kernels.compiled import kernel
from abm.kernels.margin import is_liquidatable
from abm.kernels.random import four_uniforms, uniform
from abm.kernels.transactions import submit_liquidation
from abm.parameters import parameter
from abm.state import NOBODY, Table

KEEPER = [
    ("wait", "f8"),  # mean blocks between scans
    ("most", "i8"),  # transactions per scan
    ("margin", "f8"),  # expected profit per USD of gas that it wants
    ("success", "f8"),  # share of its transactions that it believes will succeed
    ("sent", "f8"),  # transactions since it last learned
    ("rewards", "f8"),  # rewards received when it last learned
    ("expected", "f8"),  # rewards expected for what it sent
    ("budget", "f8"),  # USD of gas it may still spend
    ("gas", "f8"),  # gas it had paid when it last learned
    ("offline", "i8"),  # scans at which work was there and did not pay
]
LEARNING = 0.2


@kernel
def decide_keepers(venue, accounts, positions, markets, transactions, members, terms, key):
    """Each member scans at random times: walks the accounts to be liquidated, from a random one on, and takes those that should pay.

    Expected profit = success share x (reward fraction x what one transaction may close + reward each) - gas. The success share is learned
    from rewards received against rewards expected, so that crowded keepers stop competing for crumbs.
    """
    if venue[0].liquidatable == 0:
        return
    block = venue[0].block
    n_accounts = accounts.shape[0]
    gas = venue[0].gas_price
    for j in range(members.shape[0]):
        # Scans are a Poisson process. Waiting has no memory, so blocks without work need not be looked at.
        u0, u1, _, _ = four_uniforms(key, block, j, 0)
        if members[j].wait > 0.0 and u0 >= -math.expm1(-1.0 / members[j].wait):
            continue
        i = members[j].row
        if members[j].sent > 0.0 and members[j].expected > 0.0:
            won = min((accounts[i].rewards - members[j].rewards) / members[j].expected, 1.0)
            members[j].success += (max(won, 0.02) - members[j].success) * LEARNING
        members[j].budget -= accounts[i].gas - members[j].gas
        members[j].gas = accounts[i].gas
        members[j].rewards = accounts[i].rewards
        members[j].sent = 0.0
        members[j].expected = 0.0
        # The start is drawn among accounts with work to do, so bystanders do not change it.
        passed_over = int(u1 * venue[0].liquidatable)
        start = 0
        while start < n_accounts - 1:
            if is_liquidatable(accounts[start].equity, accounts[start].maintenance_margin):
                if passed_over == 0:
                    break
                passed_over -= 1
            start += 1
        tempted = False
        for step in range(n_accounts):
            if members[j].sent >= members[j].most or members[j].budget < gas:
                break
            target = (start + step) % n_accounts
            if target == i or not is_liquidatable(accounts[target].equity, accounts[target].maintenance_margin):
                continue
            # What one transaction closes: one position, drawn by the venue, or all of them.
            closable = 0.0
            count = 0
            for k in range(markets.shape[0]):
                if positions[target, k].lots != 0:
                    notional = abs(positions[target, k].lots) * markets[k].lot * markets[k].mark
                    portion = max(min(terms[0].min_notional, notional), terms[0].max_portion * notional)
                    closable += min(portion, terms[0].max_notional_per_block)
                    count += 1
            if terms[0].all_markets == 0:
                closable /= count
            reward = terms[0].reward * closable + terms[0].fixed_reward
            tempted = True
            if members[j].success * reward < gas * (1.0 + members[j].margin):
                # Now and then it tries again to learn whether the crowd has left.
                if uniform(key, block, j, 1) >= 0.02 or reward < gas * (1.0 + members[j].margin):
                    continue
            submit_liquidation(venue, transactions, i, target, NOBODY, gas, members[j].latency)
            members[j].sent += 1.0
            members[j].expected += reward
        if tempted and members[j].sent == 0.0:
            members[j].offline += 1


@dataclass(frozen=True, kw_only=True)
class Keepers(Strategy):
    """Liquidation bots. They are paid by the venue's enforcement rule; where the protocol liquidates by itself they earn nothing."""

    scan_seconds: Distribution | float = parameter(LogNormal(median=2.0, sigma=0.5), unit="seconds between scans, mean", least=0.0)
    most_per_scan: Distribution | float = parameter(20.0, unit="transactions", least=1.0)
    profit_margin: Distribution | float = parameter(Uniform(low=0.0, high=1.0), unit="expected profit per USD of gas", least=0.0)
    gas_budget: Distribution | float = parameter(1e9, unit="USD", least=0.0)

    def init(self, recruits: Recruits) -> tuple[Table, np.uint64]:
        state = recruits.state
        wait = recruits.draw("scan", self.scan_seconds) / state.seconds_per_block
        table = recruits.table(KEEPER, wait)
        table["wait"] = wait
        table["most"] = np.rint(recruits.draw("most", self.most_per_scan))
        table["margin"] = recruits.draw("margin", self.profit_margin)
        table["budget"] = recruits.draw("budget", self.gas_budget)
        table["success"] = 1.0
        return table, recruits.key("keepers")

    def decide(self, view: View, memory: tuple[Table, np.uint64]) -> None:
        state = view.state
        members, key = memory
        decide_keepers(
            state.venue, state.accounts, state.positions, state.markets, state.transactions, members, state.liquidation_terms, key
        )
