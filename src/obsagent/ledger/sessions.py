"""What was applied of each client's session: its last record, and what became of its truths."""

from __future__ import annotations

from typing import Any, NamedTuple

from obsagent.by_id.report import TruthReport
from obsagent.limits import SESSIONS_REMEMBERED


class SessionState(NamedTuple):
    """Of one session, since it began."""

    last_record: int = 0
    """The sequence of the last record that was applied."""
    rows: int = 0
    """Records that its client sent."""
    dropped: int = 0
    """Records that its client says it dropped."""
    report: TruthReport = TruthReport()


class Sessions:
    """Those that were heard of last; beyond a limit the oldest are forgotten."""

    def __init__(self, packed: list[Any] | None = None) -> None:
        """Empty, or what `pack` gave."""
        self._states: dict[bytes, SessionState] = {
            session: SessionState(last, rows, dropped, TruthReport(*report))
            for session, last, rows, dropped, report in packed or ()
        }

    def pack(self) -> list[Any]:
        """All of them, those that were heard of last at the end."""
        return [[session, *state[:3], [*state.report]] for session, state in self._states.items()]

    def of(self, session: bytes) -> SessionState:
        """The state of a session; a new one if it is not known."""
        return self._states.get(session, SessionState())

    def add(self, session: bytes, sequence: int, rows: int, dropped: int, report: TruthReport) -> None:
        """A batch was applied."""
        before = self._states.pop(session, SessionState())
        after = (max(before.last_record, sequence), before.rows + rows, max(before.dropped, dropped))
        self._states[session] = SessionState(*after, before.report.plus(report))
        if len(self._states) > SESSIONS_REMEMBERED:
            del self._states[next(iter(self._states))]

    def __len__(self) -> int:
        return len(self._states)
