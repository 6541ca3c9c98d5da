"""Runs a small program against an agent in a process of its own, as a user's job would be."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


def run_program(source: str, *arguments: str, timeout: float = 60.0) -> str:
    """Its standard output; fails with its standard error."""
    return _run("-c", textwrap.dedent(source), *arguments, timeout=timeout)


def run_file(program: Path, *arguments: str, timeout: float = 60.0) -> str:
    """The same for a file, which multiprocessing's spawn needs."""
    return _run(str(program), *arguments, timeout=timeout)


def _run(*words: str, timeout: float) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
