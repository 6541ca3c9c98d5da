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
REFUSED = SelfMetric("obsagent_refused", Kind.COUNTER, "messages", "Messages refused, by the code of the answer")
EXEMPLARS_REFUSED = SelfMetric(
    "obsagent_exemplars_refused", Kind.COUNTER, "exemplars", "Exemplars refused, by what is wrong with them"
)
UNREAD = SelfMetric("obsagent_unread_replies", Kind.COUNTER, "messages", "Answers dropped: the client does not read")
OVERLOADED = SelfMetric(
    "obsagent_overloaded_seconds", Kind.COUNTER, "seconds", "Time in which clients were not read: the disk is too slow"
)
CLOCK_STEPS = SelfMetric("obsagent_clock_steps", Kind.COUNTER, "steps", "How often the clock was set, by direction")
PROBLEMS = SelfMetric("obsagent_problems", Kind.GAUGE, "problems", "What is wrong now; `obsagent status` names it")
SYNC_FAILURES = SelfMetric("obsagent_sync_failures", Kind.COUNTER, "failures", "Failed syncs of the journal")
CHECKPOINT_FAILURES = SelfMetric(
    "obsagent_checkpoint_failures", Kind.COUNTER, "failures", "Failures to write the head to a segment"
)
UPKEEP_FAILURES = SelfMetric(
    "obsagent_upkeep_failures", Kind.COUNTER, "failures", "Failures to compact, roll up or remove segments"
)
READINGS_DROPPED = SelfMetric(
    "obsagent_readings_dropped", Kind.COUNTER, "readings", "Readings of collectors for which there was no room"
)
UNSYNCED_BYTES = SelfMetric("obsagent_unsynced_bytes", Kind.GAUGE, "bytes", "Journal that is not on disk yet")
SAMPLES_OBSERVED = SelfMetric(
    "obsagent_samples_observed", Kind.COUNTER, "samples", "Samples observed by a service, as far as the store knows"
)
SAMPLES = SelfMetric("obsagent_samples", Kind.COUNTER, "samples", "Samples of a service, by what became of them")
SAMPLES_PENDING = SelfMetric(
    "obsagent_samples_pending", Kind.GAUGE, "samples", "Samples of a service that are observed and not delivered yet"
)
RECORDS = SelfMetric(
    "obsagent_records", Kind.COUNTER, "records", "Predictions, truths and rows by id, by what became of them"
)
LEDGER_BYTES = SelfMetric("obsagent_ledger_bytes", Kind.GAUGE, "bytes", "Records in memory that no file holds yet")
DENIED = SelfMetric("obsagent_denied", Kind.COUNTER, "attempts", "Attempts to come in without a key that may")
SYNC_DURATION = SelfMetric("obsagent_sync_duration", Kind.HISTOGRAM, "seconds", "Time to sync the journal once")
CHECKPOINT_DURATION = SelfMetric(
    "obsagent_checkpoint_duration", Kind.HISTOGRAM, "seconds", "Time to write the head to a segment"
)
HEAD_BYTES = SelfMetric("obsagent_head_bytes", Kind.GAUGE, "bytes", "Memory of the windows not yet in a segment")
SERIES = SelfMetric("obsagent_series", Kind.GAUGE, "series", "Series known to the store")
SESSIONS = SelfMetric("obsagent_sessions", Kind.GAUGE, "sessions", "Sessions that are alive")
CPU_SECONDS = SelfMetric("obsagent_cpu_seconds", Kind.COUNTER, "seconds", "Processor time of the agent")
RESIDENT_BYTES = SelfMetric("obsagent_resident_bytes", Kind.GAUGE, "bytes", "Resident memory of the agent")
