"""What has changed from one reference to another: columns, kinds, categories, distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from obsagent.drift import chi_squared, js_distance, ks, psi, wasserstein
from obsagent.reference.feature import CATEGORY, FeatureReference
from obsagent.reference.rebin import rebinned
from obsagent.reference.reference import Reference

ADDED = "added"
REMOVED = "removed"
KIND = "other kind"
SAME = "same"


@dataclass(frozen=True, slots=True)
class Difference:
    """One column. Divergences are over the old reference's bins; None where there is nothing to compare."""

    name: str
    change: str
    """`added`, `removed`, `other kind`, or `same`: its schema is as it was."""
    old: FeatureReference | None
    new: FeatureReference | None
    divergences: Mapping[str, float] = field(default_factory=dict)
    """psi, js_distance; of numbers ks and wasserstein (in the old standard deviation), of categories chi_squared."""
    guessed: float = 0.0
    """The share of the new values of which the new reference does not say in which of the old bins they are."""
    come: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    """Categories that only one of the two tells apart."""


def differences(old: Reference, new: Reference) -> list[Difference]:
    """Every column of either, in the order of the old one, new ones last."""
    return [*_differences(_columns(old), _columns(new))]


def _columns(reference: Reference) -> dict[str, FeatureReference]:
    return {**reference.columns, **({"truth": reference.truth} if reference.truth else {})}


def _differences(old: Mapping[str, FeatureReference], new: Mapping[str, FeatureReference]) -> Iterator[Difference]:
    for name, before in old.items():
        after = new.get(name)
        if after is None:
            yield Difference(name, REMOVED, before, None)
        elif after.kind != before.kind:
            yield Difference(name, KIND, before, after)
        else:
            yield _of_categories(name, before, after) if before.kind == CATEGORY else _of_numbers(name, before, after)
    yield from (Difference(name, ADDED, None, after) for name, after in new.items() if name not in old)


def _of_numbers(name: str, old: FeatureReference, new: FeatureReference) -> Difference:
    if not old.count or not new.count:
        return Difference(name, SAME, old, new)
    there = rebinned(new, old.edges)
    found = {
        "psi": psi(old.counts, there.counts),
        "js_distance": js_distance(old.counts, there.counts),
        "ks": float(ks(old.counts, there.counts)),
    }
    if all(map(math.isfinite, (*old.sums, *there.sums))):  # sums of the greatest doubles overflow
        found["wasserstein"] = wasserstein(
            old.counts, there.counts, old.edges, reference_sums=old.sums, current_sums=there.sums, stddev=old.stddev
        )
    return Difference(name, SAME, old, new, found, there.guessed)


def _of_categories(name: str, old: FeatureReference, new: FeatureReference) -> Difference:
    counts = dict(zip(new.categories, new.category_counts, strict=False))
    there = [counts.get(category, 0) for category in old.categories]
    there.append(new.count - sum(there))
    come = tuple(category for category in new.categories if category not in old.categories)
    gone = tuple(category for category in old.categories if category not in new.categories)
    if not old.count or not new.count:
        return Difference(name, SAME, old, new, come=come, gone=gone)
    found = {
        "psi": psi(old.category_counts, there),
        "js_distance": js_distance(old.category_counts, there),
        "chi_squared": float(chi_squared(old.category_counts, there)),
    }
    return Difference(name, SAME, old, new, found, come=come, gone=gone)
