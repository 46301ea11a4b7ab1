"""Curves of automated market makers: prices and amounts of a constant-product pool of virtual coins and virtual dollars.

A pool of `quote_reserve` x `base_reserve` = k; one unit of quote stands for `peg` USD, so the price is peg x quote / base. Perp v1
(perpetual-protocol/perpetual-protocol `src/Amm.sol`, peg 1) and Drift v2 (drift-labs/protocol-v2 `programs/drift/src/math/amm.rs`,
`math/repeg.rs`, `math/cp_curve.rs`). What traders hold together is `net_base`; closing all of it leads to the terminal reserves.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.rounding import clamp


@inline
def base_for_quote(quote_reserve, base_reserve, quote):
    """Coins that leave the pool when `quote` comes in; both negative when coins are sold: b q' / (q + q')."""
    return base_reserve * quote / (quote_reserve + quote)


@inline
def quote_for_base(quote_reserve, base_reserve, base):
    """Quote that comes in when `base` coins leave the pool; both negative when coins are sold: q b' / (b - b')."""
    return quote_reserve * base / (base_reserve - base)


@inline
def curve_price(quote_reserve, base_reserve, peg):
    """USD per coin of the next infinitely small trade: peg x quote / base."""
    return quote_reserve / base_reserve * peg


@inline
def terminal_quote(base_reserve, sqrt_k, net_base):
    """Quote reserve once all that traders hold, `net_base` coins (net long > 0), has been closed against the pool."""
    return sqrt_k * sqrt_k / (base_reserve + net_base)


@inline
def terminal_price(base_reserve, sqrt_k, peg, net_base):
    """USD per coin once all that traders hold has been closed against the pool: k / (b + net)^2 x peg."""
    return curve_price(terminal_quote(base_reserve, sqrt_k, net_base), base_reserve + net_base, peg)


@inline
def owed_on_curve(base_reserve, sqrt_k, peg, net_base):
    """USD that the pool would pay (> 0) or take if all traders closed now: peg x (quote - terminal quote)."""
    return peg * (sqrt_k * sqrt_k) * net_base / (base_reserve * (base_reserve + net_base))


@inline
def base_at_price(sqrt_k, peg, price):
    """Base reserve at which the pool's price is `price` USD: sqrt(k peg / price)."""
    return sqrt_k * math.sqrt(peg / price)


@inline
def price_in_band(price, reference, limit):
    """Whether a price is within `limit` (fraction) of the price at the end of the last block; a limit of 0 is none.

    Perp v1 `Amm.sol`, fluctuation limit.
    """
    return limit <= 0.0 or abs(price - reference) <= limit * reference


@inline
def toll_and_spread(notional, toll_ratio, spread_ratio):
    """(USD to the protocol, USD to the insurance fund) of a trade (Perp v1 `Amm.sol`, calcFee)."""
    return notional * toll_ratio, notional * spread_ratio


@inline
def constant_product_loss(ratio):
    """Impermanent loss of a constant-product position when the price has changed by the factor `ratio`, a fraction of holding: <= 0."""
    return 2.0 * math.sqrt(ratio) / (1.0 + ratio) - 1.0


# Position on the curve.


@inline
def closing_value(quote_reserve, base_reserve, peg, size):
    """USD that closing a whole position of `size` coins brings (long) or costs (short, negative): it moves the price against itself."""
    return -peg * quote_for_base(quote_reserve, base_reserve, -size)


@inline
def curve_margin_ratio(margin, unrealised, funding_owed, notional):
    """(margin + unrealised profit - funding owed) / notional; all USD (Perp v1 `ClearingHouse.sol`, getMarginRatio)."""
    return (margin + unrealised - funding_owed) / notional


@inline
def liquidated_share(margin_ratio, fee_ratio, partial_ratio):
    """Share of a position that one liquidation closes: a part while the margin can pay the fee, else all of it (Perp v1)."""
    return partial_ratio if margin_ratio > fee_ratio else 1.0


@inline
def liquidation_penalty(notional, fee_ratio):
    """(penalty, the half of it that goes to the liquidator) in USD for closing `notional` USD (Perp v1)."""
    penalty = notional * fee_ratio
    return penalty, 0.5 * penalty


@inline
def premium_payment(size, premium, share_of_day):
    """USD that a position of `size` coins pays (> 0) for a premium in USD per coin: size x premium x interval / day (Perp v1)."""
    return size * premium * share_of_day


# Moving the curve.


@inline
def peg_from_target(quote_reserve, base_reserve, price):
    """Peg at which the pool's price is `price` USD: price x base / quote."""
    return price * base_reserve / quote_reserve


@inline
def repeg_cost(quote_reserve, quote_terminal, peg, new_peg):
    """USD by which a new peg raises what the pool owes to its traders: (quote - terminal quote) x change of the peg."""
    return (quote_reserve - quote_terminal) * (new_peg - peg)


@inline
def affordable_peg(quote_reserve, quote_terminal, peg, target_peg, budget):
    """Peg as far on the way to `target_peg` as `budget` USD pays for."""
    cost = repeg_cost(quote_reserve, quote_terminal, peg, target_peg)
    if cost <= budget:
        return target_peg
    return peg + max(budget, 0.0) / (quote_reserve - quote_terminal)


@inline
def optimal_peg_and_budget(quote_reserve, base_reserve, quote_terminal, peg, max_spread, fee_pool, oracle):
    """(peg to go to, USD that may be spent on it, whether the fee pool's lower bound still binds), Drift v2 `math/repeg.rs`.

    The peg goes to the oracle price if the fee pool can pay. If not, and the gap is wider than half of `max_spread` (fraction of the
    oracle price), it goes to that distance from the oracle, whatever that costs.
    """
    target = peg_from_target(quote_reserve, base_reserve, oracle)
    cost = repeg_cost(quote_reserve, quote_terminal, peg, target)
    if fee_pool >= max(cost, 0.0):
        return target, fee_pool, True
    gap = curve_price(quote_reserve, base_reserve, peg) - oracle
    half = 0.5 * max_spread * oracle
    if abs(gap) > half:
        edge = oracle + half if gap > 0.0 else oracle - half
        target = peg_from_target(quote_reserve, base_reserve, edge)
        return target, repeg_cost(quote_reserve, quote_terminal, peg, target), False
    return target, fee_pool, fee_pool > 0.0


@inline
def scaled_reserves(base_reserve, quote_reserve, scale):
    """(base, quote) of a deeper (scale > 1) or thinner pool at the same price; sqrt(k) scales alike."""
    return base_reserve * scale, quote_reserve * scale


@inline
def scale_cost(base_reserve, sqrt_k, peg, net_base, scale):
    """USD by which scaling the reserves raises what the pool owes to its traders."""
    after = owed_on_curve(base_reserve * scale, sqrt_k * scale, peg, net_base)
    return after - owed_on_curve(base_reserve, sqrt_k, peg, net_base)


@inline
def budgeted_scale(base_reserve, quote_reserve, net_base, peg, budget, upper, lower):
    """Scale of the reserves that costs `budget` USD (negative: brings that much), within [lower, upper].

    (y d^2 p + budget (x + d) d) / (y d^2 p - budget x (x + d)) with x, y the reserves, d the net position, p the peg; the upper limit
    where that has no positive denominator (Drift v2 `math/cp_curve.rs`).
    """
    weight = quote_reserve * net_base * net_base * peg
    numerator = weight + budget * (base_reserve + net_base) * net_base
    denominator = weight - budget * base_reserve * (base_reserve + net_base)
    if denominator <= 0.0:
        return upper
    return min(max(numerator / denominator, lower), upper)


@inline
def depth_budget(funding_cost, revenue):
    """USD that a period's change of depth may cost (negative: must bring), Drift v2 `math/cp_curve.rs` and `controller/amm.rs`.

    `funding_cost` is what the curve paid in funding (negative: received), `revenue` its fees of the period. Half of funding received is
    given back in depth; half of a cost that the revenue does not cover is taken back.
    """
    if funding_cost < 0.0:
        return -0.5 * funding_cost
    return 0.5 * min(max(revenue, 0.0) - funding_cost, 0.0)


@inline
def twap_premium(market_average, index_average, cap):
    """Premium in USD per coin of two averages, held within `cap` x the index average (Perp v2 `Exchange.sol`; Perp v1 without cap)."""
    return clamp(market_average - index_average, cap * index_average)


# Taking a position over at the mark price (Perp v2).


@inline
def takeover_share(value, total_value, account_value, maintenance, least_value):
    """Share of a position of `value` USD that a liquidator may take: all of a small one or of an account below half its maintenance.

    Else half of all the account's positions, `total_value` USD (Perp v2 `ClearingHouse.sol`, isFullyLiquidatable and max size).
    """
    if value <= least_value or account_value < 0.5 * maintenance:
        return 1.0
    return min(1.0, 0.5 * total_value / value)


@inline
def takeover_penalty(notional, ratio, account_value):
    """(penalty, the liquidator's part) in USD: half each for liquidator and fund, all to the liquidator below zero (Perp v2)."""
    penalty = abs(notional) * ratio
    return penalty, penalty if account_value < 0.0 else 0.5 * penalty


@inline
def jit_amount(amount, intensity, inventory):
    """Coins of a match between traders that the curve takes part in: intensity (fraction) of it, at most its inventory (Drift v2
    `math/amm_jit.rs`: it never turns its inventory round)."""
    return min(amount * intensity, abs(inventory))


@inline
def is_imbalanced(base_reserve, sqrt_k, concentration):
    """Whether the curve has 1.5 times as many coins left to trade on one side as on the other (Drift v2 `math/amm_jit.rs`).

    Its reserve may go from sqrt(k) / concentration to sqrt(k) x concentration.
    """
    asks = base_reserve - sqrt_k / concentration
    bids = sqrt_k * concentration - base_reserve
    return max(asks, bids) >= 1.5 * min(asks, bids)


@inline
def just_in_time(amount, intensity, inventory, imbalanced, against_wash):
    """Coins of a match of `amount` coins that the curve takes: a quarter, or all where it is imbalanced, times its intensity, at most its
    inventory and at most half the match, a quarter of it where the price is better for the taker than the oracle's (Drift v2
    `math/amm_jit.rs`: the maker may be washing)."""
    part = jit_amount(amount if imbalanced else 0.25 * amount, intensity, inventory)
    return min(part, 0.25 * amount if against_wash else 0.5 * amount)
