"""The instruments of one client: defined once, the same definition again gives the same instrument."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from obsagent._native.ring import Counter, Gauge, Histogram, Recorder
from obsagent.errors import InstrumentError
from obsagent.limits import (
    CLIENT_SERIES,
    HELP_BYTES_MAX,
    LABEL_NAME_BYTES_MAX,
    LABELS_MAX,
    METRIC_NAME_BYTES_MAX,
)
from obsagent.record.instruments import OVERFLOW_LABELS, CounterFamily, GaugeFamily, HistogramFamily
from obsagent.samples import ACROSS, SKETCHES, Instrument, Kind
from obsagent.wire.frame import SeriesDefinition

if TYPE_CHECKING:
    from obsagent.record.instruments import LabelledInstrument

    AnyInstrument = Histogram | Counter | Gauge | LabelledInstrument[Any]

METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]*")
LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
BUILT_IN = frozenset({"latency", "queue_delay", "requests", "errors", "in_flight"})
SET_BY_AGENT = frozenset({"service", "host", "worker", "model", "version", "variant", "overflow"})
FAMILIES = {Kind.HISTOGRAM: HistogramFamily, Kind.COUNTER: CounterFamily, Kind.GAUGE: GaugeFamily}


class Registry:
    """Defines instruments and binds their series to numbers of the native recorder.

    Thread-safe. `definitions[i]` describes the series with number i; the list only grows.
    """

    def __init__(self, recorder: Recorder) -> None:
        """`recorder` gives out the numbers and makes the bound series."""
        self._recorder = recorder
        self._lock = threading.Lock()
        self._instruments: dict[str, tuple[Instrument, AnyInstrument]] = {}
        self._overflow: dict[str, Any] = {}
        self._scales: dict[str, int] = {}
        self.definitions: list[SeriesDefinition] = []

    def set_scales(self, scales: dict[str, int]) -> None:
        """What the agent asks for by metric; holds for series defined from now on."""
        self._scales = scales

    def renew_lock(self) -> None:
        """After a fork, in the child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def define(
        self,
        kind: Kind,
        name: str,
        help_text: str,
        unit: str,
        label_names: Sequence[str],
        across: str = "sum",
        sketch: str = "loghist",
        *,
        built_in: bool = False,
    ) -> Any:
        """The instrument of this name, made now or before.

        Raises `InstrumentError` for malformed names, for a built-in name, and when the name is already defined
        differently.
        """
        instrument = Instrument(name, kind, help_text, unit, tuple(label_names), across=across, sketch=sketch)
        if not built_in:
            _check(instrument)
        with self._lock:
            known = self._instruments.get(name)
            if known is None:
                known = self._instruments[name] = (instrument, self._make(instrument))
        if known[0] != instrument:
            raise InstrumentError(f"{name} is already defined as {_describe(known[0])}, not as {_describe(instrument)}")
        return known[1]

    def _make(self, instrument: Instrument) -> AnyInstrument:
        if instrument.label_names:
            return FAMILIES[instrument.kind](instrument, self._bind, self._recorder.reject)
        return self._number(instrument, {})

    def _bind(self, instrument: Instrument, labels: dict[str, str]) -> Any:
        with self._lock:
            if len(self.definitions) < CLIENT_SERIES:
                return self._number(instrument, labels)
            if instrument.name not in self._overflow:
                self._overflow[instrument.name] = self._number(instrument, OVERFLOW_LABELS)
            return self._overflow[instrument.name]

    def _number(self, instrument: Instrument, labels: dict[str, str]) -> Histogram | Counter | Gauge:
        """A new series; the caller holds the lock, so that numbers and definitions stay in step."""
        scale = self._scales.get(instrument.name, instrument.scale)
        number = self._recorder.define(int(instrument.kind), scale, instrument.keeps_digest)
        self.definitions.append(
            SeriesDefinition(
                number,
                instrument.name,
                instrument.kind,
                labels,
                instrument.unit,
                instrument.help,
                scale,
                instrument.across,
                instrument.sketch,
            )
        )
        if instrument.kind is Kind.HISTOGRAM:
            return self._recorder.histogram(number)
        return self._recorder.counter(number) if instrument.kind is Kind.COUNTER else self._recorder.gauge(number)


def _describe(instrument: Instrument) -> str:
    names = ", ".join(instrument.label_names)
    across = f" across={instrument.across}" if instrument.kind is Kind.GAUGE else ""
    sketch = f" sketch={instrument.sketch}" if instrument.kind is Kind.HISTOGRAM else ""
    return f"{instrument.kind.word} {{{names}}} unit={instrument.unit!r} help={instrument.help!r}{across}{sketch}"


def _check(instrument: Instrument) -> None:
    name = instrument.name
    if not isinstance(name, str) or not METRIC_NAME.fullmatch(name) or len(name) > METRIC_NAME_BYTES_MAX:
        raise InstrumentError(
            f"{name!r} is no name for a metric: expected a letter or _ first, then letters, digits or _ . : / -, "
            f"at most {METRIC_NAME_BYTES_MAX} bytes"
        )
    if name in BUILT_IN:
        raise InstrumentError(f"{name} is built in: it is fed by client.request() and the middleware")
    if len(instrument.label_names) > LABELS_MAX:
        raise InstrumentError(f"{name}: {len(instrument.label_names)} labels; at most {LABELS_MAX} are allowed")
    for label in instrument.label_names:
        if not isinstance(label, str) or not LABEL_NAME.fullmatch(label) or len(label) > LABEL_NAME_BYTES_MAX:
            raise InstrumentError(f"{name}: {label!r} is no name for a label: letters, digits, _ and . are allowed")
        if label in SET_BY_AGENT:
            raise InstrumentError(f"{name}: the label {label!r} is set by obsagent; choose another name")
    if len(set(instrument.label_names)) != len(instrument.label_names):
        raise InstrumentError(f"{name}: a label name stands twice in {instrument.label_names}")
    if len(instrument.help.encode()) > HELP_BYTES_MAX or len(instrument.unit.encode()) > METRIC_NAME_BYTES_MAX:
        raise InstrumentError(f"{name}: help takes at most {HELP_BYTES_MAX} bytes, unit {METRIC_NAME_BYTES_MAX}")
    if instrument.sketch not in SKETCHES:
        raise InstrumentError(f"{name}: sketch={instrument.sketch!r}; expected one of {', '.join(SKETCHES)}")
    if instrument.across not in ACROSS:
        raise InstrumentError(f"{name}: across={instrument.across!r}; expected one of {', '.join(ACROSS)}")
