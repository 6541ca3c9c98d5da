"""What a store may use: the defaults are the product's, tests take tiny ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    disk_bytes: int = limits.DISK_BYTES
    retention_ms: tuple[int, ...] = limits.TIER_RETENTION_MS
    """How long each tier is kept, in the order of `limits.TIER_WINDOWS_MS`."""

    def retention_of(self, window_ms: int) -> int:
        """How long (ms) the tier of these windows is kept."""
        return self.retention_ms[limits.TIER_WINDOWS_MS.index(window_ms)]

    def within_disk(self) -> Budgets:
        """These, with files so small that the disk's budget and the retention can be kept by removing some."""
        return replace(
            self,
            journal_file_bytes=min(self.journal_file_bytes, self.disk_bytes // FILES_MIN),
            segment_file_bytes=min(self.segment_file_bytes, self.disk_bytes // FILES_MIN),
            segment_file_age_ms=min(self.segment_file_age_ms, self.retention_ms[0] // FILES_MIN),
        )


FILES_MIN = 16
"""How many files there are at least in what a store may keep."""
