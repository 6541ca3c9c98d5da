"""What is stored of harm, whenever truths came: `live_risk`, and `harm_evalue`.

live_risk   {model, version, variant, [slice label]}   gauge   mean loss of a row since it last changed (ADWIN)
harm_evalue {the same}                                 gauge   log10 of the evidence that it is above what it may be
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from obsagent.evaluate.state import Judged
from obsagent.harm.state import State
from obsagent.readings import Reading
from obsagent.samples import Instrument, Kind

RISK = Instrument("live_risk", Kind.GAUGE, "Mean loss of a row of a model since it last changed", across="max")
EVALUE = Instrument(
    "harm_evalue",
    Kind.GAUGE,
    "log10 of the evidence (e-value) that the risk of a model is above what its reference allows",
    across="max",
)


def risk_readings(state: State, judged: Iterable[Judged]) -> list[Reading]:
    """Those of some versions and of their slices, as of now."""
    return [reading for each in judged for reading in _of(state, each)]


def _of(state: State, judged: Judged) -> Iterator[Reading]:
    version = state.versions.get(judged)
    for slice_, track in version.tracks.items() if version else ():
        label, _, value = slice_.partition("=")
        labels = {**({label: value} if slice_ else {}), **judged.labels}
        current = track.current()
        if current is not None:
            yield Reading(RISK, current[0], labels)
        if track.limit is not None:
            yield Reading(EVALUE, track.log_e_value / math.log(10), labels)
