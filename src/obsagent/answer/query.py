"""What a query says: the syntax tree that `language.parse` makes and `plan` reads. Places are `[start, end)`."""

from __future__ import annotations

from dataclasses import dataclass

from obsagent.answer.instants import Instant
from obsagent.answer.stats import Stat
from obsagent.answer.values import Value

EQUAL = "="
UNEQUAL = "!="
MATCHES = "matches"


@dataclass(frozen=True, slots=True)
class Name:
    """A metric or a label, with its place."""

    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """`label=value,value`, `label!=value,value` or `label matches regex`. `classes` holds the `5` of `5xx`."""

    label: str
    values: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    operator: str = EQUAL
    start: int = 0
    end: int = 0

    def lists(self, value: str) -> bool:
        """True if a value is one of those written (of a regex: never)."""
        if value in self.values:
            return True
        return len(value) == 3 and value.isascii() and value.isdecimal() and value[0] in self.classes

    def __str__(self) -> str:
        if self.operator == MATCHES:
            return f"{self.label} matches {self.values[0]}"
        return f"{self.label}{self.operator}{','.join([*self.values, *(digit + 'xx' for digit in self.classes)])}"


@dataclass(frozen=True, slots=True)
class Term:
    """Statistics of one metric; none means the default of its kind."""

    metric: Name
    stats: tuple[Stat, ...] = ()


@dataclass(frozen=True, slots=True)
class Since:
    """`since 15m`: so far back from now."""

    duration_ms: int


@dataclass(frozen=True, slots=True)
class SinceEvent:
    """`since deploy`: from the last event of that name."""

    event: str


@dataclass(frozen=True, slots=True)
class Between:
    """`since 14:05`, `from 14:00 to 15:00`; without an end, until now."""

    begin: Instant
    end: Instant | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """`today` (0) or `yesterday` (1), in the reader's zone."""

    days_ago: int


@dataclass(frozen=True, slots=True)
class Range:
    """The asked time, its words and their place."""

    when: Since | SinceEvent | Between | Day
    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Versus:
    """`vs 1h ago` or `vs version=3`: the same query, so much earlier or with another filter."""

    earlier_ms: int = 0
    filter: Filter | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """`where p99 above 500ms`; `stat` may also be the name of a derived metric."""

    stat: Stat
    is_above: bool
    value: Value
    value_start: int = 0
    value_end: int = 0

    def accepts(self, number: float | None, limit: float) -> bool:
        """True if a number lies on the asked side of the limit; nothing lies on no side."""
        if number is None:
            return False
        return number > limit if self.is_above else number < limit

    def __str__(self) -> str:
        return f"{self.stat.name} {'above' if self.is_above else 'below'} {self.value.text}"


@dataclass(frozen=True, slots=True)
class Limit:
    """`top 5` or `bottom 5`."""

    count: int
    is_top: bool


DEFAULT_RANGE = Range(Since(300_000), "since 5m")
NO_STEP = Name("")


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. `is_ratio` says that the two terms are divided."""

    text: str
    terms: tuple[Term, ...]
    is_ratio: bool = False
    filters: tuple[Filter, ...] = ()
    by: tuple[Name, ...] = ()
    range: Range = DEFAULT_RANGE
    step_ms: int = 0
    step: Name = NO_STEP
    versus: Versus | None = None
    where: Where | None = None
    limit: Limit | None = None

    @property
    def has_range(self) -> bool:
        """False if the time is the default one."""
        return self.range is not DEFAULT_RANGE
