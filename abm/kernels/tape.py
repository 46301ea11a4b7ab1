"""The tape: what a trade leaves in the market's statistics and in the record of fills, whoever the two sides were."""

from __future__ import annotations

from abm.kernels.compiled import inline


@inline
def record_fill(venue, markets, fills, taker, maker, k, side, tick, lots, value, taker_fee, maker_fee, liquidation, maker_age):
    """Writes a trade of `lots` > 0 at `tick` for `value` USD, with the fees of both sides in USD, to market k and to `fills`.

    side: of the taker. maker_age: blocks that the maker's order had rested. A fill that finds no room is counted all the same, so
    that the recorder sees that one is missing.
    """
    markets[k].volume += value
    markets[k].trades += 1
    markets[k].last_tick = tick
    if markets[k].low_tick == 0 or tick < markets[k].low_tick:
        markets[k].low_tick = tick
    if tick > markets[k].high_tick:
        markets[k].high_tick = tick
    n = venue[0].fills
    if n < fills.shape[0]:
        fills[n].block = venue[0].block
        fills[n].market = k
        fills[n].taker = taker
        fills[n].maker = maker
        fills[n].side = side
        fills[n].tick = tick
        fills[n].lots = lots
        fills[n].taker_fee = taker_fee
        fills[n].maker_fee = maker_fee
        fills[n].liquidation = 1 if liquidation else 0
        fills[n].maker_age = maker_age
    venue[0].fills = n + 1
