"""Which part of an account's margin belongs to which of its positions, and what an account would need for more than one change.

Where margins add up, a position's part is its own margin. Where markets net, it is the position's marginal part of the loss in the worst
scenario (Euler: l dL/dl, which add up to L as L is homogeneous). A hedge's marginal part is below zero, and would make a sale worth more
than the mark; it counts as none, and the others' parts are scaled so that all add up to the whole.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline
from abm.kernels.margin import account_risk, position_margin
from abm.kernels.portfolio import correlated_loss, marginal_loss, portfolio_requirement, share_to_close, worst_correlation
from abm.state import NETS_MARKETS


@inline
def nets_markets(margin_tiers):
    """Whether positions in several markets offset each other."""
    return margin_tiers[0, 0].account_wide & NETS_MARKETS != 0


@inline
def maintenance_exposure(positions, markets, margin_tiers, i, k):
    """Shock exposure in USD of account i's position in market k: its maintenance margin by itself, with the sign of the position."""
    if positions[i, k].lots == 0:
        return 0.0
    _, own = position_margin(markets, margin_tiers, k, abs(positions[i, k].lots) * (markets[k].lot * markets[k].mark), 0.0, 0.0)
    return own if positions[i, k].lots > 0 else -own


@inline
def worst_scenario(positions, markets, margin_tiers, i):
    """(net exposure, worst correlation, whether the floor is above the loss then) of account i's maintenance margin."""
    net = squares = floor = 0.0
    for j in range(positions.shape[1]):
        exposure = maintenance_exposure(positions, markets, margin_tiers, i, j)
        net += exposure
        squares += exposure * exposure
        floor += margin_tiers[j, 0].maintenance_floor * abs(positions[i, j].lots) * markets[j].lot * markets[j].mark
    correlation = worst_correlation(squares, net, margin_tiers[0, 0].lowest_correlation, margin_tiers[0, 0].highest_correlation)
    return net, correlation, floor >= correlated_loss(squares, net, correlation)


@inline
def netted_share(positions, markets, margin_tiers, i, k):
    """Part in [0, 1] of account i's maintenance margin that its position in market k causes, where markets net; over positions 1."""
    net, correlation, floored = worst_scenario(positions, markets, margin_tiers, i)
    total = mine = 0.0
    for j in range(positions.shape[1]):
        if floored:
            part = margin_tiers[j, 0].maintenance_floor * abs(positions[i, j].lots) * markets[j].lot * markets[j].mark
        else:
            part = max(marginal_loss(maintenance_exposure(positions, markets, margin_tiers, i, j), net, correlation), 0.0)
        total += part
        if j == k:
            mine = part
    return mine / total if total > 0.0 else 0.0


@inline
def maintenance_part(positions, markets, margin_tiers, i, k, maintenance, notional):
    """USD of account i's `maintenance` margin that belongs to its position of `notional` USD in market k; parts add up to the whole."""
    if nets_markets(margin_tiers):
        return maintenance * netted_share(positions, markets, margin_tiers, i, k)
    _, own = position_margin(markets, margin_tiers, k, notional, 0.0, 0.0)
    return own


@inline
def adds_risk(positions, markets, margin_tiers, i, k):
    """Whether account i's margin would fall if a little of its position in market k were closed; only a hedge's would not."""
    return not nets_markets(margin_tiers) or netted_share(positions, markets, margin_tiers, i, k) > 0.0


@inline
def lots_to_close(positions, markets, margin_tiers, i, k):
    """Lots > 0 of account i's position in market k that a liquidation may close: all, or as many as lower the margin where markets net."""
    held = abs(positions[i, k].lots)
    if not nets_markets(margin_tiers):
        return held
    net, correlation, floored = worst_scenario(positions, markets, margin_tiers, i)
    if floored:
        return held
    share = share_to_close(maintenance_exposure(positions, markets, margin_tiers, i, k), net, correlation)
    return min(max(int(math.ceil(share * held - 1e-9)), 1), held)


@inline
def has_initial_margin_for(accounts, positions, markets, margin_tiers, taker, giver, share, gain):
    """Whether account `taker` has initial margin for its own positions and a share of account `giver`'s, with `gain` USD more.

    A share below 1 is rounded up to whole lots, market by market.
    """
    equity, _, _ = account_risk(accounts, positions, markets, margin_tiers, taker)
    initial = net = squares = floor = 0.0
    for k in range(positions.shape[1]):
        held = abs(positions[giver, k].lots)
        moved = min(int(math.ceil(share * held - 1e-9)), held)
        lots = positions[taker, k].lots + (moved if positions[giver, k].lots > 0 else -moved)
        if lots != 0:
            price = markets[k].lot * markets[k].mark
            needed, _ = position_margin(
                markets, margin_tiers, k, abs(lots) * price, markets[k].open_interest * price, positions[taker, k].least_margin_fraction
            )
            initial += needed
            net += needed if lots > 0 else -needed
            squares += needed * needed
            floor += margin_tiers[k, 0].initial_floor * abs(lots) * price
    if nets_markets(margin_tiers):
        lowest, highest = margin_tiers[0, 0].lowest_correlation, margin_tiers[0, 0].highest_correlation
        initial = portfolio_requirement(squares, net, floor, lowest, highest)
    return equity + gain >= initial
