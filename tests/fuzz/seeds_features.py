"""Seeds of the sketches of features: compact, as the C kernels read them, and sealed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fuzz.seeds_native import SPREADS, Seeds
from obsagent.sketches import Edges, HyperLogLog, Moments, TopK

SEAL_BYTES = 4
EDGES = [-2.0, -0.5, 0.0, 0.05, 0.1, 1.5]
WORDS = ["", "a", "ab", "zebra", "żółw", "x" * 60]


def edges_of(values: Iterable[Any]) -> Edges:
    """Counts of values over a few edges."""
    edges = Edges(EDGES)
    edges.add_many(values)
    return edges


def moments_of(values: Iterable[Any]) -> Moments:
    """Moments of values."""
    moments = Moments()
    moments.add_many(values)
    return moments


def topk_of(keys: Iterable[Any], k: int = 4) -> TopK:
    """The most frequent of keys."""
    top = TopK(k)
    top.add_many(keys)
    return top


def hll_of(values: Iterable[Any], p: int = 8) -> HyperLogLog:
    """The distinct of values."""
    seen = HyperLogLog(p)
    seen.add_many(values)
    return seen


def _compact(edges: Edges) -> bytes:
    """What `to_bytes` writes behind five counts of one byte and the edges."""
    return edges.to_bytes()[5 + 5 + 8 * len(edges.edges) : -SEAL_BYTES]


def edges_seeds() -> Seeds:
    for name, values in SPREADS.items():
        yield name, _compact(edges_of(value for value in values if abs(value) < float("inf")))
    yield "categories", b"\x04\x00\x05\x00\xac\x02\x01"
    yield "nearly_full", b"\x03\x00" + b"\xff" * 9 + b"\x01\x00\x00"


def moments_seeds() -> Seeds:
    for name, values in SPREADS.items():
        yield name, moments_of(values)._to_compact()
    nulls = moments_of([None, 1.0])
    nulls.add(None, 2**40)
    yield "nulls", nulls._to_compact()
    full = Moments()
    full.add(0.5, 2**64 - 1)
    yield "full", full._to_compact()


def topk_seeds() -> Seeds:
    yield "empty", topk_of([])._to_compact()
    yield "words", topk_of(WORDS * 3)._to_compact()
    yield "too_many_words", topk_of((f"key-{n % 30}" for n in range(500)), 3)._to_compact()
    yield "one_counter", topk_of(range(20), 1)._to_compact()
    yield "default_k", topk_of((n % 70 for n in range(200)), 128)._to_compact()
    full = topk_of(["a"])
    full.add("b", 2**64 - 2)
    yield "full", full._to_compact()


def hll_seeds() -> Seeds:
    for p in (4, 8, 10):
        for count in (0, 3, 60, 2_000):
            yield f"p{p}_of_{count}", hll_of(range(count), p)._to_compact()
    yield "p16_sparse", hll_of(range(20), 16)._to_compact()


def sealed_seeds() -> Seeds:
    """As `to_bytes` writes them."""
    values = [*SPREADS["both_signs"], *SPREADS["not_finite"], None]
    yield "edges", edges_of(values).to_bytes()
    yield "moments", moments_of(values).to_bytes()
    yield "topk", topk_of([*WORDS, None]).to_bytes()
    yield "hll", hll_of(values, 6).to_bytes()
