"""The corpora of the fuzzers, and changed copies of every file in them: no decoder does what it must not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = [path for target in TARGETS for path in sorted((CORPUS / target).iterdir())]
COPIES = 60
BYTES_MAX = 1 << 20
FOLDER_BYTES_MAX = 150_000


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """What is refused is logged, and here nearly everything is."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Changing:
    """A poor fuzzer's mutation, always the same."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def __call__(self, data: bytes, size_max: int) -> bytes:
        out, chance = bytearray(data), self.chance
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(out) + 1)
            action = chance.randrange(5)
            if action == 0:
                del out[at : at + chance.choice((1, 2, 8, 1_000))]
            elif action == 1:
                out[at:at] = chance.randbytes(chance.choice((1, 4)))
            elif action == 2:
                out[at:at] = out[max(0, at - 16) : at]
            elif at < len(out):
                out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, out[at] ^ 1 << chance.randrange(8)))
        return bytes(out[:size_max])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus(path: Path) -> None:
    target, data = TARGETS[path.parent.name], path.read_bytes()
    target.check(data)
    changing = Changing(crc32(path.name.encode()))
    for _ in range(COPIES):
        target.check(target.mutation(data, target.size_max, changing.chance, changing)[: target.size_max])


@pytest.mark.parametrize("name", TARGETS)
def test_prefixes_and_nothing(name: str) -> None:
    target = TARGETS[name]
    target.check(b"")
    data = max((path.read_bytes() for path in (CORPUS / name).iterdir()), key=len)
    for size in range(0, len(data), 1 + len(data) // 60):
        target.check(data[:size])


def test_the_corpora_are_small() -> None:
    folders = [folder for folder in CORPUS.iterdir() if folder.is_dir()]
    assert {folder.name for folder in folders} == {*TARGETS, "varint", "query"}
    sizes = {folder.name: sum(path.stat().st_size for path in folder.iterdir()) for folder in folders}
    assert max(sizes.values()) < FOLDER_BYTES_MAX
    assert sum(sizes.values()) < BYTES_MAX
