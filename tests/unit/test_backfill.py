"""Features and predictions of another time: two hours back by the window, a horizon back by the hour."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import obsagent
from obsagent._native.codec import BodyWriter, Groups
from obsagent.errors import FeatureError
from obsagent.head.accounts import Accounts
from obsagent.limits import BACKFILL_VALUES, HORIZON_MS
from obsagent.samples import Kind
from obsagent.testing.memory import Memory
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind
from obsagent.wire.rules import ColumnRule, Rules

HOUR_S, DAY_S = 3_600, 86_400
YEAR_MS = 365 * DAY_S * 1_000
RULES = Rules(
    reference="0123456789abcdef",
    features={
        "amount": ColumnRule("number", edges=(0.0, 1.0, 2.0)),
        "shop": ColumnRule("category", categories=("bakery", "7")),
    },
    drop=frozenset({"email"}),
    hash=frozenset({"card"}),
    hash_key=bytes(32),
    horizon_ms=YEAR_MS,
)
ROWS: list[dict[str, Any]] = [
    {"amount": 0.5, "shop": "bakery", "card": "4711", "age": 3},
    {"amount": None, "shop": None, "card": None, "age": 4},
    {"amount": 1.5, "shop": "bank", "card": "0815", "age": 5},
    {"amount": float("nan"), "shop": "bakery", "card": "4711", "age": 6},
]


def served(memory: Memory, rules: Rules = RULES) -> tuple[Any, Any, float]:
    """A client, a model with these rules, and the time."""
    memory._agent.rules["fraud", "4"] = rules
    obs = obsagent.connect(service="fraud")
    return obs, obs.model("fraud", version="4"), memory.clock.now().timestamp()


def columns(memory: Memory, from_s: float, to_s: float) -> dict[str, Any]:
    """Everything of each feature that was stored in a range."""
    memory._take_in()
    view = memory._agent.store.view()
    found = {}
    for series in view.series():
        groups = Groups({series.id: 0}, 1)
        view.collect(int(from_s * 1000), int(to_s * 1000), groups)
        if groups.samples(0):
            name = series.labels.get("feature", series.metric)
            found[name] = groups.column(0), groups.histogram(0), groups.counter(0)[1]
    return {name: value for name, value in found.items() if not name.startswith("obsagent")}


def test_what_is_old_is_kept_by_the_hour(obsagent_memory: Memory) -> None:
    obs, fraud, now = served(obsagent_memory)
    hour = (now - 300 * DAY_S) // HOUR_S * HOUR_S
    times = [hour + 1_800, hour + 10, hour + HOUR_S, now - 600]
    fraud.features(ROWS, at=times)
    fraud.predictions([1, 0, 1, 1], scores=[0.9, 0.1, 0.8, 0.7], at=times)
    assert columns(obsagent_memory, hour, hour + 10)["feature_rows"][2] == 2
    assert columns(obsagent_memory, hour + HOUR_S, hour + HOUR_S + 10)["predictions"][2] == 1
    assert columns(obsagent_memory, hour + 10, hour + HOUR_S) == {}
    assert obsagent_memory.query("sum feature_rows since 20m")[0]["sum"] == 1
    by_day = obsagent_memory.query("sum predictions since 301d step 1d")[0]
    assert sum(point["sum"] or 0 for point in by_day.points) == 4
    assert obs.flush()[1:] == (0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("past_s", [600, 100 * DAY_S])
@pytest.mark.parametrize(
    "given",
    [
        ROWS,
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
        pandas.DataFrame(ROWS).convert_dtypes(),
        pandas.DataFrame(ROWS),
        polars.DataFrame(ROWS),
        pyarrow.Table.from_pylist(ROWS),
    ],
    ids=["rows", "columns", "nullable frame", "frame", "polars", "arrow"],
)
def test_a_column_is_counted_as_if_it_were_of_now(obsagent_memory: Memory, given: Any, past_s: int) -> None:
    _, fraud, now = served(obsagent_memory)
    fraud.features(given)
    fraud.features(given, at=now - past_s)
    of_now, of_then = columns(obsagent_memory, now - 60, now + 60), columns(obsagent_memory, 0, now - 300)
    assert of_now == of_then
    assert of_now.keys() == {"amount", "shop", "card", "age", "feature_rows"}


@pytest.mark.parametrize("matrix", [np.arange(12.0).reshape(4, 3), memoryview(np.arange(12.0).reshape(4, 3))])
def test_rows_of_a_matrix_go_to_their_times(obsagent_memory: Memory, matrix: Any) -> None:
    _, fraud, now = served(obsagent_memory)
    fraud.features(matrix, names=["amount", "email", "shop"], at=[now - DAY_S, now - 600, now - DAY_S, now - 600])
    then, later = columns(obsagent_memory, 0, now - HOUR_S), columns(obsagent_memory, now - HOUR_S, now)
    for found, rows in ((then, (0, 2)), (later, (1, 3))):
        fraud.features(np.arange(12.0).reshape(4, 3)[list(rows)], names=["amount", "email", "shop"])
        assert found == columns(obsagent_memory, now - 60, now + 60)
        obsagent_memory.clock.advance(120)
        now = obsagent_memory.clock.now().timestamp()
    assert "email" not in then


def test_a_request_says_when_its_rows_were(obsagent_memory: Memory) -> None:
    obs, fraud, now = served(obsagent_memory)
    then = datetime.datetime.fromtimestamp(now - 40 * DAY_S, datetime.UTC)
    with obs.request("/score", model=fraud) as request:
        request.slice(country="DE")
        request.features({"amount": 1.0}, at=then)
        request.features({"shop": "bakery"}, at=then)
        request.features({"age": 3})
        request.prediction(1, 0.5, at=then)
    assert columns(obsagent_memory, 0, now - DAY_S).keys() == {
        "amount",
        "shop",
        "prediction.value",
        "prediction.score",
        "feature_rows",
        "predictions",
    }
    assert columns(obsagent_memory, 0, now - DAY_S)["feature_rows"][2] == 1
    assert obsagent_memory.query("count feature country=DE since 41d")[0]["count"] == 4  # of numbers
    assert obsagent_memory.count("requests") == 1


def test_beyond_the_horizon_and_ahead_is_rejected_and_counted(obsagent_memory: Memory) -> None:
    obs, fraud, now = served(obsagent_memory)
    fraud.features(ROWS[:3], at=[now - 366 * DAY_S, now + 60, -5.0])
    fraud.predictions([1, 2], scores=[0.1, 0.2], at=now - 366 * DAY_S)
    assert obs.flush().rejected == 3 * 5 + 2 * 3
    assert columns(obsagent_memory, 0, now + 60) == {}


@pytest.mark.parametrize("at", ["today", [1.0], float("nan"), [None, None, None, None]])
def test_what_is_no_time_raises(obsagent_memory: Memory, at: Any) -> None:
    obs, fraud, _ = served(obsagent_memory)
    with pytest.raises(FeatureError, match=r"at=|times for"):
        fraud.features(ROWS, at=at)
    with obs.request("/score", model=fraud) as request, pytest.raises(FeatureError, match=r"at=|times for"):
        request.features(ROWS, at=at)


def test_calls_become_a_batch_of_each_window(obsagent_memory: Memory) -> None:
    obs, fraud, now = served(obsagent_memory)
    obs.step()
    before = obs.outbox.acknowledged_sequence
    for number in range(200):
        fraud.features({"amount": number}, at=now - DAY_S + number % 2 * HOUR_S)
    assert columns(obsagent_memory, 0, now - HOUR_S)["feature_rows"][2] == 200
    assert obs.outbox.acknowledged_sequence <= before + 2 + 2  # one of each hour, and the drain's


def test_many_values_do_not_wait(obsagent_memory: Memory) -> None:
    obs, fraud, now = served(obsagent_memory)
    obs.step()  # learns the rules
    fraud.features(np.zeros((BACKFILL_VALUES, 1)), names=["amount"], at=now - DAY_S)
    assert not fraud._models.backfill._gathered
    assert columns(obsagent_memory, 0, now)["feature_rows"][2] == BACKFILL_VALUES


# The agent


def batch(memory: Memory, definitions: list[list[Any]], body: bytes, samples: int, **fields: Any) -> Any:
    """What an agent in memory says to a samples message of a session that has these series."""
    said: list[Any] = []
    session = b"s" * 16
    hello = {"service": "x", "host": "h", "pid": 1, "started": 0, "clock": 0, "version": ""}
    counts = {"o": samples, "d": [0, 0, 0], "r": 0}
    for header, content in (
        (frame.pack(MessageKind.HELLO, s=session, **hello), None),
        (frame.pack(MessageKind.DEFINE, s=session, series=definitions), None),
        (frame.pack(MessageKind.SAMPLES, s=session, q=1, f=1, n=samples, **counts, **fields), body),
    ):
        memory._agent.hear([header] if content is None else [header, content], lambda *answer: said.append(answer))
    account = memory._agent.store.accounts().get("x") or Accounts()
    return account.stored, account.rejected_time, account.rejected_frame, frame.unpack(said[-1][0])[0]


def row(number: int, metric: str, **labels: str) -> list[Any]:
    return [number, metric, int(Kind.COUNTER), labels, "", "", 6, "sum", "loghist"]


@pytest.mark.parametrize(
    ("metrics", "days", "horizon_days", "stored"),
    [
        (["predictions"], 29, 365, True),
        (["predictions", "feature_rows"], 29, 365, True),
        (["predictions"], 31, 365, False),
        (["predictions"], 5, 4, False),
        (["predictions", "latency_total"], 1, 30, False),
        (["latency_total"], 1, 30, False),
    ],
)
def test_the_agent_takes_what_is_of_models_and_within_their_horizon(
    obsagent_memory: Memory, metrics: list[str], days: int, horizon_days: int, stored: bool
) -> None:
    """Without a configuration a model's horizon is 30 days."""
    assert HORIZON_MS == 30 * DAY_S * 1_000
    writer = BodyWriter()
    for number in range(len(metrics)):
        writer.put_counter(number, 1, 1.0)
    hour_ms = int(obsagent_memory.clock.now().timestamp() - days * DAY_S) // HOUR_S * HOUR_S * 1_000
    definitions = [row(number, metric, model="fraud") for number, metric in enumerate(metrics)]
    fields = {"a": hour_ms, "b": hour_ms + 5, "h": horizon_days * DAY_S * 1_000}
    found = batch(obsagent_memory, definitions, writer.take(), len(metrics), **fields)
    expected = (len(metrics), 0, 0) if stored else (0, len(metrics), 0)
    assert found == (*expected, MessageKind.ACK)


def test_a_backfill_is_of_one_hour(obsagent_memory: Memory) -> None:
    writer = BodyWriter()
    writer.put_counter(0, 1, 1.0)
    hour_ms = int(obsagent_memory.clock.now().timestamp() - DAY_S) // HOUR_S * HOUR_S * 1_000
    for a, b in ((hour_ms + 1, hour_ms + 1), (hour_ms, hour_ms + HOUR_S * 1_000)):
        found = batch(obsagent_memory, [row(0, "predictions", model="m")], writer.take(), 1, a=a, b=b, h=DAY_S * 1_000)
        assert found == (0, 0, 0, MessageKind.ERROR)


def test_a_bad_body_is_a_bad_frame(obsagent_memory: Memory) -> None:
    hour_ms = int(obsagent_memory.clock.now().timestamp() - DAY_S) // HOUR_S * HOUR_S * 1_000
    fields = {"a": hour_ms, "b": hour_ms, "h": DAY_S * 1_000}
    found = batch(obsagent_memory, [row(0, "predictions", model="m")], b"\x01\x00\x63", 1, **fields)
    assert found == (0, 0, 1, MessageKind.ACK)
