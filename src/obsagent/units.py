"""Units of metrics: what each measures, and how much of the base unit it is."""

from __future__ import annotations

SECONDS = "seconds"
BYTES = "bytes"

MEASURES = {
    **dict.fromkeys(("seconds", "second", "s"), (SECONDS, 1.0)),
    **dict.fromkeys(("milliseconds", "millisecond", "ms"), (SECONDS, 1e-3)),
    **dict.fromkeys(("microseconds", "microsecond", "us", "µs"), (SECONDS, 1e-6)),
    **dict.fromkeys(("nanoseconds", "nanosecond", "ns"), (SECONDS, 1e-9)),
    **dict.fromkeys(("minutes", "minute", "min"), (SECONDS, 60.0)),
    **dict.fromkeys(("hours", "hour", "h"), (SECONDS, 3600.0)),
    **dict.fromkeys(("bytes", "byte", "By", "B"), (BYTES, 1.0)),
    **dict.fromkeys(("kilobytes", "kilobyte", "kB", "KB"), (BYTES, 1e3)),
    **dict.fromkeys(("megabytes", "megabyte", "MB"), (BYTES, 1e6)),
}
"""Unit of a metric → what it measures, and how much of its base unit it is."""
