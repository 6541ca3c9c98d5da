"""What the evaluation stores: `drift_evalue`, and `drift_alarms`.

    drift_evalue {model, version, variant, feature, window, [slice labels]}    gauge     log10 of each window's e-value
    drift_alarms {the same}                                                    counter   alarms that were raised

`window` is how long the time is that was judged at once: 10s, 1h or 1d.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from obsagent.answer.of_features import FEATURE
from obsagent.evaluate.counts import KNOWN
from obsagent.evaluate.evaluator import Told
from obsagent.evaluate.state import Counted, Judged
from obsagent.readings import Reading
from obsagent.samples import Instrument, Kind

WINDOW = "window"
EVALUE = Instrument(
    "drift_evalue",
    Kind.GAUGE,
    "log10 of the evidence (e-value) that a window of a feature is not as the reference",
    across="max",
)
ALARMS = Instrument("drift_alarms", Kind.COUNTER, "Alarms that a feature of a model has drifted", "alarms")


def evidence_readings(told: Iterable[Told]) -> list[Reading]:
    """The e-values of windows, at the time of the window."""
    return [
        Reading(
            EVALUE,
            each.log_e / math.log(10),
            _labels(each.judged, each.key.feature, each.key.slice, each.level.name),
            at_ms=each.to_ms - 1,
        )
        for each in told
    ]


def alarm_readings(
    totals: Mapping[Counted, int], keys: Iterable[Counted], before: Mapping[Counted, float]
) -> list[Reading]:
    """What some counters of alarms stand at; `before` is what the store had of them when the agent began."""
    return [
        Reading(
            ALARMS,
            float(totals[key]),
            _labels(key.judged, key.feature, key.slice, key.level),
            begins_at=before.get(key, 0.0),
        )
        for key in keys
    ]


def counted_before(stored: Iterable[tuple[dict[str, str], float]]) -> dict[Counted, float]:
    """What the store has counted of alarms, by what they are of."""
    found = {}
    for labels, total in stored:
        judged = Judged(labels.get("model", ""), labels.get("version", ""), labels.get("variant", ""))
        others = {label: value for label, value in labels.items() if label not in KNOWN | {WINDOW}}
        slice_ = next((f"{label}={value}" for label, value in others.items()), "")
        found[Counted(judged, labels.get(FEATURE, ""), slice_, labels.get(WINDOW, ""))] = total
    return found


def _labels(judged: Judged, feature: str, slice_: str, window: str) -> dict[str, str]:
    label, _, value = slice_.partition("=")
    return {**judged.labels, FEATURE: feature, WINDOW: window, **({label: value} if slice_ else {})}
