"""Liquidation by Dutch auction: bidders take a share of a whole account, for less and less of its value (Derive).

An account goes under auction in the block in which it falls below maintenance margin. A bidder takes a share of all its positions and of
its money; in the tables the positions move at the mark price, and what the bidder pays less than the value is its reward, which the fund
passes on. What bidders have paid is reserved: it is not sold again in the same auction. Source: derivexyz/v2-core
`src/liquidation/DutchAuction.sol`, `src/assets/CashAsset.sol` (socialised losses).
"""

from __future__ import annotations

import math

from abm.kernels.auction_prices import (
    auction_discount,
    insolvent_payout,
    largest_bid_share,
    solvent_bid_price,
    withdrawals_are_blocked,
)
from abm.kernels.compiled import inline, kernel
from abm.kernels.execution import choose_position, may_hold, notional_at_mark, record_liquidation, reward_keeper, settle_rounding
from abm.kernels.liquidator import take_position
from abm.kernels.margin import account_risk, is_liquidatable, open_interest_change
from abm.kernels.margin_shares import has_initial_margin_for
from abm.kernels.spot_collateral import deposit_loss_fraction
from abm.kernels.takeover import change_position
from abm.state import (
    ACTIVE,
    BAR_LIQUIDATIONS,
    FILLED,
    FUND_EXHAUSTED,
    ISOLATED_ONLY,
    MARKET_HALTED,
    NO_LIQUIDITY,
    NOBODY,
    NOT_LIQUIDATABLE,
    NOT_YET,
    TAKEN_OVER,
    UNDERCOLLATERALISED,
)

TRIES = 12  # halvings of a bid that the bidder cannot carry


@inline
def reserved_cash(accounts, i):
    """USD that bidders have paid to account i since it fell below maintenance margin."""
    if accounts[i].portion_block == NOT_YET or accounts[i].portion_block < accounts[i].below_maintenance_since:
        return 0.0
    return accounts[i].margin_freed


@inline
def reserve_cash(accounts, i, block, paid):
    """Notes what a bidder paid; the first bid since the account fell below maintenance margin starts the sum."""
    accounts[i].margin_freed = reserved_cash(accounts, i) + paid
    accounts[i].portion_block = block


@inline
def auction_of(venue, accounts, terms, i, equity, maintenance):
    """(largest share; USD that a bidder of the whole account gains at the mark, that the venue pays for it, that the bidder pays) now.

    Solvent while equity is above zero and the discount has not run out; the bidder then gains what it pays less than the value. Else
    insolvent, since equity fell below zero or the discount ran out: the bidder takes the account with its debt, and is paid for it.
    """
    block = venue[0].block
    elapsed = 0.0
    if accounts[i].below_maintenance_since != NOT_YET:
        elapsed = (block - accounts[i].below_maintenance_since) * venue[0].seconds_per_block
    discount = auction_discount(terms[0].auction_start, terms[0].auction_turn, terms[0].auction_fast, terms[0].auction_slow, elapsed)
    if equity > 0.0 and discount > 0.0:
        reserved = min(reserved_cash(accounts, i), equity)
        share = largest_bid_share(equity, equity - maintenance, terms[0].auction_buffer, reserved, discount)
        price = solvent_bid_price(equity, reserved, discount)
        return share, equity - reserved - price, 0.0, price
    waited = 0.0
    if equity > 0.0:
        waited = elapsed - terms[0].auction_fast - terms[0].auction_slow
    elif accounts[i].below_zero_since != NOT_YET:
        waited = (block - accounts[i].below_zero_since) * venue[0].seconds_per_block
    payout = insolvent_payout(max(waited, 0.0), terms[0].auction_insolvent, equity, equity - maintenance, 1.0)
    return 1.0, payout + equity, payout, 0.0


@inline
def lots_of_share(positions, i, k, share):
    """Lots > 0 of account i's position in market k in a share of it; whole lots, rounded up so that an auction always gets on."""
    held = abs(positions[i, k].lots)
    return min(int(math.ceil(share * held - 1e-9)), held)


@inline
def takes_everything(positions, i, share):
    """Whether a share of account i, in whole lots, leaves it without positions."""
    for k in range(positions.shape[1]):
        if lots_of_share(positions, i, k, share) < abs(positions[i, k].lots):
            return False
    return True


@inline
def affordable_share(accounts, positions, markets, margin_tiers, i, bidder, share, gain):
    """Share of account i that the bidder has the margin for: what it wants, or half of it as often as needed; 0 if none.

    `gain`: USD for the whole account.
    """
    for _ in range(TRIES):
        taken = 1.0 if takes_everything(positions, i, share) else share
        if has_initial_margin_for(accounts, positions, markets, margin_tiers, bidder, i, taken, gain * taken):
            return taken
        share *= 0.5
    return 0.0


@inline
def money_paid_in(accounts, positions, i):
    """USD of account i's money without its positions: collateral and cost basis, so that neither side of a trade has more of it."""
    money = accounts[i].collateral
    for k in range(positions.shape[1]):
        money += positions[i, k].entry_value
    return money


@inline
def deposits_of_others(accounts, positions, i):
    """USD of money on the venue, of all accounts but account i and the venue's own."""
    total = 0.0
    for j in range(accounts.shape[0]):
        if j != i and accounts[j].house == 0:
            total += max(money_paid_in(accounts, positions, j), 0.0)
    return total


@inline
def socialise_over_deposits(accounts, positions, i, loss):
    """Moves `loss` USD, or all there is, from everybody else with money on the venue to account i: each loses the same fraction."""
    fraction = min(deposit_loss_fraction(loss, deposits_of_others(accounts, positions, i)), 1.0)
    for j in range(accounts.shape[0]):
        if j != i and accounts[j].house == 0:
            part = fraction * max(money_paid_in(accounts, positions, j), 0.0)
            accounts[j].collateral -= part
            accounts[j].socialised -= part
            accounts[i].collateral += part
            accounts[i].socialised += part


@inline
def obstacle(venue, accounts, positions, markets, i, bidder):
    """FILLED, or why this bidder cannot take positions of account i: a halted market, isolation, or that it is the protocol itself."""
    if bidder < 0 or bidder == i or accounts[bidder].house != 0:
        return NO_LIQUIDITY
    for k in range(positions.shape[1]):
        if positions[i, k].lots == 0:
            continue
        if markets[k].status != ACTIVE or markets[k].barred & BAR_LIQUIDATIONS != 0:
            return MARKET_HALTED
        if not may_hold(venue, accounts, positions, markets, bidder, k):
            return ISOLATED_ONLY
    return FILLED


@inline
def sell_share(
    venue, accounts, positions, markets, margin_tiers, funds, liquidations, terms, i, bidder, wanted, asked, submitted, gas, key
):
    """Sells the bidder a share of account i: what the auction allows, the bidder can carry and, where `asked` > 0, it has asked for.

    What the fund cannot pay of an insolvent account's payout everybody with money on the venue pays. Returns FILLED, or why nothing
    happened.
    """
    equity, _, maintenance = account_risk(accounts, positions, markets, margin_tiers, i)
    total = notional_at_mark(positions, markets, i)
    k = NOBODY
    result = NOT_LIQUIDATABLE
    share = gain = payout = bid = 0.0
    if is_liquidatable(equity, maintenance):
        k = choose_position(venue, positions, markets, margin_tiers, i, wanted, key)
        if k == NOBODY:  # several bidders may take their shares in one block
            for j in range(positions.shape[1]):
                if positions[i, j].lots != 0:
                    k = j
        result = obstacle(venue, accounts, positions, markets, i, bidder)
        share, gain, payout, bid = auction_of(venue, accounts, terms, i, equity, maintenance)
        if asked > 0.0:
            share = min(share, asked)
        if result == FILLED and share <= 0.0:
            result = NOT_LIQUIDATABLE
    if result == FILLED:
        share = affordable_share(accounts, positions, markets, margin_tiers, i, bidder, share, gain)
        if share == 0.0:
            result = UNDERCOLLATERALISED
    reward = share * gain
    owed = share * payout
    fund = markets[max(k, 0)].fund
    fund_pays = min(owed, max(min(funds[fund].balance, markets[max(k, 0)].insurance_left), 0.0))
    if result == FILLED and owed - fund_pays > deposits_of_others(accounts, positions, i):
        result = FUND_EXHAUSTED
    if result != FILLED:
        n = record_liquidation(venue, accounts, liquidations, i, bidder, k, submitted, equity, maintenance, result)
        if k != NOBODY and n < liquidations.shape[0]:
            liquidations[n].mark = markets[k].mark
            liquidations[n].index = markets[k].index
        return result
    # The bidder's gain is paid by the fund and by everybody with money as far as the auction pays for the account, else by its owner, who
    # is rid of its debt instead where it has one.
    short = owed - fund_pays
    if short > 0.0:
        socialise_over_deposits(accounts, positions, i, short)
    owner_pays = reward - fund_pays
    accounts[i].collateral -= owner_pays
    accounts[i].liquidation -= owner_pays
    funds[fund].balance -= fund_pays
    markets[k].insurance_left -= fund_pays
    accounts[bidder].collateral += reward
    accounts[bidder].rewards += reward
    reserve_cash(accounts, i, venue[0].block, share * bid)
    moved = 0.0
    for j in range(positions.shape[1]):
        held = positions[i, j].lots
        if held == 0:
            continue
        lots = lots_of_share(positions, i, j, share)
        sign = 1 if held > 0 else -1
        value = lots * markets[j].lot * markets[j].mark
        markets[j].open_interest += open_interest_change(held, -sign * lots, positions[bidder, j].lots, sign * lots)
        change_position(positions, i, j, -sign * lots, -sign * value)
        change_position(positions, bidder, j, sign * lots, sign * value)
        accounts[i].collateral += sign * value
        accounts[bidder].collateral -= sign * value
        positions[i, j].liquidated_block = venue[0].block
        markets[j].liquidated += value
        moved += value
        n = record_liquidation(venue, accounts, liquidations, i, bidder, j, submitted, equity, maintenance, TAKEN_OVER)
        if n < liquidations.shape[0]:
            liquidations[n].side = -sign
            liquidations[n].lots = lots
            liquidations[n].lots_wanted = abs(held)
            liquidations[n].price = markets[j].mark
            liquidations[n].mark = markets[j].mark
            liquidations[n].index = markets[j].index
            liquidations[n].notional = value
            liquidations[n].fund_delta = -fund_pays if j == k else 0.0
            liquidations[n].reward = reward if j == k else 0.0
            liquidations[n].leverage_before = total / equity if equity != 0.0 else 0.0
    settle_rounding(accounts, positions, funds, fund, i, moved)
    reward_keeper(venue, accounts, funds, fund, bidder, terms, moved, gas)
    return FILLED


@inline
def hand_to_keeper(
    venue, accounts, positions, markets, margin_tiers, funds, liquidations, terms, i, keeper, wanted, most, asked, submitted, gas, key
):
    """Liquidates account i by what its keeper takes: a position at the mark price, at most `most` lots, or `asked` of an auction."""
    if terms[0].auctioned != 0:
        return sell_share(
            venue, accounts, positions, markets, margin_tiers, funds, liquidations, terms, i, keeper, wanted, asked, submitted, gas, key
        )
    return take_position(
        venue, accounts, positions, markets, margin_tiers, funds, liquidations, terms, i, keeper, wanted, most, submitted, gas, key
    )


@inline
def bid_worth(venue, accounts, positions, markets, terms, bidder, target, room):
    """What the bidder could take of an account under auction, as last assessed: (market or NOBODY, share, USD of notional, USD of gain, USD
    that selling it again costs).

    At most `room` USD of notional; sold at once at the best prices, with the fee. The market is that of the largest position.
    """
    k = NOBODY
    largest = total = cost = 0.0
    for j in range(markets.shape[0]):
        held = positions[target, j].lots
        if held == 0:
            continue
        notional = abs(held) * markets[j].lot * markets[j].mark
        exit_tick = markets[j].best_bid if held > 0 else markets[j].best_ask
        if exit_tick <= 0 or exit_tick >= markets[j].ticks:
            return NOBODY, 0.0, 0.0, 0.0, 0.0
        worse = (markets[j].mark - exit_tick * markets[j].tick) / markets[j].mark
        total += notional
        cost += notional * ((worse if held > 0 else -worse) + accounts[bidder].taker_fee)
        if notional > largest:
            largest = notional
            k = j
    if k == NOBODY:
        return NOBODY, 0.0, 0.0, 0.0, 0.0
    share, gain, _, _ = auction_of(venue, accounts, terms, target, accounts[target].equity, accounts[target].maintenance_margin)
    share = min(share, max(room, 0.0) / total)
    if share <= 0.0:
        return NOBODY, 0.0, 0.0, 0.0, 0.0
    return k, share, share * total, share * gain, share * cost


@kernel
def gate_withdrawals(venue, accounts, funds):
    """Blocks withdrawals in this block where accounts below zero lack more to their maintenance margins than all funds together have."""
    lacking = 0.0
    for i in range(accounts.shape[0]):
        if accounts[i].equity < 0.0 and accounts[i].house == 0:
            lacking += accounts[i].maintenance_margin - accounts[i].equity
    money = 0.0
    for j in range(funds.shape[0]):
        money += funds[j].balance
    if withdrawals_are_blocked(money, lacking):
        venue[0].withdrawals_blocked_until = max(venue[0].withdrawals_blocked_until, venue[0].block + 1)
