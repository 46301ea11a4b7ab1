"""Bars filled with blocks, each bar from the addresses (stream, bar, market, block within the bar) alone."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline, kernel
from abm.kernels.random import four_uniforms, normal

ROUNDING = 1e-9  # of a block or a bar: times that should fall on a border may miss it by this much


@kernel
def past_variance(opens, closes, initial, weight, out):
    """Writes to `out` (bars, markets) the variance per bar as known when the bar opens, from earlier bars only.

    Exponentially weighted squared log returns, close to close; `weight` is that of the newest bar, `initial` (markets,)
    the value before any bar.
    """
    for market in range(out.shape[1]):
        known = initial[market]
        before = opens[0, market]
        for bar in range(out.shape[0]):
            out[bar, market] = known
            move = math.log(closes[bar, market] / before)
            known += weight * (move * move - known)
            before = closes[bar, market]


@inline
def reflected(value, low, high):
    """`value` folded back at `low` and `high` until it lies between them."""
    width = high - low
    if width <= 0.0:
        return low
    folded = (value - low) % (2.0 * width)
    return low + min(folded, 2.0 * width - folded)


@inline
def block_at(seconds, seconds_per_block):
    """First block that begins at or after `seconds`."""
    return math.ceil(seconds / seconds_per_block - ROUNDING)


@inline
def fill_bar(key, bar, market, open_, high, low, close, begin, end, first_block, prices):
    """Writes the bar's blocks `begin` to `end` - 1, as far as they lie in `prices`, which starts at `first_block`.

    Open, low, high, close when the bar rises or stands still, open, high, low, close when it falls. Between these a
    Brownian bridge of log prices with Parkinson's variance of the bar, ln(high/low)^2 / (4 ln 2), folded into the bar.
    Three blocks: open, the extreme farther from open and close, close. Two: open, close. One: close.
    """
    blocks = end - begin
    rising = close >= open_
    extreme_1 = low if rising else high
    extreme_2 = high if rising else low
    at_1 = blocks
    at_2 = blocks
    if blocks == 3:
        at_1 = 1
        if high - max(open_, close) > min(open_, close) - low:
            extreme_1 = high
        else:
            extreme_1 = low
    elif blocks > 3:
        u_1, u_2, u_3, _ = four_uniforms(key, bar, market, 0)
        way_1 = (0.5 + u_1) * abs(math.log(extreme_1 / open_))
        way_2 = (0.5 + u_2) * abs(math.log(extreme_2 / extreme_1))
        way_3 = (0.5 + u_3) * abs(math.log(close / extreme_2))
        way = way_1 + way_2 + way_3
        pace = (blocks - 1) / way if way > 0.0 else 0.0
        at_1 = min(max(int(pace * way_1), 1), blocks - 3)
        at_2 = min(max(int(pace * (way_1 + way_2)), at_1 + 1), blocks - 2)
    log_low = math.log(low)
    log_high = math.log(high)
    noise = (log_high - log_low) / math.sqrt(4.0 * math.log(2.0) * blocks)
    level = 0.0
    price = close
    for position in range(blocks):
        anchor = True
        if position == blocks - 1:
            price = close
        elif position == 0:
            price = open_
        elif position == at_1:
            price = extreme_1
        elif position == at_2:
            price = extreme_2
        else:
            anchor = False
            target, target_at = close, blocks - 1
            if position < at_1:
                target, target_at = extreme_1, at_1
            elif position < at_2:
                target, target_at = extreme_2, at_2
            left = target_at - position + 1
            level += (math.log(target) - level) / left
            level += noise * math.sqrt((left - 1) / left) * normal(key, bar, market, position)
            level = reflected(level, log_low, log_high)
            price = min(max(math.exp(level), low), high)
        if anchor:
            level = math.log(price)
        step = begin + position - first_block
        if 0 <= step < prices.shape[0]:
            prices[step, market] = price


@kernel
def replay(key, seconds_per_block, interval, offset, opens, highs, lows, closes, variances, first_block, prices, volatility):
    """Writes `prices` and `volatility` (blocks, markets) from `first_block` on out of bars (bars, markets).

    `interval` is the length of a bar, `offset` the time from the first bar's opening to block 0, both in seconds.
    Blocks longer than a bar take the close of the last bar that begins within them.
    """
    n_blocks, n_markets = prices.shape
    n_bars = opens.shape[0]
    for step in range(n_blocks):
        seconds = offset + (first_block + step) * seconds_per_block
        opening = min(math.floor(seconds / interval + ROUNDING), n_bars - 1)
        closing = min(math.ceil((seconds + seconds_per_block) / interval - ROUNDING), n_bars) - 1
        for market in range(n_markets):
            volatility[step, market] = math.sqrt(variances[opening, market] * seconds_per_block / interval)
            prices[step, market] = closes[closing, market]
    if seconds_per_block >= interval:
        return
    last_block = first_block + n_blocks
    bar = max(0, math.floor((offset + first_block * seconds_per_block) / interval) - 1)
    begin = block_at(bar * interval - offset, seconds_per_block)
    while bar < n_bars and begin < last_block:
        end = block_at((bar + 1) * interval - offset, seconds_per_block)
        if end > first_block:
            for market in range(n_markets):
                fill_bar(
                    key,
                    bar,
                    market,
                    opens[bar, market],
                    highs[bar, market],
                    lows[bar, market],
                    closes[bar, market],
                    begin,
                    end,
                    first_block,
                    prices,
                )
        begin = end
        bar += 1
