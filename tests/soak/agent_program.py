"""The agent that is watched for long: the real one, with small limits, in haste, and with a clock that is stepped.

Usage: agent_program.py DIRECTORY SINCE_MS RATE [LEAK]. Its clock runs RATE times as fast as the machine's, since
SINCE_MS, plus the milliseconds that the file DIRECTORY/steps says. LEAK makes it leak, to see whether that is seen.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import sys
import threading
import time
from pathlib import Path

from crash.agent_program import FastClock
from crash.budgets import MINUTE_MS, hurry, tiny
from obsagent import agent_process, upkeep
from obsagent.config import AgentConfig
from obsagent.daemon import Agent
from obsagent.segment.cache import BlockCache

STEPS = struct.Struct("<q")
SERIES_PER_METRIC = 100
SERIES_TOTAL = 500
SESSION_IDLE_MS = 120_000
CACHE_BYTES = 500_000
FILE_AGE_MS = 30_000
RETENTION_MS = (2 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS)
DISK_BYTES = 2_000_000


class SteppedClock(FastClock):
    """Jumps whenever somebody writes into a file by how much."""

    def __init__(self, since_ms: int, rate: float, steps: Path) -> None:
        super().__init__(since_ms, rate)
        with steps.open("rb") as file:
            self._steps = mmap.mmap(file.fileno(), STEPS.size, prot=mmap.PROT_READ)

    def wall_ms(self) -> int:
        return super().wall_ms() + int(STEPS.unpack(self._steps[:])[0])


def leak() -> None:
    """200 KB and four descriptors a second."""
    kept: list[object] = []
    while True:
        kept += [bytearray(os.urandom(50_000)), os.dup(2)]
        time.sleep(0.25)


def main() -> int:
    directory, since_ms, rate = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    if len(sys.argv) > 4:
        threading.Thread(target=leak, daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    upkeep.CHECKPOINT_LOOK_S, upkeep.UPKEEP_LOOK_S = 0.1, 0.3
    hurry()
    BlockCache.__init__.__defaults__ = (CACHE_BYTES,)  # what is full does not grow
    budgets = tiny(
        journal_file_bytes=200_000,
        segment_file_bytes=100_000,
        frame_bytes=8_000,
        series_per_metric=SERIES_PER_METRIC,
        series_total=SERIES_TOTAL,
        session_idle_ms=SESSION_IDLE_MS,
        segment_file_age_ms=FILE_AGE_MS,
        retention_ms=RETENTION_MS,
        disk_bytes=DISK_BYTES,
    )
    clock = SteppedClock(since_ms, rate, directory / "steps")
    config = AgentConfig(
        directory / "data",
        f"ipc://{directory}/ingest.sock",
        f"ipc://{directory}/query.sock",
        collect={},
        http="off",
    )

    class Announced(Agent):
        def start(self) -> None:
            super().start()
            print("ready", flush=True)

    return agent_process.run(
        config, make=lambda config, load_again: Announced(config, load_again, clock=clock, budgets=budgets)
    )


if __name__ == "__main__":
    sys.exit(main())
