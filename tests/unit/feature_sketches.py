"""The four sketches of features behind one shape, for tests of what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obsagent.sketches import Edges, HyperLogLog, Moments, TopK

Sketch = Edges | HyperLogLog | Moments | TopK
EDGES = (-10.0, -1.0, 0.0, 0.5, 1.0, 100.0)

MAKERS: dict[str, Callable[[], Any]] = {
    "Edges": lambda: Edges(EDGES),
    "HyperLogLog": lambda: HyperLogLog(10),
    "Moments": Moments,
    "TopK": lambda: TopK(20),
}
NUMERIC = ("Edges", "Moments")
COUNTING = ("Edges", "Moments", "TopK")


def filled(kind: str, *values: Any) -> Any:
    """A sketch of the values, added at once."""
    sketch = MAKERS[kind]()
    sketch.add_many(values)
    return sketch


def samples_of(sketch: Sketch) -> int:
    """How many values a sketch has counted, nulls among them."""
    if isinstance(sketch, HyperLogLog):
        raise TypeError("a HyperLogLog does not count values")
    if isinstance(sketch, TopK):
        return sketch.total + sketch.null_count
    odd = sketch.nan_count + sketch.positive_infinity_count + sketch.negative_infinity_count
    return sketch.count + sketch.null_count + odd + (sketch.wrong_type_count if isinstance(sketch, Moments) else 0)
