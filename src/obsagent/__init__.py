"""obsagent watches machine-learning models in production.

    import obsagent
    obs = obsagent.connect(service="fraud")
    obs.histogram("step_duration", unit="seconds").observe(0.0123)

Importing this package loads nothing else; `connect` loads the client.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it; to import typing would double the time that this package takes
if TYPE_CHECKING:
    from typing import Any

    from obsagent.record.client import Client, FlushResult, connect

__version__ = "0.1.0"
__all__ = ["Client", "FlushResult", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    if name in {"Client", "FlushResult", "connect"}:
        from obsagent.record import client

        return getattr(client, name)
    raise AttributeError(f"module 'obsagent' has no attribute {name!r}")
