"""The thread that judges what models are given: it looks, keeps what it must remember, and hands on what it found."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from obsagent.answer.expected import References
from obsagent.clock import Clock
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.evaluate.counts import View
from obsagent.evaluate.evaluator import Evaluator, Look
from obsagent.evaluate.readings import alarm_readings, counted_before, evidence_readings
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import NAME, Counted, State, read_state, write_state
from obsagent.fs import Fs
from obsagent.head.directory import set_aside
from obsagent.pulses import Pulse
from obsagent.readings import Reading
from obsagent.upkeep import Trouble

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_S = 1.0
BEHIND_S = 0.5
"""What is behind is caught up with in looks as long as the pauses between them: reports wait for no longer than one."""
StoredTotals = Sequence[tuple[dict[str, str], float]]


class Evaluation:
    """Judges every window of every model. What fails is said in `trouble`, and tried again."""

    def __init__(
        self,
        directory: Path,
        fs: Fs,
        clock: Clock,
        view: Callable[[], View],
        references: References,
        settings: Callable[[str], Settings],
        put: Callable[[list[Reading]], None],
        stored: StoredTotals = (),
    ) -> None:
        """`put` takes what is to be stored; `stored` is what the counter of alarms stands at in the store."""
        self._directory = directory
        self._fs = fs
        self._clock = clock
        self._view = view
        self._put = put
        self._before = counted_before(stored)
        self._told: dict[Counted, float] = dict(self._before)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._unsaved = False
        self.trouble = Trouble("models cannot be judged for drift")
        self._status: dict[str, Any] = {
            "last_look_ms": None,
            "took_s": 0.0,
            "longest_s": 0.0,
            "looks": 0,
            "windows": 0,
            "is_behind": False,
            "models": [],
        }
        self.newer = ""
        """Why nothing is judged at all: a newer version wrote the state."""
        state, is_lost = self._recovered()
        for key, total in self._before.items():
            state.totals[key] = max(state.totals[key], int(total))
        self._evaluator = Evaluator(state, references, settings, counts_again=not is_lost)
        self.thread = threading.Thread(target=self._run, name="obsagent-evaluate")
        self.pulse = Pulse()

    def _recovered(self) -> tuple[State, bool]:
        """The state, and whether there was one that is lost."""
        try:
            return read_state(self._directory) or State(), False
        except UnsupportedVersion as error:
            self.newer = str(error)
        except CorruptData as error:
            logger.error("%s; what is stored is judged again", error)
            set_aside([self._directory / NAME], self._fs)
            return State(), True
        except StoreError as error:
            logger.error("%s; what is stored is judged again", error)
            return State(), True
        return State(), False

    def stop(self) -> None:
        """Ends the thread after the look in hand."""
        self._stopping.set()
        self.thread.join()

    def references_changed(self) -> None:
        """References or settings are others from now on."""
        with self._lock:
            self._evaluator.forget_references()

    def read(self, reads: Callable[[State], T]) -> T:
        """What a function makes of the state, while nobody changes it."""
        with self._lock:
            return reads(self._evaluator.state)

    def status(self) -> dict[str, Any]:
        """How far everything is judged, as of the last look; waits for none.

        last_look_ms     when it ended, null before the first
        took_s           how long the last one took that judged anything; longest_s of all
        looks, windows   since the agent began
        is_behind        the last look had no time for all that was due
        models           [{model, version, variant, features, slices, charts, charts_left_out, alarms: that go on,
                         until_ms {level: up to where it was judged}, newest_ms, behind_ms, trouble: empty if there is
                         none}]
        """
        return self._status

    def _run(self) -> None:
        while not self._stopping.wait(BEHIND_S if self._status["is_behind"] else LOOK_S):
            self.pulse.beat()
            if self.newer:
                continue
            try:
                with self.pulse.at("judging models"):
                    self.look()
            except Exception as error:  # whatever it is: it is tried again
                self.trouble.met(error)

    def look(self) -> Look:
        """Judges what is due and hands it on. Raises `StoreError` if that cannot be remembered; it will be."""
        with self._lock:
            began = time.monotonic()
            found = self._evaluator.look(self._view(), self._clock.wall_ms())
            self._note(found, time.monotonic() - began)
            self._unsaved = self._unsaved or found.windows > 0
            if found.told:
                self._put(evidence_readings(found.told))
            if self._unsaved:
                write_state(self._directory, self._evaluator.state, self._fs)
                self._unsaved = False
            self._tell_alarms()
        self._say(found)
        return found

    def _note(self, found: Look, took_s: float) -> None:
        before = self._status
        self._status = {
            "last_look_ms": self._clock.wall_ms(),
            "took_s": took_s if found.windows else before["took_s"],
            "longest_s": max(took_s, before["longest_s"]),
            "looks": before["looks"] + 1,
            "windows": before["windows"] + found.windows,
            "is_behind": found.is_behind,
            "models": [each.to_plain() for each in found.progress],
        }

    def _tell_alarms(self) -> None:
        """The counters of alarms, of which the store knows less than what is remembered."""
        totals = self._evaluator.state.totals
        owed = [key for key, total in totals.items() if total > self._told.get(key, 0)]
        if owed:
            self._put(alarm_readings(totals, owed, self._before))
            self._told.update((key, float(totals[key])) for key in owed)

    def _say(self, found: Look) -> None:
        for judged, alarm in found.raised:
            logger.warning(
                "drift: %s of %s%s has changed", alarm.feature, "/".join(filter(None, judged)), _in(alarm.slice)
            )
        if found.troubles:
            judged, what = next(iter(found.troubles.items()))
            self.trouble.met(StoreError(f"{'/'.join(filter(None, judged))}: {what}"))
        else:
            self.trouble.is_over()


def _in(slice_: str) -> str:
    return f" where {slice_}" if slice_ else ""
