"""Where the shell remembers what was entered: a file that only its user can read."""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def history_path() -> Path:
    """`$XDG_STATE_HOME/obsagent/history`, else below `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "obsagent" / "history"


def private_history() -> Path | None:
    """The path of the history, made if it is not there yet, readable by its user only; None if there can be none."""
    try:
        path = history_path()
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(descriptor, FILE_MODE)
        finally:
            os.close(descriptor)
    except (OSError, RuntimeError):  # a full or read-only home, or none: the shell works without
        return None
    return path
