"""Writing a run of what is in memory, or of other runs: stretch by stretch of the sort key, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from obsagent.fs import Fs
from obsagent.ledger.alive import HOUR_MS, Alive
from obsagent.ledger.encoding import Encoding, combined, for_range, lowered
from obsagent.ledger.format import FENCE_ROWS, RAW
from obsagent.ledger.run import DamagedRun, Run, heap_of
from obsagent.ledger.run_writer import RunWriter
from obsagent.ledger.sources import Source
from obsagent.ledger.tables import OUTCOMES, ROWS, Array, Block, Table, normal, row_count
from obsagent.limits import LEDGER_MERGE_ROWS

SOURCE_SHIFT = np.uint64(48)
"""While rows are merged their offset says above these bits from which source they are."""


def run_path(directory: Path, number: int, table: Table) -> Path:
    """Where a run lies."""
    return directory / f"{number:08d}.{table.name}.run"


def write_merged(fs: Fs, path: Path, table: Table, sources: Sequence[Source], alive: Alive) -> Iterator[None]:
    """Writes a run of all rows of some sources, oldest first, that still count; pauses after each stretch.

    The file is there, complete and durable, when the iterator has ended. If it is closed before, nothing is left.
    Raises DamagedRun, OSError.
    """
    with ExitStack() as files:
        heap = HeapWriter(fs, files.enter_context(fs.new_file(heap_of(path)))) if table is ROWS else None
        descriptor = files.enter_context(fs.new_file(path))
        encodings = {name: _encoding(table, name, sources) for name in table.columns}
        writer = RunWriter(fs, descriptor, table, encodings, sum(source.rows for source in sources))
        for block in _stretches(table, sources, alive):
            writer.add(block if heap is None else heap.moved(sources, block))
            yield
        writer.finish()
    fs.close(descriptor)
    if heap is not None:
        fs.close(heap.descriptor)


class HeapWriter:
    """Writes what is kept beside rows, in the order of the rows."""

    def __init__(self, fs: Fs, descriptor: int) -> None:
        """Into a new file."""
        self.descriptor = descriptor
        self._fs = fs
        self._offset = 0

    def moved(self, sources: Sequence[Source], block: Block) -> Block:
        """Writes what belongs to the rows of a block, whose offsets say where it was; returns it with the new ones."""
        places = block["offset"]
        blobs = [
            sources[place >> int(SOURCE_SHIFT)].blob_at(place & ((1 << int(SOURCE_SHIFT)) - 1), size, crc)
            for place, size, crc in zip(places.tolist(), block["size"].tolist(), block["crc"].tolist(), strict=True)
        ]
        ends = self._offset + np.cumsum(block["size"], dtype="u8")
        self._offset += self._fs.write(self.descriptor, blobs, self._offset)
        return {**block, "offset": ends - block["size"]}


def _encoding(table: Table, name: str, sources: Sequence[Source]) -> Encoding:
    found = [source.encodings[name] for source in sources if name in source.encodings]
    is_everywhere = len(found) == len(sources)
    encoding = combined(table, name, found) if is_everywhere else Encoding(table.columns[name], RAW)
    if name == "offset":
        total = sum(int(source.column("size", 0, source.rows).sum()) for source in sources)
        return for_range(encoding.kind, 0, total)
    return lowered(encoding, HOUR_MS) if name == "window_ms" else encoding


def _stretches(table: Table, sources: Sequence[Source], alive: Alive) -> Iterator[Block]:
    """Sorted blocks, each of a stretch of the key that none of the others reaches into."""
    bounds = _bounds(table, sources)
    cuts = [np.concatenate([[0], source.lower_bound(bounds), [source.rows]]) for source in sources]
    for stretch in range(len(bounds) + 1):
        blocks = []
        for index, source in enumerate(sources):
            begin, end = int(cuts[index][stretch]), int(cuts[index][stretch + 1])
            if begin < end:
                block = source.slice(begin, end)
                if table is ROWS:
                    block["offset"] = _of_source(source, index, block["offset"])
                blocks.append(alive.rows(source, block))
        merged = normal(table, blocks) if blocks else {}
        if blocks and row_count(merged):
            yield merged


def _of_source(source: Source, index: int, offsets: Array) -> Array:
    """Offsets that say from which source they are. Raises DamagedRun for those that no heap has."""
    if isinstance(source, Run) and (offsets >> SOURCE_SHIFT).any():
        raise DamagedRun(source, f"its heap ends before {offsets.max()}")
    marked: Array = offsets | (np.uint64(index) << SOURCE_SHIFT)
    return marked


def _bounds(table: Table, sources: Sequence[Source]) -> Array:
    """Where stretches begin, but the first; those of windows at full hours, as windows may become so coarse."""
    fences = np.sort(np.concatenate([source.fences for source in sources]))
    bounds = fences[:: LEDGER_MERGE_ROWS // FENCE_ROWS][1:]
    return np.unique(bounds - bounds % HOUR_MS if table in OUTCOMES else bounds)
