"""Sketches: summaries of many values in a few kilobytes, usable on their own.

`LogHist(scale=6)` is a histogram with buckets of constant relative width. A quantile's relative error is at
most `relative_error`, 0.54 % at scale 6. Merging is exact: the same buckets in any order and any partition.

`TDigest(compression=200)` is a merging t-digest. It bounds the error in rank, tightly in both tails, and is
exact up to `compression` values; it does not bound the error in value: beside a gap in the data it can answer
with a value that nobody measured. Merges are approximate, and their order matters within the error.

`Edges(edges)` counts and sums values in bins that never change, as `numpy.histogram` does, with one bin more
below and one above. Counts are exact, and so is merging them.

`Moments()` has mean, variance, skewness and kurtosis, right within rounding in any order of merges, and exact
min, max and counts.

`TopK(k=128)` has the most frequent of any number of categories. No count is too high, and none too low by more
than `error`, which is at most total / (k + 1). Up to `k` categories it is exact.

`HyperLogLog(p=12)` estimates how many distinct values it has seen, with a standard error of `relative_error`,
1.6 % at p = 12. Merging is exact.

All take one value (`add`), many at once (`add_many`; a buffer of numbers without a copy), each other (`merge`),
and travel as bytes (`to_bytes`, `from_bytes`, pickle). -0.0 is 0.0; NaN and the infinities are counted apart and
in nothing else, but for `TopK` and `HyperLogLog`, to which they are values like others. To the last four None is
a null and no value.

    latency = LogHist()
    latency.add_many(array_of_seconds)
    p50, p99 = latency.quantiles([0.5, 0.99])
"""

from __future__ import annotations

from obsagent._native.sketch import Edges, HyperLogLog, LogHist, Moments, TDigest, TopK

__all__ = ["Edges", "HyperLogLog", "LogHist", "Moments", "TDigest", "TopK"]
