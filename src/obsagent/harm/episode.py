"""An episode: the time in which a version does harm, from the recommendation to retrain until it is over.

What is run for it is remembered step by step:

    due        to be run: also by an agent that is started later
    started    the command runs: it is not run again, even if nobody learns how it ends
    worked     it exited with 0, or the webhook was called and said yes
    failed     it did not, and it is not tried again

So an agent that is killed between the start of a command and the moment at which that is on disk, some milliseconds,
runs it again; so does one that is killed while a webhook answers. The same episode has the same `id` then.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, Self

from obsagent.evaluate.state import Judged
from obsagent.state_file import flag, made, text, whole

DUE, STARTED, WORKED, FAILED = STAGES = ("due", "started", "worked", "failed")
LOST = "was running when its agent ended, and nobody knows how it went"


@dataclass(slots=True)
class Told:
    """How far it is with a command or a webhook."""

    stage: str = DUE
    attempts: int = 0
    says: str = ""
    code: int | None = None
    at_ms: int = 0

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"{self.stage!r} is no stage")


@dataclass(slots=True)
class Episode:
    """A version does harm. `slice` is `LABEL=VALUE`, or empty: where it was seen first."""

    id: str
    judged: Judged
    slice: str
    since_ms: int
    raised_ms: int
    evidence: dict[str, Any] = field(default_factory=dict)
    ways: dict[str, Told] = field(default_factory=dict)
    """By `command` and `webhook`: those that were configured when it began."""
    is_recorded: bool = False
    """True once its event is in the store."""
    ended_ms: int = 0
    why: str = ""
    """Why it has ended."""

    @property
    def is_open(self) -> bool:
        """True while it goes on."""
        return not self.ended_ms

    def end(self, at_ms: int, why: str) -> None:
        """It is over."""
        self.ended_ms, self.why = at_ms, why

    def to_plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "judged": [*self.judged]}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """What `to_plain` gave; a command that ran when it was written has been lost with its agent."""
        judged = Judged(*map(text, plain["judged"]))
        ways = {way: made(Told, told) for way, told in plain["ways"].items()}
        return cls(
            *(text(plain["id"]), judged, text(plain["slice"]), whole(plain["since_ms"]), whole(plain["raised_ms"])),
            *({**plain["evidence"]}, ways, flag(plain["is_recorded"]), whole(plain["ended_ms"]), text(plain["why"])),
        )

    def lose(self) -> None:
        """The agent that ran it is no more: of what had started nobody will learn how it ended."""
        for told in self.ways.values():
            if told.stage == STARTED:
                told.stage, told.says = FAILED, LOST


def of_event(labels: dict[str, str], at_ms: int) -> Episode:
    """What an event knows of an episode of which nothing else is known any more."""
    judged = Judged(*(labels.get(name, "") for name in Judged._fields))
    lost = Episode(labels.get("episode", ""), judged, labels.get("slice", ""), at_ms, at_ms, is_recorded=True)
    lost.end(at_ms, "its state was lost")
    return lost


def episode_id(judged: Judged, *what: int) -> str:
    """16 hexadecimal digits."""
    text = "\0".join((*judged, *map(str, what)))
    return blake2b(text.encode(), digest_size=8).hexdigest()
