"""Tests kill stores and agents inside their own process, which goes on: what the dead had open is closed here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from obsagent import fs
from obsagent.head import directory


class WatchedOs:
    """`os` as a module of the store sees it, which remembers the descriptors that were opened and not closed."""

    def __init__(self) -> None:
        self.descriptors: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, *arguments: Any) -> int:
        descriptor = os.open(*arguments)
        self.descriptors.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        self.descriptors.discard(descriptor)
        os.close(descriptor)


@pytest.fixture(autouse=True, scope="module")
def _nothing_stays_open() -> Iterator[None]:
    watched = WatchedOs()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "os", watched)
        patch.setattr(directory, "os", watched)
        yield
    for descriptor in watched.descriptors:
        with suppress(OSError):
            os.close(descriptor)
