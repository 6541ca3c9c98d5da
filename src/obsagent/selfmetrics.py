"""What the agent measures about itself: names, units and help in one table."""

from __future__ import annotations

from typing import NamedTuple

from obsagent.samples import Kind


class SelfMetric(NamedTuple):
    """One of the agent's own metrics."""

    name: str
    kind: Kind
    unit: str
    help: str


SERVICE = "obsagent"
"""The service of the agent's own session: no client."""

MESSAGES = SelfMetric("obsagent_messages", Kind.COUNTER, "messages", "Messages received from clients")
MALFORMED = SelfMetric("obsagent_malformed", Kind.COUNTER, "messages", "Messages refused as malformed")
REFUSED = SelfMetric("obsagent_refused", Kind.COUNTER, "attempts", "Attempts to come in without a key that may")
SYNC_DURATION = SelfMetric("obsagent_sync_duration", Kind.HISTOGRAM, "seconds", "Time to sync the journal once")
CHECKPOINT_DURATION = SelfMetric(
    "obsagent_checkpoint_duration", Kind.HISTOGRAM, "seconds", "Time to write the head to a segment"
)
HEAD_BYTES = SelfMetric("obsagent_head_bytes", Kind.GAUGE, "bytes", "Memory of the windows not yet in a segment")
SERIES = SelfMetric("obsagent_series", Kind.GAUGE, "series", "Series known to the store")
SESSIONS = SelfMetric("obsagent_sessions", Kind.GAUGE, "sessions", "Sessions that are alive")
CPU_SECONDS = SelfMetric("obsagent_cpu_seconds", Kind.COUNTER, "seconds", "Processor time of the agent")
RESIDENT_BYTES = SelfMetric("obsagent_resident_bytes", Kind.GAUGE, "bytes", "Resident memory of the agent")
