"""Keys of ids: 96 bits of SipHash-2-4-128 under a key of the model, so that a ledger names nobody.

SipHash: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012); the variant with 128
bits is that of the authors' reference code.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from obsagent._native.codec import siphash_texts
from obsagent.by_id.batches import Ids
from obsagent.ledger.tables import Array
from obsagent.limits import LEDGER_MODELS_MAX

KEY_BYTES = 16


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
    keys = Keys(np.empty(len(ids), "u8"), np.empty(len(ids), "u4"))
    siphash_texts(key, ids.lengths, ids.text, keys.hi.data, keys.lo.data)
    return keys
