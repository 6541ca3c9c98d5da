"""The sketches that are compared, ours first, behind one shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import peers
from benchmarks.loads import Values
from obsagent.sketches import LogHist, TDigest


@dataclass(frozen=True, slots=True)
class SketchKind:
    """How one library's sketch is made and used; None where it has no such thing."""

    name: str
    make: Callable[[], Any]
    add: str
    add_many: str | None
    merge: str
    quantile: Callable[[Any, float], float]
    to_bytes: Callable[[Any], bytes] | None

    def filled(self, values: Values) -> Any:
        """A sketch of the values."""
        sketch = self.make()
        if self.add_many is not None:
            getattr(sketch, self.add_many)(values)
        else:
            add = getattr(sketch, self.add)
            for value in values.tolist():
                add(value)
        return sketch


LOGHIST = SketchKind(
    "**`LogHist(6)`**", lambda: LogHist(6), "add", "add_many", "merge", LogHist.quantile, LogHist.to_bytes
)
TDIGEST = SketchKind(
    "**`TDigest(200)`**", lambda: TDigest(200), "add", "add_many", "merge", TDigest.quantile, TDigest.to_bytes
)


def all_kinds() -> list[SketchKind]:
    """Ours, then the peers that are installed."""
    return [LOGHIST, TDIGEST, *_ddsketch(), *_rddsketch(), *_datasketches(), *_fastdigest()]


def _ddsketch() -> list[SketchKind]:
    module = peers.load("ddsketch")
    if module is None:
        return []
    cls = module.DDSketch
    return [
        SketchKind("ddsketch 1 %", lambda: cls(0.01), "add", None, "merge", cls.get_quantile_value, None),
    ]


def _rddsketch() -> list[SketchKind]:
    module = peers.load("rddsketch")
    if module is None:
        return []
    cls = module.DDSketch
    return [SketchKind("rddsketch 1 %", lambda: cls(0.01), "add", None, "merge", cls.quantile, cls.to_bytes)]


def _datasketches() -> list[SketchKind]:
    module = peers.load("datasketches")
    if module is None:
        return []
    kll, digest = module.kll_doubles_sketch, module.tdigest_double
    return [
        SketchKind(
            "datasketches KLL 200", lambda: kll(200), "update", "update", "merge", kll.get_quantile, kll.serialize
        ),
        SketchKind(
            "datasketches t-digest 200",
            lambda: digest(200),
            "update",
            "update",
            "merge",
            digest.get_quantile,
            digest.serialize,
        ),
    ]


def _fastdigest() -> list[SketchKind]:
    module = peers.load("fastdigest")
    if module is None:
        return []
    cls = module.TDigest
    return [
        SketchKind("fastdigest", cls, "update", "batch_update", "merge_inplace", cls.quantile, cls.to_bytes),
    ]
