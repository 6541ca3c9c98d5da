"""What is remembered of harm over restarts: every stream of losses, the episodes, and up to where truths were read.

`harm.state` in the store's directory (FORMAT.md beside this file). It is replaced as a whole, with the position up to
which truths were read, so that an agent that is killed neither counts a truth twice nor leaves one out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from obsagent.evaluate.state import Judged
from obsagent.harm.episode import Episode
from obsagent.harm.format import MAGIC, NAME, VERSION
from obsagent.harm.track import Rule, Track, known_of
from obsagent.harm_config import LOSSES
from obsagent.limits import (
    HARM_BOUND_MAX,
    HARM_BOUND_MIN,
    HARM_EPISODES_KEPT,
    HARM_SHARE_MIN,
    HARM_STATE_BYTES_MAX,
)
from obsagent.state_file import StateFile, flag, number, text, whole

WHOLE = ""
"""The slice that everything is in."""
NOTHING_READ = -1


@dataclass(slots=True)
class Version:
    """One version and variant: its streams by slice, `WHOLE` among them, and when its last truths came."""

    tracks: dict[str, Track] = field(default_factory=dict)
    last_ms: int = 0
    is_class: bool = True


@dataclass(slots=True)
class State:
    """Everything. Episodes are in order, the oldest first."""

    position: int = NOTHING_READ
    """Of the last truths that were read."""
    versions: dict[Judged, Version] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)

    def open_episode(self, judged: Judged) -> Episode | None:
        """The one of a version that goes on."""
        return next((each for each in self.episodes if each.judged == judged and each.is_open), None)

    def last_raised_ms(self, model: str) -> int | None:
        """When retraining a model was recommended last."""
        return max((each.raised_ms for each in self.episodes if each.judged.model == model), default=None)

    def begin(self, episode: Episode) -> None:
        """Another episode; of those that are over the latest are kept."""
        self.episodes.append(episode)
        if len(self.episodes) > HARM_EPISODES_KEPT:
            oldest = next((each for each in self.episodes if not each.is_open), self.episodes[0])
            self.episodes.remove(oldest)


def _to_plain(state: State) -> dict[str, Any]:
    return {
        "position": state.position,
        "versions": [
            {
                "judged": [*judged],
                "last_ms": version.last_ms,
                "is_class": version.is_class,
                "tracks": {
                    slice_: {"rule": _rule_to_plain(track.rule), **track.to_plain()}
                    for slice_, track in version.tracks.items()
                },
            }
            for judged, version in state.versions.items()
        ],
        "episodes": [episode.to_plain() for episode in state.episodes],
    }


def _rule_to_plain(rule: Rule) -> list[Any]:
    known = [*astuple(rule.known)] if rule.known else None
    return [rule.loss, rule.tolerance, rule.every_ms, rule.share, known, rule.bound]


def _rule_of(plain: Any) -> Rule:
    loss, tolerance, every_ms, share, known, *more = plain
    (bound,) = more or (0.0,)  # version 1 had none
    rule = Rule(text(loss), number(tolerance), whole(every_ms), number(share), known_of(known), number(bound))
    is_bound = rule.bound == 0 or HARM_BOUND_MIN <= rule.bound <= HARM_BOUND_MAX
    if rule.loss not in LOSSES or not (0 <= rule.tolerance < 1 and HARM_SHARE_MIN <= rule.share <= 1 and is_bound):
        raise ValueError("nothing is judged by such a rule")
    return rule


def _from_plain(plain: Any) -> State:
    return State(
        whole(plain["position"]),
        {Judged(*map(text, each["judged"])): _version_of(each) for each in plain["versions"]},
        [Episode.from_plain(each) for each in plain["episodes"]],
    )


def _version_of(plain: Mapping[str, Any]) -> Version:
    tracks = {name: Track.from_plain(_rule_of(each["rule"]), each) for name, each in plain["tracks"].items()}
    if tracks and WHOLE not in tracks:
        raise ValueError("slices without the whole")
    return Version(tracks, whole(plain["last_ms"]), flag(plain["is_class"]))


FILE = StateFile(NAME, MAGIC, VERSION, HARM_STATE_BYTES_MAX, _to_plain, _from_plain)
read_state, write_state, encode, decode = FILE.read, FILE.write, FILE.encode, FILE.decode
