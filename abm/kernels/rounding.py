"""How rates are held within limits, and cut or rounded to whole millionths as on the chain."""

from __future__ import annotations

import math

from abm.kernels.compiled import inline

MILLION = 1e6
# A rate that is a whole number of millionths on the chain can fall short of it by rounding of the binary fraction.
SLACK = 1e-6


@inline
def clamp(value, limit):
    """`value` held within [-limit, limit]."""
    return min(max(value, -limit), limit)


@inline
def truncated_rate(rate):
    """`rate` cut toward zero to whole millionths."""
    return math.trunc(rate * MILLION + math.copysign(SLACK, rate)) / MILLION


@inline
def rounded_rate(rate):
    """`rate` rounded to whole millionths, halves away from zero."""
    return math.copysign(math.floor(abs(rate) * MILLION + 0.5 + SLACK) / MILLION, rate)
