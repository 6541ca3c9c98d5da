"""OpenTelemetry's names: which metric has which, and that each is one that the client feeds."""

from __future__ import annotations

import re

import pytest

import obsagent
from obsagent.export.semantic_conventions import CONVENTIONS, attributes, prometheus_labels
from obsagent.samples import Kind
from obsagent.testing import Memory


@pytest.mark.parametrize(
    ("metric", "name", "prometheus"),
    [
        (
            "time_to_first_token",
            "gen_ai.server.time_to_first_token",
            "gen_ai_server_time_to_first_token_seconds",
        ),
        (
            "time_per_output_token",
            "gen_ai.server.time_per_output_token",
            "gen_ai_server_time_per_output_token_seconds",
        ),
        ("generation_duration", "gen_ai.server.request.duration", "gen_ai_server_request_duration_seconds"),
        ("tokens_in_per_generation", "gen_ai.client.token.usage", "gen_ai_client_token_usage"),
        ("tokens_out_per_generation", "gen_ai.client.token.usage", "gen_ai_client_token_usage"),
        ("python_gc_collections", "cpython.gc.collections", "cpython_gc_collections_total"),
    ],
)
def test_names(metric: str, name: str, prometheus: str) -> None:
    assert (CONVENTIONS[metric].name, CONVENTIONS[metric].prometheus_name) == (name, prometheus)


def test_every_name_is_of_a_metric_that_is_fed_and_of_its_kind(obsagent_memory: Memory) -> None:
    obs = obsagent.connect(service="chat", runtime_metrics=True)
    with obs.generation("llama-3"):
        pass
    kinds = {each.metric: (each.kind, each.unit) for each in obs.definitions}
    units = {"s": "seconds", "{token}": "tokens"}
    for metric, convention in CONVENTIONS.items():
        kind, unit = kinds[metric]
        assert kind is convention.kind
        assert unit == units.get(convention.unit, "")
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", convention.name)
    with_their_kind = {(each.prometheus_name, *sorted(each.constant.items())) for each in CONVENTIONS.values()}
    assert len(with_their_kind) == len(CONVENTIONS)


def test_labels_become_attributes() -> None:
    labels = {"model": "llama-3", "operation": "chat", "endpoint": "/chat", "version": "", "service": "chat"}
    assert attributes("tokens_out_per_generation", labels) == {
        "gen_ai.provider.name": "obsagent",
        "gen_ai.token.type": "output",
        "gen_ai.request.model": "llama-3",
        "gen_ai.operation.name": "chat",
        "endpoint": "/chat",
        "service.name": "chat",
    }
    assert prometheus_labels("time_to_first_token", labels) == {
        "gen_ai_provider_name": "obsagent",
        "gen_ai_request_model": "llama-3",
        "gen_ai_operation_name": "chat",
        "endpoint": "/chat",
        "service": "chat",
    }
    assert attributes("python_gc_collections", {"generation": "2"}) == {"cpython.gc.generation": "2"}


def test_what_has_no_convention_keeps_its_names() -> None:
    assert Kind.HISTOGRAM is CONVENTIONS["generation_duration"].kind
    assert "generation_queue_delay" not in CONVENTIONS
    assert attributes("generation_queue_delay", {"model": "llama-3"}) == {"model": "llama-3"}
