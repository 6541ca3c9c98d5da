"""Where agent, writers and readers meet when nobody says otherwise."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def runtime_directory() -> Path:
    """The per-user directory of the sockets: `$XDG_RUNTIME_DIR/obsagent`, else one in the temporary directory."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return Path(base) / "obsagent"
    return Path(tempfile.gettempdir()) / f"obsagent-{os.getuid()}"


def default_listen() -> str:
    """The writers' endpoint: `OBSAGENT_ENDPOINT`, else `ingest.sock` in the runtime directory."""
    return os.environ.get("OBSAGENT_ENDPOINT") or f"ipc://{runtime_directory()}/ingest.sock"


def default_serve() -> str:
    """The readers' endpoint: `OBSAGENT_AGENT`, else `query.sock` in the runtime directory."""
    return os.environ.get("OBSAGENT_AGENT") or f"ipc://{runtime_directory()}/query.sock"
