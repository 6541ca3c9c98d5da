"""The two text formats: OpenMetrics 1.0, and the classic one of Prometheus, 0.0.4.

What OpenMetrics has beyond the other: the unit, when a total was zero (`_created`), exemplars, and the end (`# EOF`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from obsagent.export.buckets import classic_of
from obsagent.export.family import ClassicBuckets, Exemplar, Family, Labels, Point
from obsagent.samples import Kind
from obsagent.sketches import LogHist

EXEMPLAR_CHARACTERS_MAX = 128
"""Names and values of an exemplar's labels together: OpenMetrics allows no more."""
END = b"# EOF\n"


def openmetrics(family: Family) -> bytes:
    """A family as OpenMetrics text, without the end of the exposition."""
    lines = [f"# TYPE {family.name} {family.kind.word}"]
    if family.unit:
        lines.append(f"# UNIT {family.name} {family.unit}")
    if family.help:
        lines.append(f"# HELP {family.name} {_quoted(family.help)}")
    for point in family.points:
        lines += _samples(family, point, is_open=True)
    return _encoded(lines)


def classic(family: Family) -> bytes:
    """A family as classic text."""
    name = family.sample_name
    lines = [f"# HELP {name} {_escaped(family.help)}", f"# TYPE {name} {family.kind.word}"]
    for point in family.points:
        lines += _samples(family, point, is_open=False)
    return _encoded(lines)


def _encoded(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _samples(family: Family, point: Point, *, is_open: bool) -> Iterator[str]:
    name, labels = family.name, _pairs(point.labels)
    if isinstance(point.value, (LogHist, ClassicBuckets)):
        yield from _histogram(family, point, classic_of(point.value, family.unit), labels, is_open=is_open)
    else:
        yield f"{family.sample_name}{_braced(labels)} {number(point.value)}{_first_exemplar(family, point, is_open)}"
    if is_open and point.created_ms is not None:
        yield f"{name}_created{_braced(labels)} {point.created_ms / 1000:.3f}"


def _histogram(family: Family, point: Point, hist: ClassicBuckets, labels: str, *, is_open: bool) -> Iterator[str]:
    exemplars = by_bound(point.exemplars, hist.bounds) if is_open else {}
    lead = f"{labels}," if labels else ""
    for bound, count in zip(hist.bounds, hist.counts, strict=True):
        line = f'{family.name}_bucket{{{lead}le="{number(bound)}"}} {count}'
        yield line + (exemplar_text(exemplars[bound]) if bound in exemplars else "")
    if hist.sum is not None or not is_open:  # OpenMetrics has both or none
        yield f"{family.name}_count{_braced(labels)} {hist.total}"
    if hist.sum is not None:
        yield f"{family.name}_sum{_braced(labels)} {number(hist.sum)}"


def by_bound(exemplars: Iterable[Exemplar], bounds: Sequence[float]) -> dict[float, Exemplar]:
    """Bound of a bucket → the largest exemplar in it: a bucket has room for one."""
    found: dict[float, Exemplar] = {}
    for exemplar in sorted(exemplars, key=lambda each: each.value):
        bound = next((bound for bound in bounds if exemplar.value <= bound), None)
        if bound is not None:
            found[bound] = exemplar
    return found


def _first_exemplar(family: Family, point: Point, is_open: bool) -> str:
    if not is_open or family.kind is not Kind.COUNTER or not point.exemplars:
        return ""
    return exemplar_text(point.exemplars[0])


def exemplar_text(exemplar: Exemplar) -> str:
    """What follows the sample of an exemplar; nothing of one whose labels are too long."""
    if sum(len(name) + len(value) for name, value in exemplar.labels) > EXEMPLAR_CHARACTERS_MAX:
        return ""
    at = "" if exemplar.at_ms is None else f" {exemplar.at_ms / 1000:.3f}"
    return f" # {{{_pairs(exemplar.labels)}}} {number(exemplar.value)}{at}"


def number(value: float) -> str:
    """A number as both formats write it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


def _pairs(labels: Labels) -> str:
    return ",".join(f'{name}="{_quoted(value)}"' for name, value in labels)


def _braced(pairs: str) -> str:
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
