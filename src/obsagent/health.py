"""What is wrong with a running agent, in words that say what to do; nothing of it outlasts its cause.

health    ok         nothing is wrong
          degraded   it takes and acknowledges samples, and something else does not work
          failing    it acknowledges nothing: clients keep what they have, within their budgets
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import NamedTuple

from obsagent.answer.durations import format_duration
from obsagent.pulses import Silence
from obsagent.receive.ingest import Step
from obsagent.upkeep import Trouble

SECOND_MS = 1000
CLOCK_SHOWN_MS = 600_000
"""For how long after the clock was set that is a problem."""

SHOWN_LEFT_OUT = 3

GOES_ON = "it goes on by itself"
ADVICE = {
    errno.ENOSPC: f"free space on its file system, and {GOES_ON}",
    errno.EDQUOT: f"free space within the quota or raise it, and {GOES_ON}",
    errno.EROFS: f"make its file system writable again (dmesg says why it is not), and {GOES_ON}",
    errno.EACCES: "give the agent's user the right to write there",
    errno.EPERM: "give the agent's user the right to write there",
    errno.EIO: "the disk fails, and the kernel's log (dmesg) says how: move the store to another one",
    errno.EMFILE: "raise the agent's limit of open files (LimitNOFILE=, ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files (fs.file-max)",
}


class Problem(NamedTuple):
    """One thing that is wrong; with `stops` nothing is acknowledged as long as it is."""

    says: str
    stops: bool = False


def health_of(problems: list[Problem]) -> str:
    """The word for all of them."""
    if not problems:
        return "ok"
    return "failing" if any(problem.stops for problem in problems) else "degraded"


def journal_problem(trouble: Trouble) -> Problem | None:
    """The journal cannot be synced."""
    told = _told(trouble, "nothing is acknowledged, and clients keep what they send until it can")
    return Problem(told, stops=True) if told else None


def head_problem(trouble: Trouble) -> Problem | None:
    """Windows cannot leave memory."""
    told = _told(trouble, "samples stay in memory and in the journal until it can, and are refused beyond head_budget")
    return Problem(told) if told else None


def upkeep_problem(trouble: Trouble) -> Problem | None:
    """Segments stay as they were written, and all of them."""
    told = _told(trouble, "nothing is lost, but queries of long ranges are slower, and nothing old is removed")
    return Problem(told) if told else None


def evaluation_problem(trouble: Trouble, newer: str) -> Problem | None:
    """Models are not judged, or what was judged cannot be remembered; everything else goes on."""
    if newer:
        return Problem(f"models are not judged for drift: {newer}; upgrade obsagent, or set the file aside")
    told = _told(trouble, "features are stored, and judged when it can")
    return Problem(told) if told else None


def harm_problem(trouble: Trouble, newer: str) -> Problem | None:
    """Truths are not looked at, or what they said cannot be remembered; everything else goes on."""
    if newer:
        return Problem(f"models are not judged for harm: {newer}; upgrade obsagent, or set the file aside")
    told = _told(trouble, "truths are stored, and models are judged by them when it can")
    return Problem(told) if told else None


def _told(trouble: Trouble, means: str) -> str | None:
    error = trouble.error
    if error is None:
        return None
    says = str(error) or type(error).__name__
    lasting = format_duration(int(trouble.lasts_s * 1000))
    return f"{trouble.what}: {says} (for {lasting}; {means}){advice(error)}"


def advice(error: BaseException) -> str:
    """What to do about the system's error behind this one, after a colon; empty if nothing is known about it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in ADVICE:
            return f": {ADVICE[cause.errno]}"
        cause = cause.__cause__
    return ""


def http_problem(trouble: str) -> Problem | None:
    """There is no HTTP port, and nobody has said that there should be none."""
    return Problem(f"nothing is exported to Prometheus: {trouble}") if trouble else None


def left_out_problem(left_out: Sequence[str]) -> Problem | None:
    """What Prometheus asked for and did not get."""
    if not left_out:
        return None
    more = f" and {len(left_out) - SHOWN_LEFT_OUT} more" if len(left_out) > SHOWN_LEFT_OUT else ""
    return Problem(f"not exported to Prometheus: {'; '.join(left_out[:SHOWN_LEFT_OUT])}{more}")


def overload_problem(unsynced_bytes: int) -> Problem:
    """More waits for the disk than may."""
    waiting = f"{unsynced_bytes / 1e6:.0f} MB"
    return Problem(
        f"clients are not read: {waiting} of the journal wait to be synced, so the disk is slower than what comes in;"
        " they keep what they have, and the agent goes on by itself"
    )


def broken_problem(reason: str) -> Problem:
    """The store takes nothing any more."""
    return Problem(f"the store takes nothing any more: {reason}", stops=True)


def thread_problem(name: str) -> Problem:
    """A thread that must live has ended; the agent is about to end with it."""
    return Problem(f"the thread {name} has ended: the agent stops, and its log says why", stops=True)


def silence_problem(silence: Silence) -> Problem:
    """A thread that must live has not gone on for long."""
    at = f" at {silence.what}" if silence.what else ""
    what = f"the thread {silence.thread} has been{at or ' in one turn'} for {silence.lasts_s:.0f} s"
    if silence.is_disk:
        return Problem(f"{what}: it waits for the disk, and goes on by itself (dmesg says more)")
    return Problem(f"{what}: it hangs; the agent's log says where, and to start the agent again ends it", stops=True)


def clock_problem(step: Step | None, monotonic_ms: int) -> Problem | None:
    """The clock was set a short while ago."""
    if step is None or monotonic_ms - step.monotonic_ms > CLOCK_SHOWN_MS:
        return None
    by, ago = _about(abs(step.by_ms)), _about(monotonic_ms - step.monotonic_ms)
    if step.by_ms > 0:
        means = f"there is a gap of {by} without samples, or the machine was asleep"
    else:
        means = f"samples of the time before lie up to {by} in the future, and mix with new ones until then"
    return Problem(f"the clock was set {'forward' if step.by_ms > 0 else 'back'} by {by}, {ago} ago: {means}; see NTP")


def _about(duration_ms: int) -> str:
    """A duration as people say it: in whole seconds, if it has any."""
    return format_duration(duration_ms if duration_ms < SECOND_MS else round(duration_ms / SECOND_MS) * SECOND_MS)
