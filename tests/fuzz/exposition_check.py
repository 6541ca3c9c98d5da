"""What must hold for any bytes that another server calls its page of metrics."""

from __future__ import annotations

import math
from random import Random

from fuzz.block_parts import Mutate
from obsagent.collect.exposition import Malformed, Page, Sample, sample_of
from obsagent.collect.families import families_of
from obsagent.collect.restarts import Restarts
from obsagent.limits import LABEL_VALUE_BYTES_MAX, LABELS_MAX, METRIC_NAME_BYTES_MAX
from obsagent.samples import Kind

SAMPLES_MAX = 50
COMPLAINT_CHARACTERS_MAX = 3_000
PIECES = (
    *(
        "# TYPE a counter\n",
        "# TYPE a histogram\n",
        "# TYPE a summary\n",
        "# TYPE a gauge\n",
        "# EOF\n",
        "# HELP a b\\n\n",
    ),
    *("a_total 1\n", "a_created 2\n", 'a_bucket{le="1"} 1\n', 'a_bucket{le="+Inf"} 2\n', "a_sum 3\n", "a_count 2\n"),
    *('{"a b"} 1\n', 'a{b="\\"\\\\\\n"} 1 2 # {c="d"} 3\n', 'a{quantile="0.5",} NaN\n', 'a{le=""} -0\n', "a -Inf\n"),
    *("{", "}", '"', "\\", ",", "=", "#", " ", "\t", "\r", "\n", "\x00", "é", "1e999", "_created", "_total"),
)


def check_exposition(data: bytes) -> None:
    """Each line is a sample that can be written again, or is said in a few words; nothing is raised."""
    page = Page(samples_max=SAMPLES_MAX)
    for line in data.split(b"\n"):
        page.read(line)
    assert len(page.samples) <= SAMPLES_MAX
    for sample in page.samples:
        check_sample(sample)
    found = families_of(page)
    assert page.first_malformed.isprintable()
    assert len(page.first_malformed) <= COMPLAINT_CHARACTERS_MAX
    assert bool(page.malformed) is bool(page.first_malformed)
    for point in found.points:
        assert point.instrument.kind is not Kind.COUNTER or math.isfinite(point.value)
    series = [(point.instrument.name, point.labels) for point in found.points]
    assert len(set(series)) == len(series)
    restarts = Restarts()
    assert not restarts.begun(found.totals, 1.0, whole=True)
    assert not restarts.begun(found.totals, 2.0, whole=True)


def check_sample(sample: Sample) -> None:
    assert len(sample.name) <= METRIC_NAME_BYTES_MAX
    assert len(sample.labels) <= LABELS_MAX
    assert all(len(value.encode()) <= LABEL_VALUE_BYTES_MAX for _, value in sample.labels)
    try:
        again = sample_of(written(sample))
    except Malformed as error:
        raise AssertionError(f"{sample} is not read again: {error}") from error
    assert (again.name, again.labels) == (sample.name, sample.labels)
    assert again.value == sample.value or math.isnan(sample.value)


def written(sample: Sample) -> str:
    """A line that means the sample."""
    quoted = [f'"{_escaped(label)}"="{_escaped(value)}"' for label, value in sample.labels]
    return f"{{{','.join([_quoted(sample.name), *quoted])}}} {sample.value!r}"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def mutate_exposition(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Puts words of the format anywhere, and now and then bytes."""
    if chance.random() < 0.3:
        return mutate(data, size_max)
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(out) + 1)
        out[at : at + chance.choice((0, 0, 1, 8))] = chance.choice(PIECES).encode()
    return bytes(out[:size_max])
