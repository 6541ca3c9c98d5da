"""A column of a reference from what a store keeps of it: counts over the bins of another reference, or a histogram.

A histogram's buckets are 1.1 % wide, so that edges can be put where buckets end: counts over such bins are exact, sums
are within half a bucket's width.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from obsagent.drift.binning import isolated
from obsagent.drift.dispersion import fit_kappa0
from obsagent.limits import REFERENCE_BINS, REFERENCE_CATEGORIES
from obsagent.reference.feature import CATEGORY, NUMBER, FeatureReference, Spread

if TYPE_CHECKING:
    from obsagent._native.sketch import Column
    from obsagent.sketches import LogHist, Moments


def feature_of(windows: Sequence[Column], like: FeatureReference | None, rows: int) -> FeatureReference:
    """The column whose consecutive windows are given, at least one of them.

    `like` is the reference over whose bins they were counted, None if that is not known.
    """
    whole = type(windows[0])._from_compact(windows[0]._to_compact())
    for window in windows[1:]:
        whole.merge(window)
    if like is not None and (whole.edge_counts is None or len(whole.edge_counts) != len(like.bin_counts)):
        like = None
    is_category = like.kind == CATEGORY if like else whole.category_count > whole.moments.count
    return _category(whole, windows, like, rows) if is_category else _number(whole, windows, like, rows)


def _category(whole: Column, windows: Sequence[Column], like: FeatureReference | None, rows: int) -> FeatureReference:
    if like is not None:
        names, counts = like.categories, whole.edge_counts or ()
        each = [window.edge_counts for window in windows if window.edge_counts is not None]
    else:
        known = whole.topk.items()[:REFERENCE_CATEGORIES] if whole.topk is not None else []
        names = tuple(_text(name) for name, _ in known)
        counts = _named_counts(whole, names)
        each = [_named_counts(window, names) for window in windows]
    return FeatureReference(
        kind=CATEGORY,
        type="text" if whole.category_count else "null",
        count=sum(counts),
        null_count=whole.null_count,
        wrong_type_count=whole.wrong_type_count,
        categories=names,
        category_counts=tuple(counts),
        distinct=whole.hll.count() if whole.hll is not None else 0.0,
        distinct_is_exact=False,
        kappa0=_kappa0(each, counts, rows),
    )


def _named_counts(column: Column, names: Sequence[str]) -> tuple[int, ...]:
    found = {_text(name): count for name, count in column.topk.items()} if column.topk is not None else {}
    counts = [found.get(name, 0) for name in names]
    return (*counts, column.category_count - sum(counts))


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _number(whole: Column, windows: Sequence[Column], like: FeatureReference | None, rows: int) -> FeatureReference:
    moments: Moments = whole.moments
    if like is not None:
        edges, counts, sums = like.edges, whole.edge_counts or (), whole.edge_sums or ()
        each = [window.edge_counts for window in windows if window.edge_counts is not None]
    else:
        edges = edges_of(whole.hist)
        counts, sums = counts_of(whole.hist, edges)
        each = [counts_of(window.hist, edges)[0] for window in windows] if edges else []
    return FeatureReference(
        kind=NUMBER,
        type="float" if moments.count else "null",
        count=moments.count,
        null_count=whole.null_count,
        nan_count=moments.nan_count,
        positive_infinity_count=moments.positive_infinity_count,
        negative_infinity_count=moments.negative_infinity_count,
        wrong_type_count=whole.wrong_type_count + whole.category_count,
        edges=edges,
        counts=tuple(counts),
        sums=tuple(sums),
        distinct=whole.hll.count() if whole.hll is not None else 0.0,
        distinct_is_exact=False,
        spread=_spread(moments),
        kappa0=_kappa0(each, counts, rows),
    )


def _spread(moments: Moments) -> Spread | None:
    if not moments.count:
        return None
    return Spread(moments.mean, moments.m2, moments.m3, moments.m4, moments.min, moments.max)


def _kappa0(windows: Sequence[Sequence[int]], counts: Sequence[int], rows: int) -> float:
    filled = [window for window in windows if sum(window)]
    if not sum(counts):
        return 0.0
    return float(fit_kappa0(filled, reference=counts, limit=float(rows))) if len(filled) > 1 else float(rows)


def edges_of(hist: LogHist) -> tuple[float, ...]:
    """Edges at the ends of buckets, about as many values between each two; none without a finite number."""
    buckets = [*_buckets(hist)]
    total = sum(count for _, _, count in buckets)
    if not total:
        return ()
    cuts, below, wanted = [hist.min], 0, 1
    for _, end, count in buckets:
        below += count
        if below * REFERENCE_BINS >= wanted * total:
            cuts.append(min(math.nextafter(end, math.inf), hist.max))
            wanted = below * REFERENCE_BINS // total + 1
    return tuple(isolated(sorted({*cuts, hist.max})))


def counts_of(hist: LogHist, edges: Sequence[float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Counts and sums of a histogram below the edges, in each bin, and above; a bucket is where its middle is."""
    counts, sums = [0] * (len(edges) + 1), [0.0] * (len(edges) + 1)
    for middle, _, count in _buckets(hist):
        middle = min(max(middle, hist.min), hist.max)
        at = len(edges) - 1 if middle == edges[-1] else bisect_right(edges, middle)
        counts[at] += count
        sums[at] += middle * count
    return (tuple(counts), tuple(sums)) if edges else ((), ())


def _buckets(hist: LogHist) -> Iterator[tuple[float, float, int]]:
    """Middle, upper end and count of each bucket, in ascending order."""
    width = 2.0**-hist.scale
    for index, count in reversed([*zip(*hist.buckets(negative=True), strict=True)]):
        low, high = _power(index * width), _power((index + 1) * width)
        yield -(low / 2 + high / 2), math.nextafter(-low, -math.inf), count
    if hist.zero_count:
        yield 0.0, 0.0, hist.zero_count
    for index, count in zip(*hist.buckets(), strict=True):
        low, high = _power(index * width), _power((index + 1) * width)
        yield low / 2 + high / 2, high, count


def _power(exponent: float) -> float:
    """2 to a power that may be beyond the doubles."""
    return 2.0**exponent if exponent < 1024 else 1.7976931348623157e308
