"""Random numbers that are addressed, not sequenced.

A draw is a pure function of (stream key, block, row, draw number). Nothing depends on how many numbers were drawn before,
so an agent that is added, or a rule that is changed, leaves every other draw as it was, and a draw that is not needed
is simply never computed.

The generator is Philox 4x32 with ten rounds (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3");
tests pin it to the known answers of its authors' Random123 library.
"""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel

MULTIPLIER_0 = np.uint64(0xD2511F53)
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint32(0x9E3779B9)
WEYL_1 = np.uint32(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
ROUNDS = 10
UNIT_32 = 2.0**-32
UNIT_53 = 2.0**-53
TWO_PI = 2.0 * math.pi


@inline
def philox(key, c0, c1, c2, c3):
    """Four 32-bit words from a 64-bit key and a 128-bit counter given as four words (as uint64 below 2**32)."""
    c0 = np.uint64(c0) & LOW
    c1 = np.uint64(c1) & LOW
    c2 = np.uint64(c2) & LOW
    c3 = np.uint64(c3) & LOW
    k0 = np.uint64(key) & LOW
    k1 = np.uint64(key) >> SHIFT
    for _ in range(ROUNDS):
        p0 = MULTIPLIER_0 * c0
        p1 = MULTIPLIER_1 * c2
        c0 = (p1 >> SHIFT) ^ c1 ^ k0
        c1 = p1 & LOW
        c2 = (p0 >> SHIFT) ^ c3 ^ k1
        c3 = p0 & LOW
        k0 = (k0 + np.uint64(WEYL_0)) & LOW
        k1 = (k1 + np.uint64(WEYL_1)) & LOW
    return c0, c1, c2, c3


@inline
def words(key, block, row, draw):
    """Four 32-bit words at the address (stream, block, row, draw), each as uint64."""
    return philox(key, np.uint64(block), np.uint64(row), np.uint64(draw), np.uint64(block) >> SHIFT)


@inline
def four_uniforms(key, block, row, draw):
    """Four independent uniforms in [0, 1) with 32 bits each: the cheapest way to several coarse draws at one address."""
    w0, w1, w2, w3 = words(key, block, row, draw)
    return w0 * UNIT_32, w1 * UNIT_32, w2 * UNIT_32, w3 * UNIT_32


@inline
def two_uniforms(key, block, row, draw):
    """Two independent uniforms in [0, 1) with 53 bits each."""
    w0, w1, w2, w3 = words(key, block, row, draw)
    first = ((w0 << np.uint64(21)) ^ (w1 >> np.uint64(11))) * UNIT_53
    second = ((w2 << np.uint64(21)) ^ (w3 >> np.uint64(11))) * UNIT_53
    return first, second


@inline
def uniform(key, block, row, draw):
    """One uniform in [0, 1) with 53 bits."""
    first, _ = two_uniforms(key, block, row, draw)
    return first


@inline
def normal(key, block, row, draw):
    """One standard normal, by the Box-Muller transform of the two uniforms at this address."""
    first, second = two_uniforms(key, block, row, draw)
    return math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(TWO_PI * second)


@inline
def student_t(key, block, row, draw, degrees):
    """One Student-t variate with `degrees` > 0 degrees of freedom, by Bailey's polar form (Mathematics of Computation 62, 1994)."""
    first, second = two_uniforms(key, block, row, draw)
    return math.sqrt(degrees * ((1.0 - first) ** (-2.0 / degrees) - 1.0)) * math.cos(TWO_PI * second)


@kernel
def fill_uniforms(key, block, out):
    """Writes uniforms in [0, 1) to `out` (rows, draws): entry (i, d) is the draw at address (block, i, d)."""
    for row in range(out.shape[0]):
        for draw in range(out.shape[1]):
            out[row, draw] = uniform(key, block, row, draw)


@kernel
def fill_normals(key, block, out):
    """Writes standard normals to `out` (rows, draws): entry (i, d) is the draw at address (block, i, d)."""
    for row in range(out.shape[0]):
        for draw in range(out.shape[1]):
            out[row, draw] = normal(key, block, row, draw)


@kernel
def philox_words(key, c0, c1, c2, c3, out):
    """Writes the four words of one Philox call to `out` (4,) uint64: the window through which tests see the generator."""
    out[0], out[1], out[2], out[3] = philox(key, c0, c1, c2, c3)
