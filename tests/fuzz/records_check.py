"""What must hold for any bytes as a batch by id: refused as corrupt, or a batch that is written and read alike."""

from __future__ import annotations

from random import Random

from fuzz.block_parts import Mutate
from fuzz.trees import mutate_msgpack
from fuzz.wire_check import check_complaint
from obsagent.by_id import format
from obsagent.by_id.codec import decode, encode, kind_of, texts_of
from obsagent.errors import CorruptData
from obsagent.limits import RECORDS_PER_BATCH_MAX


def check_records(data: bytes) -> None:
    """What is read has as many ids as it says, and is the same when it is written and read again."""
    try:
        batch = decode(data)
    except CorruptData as error:
        check_complaint(error)
        return
    assert len(texts_of(batch.ids)) <= RECORDS_PER_BATCH_MAX
    again = encode(batch)
    assert decode(again) == batch
    assert kind_of(decode(again)) == data[1]


def mutate_records(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """The names changed as the msgpack that they are, with their new size; or any bytes."""
    if len(data) < format.FIXED.size or chance.random() < 0.5:
        return mutate(data, size_max)
    version, kind, rows, size = format.FIXED.unpack_from(data)
    begin, end = format.FIXED.size, format.FIXED.size + size
    names = mutate_msgpack(data[begin:end], max(size_max - len(data) + size, 1), chance, mutate)
    return (format.FIXED.pack(version, kind, rows, len(names)) + names + data[end:])[:size_max]
