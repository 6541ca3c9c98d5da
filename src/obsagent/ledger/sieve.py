"""A sieve: one bit for each stretch of the keys' range, set where a run has a key, so that most runs that do not have a
key need not be searched for it.

Keys are hashes: with at least four stretches a row, at most a fifth of the keys that are not there pass.
"""

from __future__ import annotations

import numpy as np

from obsagent._native.codec import passed_by_sieve
from obsagent.ledger.format import SIEVE_BITS_PER_ROW
from obsagent.ledger.tables import Array

HASH_BITS = 64
BITS_MIN = 64


def sieve_bytes(rows: int) -> int:
    """How long the sieve of a run is that has at most so many rows: a power of two."""
    bits = max(BITS_MIN, SIEVE_BITS_PER_ROW * rows)
    return 1 << (bits - 1).bit_length() >> 3


def is_size(size: int) -> bool:
    """Whether a sieve can have so many bytes."""
    return size >= BITS_MIN >> 3 and size & (size - 1) == 0


def add(sieve: Array, keys: Array) -> None:
    """Sets the bits of ascending keys."""
    if len(keys) == 0:
        return
    places, bits = _places(sieve, keys)
    begins = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
    sieve[places[begins]] |= np.bitwise_or.reduceat(bits, begins)


def passed(sieve: Array, keys: Array) -> Array:
    """The indices of those keys that may be there."""
    passed = np.empty(len(keys), np.int64)
    return passed[: passed_by_sieve(sieve.data, keys.data, passed.data)]


def _places(sieve: Array, keys: Array) -> tuple[Array, Array]:
    """In which byte the bit of each key is, and that bit."""
    stretch = keys >> np.uint64(HASH_BITS - (len(sieve).bit_length() + 2))
    places = (stretch >> np.uint64(3)).astype(np.int64)
    return places, np.left_shift(np.uint8(1), (stretch & np.uint64(7)).astype(np.uint8))
