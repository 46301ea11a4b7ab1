"""Named random streams. A stream is a key; the draws themselves are addressed by block and row (`abm.kernels.random`)."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_key(seed: int, name: str) -> np.uint64:
    """The 64-bit key of the stream called `name` under `seed` (any integer).

    Names are hashed, so streams are independent of each other and of the order in which they are first used.
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
