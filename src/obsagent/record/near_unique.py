"""Labels whose values are nearly all new: request ids, user ids, raw paths, timestamps.

Each value of a label makes a series, in this process and in the agent, and one that is used once will never be asked
for. How many values there are says nothing: a service may have 300 endpoints and 1,000 customers. What tells the two
apart is whether values *come back*: are used again after 32 newer ones have appeared, or are held, bound, by the
program. Each is looked at when a new series is made, never when something is recorded.

A label is near-unique if of its newest values at most 2 % have come back. How many that takes depends on what they
look like, and nothing is decided by looks alone:

    made up (an id, a path with an id in it, a time)     200 values
    any other                                          1,000 values that took a minute or longer to come

From then on a new value gets its series when it comes back: after 32 others, or after a minute. Of those that are
refused some 4,000 are remembered.

How likely is a mistake? Say that each of N customers sends requests as often as the others; if some come more often,
more come back. When 200 have been seen, 14 of them have come back if N is 1,000, and 7 if it is 2,000, on average.
Three or fewer is taken for near-unique: that happens once in 2,500 times, and once in 16, and only where the customers'
names look made up. Names that do not are judged when there are 1,000 of them; of 2,000 customers 246 have come back
then, of 10,000 there are 41, and 19 or fewer is too few. What is left are programs that go through a list once:

- ordinary names may do so within a minute, up to the cap on the series of a metric;
- the names that are refused in the first pass get their series in the second, because then they have come back;
- series that the program holds are never taken for strangers: `bound = {id: score.labels(customer=id) for id in ids}`.

The other way round, near-unique values pass that each are used twice with 32 others in between, or that come more
slowly than 200 (or 1,000) a day. For them there is the cap.
"""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Callable
from itertools import islice

SETTLED_AFTER = 32
SETTLED_AFTER_S = 60
CAME_BACK_SHARE = 0.02
MADE_UP_VALUES = 200
MADE_UP_SHARE = 0.8
ORDINARY_VALUES = 1_000
ORDINARY_TOOK_S = 60.0
WITHIN_S = 86_400.0
REMEMBERED = 4_096
WRAP = 1 << 32
LETTERS_LOOKED_AT = 100

DIGIT_OR_QUERY = re.compile(r"[\d?]")
MADE_UP = re.compile(
    r"[0-9a-f]{16}"  # most of what is called an id: a hash, a trace id, a UUID without dashes, a very long number
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b"
    r"|(?=(?:[a-z_-]*\d){4})[\w-]{20}"  # a long word with four digits in it: ULID, KSUID, nanoid, JWT
    r"|\d{9}"  # seconds since the epoch, and any other long number
    r"|\d{4}-\d\d-\d\d[t ]\d\d:\d\d"
    r"|/\d+(?:[/?]|$)|\?.*="  # a path that names one thing, or that brings its query along
    r"|\d+\.\d+\.\d+\.\d+",
    re.IGNORECASE,
)


def looks_made_up(value: str) -> bool:
    """True if a program has made up the value, rather than chosen it from a list: an id, a time, a whole URL."""
    beginning = value[:LETTERS_LOOKED_AT]
    return DIGIT_OR_QUERY.search(beginning) is not None and MADE_UP.search(beginning) is not None


class Use:
    """What is known of one value: its place in the order of appearance, when that was, and if it came back."""

    __slots__ = ("came_back", "is_made_up", "made_s", "place")

    def __init__(self, place: int, made_s: float) -> None:
        """`made_s`: monotonic seconds. The looks are None until they matter."""
        self.place = place
        self.made_s = made_s
        self.is_made_up: bool | None = None
        self.came_back = False


class LabelWatch:
    """The values of one label of one metric. Its owner has a lock."""

    __slots__ = ("_clock_s", "_refused", "_uses")

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """No value has been seen yet."""
        self._clock_s = clock_s
        self._uses: dict[str, Use] = {}
        self._refused: RefusedValues | None = None

    def __len__(self) -> int:
        return len(self._uses)

    def newest(self, count: int) -> list[str]:
        """The values that appeared last, newest first."""
        return list(islice(reversed(self._uses), count))

    def see(self, value: str) -> None:
        """A series with this value is made, or asked for again."""
        use = self._uses.get(value)
        if use is None:
            self._uses[value] = Use(len(self._uses), self._clock_s())
        elif len(self._uses) - use.place > SETTLED_AFTER:
            use.came_back = True

    def hold(self, value: str) -> None:
        """The program holds a bound series with this value."""
        self._uses[value].came_back = True

    def takes(self, value: str) -> bool:
        """True if the value may have a series; a new value of a near-unique label if it has come back."""
        return self._refused is None or value in self._uses or self._refused.has_come_back(value)

    def refuse_new(self) -> None:
        """From now on the label is taken for near-unique."""
        self._refused = RefusedValues(self._clock_s)

    def seems_near_unique(self) -> bool:
        """True if hardly any of the newest values has come back; False once that has been decided."""
        if self._refused is not None or len(self._uses) < MADE_UP_VALUES:
            return False
        if self._made_up_count() >= MADE_UP_SHARE * MADE_UP_VALUES:
            return self._are_strangers(MADE_UP_VALUES, 0.0)
        return self._are_strangers(ORDINARY_VALUES, ORDINARY_TOOK_S)

    def _made_up_count(self) -> int:
        """Of the newest values."""
        count = 0
        for value, use in islice(reversed(self._uses.items()), MADE_UP_VALUES):
            if use.is_made_up is None:
                use.is_made_up = looks_made_up(value)
            count += use.is_made_up
        return count

    def _are_strangers(self, count: int, took_s: float) -> bool:
        newest = list(islice(reversed(self._uses.values()), count))
        if len(newest) < count or not took_s <= newest[0].made_s - newest[-1].made_s <= WITHIN_S:
            return False
        settled = newest[SETTLED_AFTER:]
        return sum(use.came_back for use in settled) <= CAME_BACK_SHARE * len(settled)


class RefusedValues:
    """The latest refused values of a label, by their hashes in a table of fixed size (64 KiB)."""

    __slots__ = ("_clock_s", "_count", "_hashes", "_places", "_seconds")

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """Remembers nothing."""
        self._clock_s = clock_s
        self._hashes = array("q", [0]) * REMEMBERED
        self._places = array("I", [0]) * REMEMBERED
        self._seconds = array("I", [0]) * REMEMBERED
        self._count = 0

    def has_come_back(self, value: str) -> bool:
        """True if the value was refused a minute ago, or 32 others since; remembers it.

        Where two values contend for a place, the newer one wins every other time: so in the end both come back.
        """
        value_hash, second = hash(value), int(self._clock_s())
        slot = value_hash % REMEMBERED
        place = self._places[slot]
        if place and self._hashes[slot] == value_hash:
            others_since = (self._count - place) % WRAP
            return others_since > SETTLED_AFTER or second - self._seconds[slot] >= SETTLED_AFTER_S
        self._count = (self._count + 1) % WRAP
        if not place or self._count % 2:
            self._hashes[slot], self._places[slot], self._seconds[slot] = value_hash, self._count, second % WRAP
        return False
