"""What only root may do: file systems and networks of a test's own.

A test that cannot have them is skipped with the reason; in CI, where they must be there, that is a failure.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _do(*words: str) -> None:
    """Runs a program; skips the test if it is refused or missing, fails it in CI."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        refusal = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError:
        refusal = "is not installed"
    if refusal and os.environ.get("CI") == "true":
        pytest.fail(f"{' '.join(words)}: {refusal}: CI must be able to do this (as root)")
    if refusal:
        pytest.skip(f"{' '.join(words)}: {refusal}")


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A file system of this size, in memory, mounted at a directory."""
    directory.mkdir()
    _do("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory))
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing can be written in the directory, by root neither."""
    _do("mount", "--bind", str(directory), str(directory))
    try:
        _do("mount", "-o", "remount,bind,ro", str(directory))
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


class Network:
    """A network of its own, with nothing in it but the loopback device, which can be taken down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = ["ip", "netns", "exec", name]

    def cut(self) -> None:
        """Whatever is sent gets nowhere, and nobody is told."""
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "down"], check=True)

    def mend(self) -> None:
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)


@contextmanager
def network() -> Iterator[Network]:
    """A network namespace."""
    name = f"obsagent-test-{os.getpid()}"
    _do("ip", "netns", "add", name)
    try:
        made = Network(name)
        made.mend()
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
