"""Where agent, writers and readers meet when nobody says otherwise."""

from __future__ import annotations

import os

from obsagent.errors import UsageError
from obsagent.limits import IPC_PATH_BYTES_MAX

IPC_PREFIX = "ipc://"
TCP_PREFIX = "tcp://"


def check_endpoint(endpoint: str) -> str:
    """The endpoint itself; raises `UsageError` for one that ZeroMQ would not take, or that nobody could guard."""
    if endpoint.startswith(IPC_PREFIX):
        if endpoint[len(IPC_PREFIX) :].startswith(("@", "*")):
            raise UsageError(f"endpoint {endpoint!r}: expected ipc://PATH; a socket without a path has no permissions")
        path_bytes = len(os.fsencode(endpoint)) - len(IPC_PREFIX)
        if 0 < path_bytes <= IPC_PATH_BYTES_MAX:
            return endpoint
        raise UsageError(
            f"endpoint {endpoint!r}: the path has {path_bytes} bytes; the system allows 1 to {IPC_PATH_BYTES_MAX}"
        )
    if endpoint.startswith(TCP_PREFIX) and ":" in endpoint[len(TCP_PREFIX) :]:
        return endpoint
    raise UsageError(f"endpoint {endpoint!r}: expected ipc://PATH or tcp://HOST:PORT")


def is_loopback(endpoint: str) -> bool:
    """True if only processes of this machine can reach a tcp endpoint; a name or an address in doubt is not."""
    import ipaddress

    host = endpoint.removeprefix(TCP_PREFIX).rpartition(":")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


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


def default_control(*others: str) -> str:
    """The control endpoint: `OBSAGENT_CONTROL`, else `control.sock` beside the first of `others` that is a socket file.

    Without any it lies in the runtime directory. So two agents whose other sockets lie apart do not meet there.
    """
    paths = [endpoint.removeprefix(IPC_PREFIX) for endpoint in others if endpoint.startswith(IPC_PREFIX)]
    directory = (os.path.dirname(paths[0]) or ".") if paths else runtime_directory()  # noqa: PTH120
    return os.environ.get("OBSAGENT_CONTROL") or f"{IPC_PREFIX}{directory}/control.sock"


def default_key() -> str | None:
    """The file of the key that a client or reader shows: `OBSAGENT_KEY`, else none."""
    return os.environ.get("OBSAGENT_KEY") or None
