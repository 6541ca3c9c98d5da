"""The instruments of one client: defined once, the same definition again gives the same instrument."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from obsagent._native.ring import Counter, Gauge, Histogram, Recorder
from obsagent.errors import InstrumentError
from obsagent.limits import (
    CLIENT_METRICS,
    CLIENT_SERIES,
    CLIENT_SERIES_PER_METRIC,
    HELP_BYTES_MAX,
    LABEL_NAME_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    LABELS_MAX,
    METRIC_NAME_BYTES_MAX,
)
from obsagent.record.instruments import OVERFLOW_LABELS, CounterFamily, GaugeFamily, HistogramFamily
from obsagent.record.metric_series import MetricSeries
from obsagent.record.refusals import LENGTH, NEAR_UNIQUE, PER_METRIC, TOTAL, Crowd, Refusal, Refusals, warning
from obsagent.samples import ACROSS, OF_MODELS, SKETCHES, Instrument, Kind
from obsagent.wire.frame import SeriesDefinition

if TYPE_CHECKING:
    from obsagent.record.instruments import LabelledInstrument
    from obsagent.record.metric_series import Key

    AnyInstrument = Histogram | Counter | Gauge | LabelledInstrument[Any]

METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]*")
LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
BUILT_IN = frozenset({"latency", "queue_delay", "requests", "errors", "in_flight"}) | {
    "batch_size",
    "first_byte_duration",
    "request_bytes",
    "response_bytes",
}
OF_A_MODEL = ("model", "version", "variant")
SET_BY_AGENT = frozenset({"service", "host", "worker", "model", "version", "variant", "overflow"})
FAMILIES = {Kind.HISTOGRAM: HistogramFamily, Kind.COUNTER: CounterFamily, Kind.GAUGE: GaugeFamily}
OF_GENERATIONS = frozenset(
    {
        "generation_duration",
        "generation_queue_delay",
        "generations",
        "generations_in_flight",
        "inter_token_latency",
        "time_per_output_token",
        "time_to_first_token",
        "tokens_in",
        "tokens_in_per_generation",
        "tokens_out",
        "tokens_out_per_generation",
        "tokens_per_second",
    }
)
"""Built-in metrics whose `version`, a model's, is left out where it is not given: it is the client's then."""
OF_RUNTIME = frozenset(
    {
        "event_loop_lag",
        "python_gc_collected_objects",
        "python_gc_collections",
        "python_gc_pause",
        "python_gc_uncollectable_objects",
        "python_info",
        "python_threads",
    }
)


class Registry:
    """Defines instruments and binds their series to numbers of the native recorder.

    Thread-safe. `definitions[i]` describes the series with number i; the list only grows.
    """

    def __init__(self, recorder: Recorder) -> None:
        """`recorder` gives out the numbers and makes the bound series."""
        self._recorder = recorder
        self._lock = threading.Lock()
        self._instruments: dict[str, tuple[Instrument, AnyInstrument]] = {}
        self._families: dict[str, MetricSeries] = {}
        self._scales: dict[str, int] = {}
        self._series_per_metric, self._series_total = CLIENT_SERIES_PER_METRIC, CLIENT_SERIES
        self.refusals = Refusals()
        self.definitions: list[SeriesDefinition] = []

    def set_scales(self, scales: dict[str, int]) -> None:
        """What the agent asks for by metric; holds for series defined from now on."""
        self._scales = scales

    def raise_caps(self, per_metric: int, total: int) -> None:
        """What the agent takes of a metric and in all, if that is more than a client makes by itself."""
        self._series_per_metric = max(self._series_per_metric, per_metric)
        self._series_total = max(self._series_total, total)

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
        is_judged: bool = True,
    ) -> Any:
        """The instrument of this name, made now or before; unless `is_judged`, no label is found near-unique.

        Raises `InstrumentError` for malformed names, for a built-in name, when the name is already defined
        differently, and for the 20,001st name.
        """
        instrument = Instrument(name, kind, help_text, unit, tuple(label_names), across=across, sketch=sketch)
        if not built_in:
            _check(instrument)
        with self._lock:
            known = self._instruments.get(name)
            if known is None:
                if len(self._instruments) >= CLIENT_METRICS:
                    raise InstrumentError(
                        f"{name} would be one metric more than the {CLIENT_METRICS:,} that a process may define: "
                        "let names stand for kinds of measurement, and put what differs into labels"
                    )
                known = self._instruments[name] = (instrument, self._make(instrument, is_judged))
        if known[0] != instrument:
            raise InstrumentError(f"{name} is already defined as {_describe(known[0])}, not as {_describe(instrument)}")
        return known[1]

    @property
    def series_per_metric(self) -> int:
        """How many series a metric may have; those of models have a cap of their own, if that is higher."""
        return self._series_per_metric

    def add_series(
        self,
        instrument: Instrument,
        labels: dict[str, str],
        prepare: Callable[[int], None] | None = None,
        *,
        is_overflow: bool = False,
    ) -> Any:
        """A new series of a metric of models; None if there is no room. The caller sees to it that it is new.

        `prepare` gets its number before anything is recorded. For an overflow series there is always room.
        """
        with self._lock:
            if len(self.definitions) >= self._series_total and not is_overflow:
                return None
            texts = {name: value.encode("utf-8", "replace").decode() for name, value in labels.items()}
            return self._number(instrument, texts, prepare)

    def refuse(self, metric: str, refusal: Refusal, text: str, times: int = 1) -> None:
        """Counts a refused label of a metric of models; the log gets the text with the first of its kind."""
        with self._lock:
            is_first = self.refusals.count(metric, refusal, times)
        if is_first:
            _warn(text)

    def _make(self, instrument: Instrument, is_judged: bool) -> AnyInstrument:
        if not instrument.label_names:
            bound: AnyInstrument = self._number(instrument, {})
            return bound
        series = MetricSeries(instrument.label_names, self._has_function, is_judged=is_judged)
        self._families[instrument.name] = series
        return FAMILIES[instrument.kind](instrument, series, self._bind, self._recorder.reject)

    def _has_function(self, bound: Any) -> bool:
        return self._recorder.has_function(bound.series)

    def _bind(self, instrument: Instrument, series: MetricSeries, key: Key | None) -> Any:
        """The series with these label values, found or made; without `key`, or if it is refused, the overflow series.

        What a logging handler does may come by here again: the log is written without the lock.
        """
        text = ""
        with self._lock:
            bound = self._overflow(instrument, series) if key is None else series.find(key)
            if bound is None:
                assert key is not None
                refusal = self._refusal(series, key, instrument)
                if refusal is None:
                    bound = self._add(instrument, series, key)
                else:
                    text = self._count_refusal(instrument.name, refusal, series)
                    bound = self._overflow(instrument, series)
        if text:
            _warn(text)
        return bound

    def _count_refusal(self, metric: str, refusal: Refusal, series: MetricSeries) -> str:
        """What is to be said in the log, if anything."""
        if not self.refusals.count(metric, refusal):
            return ""
        name, largest = max(self._families.items(), key=lambda each: len(each[1]))
        return warning(metric, refusal, series, Crowd(name, largest, len(self.definitions)))

    def _refusal(self, series: MetricSeries, key: Key, instrument: Instrument) -> Refusal | None:
        label, reason = _too_long(instrument.label_names, key), LENGTH
        if label is None:
            label, reason = series.refusing_label(key), NEAR_UNIQUE
        if label is None and len(series) >= self._series_per_metric:
            label, reason = series.largest_label(), PER_METRIC
        if label is None and len(self.definitions) >= self._series_total:
            label, reason = series.largest_label(), TOTAL
        return None if label is None else Refusal(label, key[instrument.label_names.index(label)], reason)

    def _overflow(self, instrument: Instrument, series: MetricSeries) -> Any:
        if series.overflow is None:
            series.overflow = self._number(instrument, OVERFLOW_LABELS)
        return series.overflow

    def _add(self, instrument: Instrument, series: MetricSeries, key: Key) -> Any:
        texts = (
            value.encode("utf-8", "replace").decode() for value in key
        )  # the wire takes no half of a surrogate pair
        labels = dict(zip(instrument.label_names, texts, strict=True))
        if instrument.name in OF_GENERATIONS and not labels["version"]:
            del labels["version"]
        if instrument.name in BUILT_IN:  # a request's model is only named where the program does
            labels = {name: value for name, value in labels.items() if value or name not in OF_A_MODEL}
        bound = self._number(instrument, labels)
        series.add(key, bound)
        return bound

    def _number(
        self, instrument: Instrument, labels: dict[str, str], prepare: Callable[[int], None] | None = None
    ) -> Any:
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
        if prepare is not None and instrument.kind is Kind.COLUMN:
            prepare(number)
        return getattr(self._recorder, instrument.kind.word)(number)


def _too_long(names: Sequence[str], key: Key) -> str | None:
    """The label whose value takes too many bytes; no letter takes more than four."""
    for name, value in zip(names, key, strict=True):
        if len(value) > LABEL_VALUE_BYTES_MAX // 4 and len(value.encode("utf-8", "replace")) > LABEL_VALUE_BYTES_MAX:
            return name
    return None


def _warn(text: str) -> None:
    import logging  # most programs have it loaded, and those that have not need it here only

    logging.getLogger("obsagent").warning(text)


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
    if name in OF_MODELS:
        raise InstrumentError(f"{name} is built in: it is fed by client.model() and what requests give to models")
    if name in OF_GENERATIONS:
        raise InstrumentError(f"{name} is built in: it is fed by client.generation()")
    if name in OF_RUNTIME:
        raise InstrumentError(f"{name} is built in: it is fed by client.watch_runtime() and client.watch_loop()")
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
