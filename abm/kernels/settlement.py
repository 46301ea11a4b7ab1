"""Final settlement of a market: everything that waits is cancelled, every position is closed at one price, and what is missing is shared.

After dYdX v4 (`protocol/x/clob/keeper/deleveraging.go` and `clob_pair.go`, final settlement) and Drift v2
(`programs/drift/src/math/amm.rs`, calculate_expiry_price).
"""

from __future__ import annotations

from abm.kernels.book import end_order, remove_order
from abm.kernels.clearing import record_end
from abm.kernels.compiled import inline, kernel
from abm.kernels.deleveraging import account_bankruptcy_price, deleverage
from abm.kernels.execution import record_liquidation
from abm.kernels.margin import account_risk
from abm.kernels.margin_shares import maintenance_part
from abm.kernels.random import uniform
from abm.state import CONDITIONAL, MARKET_SETTLED, NEVER, NOBODY, PLACE, SETTLED

# At which price.
LAST_ORACLE = 0
LAST_MARK = 1
SET_PRICE = 2
AFFORDABLE = 3


@inline
def expiry_settlement_price(net_quote, net_base, excess, oracle, tick):
    """USD per coin at which the winners of a market can be paid, never better for them than the oracle price (Drift v2).

    `net_quote` is what traders together received (negative: paid) for the `net_base` coins that they hold together, `excess` the USD
    that can be spent beside it: best = -(net quote - excess) / net base; min(best, oracle) - tick when they are long,
    max(best, oracle) + tick when they are short, the oracle price when they hold nothing together.
    """
    if net_base == 0.0:
        return oracle
    best = -(net_quote - excess) / net_base
    if net_base > 0.0:
        return min(best, oracle) - tick
    return max(best, oracle) + tick


@inline
def settlement_price(accounts, positions, markets, funds, k, price_of, given):
    """USD per coin at which market k is settled."""
    price = markets[k].oracle
    house = markets[k].house
    if price_of == LAST_MARK:
        price = markets[k].mark
    elif price_of == SET_PRICE:
        price = given
    elif price_of == AFFORDABLE and house != NOBODY:
        net = -positions[house, k].lots * markets[k].lot
        tick = markets[k].tick
        price = max(expiry_settlement_price(-accounts[house].collateral, net, funds[markets[k].fund].balance, price, tick), tick)
    return price


@inline
def cancel_all_orders(
    venue, accounts, markets, levels, bitmap, orders, expiry, conditionals, ended_orders, k
):  # fmt: skip
    """Ends every resting and every conditional order of market k."""
    for row in range(orders.shape[0]):
        if orders[row].lots > 0 and orders[row].market == k:
            if orders[row].account == markets[k].house:
                remove_order(venue, accounts, markets, levels, bitmap, orders, expiry, row)
            else:
                end_order(venue, accounts, markets, levels, bitmap, orders, expiry, ended_orders, row, MARKET_SETTLED, PLACE)
    kept = 0
    for c in range(venue[0].conditionals):
        if conditionals[c].market == k:
            record_end(
                venue, ended_orders, conditionals[c].account, k, conditionals[c].side, conditionals[c].tick, conditionals[c].lots,
                CONDITIONAL, MARKET_SETTLED,
            )  # fmt: skip
        else:
            if kept != c:
                conditionals[kept] = conditionals[c]
            kept += 1
    venue[0].conditionals = kept


@inline
def holds_more(positions, i, k):
    """Whether account i holds a position in another market than k."""
    for j in range(positions.shape[1]):
        if j != k and positions[i, j].lots != 0:
            return True
    return False


@inline
def draw_on_fund(venue, accounts, positions, markets, margin_tiers, funds, liquidations, k, owed):
    """Writes to `owed` what each account below zero lacks for market k, and lets the fund pay as much of all of it as it has.

    An account in several markets lacks its position's share of maintenance margin. Each such account gets a row among the liquidations.
    """
    total = 0.0
    for i in range(accounts.shape[0]):
        owed[i] = 0.0
        if accounts[i].house == 0 and positions[i, k].lots != 0:
            equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
            if equity < 0.0:
                owed[i] = -equity
                if holds_more(positions, i, k) and maintenance > 0.0:
                    notional = abs(positions[i, k].lots) * (markets[k].lot * markets[k].mark)
                    own = maintenance_part(positions, markets, margin_tiers, i, k, maintenance, notional)
                    owed[i] = -equity * (own / maintenance)
                total += owed[i]
    if total == 0.0:
        return
    fund = markets[k].fund
    covered = min(total, max(funds[fund].balance, 0.0), markets[k].insurance_left) / total
    for i in range(accounts.shape[0]):
        if owed[i] == 0.0:
            continue
        equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
        paid = covered * owed[i]
        n = record_liquidation(venue, accounts, liquidations, i, NOBODY, k, venue[0].block, equity, maintenance, MARKET_SETTLED)
        if n < liquidations.shape[0]:
            lots = positions[i, k].lots
            liquidations[n].side = -1 if lots > 0 else 1
            liquidations[n].lots = abs(lots)
            liquidations[n].lots_wanted = abs(lots)
            liquidations[n].price = markets[k].mark
            liquidations[n].mark = markets[k].mark
            liquidations[n].index = markets[k].index
            liquidations[n].bankruptcy_price = account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k)
            liquidations[n].notional = abs(lots) * markets[k].lot * markets[k].mark
            liquidations[n].fund_delta = -paid
        accounts[i].collateral += paid
        accounts[i].liquidation += paid
        funds[fund].balance -= paid
        markets[k].insurance_left -= paid
        owed[i] -= paid
    funds[fund].balance = max(funds[fund].balance, 0.0)


@inline
def match_off_bankrupt(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, k, owed, key):
    """Closes the positions of those still below zero against accounts on the other side at their bankruptcy price, from a random one on."""
    n_accounts = accounts.shape[0]
    for i in range(n_accounts):
        if owed[i] <= 0.0:
            continue
        before = abs(positions[i, k].lots)
        start = int(uniform(key, venue[0].block, i, k) * n_accounts)
        for step in range(n_accounts):
            held = positions[i, k].lots
            if held == 0:
                break
            j = (start + step) % n_accounts
            if positions[j, k].lots * held < 0:
                lots = min(abs(held), abs(positions[j, k].lots))
                price = account_bankruptcy_price(accounts, positions, markets, margin_tiers, i, k)
                if price > 0.0:
                    deleverage(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, i, j, k, lots, price)
        owed[i] *= abs(positions[i, k].lots) / before


@inline
def collect(accounts, positions, markets, margin_tiers, held, amount):
    """Takes `amount` USD from accounts above zero in proportion to `held`, from none more than it has; returns what could not be taken."""
    left = amount
    while left > 0.0:
        total = 0.0
        for j in range(accounts.shape[0]):
            if held[j] > 0.0:
                equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, j)
                if equity > 0.0:
                    total += held[j]
                else:
                    held[j] = 0.0
        if total <= 0.0:
            return left
        emptied = False
        due = left
        for j in range(accounts.shape[0]):
            if held[j] > 0.0:
                equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, j)
                share = due * (held[j] / total)
                if share >= equity:
                    share = equity
                    held[j] = 0.0
                    emptied = True
                accounts[j].collateral -= share
                accounts[j].socialised -= share
                left -= share
        if not emptied:
            return 0.0
    return 0.0


@inline
def share_out(accounts, positions, markets, margin_tiers, k, held, owed):
    """Brings every account that the settlement left below zero back to it: with the house's money, or else with that of all who held the
    market in proportion to their size (Drift v2), and then of everybody in proportion to equity."""
    total = 0.0
    for i in range(accounts.shape[0]):
        if accounts[i].house != 0:
            continue
        if not holds_more(positions, i, k):
            owed[i] = max(-accounts[i].collateral, 0.0)
        total += owed[i]
    if total == 0.0:
        return
    left = 0.0
    house = markets[k].house
    if house != NOBODY:
        accounts[house].collateral -= total
        accounts[house].socialised -= total
    else:
        left = collect(accounts, positions, markets, margin_tiers, held, total)
        if left > 0.0:
            for j in range(accounts.shape[0]):
                equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, j)
                held[j] = max(equity, 0.0)
            left = collect(accounts, positions, markets, margin_tiers, held, left)
    part = 1.0 - left / total
    for i in range(accounts.shape[0]):
        if owed[i] > 0.0:
            accounts[i].collateral += part * owed[i]
            accounts[i].socialised += part * owed[i]
            if part == 1.0 and not holds_more(positions, i, k):
                accounts[i].collateral = 0.0


@kernel
def settle_finally(
    venue, accounts, positions, markets, margin_tiers, funds, levels, bitmap, orders, expiry, conditionals, ended_orders, liquidations,
    deleveragings, k, price_of, given, matches_off, key, held, owed,
):  # fmt: skip
    """Closes market k for good: cancels its orders and closes every position at one price, which also becomes its mark.

    What accounts below zero lack is paid by the fund; then, if `matches_off`, they are closed against others at their bankruptcy price;
    what is left is shared out. held (n,) and owed (n,) are scratch space.
    """
    if markets[k].status == SETTLED:
        return
    cancel_all_orders(venue, accounts, markets, levels, bitmap, orders, expiry, conditionals, ended_orders, k)
    price = settlement_price(accounts, positions, markets, funds, k, price_of, given)
    markets[k].mark = price
    markets[k].status = SETTLED
    markets[k].halted_until = NEVER
    draw_on_fund(venue, accounts, positions, markets, margin_tiers, funds, liquidations, k, owed)
    if matches_off and markets[k].house == NOBODY:
        match_off_bankrupt(venue, accounts, positions, markets, margin_tiers, funds, deleveragings, k, owed, key)
    for i in range(accounts.shape[0]):
        held[i] = abs(positions[i, k].lots) if accounts[i].house == 0 else 0.0
        accounts[i].collateral += positions[i, k].lots * (markets[k].lot * price)
        positions[i, k].lots = 0
        positions[i, k].entry_value = 0.0
    markets[k].open_interest = 0
    share_out(accounts, positions, markets, margin_tiers, k, held, owed)


@kernel
def drain_fund(venue, funds, share):
    """Takes a share of what every insurance fund holds out of the venue."""
    for f in range(funds.shape[0]):
        amount = share * max(funds[f].balance, 0.0)
        funds[f].balance -= amount
        venue[0].net_deposits -= amount


@kernel
def drain_accounts(venue, accounts, cohort, share):
    """Takes a share of the collateral of every account of a cohort, or of the venue's own accounts (NOBODY), out of the venue.

    Not a withdrawal: it counts among the account's losses, under `liquidation`.
    """
    for i in range(accounts.shape[0]):
        is_theirs = accounts[i].house != 0 if cohort == NOBODY else accounts[i].cohort == cohort
        if is_theirs:
            amount = share * max(accounts[i].collateral, 0.0)
            accounts[i].collateral -= amount
            accounts[i].liquidation -= amount
            venue[0].net_deposits -= amount
