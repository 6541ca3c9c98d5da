"""The agent's log as JSON: one object a line, whatever happens."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from typing import Any

import pytest

from obsagent import logs

LEVELS = ["debug", "info", "warning", "error"]

logger = logging.getLogger("obsagent.somewhere")


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_object_a_line() -> None:
    stream = io.StringIO()
    with logs.logged("json", "info", stream):
        logger.info("two\nlines, %s", "ü", extra={"port": 7, "odd": {1, 2}.__class__})
        logger.debug("not told")
    (said,) = told(stream)
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "info",
        "logger": "obsagent.somewhere",
        "message": "two\nlines, ü",
        "fields": {"port": 7, "odd": "<class 'set'>"},
    }


def test_times_are_in_utc() -> None:
    record = logging.makeLogRecord({"created": 1_767_268_800.25, "msecs": 250.0, "msg": "x"})
    assert json.loads(logs.JsonFormatter().format(record))["time"] == "2026-01-01T12:00:00.250Z"


def test_exceptions_are_within_the_object() -> None:
    stream = io.StringIO()
    with logs.logged("json", "info", stream):
        try:
            raise ValueError("broken\nin two")
        except ValueError:
            logger.exception("it failed")
    (said,) = told(stream)
    assert (said["level"], said["message"]) == ("error", "it failed")
    assert (said["exception"]["type"], said["exception"]["message"]) == ("ValueError", "broken\nin two")
    assert "test_logs.py" in "".join(said["exception"]["traceback"])


def test_what_ends_a_thread_or_the_process_and_warnings_are_told() -> None:
    stream = io.StringIO()
    with logs.logged("json", "info", stream):
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
        sys.excepthook(KeyError, KeyError("x"), None)
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
        warnings.warn("beware", stacklevel=1)
    ended, process, warned = told(stream)
    assert ended["message"] == "the thread worker has ended by ZeroDivisionError"
    assert ended["exception"]["type"] == "ZeroDivisionError"
    assert (process["level"], process["exception"]["type"]) == ("critical", "KeyError")
    assert "beware" in warned["message"]


def test_format_and_level_change_while_it_runs_and_nothing_stays_behind() -> None:
    before = (sys.excepthook, threading.excepthook, logging.getLogger().level, list(logging.getLogger().handlers))
    stream = io.StringIO()
    with logs.logged("text", "warning", stream):
        logger.info("too quiet")
        logs.adjust("json", "debug")
        logger.debug("heard")
        logs.adjust("text", "info")
        logger.info("for people")
    logs.adjust("json", "debug")
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["message"] == "heard"
    assert second.endswith("INFO obsagent.somewhere: for people")
    assert before == (
        sys.excepthook,
        threading.excepthook,
        logging.getLogger().level,
        list(logging.getLogger().handlers),
    )


@pytest.mark.parametrize("level", LEVELS)
def test_levels(level: str) -> None:
    stream = io.StringIO()
    with logs.logged("json", level, stream):
        for each in LEVELS:
            getattr(logger, each)(each)
    heard = [said["level"] for said in told(stream)]
    assert heard == LEVELS[LEVELS.index(level) :]
