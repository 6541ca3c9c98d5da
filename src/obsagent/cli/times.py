"""Times of an answer for people: on this machine's clock, or in UTC where the query says so."""

from __future__ import annotations

from datetime import UTC, datetime, time
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

RANGE_WORDS = ("since", "from", "to")
ZULU = "Z"


class Clock:
    """Shows the times of one answer."""

    def __init__(self, query: str) -> None:
        """A query whose own times end in `Z` is answered in UTC."""
        words = query.split()
        asked_in_utc = any(
            word in RANGE_WORDS and at[0].isdigit() and at.endswith(ZULU) for word, at in pairwise(words)
        )
        self._zone = UTC if asked_in_utc else None
        self._suffix = ZULU if asked_in_utc else ""

    def at(self, text: str) -> datetime:
        """An ISO time of the answer on this clock."""
        return datetime.fromisoformat(text).astimezone(self._zone)

    def span(self, span: dict[str, Any]) -> str:
        """`14:02:10–14:07:10`, with dates unless all of it is today."""
        start, end = self.at(span["from"]), self.at(span["to"])
        if start.date() == end.date() == self._today():
            return f"{start:%H:%M:%S}–{end:%H:%M:%S}{self._suffix}"
        return f"{start:%Y-%m-%d %H:%M:%S} – {end:%Y-%m-%d %H:%M:%S}{self._suffix}"

    def moment(self, text: str) -> str:
        """`14:02:10.250`, with its date unless it is today."""
        at = self.at(text)
        day = "" if at.date() == self._today() else f"{at:%Y-%m-%d} "
        return f"{day}{at:%H:%M:%S}.{at.microsecond // 1000:03d}{self._suffix}"

    def second(self, text: str) -> str:
        """`14:02:10`, with its date unless it is today."""
        at = self.at(text)
        day = "" if at.date() == self._today() else f"{at:%Y-%m-%d} "
        return f"{day}{at:%H:%M:%S}{self._suffix}"

    def starts(self, texts: Sequence[str]) -> list[str]:
        """The starts of steps, all alike: with as little of date and seconds as tells them apart."""
        starts = [self.at(text) for text in texts]
        if all(start.time() == time() for start in starts):
            shape = "%Y-%m-%d"
        else:
            clock = "%H:%M" if all(start.second == 0 for start in starts) else "%H:%M:%S"
            shape = clock if {start.date() for start in starts} == {self._today()} else f"%Y-%m-%d {clock}"
        shown = [f"{start:{shape}}{self._suffix}" for start in starts]
        if len(set(shown)) < len(shown):  # the hour that comes twice when summer time ends
            shown = [f"{start:{shape} %z}" for start in starts]
        return shown

    def _today(self) -> object:
        return datetime.now().astimezone(self._zone).date()
