"""Sketches: summaries of many numbers in a few kilobytes, usable on their own.

`LogHist(scale=6)` is a histogram with buckets of constant relative width. A quantile's relative error is at
most `relative_error`, 0.54 % at scale 6. Merging is exact: the same buckets in any order and any partition.

`TDigest(compression=200)` is a merging t-digest. It bounds the error in rank, tightly in both tails, and is
exact up to `compression` values; it does not bound the error in value: beside a gap in the data it can answer
with a value that nobody measured. Merges are approximate, and their order matters within the error.

Both take one number (`add`), a whole buffer without copying it (`add_many`), each other (`merge`), answer
`quantile`, `quantiles` and `cdf`, and travel as bytes (`to_bytes`, `from_bytes`, pickle).

    latency = LogHist()
    latency.add_many(array_of_seconds)
    p50, p99 = latency.quantiles([0.5, 0.99])
"""

from __future__ import annotations

from obsagent._native.sketch import LogHist, TDigest

__all__ = ["LogHist", "TDigest"]
