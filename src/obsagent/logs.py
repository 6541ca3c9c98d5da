"""The agent's own log on stderr: lines for people, or an object a line for machines.

    {"time": "2026-01-01T12:00:00.000Z", "level": "info", "logger": "obsagent.agent_process", "message": "ready: ...",
     "fields": {...}, "exception": {"type": "OSError", "message": "...", "traceback": ["...", ...]}}

fields      what a message was given with `extra=`; left out if that is nothing
exception   left out if there is none; whatever ends a thread or the process unforeseen is logged so too

No message has line breaks in it, and no key's secret is ever logged.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
OWN_ATTRIBUTES = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})

logger = logging.getLogger(__name__)

_handler: logging.Handler | None = None


class JsonFormatter(logging.Formatter):
    """One object a line, times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; what JSON cannot say is written as text."""
        said: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = {key: value for key, value in record.__dict__.items() if key not in OWN_ATTRIBUTES}
        if fields:
            said["fields"] = fields
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = _exception(*record.exc_info)
        return json.dumps(said, ensure_ascii=True, default=str)


@contextmanager
def logged(log_format: str, level: str, stream: TextIO | None = None) -> Iterator[None]:
    """Within it this process logs to `stream` (default: stderr), what ends its threads and itself included."""
    global _handler
    root = logging.getLogger()
    hooks, level_before = (sys.excepthook, threading.excepthook), root.level
    _handler = logging.StreamHandler(stream or sys.stderr)
    root.addHandler(_handler)
    adjust(log_format, level)
    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook = _log_end, _log_end_of_thread
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = hooks
        logging.captureWarnings(False)
        root.removeHandler(_handler)
        root.setLevel(level_before)
        _handler = None


def adjust(log_format: str, level: str) -> None:
    """Another format or level from now on; nothing happens in a program that has its own log."""
    if _handler is not None:
        _handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(TEXT_FORMAT))
        logging.getLogger().setLevel(level.upper())


def _exception(
    kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
) -> dict[str, Any]:
    lines = "".join(traceback.format_exception(kind, error, where)).splitlines()
    return {"type": kind.__name__ if kind else "", "message": str(error), "traceback": lines}


def _log_end(
    kind: type[BaseException], error: BaseException | None, where: TracebackType | None, what: str = "the process"
) -> None:
    if not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        logger.critical("%s has ended by %s", what, kind.__name__, exc_info=(kind, error or kind(), where))


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else "of unknown name"
    _log_end(ended.exc_type, ended.exc_value, ended.exc_traceback, f"the thread {name}")
