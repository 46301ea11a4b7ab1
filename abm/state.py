"""The tables: everything the venue knows, as records.

One NumPy structured array per table, one row per thing. A table is one argument to a compiled function; inside a kernel a
field reads `accounts[i].collateral`, outside `accounts["collateral"]` is a column. Rows are never moved: a row number is an
identity and the address of its random draws.

Units: prices in USD per coin or in ticks, sizes in coins or in lots, money in USD, time in blocks, rates as fractions.
Signs: position long > 0, side +1 buy and -1 sell, payments from the account's point of view (negative = pays).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

NOBODY = -1  # an account, order, keeper or market that is not there
NEVER = 2**62  # an expiry that never comes
NOT_YET = -1  # a block that has not happened
MOST_BLOCKS = 2**31 - 1  # of a run: some blocks are kept in 32 bits

# Kinds of transaction.
PLACE = 0  # limit order: rests unless it is immediate-or-cancel
CANCEL = 1  # one resting order, by its handle
CANCEL_ALL = 2  # all resting orders of the account in a market (market = NOBODY: in all markets)
CONDITIONAL = 3  # an order that waits outside the book for a trigger price
CANCEL_CONDITIONALS = 4  # all waiting orders of the account in a market
LIQUIDATE = 5  # close a position of the `target` account; account = the keeper, or NOBODY for the protocol itself
WITHDRAW = 6  # move collateral out of the venue, if margin and the withdrawal gate allow
DEPOSIT = 7  # move collateral into the venue
JOIN_POOL = 8  # pay `amount` USD of the account's collateral into a market's pool, for shares of it
LEAVE_POOL = 9  # give back `amount` shares of a market's pool, for their value in collateral
ADD_RANGE = 10  # provide liquidity worth `amount` USD between the prices `tick` and `handle`, both in ticks
REMOVE_RANGE = 11  # take it back: row `handle` - 1 of the ranges; 0: all that the account has in the market

# Flags of an order, combined by |.
POST_ONLY = 1
IMMEDIATE_OR_CANCEL = 2
REDUCE_ONLY = 4
TRIGGER_ON_MARK = 8  # conditional orders: trigger on the mark price (default: on the oracle price)
TRIGGER_ABOVE = 16  # conditional orders: trigger when the price is at or above the trigger (default: at or below)

# What a venue offers: how liquidity can be provided.
BOOK = "book"  # orders may rest
CURVE = "curve"  # traders meet a curve of the venue's own
POOLED = "pool"  # money can be paid into a pool that is the traders' other side
RANGED = "range"  # liquidity can be provided in a range of prices

# What a margin tier's fractions depend on beside notional.
SIZED_BY_ROOT = 1  # on the square root of the position's coins
SIZED_BY_SKEW = 2  # on the position's coins over the market's skew scale

# What an account's margin depends on beside its positions one by one, combined by |.
WEIGHS_PROFIT = 1  # an unrealised profit counts only in part for initial margin
NETS_MARKETS = 2  # positions in several markets offset each other

# Market status.
ACTIVE = 0
HALTED = 1
SETTLED = 2  # closed for good: every position was settled, no new order is taken

# Why an order ended or a transaction failed.
FILLED = 0
CANCELLED = 1
EXPIRED = 2
SELF_TRADE = 3
UNDERCOLLATERALISED = 4
WOULD_CROSS = 5  # a post-only order that would have taken
NO_LIQUIDITY = 6  # what was left of an immediate-or-cancel order
REDUCE_ONLY_DROPPED = 7
ORDER_LIMIT = 8  # too many open orders for the account's equity
MARKET_HALTED = 9
OPEN_INTEREST_CAPPED = 10
ISOLATED_ONLY = 11  # the account may not hold this market together with others
OUT_OF_RANGE = 12  # price or size outside what the market accepts
NOT_LIQUIDATABLE = 13  # healthy at execution, or somebody was faster
FUND_EXHAUSTED = 14  # the insurance fund cannot cover the match
GATED = 15  # withdrawals are blocked
POOL_FULL = 16  # the venue's order memory is full
ALREADY_LIQUIDATED = 17  # nothing of this account may be liquidated again in this block
LIQUIDATED = 18  # resting orders of an account that is being liquidated
NOT_OFFERED = 19  # the venue has no such thing: a resting order where traders meet a curve, a pool where there is none
TAKEN_OVER = 20  # the position changed hands at the mark price: to the backstop vault, or to the liquidator
MARKET_SETTLED = 21  # the market was closed for good
PAUSED = 22  # the venue carries out no transactions of this kind now, or none at all

REASONS = (
    "filled",
    "cancelled",
    "expired",
    "self_trade",
    "undercollateralised",
    "would_cross",
    "no_liquidity",
    "reduce_only",
    "order_limit",
    "market_halted",
    "open_interest_capped",
    "isolated_only",
    "out_of_range",
    "not_liquidatable",
    "fund_exhausted",
    "gated",
    "pool_full",
    "already_liquidated",
    "liquidated",
    "not_offered",
    "taken_over",
    "market_settled",
    "paused",
)

# What a guard may bar in a market, combined by |.
BAR_TRADES = 1  # orders neither match nor come to rest; cancels work
BAR_LIQUIDATIONS = 2
BAR_FUNDING = 4
BAR_RISK = 8  # only orders that reduce a position; whoever holds the market may not withdraw
BAR_TRIGGERS = 16  # conditional orders wait

# Three cache lines an account: what valuing reads and writes, what fills and liquidations touch, where the money went.
ACCOUNT = np.dtype(
    [
        # what valuing every account in every block reads and writes
        ("collateral", "f8"),  # USD on the venue, negative when more is owed than was paid in
        ("equity", "f8"),  # USD, collateral + positions at mark, as last assessed
        ("maintenance_margin", "f8"),  # USD, as last assessed
        ("initial_margin", "f8"),  # USD, as last assessed
        ("below_maintenance_since", "i4"),  # block in which equity fell below maintenance margin, NOT_YET when healthy
        ("below_zero_since", "i4"),  # block in which equity fell below zero, NOT_YET otherwise
        ("open_orders", "i4"),  # resting orders
        ("first_order", "i4"),  # head of the chain of resting orders, or NOBODY
        ("isolated_market", "i2"),  # the only market this account may hold, or NOBODY for cross margin
        ("house", "i2"),  # 1: the venue's own, the other side of everybody's trades; needs no margin and is never liquidated
        ("latency", "i4"),  # blocks between a decision and its arrival at the venue
        ("owner", "i4"),  # trader this account belongs to; cross margin: one account per owner
        ("cohort", "i4"),  # cohort number
        # touched by fills
        ("fees", "f8"),  # USD of trading fees received (negative: paid)
        ("taker_fee", "f8"),  # fraction of notional
        ("maker_fee", "f8"),  # fraction of notional, negative: rebate
        ("taker_volume", "f8"),  # USD since the fee window opened
        ("maker_volume", "f8"),  # USD since the fee window opened
        # liquidation allowance
        ("limits_block", "i4"),  # block that the two fields below belong to
        ("portion_block", "i4"),  # block in which the first portion was closed since it fell below maintenance margin, or NOT_YET
        ("used_notional", "f8"),  # USD liquidated in block `limits_block`
        ("used_insurance", "f8"),  # USD the fund lost on this account in block `limits_block`
        # where the money came from and went, USD since the start
        ("net_deposits", "f8"),  # paid in less paid out
        ("funding", "f8"),  # funding received
        ("liquidation", "f8"),  # liquidation penalties (negative) and fund cover (positive)
        ("deleveraging", "f8"),  # gained against the mark price in deleveragings
        ("socialised", "f8"),  # other accounts' losses borne (negative), own losses borne by others (positive)
        ("gas", "f8"),  # paid for gas out of an outside wallet (positive: paid)
        ("rewards", "f8"),  # keeper rewards received
        ("margin_freed", "f8"),  # USD of margin shortage covered by liquidated portions since `portion_block`
    ],
    align=True,
)

POSITION = np.dtype(
    [
        ("lots", "i8"),  # long > 0
        ("entry_value", "f8"),  # USD paid for the lots now held (negative for shorts): cost basis at average entry price
        ("least_margin_fraction", "f8"),  # 1 / leverage chosen by the user; 0 = as much as the venue allows
        ("liquidated_block", "i8"),  # last block in which a liquidation was tried on this position
    ],
    align=True,
)

# profit of the outside leg = cash + size x index - endowment
OUTSIDE = np.dtype(
    [
        ("size", "f8"),  # coins held outside the venue: a hedge, or the exposure that a hedger wants to be rid of
        ("cash", "f8"),  # USD received less paid for them, financing and fees included
        ("endowment", "f8"),  # USD that coins were worth which were there from the start
        ("options", "f8"),  # USD that options are worth
    ],
    align=True,
)

OPTION = np.dtype(
    [
        ("account", "i8"),  # holder
        ("market", "i8"),
        ("puts", "f8"),  # coins that may be sold at the strike price
        ("calls", "f8"),  # coins that may be bought at it
        ("strike", "f8"),  # USD
        ("expires", "i8"),  # block in which it pays
        ("wanted_puts", "f8"),  # of the order that is carried out in the next block
        ("wanted_calls", "f8"),
        ("moneyness", "f8"),  # strike over the index of that block
        ("lifetime", "i8"),  # blocks until what is ordered expires; 0 = nothing is ordered
    ],
    align=True,
)

MARKET = np.dtype(
    [
        # fixed by the listing
        ("tick", "f8"),  # USD per coin
        ("lot", "f8"),  # coins
        ("unit", "f8"),  # USD per tick and lot: tick x lot
        ("impact_notional", "f8"),  # USD that the impact prices are quoted for
        ("open_interest_lower_cap", "f8"),  # USD above which initial margin starts to rise
        ("open_interest_upper_cap", "f8"),  # USD at which it reaches 1; 0 = it never rises
        ("open_interest_cap", "f8"),  # USD, hard; infinite when there is none
        ("ticks", "i8"),  # number of price levels; a valid price is 1 <= tick < ticks
        ("fund", "i4"),  # row of the insurance fund that stands behind this market
        ("isolated_only", "i4"),  # 1: may only be held by accounts that hold nothing else
        ("house", "i8"),  # account that is the other side of every trade, NOBODY where traders meet each other
        ("trigger_band", "f8"),  # fraction of the oracle price within which trades too trigger conditional orders
        # set by rules, block by block
        ("status", "i4"),  # ACTIVE, HALTED or SETTLED
        ("index", "f8"),  # USD, the true outside price, impact of outside orders included
        ("exogenous", "f8"),  # USD, the outside price without that impact
        ("outside_mid", "f8"),  # USD, mid of the same perpetual on the venue beside as its last block left it; 0 = none
        ("volatility", "f8"),  # of the outside price, fraction per square root of a block, as the world knows it
        ("variance_now", "f8"),  # mean squared block return of the index over the last minutes: what everybody can measure
        ("variance_usual", "f8"),  # the same over the last hours
        ("oracle", "f8"),  # USD, what the chain was told
        ("oracle_block", "i8"),  # block in which the oracle price last changed
        ("oracle_confirmed", "i8"),  # block in which the oracle last had a valid aggregate, changed or not
        ("mark", "f8"),  # USD, what positions are valued at
        ("funding_index", "f8"),  # USD per coin paid by longs since the start
        ("funding_rate", "f8"),  # rate of the last settlement, fraction per funding interval of the rule
        ("funding_per_day", "f8"),  # the same as a fraction per day
        ("premium", "f8"),  # last premium vote or sample, fraction of index
        ("halted_until", "i8"),  # block at which a halt ends
        ("barred", "i4"),  # what guards bar in this block, BAR_... combined
        ("lowest_tick", "i8"),  # lowest price at which orders may match or rest, 0 = no bound
        ("highest_tick", "i8"),  # highest, 0 = no bound
        ("trigger", "f8"),  # USD, what conditional orders are compared with; 0 = the oracle price
        ("insurance_left", "f8"),  # USD that the fund may still pay for losses in this market; infinite without a limit
        # changed by trading
        ("open_interest", "i8"),  # lots, one side
        ("last_tick", "i8"),  # tick of the last trade, 0 before the first
        ("low_tick", "i8"),  # lowest trade since conditional orders were last triggered, 0 without one
        ("high_tick", "i8"),  # highest trade since then, 0 without one
        ("best_bid", "i8"),  # tick, 0 = no bid
        ("best_ask", "i8"),  # tick, `ticks` = no ask
        ("volume", "f8"),  # USD traded since the start
        ("liquidated", "f8"),  # USD of positions closed by liquidation since the start
        ("deleveraged", "f8"),  # USD of positions closed by deleveraging since the start
        ("trades", "i8"),  # fills since the start
    ],
    align=True,
)

MARGIN_TIER = np.dtype(
    [
        ("above", "f8"),  # USD of notional from which this tier holds
        ("initial", "f8"),  # initial margin fraction of notional in this tier
        ("maintenance", "f8"),  # maintenance margin fraction of notional in this tier
        ("initial_deduction", "f8"),  # USD, keeps the initial margin continuous at the tier's edge
        ("maintenance_deduction", "f8"),  # USD, keeps the maintenance margin continuous at the tier's edge
        ("sized", "i4"),  # SIZED_BY_..., or 0: the fractions are all there is
        ("account_wide", "i4"),  # WEIGHS_PROFIT | NETS_MARKETS, or 0: margins of positions just add up
        ("size_factor", "f8"),  # SIZED_BY_ROOT: fraction per square root of a coin; SIZED_BY_SKEW: fraction of one skew scale of coins
        ("skew_scale", "f8"),  # coins
        ("maintenance_of_initial", "f8"),  # SIZED_BY_SKEW: fraction of the initial margin that rises with size
        ("reward", "f8"),  # SIZED_BY_SKEW: fraction of notional that pays for a liquidation
        ("least_margin", "f8"),  # SIZED_BY_SKEW: USD per position
        ("initial_floor", "f8"),  # NETS_MARKETS: least fraction of notional, added up over markets
        ("maintenance_floor", "f8"),
        ("lowest_correlation", "f8"),  # NETS_MARKETS: of the worst case
        ("highest_correlation", "f8"),
        ("profit_weight", "f8"),  # part that counts at most
        ("profit_size_factor", "f8"),  # per square root of a USD, by which large profits count less; 0 = they do not
        ("profit_cap", "f8"),  # USD of unrealised profit that counts at most for initial margin; 0 = no cap
    ],
    align=True,
)

ORDER = np.dtype(
    [
        ("lots", "i8"),  # what is left
        ("expires", "i8"),  # block from which it is no longer valid
        ("placed", "i8"),  # block in which it entered the book
        ("tick", "i8"),
        ("account", "i4"),
        ("generation", "i4"),  # raised each time the row is reused: a handle to a dead order never hits a new one
        ("previous", "i4"),  # neighbours in the queue of the price level
        ("next", "i4"),
        ("account_previous", "i4"),  # neighbours in the account's chain
        ("account_next", "i4"),
        ("expiry_previous", "i4"),  # neighbours among the orders that end in the same block
        ("expiry_next", "i4"),
        ("market", "i2"),
        ("side", "i2"),
        ("flags", "i4"),
    ],
    align=True,
)

LEVEL = np.dtype(
    [
        ("lots", "i8"),  # resting at this price
        ("first", "i4"),  # oldest order, or NOBODY
        ("last", "i4"),
    ],
    align=True,
)

CONDITIONAL_ORDER = np.dtype(
    [
        ("trigger", "f8"),  # USD
        ("lots", "i8"),
        ("tick", "i8"),  # limit of the order that is sent when triggered
        ("expires", "i8"),
        ("account", "i4"),
        ("market", "i4"),
        ("side", "i4"),
        ("flags", "i4"),
    ],
    align=True,
)

TRANSACTION = np.dtype(
    [
        ("kind", "i4"),
        ("account", "i4"),
        ("market", "i4"),
        ("side", "i4"),
        ("flags", "i4"),
        ("target", "i4"),  # account to liquidate
        ("tick", "i8"),  # limit price of an order
        ("lots", "i8"),
        ("expires", "i8"),  # block from which a resting order is no longer valid
        ("handle", "i8"),  # order to cancel
        ("amount", "f8"),  # USD to move; for CONDITIONAL the trigger price
        ("fee", "f8"),  # USD of gas, or a priority fee: paid whether it succeeds or not
        ("submitted", "i8"),  # block of the decision
        ("arrives", "i8"),  # block in which it can be included
    ],
    align=True,
)

SPOT_ORDER = np.dtype(
    [("account", "i4"), ("market", "i4"), ("size", "f8")],  # coins to buy (> 0) or sell on the outside market
    align=True,
)

FUND = np.dtype(
    [
        ("balance", "f8"),  # USD
        ("bad_debt", "f8"),  # USD of losses nobody has covered yet, as last assessed
    ],
    align=True,
)

POOL = np.dtype(
    [
        ("shares", "f8"),  # in all
        ("value", "f8"),  # USD that all shares are worth, as last assessed
        ("impact", "f8"),  # USD set aside out of the price impact that traders paid, for impact that traders are paid
        ("longs", "i8"),  # lots that traders hold long, as last assessed
        ("shorts", "i8"),  # lots that traders hold short
        ("long_profit", "f8"),  # USD of unrealised profit of all longs together at mark, negative for a loss
        ("short_profit", "f8"),
        ("long_fee", "f8"),  # borrowing fee that longs pay now, fraction of notional per year
        ("short_fee", "f8"),
    ],
    align=True,
)

POOL_SHARE = np.dtype(
    [
        ("shares", "f8"),
        ("paid", "f8"),  # USD paid into the pool less what came out of it
        ("joined", "i8"),  # block of the last payment into the pool
        ("impermanent", "f8"),  # USD that ranges had gained when they were removed, against holding what was put in: never positive
    ],
    align=True,
)

RANGE = np.dtype(
    [
        ("account", "i4"),  # NOBODY: a free row
        ("market", "i4"),
        ("lower", "i8"),  # edge, as the venue counts them
        ("upper", "i8"),
        ("liquidity", "f8"),  # square root of coin x USD
        ("lowest", "f8"),  # USD, price of the lower edge
        ("highest", "f8"),
        ("entry", "f8"),  # square root of the price when it was opened
        ("settled", "f8"),  # square root of the price up to which its trades have reached the account
        ("lots", "i8"),  # bought (> 0) or sold since it was opened, as settled: part of the account's position
        ("fee_growth", "f8"),  # USD per unit of liquidity, as settled
        ("fees", "f8"),  # USD earned since it was opened, as settled
        ("opened", "i8"),  # block
    ],
    align=True,
)

VENUE = np.dtype(
    [
        ("block", "i8"),
        ("seconds_per_block", "f8"),
        ("withdrawal_floor", "f8"),  # fraction of the notional of all positions that must stay after a withdrawal
        ("fees", "f8"),  # USD of trading fees collected, net of rebates and rewards
        ("fee_rewards", "f8"),  # USD of trading fees paid on as rewards to those who brought orders and makers together
        ("net_deposits", "f8"),  # USD paid in less paid out since the start, fund contributions included
        ("reward_covers_gas", "i4"),  # 1: a keeper's reward covers what the transaction cost, and a profit on it
        ("reward_profit", "f8"),  # fraction of that cost which the reward adds at least
        ("reward_most", "f8"),  # USD, largest reward then
        ("withdrawals_blocked_until", "i8"),  # block at which withdrawals are possible again
        ("paused", "i8"),  # kinds of transaction that are not carried out in this block: 1 << kind, combined by |
        ("halt_from", "i8"),  # block from which the chain stands still, up to `halt_until`
        ("halt_until", "i8"),  # block in which it goes on
        ("oracle_frozen_until", "i8"),  # block in which oracle prices reach the chain again after a halt
        ("withdrawal_capacity", "f8"),  # USD that may still leave; infinite without a gate
        ("gas_price", "f8"),  # USD per keeper transaction
        ("isolated_markets", "i8"),  # how many markets are isolated-only
        ("liquidatable", "i8"),  # accounts below maintenance margin, as last assessed
        ("orders_free", "i8"),  # head of the list of free order rows
        ("orders_live", "i8"),
        ("conditionals", "i8"),  # waiting orders
        ("transactions", "i8"),  # pending rows
        ("spot_orders", "i8"),
        ("fills", "i8"),  # rows written to the record tables and not yet drained
        ("liquidations", "i8"),
        ("deleveragings", "i8"),
        ("funding_payments", "i8"),
        ("ended_orders", "i8"),
        ("failed_gas", "f8"),  # USD of gas burnt by transactions that failed
        ("transactions_executed", "i8"),
        ("transactions_failed", "i8"),
    ],
    align=True,
)

LIQUIDATION_TERMS = np.dtype(
    [
        ("bankruptcy_adjustment", "f8"),  # how fast the limit moves from oracle to bankruptcy as equity falls
        ("spread_to_maintenance_margin", "f8"),  # widest distance of the limit from the oracle, in maintenance margins
        ("max_fee", "f8"),  # fraction of notional that may go to the fund
        ("min_notional", "f8"),  # USD of a position that may always be closed at once
        ("max_portion", "f8"),  # fraction of a position per transaction
        ("max_notional_per_block", "f8"),  # USD per account and block
        ("max_insurance_per_block", "f8"),  # USD the fund may lose per account and block
        ("reward", "f8"),  # fraction of closed notional paid to the keeper out of the penalty
        ("fixed_reward", "f8"),  # USD paid to the keeper per successful liquidation, out of the fund
        ("whole_below", "f8"),  # USD of notional up to which a position is closed whole; above it by portions
        ("cooldown", "f8"),  # seconds after the first portion in which nothing is closed; then the rest at once; 0 = none
        ("buffer", "f8"),  # fraction of notional above maintenance margin that a liquidation restores
        ("liquidator_fee", "f8"),  # fraction, distance of the limit from the mark price when `covers_shortage`
        ("liquidator_fee_most", "f8"),  # fraction that the liquidator's fee rises to
        ("fee_grace", "f8"),  # seconds below maintenance margin before it rises
        ("fee_slope", "f8"),  # fraction per second by which it rises
        ("initial_portion", "f8"),  # fraction of the shortage that may be covered at once
        ("portion_duration", "f8"),  # seconds in which that share rises by one; 0 = all at once
        ("small_shortage", "f8"),  # USD of shortage below which all of it may be covered at once
        ("backstop_fraction", "f8"),  # of maintenance margin, equity below which the vault takes over; 0 = never
        ("window", "f8"),  # seconds of a capacity window; 0 = no windows
        ("window_capacity", "f8"),  # coins of a market that may be liquidated in one window
        ("window_calm_skew", "f8"),  # fraction of the skew scale below which one more window's amount passes in each block
        ("window_scale", "f8"),  # coins of skew that stand for the whole
        ("backstop_cohort", "i4"),  # cohort of the vault
        ("covers_shortage", "i4"),  # 1: closes as much as restores maintenance margin plus buffer
        ("at_market", "i4"),  # 1: no price limit, the account keeps the whole loss; 0: fillable price, fund covers
        ("all_markets", "i4"),  # 1: one transaction closes every position of the account; 0: one of them
        ("cancels_orders", "i4"),  # 1: resting orders of the account are cancelled first
        ("taken_by_keeper", "i4"),  # 1: the keeper takes the position at the mark price, and needs the margin for it
        ("auctioned", "i4"),  # 1: it takes a share of the whole account, for a price that falls with time
        ("auction_start", "f8"),  # part of its value that a bidder pays at first for a solvent account
        ("auction_turn", "f8"),  # part that it pays when the fast phase is over
        ("auction_fast", "f8"),  # seconds of the fast phase
        ("auction_slow", "f8"),  # seconds of the slow phase, down to nothing
        ("auction_buffer", "f8"),  # fraction of maintenance margin beyond it that a sale restores
        ("auction_insolvent", "f8"),  # seconds in which the payout for an insolvent account rises to its shortage of margin
    ],
    align=True,
)

LIQUIDATED_IN_BLOCK = np.dtype([("block", "i8"), ("lots", "i8")], align=True)

# Records: what happened, drained by the recorder.

FILL = np.dtype(
    [
        ("block", "i8"),
        ("market", "i4"),
        ("taker", "i4"),
        ("maker", "i4"),
        ("side", "i4"),  # of the taker
        ("tick", "i8"),
        ("lots", "i8"),
        ("taker_fee", "f8"),  # USD paid by the taker
        ("maker_fee", "f8"),  # USD paid by the maker
        ("liquidation", "i4"),  # 1: the taker was being liquidated
        ("maker_age", "i4"),  # blocks the resting order had waited
    ],
    align=True,
)

LIQUIDATION = np.dtype(
    [
        ("block", "i8"),  # execution
        ("trigger_block", "i8"),  # equity fell below maintenance margin
        ("submitted_block", "i8"),  # the keeper (or the protocol) sent the transaction
        ("account", "i4"),
        ("keeper", "i4"),  # NOBODY: the protocol itself
        ("market", "i4"),
        ("side", "i4"),  # of the closing order
        ("lots", "i8"),  # closed
        ("lots_wanted", "i8"),  # allowed by the rule
        ("result", "i4"),  # FILLED, NO_LIQUIDITY, FUND_EXHAUSTED, NOT_LIQUIDATABLE, ...
        ("fills", "i4"),
        ("price", "f8"),  # USD, average of the fills
        ("mark", "f8"),
        ("index", "f8"),
        ("fillable_price", "f8"),  # USD, limit of the closing order
        ("bankruptcy_price", "f8"),  # USD
        ("notional", "f8"),  # USD closed at fill prices
        ("fund_delta", "f8"),  # USD into the fund (penalty) or out of it (cover)
        ("reward", "f8"),  # USD to the keeper
        ("equity_before", "f8"),
        ("maintenance_margin_before", "f8"),
        ("leverage_before", "f8"),  # notional of all positions / equity; negative when under water
    ],
    align=True,
)

DELEVERAGING = np.dtype(
    [
        ("block", "i8"),
        ("liquidated", "i4"),  # account whose position was taken over
        ("counterparty", "i4"),  # account on the other side whose position was closed
        ("market", "i4"),
        ("side", "i4"),  # of the liquidated account's close
        ("lots", "i8"),
        ("price", "f8"),  # USD
        ("mark", "f8"),
        ("counterparty_profit", "f8"),  # USD of unrealised profit before
        ("counterparty_leverage", "f8"),  # notional / equity before
        ("haircut", "f8"),  # USD the counterparty received less than at the mark price
    ],
    align=True,
)

FUNDING_PAYMENT = np.dtype(
    [
        ("block", "i8"),
        ("market", "i4"),
        ("rate", "f8"),  # fraction per interval of the rule
        ("rate_per_day", "f8"),  # the same as a fraction per day
        ("premium", "f8"),  # average premium the rate was computed from
        ("price", "f8"),  # USD that notional was valued at
        ("per_coin", "f8"),  # USD per coin, longs pay when positive
        ("paid", "f8"),  # USD that changed hands
        ("open_interest", "i8"),  # lots
    ],
    align=True,
)

ENDED_ORDER = np.dtype(
    [
        ("block", "i8"),
        ("account", "i4"),
        ("market", "i4"),
        ("side", "i4"),
        ("reason", "i4"),
        ("tick", "i8"),
        ("lots", "i8"),  # that did not trade
        ("kind", "i4"),
        ("age", "i4"),  # blocks in the book
    ],
    align=True,
)

BITMAP_WORDS = (4096, 64, 1)  # a set of up to 64**3 price levels: 64-bit words, words of words, and one on top
MOST_TICKS = 64**3
EXPIRY_SLOTS = 4096  # orders are kept by expiry block modulo this


CACHE_LINE = 64  # bytes


class Row(np.record):  # type: ignore[misc]  # the stubs call it final, NumPy does not
    """A row for kernels that run as plain Python: its fields come before what NumPy calls the same (`size`, `flags`, `base`)."""

    def __getattribute__(self, name: str) -> Any:
        if name in (np.void.__getattribute__(self, "dtype").fields or ()):
            return np.void.__getitem__(self, name)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in (np.void.__getattribute__(self, "dtype").fields or ()):
            np.void.__setitem__(self, name, value)
        else:
            super().__setattr__(name, value)


def empty_table(shape: int | tuple[int, ...], dtype: np.dtype[Any]) -> Table:
    """A table of zeros that begins at a cache line. Where kernels run as plain Python its rows must offer their fields as
    attributes; compiled code needs a plain array, as a record array costs it several microseconds a call."""
    rows = math.prod(shape) if isinstance(shape, tuple) else shape
    memory = np.zeros(rows * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    table = memory[start : start + rows * dtype.itemsize].view(dtype).reshape(shape)
    return table.view(np.dtype((Row, table.dtype))) if INTERPRETED else table


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many rows the pools have room for. All memory is taken at the start; the record tables are drained when half full."""

    orders: int = 1 << 16
    conditionals: int = 1 << 14
    transactions: int = 1 << 15
    records: int = 1 << 16


class State:
    """All tables of one venue: n accounts by m markets, the book, and what happened since the recorder last looked.

    Created empty; `abm.model` fills accounts and markets. Tables are attributes, and kernels are handed those they need.
    """

    __slots__ = (
        "accounts",
        "positions",
        "outside",
        "options",
        "markets",
        "margin_tiers",
        "funds",
        "venue",
        "levels",
        "bitmap",
        "orders",
        "expiry",
        "conditionals",
        "transactions",
        "sequence",
        "sort_keys",
        "spot_orders",
        "order_limits",
        "liquidation_terms",
        "liquidated_lots",
        "fills",
        "liquidations",
        "deleveragings",
        "funding_payments",
        "ended_orders",
        "seconds_per_block",
        "symbols",
        "cohorts",
        "offers",
        "shares",
        "pools",
        "ranges",
        "_liquidatable",
    )

    def __init__(
        self,
        n_accounts: int,
        symbols: Sequence[str],
        ticks: Sequence[int],
        seconds_per_block: float,
        capacity: Capacity = Capacity(),
    ) -> None:
        n_markets = len(symbols)
        self.symbols = tuple(symbols)
        self.cohorts: tuple[str, ...] = ()  # names by number, the venue's own accounts last
        self.offers: frozenset[str] = frozenset({BOOK})
        self.seconds_per_block = seconds_per_block
        self.accounts: Table = empty_table(n_accounts, ACCOUNT)
        self.accounts["limits_block"] = NOT_YET
        self.accounts["below_maintenance_since"] = NOT_YET
        self.accounts["below_zero_since"] = NOT_YET
        self.accounts["portion_block"] = NOT_YET
        self.accounts["isolated_market"] = NOBODY
        self.accounts["first_order"] = NOBODY
        self.accounts["owner"] = np.arange(n_accounts)
        self.positions: Table = empty_table((n_accounts, n_markets), POSITION)
        self.positions["liquidated_block"] = NOT_YET
        self.outside: Table = empty_table((n_accounts, n_markets), OUTSIDE)
        self.options: Table = empty_table(0, OPTION)  # rows are added for those who hedge with options
        self.markets: Table = empty_table(n_markets, MARKET)
        self.markets["ticks"] = ticks
        self.markets["best_ask"] = ticks
        self.markets["house"] = NOBODY
        self.markets["open_interest_cap"] = np.inf
        self.pools: Table = empty_table(n_markets, POOL)
        self.shares: Table = empty_table((n_accounts, n_markets), POOL_SHARE)
        self.ranges: Table = empty_table(0, RANGE)
        self.markets["insurance_left"] = np.inf
        self.margin_tiers: Table = empty_table((n_markets, 1), MARGIN_TIER)
        self.funds: Table = empty_table(1, FUND)
        self.venue: Table = empty_table(1, VENUE)
        self.venue["withdrawal_capacity"] = np.inf
        self.venue["seconds_per_block"] = seconds_per_block
        self._liquidatable = self.venue["liquidatable"]
        self.levels: Table = empty_table((n_markets, max(ticks)), LEVEL)  # first and last are row + 1; zero = nobody
        self.bitmap: NDArray[np.uint64] = np.zeros((n_markets, sum(BITMAP_WORDS)), np.uint64)
        self.orders: Table = empty_table(capacity.orders, ORDER)
        self.orders["next"] = np.arange(1, capacity.orders + 1)
        self.orders["next"][-1] = NOBODY
        self.orders["generation"] = 1
        self.expiry: NDArray[np.int32] = np.full(EXPIRY_SLOTS, NOBODY, np.int32)
        self.conditionals: Table = empty_table(capacity.conditionals, CONDITIONAL_ORDER)
        self.transactions: Table = empty_table(capacity.transactions, TRANSACTION)
        self.sequence: NDArray[np.int32] = np.zeros((2, capacity.transactions), np.int32)
        self.sort_keys: NDArray[np.uint64] = np.zeros((2, capacity.transactions), np.uint64)
        self.spot_orders: Table = empty_table(capacity.transactions, SPOT_ORDER)
        self.liquidation_terms: Table = empty_table(1, LIQUIDATION_TERMS)
        self.liquidated_lots: Table = empty_table((n_markets, 1), LIQUIDATED_IN_BLOCK)  # ring of blocks, as long as a capacity window
        self.order_limits: NDArray[np.float64] = np.array([[-np.inf, np.inf]])  # rows of (equity in USD, open orders)
        self.fills: Table = empty_table(capacity.records, FILL)
        self.liquidations: Table = empty_table(capacity.records, LIQUIDATION)
        self.deleveragings: Table = empty_table(capacity.records, DELEVERAGING)
        self.funding_payments: Table = empty_table(capacity.records, FUNDING_PAYMENT)
        self.ended_orders: Table = empty_table(capacity.records, ENDED_ORDER)

    @property
    def n_accounts(self) -> int:
        return len(self.accounts)

    @property
    def n_markets(self) -> int:
        return len(self.markets)

    @property
    def chain_halted(self) -> bool:
        """Whether the chain carries out no transactions in this block."""
        return self._is_from_halt_to(self.venue["halt_until"][0])

    @property
    def oracle_frozen(self) -> bool:
        """Whether no new oracle price reaches the chain in this block."""
        return self._is_from_halt_to(self.venue["oracle_frozen_until"][0])

    def _is_from_halt_to(self, end: int) -> bool:
        return bool(self.venue["halt_from"][0] <= self.venue["block"][0] < end)

    @property
    def somebody_to_liquidate(self) -> bool:
        """Whether any account was below maintenance margin when accounts were last assessed. In quiet blocks it spares rules and
        strategies a call into compiled code."""
        return bool(self._liquidatable.item())

    def blocks(self, seconds: float) -> int:
        """Whole blocks in `seconds`, at least one; raises ValueError for a negative or infinite time."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a time must be a finite number of seconds >= 0, not {seconds}")
        return max(1, round(seconds / self.seconds_per_block))
