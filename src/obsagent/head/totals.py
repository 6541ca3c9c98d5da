"""What was ever stored of every series, kept up to date from one view to the next.

    settled     everything in the blocks up to one sequence, merged in the order in which it was written
    a total     settled, and the windows in memory

`View.collect_totals` reads up to an hour of blocks each time; here every block is read once. The order of merging is
that of the totals at the head of a file (`checkpoint.py`), so that sums are the same to the last bit after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence

from obsagent._native.codec import Groups, Window
from obsagent.head.view import View, last_head
from obsagent.segment.recover import BlockRef
from obsagent.segment.tiers import is_checkpoint


class RunningTotals:
    """Belongs to one thread at a time. It takes about as much memory as a window of all series."""

    def __init__(self) -> None:
        """Nothing is read before it is asked for."""
        self._settled = Window(digests=False)
        self._sequence: int | None = None

    @property
    def memory_bytes(self) -> int:
        """What is held of the blocks."""
        return self._settled.memory_bytes

    def collect(self, view: View, groups: Groups) -> None:
        """Merge everything that was ever stored of the selected series into their groups; raises `StoreError`."""
        self._settle(view)
        self._settled.collect(groups)
        view.collect_memory(groups)

    def _settle(self, view: View) -> None:
        new = self._new(view.blocks)
        if new is None:
            self._settled, self._sequence = Window(digests=False), None
            new = view.blocks[last_head(view.blocks) :]
        if not new:
            return
        sequence, self._sequence = new[-1].header.sequence, None  # half a merge is worth nothing
        view.merge_blocks(new, self._settled)
        self._sequence = sequence

    def _new(self, blocks: Sequence[BlockRef]) -> Sequence[BlockRef] | None:
        """The blocks that have come since; None if they do not go on where the last ones ended."""
        if self._sequence is None:
            return None
        new = [block for block in blocks if is_checkpoint(block) and block.header.sequence > self._sequence]
        expected = self._sequence + 1
        for block in new:
            if block.header.first_sequence != expected:
                return None
            expected = block.header.sequence + 1
        return new
