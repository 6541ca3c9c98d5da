"""The agent that is killed: the real one, in haste, on a file system that may kill it.

Usage: agent_program.py DIRECTORY SINCE_MS RATE [POINT]. Its clock runs RATE times as fast as the machine's, since
SINCE_MS. Says `ready` on stdout. POINT is as in `killing_fs.py`.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from crash.budgets import hurry, of_agent
from crash.killing_fs import KillingFs, KillPoint
from obsagent import agent_process, upkeep
from obsagent.config import AgentConfig
from obsagent.daemon import Agent


class FastClock:
    """All of time goes faster: windows end every 10 s of it, so several times a second."""

    def __init__(self, since_ms: int, rate: float) -> None:
        self._since_ms = since_ms
        self._rate = rate

    def wall_ms(self) -> int:
        return int(self._since_ms + (time.time_ns() / 1e6 - self._since_ms) * self._rate)

    def monotonic_ms(self) -> int:
        return int(time.monotonic_ns() / 1e6 * self._rate)


def main() -> int:
    directory, since_ms, rate = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    fs = KillingFs(KillPoint.parse(sys.argv[4]) if len(sys.argv) > 4 else None)
    fs.watch()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    upkeep.CHECKPOINT_LOOK_S, upkeep.UPKEEP_LOOK_S = 0.02, 0.05
    hurry()
    places = f"ipc://{directory}/ingest.sock", f"ipc://{directory}/query.sock"
    config = AgentConfig(directory / "data", *places, collect={}, http="off")

    class Announced(Agent):
        def start(self) -> None:
            super().start()
            print("ready", flush=True)

    clock = FastClock(since_ms, rate)
    return agent_process.run(
        config, make=lambda config, load_again: Announced(config, load_again, clock=clock, budgets=of_agent(), fs=fs)
    )


if __name__ == "__main__":
    sys.exit(main())
