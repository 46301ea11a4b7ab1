"""Outside price paths: a diffusion with jumps, volatility factors and scripted crashes.

It is a recursion over blocks whose draws are addressed by (stream, block, market + 1), row 0 being what all markets
share. What it remembers of the past is a few numbers, so a path can be cut anywhere.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.random import normal, student_t, uniform

GEOMETRIC = 0
ARITHMETIC = 1
SOUND = -1  # every price is finite and positive

# What all markets share.
LAW = np.dtype(
    [
        ("form", np.int64),  # GEOMETRIC or ARITHMETIC
        ("mirrored", np.int64),  # 1: report 2 S0 - S instead of S
        ("seconds_per_block", np.float64),
        ("price_key", np.uint64),
        ("volatility_key", np.uint64),
        ("jump_key", np.uint64),
        ("common_weight", np.float64),  # of the common volatility factors; squares of the two weights sum to one
        ("own_weight", np.float64),
        ("common_jumps", np.float64),  # expected number per block
        ("own_jumps", np.float64),  # expected number per block and market
        ("jump_degrees", np.float64),
        ("jump_limit", np.float64),  # fraction (arithmetic: of the initial price)
    ],
    align=True,
)

# One row per market.
DIFFUSING_MARKET = np.dtype(
    [
        ("initial_price", np.float64),  # USD
        ("volatility", np.float64),  # fraction per square root of a block, root mean square
        ("drift", np.float64),  # fraction per block
        ("kept", np.float64),  # share of the distance from the initial price that is left after a block
        ("correlation", np.float64),  # share of the variance that comes from the common draw, at calm volatility
        ("correlation_in_stress", np.float64),  # the same where volatility is far above calm
        ("jump_scale", np.float64),  # fraction
    ],
    align=True,
)

# One row per volatility factor.
VOLATILITY_FACTOR = np.dtype(
    [
        ("persistence", np.float64),  # what is left of a deviation after one block
        ("innovation", np.float64),  # sqrt(1 - persistence^2)
        ("deviation", np.float64),  # stationary standard deviation of log volatility due to this factor
    ],
    align=True,
)

# One row per scripted crash; depths (crashes, markets) are an array of their own.
SCRIPTED_CRASH = np.dtype(
    [
        ("start", np.float64),  # seconds since the beginning of the run
        ("duration", np.float64),  # seconds
        ("steepness", np.float64),
        ("rebound", np.float64),  # fraction of the fall
        ("rebound_half_life", np.float64),  # seconds
        ("volatility_multiplier", np.float64),
    ],
    align=True,
)


@inline
def share_fallen(elapsed, steepness):
    """S-curve from 0 to 1 while `elapsed` (fraction of the duration) goes from 0 to 1, steepest in the middle.

    (1 + tanh(k (x - 1/2)) / tanh(k / 2)) / 2; a straight line in the limit of steepness k = 0.
    """
    if elapsed <= 0.0:
        return 0.0
    if elapsed >= 1.0:
        return 1.0
    if steepness < 1e-6:
        return elapsed
    return 0.5 * (1.0 + math.tanh(steepness * (elapsed - 0.5)) / math.tanh(0.5 * steepness))


@inline
def price_after_crash(crash, depth, seconds):
    """Factor on the price at `seconds`: (1 - depth)^share while it falls, then a part of the depth is regained."""
    elapsed = (seconds - crash.start) / crash.duration
    if elapsed < 1.0:
        return math.exp(math.log1p(-depth) * share_fallen(elapsed, crash.steepness))
    since = seconds - crash.start - crash.duration
    regained = crash.rebound * (1.0 - 2.0 ** (-since / crash.rebound_half_life))
    return 1.0 - depth * (1.0 - regained)


@inline
def volatility_in_crash(crash, seconds):
    """Factor on volatility at `seconds`: rises until half the fall is done, stays, then decays with the rebound."""
    elapsed = (seconds - crash.start) / crash.duration
    share = min(1.0, 2.0 * share_fallen(elapsed, crash.steepness))
    if elapsed > 1.0:
        share = 2.0 ** (-(seconds - crash.start - crash.duration) / crash.rebound_half_life)
    return 1.0 + (crash.volatility_multiplier - 1.0) * share


@kernel
def crash_factors(crashes, depths, seconds, out):
    """Writes the product of all crashes' price factors at `seconds` to `out` (markets,)."""
    for market in range(out.shape[0]):
        out[market] = 1.0
        for row in range(crashes.shape[0]):
            out[market] *= price_after_crash(crashes[row], depths[row, market], seconds)


@inline
def jump(key, block, row, expected, degrees):
    """Sum of a Poisson number (mean `expected`) of Student-t variates at this address."""
    total = 0.0
    if expected <= 0.0:
        return total
    chance = math.exp(-expected)
    cumulative = chance
    draw = uniform(key, block, row, 0)
    count = 0
    most = 50.0 + 10.0 * expected  # rounding may leave the sum of chances just below the draw
    while draw >= cumulative and count < most:
        count += 1
        chance *= expected / count
        cumulative += chance
        total += student_t(key, block, row, count, degrees)
    return total


@inline
def advance_factors(key, block, factors, states):
    """Moves the Ornstein-Uhlenbeck `states` (factors, 1 + markets) of unit variance to `block`; 0 is stationary."""
    for factor in range(states.shape[0]):
        for row in range(states.shape[1]):
            draw = normal(key, block, row, factor)
            if block == 0:
                states[factor, row] = draw
            else:
                kept = factors[factor].persistence * states[factor, row]
                states[factor, row] = kept + factors[factor].innovation * draw


@kernel
def diffuse(law, markets, factors, crashes, depths, levels, states, first_block, prices, volatility):
    """Writes `prices` and `volatility` (blocks, markets) from `first_block` on and carries `levels` and `states` along.

    `levels` (markets,) is ln(S/S0) for the geometric and S/S0 - 1 for the arithmetic form, before crashes.
    Returns SOUND, or the flat position of the first price that is not finite and positive, where it stops.
    """
    rules = law[0]
    n_markets = levels.shape[0]
    variance = 0.0
    for factor in range(states.shape[0]):
        variance += factors[factor].deviation ** 2
    calm = rules.common_weight * math.sqrt(variance)  # calm means one deviation below the usual log volatility
    for step in range(prices.shape[0]):
        block = first_block + step
        seconds = block * rules.seconds_per_block
        advance_factors(rules.volatility_key, block, factors, states)
        common_volatility = 0.0
        for factor in range(states.shape[0]):
            common_volatility += rules.common_weight * factors[factor].deviation * states[factor, 0]
        alarm = 1.0
        for row in range(crashes.shape[0]):
            alarm *= volatility_in_crash(crashes[row], seconds)
        above_calm = max(1.0, alarm * math.exp(common_volatility + calm))
        ease = 1.0 / (above_calm * above_calm)
        common_draw = normal(rules.price_key, block, 0, 0)
        common_jump = jump(rules.jump_key, block, 0, rules.common_jumps, rules.jump_degrees)
        for market in range(n_markets):
            here = markets[market]
            log_volatility = common_volatility - variance  # so that the mean of its exponential's square is one
            for factor in range(states.shape[0]):
                log_volatility += rules.own_weight * factors[factor].deviation * states[factor, 1 + market]
            sigma = here.volatility * alarm * math.exp(log_volatility)
            if block > 0:
                shared = here.correlation_in_stress - (here.correlation_in_stress - here.correlation) * ease
                own_draw = normal(rules.price_key, block, 1 + market, 0)
                draw = math.sqrt(shared) * common_draw + math.sqrt(1.0 - shared) * own_draw
                own_jump = jump(rules.jump_key, block, 1 + market, rules.own_jumps, rules.jump_degrees)
                leap = here.jump_scale * (common_jump + own_jump)
                leap = min(max(leap, -rules.jump_limit), rules.jump_limit)
                move = here.drift + sigma * draw + leap
                if rules.form == GEOMETRIC:
                    move -= 0.5 * sigma * sigma
                levels[market] = here.kept * levels[market] + move
            base = math.exp(levels[market]) if rules.form == GEOMETRIC else 1.0 + levels[market]
            fallen = 1.0
            for row in range(crashes.shape[0]):
                fallen *= price_after_crash(crashes[row], depths[row, market], seconds)
            price = here.initial_price * base * fallen
            if rules.mirrored != 0:
                price = 2.0 * here.initial_price - price
            if not 0.0 < price < math.inf:
                return step * n_markets + market
            prices[step, market] = price
            if rules.form == GEOMETRIC:
                volatility[step, market] = sigma
            else:
                volatility[step, market] = sigma * here.initial_price * fallen / price
    return SOUND
