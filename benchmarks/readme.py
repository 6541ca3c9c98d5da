"""Keeps the last tables in README.md, each question between its own markers."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Table

README = Path(__file__).with_name("README.md")
PACKAGES = (
    "Cython",
    "numpy",
    "prometheus-client",
    "opentelemetry-sdk",
    "ddsketch",
    "rddsketch",
    "datasketches",
    "fastdigest",
)


def write(name: str, title: str, tables: Sequence[Table]) -> None:
    """Replaces a question's tables. Raises `ValueError` if the README has no place for them."""
    missed = [goal for table in tables for goal in table.missed]
    parts = [f"### {title}", *(table.markdown() for table in tables)]
    if missed:
        parts.append("**Goals missed:**\n\n" + "\n".join(f"- {goal}" for goal in missed))
    parts.append(f"Measured {datetime.date.today():%Y-%m-%d}: `python -m benchmarks {name}`.")
    text = _replaced(README.read_text(encoding="utf-8"), name, "\n\n".join(parts))
    README.write_text(_replaced(text, "machine", _machine()), encoding="utf-8")


def _replaced(text: str, name: str, block: str) -> str:
    pattern = re.compile(f"(<!-- begin {name} -->).*(<!-- end {name} -->)", re.DOTALL)
    changed, found = pattern.subn(lambda match: f"{match[1]}\n{block}\n{match[2]}", text)
    if not found:
        raise ValueError(f"{README.name} has no markers for {name}")
    return changed


def _machine() -> str:
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1].strip() if processor else platform.machine()
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    python = f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})"
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}" for package in PACKAGES if _installed(package)
    )
    return f"{name}, {os.cpu_count()} processors, {system}; {python}; {versions}."


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
