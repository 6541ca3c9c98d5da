"""OpenTelemetry's names for what obsagent measures of language models and of Python.

Names of language models are those of OpenTelemetry's GenAI conventions, status *development*, as they were published
with the semantic conventions 1.41 and stand, without a release of its own yet, in the repository
open-telemetry/semantic-conventions-genai (docs/gen-ai/gen-ai-metrics.md at 004902b8, 2026), to which 1.42 moved them;
names of the garbage collector are those of the semantic conventions 1.44 (`cpython.gc.*`, *development*).

    metric                      OpenTelemetry's name                             unit      its meaning there
    time_to_first_token         gen_ai.server.time_to_first_token                s         of generations that end well
    time_per_output_token       gen_ai.server.time_per_output_token              s         the same
    generation_duration         gen_ai.server.request.duration                   s         the same
    inter_token_latency         gen_ai.client.operation.time_per_output_chunk    s         as the reader sees it
    tokens_in_per_generation    gen_ai.client.token.usage                        {token}   gen_ai.token.type=input
    tokens_out_per_generation   gen_ai.client.token.usage                        {token}   gen_ai.token.type=output
    python_gc_collections       cpython.gc.collections                           {collection}
    …

`time_to_first_token` counts every first token, that of a generation which fails later too: when it came is known, and
the slow ones are those that are given up. What has no convention (queue delay, tokens per second, generations by how
they ended, event loops) keeps its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from obsagent.samples import Kind

PROVIDER = "gen_ai.provider.name"
"""Required by the conventions, which take it for the flavour of what is sent; models that are served here are ours."""
PROVIDER_VALUE = "obsagent"

UNIT_WORDS = {"s": "seconds", "By": "bytes"}
"""UCUM units → the suffix of a Prometheus name; what stands in braces says only what is counted, and gives none."""


@dataclass(frozen=True, slots=True)
class Convention:
    """What a metric is called by OpenTelemetry; `constant` are attributes that all its series have."""

    name: str
    kind: Kind
    unit: str
    constant: Mapping[str, str] = field(default_factory=dict)

    @property
    def prometheus_name(self) -> str:
        """The name by OpenTelemetry's rules for Prometheus: underscores, the unit, `_total` for counters."""
        word = UNIT_WORDS.get(self.unit)
        name = _underscored(self.name) + (f"_{word}" if word else "")
        return f"{name}_total" if self.kind is Kind.COUNTER else name


def _gen_ai(name: str, unit: str, **constant: str) -> Convention:
    attributes = {
        PROVIDER: PROVIDER_VALUE,
        **{f"gen_ai.{key.replace('_', '.')}": each for key, each in constant.items()},
    }
    return Convention(f"gen_ai.{name}", Kind.HISTOGRAM, unit, attributes)


CONVENTIONS = {
    "time_to_first_token": _gen_ai("server.time_to_first_token", "s"),
    "time_per_output_token": _gen_ai("server.time_per_output_token", "s"),
    "generation_duration": _gen_ai("server.request.duration", "s"),
    "inter_token_latency": _gen_ai("client.operation.time_per_output_chunk", "s"),
    "tokens_in_per_generation": _gen_ai("client.token.usage", "{token}", token_type="input"),
    "tokens_out_per_generation": _gen_ai("client.token.usage", "{token}", token_type="output"),
    "python_gc_collections": Convention("cpython.gc.collections", Kind.COUNTER, "{collection}"),
    "python_gc_collected_objects": Convention("cpython.gc.collected_objects", Kind.COUNTER, "{object}"),
    "python_gc_uncollectable_objects": Convention("cpython.gc.uncollectable_objects", Kind.COUNTER, "{object}"),
}
"""Metric → what OpenTelemetry calls it."""

GEN_AI_ATTRIBUTES = {
    "model": "gen_ai.request.model",
    "operation": "gen_ai.operation.name",
    "finish_reason": "gen_ai.response.finish_reasons",
    "error": "error.type",
}
CPYTHON_ATTRIBUTES = {"generation": "cpython.gc.generation"}
RESOURCE_ATTRIBUTES = {"service": "service.name", "host": "host.name"}
"""Labels that are attributes of OpenTelemetry's resource, not of a point."""


def attributes(metric: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a series: a label that has no convention keeps its name, one without a value is left out.

    The `version` of a language model's series is its own, not the service's.
    """
    convention = CONVENTIONS.get(metric)
    found = dict(convention.constant) if convention else {}
    names = _attribute_names(convention)
    found.update((names.get(label, label), value) for label, value in labels.items() if value)
    return found


def prometheus_labels(metric: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The same with names that Prometheus takes; labels of the resource keep obsagent's names."""
    return {
        _underscored(name): value
        for name, value in attributes(metric, {k: v for k, v in labels.items() if k not in RESOURCE_ATTRIBUTES}).items()
    } | {name: labels[name] for name in RESOURCE_ATTRIBUTES if labels.get(name)}


def _attribute_names(convention: Convention | None) -> dict[str, str]:
    if convention is None:
        return RESOURCE_ATTRIBUTES
    of_kind = GEN_AI_ATTRIBUTES if convention.name.startswith("gen_ai.") else CPYTHON_ATTRIBUTES
    return {**RESOURCE_ATTRIBUTES, **of_kind}


def _underscored(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)
