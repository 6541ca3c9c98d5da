"""Exemplars on the wire: the field `x` of a samples message. What is wrong with one costs that one, not the batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import isfinite
from typing import Any, NamedTuple

from obsagent.limits import EXEMPLAR_ID_BYTES_MAX, EXEMPLARS_PER_MESSAGE, SERIES_NUMBER_MAX
from obsagent.wire.header import Header

FIELD = "x"
ROW_FIELDS = 5


class SentExemplar(NamedTuple):
    """One row of the field: `number` is the session's series, `time_ms` since the epoch."""

    number: int
    value: float
    time_ms: int
    trace_id: str
    request_id: str


class Refused(ValueError):
    """A row that is not taken; the text is one of the reasons `form`, `value`, `time`, `id`."""


def exemplar_fields(exemplars: Iterable[SentExemplar]) -> Header:
    """The field that carries exemplars; none if there are none. Ids go as bytes, so that each is checked by itself."""
    rows = [[*each[:3], each.trace_id.encode(), each.request_id.encode()] for each in exemplars]
    return {FIELD: rows} if rows else {}


def read_exemplars(fields: Header, start_ms: int, end_ms: int) -> tuple[list[SentExemplar], Counter[str]]:
    """The exemplars of a batch `[start_ms, end_ms]`, and how many are refused for which reason; never raises."""
    refused: Counter[str] = Counter()
    rows = fields.get(FIELD, [])
    if not isinstance(rows, list):
        return [], Counter({"form": 1})
    found = []
    for row in rows[:EXEMPLARS_PER_MESSAGE]:
        try:
            found.append(_read(row, start_ms, end_ms))
        except Refused as reason:
            refused[str(reason)] += 1
    if len(rows) > EXEMPLARS_PER_MESSAGE:
        refused["count"] = len(rows) - EXEMPLARS_PER_MESSAGE
    return found, refused


def _read(row: Any, start_ms: int, end_ms: int) -> SentExemplar:
    if not isinstance(row, list) or len(row) < ROW_FIELDS:
        raise Refused("form")
    number, value, time_ms, trace_id, request_id = row[:ROW_FIELDS]
    if type(number) is not int or not 0 <= number <= SERIES_NUMBER_MAX:
        raise Refused("form")
    if type(value) is not float or not isfinite(value):
        raise Refused("value")
    if type(time_ms) is not int or not start_ms <= time_ms <= end_ms:
        raise Refused("time")
    sent = SentExemplar(number, value, time_ms, _id(trace_id), _id(request_id))
    if not sent.trace_id and not sent.request_id:
        raise Refused("id")
    return sent


def _id(value: Any) -> str:
    if type(value) is not bytes or len(value) > EXEMPLAR_ID_BYTES_MAX:
        raise Refused("id")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused("id") from None
