"""Reads a source again and again in a thread of its own, so that keys work while an agent does not answer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from obsagent.cli.live.readings import Key, Snapshot, read
from obsagent.cli.stored import Source
from obsagent.errors import ObsagentError

HISTORY_MAX = 120


class Watcher:
    """Keeps the newest snapshot in `latest` and each row's rates in `history`; use it with `with`."""

    def __init__(self, source: Source, since: str, interval_s: float, changed: Callable[[], None]) -> None:
        """`changed` is called, in the watcher's thread, after each refresh."""
        self._source = source
        self._since = since
        self._interval_s = interval_s
        self._changed = changed
        self._again = threading.Event()
        self._ended = False
        self._by_endpoint = False
        self._thread = threading.Thread(target=self._run, name="obsagent-top", daemon=True)
        self.latest = Snapshot()
        self.history: dict[Key, deque[float]] = {}

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The thread ends by itself when its question is answered; nobody waits for an agent that is silent."""
        self._ended = True
        self._again.set()

    def group(self, *, by_endpoint: bool) -> None:
        """Rows by endpoint or by service, from now on."""
        if by_endpoint != self._by_endpoint:
            self._by_endpoint = by_endpoint
            self._again.set()

    def _run(self) -> None:
        while not self._ended:
            self._again.clear()
            self.refresh()
            self._changed()
            self._again.wait(self._interval_s)
        self._source.close()

    def refresh(self) -> None:
        """One reading; after a failure the last rows stay, and the trouble is said."""
        try:
            snapshot = read(self._source, self._since, by_endpoint=self._by_endpoint)
        except ObsagentError as error:
            last = self.latest
            self.latest = Snapshot(last.at_s, last.rows, last.status, f"trying again: {_first_clause(error)}")
            return
        self.latest = snapshot
        for row in snapshot.rows:
            rates = self.history.setdefault(row.key, deque(maxlen=HISTORY_MAX))
            rates.append(row.values.get("rate") or 0.0)


def _first_clause(error: ObsagentError) -> str:
    return str(error).splitlines()[0].split(";")[0]
