"""Files as a kernel shows them, put where a test finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from obsagent.collect.collector import Unreadable
from obsagent.readings import Reading


def grow(root: Path, files: Mapping[str, str]) -> Path:
    """Writes each file below `root`; a path that ends in `/` is a directory."""
    for name, text in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return root


def below(directory: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files of one directory."""
    return {f"{directory}/{name}": text for name, text in files.items()}


def read_until_unreadable(collected: Iterable[Reading]) -> tuple[list[Reading], str]:
    """What is read, and what is said of the rest; empty if all can be read."""
    readings = []
    try:
        for reading in collected:
            readings.append(reading)
    except Unreadable as error:
        return readings, str(error)
    return readings, ""
