"""The corpora of the fuzzers, and changed copies of every file in them: no decoder does what it must not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from fuzz.changing import Changing
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
    assert {folder.name for folder in folders} == {*TARGETS, "varint", "run_column"}
    sizes = {folder.name: sum(path.stat().st_size for path in folder.iterdir()) for folder in folders}
    assert max(sizes.values()) < FOLDER_BYTES_MAX
    assert sum(sizes.values()) < BYTES_MAX
