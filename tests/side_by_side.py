"""Runs all tests in three processes: two for those that start agents and mostly wait, one for those that compute.

    python tests/side_by_side.py

The outputs follow one another, that of the computing ones first. The exit code is the first that is not 0.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
WAITING = ("integration", "soak")


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        outputs = [Path(directory, str(number)) for number in range(2)]
        started = [start(paths, output) for paths, output in zip(waiting(), outputs, strict=True)]
        try:
            codes = [subprocess.run(pytest(computing()), check=False).returncode]
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


def waiting() -> tuple[list[Path], list[Path]]:
    """The files dealt out in turn, by their names."""
    files = sorted(path for name in WAITING for path in (TESTS / name).glob("test_*.py"))
    return files[::2], files[1::2]


def computing() -> list[Path]:
    return [path for path in sorted(TESTS.iterdir()) if path.name not in WAITING and holds_tests(path)]


def holds_tests(path: Path) -> bool:
    return path.name.startswith("test_") or (path.is_dir() and any(path.glob("test_*.py")))


def pytest(paths: list[Path]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, paths)]


if __name__ == "__main__":
    sys.exit(main())
