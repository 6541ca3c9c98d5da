"""Messages with predictions, truths and kept rows, pure: the header here, the body in `obsagent.by_id.codec`."""

from __future__ import annotations

from typing import NamedTuple

from obsagent.errors import CorruptData
from obsagent.limits import BODY_BYTES_MAX, COUNT_MAX, RECORDS_PER_BATCH_MAX
from obsagent.wire.frame import session_of
from obsagent.wire.header import Header, MessageKind

RECORD_KINDS = (MessageKind.FEATURES, MessageKind.PREDICTIONS, MessageKind.TRUTHS)
"""Each is the kind of its batch, too."""


class RecordsHeader(NamedTuple):
    """A checked header of a message of records; `sequence` is that of its first, and the others follow it."""

    session: bytes
    sequence: int
    first_kept: int
    rows: int

    @property
    def last_sequence(self) -> int:
        """The sequence of its last record."""
        return self.sequence + self.rows - 1


def read_records(fields: Header, body_bytes: int) -> RecordsHeader:
    """Checks the header of a message of records; raises `CorruptData`."""
    sequence = _count(fields, "q", COUNT_MAX - RECORDS_PER_BATCH_MAX)
    first_kept, rows = _count(fields, "f", sequence), _count(fields, "n", RECORDS_PER_BATCH_MAX)
    if body_bytes > BODY_BYTES_MAX:
        raise CorruptData(f"a body of {body_bytes} bytes; at most {BODY_BYTES_MAX} are allowed")
    return RecordsHeader(session_of(fields), sequence, first_kept, rows)


def _count(fields: Header, key: str, high: int) -> int:
    value = fields.get(key)
    if type(value) is not int or not 1 <= value <= high:
        raise CorruptData(f"field {key!r} must be an integer from 1 to {high}")
    return value
