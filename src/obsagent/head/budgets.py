"""What a store may use: the defaults are the product's, tests take tiny ones."""

from __future__ import annotations

from dataclasses import dataclass

from obsagent import limits


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits of one store, each with its unit in its name."""

    series_per_metric: int = limits.SERIES_PER_METRIC
    series_total: int = limits.SERIES_TOTAL
    head_bytes: int = limits.HEAD_BYTES
    unsynced_bytes: int = 2 * limits.JOURNAL_UNSYNCED_BYTES_MAX
    journal_file_bytes: int = limits.JOURNAL_FILE_BYTES
    segment_file_bytes: int = limits.SEGMENT_FILE_BYTES
    segment_file_age_ms: int = limits.SEGMENT_FILE_AGE_MS
    frame_bytes: int = limits.SEGMENT_FRAME_BYTES
    session_idle_ms: int = limits.SESSION_IDLE_LIMIT_MS
