"""Admission: a hello becomes a session, a definition becomes a series of the store."""

from __future__ import annotations

import logging

from obsagent.receive.complaints import Complaints
from obsagent.receive.sink import LiveSession, Mapped, Sink
from obsagent.samples import Kind
from obsagent.wire.frame import Hello, SeriesDefinition


class Admission:
    """Opens sessions and resolves their series within the budgets."""

    def __init__(self, sink: Sink, complaints: Complaints) -> None:
        """`sink` keeps the budgets; `complaints` are told who comes and what is refused."""
        self._sink = sink
        self._complaints = complaints

    def open(self, hello: Hello) -> LiveSession:
        """A new session."""
        session = self._sink.open_session(hello)
        self._complaints.say(
            logging.INFO,
            "session %s: service %s, host %s, pid %d in namespace %d, worker %d",
            hello.session.hex(),
            hello.service,
            hello.host,
            hello.pid,
            hello.pid_namespace,
            session.worker,
        )
        return session

    def define(self, session: LiveSession, definitions: list[SeriesDefinition]) -> None:
        """Resolves the definitions that the session has not made before and writes them."""
        labels = session.labels()
        mapped = []
        for definition in definitions:
            if session.knows(definition.number):
                continue
            series = self._sink.resolve(definition, _joined(definition, labels))
            if series is None:
                line = "service %s: %s is refused: it is defined with another kind, or there is no room for its series"
                self._complaints.say(logging.WARNING, line, session.service, definition.metric)
            mapped.append(Mapped(definition.number, series, definition.metric))
        if mapped:
            self._sink.write_definitions(session.name, mapped)


def _joined(definition: SeriesDefinition, of_session: dict[str, str]) -> dict[str, str]:
    """The labels of a series in the store: who sends is the session's to say, but a model's version the series'.

    Columns belong to no worker: 1,000 features of eight workers would be 8,000 series, and what one worker was given
    nobody asks.
    """
    joined = {**definition.labels, **of_session}
    if "version" in definition.labels:
        joined["version"] = definition.labels["version"]
    if definition.kind is Kind.COLUMN:
        joined.pop("worker", None)
    return joined
