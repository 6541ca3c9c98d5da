"""What `obsagent status` says of harm.

models     [{model, version, variant, loss, bound (as in the evidence), risk, lower, upper (95 %), rows, reference,
           limit, source, log10_evalue, is_harmful, truths, changed_ms (0: never), worst_slice ("" if there is none)}]
episodes   [{id, model, version, variant, slice, since_ms, raised_ms, ended_ms (0: it goes on), why, evidence,
           on_retrain {command | webhook: {stage, attempts, says, code, at_ms}}}], the newest first
"""

from __future__ import annotations

import math
from typing import Any

from obsagent.evaluate.state import Judged
from obsagent.harm.episode import FAILED, Episode
from obsagent.harm.evidence import bound_of
from obsagent.harm.judge import worst_slices
from obsagent.harm.state import WHOLE, State, Version

EPISODES_SHOWN = 20
WORTH_NAMING = math.log(20)
"""The evidence (ln of an e-value) from which on a slice is the worst one."""


def harm_report(state: State) -> dict[str, Any]:
    """All of it, as JSON takes it."""
    shown = sorted(state.episodes, key=lambda each: (each.is_open, each.raised_ms), reverse=True)[:EPISODES_SHOWN]
    return {
        "models": [_model(judged, version) for judged, version in sorted(state.versions.items()) if version.tracks],
        "episodes": [_episode(each) for each in shown],
    }


def failures(state: State) -> list[str]:
    """What went wrong with `on_retrain` in the episodes that go on, a sentence each."""
    return [
        f"on_retrain of {episode.judged.model}: the {way} {told.says}; the model still does harm: see to it by hand"
        for episode in state.episodes
        if episode.is_open
        for way, told in episode.ways.items()
        if told.stage == FAILED
    ]


def _model(judged: Judged, version: Version) -> dict[str, Any]:
    track = version.tracks[WHOLE]
    current = track.current()
    risk, low, high, rows = current or (None, None, None, 0)
    worst = next(
        (name for name, each in worst_slices(version) if each.is_harmful or each.log_e_value > WORTH_NAMING), ""
    )
    known = track.known
    return {
        **judged._asdict(),
        "loss": track.rule.loss,
        "bound": bound_of(track),
        "risk": risk,
        "lower": low,
        "upper": high if high is not None and math.isfinite(high) else None,
        "rows": rows,
        "reference": known.risk * track.scale if known else None,
        "source": known.source if known else None,
        "limit": track.limit,
        "log10_evalue": track.log_e_value / math.log(10),
        "is_harmful": any(each.is_harmful for each in version.tracks.values()),
        "truths": track.truths,
        "changed_ms": track.changed_ms,
        "worst_slice": worst,
    }


def _episode(episode: Episode) -> dict[str, Any]:
    return {
        "id": episode.id,
        **episode.judged._asdict(),
        "slice": episode.slice,
        "since_ms": episode.since_ms,
        "raised_ms": episode.raised_ms,
        "ended_ms": episode.ended_ms,
        "why": episode.why,
        "evidence": episode.evidence,
        "on_retrain": {
            way: {
                "stage": told.stage,
                "attempts": told.attempts,
                "says": told.says,
                "code": told.code,
                "at_ms": told.at_ms,
            }
            for way, told in episode.ways.items()
        },
    }
