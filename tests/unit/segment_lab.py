"""Blocks and files of a few counters, for the tests of segments."""

from __future__ import annotations

from pathlib import Path

from faulty_fs import FailingFs

from obsagent._native.codec import Groups, Window
from obsagent.samples import Event, Kind, Series
from obsagent.segment import format as layout
from obsagent.segment import reader
from obsagent.segment.block import (
    EncodedBlock,
    Mark,
    RawFrame,
    encode_block,
)
from obsagent.segment.catalog import Catalog
from obsagent.segment.recover import Damage
from obsagent.segment.tables import Gap, SessionRow, Tables
from obsagent.segment.writer import SegmentWriter

STORE_ID = b"store-id-16bytes"
SESSION = SessionRow(b"s" * 16, "shop", "host", 1, 2, 0, "v", 9, (5, 4, 3, 2, 1), 77, False, 6)
SERIES = Series(3, "m", Kind.COUNTER, {"service": "shop"}, "things", "How many", 6, "sum", created_ms=1_700_000_000_000)
ACCOUNT = [8, 7, 6, 5, 4, 3, 2, 1]


def example_tables(sequence: int = 1) -> Tables:
    return Tables(
        series=[SERIES],
        sessions=[SESSION],
        forgotten=[b"f" * 16],
        accounts=[(10_000 * sequence, "shop", ACCOUNT)],
        totals={"shop": ACCOUNT},
        refused={"m": 4},
        last_seen={"m": 12_345 + sequence},
        events=[Event("deploy", sequence, {"service": "shop"})],
        event_totals={"shop": [sequence, 2, 1]},
        windows=[10_000 * sequence],
        before_ms=10_000 * sequence,
        gaps=[Gap(10_000, 20_000, "a block is damaged")],
    )


def frames_of(window_ms: int, series_ids: range, max_bytes: int = 65_536) -> list[RawFrame]:
    """A counter for each series, whose sum is its id."""
    window = Window()
    for series_id in series_ids:
        window.add_counter(series_id, 1, float(series_id))
    return [RawFrame(window_ms, *frame) for frame in window.encode_frames(max_bytes)]


def block(sequence: int, kind: int = layout.BLOCK_CHECKPOINT, series_ids: range = range(1, 4)) -> EncodedBlock:
    frames = frames_of(10_000 * sequence, series_ids)
    return encode_block(kind, sequence, Mark(sequence, sequence * 10, 7), 99, example_tables(sequence), frames)


def written(directory: Path, sequences: range, fs: FailingFs | None = None) -> SegmentWriter:
    """A file with a head block and one checkpoint block for each sequence."""
    writer = SegmentWriter(directory, fs or FailingFs(), STORE_ID, None)
    first = sequences[0]
    writer.begin_file(block(first, layout.BLOCK_HEAD), block(first), 55)
    for sequence in sequences[1:]:
        writer.append(block(sequence))
    return writer


def sequences_of(catalog: Catalog) -> list[int]:
    return [ref.header.sequence for ref in catalog.blocks if ref.header.kind == layout.BLOCK_CHECKPOINT]


def no_damage(damage: Damage) -> None:
    raise AssertionError(damage)


def collected(catalog: Catalog, series_ids: list[int], first_ms: int = 0, to_ms: int = 1 << 60) -> dict[int, float]:
    groups = Groups({series_id: index for index, series_id in enumerate(series_ids)}, len(series_ids))
    damage: list[Damage] = []
    reader.BlockReader(damage.append).collect(catalog.blocks, first_ms, to_ms, groups)
    assert not damage
    return {series_id: groups.counter(index)[1] for index, series_id in enumerate(series_ids)}
