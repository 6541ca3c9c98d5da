"""What the evaluation remembers over restarts: the charts, the alarms, and up to where everything was judged.

`drift.state` in the store's directory (FORMAT.md beside this file). It is replaced as a whole after every window that
was judged: either all that came of it is remembered, alarms and their count included, or the window is judged again
from the same samples. So an agent that is killed neither forgets an alarm nor raises it twice.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.evaluate.chart import NOTHING, Chart
from obsagent.evaluate.family import Alarm, ChartKey, Family
from obsagent.evaluate.levels import LEVELS
from obsagent.evaluate.settings import Settings
from obsagent.fs import Fs
from obsagent.limits import DRIFT_ALARMS_KEPT, DRIFT_STATE_BYTES_MAX

NAME = "drift.state"
MAGIC = b"OBSDRFT\n"
VERSION = 1
HEADER = struct.Struct("<8sHHII")
"""Magic, version, 0, bytes of the payload as stored, bytes after decompression."""
CHECKSUM = struct.Struct("<I")
"""CRC-32C of the header and of the payload as stored; it stands between them."""
BEGIN = HEADER.size + CHECKSUM.size


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


def read_state(directory: Path) -> State | None:
    """The state in a store's directory; None if there is none.

    Raises `CorruptData` for what is damaged, `UnsupportedVersion` for what a newer version wrote, `StoreError` for what
    cannot be read.
    """
    try:
        with (directory / NAME).open("rb") as file:
            data = file.read(BEGIN + DRIFT_STATE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {directory / NAME}: {error.strerror}") from error
    return decode(data)


def write_state(directory: Path, state: State, fs: Fs) -> None:
    """Replaces the state, durably; raises `StoreError`."""
    try:
        fs.close(fs.write_file(directory / NAME, [encode(state)]))
    except OSError as error:
        raise StoreError(f"cannot write {directory / NAME}: {error.strerror}") from error


def encode(state: State) -> bytes:
    """The file's bytes."""
    raw = json.dumps(_to_plain(state), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    payload = zlib.compress(raw, 1)
    header = HEADER.pack(MAGIC, VERSION, 0, len(payload), len(raw))
    return header + CHECKSUM.pack(crc32c(payload, crc32c(header))) + payload


def decode(data: bytes) -> State:
    """The state in the bytes of a file; raises `CorruptData`, `UnsupportedVersion`."""
    if len(data) < BEGIN or not data.startswith(MAGIC):
        raise CorruptData(f"{NAME} does not begin as it should")
    _, version, _, size, raw_size = HEADER.unpack_from(data)
    (checksum,) = CHECKSUM.unpack_from(data, HEADER.size)
    if version > VERSION:
        raise UnsupportedVersion(f"{NAME} was written by a newer obsagent (format {version}); this one reads {VERSION}")
    payload = data[BEGIN:]
    sound = crc32c(payload, crc32c(data[: HEADER.size])) == checksum
    if len(payload) != size or raw_size > DRIFT_STATE_BYTES_MAX or not sound:
        raise CorruptData(f"{NAME} is damaged: its checksum is another")
    try:
        raw = zlib.decompressobj().decompress(payload, raw_size + 1)
        if len(raw) != raw_size:
            raise CorruptData(f"{NAME} is damaged: it holds {len(raw)} bytes instead of {raw_size}")
        return _from_plain(json.loads(raw))
    except (zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise CorruptData(f"{NAME} is damaged: {error}") from error


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
        families = state.families(Judged(*map(str, model["judged"])))
        for name, saved in model["levels"].items():
            if name in families:
                _fill(families[name], saved)
    state.settings = {str(model): Settings(**settings) for model, settings in plain["settings"].items()}
    state.ended = [(Judged(*map(str, row[:3])), Alarm(**row[3])) for row in plain["ended"]]
    for *judged, feature, slice_, level, total in plain["totals"]:
        state.totals[Counted(Judged(*map(str, judged)), str(feature), str(slice_), str(level))] = int(total)
    return state


def _fill(family: Family, saved: Any) -> None:
    family.next_ms = int(saved["next_ms"])
    for feature, reference, slice_, *values in saved["charts"]:
        family.charts[ChartKey(str(feature), str(reference), str(slice_))] = _chart_of(values)
    alarms = [Alarm(**alarm) for alarm in saved["alarms"]]
    family.alarms = {alarm.key: alarm for alarm in alarms}


def _chart_of(values: list[Any]) -> Chart:
    log_r, log_m, since_ms, count, last_ms, last_log_e, samples, quiet, flagged = values
    return Chart(
        _log_of(log_r),
        _log_of(log_m),
        int(since_ms),
        int(count),
        int(last_ms),
        float(last_log_e),
        int(samples),
        int(quiet),
        bool(flagged),
    )


def _log_of(value: float | None) -> float:
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        raise ValueError("a chart is not finite")
    return float(value)
