"""Where agent, writers and readers meet when nobody says otherwise."""

from __future__ import annotations

import os

from obsagent.errors import UsageError
from obsagent.limits import IPC_PATH_BYTES_MAX

IPC_PREFIX = "ipc://"


def check_endpoint(endpoint: str) -> str:
    """The endpoint itself; raises `UsageError` for one that ZeroMQ would not take."""
    if endpoint.startswith(IPC_PREFIX):
        path_bytes = len(os.fsencode(endpoint)) - len(IPC_PREFIX)
        if 0 < path_bytes <= IPC_PATH_BYTES_MAX:
            return endpoint
        raise UsageError(
            f"endpoint {endpoint!r}: the path has {path_bytes} bytes; the system allows 1 to {IPC_PATH_BYTES_MAX}"
        )
    if endpoint.startswith("tcp://") and ":" in endpoint[len("tcp://") :]:
        return endpoint
    raise UsageError(f"endpoint {endpoint!r}: expected ipc://PATH or tcp://HOST:PORT")


def runtime_directory() -> str:
    """The per-user directory of the sockets: `$XDG_RUNTIME_DIR/obsagent`, else one in the temporary directory."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return f"{base}/obsagent" if base else f"{os.environ.get('TMPDIR') or '/tmp'}/obsagent-{os.getuid()}"


def default_listen() -> str:
    """The writers' endpoint: `OBSAGENT_ENDPOINT`, else `ingest.sock` in the runtime directory."""
    return os.environ.get("OBSAGENT_ENDPOINT") or f"ipc://{runtime_directory()}/ingest.sock"


def default_serve() -> str:
    """The readers' endpoint: `OBSAGENT_AGENT`, else `query.sock` in the runtime directory."""
    return os.environ.get("OBSAGENT_AGENT") or f"ipc://{runtime_directory()}/query.sock"
