"""From when on the windows of a tier are whole: what the first file that is still there says of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from obsagent.errors import CorruptData
from obsagent.limits import SAMPLE_FUTURE_LIMIT_MS, TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment.block import NO_WINDOW_LAST
from obsagent.segment.reader import each_opened, read_tables
from obsagent.segment.recover import BlockRef, read_file_header, sequences_of

IN_TIME_MS = SAMPLE_FUTURE_LIMIT_MS + WINDOW_MS
"""How far ahead of its arrival the window of a sample may end."""


def whole_from(blocks: tuple[BlockRef, ...], rolled: Mapping[int, tuple[BlockRef, ...]]) -> dict[int, int]:
    """Window length (ms) → the time from which on that tier, with the finer ones, holds all windows whole.

    `blocks` are those of the 10 s tier, `rolled` those of the others, by sequence. Raises OSError.
    """
    found: dict[int, int] = {}
    first: BlockRef | None = None
    for window_ms in TIER_WINDOWS_MS:
        own = blocks if window_ms == WINDOW_MS else rolled.get(window_ms, ())
        if own and (first is None or sequences_of(own[0].path) < sequences_of(first.path)):
            first = own[0]
        found[window_ms] = NO_WINDOW_LAST if first is None else lost_before(first)
    return found


def lost_before(first: BlockRef) -> int:
    """From when on windows are whole without the checkpoints before a file, whose first block this is.

    What the agent's clock was stepped ahead of its file's own time does not count: else, for as long as that, no
    fine window would seem whole. Raises OSError.
    """
    before_ms = end_before(first)
    return NO_WINDOW_LAST if before_ms is None else min(before_ms, created_at(first) + IN_TIME_MS)


def end_before(first: BlockRef) -> int | None:
    """The end (ms) of the newest window of any checkpoint before a file, whose first block this is; None if there is
    none before it.

    Files of before there was a retention do not say it. Nothing is missing before the first of them, and before
    another at most what was in time when it was begun. Raises OSError.
    """
    for descriptor, block in each_opened([first]):
        with suppress(CorruptData):
            before_ms = read_tables(descriptor, block).before_ms
            if before_ms is not None:
                return before_ms
    return None if sequences_of(first.path)[0] <= 1 else created_at(first) + IN_TIME_MS


def created_at(first: BlockRef) -> int:
    """When a file was begun; if its header is damaged, when its first block was written."""
    for descriptor, _ in each_opened([first]):
        with suppress(CorruptData):
            return read_file_header(descriptor).created_ms
    return first.header.written_ms
