"""Closing a client at the end of a process that does not end as others do."""

from __future__ import annotations

import sys
from typing import Protocol


class Closing(Protocol):
    """What is to be closed."""

    def close(self) -> object:
        """Hands over what was recorded, and ends."""
        ...


def close_with_multiprocessing(client: Closing) -> None:
    """atexit does not run in a child that multiprocessing forked; its own finalizers do.

    It forgets them when a child begins, which may be after `connect` (forkserver imports the main module
    first): so they are registered again then.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, client.close, exitpriority=10)
        util.register_after_fork(client, close_with_multiprocessing)
