"""Instruments: defined once, the same again gives the same, anything else raises where it is defined."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from obsagent._native.codec import Groups, SeriesMap, Window
from obsagent._native.ring import Counter, Gauge, Histogram, Recorder
from obsagent.errors import InstrumentError
from obsagent.limits import CLIENT_SERIES, CLIENT_SERIES_PER_METRIC, LABEL_VALUE_BYTES_MAX
from obsagent.record.registry import Registry
from obsagent.samples import Kind
from obsagent.wire.frame import MessageKind, definition_row, pack


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder(7)
    yield made
    made.stop()  # else the slot is free only when the registry, which is part of a cycle, has been collected


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


def test_a_value_that_is_too_long_overflows_and_says_so_once(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    family = registry.define(Kind.COUNTER, "c", "", "", ["path", "status"])
    over = family.labels(path="x" * LABEL_VALUE_BYTES_MAX + "y", status=200)
    assert family.labels(path="x" * 5000, status=404) is over
    assert family.labels(path="x" * LABEL_VALUE_BYTES_MAX, status=200) is not over
    assert registry.definitions[0].labels == {"overflow": "true"}
    (record,) = caplog.records
    assert "c: a value of the label path is longer than 1,024 bytes, xxxxx" in record.message
    assert [(row.label, row.reason, row.refused) for row in registry.refusals.rows()] == [("path", "length", 2)]


def test_half_a_surrogate_pair_goes_over_the_wire(registry: Registry) -> None:
    family = registry.define(Kind.COUNTER, "c", "", "", ["path"])
    assert family.labels(path="/a\udcff") is family.labels(path="/a\udcff")
    pack(MessageKind.DEFINE, series=[definition_row(each) for each in registry.definitions])
    assert registry.definitions[0].labels == {"path": "/a?"}


def test_observing_without_labels_is_rejected_and_said_once(registry: Registry, recorder: Recorder) -> None:
    families = [
        registry.define(kind, kind.word, "", "", ["step"]) for kind in (Kind.HISTOGRAM, Kind.COUNTER, Kind.GAUGE)
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            families[0].observe(1.0)
            families[1].inc()
            families[2].set(1.0)
    assert recorder.rejected_value == 9
    assert len(caught) == 3
    assert "labels(step=…)" in str(caught[0].message)


def test_series_beyond_the_metrics_cap_share_one(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    family = registry.define(Kind.COUNTER, "c", "", "", ["kind", "user"])
    first = [family.labels(kind=number % 2, user=number) for number in range(CLIENT_SERIES_PER_METRIC)]
    over = family.labels(kind=0, user="one more")
    assert family.labels(kind=0, user="and another") is over
    assert registry.definitions[-1].labels == {"overflow": "true"}
    assert len(registry.definitions) == CLIENT_SERIES_PER_METRIC + 1
    assert [family.labels(kind=number % 2, user=number) for number in range(CLIENT_SERIES_PER_METRIC)] == first
    (record,) = caplog.records
    assert record.name == "obsagent"
    assert record.message.startswith(
        "c has 2,000 series, as many as a metric may have; its label user has 2,000 values, such as 1999, 1998, "
        '1997: new ones go to c{overflow="true"}'
    )
    other = registry.define(Kind.COUNTER, "other", "", "", ["user"])
    assert other.labels(user="one more") is not other.labels(user="and another")


def test_series_beyond_the_cap_of_all_overflow_by_metric(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    families = [registry.define(Kind.COUNTER, f"c{number}", "", "", ["user"]) for number in range(12)]
    for family in families[:10]:
        for number in range(CLIENT_SERIES_PER_METRIC):
            family.labels(user=number)
    assert len(registry.definitions) == CLIENT_SERIES
    assert families[10].labels(user="x") is families[10].labels(user="y")
    assert families[11].labels(user="x") is not families[10].labels(user="x")
    assert len(registry.definitions) == CLIENT_SERIES + 2
    assert [record.message.partition(". Leave")[0] for record in caplog.records] == [
        f"this process has {total} series, as many as it may have; c0 has 2,000 of them, and its label user has "
        f'2,000 values, such as 1999, 1998, 1997: new ones go to {name}{{overflow="true"}}'
        for total, name in (("20,000", "c10"), ("20,001", "c11"))
    ]
    assert {(row.metric, row.reason, row.refused) for row in registry.refusals.rows()} == {
        ("c10", "total", 3),
        ("c11", "total", 1),
    }
    registry.define(Kind.COUNTER, "plain", "", "", ()).inc()


def test_an_agent_that_takes_more_raises_the_caps_and_one_that_takes_less_does_not_lower_them(
    registry: Registry,
) -> None:
    family = registry.define(Kind.COUNTER, "c", "", "", ["user"])
    registry.raise_caps(CLIENT_SERIES_PER_METRIC + 2, 5)
    bound = {family.labels(user=number) for number in range(CLIENT_SERIES_PER_METRIC + 10)}
    assert len(bound) == CLIENT_SERIES_PER_METRIC + 2 + 1
    registry.raise_caps(0, 0)
    assert family.labels(user="another") in bound


def test_there_is_an_end_to_names(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.record.registry.CLIENT_METRICS", 3)
    for number in range(3):
        registry.define(Kind.COUNTER, f"hits_of_{number}", "", "", ())
    with pytest.raises(InstrumentError, match="put what differs into labels"):
        registry.define(Kind.COUNTER, "hits_of_3", "", "", ())
    registry.define(Kind.COUNTER, "hits_of_2", "", "", ()).inc()


def test_scales_of_the_agent_hold_for_series_defined_later(registry: Registry) -> None:
    registry.define(Kind.HISTOGRAM, "early", "", "", ())
    registry.set_scales({"early": 3, "late": 4})
    registry.define(Kind.HISTOGRAM, "late", "", "", ())
    assert [definition.scale for definition in registry.definitions] == [6, 4]
