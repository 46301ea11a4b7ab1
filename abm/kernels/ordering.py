"""The order of execution in a block: a sort of transactions by class, fee and a random priority per account."""

from __future__ import annotations

import math

import numpy as np

from abm.kernels.compiled import inline, kernel
from abm.kernels.random import words
from abm.state import CANCEL, CANCEL_ALL, CANCEL_CONDITIONALS

FEW = 40  # up to here an insertion sort is faster
MANY = 4096  # from here on few passes over wide digits are faster than more passes over narrow ones
NARROW_BITS = 8
WIDE_BITS = 11
DIGITS = 1 << WIDE_BITS
KEY_BITS = 55
FEE_RANKS = 1 << 22


@inline
def fee_rank(fee):
    """Rank of a priority fee (USD), higher fees first: 22 bits on a logarithmic scale from 1e-6 USD up, exact to 0.001 %."""
    if fee <= 0.0:
        return FEE_RANKS - 1
    rank = int(math.log(1.0 + fee * 1e6) * 1e5)
    return FEE_RANKS - 1 - min(rank, FEE_RANKS - 1)


@inline
def sort_few(keys, rows, count):
    """Stable insertion sort of `rows[0, :count]` by `keys[0, :count]`."""
    for a in range(1, count):
        key = keys[0, a]
        row = rows[0, a]
        b = a - 1
        while b >= 0 and keys[0, b] > key:
            keys[0, b + 1] = keys[0, b]
            rows[0, b + 1] = rows[0, b]
            b -= 1
        keys[0, b + 1] = key
        rows[0, b + 1] = row


@inline
def sort_many(keys, rows, count, histogram, bits, differing):
    """Stable radix sort of `rows[0, :count]` by the KEY_BITS of `keys[0, :count]`; row 1 of both is scratch.

    bits: width of a digit. differing: bits in which not all keys agree; digits without such a bit are skipped.
    """
    digits = 1 << bits
    mask = np.uint64(digits - 1)
    source = 0
    shift = np.uint64(0)
    while differing >> shift != np.uint64(0):
        if (differing >> shift) & mask != np.uint64(0):
            for d in range(digits):
                histogram[d] = 0
            for a in range(count):
                histogram[np.int64((keys[source, a] >> shift) & mask)] += 1
            total = 0
            for d in range(digits):
                here = histogram[d]
                histogram[d] = total
                total += here
            target = 1 - source
            for a in range(count):
                d = np.int64((keys[source, a] >> shift) & mask)
                position = histogram[d]
                histogram[d] = position + 1
                keys[target, position] = keys[source, a]
                rows[target, position] = rows[source, a]
            source = target
        shift += np.uint64(bits)
    if source == 1:
        for a in range(count):
            rows[0, a] = rows[1, a]


@kernel
def arrange_transactions(venue, transactions, sequence, sort_keys, histogram, key, by_fee, cancels_first):
    """Writes to `sequence[0]` the rows that have arrived, in their order of execution, and returns how many there are.

    First cancellations if `cancels_first`, then higher fees if `by_fee`, then a priority drawn per account and block; transactions of
    one account keep the order in which it sent them. A priority per account, rather than a permutation of the list, means that
    one order more or less does not reshuffle the rest. Raises RuntimeError when more were submitted than the table holds.
    """
    if venue[0].transactions > transactions.shape[0]:
        raise RuntimeError("more transactions in one block than the venue has room for; raise Capacity.transactions")
    block = venue[0].block
    count = 0
    differing = np.uint64(0)
    for t in range(venue[0].transactions):
        if transactions[t].arrives <= block:
            w0, _, _, _ = words(key, block, transactions[t].account, 0)
            rank = w0
            if by_fee:
                rank |= np.uint64(fee_rank(transactions[t].fee)) << np.uint64(32)
            if cancels_first:
                kind = transactions[t].kind
                if kind != CANCEL and kind != CANCEL_ALL and kind != CANCEL_CONDITIONALS:
                    rank |= np.uint64(1) << np.uint64(54)
            sort_keys[0, count] = rank
            differing |= rank ^ sort_keys[0, 0]
            sequence[0, count] = t
            count += 1
    if count <= FEW:
        sort_few(sort_keys, sequence, count)
    else:
        sort_many(sort_keys, sequence, count, histogram, NARROW_BITS if count < MANY else WIDE_BITS, differing)
    return count
