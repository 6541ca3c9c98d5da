"""Runs the benchmarks, each question in a process of its own: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import questions, readme
from benchmarks.measure import FULL, QUICK


def main() -> int:
    """Prints every table; with --write they also replace those in README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to run (default: all): {', '.join(questions.NAMES)}"
    )
    parser.add_argument("--quick", action="store_true", help="short rounds: shows that everything runs, measures badly")
    parser.add_argument("--write", action="store_true", help="replace the tables in benchmarks/README.md")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in questions.NAMES]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(questions.NAMES)}")
    if args.quick and args.write:
        parser.error("--quick measures too badly to be written down")
    missed = [goal for name in args.names or questions.NAMES for goal in _run(name, args.quick, args.write)]
    if not args.quick:
        print(f"{len(missed)} goals missed" + "".join(f"\n  {goal}" for goal in missed), file=sys.stderr)
    return 0


def _run(name: str, quick: bool, write: bool) -> list[str]:
    began = time.monotonic()
    title, tables = questions.ask_apart(name, QUICK if quick else FULL)
    print(f"# {title}\n\n" + "\n\n".join(table.markdown() for table in tables) + "\n", flush=True)
    print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    if write:
        readme.write(name, title, tables)
    return [goal for table in tables for goal in table.missed]


if __name__ == "__main__":
    sys.exit(main())
