"""Margin of a portfolio: the loss in the worst of several scenarios, in which markets move together more or less.

Every position has a shock exposure l in USD: what it loses when its market alone moves by its shock, with the sign of the position. The
formulas take three sums over positions: of l (`net`), of l squared (`squares`), and the floor.
"""

from __future__ import annotations

import math

from abm.kernels.compiled import inline


@inline
def correlated_loss(squares, net, correlation):
    """USD lost when all pairs of markets are correlated alike: sqrt(sum l_i^2 + 2 rho sum_{i<j} l_i l_j).

    The pairs are (net^2 - squares) / 2, so it is sqrt((1 - rho) squares + rho net^2): a norm for rho in [0, 1] (variance of a sum; Basel
    Committee d457, MAR21.4).
    """
    return math.sqrt((1.0 - correlation) * squares + correlation * net * net)


@inline
def worst_correlation(squares, net, lowest, highest):
    """The correlation in [lowest, highest] at which `correlated_loss` is largest.

    Under the root stands a straight line in rho of slope net^2 - squares, so it is an end: the highest where the positions' pairs add up to
    a bet on markets moving together, the lowest where they are hedges that need them to.
    """
    return highest if net * net > squares else lowest


@inline
def portfolio_requirement(squares, net, floor, lowest, highest):
    """Margin in USD: the loss at the worst correlation, at least `floor` USD."""
    return max(correlated_loss(squares, net, worst_correlation(squares, net, lowest, highest)), floor)


@inline
def marginal_loss(exposure, net, correlation):
    """L x l dL/dl = l (l + rho (net - l)) of one position: its marginal part of the loss L, times L.

    Over positions it adds up to L^2 (Euler); it is below zero for a hedge.
    """
    return exposure * (exposure + correlation * (net - exposure))


@inline
def share_to_close(exposure, net, correlation):
    """Share of a position beyond which closing more of it raises the loss: there l = -rho (net - l), and it has become the hedge."""
    least = -correlation * (net - exposure)
    if exposure == 0.0 or least * exposure <= 0.0:
        return 1.0
    return max(1.0 - least / exposure, 0.0)
