"""Forgetting ids: what is in memory goes at once, what is in runs is masked until they are written anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from obsagent.by_id import batches
from obsagent.ledger.join import Changes
from obsagent.ledger.keys import Hasher, Keys
from obsagent.ledger.memtable import Piece
from obsagent.ledger.names import Names
from obsagent.ledger.sources import Forgotten, Masks, Sources, has_key, matches
from obsagent.ledger.tables import PREDICTIONS, ROWS, TRUTHS, Array

BY_ID = (PREDICTIONS, TRUTHS, ROWS)


def forget(
    batch: batches.Forgotten, hasher: Hasher, names: Names, sources: Sources, masks: Masks, next_run: int
) -> tuple[Changes, Masks]:
    """Takes ids out of what is in memory; returns the masks that hide them in runs. Raises DamagedRun.

    Outcomes stay: they say of nobody what was predicted, and what was the case.
    """
    models = [batch.model] if batch.model else [model.name for model in names.models]
    found: list[Forgotten] = []
    for model in models:
        keys = hasher.keys(model, batch.ids)
        keys = keys.take(np.lexsort((keys.lo, keys.hi)))
        found.extend(_in_runs(keys, sources, next_run))
        for table in BY_ID:
            sources.memory[table].remove(partial(_is_any_of, keys))
    return Changes(counted=Counter(forgotten=len(batch.ids))), Masks([*masks.forgotten, *found])


def _in_runs(keys: Keys, sources: Sources, next_run: int) -> Iterable[Forgotten]:
    is_there = np.zeros(len(keys.hi), bool)
    for table in BY_ID:
        for source in sources.of(table):
            is_there[matches(source, keys, Masks())[0]] = True
    hidden = keys.take(is_there)
    return [Forgotten(hi, lo, next_run) for hi, lo in zip(hidden.hi.tolist(), hidden.lo.tolist(), strict=True)]


def _is_any_of(keys: Keys, piece: Piece) -> Array:
    return has_key(Keys(piece.block["hi"], piece.block["lo"]), keys.hi, keys.lo)


def packed(masks: Masks) -> list[list[int]]:
    """Masks as plain values."""
    return [[*each] for each in masks.forgotten]


def unpacked(values: Iterable[Any]) -> Masks:
    """What `packed` gave."""
    return Masks(Forgotten(*each) for each in values)
