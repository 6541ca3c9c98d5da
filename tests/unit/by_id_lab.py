"""Batches by id for tests: made of plain lists, and strategies of hypothesis for any."""

from __future__ import annotations

import msgpack
from hypothesis import strategies as st

from obsagent.by_id import columns
from obsagent.by_id.batches import Batch, Forgotten, Ids, Predictions, Rows, Truths, Values
from obsagent.by_id.codec import ids_of

NOW_MS = 1_800_000_000_000


def times(*at_ms: int) -> bytes:
    return columns.pack(columns.TIME, at_ms)


def numbers(*values: float) -> Values:
    return Values(columns.pack(columns.NUMBER, values))


def classes(*values: str) -> Values:
    names = tuple(dict.fromkeys(values))
    return Values(columns.pack(columns.CLASS, map(names.index, values)), names)


def predictions(
    ids: list[str],
    values: Values | None = None,
    scores: list[float] | None = None,
    at_ms: int = NOW_MS,
    model: str = "fraud",
    version: str = "4",
    slice: tuple[tuple[str, str], ...] = (),
) -> Predictions:
    return Predictions(
        model,
        version,
        "live",
        slice,
        ids_of(ids),
        times(*[at_ms] * len(ids)),
        values or numbers(*[1.0] * len(ids)),
        columns.pack(columns.NUMBER, scores) if scores else b"",
    )


def truths(ids: list[str], values: Values | None = None, at_ms: int = NOW_MS, model: str = "fraud") -> Truths:
    return Truths(model, ids_of(ids), times(*[at_ms] * len(ids)), values or numbers(*[1.0] * len(ids)))


def rows(ids: list[str], rows: list[dict[str, float | str | None]], model: str = "fraud") -> Rows:
    packed = tuple(msgpack.packb(row) for row in rows)
    return Rows(model, "4", "live", (), ids_of(ids), times(*[NOW_MS] * len(ids)), packed)


def _sized(count: int) -> st.SearchStrategy[Batch]:
    text = st.text("ab é中", max_size=9)
    name = st.text("ab é中", min_size=1, max_size=9)
    ids = st.lists(name, min_size=count, max_size=count).map(ids_of)
    at_ms = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count).map(lambda each: times(*each))
    floats = st.lists(st.floats(), min_size=count, max_size=count).map(lambda each: columns.pack("d", each))
    words = st.lists(text, min_size=count, max_size=count).map(lambda each: classes(*each))
    values = st.one_of(floats.map(Values), words) if count else floats.map(Values)
    slice_ = st.dictionaries(name, text, max_size=3).map(lambda each: tuple(sorted(each.items())))
    row = st.dictionaries(text, st.one_of(st.none(), st.floats(), st.integers(-9, 9), text), max_size=3)
    packed = st.lists(row.map(msgpack.packb), min_size=count, max_size=count).map(tuple)
    of = (name, text, name, slice_, ids, at_ms)
    return st.one_of(
        st.builds(Predictions, *of, values, st.one_of(st.just(b""), floats)),
        st.builds(Truths, name, ids, at_ms, values),
        st.builds(Rows, *of, packed),
        st.builds(Forgotten, text, ids),
    )


any_batch: st.SearchStrategy[Batch] = st.integers(0, 6).flatmap(_sized)


def golden_batches() -> dict[str, Batch]:
    """One of each kind; their bytes are in `tests/golden/by_id`."""
    ids = ["r-1", "zażółć", "7f3b0f5e-8f8c-4e0e-9a53-6f2d6a0c1b11"]
    of_slice = (("country", "DE"), ("device", "phone"))
    return {
        "predictions_numbers": predictions(ids, numbers(1.0, 0.5, float("nan")), slice=of_slice),
        "predictions_classes": predictions(ids, classes("fraud", "ok", "fraud"), [0.9, 0.1, 0.75]),
        "truths_numbers": truths(ids, numbers(1.0, -0.0, 12.5)),
        "truths_classes": truths(ids, classes("ok", "ok", "fraud")),
        "rows": rows(ids, [{"amount": 1.5, "country": "DE", "age": None}, {}, {"amount": 3}]),
        "forgotten": Forgotten("", Ids(*_pair(ids))),
    }


def _pair(ids: list[str]) -> tuple[bytes, bytes]:
    made = ids_of(ids)
    return made.lengths, made.text
