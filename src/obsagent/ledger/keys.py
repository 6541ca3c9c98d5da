"""Keys of ids: 96 bits of SipHash-2-4-128 under a key of the model, so that a ledger names nobody.

SipHash: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012); the variant with 128
bits is that of the authors' reference code. All ids of a batch are hashed side by side.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from obsagent.by_id.batches import Ids
from obsagent.ledger.tables import Array
from obsagent.limits import LEDGER_MODELS_MAX

WORD_BYTES = 8
INITIAL = (0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573)
KEY_BYTES = 16
AT_ONCE = 8_192
"""So many ids are hashed side by side that all that is needed stays in the processor's cache."""


class Keys(NamedTuple):
    """96 bits of each id."""

    hi: Array
    """u64 of each."""
    lo: Array
    """u32 of each."""

    def take(self, rows: Array) -> Keys:
        """Some of them."""
        return Keys(self.hi[rows], self.lo[rows])


class Hasher:
    """Hashes ids under a secret, of each model apart; any thread may ask."""

    def __init__(self, secret: bytes) -> None:
        """`secret` has 16 to 64 bytes."""
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    def keys(self, model: str, ids: Ids) -> Keys:
        """The keys of a model's ids, in their order."""
        key = self._keys.get(model)
        if key is None:
            if len(self._keys) > LEDGER_MODELS_MAX:  # of models that there was no room for
                self._keys.clear()
            key = self._keys[model] = model_key(self._secret, model)
        return keys_of(ids, key)


def model_key(secret: bytes, model: str) -> bytes:
    """The key under which the ids of a model are hashed; `secret` has 16 to 64 bytes."""
    return hashlib.blake2b(model.encode(), key=secret, digest_size=KEY_BYTES, person=b"obsagent ledger").digest()


def keys_of(ids: Ids, key: bytes) -> Keys:
    """The keys of ids, in their order, under a model's key."""
    lengths = np.frombuffer(ids.lengths, "u1").astype(np.int64)
    text = np.frombuffer(ids.text + bytes(256), "u1")
    starts = np.cumsum(lengths) - lengths
    hi, lo = np.empty(len(lengths), "u8"), np.empty(len(lengths), "u4")
    full_words = lengths // WORD_BYTES
    for count in np.unique(full_words):
        which = np.flatnonzero(full_words == count)
        words = _words(text, starts[which], lengths[which], int(count) + 1)
        first, second = siphash(words, key)
        hi[which], lo[which] = first, second.astype("u4")
    return Keys(hi, lo)


def _words(text: Array, starts: Array, lengths: Array, count: int) -> Array:
    """Of each id its bytes, filled up with zeros, the last one its length: `count` rows of one word of each."""
    places = np.arange(count * WORD_BYTES)
    padded = text[starts[:, None] + places]
    last = padded[:, -WORD_BYTES:]  # only there an id may end
    last[places[-WORD_BYTES:] >= lengths[:, None]] = 0
    last[:, -1] = lengths
    return padded.view("<u8").T.copy()


def siphash(words: Array, key: bytes) -> tuple[Array, Array]:
    """128 bits of each column of words, padded as SipHash says, as two u64 arrays."""
    parts = [_siphash(words[:, at : at + AT_ONCE], key) for at in range(0, words.shape[1], AT_ONCE)]
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _siphash(words: Array, key: bytes) -> tuple[Array, Array]:
    k0, k1 = np.frombuffer(key, "<u8")
    v = [np.full(words.shape[1], k ^ np.uint64(c), "u8") for k, c in zip((k0, k1, k0, k1), INITIAL, strict=True)]
    spare = np.empty(words.shape[1], "u8")
    for word in words:
        v[3] ^= word
        _rounds(v, 2, spare)
        v[0] ^= word
    v[2] ^= np.uint64(0xEE)
    _rounds(v, 4, spare)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= np.uint64(0xDD)
    _rounds(v, 4, spare)
    return first, v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v: list[Array], count: int, spare: Array) -> None:
    for _ in range(count):
        _mix(v[0], v[1], 13, spare)
        _rotate(v[0], 32, spare)
        _mix(v[2], v[3], 16, spare)
        _mix(v[0], v[3], 21, spare)
        _mix(v[2], v[1], 17, spare)
        _rotate(v[2], 32, spare)


def _mix(one: Array, other: Array, bits: int, spare: Array) -> None:
    one += other
    _rotate(other, bits, spare)
    other ^= one


def _rotate(values: Array, bits: int, spare: Array) -> None:
    np.left_shift(values, np.uint64(bits), out=spare)
    np.right_shift(values, np.uint64(64 - bits), out=values)
    values |= spare
