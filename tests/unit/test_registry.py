"""Instruments: defined once, the same again gives the same, anything else raises where it is defined."""

from __future__ import annotations

import gc
import warnings

import pytest

from obsagent._native.codec import Groups, SeriesMap, Window, check_body
from obsagent._native.ring import Counter, Gauge, Histogram, Recorder
from obsagent.errors import InstrumentError
from obsagent.limits import CLIENT_SERIES
from obsagent.record.registry import Registry
from obsagent.samples import Kind


@pytest.fixture
def recorder() -> Recorder:
    gc.collect()  # a registry of the test before holds its recorder, and so the slot, in a cycle
    return Recorder(7)


@pytest.fixture
def registry(recorder: Recorder) -> Registry:
    return Registry(recorder)


def test_an_instrument_without_labels_is_its_own_series(registry: Registry) -> None:
    assert isinstance(registry.define(Kind.HISTOGRAM, "h", "", "", ()), Histogram)
    assert isinstance(registry.define(Kind.COUNTER, "c", "", "", ()), Counter)
    assert isinstance(registry.define(Kind.GAUGE, "g", "", "", ()), Gauge)
    assert [definition.metric for definition in registry.definitions] == ["h", "c", "g"]


def test_the_same_definition_gives_the_same_instrument(registry: Registry) -> None:
    first = registry.define(Kind.HISTOGRAM, "h", "help", "seconds", ["step"])
    assert registry.define(Kind.HISTOGRAM, "h", "help", "seconds", ("step",)) is first


@pytest.mark.parametrize(
    "again",
    [
        (Kind.COUNTER, "h", "help", "seconds", ["step"]),
        (Kind.HISTOGRAM, "h", "other", "seconds", ["step"]),
        (Kind.HISTOGRAM, "h", "help", "ms", ["step"]),
        (Kind.HISTOGRAM, "h", "help", "seconds", []),
        (Kind.HISTOGRAM, "h", "help", "seconds", ["step"], "sum", "tdigest"),
    ],
)
def test_another_definition_raises_and_names_both(registry: Registry, again: tuple[object, ...]) -> None:
    registry.define(Kind.HISTOGRAM, "h", "help", "seconds", ["step"])
    with pytest.raises(InstrumentError, match="already defined as histogram"):
        registry.define(*again)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "1a", "a b", "a=b", "latency", "requests", "errors", "in_flight", "x" * 300])
def test_names_that_are_malformed_or_built_in_raise(registry: Registry, name: str) -> None:
    with pytest.raises(InstrumentError):
        registry.define(Kind.HISTOGRAM, name, "", "", ())


@pytest.mark.parametrize("labels", [["service"], ["a b"], ["a", "a"], [""], ["worker"], [f"l{i}" for i in range(99)]])
def test_label_names_are_checked(registry: Registry, labels: list[str]) -> None:
    with pytest.raises(InstrumentError):
        registry.define(Kind.HISTOGRAM, "h", "", "", labels)


def test_across_is_checked(registry: Registry) -> None:
    with pytest.raises(InstrumentError, match="sum, max, min, mean, last"):
        registry.define(Kind.GAUGE, "g", "", "", (), "product")


def test_sketch_is_checked_and_told_to_recorder_and_agent(registry: Registry, recorder: Recorder) -> None:
    with pytest.raises(InstrumentError, match=r"sketch='hdr'; expected one of loghist, tdigest"):
        registry.define(Kind.HISTOGRAM, "h", "", "", (), sketch="hdr")
    registry.define(Kind.HISTOGRAM, "h", "", "", (), sketch="tdigest").observe_many([1.0] * 300)
    registry.define(Kind.HISTOGRAM, "plain", "", "", ()).observe_many([1.0] * 300)
    assert [definition.sketch for definition in registry.definitions] == ["tdigest", "loghist"]
    recorder.seal(1000)
    batch = recorder.take(0)
    assert batch is not None
    groups = Groups({0: 0, 1: 1}, 2, digests=True)
    window, series_map = Window(), SeriesMap()
    for number in range(2):
        series_map.set(number, number, Kind.HISTOGRAM, digest=True)
    assert window.apply(batch.body, series_map, 0) == (600, 0)
    window.collect(groups)
    assert groups.tdigest(0) is not None
    assert groups.tdigest(1) is None
    assert len(batch.body_without_digests()) < len(batch.body)
    assert check_body(batch.body_without_digests()) == batch.samples == 600


def test_labels_bind_once(registry: Registry) -> None:
    family = registry.define(Kind.HISTOGRAM, "h", "", "", ["step", "status"])
    bound = family.labels(step="build", status=200)
    assert family.labels(status="200", step="build") is bound
    assert registry.definitions[0].labels == {"step": "build", "status": "200"}


@pytest.mark.parametrize("values", [{}, {"step": 1}, {"step": 1, "status": 2, "more": 3}, {"stop": 1, "status": 2}])
def test_wrong_label_names_raise_and_say_which(registry: Registry, values: dict[str, object]) -> None:
    family = registry.define(Kind.HISTOGRAM, "h", "", "", ["step", "status"])
    with pytest.raises(InstrumentError, match="h has the labels step, status"):
        family.labels(**values)


def test_a_label_value_has_a_length(registry: Registry) -> None:
    family = registry.define(Kind.COUNTER, "c", "", "", ["user"])
    with pytest.raises(InstrumentError, match="user"):
        family.labels(user="x" * 2000)


def test_observing_without_labels_is_rejected_and_said_once(registry: Registry, recorder: Recorder) -> None:
    families = [registry.define(kind, kind.word, "", "", ["step"]) for kind in Kind]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            families[0].observe(1.0)
            families[1].inc()
            families[2].set(1.0)
    assert recorder.rejected_value == 9
    assert len(caught) == 3
    assert "labels(step=…)" in str(caught[0].message)


def test_series_beyond_the_cap_share_one(registry: Registry) -> None:
    family = registry.define(Kind.COUNTER, "c", "", "", ["user"])
    for number in range(CLIENT_SERIES):
        family.labels(user=number)
    over = family.labels(user="one more")
    assert family.labels(user="and another") is over
    assert registry.definitions[-1].labels == {"overflow": "true"}
    assert len(registry.definitions) == CLIENT_SERIES + 1


def test_scales_of_the_agent_hold_for_series_defined_later(registry: Registry) -> None:
    registry.define(Kind.HISTOGRAM, "early", "", "", ())
    registry.set_scales({"early": 3, "late": 4})
    registry.define(Kind.HISTOGRAM, "late", "", "", ())
    assert [definition.scale for definition in registry.definitions] == [6, 4]
