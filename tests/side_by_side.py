"""Runs all tests in four processes: two for those that start agents and mostly wait, two for those that compute.

    python tests/side_by_side.py

Each takes every second file, by name. The outputs follow one another. The exit code is the first that is not 0.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
WAITING = ("integration", "soak")


def main() -> int:
    first, *others = [*dealt_out(computing()), *dealt_out(waiting())]
    with tempfile.TemporaryDirectory() as directory:
        outputs = [Path(directory, str(number)) for number in range(len(others))]
        started = [start(paths, output) for paths, output in zip(others, outputs, strict=True)]
        try:
            codes = [subprocess.run(pytest(first), check=False).returncode]
            codes += [process.wait() for process in started]
        finally:
            for process in started:
                process.kill()
        for output in outputs:
            print(output.read_text(errors="replace"), end="", flush=True)
    return next((code for code in codes if code), 0)


def start(paths: list[Path], output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(pytest(paths), stdout=file, stderr=subprocess.STDOUT)


def dealt_out(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    return paths[::2], paths[1::2]


def waiting() -> list[Path]:
    return sorted(path for name in WAITING for path in (TESTS / name).glob("test_*.py"))


def computing() -> list[Path]:
    return sorted(path for path in TESTS.rglob("test_*.py") if path.relative_to(TESTS).parts[0] not in WAITING)


def pytest(paths: list[Path]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, paths)]


if __name__ == "__main__":
    sys.exit(main())
