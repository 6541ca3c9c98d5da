"""Writes what TensorFlow Data Validation finds for counts: tfdv.json.

    python3.11 -m venv ENVIRONMENT
    ENVIRONMENT/bin/pip install --no-deps tensorflow-data-validation==1.16.1 tensorflow-metadata 'protobuf>=6' \
        googleapis-common-protos
    ENVIRONMENT/bin/python tests/golden/drift/make_tfdv.py

Its distances are in its extension module, which is loaded by itself: the package around it wants TensorFlow and Beam.
Counts go in as statistics, the distances come out of the anomalies that it finds with a threshold of next to nothing.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

PACKAGE = "tensorflow-data-validation"
CATEGORIES = {
    "three": ([500, 300, 200], [80, 90, 30]),
    "two": ([700, 300], [55, 45]),
    "unseen before": ([500, 300, 200, 0], [80, 90, 30, 5]),
    "gone": ([500, 300, 200, 40], [80, 90, 30, 0]),
    "many, some rare": ([4000, 3000, 2000, 900, 80, 15, 4, 1], [390, 310, 190, 100, 6, 0, 3, 1]),
    "nothing in common": ([7, 3, 0, 0], [0, 0, 5, 5]),
    "nearly the same": ([100_000, 50_000, 25_000], [100_001, 50_000, 25_000]),
}
NUMBERS = {
    "moved": ([10, 40, 200, 500, 200, 40, 10], [2, 20, 80, 400, 350, 120, 28]),
    "gone": ([10, 40, 200, 500], [0, 0, 80, 400]),
}
FUNCTIONS = {"linf": "infinity_norm", "js_divergence": "jensen_shannon_divergence"}
NEXT_TO_NOTHING = 1e-300


def extension() -> Any:
    """Its kernels."""
    files = [file for file in distribution(PACKAGE).files or () if str(file).endswith("_extension.so")]
    spec = importlib.util.spec_from_file_location(files[0].stem, str(files[0].locate()))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def statistics(counts: Sequence[int], *, are_categories: bool) -> bytes:
    """Of one column, "x"."""
    data = statistics_pb2.DatasetFeatureStatistics(num_examples=sum(counts))
    feature = data.features.add()
    feature.path.step.append("x")
    if are_categories:
        feature.type = statistics_pb2.FeatureNameStatistics.STRING
        common = feature.string_stats.common_stats
        feature.string_stats.unique = sum(map(bool, counts))
        for place, count in enumerate(counts):
            if count:
                feature.string_stats.rank_histogram.buckets.add(label=f"c{place}", sample_count=count)
                feature.string_stats.top_values.add(value=f"c{place}", frequency=count)
    else:
        feature.type = statistics_pb2.FeatureNameStatistics.FLOAT
        common = feature.num_stats.common_stats
        histogram = feature.num_stats.histograms.add(type=statistics_pb2.Histogram.STANDARD)
        for place, count in enumerate(counts):
            histogram.buckets.add(low_value=place, high_value=place + 1, sample_count=count)
        feature.num_stats.min, feature.num_stats.max = 0, len(counts)
    common.num_non_missing = common.tot_num_values = sum(counts)
    common.min_num_values = common.max_num_values = 1
    common.avg_num_values = 1.0
    return bytes(data.SerializeToString())


def measured(
    kernels: Any, function: str, before: Sequence[int], after: Sequence[int], *, are_categories: bool
) -> float:
    """The distance that it reports between two spans."""
    schema = schema_pb2.Schema()
    kind = schema_pb2.BYTES if are_categories else schema_pb2.FLOAT
    feature = schema.feature.add(name="x", type=kind)
    getattr(feature.drift_comparator, FUNCTIONS[function]).threshold = NEXT_TO_NOTHING
    spans = [statistics(counts, are_categories=are_categories) for counts in (after, before)]
    texts = [spans[0], schema.SerializeToString(), b"", spans[1], b"", b"", b"", b""]
    found = anomalies_pb2.Anomalies.FromString(kernels.validation.ValidateFeatureStatistics(*texts, False))
    (info,) = found.drift_skew_info
    (measurement,) = info.drift_measurements
    return float(measurement.value)


def cases() -> Iterator[dict[str, Any]]:
    """Both of its distances of categories, and the one that it has of numbers."""
    kernels = extension()
    for sides, functions, are_categories in ((CATEGORIES, FUNCTIONS, True), (NUMBERS, ["js_divergence"], False)):
        for name, (before, after) in sides.items():
            for function in functions:
                value = measured(kernels, function, before, after, are_categories=are_categories)
                yield {"name": name, "function": function, "reference": before, "current": after, "value": value}


def main() -> None:
    lines = ",\n".join(json.dumps(case) for case in cases())
    text = f'{{"tfdv": "{version(PACKAGE)}", "cases": [\n{lines}\n]}}\n'
    Path(__file__).with_name("tfdv.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
