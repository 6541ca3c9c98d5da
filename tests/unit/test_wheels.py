"""What `make wheel` refuses: wheels that lack something, or hold what no user needs."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

import wheels

COMPLETE = [
    *wheels.NEEDED,
    *(f"obsagent-1.data/data/share/obsagent/{name}" for name in wheels.SHARED),
    *(f"obsagent/_native/{name}.cpython-311-x86_64-linux-gnu.so" for name in wheels.EXTENSIONS),
]


def made(directory: Path, names: list[str], content: bytes = b"") -> Path:
    path = directory / "obsagent-1-cp311-cp311-manylinux_2_34_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def test_a_complete_one_is_taken(tmp_path: Path) -> None:
    wheels.check_wheel(made(tmp_path, COMPLETE))


@pytest.mark.parametrize("name", COMPLETE)
def test_everything_must_be_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="missing"):
        wheels.check_wheel(made(tmp_path, [each for each in COMPLETE if each != name]))


@pytest.mark.parametrize("name", ["tests/unit/test_x.py", "csrc/obs.h", "obsagent/_native/ring.pyx", "benchmarks/x.py"])
def test_tests_and_sources_must_not(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="should not be there"):
        wheels.check_wheel(made(tmp_path, [*COMPLETE, name]))


def test_nothing_may_be_tied_to_the_machine_that_built_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    with pytest.raises(SystemExit, match="tied to this machine"):
        wheels.check_wheel(made(tmp_path, COMPLETE, f"RUNPATH {tmp_path}/lib".encode()))
