"""What must hold for any bytes that are taken for a reference."""

from __future__ import annotations

from hashlib import sha256
from random import Random

from fuzz import trees
from fuzz.block_parts import Mutate
from obsagent._native.codec import crc32c
from obsagent.answer.outcome_expected import numbers_of_reference
from obsagent.errors import CorruptData
from obsagent.harm.allowed import POWERS, known_of_reference
from obsagent.limits import HARM_BOUND_MIN, REFERENCE_EDGES_MAX
from obsagent.reference.format import HEADER, MAGIC
from obsagent.reference.reader import read
from obsagent.reference.writer import pack

MESSAGE_CHARACTERS_MAX = 400


def check_reference(data: bytes) -> None:
    """A reference that is written again as the same, or an error in one line."""
    try:
        reference = read(data)
    except CorruptData as error:
        said = str(error)
        if not said.isprintable() or len(said) > MESSAGE_CHARACTERS_MAX:
            raise AssertionError(f"a complaint of {len(said)} characters: {said!r}") from error
        return
    again = pack(reference)
    assert pack(read(again)) == again
    if reference.errors is not None:
        numbers_of_reference(reference.errors).measures()
        for loss in POWERS:
            known_of_reference(reference, loss, lambda _: None)
            known_of_reference(reference, loss, lambda _: None, HARM_BOUND_MIN)
    for feature in reference.columns.values():
        assert len(feature.edges) <= REFERENCE_EDGES_MAX
        assert sum(feature.bin_counts) in (0, feature.count)
        assert 0 <= feature.null_share <= 1
        assert feature.samples <= reference.rows


def mutate_reference(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes what the checksums cover and mends them."""
    if len(data) < HEADER.size or data[: len(MAGIC)] != MAGIC or chance.random() < 0.1:
        return mutate(data, size_max)
    _, version, reserved, content_size, *_ = HEADER.unpack_from(data)
    content, about = data[HEADER.size : HEADER.size + content_size], data[HEADER.size + content_size :]
    room = max(1, size_max - HEADER.size - len(about))
    if chance.random() < 0.1:
        about = trees.mutate_msgpack(about, 256, chance, mutate)
    else:
        content = trees.mutate_msgpack(content, room, chance, mutate)
    sums = (sha256(content).digest(), crc32c(content), crc32c(about))
    head = HEADER.pack(MAGIC, version, reserved, len(content), len(about), *sums, 0)[:-4]
    return head + crc32c(head).to_bytes(4, "little") + content + about
