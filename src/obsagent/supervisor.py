"""What a service manager (systemd) is told, over the socket that it names in NOTIFY_SOCKET: sd_notify(3).

    READY=1                              at the end of the start, and of a reload
    RELOADING=1, MONOTONIC_USEC=...      at the beginning of a reload
    STOPPING=1                           at the beginning of the end
    STATUS=...                           a line that `systemctl status` shows
    WATCHDOG=1                           at least twice in the time of WATCHDOG_USEC

Without a manager nothing happens. The protocol is a datagram of lines; it needs no library.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

logger = logging.getLogger(__name__)

PINGS_PER_LIMIT = 3


class Supervisor:
    """The service manager that has started this process, or nobody."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Reads where it listens and how often it wants to hear that we are well."""
        environ = os.environ if environ is None else environ
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self.watchdog_s = _watchdog_s(environ) if self._address else None
        self._status = ""
        self._last_ping_s = 0.0

    def ready(self) -> None:
        """The start, or a reload, has come to its end."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """A reload begins."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._tell("STOPPING=1", "STATUS=stopping: what is in memory goes into a segment")

    def status(self, line: str) -> None:
        """Says how things are, if that is news."""
        line = " ".join(line.split())
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def ping(self) -> None:
        """Says that we are well, not more often than is asked for; whoever is not well does not call this."""
        now_s = time.monotonic()
        if self.watchdog_s is not None and now_s - self._last_ping_s >= self.watchdog_s / PINGS_PER_LIMIT:
            self._last_ping_s = now_s
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1.0)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            logger.warning("the service manager could not be told %s: %s", lines[0], error)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """The time within which it wants to hear from us; None if it does not, or from another process."""
    try:
        limit_us = int(environ.get("WATCHDOG_USEC", "0"))
        meant = int(environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return limit_us / 1e6 if limit_us > 0 and meant == os.getpid() else None
