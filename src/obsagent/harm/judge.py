"""Judges versions by their truths as these come, and says when a model does harm, and when that is over.

Each version and variant is judged as a whole and by each value of its slices, `LABEL=VALUE`, the first 50 of them. Half
of the rate of false alarms belongs to the whole; the slices share the other half evenly, as if there were 50. All are
judged, and those that are live are recommended to be retrained: once an episode, and not within the cool-down of the
model. An episode is over when neither the whole nor a slice is above what is allowed any more, or when another version
answers and this one has ceased to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from obsagent.evaluate.state import Judged
from obsagent.harm.allowed import Known, loss_of
from obsagent.harm.episode import Episode, episode_id
from obsagent.harm.feed import Arrivals, Arrived, Feed
from obsagent.harm.state import WHOLE, State, Version
from obsagent.harm.track import Losses, Rule, Track
from obsagent.harm_config import ERROR, SQUARED, HarmConfig
from obsagent.limits import HARM_SLICES, HARM_STREAMS
from obsagent.performance.harm import Harm

LIVE = ("live", "")
"""Variants that answer requests."""
WHOLE_SHARE = 0.5
SLICE_SHARE = (1 - WHOLE_SHARE) / HARM_SLICES
SWITCH_MS = 10 * 60_000
SWITCH_PREDICTIONS = 30
"""A version has ceased if it predicted nothing in `SWITCH_MS` in which another one predicted as many."""

Settings = Callable[[str], HarmConfig]
References = Callable[[str, str, str, float], Known | None]
"""Of a model, a version, a loss and the bound of errors, or 0: what the reference says of the risk."""


@dataclass(slots=True)
class Found:
    """What new truths have changed."""

    raised: list[tuple[Episode, Harm]] = field(default_factory=list)
    ended: list[Episode] = field(default_factory=list)
    judged: dict[Judged, None] = field(default_factory=dict)
    """Those that were judged, in order."""


class Judge:
    """Not thread-safe."""

    def __init__(self, state: State, settings: Settings, references: References) -> None:
        """Goes on with a state, which it changes."""
        self.state = state
        self._settings = settings
        self._references = references
        self._rules: dict[tuple[Judged, bool], tuple[Rule, Rule]] = {}

    def forget_rules(self) -> None:
        """Settings or references may be others now: streams whose limits they change begin anew."""
        self._rules = {}

    def take(self, arrivals: Arrivals, now_ms: int) -> Found:
        """Truths that were not taken before; and what is due of those that were."""
        found = Found()
        for row in arrivals.rows:
            self._take(row, now_ms, found)
        self.state.position = arrivals.position
        for judged, version in self.state.versions.items():
            for slice_, track in version.tracks.items():
                if track.is_due(now_ms):
                    self._heed(judged, slice_, track, track.close(), now_ms, found)
        self._end(now_ms, found)
        self._drop_oldest(now_ms, found)
        return found

    def look(self, feed: Feed, now_ms: int) -> list[Episode]:
        """The episodes that have ended because another version answers now."""
        ended = []
        for episode in self.state.episodes:
            if episode.is_open:
                successor = _successor(feed, episode.judged, now_ms)
                if successor is not None:
                    episode.end(now_ms, f"version {successor.version} answers instead")
                    ended.append(episode)
        return ended

    def _take(self, row: Arrived, now_ms: int, found: Found) -> None:
        version = self.state.versions.setdefault(row.judged, Version())
        if version.tracks and version.is_class != row.is_class:
            version.tracks.clear()
        version.is_class, version.last_ms = row.is_class, max(version.last_ms, row.at_ms)
        of_whole, of_slice = self._rules_of(row.judged, row.is_class)
        for slice_, rule in self._streams(version, row, of_whole, of_slice):
            track = self._track(version, slice_, rule)
            before = track.rows
            harm = track.take(_losses(row, rule.loss))
            if track.rows != before:
                self._heed(row.judged, slice_, track, harm, now_ms, found)

    def _heed(self, judged: Judged, slice_: str, track: Track, harm: Harm | None, now_ms: int, found: Found) -> None:
        """A moment of a stream was judged."""
        found.judged[judged] = None
        if harm is not None:
            id_ = episode_id(judged, self.state.position, len(self.state.episodes))
            self._raise(Episode(id_, judged, slice_, track.since(harm.rows), now_ms), harm, found)

    def _end(self, now_ms: int, found: Found) -> None:
        for judged in found.judged:
            episode, tracks = self.state.open_episode(judged), self.state.versions[judged].tracks
            if episode is not None and not any(track.is_harmful for track in tracks.values()):
                episode.end(now_ms, "the risk is below what is allowed again")
                found.ended.append(episode)

    def _rules_of(self, judged: Judged, is_class: bool) -> tuple[Rule, Rule]:
        """That of the whole and that of each slice."""
        key = judged, is_class
        if key not in self._rules:
            config = self._settings(judged.model)
            loss = loss_of(config.loss, is_class=is_class)
            bound = 0.0 if is_class else config.bound
            known = self._references(judged.model, judged.version, loss, bound)
            every_ms = config.false_alarms_ms
            self._rules[key] = (
                Rule(loss, config.tolerance, every_ms, WHOLE_SHARE, known, bound),
                Rule(loss, config.tolerance, every_ms, SLICE_SHARE, bound=bound),
            )
        return self._rules[key]

    def _streams(self, version: Version, row: Arrived, of_whole: Rule, of_slice: Rule) -> Iterator[tuple[str, Rule]]:
        yield WHOLE, of_whole
        for label, value in row.slice.items():
            slice_ = f"{label}={value}"
            if slice_ in version.tracks or len(version.tracks) <= HARM_SLICES:
                yield slice_, of_slice

    def _track(self, version: Version, slice_: str, rule: Rule) -> Track:
        """A stream whose losses, or whose reference, are others now begins anew."""
        track = version.tracks.get(slice_)
        if track is None or not track.judge_by(rule):
            track = version.tracks[slice_] = Track(rule)
        return track

    def _raise(self, episode: Episode, harm: Harm, found: Found) -> None:
        """Begins it, unless one goes on, the version answers nobody, or the model has just been recommended."""
        judged = episode.judged
        if judged.variant not in LIVE or self.state.open_episode(judged) is not None:
            return
        if not self._is_cooling(judged.model, episode.raised_ms):
            self.state.begin(episode)
            found.raised.append((episode, harm))

    def _is_cooling(self, model: str, now_ms: int) -> bool:
        last_ms = self.state.last_raised_ms(model)
        return last_ms is not None and now_ms - last_ms < self._settings(model).cooldown_ms

    def _drop_oldest(self, now_ms: int, found: Found) -> None:
        versions = self.state.versions
        while len(versions) > HARM_STREAMS:
            judged = min(versions, key=lambda each: versions[each].last_ms)
            del versions[judged]
            episode = self.state.open_episode(judged)
            if episode is not None:
                episode.end(now_ms, "no truths come any more, and others are judged instead")
                found.ended.append(episode)


def _losses(row: Arrived, loss: str) -> Losses:
    if loss == ERROR:
        return Losses(row.count, float(row.errors), float(row.errors), row.at_ms)
    if loss != SQUARED:
        return Losses(row.count, row.loss, row.loss_squared, row.at_ms)
    if math.isnan(row.loss_fourth):  # it was not kept yet when these came: they say nothing
        return Losses(0, 0.0, 0.0, row.at_ms)
    return Losses(row.count, row.loss_squared, row.loss_fourth, row.at_ms)


def _successor(feed: Feed, judged: Judged, now_ms: int) -> Judged | None:
    """The version that answers instead; None if there is none, or this one still does."""
    predicted = feed.predicted(judged.model, now_ms - SWITCH_MS, now_ms + SWITCH_MS)
    if predicted.get(judged):
        return None
    others = [each for each in predicted if each.variant in LIVE and each.version != judged.version]
    newest = max(others, key=lambda each: predicted[each].count, default=None)
    return newest if newest is not None and predicted[newest].count >= SWITCH_PREDICTIONS else None


def worst_slices(version: Version) -> list[tuple[str, Track]]:
    """Slices with evidence of harm, that with the most first."""
    slices = [(name, track) for name, track in version.tracks.items() if name != WHOLE and track.limit is not None]
    return sorted(slices, key=lambda each: (-each[1].is_harmful, -each[1].log_e_value, each[0]))
