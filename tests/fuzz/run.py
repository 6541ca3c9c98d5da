"""Runs the fuzz targets in turn, and says how often each was executed.

    python tests/fuzz/run.py [--minutes 5 | --runs 10000000] [TARGET …]

What is new to a corpus goes to build/fuzz/TARGET, an input that fails to build/fuzz/found, where it is named after its
target. Exits with 1 if there was one; the other targets are run nevertheless.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.decoders import INSTRUMENTED

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "tests" / "fuzz"
BUILD = ROOT / "build" / "fuzz"
IN_C = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests" / "c").glob("fuzz_*.c"))
TARGETS = [*INSTRUMENTED, *IN_C]
EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
ENDLESS = -1
GUIDED_SECONDS = 120
"""Of so many executions of a Python target: what atheris finds in this time is changed without counting branches."""


def commands(target: str, seconds: int, runs: int) -> list[list[str]]:
    """What runs a target; the bytes of a Python target are changed by atheris first, then faster."""
    if target in IN_C:
        bounds = [f"FUZZ_SECONDS={seconds}", f"FUZZ_RUNS={runs}"]
        return [["make", "--no-print-directory", "-C", str(ROOT / "csrc"), "fuzz", f"ONLY=fuzz_{target}", *bounds]]
    folders = [str(BUILD / target), str(FUZZ / "corpus" / target)]
    guided = [f"-max_total_time={seconds // 2 or GUIDED_SECONDS}", "-len_control=0"]
    guided += ["-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={BUILD}/found/{target}-"]
    return [
        [sys.executable, str(FUZZ / "fuzz_bytes.py"), target, *guided, *folders],
        [sys.executable, str(FUZZ / "fuzz_fast.py"), target, str(runs), str(seconds / 2), *folders],
    ]


def run(target: str, seconds: int, runs: int) -> bool:
    """True if nothing was found; says how it went."""
    for folder in (BUILD / target, BUILD / "found"):
        folder.mkdir(parents=True, exist_ok=True)
    sound = [_run(target, command) for command in commands(target, seconds, runs)]
    return all(sound)


def _run(target: str, command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    output = done.stdout + done.stderr
    executed = EXECUTED.search(output)
    count = f"{int(executed[1]):>12,} executions" if executed else "no executions: the corpus was replayed"
    print(f"{target:14}{count}", flush=True)
    if done.returncode != 0:
        print(output[-8_000:], flush=True)
    return done.returncode == 0


def main() -> int:
    """Run them; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target")
    parser.add_argument("--runs", type=int, default=ENDLESS, help="executions of each target, however long they take")
    given = parser.parse_args()
    unknown = sorted(set(given.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    seconds = 0 if given.runs != ENDLESS else max(1, round(60 * given.minutes))
    sound = [run(target, seconds, given.runs) for target in given.targets or TARGETS]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
