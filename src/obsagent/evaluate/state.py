"""What the evaluation remembers over restarts: the charts, the alarms, and up to where everything was judged.

`drift.state` in the store's directory (FORMAT.md beside this file). It is replaced as a whole after every window that
was judged: either all that came of it is remembered, alarms and their count included, or the window is judged again
from the same samples. So an agent that is killed neither forgets an alarm nor raises it twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from obsagent.evaluate.chart import NOTHING, Chart
from obsagent.evaluate.family import Alarm, ChartKey, Family
from obsagent.evaluate.levels import LEVELS
from obsagent.evaluate.settings import HOUR_OF_WEEK, REFERENCE, ROLLING, Settings
from obsagent.limits import DRIFT_ALARMS_KEPT, DRIFT_DAYS_MAX, DRIFT_STATE_BYTES_MAX
from obsagent.state_file import StateFile, count, flag, made, number, text, whole

NAME = "drift.state"
MAGIC = b"OBSDRFT\n"
VERSION = 1


class Judged(NamedTuple):
    """What is judged by itself: one version of a model in one role."""

    model: str
    version: str
    variant: str

    @property
    def labels(self) -> dict[str, str]:
        """As labels of a series; what is empty is none."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if value}


class Counted(NamedTuple):
    """What the counter of alarms is kept by."""

    judged: Judged
    feature: str
    slice: str
    level: str


@dataclass(slots=True)
class State:
    """Everything. `levels` has the families of each level by its name."""

    levels: dict[Judged, dict[str, Family]] = field(default_factory=dict)
    ended: list[tuple[Judged, Alarm]] = field(default_factory=list)
    """Alarms that are over, oldest first."""
    totals: Counter[Counted] = field(default_factory=Counter)
    """Alarms that were raised, ever."""
    settings: dict[str, Settings] = field(default_factory=dict)
    """How each model was judged last, for whoever reads the store without the configuration."""

    def settings_of(self, model: str) -> Settings:
        """How a model was judged last."""
        return self.settings.get(model, Settings())

    def families(self, judged: Judged) -> dict[str, Family]:
        """Those of one version, by the name of their level; made if there are none."""
        return self.levels.setdefault(judged, {level.name: Family(level) for level in LEVELS})

    def has_ended(self, judged: Judged, alarms: list[Alarm]) -> None:
        """Keeps the latest of the alarms that are over."""
        self.ended += [(judged, alarm) for alarm in alarms]
        del self.ended[:-DRIFT_ALARMS_KEPT]


def _to_plain(state: State) -> dict[str, Any]:
    return {
        "models": [
            {
                "judged": [*judged],
                "levels": {name: _family_to_plain(family) for name, family in families.items()},
            }
            for judged, families in state.levels.items()
        ],
        "settings": {model: asdict(settings) for model, settings in state.settings.items()},
        "ended": [[*judged, asdict(alarm)] for judged, alarm in state.ended],
        "totals": [[*key.judged, key.feature, key.slice, key.level, total] for key, total in state.totals.items()],
    }


def _family_to_plain(family: Family) -> dict[str, Any]:
    return {
        "next_ms": family.next_ms,
        "charts": [[*key, *_chart_to_plain(chart)] for key, chart in family.charts.items()],
        "alarms": [asdict(alarm) for alarm in family.alarms.values()],
    }


def _chart_to_plain(chart: Chart) -> list[Any]:
    return [None if value == NOTHING else value for value in asdict(chart).values()]


def _from_plain(plain: Any) -> State:
    state = State()
    for model in plain["models"]:
        families = state.families(Judged(*map(text, model["judged"])))
        for name, saved in model["levels"].items():
            if name in families:
                _fill(families[name], saved)
    state.settings = {model: _settings_of(settings) for model, settings in plain["settings"].items()}
    state.ended = [(Judged(*map(text, judged)), made(Alarm, alarm)) for *judged, alarm in plain["ended"]]
    for *judged, feature, slice_, level, total in plain["totals"]:
        state.totals[Counted(Judged(*map(text, judged)), text(feature), text(slice_), text(level))] = count(total)
    return state


def _settings_of(plain: Any) -> Settings:
    found = made(Settings, plain)
    is_rate = 0 < found.alpha <= 1 and 0 < found.days <= DRIFT_DAYS_MAX and found.tolerance >= 0
    if not is_rate or found.against not in (REFERENCE, ROLLING, HOUR_OF_WEEK) or found.past_ms <= 0:
        raise ValueError("nothing is judged by such settings")
    return found


def _fill(family: Family, saved: Any) -> None:
    family.next_ms = whole(saved["next_ms"])
    for feature, reference, slice_, *values in saved["charts"]:
        family.charts[ChartKey(text(feature), text(reference), text(slice_))] = _chart_of(values)
    alarms = [made(Alarm, alarm) for alarm in saved["alarms"]]
    family.alarms = {alarm.key: alarm for alarm in alarms}


def _chart_of(values: list[Any]) -> Chart:
    log_r, log_m, since_ms, windows, last_ms, last_log_e, samples, quiet, flagged = values
    return Chart(
        _log_of(log_r),
        _log_of(log_m),
        whole(since_ms),
        count(windows),
        whole(last_ms),
        number(last_log_e),
        count(samples),
        count(quiet),
        flag(flagged),
    )


def _log_of(value: float | None) -> float:
    return NOTHING if value is None else number(value)


FILE = StateFile(NAME, MAGIC, VERSION, DRIFT_STATE_BYTES_MAX, _to_plain, _from_plain)
read_state, write_state, encode, decode = FILE.read, FILE.write, FILE.encode, FILE.decode
