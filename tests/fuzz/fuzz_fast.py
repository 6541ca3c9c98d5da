"""Looks for bytes that a decoder does not take as it should: without counting branches, thirty times as fast.

    python tests/fuzz/fuzz_fast.py TARGET RUNS SECONDS DIRECTORY …

It ends after so many executions or seconds, whichever comes first, or when it is terminated; -1 runs are no bound, nor
are 0 seconds.

Every execution changes an input of the pool, which begins as what lies in the directories (a corpus, and what atheris
has found for it) and wanders: now and then a changed input takes the place of another. What fails is written to
build/fuzz/found. The seed is said, so that a run can be had again: OBSAGENT_FUZZ_SEED.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import sys
import time
import traceback
from itertools import accumulate
from pathlib import Path
from random import Random
from zlib import crc32

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.changing import Changing
from fuzz.targets import TARGETS, Target

FOUND = Path(__file__).parents[2] / "build" / "fuzz" / "found"
ROUND = 1_000
SAID_EVERY = 500_000
ROUND_S_MAX = 120.0
"""An input over which a decoder does not end is seen by the round's taking so much processor time."""
WANDERERS = 1_000
KEPT_SHARE = 0.02
LONG_BYTES = 200


class Pool:
    """Inputs to change: those given, which stay, and as many again and more that wander off from them.

    Of those given the short ones are chosen more often: they are tried in less time, and a change of them changes more.
    """

    def __init__(self, given: list[bytes], chance: Random) -> None:
        self._given = given
        self._weights = [*accumulate(1 / (LONG_BYTES + len(each)) for each in given)]
        self._wanderers: list[bytes] = []
        self._chance = chance

    def choose(self) -> bytes:
        """One of either kind."""
        chance = self._chance
        if self._wanderers and chance.random() < 0.5:
            return chance.choice(self._wanderers)
        return chance.choices(self._given, cum_weights=self._weights)[0]

    def keep(self, data: bytes) -> None:
        """Now and then: it takes the place of another, and is changed further."""
        if self._chance.random() >= KEPT_SHARE:
            return
        if len(self._wanderers) < WANDERERS:
            self._wanderers.append(data)
        else:
            self._wanderers[self._chance.randrange(WANDERERS)] = data


def run(name: str, target: Target, runs: int, seconds: float, given: list[bytes], seed: int) -> bool:
    """True if nothing was found; says how often the target was executed."""
    check = target.in_part or target.check
    changing = Changing(seed)
    pool = Pool(given, changing.chance)
    end_s = time.monotonic() + seconds if seconds else math.inf
    done = 0
    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    faulthandler.register(signal.SIGPROF, chain=True)  # says where it is, and ends it
    while done != runs:
        if done % ROUND == 0:
            signal.setitimer(signal.ITIMER_PROF, ROUND_S_MAX)
            if asked_to_end or time.monotonic() >= end_s:
                break
        if done % SAID_EVERY == 0:
            print(f"{done:,} executions so far", flush=True)
        data = target.mutation(pool.choose(), target.size_max, changing.chance, changing)[: target.size_max]
        try:
            check(data)
        except Exception:
            traceback.print_exc()
            path = FOUND / f"{name}-{crc32(data):08x}"
            path.write_bytes(data)
            print(f"seed {seed}, execution {done + 1}: {path}")
            return False
        pool.keep(data)
        done += 1
    print(f"stat::number_of_executed_units: {done}")
    return True


def main() -> int:
    """Run a target; the exit code."""
    name, runs, seconds, *directories = sys.argv[1:]
    seed = int(os.environ.get("OBSAGENT_FUZZ_SEED") or Random().randrange(1 << 32))
    logging.disable()  # what is refused is logged, and here everything is
    FOUND.mkdir(parents=True, exist_ok=True)
    given = [path.read_bytes() for each in directories for path in sorted(Path(each).iterdir())]
    return 0 if run(name, TARGETS[name], int(runs), float(seconds), given, seed) else 1


if __name__ == "__main__":
    sys.exit(main())
