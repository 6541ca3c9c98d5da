"""Which of several truths of an id counts: the one that became known last; of two as new, the one that came last.

All ids of a batch are judged side by side; one that occurs twice in a batch is judged as if it had come twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsagent.ledger.tables import Array


@dataclass(frozen=True, slots=True)
class Succession:
    """Of truths sorted by id, those of one id in order of arrival, and of the truth that is known of each id."""

    counts: Array
    """Of each truth: was it the newest when it came?"""
    before: Array
    """Of each truth: the index of the one that counted before it, −1 if that is the known one, or none."""
    last: Array
    """Of each id: the index of the truth that counts in the end, −1 if that is still the known one."""


def succession(ids: Array, at_ms: Array, id_count: int, is_known: Array, known_at_ms: Array) -> Succession:
    """Judge truths. `ids` (ascending, 0 to `id_count` − 1) says whose each one is; `is_known` and `known_at_ms` are of
    each id.
    """
    index = np.arange(len(ids))
    if id_count == len(ids):  # each of them once: there is nothing to be judged but what is known
        counts = ~is_known | (at_ms >= known_at_ms)
        return Succession(counts, np.full(len(ids), -1), np.where(counts, index, -1))
    rank = _ranks(ids, at_ms, id_count, is_known, known_at_ms)
    is_first = np.append(True, ids[1:] != ids[:-1])
    newest = np.maximum.accumulate(rank.own)
    newest_before = np.where(is_first, -1, np.append(-1, newest[:-1]))
    counts = rank.own >= np.maximum(newest_before, rank.known[ids])
    last_so_far = np.maximum.accumulate(np.where(counts, index, -1))
    begins = np.maximum.accumulate(np.where(is_first, index, 0))
    before = np.append(-1, last_so_far[:-1])
    before = np.where(before >= begins, before, -1)
    ends = np.flatnonzero(np.append(is_first[1:], True))
    last = last_so_far[ends]
    return Succession(counts, before, np.where(last >= begins[ends], last, -1))


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Whole numbers that grow with the id first, and then with the time."""

    own: Array
    known: Array
    """Of each id; −1 if nothing is known of it."""


def _ranks(ids: Array, at_ms: Array, id_count: int, is_known: Array, known_at_ms: Array) -> _Ranks:
    times, rank = np.unique(np.concatenate([at_ms, known_at_ms]), return_inverse=True)
    own, known = rank[: len(ids)], rank[len(ids) :]
    known = np.arange(id_count) * len(times) + known
    return _Ranks(ids * len(times) + own, np.where(is_known, known, -1))
