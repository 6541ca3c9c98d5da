"""How long does a question about a day of a series, an hour of many, or a month take inside the agent?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import zstandard

from benchmarks import days
from benchmarks.agents import scratch
from benchmarks.days import HOUR_MS, Day
from benchmarks.measure import Arm, Effort, interleave, repeating
from benchmarks.report import Row, Table, at_most, byte_size, comparison, nanoseconds
from benchmarks.stores import METRIC
from obsagent._native.codec import Groups, Transpose
from obsagent.answer.execute import Answer, answer
from obsagent.answer.language import parse
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS

SERIES = 100
SAMPLES = 1_000
ONE = 7
FRAME_BYTES = 64 << 10
MONTH_ROUNDS = 5  # a month as it was checkpointed takes seconds to read


class Question(NamedTuple):
    """A query, the hours before `now_ms` and the series that it is about, and what it may take, if that is said."""

    title: str
    text: str
    hours: int
    series: Sequence[int]
    goal_ms: float | None


def run(effort: Effort) -> list[Table]:
    """A table for each question: segments as they are kept over the least that a reader of all windows has to do."""
    hours, month = effort.size(24, 2), effort.size(30 * 24, 3)
    title = f"{month} h × 1 series"
    questions = [
        Question(f"{hours} h × 1 series", f"p99 {METRIC} endpoint=/007 since {hours}h", hours, [ONE], 5),
        Question(f"1 h × {SERIES} series", f"p99 {METRIC} since 1h", 1, range(SERIES), 20),
    ]
    of_month = [Question(title, f"p99 {METRIC} endpoint=/007 since {month}h", month, [ONE], None)]
    samples = effort.size(SAMPLES, 20)
    return [
        *_tables(questions, hours, SERIES, samples, effort),
        *_tables(of_month, month, ONE + 1, samples, replace(effort, rounds=min(effort.rounds, MONTH_ROUNDS))),
    ]


def _tables(questions: list[Question], hours: int, series_count: int, samples: int, effort: Effort) -> list[Table]:
    with scratch() as directory:
        day = days.write(directory, hours=hours + 1, series_count=series_count, samples=samples)
        store = Store.open(directory)
        views = {"as checkpointed": store.view()}
        while store.maybe_compact(day.end_ms):
            pass
        views["compacted"] = store.view()
        while store.maybe_roll_up(day.end_ms):
            pass
        views = {"**rolled up**": store.view(), **views}
        tables = [_table(question, day, samples, views, effort) for question in questions]
        store.close()
    return tables


def _table(question: Question, day: Day, samples: int, views: dict[str, View], effort: Effort) -> Table:
    now_ms = day.end_ms - HOUR_MS  # the last hour is in the newest file, which is not compacted
    frames = _frames(question, day, now_ms)
    query = parse(question.text)
    arms = [Arm("decompress and merge those rows", repeating(_merge, question, frames))]
    for name, view in views.items():
        arms.append(Arm(name, repeating(answer, query, view, now_ms)))
        _check(answer(query, view, now_ms), question, samples)
    reference, *timings = interleave(arms, effort)
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        goal_ms = question.goal_ms if timing is timings[0] else None
        goals = () if goal_ms is None else (at_most(timing.median * 1e3, goal_ms, "ms"),)
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return comparison(question.title, "the least", rows, _note(question, views, frames, now_ms, samples))


def _frames(question: Question, day: Day, now_ms: int) -> list[bytes]:
    """Exactly the rows that the question is about, by series, compressed."""
    transpose = Transpose()
    for start_ms in range(now_ms - question.hours * HOUR_MS, now_ms, WINDOW_MS):
        for _, _, rows in day.window(start_ms):
            transpose.add_rows(start_ms, rows)
    compress = zstandard.ZstdCompressor(level=1).compress
    frames = transpose.encode(FRAME_BYTES)
    return [compress(sections) for _, _, first, last, sections in frames if first in question.series]


def _merge(question: Question, frames: list[bytes]) -> Groups:
    groups = Groups(dict.fromkeys(question.series, 0), 1)
    decompress = zstandard.ZstdDecompressor().decompress
    for frame in frames:
        groups.merge_sections(decompress(frame), 0, days.BEGIN_MS * 2)
    return groups


def _check(answered: Answer, question: Question, samples: int) -> None:
    """An answer about less than everything would be quick for the wrong reason."""
    (row,) = answered["series"]
    expected = len(question.series) * samples * question.hours * HOUR_MS // WINDOW_MS
    if row["count"] != expected:
        raise RuntimeError(f"{question.text}: {row['count']} of {expected} samples")


def _note(question: Question, views: dict[str, View], frames: list[bytes], now_ms: int, samples: int) -> str:
    groups = Groups(dict.fromkeys(question.series, 0), 1)
    read = []
    for name, view in views.items():
        reads = view.collect(now_ms - question.hours * HOUR_MS, now_ms, groups).reads
        size = f"{byte_size(reads.bytes)} stored, {byte_size(reads.raw_bytes)} raw"
        read.append(f"{name.strip('*').capitalize()}: {reads.frames:,} frames, {size}.")
    rows = question.hours * HOUR_MS // WINDOW_MS * len(question.series)
    least = byte_size(sum(map(len, frames)))
    return (
        f"`{question.text}`, warm, in one process: {rows:,} rows of {samples:,} samples. "
        f"The least is {least} in memory, compressed. {' '.join(read)}"
    )
