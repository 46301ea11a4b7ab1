"""Buying on one venue and selling on another: what a gap between them pays, and when to go in and out."""

from __future__ import annotations

from abm.kernels.compiled import inline

MOST_LEVELS = 4096  # price levels that are looked at for depth


@inline
def gap_after_crossing(bid, ask, index):
    """What selling at `bid` on one venue and buying at `ask` on the other brings before fees, as a fraction of the index."""
    return (bid - ask) / index


@inline
def opening_gap(fees, exit_share, edge, expected_funding):
    """Gap at which a pair of positions is opened: the fees of both legs now, the share `exit_share` of those on the way out, and an
    edge, less the funding that it is expected to receive while it is held. All fractions of the index."""
    return fees * (1.0 + exit_share) + edge - expected_funding


@inline
def closing_gap(fees, exit_share, expected_funding):
    """Gap in the opposite direction at which the pair is closed: what is left of the fees, and the funding that is given up.

    What was reckoned with on the way in is not asked for again on the way out, so a round trip earns the edge whatever `exit_share`.
    """
    return fees * (1.0 - exit_share) + expected_funding


@inline
def lots_within(markets, levels, k, side, limit):
    """Lots that a buyer (side > 0) or seller finds up to the tick `limit`; a curve or a pool shows its depth as resting quotes too."""
    best = markets[k].best_ask if side > 0 else markets[k].best_bid
    if best == 0 or best == markets[k].ticks:
        return 0
    lots = 0
    tick = best
    for _ in range(MOST_LEVELS):
        if tick < 1 or tick >= markets[k].ticks or (limit - tick) * side < 0:
            break
        lots += levels[k, tick].lots
        tick += side
    return lots


@inline
def limit_tick(markets, k, side, price):
    """The tick at or inside `price` USD for a buyer (side > 0) or seller, on the grid."""
    tick = int(price / markets[k].tick)
    if side < 0 and tick * markets[k].tick < price:
        tick += 1
    return min(max(tick, 1), markets[k].ticks - 1)
