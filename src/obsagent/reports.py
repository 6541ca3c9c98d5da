"""What readers ask an agent for besides its status: answers, and what is known of models and of single requests.

Each takes the fields of a message, as readers and the HTTP port hand them on, and raises `UsageError` for a mistake in
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from obsagent.answer.expected import References
from obsagent.answer.known import known_fields
from obsagent.answer.serve import answer_fields, text_of, zone_asked
from obsagent.clock import Clock
from obsagent.evaluate.drift_report import drift_report
from obsagent.evaluate.performance_report import performance_report
from obsagent.evaluate.quality_report import quality_report
from obsagent.evaluate.settings import Settings
from obsagent.evaluation import Evaluation
from obsagent.head.store import Store
from obsagent.models_config import ModelConfig

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Reports:
    """Any thread may ask."""

    store: Store
    clock: Clock
    references: References
    evaluation: Evaluation
    settings: Callable[[str], Settings]
    """How a model is judged for drift."""
    model: Callable[[str], ModelConfig | None]
    """What is configured of a model now."""

    def by_kind(self) -> dict[str, Callable[[Fields], Fields]]:
        """Those that have a kind of message of their own."""
        return {
            "drift": self.drift,
            "quality": self.quality,
            "performance": self.performance,
            "known": self.known,
        }

    def query(self, fields: Fields) -> Fields:
        """The answer to a query."""
        return answer_fields(fields, self.store.view(), self.clock.wall_ms(), self.references)

    def drift(self, fields: Fields) -> Fields:
        """What has drifted, as `obsagent.evaluate.drift_report` says."""
        text, zone, view = text_of(fields), zone_asked(fields), self.store.view()
        now_ms = self.clock.wall_ms()
        return self.evaluation.read(
            lambda state: drift_report(text, view, self.references, state, self.settings, now_ms, zone)
        )

    def quality(self, fields: Fields) -> Fields:
        """What is wrong with the data, as `obsagent.evaluate.quality_report` says."""
        text, zone = text_of(fields), zone_asked(fields)
        return quality_report(text, self.store.view(), self.references, self.clock.wall_ms(), zone, self._dropped)

    def _dropped(self, model: str) -> tuple[str, ...]:
        configured = self.model(model)
        return configured.drop if configured else ()

    def performance(self, fields: Fields) -> Fields:
        """How good models are, as `obsagent.evaluate.performance_report` says."""
        text, zone = text_of(fields), zone_asked(fields)
        return performance_report(text, self.store.view(), self.references, self.clock.wall_ms(), zone)

    def known(self, fields: Fields) -> Fields:
        """What is known by one id, as `obsagent.answer.known` says."""
        return known_fields(fields, self.store.records.view())
