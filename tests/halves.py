"""Runs all tests in two processes: those that start agents and mostly wait, and the others, which compute.

    python tests/halves.py

The output of the former follows that of the latter. The exit code is the first that is not 0.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
WAITING = ("integration", "soak")


def main() -> int:
    waiting = [str(TESTS / name) for name in WAITING]
    others = [str(path) for path in sorted(TESTS.iterdir()) if path.name not in WAITING and holds_tests(path)]
    with tempfile.TemporaryFile("w+") as output:
        started = subprocess.Popen(pytest(waiting), stdout=output, stderr=subprocess.STDOUT)
        try:
            code = subprocess.run(pytest(others), check=False).returncode
            waited = started.wait()
        finally:
            started.kill()
        output.seek(0)
        print(output.read(), end="", flush=True)
    return code or waited


def holds_tests(path: Path) -> bool:
    return path.name.startswith("test_") or (path.is_dir() and any(path.glob("test_*.py")))


def pytest(paths: list[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *paths]


if __name__ == "__main__":
    sys.exit(main())
