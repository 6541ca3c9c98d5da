"""A long run with all that happens in production: `make soak MINUTES=60`. Exits with 1 if anything is not well."""

from __future__ import annotations

import argparse
import os
import random
import sys

from soak.run import soak


def main() -> int:
    """Prints a table of what grew and a verdict."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long (default: 2)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 24), help="of what happens when")
    parser.add_argument("--leak", action="store_true", help="let the agent leak: the verdict must be that it does")
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    report, is_well = soak(args.minutes, args.seed, args.leak)
    print(report)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
