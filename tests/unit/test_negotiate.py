"""Which format a scraper gets: what Prometheus of several versions sends, and what nobody should send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.export.negotiate import OPENMETRICS, PROTOBUF, TEXT, choose

NATIVE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
PROMETHEUS_2_42 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_42_TEXT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (PROMETHEUS_2_42, PROTOBUF),
        (PROMETHEUS_2_42_TEXT, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (NATIVE, PROTOBUF),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        (f"text/plain;q=0.5,{NATIVE};q=0.9", PROTOBUF),
        (f"{NATIVE};q=0.1,text/plain;q=0.5", TEXT),
        (f"{NATIVE};q=0,application/openmetrics-text;q=0.2", OPENMETRICS),
        (f"{NATIVE};q=2,application/openmetrics-text;q=nan,text/plain;q=0.1", TEXT),
        ("application/vnd.google.protobuf;proto=other.Message;encoding=delimited", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT),
        ("application/openmetrics-text; version=2.0.0, text/plain;q=0.1", TEXT),
        ('APPLICATION/OpenMetrics-Text; Version="1.0.0"; Q=0.5', OPENMETRICS),
        ("image/png", TEXT),
        (",;;=,q=1;;" * 1000, TEXT),
    ],
)
def test_the_format_that_is_wanted_most(accept: str, media_type: str) -> None:
    assert choose(accept).media_type == media_type


WORDS = ["application/vnd.google.protobuf", "text/plain", "*/*", "q=", "0.5", ";", ",", "=", '"', "version=1.0.0", " "]


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join)))
def test_whatever_is_asked_for_there_is_an_answer(accept: str) -> None:
    assert choose(accept).media_type in (PROTOBUF, OPENMETRICS, TEXT)


def test_content_types() -> None:
    assert choose(PROMETHEUS_2_42).content_type == NATIVE
    assert choose("application/openmetrics-text").content_type == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )
    assert choose("application/openmetrics-text;version=0.0.1").content_type.startswith(f"{OPENMETRICS}; version=0.0.1")
    assert choose("").content_type == "text/plain; version=0.0.4; charset=utf-8"
