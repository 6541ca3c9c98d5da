"""The clients of this process: made by `connect`, closed when it ends, begun anew when it forks."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable

from obsagent.endpoints import check_endpoint, default_key, default_listen
from obsagent.errors import InstrumentError
from obsagent.limits import CLIENTS_PER_PROCESS
from obsagent.record.client import Client

_clients: dict[tuple[str, str, str, bool, str | None], Client] = {}
_make_client: Callable[..., Client] = Client
_clients_lock = threading.Lock()


def default_service() -> str:
    """`OTEL_SERVICE_NAME`, else the name of the program."""
    program = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119  (pathlib is slow to import)
    return os.environ.get("OTEL_SERVICE_NAME") or program.removesuffix(".py") or "python"


def connect(
    service: str | None = None,
    *,
    endpoint: str | None = None,
    version: str = "",
    key: str | os.PathLike[str] | None = None,
    runtime_metrics: bool | None = None,
) -> Client:
    """The client for a service: the same arguments give the same client.

    `service` defaults to `OTEL_SERVICE_NAME`, else the program's name; `endpoint` to `OBSAGENT_ENDPOINT`, else
    `ingest.sock` in the per-user runtime directory. Never waits for the agent. With `OBSAGENT_DISABLED=1` the
    client has the same types and neither thread nor socket. `key` is the file of the key that is shown over tcp, made
    by `obsagent keys new`; it defaults to `OBSAGENT_KEY`. `runtime_metrics` says if Python itself is watched: garbage
    collection, threads, event loops; it defaults to `OBSAGENT_RUNTIME_METRICS` (1 or 0), else they are where a
    middleware serves, or `watch_runtime` or `watch_loop` is called: a script or a notebook is left as it is.

    Raises `UsageError` for a malformed endpoint, `ConfigError` for a file that is no key or that others can read, and
    `InstrumentError` beyond 8 different clients in one process.
    """
    service = service or default_service()
    endpoint = endpoint or default_listen()
    disabled = os.environ.get("OBSAGENT_DISABLED", "0") not in {"", "0"}
    key_path = default_key() if key is None else os.fspath(key)
    identity = (service, endpoint, version, disabled, key_path)
    with _clients_lock:
        client = _clients.get(identity)
        if client is None:
            if len(_clients) >= CLIENTS_PER_PROCESS:
                raise InstrumentError(
                    f"this process has {CLIENTS_PER_PROCESS} clients already; connect with the same arguments again"
                )
            check_endpoint(endpoint)
            client = _make_client(service, endpoint, version, len(_clients), disabled=disabled, key=key_path)
            _clients[identity] = client
        client._open()
        client._choose_runtime(_runtime_metrics() if runtime_metrics is None else runtime_metrics)
    return client


def _runtime_metrics() -> bool | None:
    text = os.environ.get("OBSAGENT_RUNTIME_METRICS", "").strip().lower()
    return text not in {"0", "false", "no", "off"} if text else None


def _close_all() -> None:
    for client in list(_clients.values()):
        client.close()


def _after_fork_in_child() -> None:
    global _clients_lock
    _clients_lock = threading.Lock()
    for client in list(_clients.values()):
        client._after_fork()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
