"""Names at the exporters: rules, the table of the built-ins, and what Prometheus allows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.exported import NAMES, UNITS, constant_labels, exported_name, family_name, label_name, unit_word
from obsagent.samples import Kind
from obsagent.semantic_conventions import CONVENTIONS, RESOURCE_ATTRIBUTES, attributes


@pytest.mark.parametrize(
    ("metric", "kind", "unit", "name"),
    [
        ("latency", Kind.HISTOGRAM, "seconds", "obsagent_request_duration_seconds"),
        ("queue_delay", Kind.HISTOGRAM, "seconds", "obsagent_request_queue_delay_seconds"),
        ("requests", Kind.COUNTER, "requests", "obsagent_requests_total"),
        ("errors", Kind.COUNTER, "requests", "obsagent_request_errors_total"),
        ("in_flight", Kind.GAUGE, "requests", "obsagent_requests_in_flight"),
        ("vllm:ttft", Kind.HISTOGRAM, "s", "vllm:ttft_seconds"),
        ("busy", Kind.COUNTER, "ms", "busy_milliseconds_total"),
        ("busy_total", Kind.COUNTER, "ms", "busy_milliseconds_total"),
        ("busy_seconds_total", Kind.COUNTER, "seconds", "busy_seconds_total"),
        ("tokens", Kind.COUNTER, "tokens", "tokens_total"),
        ("gpu_utilization", Kind.GAUGE, "1", "gpu_utilization_ratio"),
        ("2nd try", Kind.GAUGE, "", "_2nd_try"),
        ("größe", Kind.GAUGE, "By", "gr__e_bytes"),
        ("seconds", Kind.GAUGE, "seconds", "seconds"),
    ],
)
def test_names_follow_the_conventions(metric: str, kind: Kind, unit: str, name: str) -> None:
    assert exported_name(metric, kind, unit) == name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("endpoint", "endpoint"),
        ("http.route", "http_route"),
        ("9", "_9"),
        ("__name__", "_name__"),
        ("le", "exported_le"),
        ("quantile", "exported_quantile"),
    ],
)
def test_labels_do_not_touch_what_prometheus_sets_itself(label: str, name: str) -> None:
    assert label_name(label) == name


@given(st.text(min_size=1, max_size=20), st.sampled_from(Kind), st.sampled_from(["", *UNITS]))
def test_whatever_is_recorded_has_a_name_that_prometheus_takes(metric: str, kind: Kind, unit: str) -> None:
    name = exported_name(metric, kind, unit)
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name)
    assert re.fullmatch(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", label_name(metric))
    assert (kind is Kind.COUNTER) <= name.endswith("_total")
    family = family_name(metric, kind, unit)
    assert not unit or family == unit_word(unit) or family.endswith(f"_{unit_word(unit)}")


@pytest.mark.parametrize("metric", CONVENTIONS)
def test_what_has_a_convention_has_the_name_and_labels_of_that(metric: str) -> None:
    convention = CONVENTIONS[metric]
    unit = {"s": "seconds"}.get(convention.unit, "tokens")
    assert exported_name(metric, convention.kind, unit) == convention.prometheus_name
    labels = {
        "model": "m",
        "operation": "chat",
        "generation": "2",
        "service": "s",
        "host": "h",
        "worker": "0",
        "x": "y",
    }
    named = {**dict(constant_labels(metric)), **{label_name(label, metric): labels[label] for label in labels}}
    of_resource = {name: labels.pop(name) for name in RESOURCE_ATTRIBUTES}  # they keep our names
    expected = {name.replace(".", "_"): value for name, value in attributes(metric, labels).items()}
    assert named == {**expected, **of_resource}


def test_the_table_holds_names_without_suffixes() -> None:
    assert not [name for name in NAMES.values() if name.endswith(("_total", *UNITS.values()))]
