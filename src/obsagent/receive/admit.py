"""Admission: a hello becomes a session, a definition becomes a series of the store."""

from __future__ import annotations

import logging

from obsagent.receive.sink import LiveSession, Mapped, Sink
from obsagent.wire.frame import Hello, SeriesDefinition

logger = logging.getLogger(__name__)


class Admission:
    """Opens sessions and resolves their series within the budgets."""

    def __init__(self, sink: Sink) -> None:
        """`sink` keeps the budgets."""
        self._sink = sink

    def open(self, hello: Hello) -> LiveSession:
        """A new session."""
        session = self._sink.open_session(hello)
        logger.info(
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
            series = self._sink.resolve(definition, {**definition.labels, **labels})
            if series is None:
                logger.warning("service %s: %s is refused: another kind is defined", session.service, definition.metric)
            mapped.append(Mapped(definition.number, series))
        if mapped:
            self._sink.write_definitions(session.name, mapped)
