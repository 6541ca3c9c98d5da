"""The thread that reads truths as they come, judges models by them, and has retraining begun where a model does harm.

What it does in a look, in this order, so that an agent may be killed anywhere:

    1. takes the truths that have come since the position in `harm.state`, as far as the journal is on disk
    2. writes the state: with their sums, the new position, and what is to be run for episodes that have begun
    3. records the events of episodes, unless the store has them already
    4. has runs begun that are due; how far they are is in the state of the next look, which comes at once
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from obsagent.clock import Clock
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.fs import Fs
from obsagent.harm.episode import DUE, FAILED, Episode, Told, of_event
from obsagent.harm.feed import Arrivals, Feed
from obsagent.harm.format import NAME
from obsagent.harm_config import ABSOLUTE, BRIER, ERROR, SQUARED, HarmConfig
from obsagent.harm_outside import Outside
from obsagent.head.directory import set_aside
from obsagent.pulses import Pulse
from obsagent.retrain.runner import Report, Run, Runner, Stage, Way
from obsagent.samples import Event
from obsagent.upkeep import Trouble

if TYPE_CHECKING:
    from obsagent.harm.judge import Found, Judge

logger = logging.getLogger(__name__)

LOOK_S = 1.0
SAVE_MS = 30_000
"""Truths alone are reason to write the state once in so long."""
SWITCH_LOOK_MS = 10_000
EVENT_AGAIN_MS = 10_000
"""An event that is not in the store after so long is recorded again."""
EVENT = "retrain"


class Ledger(Feed, Protocol):
    """The ledger, which may not be there yet."""

    @property
    def is_there(self) -> bool:
        """True once there is one."""
        ...


class Retraining:
    """Judges harm. What fails is said in `trouble`, and tried again."""

    def __init__(
        self, directory: Path, fs: Fs, clock: Clock, feed: Ledger, outside: Outside, runner: Runner | None = None
    ) -> None:
        """Reads the state, if there is one; without it nothing is made before there is a ledger."""
        self._directory = directory
        self._fs = fs
        self._clock = clock
        self._feed = feed
        self._outside = outside
        self._wake = threading.Event()
        self._runner = runner or Runner(self._wake.set)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._judge: Judge | None = None
        self._unsaved = self._grown = False
        self._saved_ms = 0
        self._events_put: dict[str, int] = {}
        self._switch_look_ms = 0
        self.newer = ""
        """Why nothing is judged at all: a newer version wrote the state."""
        self.trouble = Trouble("models cannot be judged for harm")
        self.thread = threading.Thread(target=self._run, name="obsagent-harm")
        self.pulse = Pulse()
        self._begin()

    def _begin(self) -> None:
        if (self._directory / NAME).exists():
            try:
                self._opened()
            except Exception as error:  # whatever it is: it is tried again
                self.trouble.met(error)

    def stop(self) -> None:
        """Ends the thread after the look in hand, and commands that run."""
        self._stopping.set()
        self._wake.set()
        self.thread.join()
        self._runner.stop()
        if self._judge is not None:
            with suppress(StoreError), self._lock:
                self._note(self._judge)
                self._save(self._judge, at_once=True)

    def settings_changed(self) -> None:
        """Settings or references are others from now on."""
        with self._lock:
            if self._judge is not None:
                self._judge.forget_rules()

    def status(self) -> dict[str, Any]:
        """As `obsagent.harm.report` says; empty while there are no truths."""
        with self._lock:
            if self._judge is None:
                return {"models": [], "episodes": []}
            from obsagent.harm.report import harm_report

            return harm_report(self._judge.state)

    def problems(self) -> list[str]:
        """What went wrong with what was to be run."""
        with self._lock:
            if self._judge is None:
                return []
            from obsagent.harm.report import failures

            return failures(self._judge.state)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(LOOK_S)
            self._wake.clear()
            self.pulse.beat()
            if self.newer or self._stopping.is_set():
                continue
            try:
                with self.pulse.at("judging models by truths"):
                    while self.look() and not self._stopping.is_set():
                        self.pulse.beat()
            except Exception as error:  # whatever it is: it is tried again
                self.trouble.met(error)
            else:
                self.trouble.is_over()

    def look(self) -> bool:
        """Judges what has come; whether more is there. Raises `StoreError` if that cannot be remembered; it will be."""
        judge = self._opened()
        if judge is None:
            return False
        now_ms = self._clock.wall_ms()
        arrivals = self._feed.arrivals(judge.state.position)
        with self._lock:
            self._tell(judge, self._take(judge, arrivals, now_ms))
            self._note(judge)
            self._save(judge)
            self._record(judge, now_ms)
            self._begin_runs(judge)
        return not arrivals.is_all

    def _opened(self) -> Judge | None:
        """The judge, once there are truths, or there were."""
        if self._judge is None and (self._feed.is_there or (self._directory / NAME).exists()):
            from obsagent.harm.judge import Judge
            from obsagent.harm.state import State

            state = self._recovered() or State(episodes=self._known_of_events())
            if self.newer:
                return None
            for episode in state.episodes:
                episode.lose()
            self._judge = Judge(state, self._settings, self._outside.known)
        return self._judge

    def _recovered(self) -> Any:
        from obsagent.harm.state import read_state

        try:
            return read_state(self._directory)
        except UnsupportedVersion as error:
            self.newer = str(error)
        except CorruptData as error:
            logger.error("%s; models are judged anew by the truths of the last days", error)
            set_aside([self._directory / NAME], self._fs)
        return None

    def _known_of_events(self) -> list[Episode]:
        """Where there is no state any more: so that the cool-down after a recommendation holds nevertheless."""
        ours = [event for event in self._outside.events(EVENT) if event.labels.get("episode")]
        return [of_event(event.labels, event.at_ms) for event in ours]

    def _settings(self, model: str) -> HarmConfig:
        known = self._outside.model(model)
        return known.harm if known else HarmConfig()

    def _take(self, judge: Judge, arrivals: Arrivals, now_ms: int) -> Found:
        found = judge.take(arrivals, now_ms)
        self._grown = self._grown or bool(arrivals.rows or found.judged)
        self._unsaved = self._unsaved or bool(found.raised or found.ended)
        for episode, harm in found.raised:
            self._explain(judge, episode, harm, now_ms)
        if now_ms - self._switch_look_ms >= SWITCH_LOOK_MS:
            self._switch_look_ms = now_ms
            replaced = judge.look(self._feed, now_ms)
            found.ended += replaced
            self._unsaved = self._unsaved or bool(replaced)
        return found

    def _explain(self, judge: Judge, episode: Episode, harm: Any, now_ms: int) -> None:
        from obsagent.harm.evidence import evidence_of

        model = self._outside.model(episode.judged.model)
        config = model.on_retrain if model else None
        if config is not None:
            ways = {Way.COMMAND: config.command, Way.WEBHOOK: config.url}
            episode.ways = {str(way): Told() for way, to in ways.items() if to}
        version = judge.state.versions[episode.judged]
        episode.evidence = evidence_of(episode, harm, version, self._feed, self._outside.drifted, now_ms)

    def _note(self, judge: Judge) -> None:
        """How far runs are."""
        for report in self._runner.reports():
            episode = next((each for each in judge.state.episodes if each.id == report.run.episode), None)
            told = episode.ways.get(str(report.run.way)) if episode else None
            if told is not None:
                told.stage = _stage_of(report)
                told.attempts, told.says, told.code = report.attempts, report.says, report.code
                told.at_ms = self._clock.wall_ms()
                self._unsaved = True

    def _save(self, judge: Judge, *, at_once: bool = False) -> None:
        """What anybody could have noticed at once, truths now and then: they can be read again."""
        from obsagent.harm.state import write_state

        now_ms = self._clock.monotonic_ms()
        is_time = at_once or now_ms - self._saved_ms >= SAVE_MS
        if self._unsaved or (self._grown and is_time):
            write_state(self._directory, judge.state, self._fs)
            self._unsaved = self._grown = False
            self._saved_ms = now_ms

    def _tell(self, judge: Judge, found: Found) -> None:
        from obsagent.harm.readings import risk_readings

        self._outside.put(risk_readings(judge.state, found.judged))
        for episode, _ in found.raised:
            logger.warning("%s", _says(episode))
        for episode in found.ended:
            logger.info("%s does no harm any more: %s", _name(episode), episode.why)

    def _record(self, judge: Judge, now_ms: int) -> None:
        """The event of each episode, once: what the store has already says so by its label."""
        owed = [episode for episode in judge.state.episodes if not episode.is_recorded]
        if not owed:
            return
        stored = {event.labels.get("episode") for event in self._outside.events(EVENT)}
        for episode in owed:
            if episode.id in stored:
                episode.is_recorded = True
                self._unsaved = True
                self._events_put.pop(episode.id, None)
            elif now_ms - self._events_put.get(episode.id, -EVENT_AGAIN_MS) >= EVENT_AGAIN_MS:
                self._events_put[episode.id] = now_ms
                self._outside.put_event(_event(episode, now_ms))

    def _begin_runs(self, judge: Judge) -> None:
        for episode in judge.state.episodes:
            for way, told in episode.ways.items():
                if told.stage == DUE and not self._stopping.is_set():
                    run = self._run_of(episode, Way(way))
                    if run is not None:
                        self._runner.start(run)
                        continue
                    told.stage, told.says = FAILED, "is not configured any more"
                    self._unsaved = True

    def _run_of(self, episode: Episode, way: Way) -> Run | None:
        name = episode.judged.model
        model = self._outside.model(name)
        config = model.on_retrain if model else None
        if config is None:
            return None
        to = config.command if way is Way.COMMAND else (config.url,) if config.url else ()
        evidence = json.dumps(episode.evidence, allow_nan=False).encode()
        return Run(episode.id, name, way, to, config.timeout_ms / 1000, evidence) if to else None


def _stage_of(report: Report) -> str:
    """In an episode's words; between two attempts a webhook is due."""
    return DUE if report.stage is Stage.RETRIES else str(report.stage)


def _name(episode: Episode) -> str:
    name = "/".join(filter(None, episode.judged))
    return f"{name} where {episode.slice}" if episode.slice else name


_LOSSES = {
    ERROR: "share of errors",
    BRIER: "Brier score",
    ABSOLUTE: "mean absolute error",
    SQUARED: "mean squared error",
}


def _says(episode: Episode) -> str:
    evidence = episode.evidence
    risk, reference = evidence["risk"], evidence["reference"]
    return (
        f"retraining of {_name(episode)} is recommended: its {_LOSSES[evidence['loss']]} is {risk['live']:.3g} "
        f"since {evidence['since']}, above {risk['lower']:.3g} for sure, where {reference['source']} had "
        f"{reference['risk']:.3g} ({evidence['false_alarms']['says']})"
    )


def _event(episode: Episode, at_ms: int) -> Event:
    judged = episode.judged
    labels = {**judged.labels, **({"slice": episode.slice} if episode.slice else {}), "episode": episode.id}
    return Event(EVENT, at_ms, labels)
