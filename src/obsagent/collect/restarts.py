"""Which totals of a page have begun again from nothing since the page before.

Of a counter alone it is enough that it falls, which the agent's session sees. Of a histogram it is not: after a
restart some of its buckets may be higher than before and others lower, so that they are judged together. When a
page says when a count began (OpenMetrics' `_created`), that decides; and a series that is new on the page and began
after the last one has been watched from its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping

from obsagent.collect.families import SUM, Key, Total

CREATED_SLACK_S = 1.0
"""By how much the clock of a server may be behind."""


class Restarts:
    """Remembers the totals of the last page, and no others."""

    def __init__(self) -> None:
        """No page was read yet."""
        self._before: Mapping[Key, Total] = {}
        self._read_s: float | None = None

    def begun(self, totals: Mapping[Key, Total], now_s: float, *, whole: bool) -> set[Key]:
        """The totals that began from nothing after the last page; `now_s` since the epoch.

        Of a page that is not `whole` what is missing may have been there.
        """
        found = {key for key, total in totals.items() if self._has_begun(key, total)}
        self._before = totals
        self._read_s = now_s if whole else None
        return found

    def _has_begun(self, key: Key, total: Total) -> bool:
        before = self._before.get(key)
        created_s = total.created_s
        if before is None:
            return created_s is not None and self._read_s is not None and created_s >= self._read_s - CREATED_SLACK_S
        if created_s is not None and before.created_s is not None and created_s != before.created_s:
            return created_s > before.created_s
        return len(total.parts) > 1 and _falls(total, before)

    def sums_that_fall(self, totals: Mapping[Key, Total]) -> set[Key]:
        """Totals whose sum is below the last page's though they count on: negative values were observed."""
        return {
            key
            for key, total in totals.items()
            if key in self._before
            and total.parts.get((SUM, ""), 0.0) < self._before[key].parts.get((SUM, ""), 0.0)
            and not self._has_begun(key, total)
        }


def _falls(total: Total, before: Total) -> bool:
    return any(value < before.parts.get(part, 0.0) for part, value in total.parts.items() if part[0] != SUM)
