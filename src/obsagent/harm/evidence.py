"""The evidence that comes with a recommendation: for the command, the webhook, `obsagent status`, and whoever asks why.

episode, model, version, variant     what it is about
slice                                where it was seen first; null: in the whole
since, newest_truth                  since when harm was done, about, and with which truth that was sure (ISO 8601, UTC)
raised                               when it was said: another time where old truths are told by `at=`
loss                                 what a row's loss is: error, brier, absolute or squared
bound                                null of classes; of numbers {error: from which size on an error counts no more,
                                     source: "configured", or of what it was learnt}
risk                                 {live: the mean loss since then, lower, upper: anytime-valid bounds, truths}
reference                            {risk, upper: its bound (99 %), truths, source}
tolerance, limit                     how much more is allowed, and the sum: `risk.lower` is not below it
difference                           the live risk less the reference's
log10_evalue, false_alarms           how strong it is, and how often it would be wrong: {share, says}
worst_slice, slices                  those with most evidence: {slice, risk, reference, difference, since, truths}
error_changed                        when the mean loss changed last (ADWIN); null if it never has
features                             that have drifted, the most severe first: {feature, since, severity, …}
truths, maturity                     seen so far; {predictions, truths, share} since harm began
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, TypeVar

from obsagent.answer.instants import iso_utc
from obsagent.config_values import as_duration
from obsagent.evaluate.state import Judged
from obsagent.harm.allowed import POWERS
from obsagent.harm.episode import Episode
from obsagent.harm.feed import Feed
from obsagent.harm.judge import worst_slices
from obsagent.harm.state import WHOLE, Version
from obsagent.harm.track import Track
from obsagent.performance.harm import Harm
from obsagent.performance.risk import risk_interval

SLICES_SHOWN = 5
FEATURES_SHOWN = 10
HOUR_MS = 3_600_000
CONFIGURED = "configured"

logger = logging.getLogger(__name__)

T = TypeVar("T")
Drifted = Callable[[Judged, int], list[dict[str, Any]]]
"""The features of a version that had drifted at a time (ms), the most severe first."""


def evidence_of(
    episode: Episode, harm: Harm, version: Version, feed: Feed, drifted: Drifted, now_ms: int
) -> dict[str, Any]:
    """All of it, as JSON takes it."""
    judged = episode.judged
    track = version.tracks[episode.slice]
    slices = [_slice(name, each) for name, each in worst_slices(version)[:SLICES_SHOWN]]
    return {
        "episode": episode.id,
        "model": judged.model,
        "version": judged.version,
        "variant": judged.variant,
        "slice": episode.slice or None,
        "since": _time(episode.since_ms),
        "newest_truth": _time(version.last_ms),
        "raised": _time(episode.raised_ms),
        "loss": track.rule.loss,
        "bound": bound_of(track),
        "risk": _risk(track, harm),
        "reference": _reference(track),
        "tolerance": track.rule.tolerance,
        "limit": harm.limit,
        "difference": harm.risk - _known_risk(track),
        "log10_evalue": harm.log_evidence / math.log(10),
        "false_alarms": {"share": track.rule.share, "says": rate_says(track)},
        "worst_slice": slices[0] if slices else None,
        "slices": slices,
        "error_changed": _time(version.tracks[WHOLE].changed_ms),
        "features": _asked(lambda: drifted(judged, version.last_ms)[:FEATURES_SHOWN]) or [],
        "truths": version.tracks[WHOLE].truths,
        "maturity": _asked(lambda: _maturity(feed, judged, episode.since_ms, now_ms)),
    }


def _asked(ask: Callable[[], T]) -> T | None:
    """The answer, or none; what else is wrong is no reason to leave a recommendation without its evidence."""
    try:
        return ask()
    except Exception as error:
        logger.warning("a part of the evidence of harm is left out: %s", error)
        return None


def rate_says(track: Track) -> str:
    """The rate in words."""
    return f"at most one false recommendation in {as_duration(track.rule.every_ms)}, on average"


def bound_of(track: Track) -> dict[str, Any] | None:
    """From which size on an error of numbers counts no more, and who says so; None of classes, and while nobody knows.

    What is judged is the loss in units of that error's, and 1 at most.
    """
    power = POWERS.get(track.rule.loss)
    if power is None or track.known is None:
        return None
    return {"error": track.scale ** (1 / power), "source": CONFIGURED if track.rule.bound else track.known.source}


def _risk(track: Track, harm: Harm) -> dict[str, Any]:
    scale = track.scale
    losses = min(harm.risk * harm.rows / scale, harm.rows)
    upper = risk_interval(losses, harm.rows, track.alpha)[1]
    return {"live": harm.risk, "lower": harm.lower, "upper": upper * scale, "truths": harm.rows}


def _reference(track: Track) -> dict[str, Any]:
    known = track.known
    assert known is not None
    return {
        "risk": known.risk * track.scale,
        "upper": track.upper,
        "truths": known.rows,
        "source": known.source,
    }


def _known_risk(track: Track) -> float:
    return track.known.risk * track.scale if track.known else 0.0


def _slice(name: str, track: Track) -> dict[str, Any]:
    current = track.current()
    risk, rows = (current[0], current[3]) if current else (None, 0)
    return {
        "slice": name,
        "risk": risk,
        "reference": _known_risk(track),
        "difference": None if risk is None else risk - _known_risk(track),
        "is_harmful": track.is_harmful,
        "log10_evalue": track.log_e_value / math.log(10),
        "since": _time(track.changed_ms),
        "truths": rows,
    }


def _maturity(feed: Feed, judged: Judged, since_ms: int, now_ms: int) -> dict[str, Any] | None:
    found = feed.predicted(judged.model, since_ms - HOUR_MS, now_ms + 1).get(judged)
    if found is None:
        return None
    return {"predictions": found.count, "truths": found.joined, "share": found.joined / found.count}


def _time(at_ms: int) -> str | None:
    return iso_utc(at_ms) if at_ms else None
